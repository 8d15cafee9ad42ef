//! `task.dependency.*` and `task.blocked`.

use serde_json::{Value, json};

use super::{get, go, slugs, task, told};
use crate::support::{TestHub, audit_actions, each_hub};

async fn link(hub: &TestHub, task: &Value, on: &Value) -> Value {
    hub.ok(
        "task.dependency.add",
        json!({ "taskId": task["id"], "dependsOnId": on["id"] }),
    )
    .await
}

/// `c` needs `b`, `b` needs `a`.
async fn chain(hub: &TestHub, project: &str) -> (Value, Value, Value) {
    let a = task(hub, project, "a", json!({})).await;
    let b = task(hub, project, "b", json!({ "dependsOn": ["a"] })).await;
    let c = task(hub, project, "c", json!({ "dependsOn": ["b"] })).await;
    (a, b, c)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dependency_is_added_once_and_removed_again() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        let a = task(hub, &project, "a", json!({})).await;
        let b = task(hub, &project, "b", json!({})).await;
        let input = json!({ "taskId": b["id"], "dependsOnId": a["id"], "qualityRetention": 0.5 });
        let edge = hub.ok("task.dependency.add", input.clone()).await;
        assert_eq!(
            (&edge["task"]["slug"], &edge["dependsOn"]["slug"]),
            (&json!("b"), &json!("a"))
        );
        assert_eq!(edge["qualityRetention"], 0.5);
        let error = hub.err("task.dependency.add", input).await;
        assert_eq!(told(&error), ("CONFLICT".to_owned(), "exists".to_owned()));
        let ends = json!({ "taskId": b["id"], "dependsOnId": a["id"] });
        assert_eq!(
            hub.ok("task.dependency.remove", ends.clone()).await["removed"],
            true
        );
        assert_eq!(
            hub.ok("task.dependency.remove", ends).await["removed"],
            false
        );
        let actions = audit_actions(&hub.database).await;
        assert!(actions.contains(&"task.dependency_added".to_owned()));
        assert!(actions.contains(&"task.dependency_removed".to_owned()));
        assert_eq!(link(hub, &b, &a).await["qualityRetention"], 0.9);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn edges_that_mean_nothing_are_refused() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        let (a, _, c) = chain(hub, &project).await;
        let elsewhere = hub.project("q", None).await;
        let stranger = task(hub, &elsewhere, "a", json!({})).await;
        let add =
            |task: &Value, on: &Value| json!({ "taskId": task["id"], "dependsOnId": on["id"] });
        let error = hub.err("task.dependency.add", add(&a, &c)).await;
        assert_eq!(
            told(&error),
            ("UNPROCESSABLE".to_owned(), "cycle".to_owned())
        );
        assert_eq!(error.details.unwrap()["path"], json!(["a", "b", "c"]));
        let error = hub.err("task.dependency.add", add(&a, &a)).await;
        assert_eq!(told(&error).1, "self_dependency");
        let error = hub.err("task.dependency.add", add(&a, &stranger)).await;
        assert_eq!(told(&error).1, "other_project");
        for retention in [json!(1.5), json!(-0.1), json!("x")] {
            let mut input = add(&c, &a);
            input["qualityRetention"] = retention;
            let error = hub.err("task.dependency.add", input).await;
            assert_eq!(error.code.as_str(), "VALIDATION_ERROR");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_edges_added_at_once_cannot_close_a_circle() {
    each_hub(async |hub| {
        for round in 0..10 {
            let project = hub.project(&format!("p{round}"), None).await;
            let a = task(hub, &project, "a", json!({})).await;
            let b = task(hub, &project, "b", json!({})).await;
            let add = async |task: &Value, on: &Value| {
                let input = json!({ "taskId": task["id"], "dependsOnId": on["id"] });
                hub.call(&hub.admin_key, "task.dependency.add", input).await
            };
            let (one, two) = tokio::join!(add(&a, &b), add(&b, &a));
            let errors: Vec<_> = [one, two].into_iter().filter_map(Result::err).collect();
            assert_eq!(errors.len(), 1);
            assert_eq!(told(&errors[0]).1, "cycle");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn edges_are_listed_as_far_as_asked() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        let (a, b, c) = chain(hub, &project).await;
        let list = async |task: &Value, more: Value| {
            let mut input = json!({ "taskId": task["id"] });
            input
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            let edges = hub.ok("task.dependency.list", input).await["items"].clone();
            let ends =
                |edge: &Value| format!("{}>{}", edge["task"]["slug"], edge["dependsOn"]["slug"]);
            edges
                .as_array()
                .unwrap()
                .iter()
                .map(|edge| ends(edge).replace('"', ""))
                .collect::<Vec<_>>()
        };
        assert_eq!(list(&b, json!({})).await, ["b>a", "c>b"]);
        assert_eq!(
            list(&b, json!({ "direction": "dependents" })).await,
            ["c>b"]
        );
        assert_eq!(
            list(&c, json!({ "direction": "dependencies" })).await,
            ["c>b"]
        );
        assert_eq!(
            list(&c, json!({ "direction": "dependencies", "depth": 2 })).await,
            ["c>b", "b>a"]
        );
        assert_eq!(
            list(&a, json!({ "direction": "dependencies" })).await,
            Vec::<String>::new()
        );
        let error = hub
            .err(
                "task.dependency.list",
                json!({ "taskId": a["id"], "depth": 0 }),
            )
            .await;
        assert_eq!(error.code.as_str(), "VALIDATION_ERROR");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_blocks_a_task_is_told_down_to_where_work_can_begin() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        let (a, _, c) = chain(hub, &project).await;
        task(hub, &project, "d", json!({})).await;
        link(hub, &c, &get(hub, &project, "d").await).await;
        let told = hub.ok("task.blocked", json!({ "id": c["id"] })).await;
        let chain = told["items"][0]["chain"].as_array().unwrap();
        let links: Vec<(&str, u64, bool)> = chain
            .iter()
            .map(|link| {
                let slug = link["task"]["slug"].as_str().unwrap();
                (
                    slug,
                    link["distance"].as_u64().unwrap(),
                    link["canStart"].as_bool().unwrap(),
                )
            })
            .collect();
        assert_eq!(links, [("b", 1, false), ("d", 1, true), ("a", 2, true)]);
        assert_eq!(told["items"][0]["canStart"], json!(["d", "a"]));
        assert_eq!(chain[0]["waitsFor"], json!(["a"]));

        let all = hub
            .ok("task.blocked", json!({ "projectId": project }))
            .await;
        let waiting: Vec<Value> = all["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["task"].clone())
            .collect();
        assert_eq!(slugs(&json!(waiting)), ["b", "c"]);
        go(hub, &a, "in-progress").await;
        go(hub, &a, "completed").await;
        let all = hub
            .ok("task.blocked", json!({ "projectId": project }))
            .await;
        assert_eq!(all["items"].as_array().unwrap().len(), 1);
        let error = hub.err("task.blocked", json!({})).await;
        assert_eq!(error.code.as_str(), "VALIDATION_ERROR");
    })
    .await;
}
