//! `task.graph`, `task.analyze`, `task.history`.

use serde_json::{Value, json};

use super::{go, task};
use crate::support::{TestHub, each_hub};

/// a → b → d, a → c → d; `d` is done by nobody yet.
async fn diamond(hub: &TestHub, project: &str) {
    task(
        hub,
        project,
        "a",
        json!({ "scope": "broad", "risk": "low", "path": "x/a" }),
    )
    .await;
    task(
        hub,
        project,
        "b",
        json!({ "dependsOn": ["a"], "scope": "system" }),
    )
    .await;
    task(
        hub,
        project,
        "c",
        json!({ "dependsOn": ["a"], "risk": "critical", "path": "x/c" }),
    )
    .await;
    task(hub, project, "d", json!({ "dependsOn": ["b", "c"] })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_graph_has_the_tasks_asked_for_and_the_edges_among_them() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        diamond(hub, &project).await;
        let graph = hub.ok("task.graph", json!({ "projectId": project })).await;
        let nodes: Vec<&str> = graph["nodes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|node| node["slug"].as_str().unwrap())
            .collect();
        assert_eq!(nodes, ["b", "d", "a", "c"]);
        let edges: Vec<String> = graph["edges"]
            .as_array()
            .unwrap()
            .iter()
            .map(|edge| {
                format!(
                    "{}{}",
                    edge["from"].as_str().unwrap(),
                    edge["to"].as_str().unwrap()
                )
            })
            .collect();
        assert_eq!(edges, ["ab", "ac", "bd", "cd"]);
        assert_eq!(graph["edges"][0]["qualityRetention"], 0.9);
        let part = hub
            .ok(
                "task.graph",
                json!({ "projectId": project, "pathPrefix": "x" }),
            )
            .await;
        let length = |graph: &Value, key: &str| graph[key].as_array().unwrap().len();
        assert_eq!((length(&part, "nodes"), length(&part, "edges")), (2, 1));
        let none = json!({ "projectId": project, "status": ["completed"] });
        assert_eq!(length(&hub.ok("task.graph", none).await, "nodes"), 0);
        for (format, start) in [
            ("svg", "<svg "),
            ("dot", "digraph"),
            ("mermaid", "graph LR"),
        ] {
            let drawn = hub
                .ok(
                    "task.graph",
                    json!({ "projectId": project, "format": format }),
                )
                .await;
            assert_eq!(drawn["format"], format);
            assert!(
                drawn["text"].as_str().unwrap().starts_with(start),
                "{drawn}"
            );
            assert!(drawn.get("nodes").is_none());
        }
        let unknown = json!({ "projectId": project, "format": "png" });
        assert_eq!(
            hub.err("task.graph", unknown).await.code.as_str(),
            "VALIDATION_ERROR"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_analysis_answers_under_its_name() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        diamond(hub, &project).await;
        let analyses = json!([
            "criticalPath",
            "weightedCriticalPath",
            "parallelGroups",
            "bottlenecks",
            "riskPath",
            "riskDistribution",
            "workflowCost",
            "decompose",
            "cycles",
            "topologicalOrder",
        ]);
        let input = json!({ "projectId": project, "analyses": analyses });
        let found = hub.ok("task.analyze", input).await;
        assert_eq!(found.as_object().unwrap().len(), 10);
        assert_eq!(found["weightedCriticalPath"], json!(["a", "b", "d"]));
        assert_eq!(found["parallelGroups"], json!([["a"], ["b", "c"], ["d"]]));
        assert_eq!(found["riskPath"]["path"], json!(["a", "c", "d"]));
        assert_eq!(found["cycles"], json!([]));
        assert_eq!(found["topologicalOrder"][0], "a");
        let split: Vec<&str> = found["decompose"]
            .as_array()
            .unwrap()
            .iter()
            .map(|task| task["taskId"].as_str().unwrap())
            .collect();
        assert_eq!(split, ["b", "a", "c"]);
        assert_eq!(found["workflowCost"]["tasks"].as_array().unwrap().len(), 4);
        let limited = json!({
            "projectId": project, "analyses": ["workflowCost"], "options": { "limit": 2 },
        });
        let found = hub.ok("task.analyze", limited).await;
        assert_eq!(found["workflowCost"]["tasks"].as_array().unwrap().len(), 2);
        for analyses in [json!([]), json!(["magic"])] {
            let input = json!({ "projectId": project, "analyses": analyses });
            assert_eq!(
                hub.err("task.analyze", input).await.code.as_str(),
                "VALIDATION_ERROR"
            );
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_history_tells_each_change_of_status_newest_first() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        let made = task(hub, &project, "a", json!({})).await;
        hub.ok("task.update", json!({ "id": made["id"], "name": "other" }))
            .await;
        go(hub, &made, "in-progress").await;
        let input = json!({ "id": made["id"], "status": "failed", "reason": "no time" });
        hub.ok("task.updateStatus", input).await;
        let all = hub.ok("task.history", json!({ "id": made["id"] })).await;
        let steps = |page: &Value| -> Vec<String> {
            let items = page["items"].as_array().unwrap().iter();
            items
                .map(|item| item["to"].as_str().unwrap().to_owned())
                .collect()
        };
        assert_eq!(steps(&all), ["failed", "in-progress", "pending"]);
        assert_eq!(all["items"][0]["from"], "in-progress");
        assert_eq!(all["items"][0]["reason"], "no time");
        assert!(all["items"][0]["accountId"].is_string());
        let mut found = Vec::new();
        let mut input = json!({ "id": made["id"], "limit": 1, "order": "asc" });
        loop {
            let page = hub.ok("task.history", input.clone()).await;
            found.extend(steps(&page));
            let Some(cursor) = page.get("nextCursor") else {
                break;
            };
            input["cursor"] = cursor.clone();
        }
        assert_eq!(found, ["pending", "in-progress", "failed"]);
        let error = hub
            .err("task.history", json!({ "id": made["id"], "cursor": "x" }))
            .await;
        assert_eq!(error.code.as_str(), "VALIDATION_ERROR");
    })
    .await;
}
