//! `task.ready`.

use serde_json::{Value, json};

use super::{go, task};
use crate::support::{TestHub, each_hub};

async fn ready(hub: &TestHub, project: &str, order: &str) -> Vec<Value> {
    let input = json!({ "projectId": project, "order": order });
    hub.ok("task.ready", input)
        .await
        .as_array()
        .unwrap()
        .clone()
}

fn ready_slugs(tasks: &[Value]) -> Vec<&str> {
    tasks
        .iter()
        .map(|task| task["task"]["slug"].as_str().unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_are_ready_once_all_before_them_are_completed() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        let a = task(hub, &project, "a", json!({})).await;
        let b = task(hub, &project, "b", json!({})).await;
        task(hub, &project, "c", json!({ "dependsOn": ["a", "b"] })).await;
        assert_eq!(
            ready_slugs(&ready(hub, &project, "priority").await),
            ["a", "b"]
        );
        for task in [&a, &b] {
            go(hub, task, "in-progress").await;
        }
        assert!(ready(hub, &project, "critical").await.is_empty());
        go(hub, &a, "completed").await;
        assert!(ready(hub, &project, "priority").await.is_empty());
        go(hub, &b, "completed").await;
        assert_eq!(ready_slugs(&ready(hub, &project, "priority").await), ["c"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn priority_orders_critical_first_none_last_then_due_then_slug() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        let soon = "2026-01-01T00:00:00Z";
        for (slug, more) in [
            ("none", json!({})),
            ("low", json!({ "priority": "low" })),
            ("medium", json!({ "priority": "medium" })),
            ("high-z", json!({ "priority": "high" })),
            ("high-a", json!({ "priority": "high" })),
            (
                "high-late",
                json!({ "priority": "high", "dueAt": "2027-01-01T00:00:00Z" }),
            ),
            ("high-soon", json!({ "priority": "high", "dueAt": soon })),
            ("critical", json!({ "priority": "critical" })),
        ] {
            task(hub, &project, slug, more).await;
        }
        let found = ready(hub, &project, "priority").await;
        assert_eq!(
            ready_slugs(&found),
            [
                "critical",
                "high-soon",
                "high-late",
                "high-a",
                "high-z",
                "medium",
                "low",
                "none"
            ]
        );
        assert!(found[0].get("slack").is_none() && found[0].get("riskScore").is_none());
        assert!(
            found[1]["reason"]
                .as_str()
                .unwrap()
                .contains("priority high")
        );
        assert!(found[0]["task"].get("body").is_none());
        let input = json!({ "projectId": project, "order": "priority", "limit": 2 });
        assert_eq!(
            hub.ok("task.ready", input).await.as_array().unwrap().len(),
            2
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_critical_path_comes_first_then_risk_then_priority() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        // long(4) → end(2) is the heaviest; the others are alone.
        task(hub, &project, "long", json!({ "scope": "broad" })).await;
        task(hub, &project, "end", json!({ "dependsOn": ["long"] })).await;
        task(
            hub,
            &project,
            "risky",
            json!({ "risk": "critical", "impact": "project" }),
        )
        .await;
        task(hub, &project, "plain", json!({ "priority": "low" })).await;
        task(hub, &project, "urgent", json!({ "priority": "critical" })).await;
        let done = task(hub, &project, "done", json!({ "scope": "system" })).await;
        go(hub, &done, "in-progress").await;
        go(hub, &done, "completed").await;
        let found = ready(hub, &project, "critical").await;
        assert_eq!(ready_slugs(&found), ["long", "risky", "urgent", "plain"]);
        let measures = |task: &Value| (task["slack"].clone(), task["onCriticalPath"].clone());
        assert_eq!(measures(&found[0]), (json!(0.0), json!(true)));
        assert_eq!(measures(&found[1]), (json!(4.0), json!(false)));
        assert_eq!(found[1]["riskScore"], 1.5);
        assert!(
            found[0]["reason"]
                .as_str()
                .unwrap()
                .starts_with("on the critical path")
        );
        let default = hub.ok("task.ready", json!({ "projectId": project })).await;
        assert_eq!(default[0]["task"]["slug"], "long");
    })
    .await;
}
