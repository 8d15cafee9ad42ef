//! `task.updateStatus`.

use alkhub_storage::enums::{AccessLevel, TaskStatus};
use serde_json::{Value, json};

use super::{go, task, told};
use crate::support::{TestHub, audit_actions, each_hub};

/// Brings a fresh task to a status by legal steps.
async fn at(hub: &TestHub, project: &str, slug: &str, status: TaskStatus) -> Value {
    let made = task(hub, project, slug, json!({})).await;
    match status {
        TaskStatus::Pending => made,
        TaskStatus::Completed => {
            go(hub, &made, "in-progress").await;
            go(hub, &made, "completed").await
        }
        other => go(hub, &made, other.as_str()).await,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_listed_steps_are_taken() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        for from in TaskStatus::ALL {
            for to in TaskStatus::ALL {
                let legal = match (from.as_str(), to.as_str()) {
                    (from, to) if from == to => true,
                    ("pending", to) => to != "completed",
                    ("in-progress", _) => true,
                    ("blocked", to) => to != "completed",
                    ("failed", to) => matches!(to, "pending" | "in-progress"),
                    _ => false,
                };
                let task = at(hub, &project, &format!("{from}-{to}"), *from).await;
                let input = json!({ "id": task["id"], "status": to });
                match hub.call(&hub.admin_key, "task.updateStatus", input).await {
                    Ok(moved) => {
                        assert!(legal, "{from} to {to}");
                        assert_eq!(moved["task"]["status"], to.as_str());
                    }
                    Err(error) => {
                        assert!(!legal, "{from} to {to}: {error}");
                        let rule = "illegal_transition";
                        let details =
                            json!({ "rule": rule, "table": "tasks", "from": from, "to": to });
                        assert_eq!(told(&error).0, "CONFLICT");
                        assert_eq!(error.details.unwrap(), details);
                    }
                }
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn times_tell_the_first_start_and_the_completion() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        let made = task(hub, &project, "a", json!({})).await;
        let started = go(hub, &made, "in-progress").await;
        assert!(started["startedAt"].is_string());
        go(hub, &made, "pending").await;
        let again = go(hub, &made, "in-progress").await;
        assert_eq!(again["startedAt"], started["startedAt"]);
        let done = go(hub, &made, "completed").await;
        assert!(done["completedAt"].is_string());
        let reopened = hub
            .ok(
                "task.updateStatus",
                json!({ "id": made["id"], "status": "pending", "reopen": true }),
            )
            .await;
        assert_eq!(reopened["task"]["completedAt"], Value::Null);
        assert_eq!(reopened["task"]["startedAt"], started["startedAt"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reopening_leads_to_pending_alone() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        let done = at(hub, &project, "a", TaskStatus::Completed).await;
        for to in ["in-progress", "failed", "blocked"] {
            let input = json!({ "id": done["id"], "status": to, "reopen": true });
            assert_eq!(
                told(&hub.err("task.updateStatus", input).await).1,
                "illegal_transition"
            );
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_status_writes_nothing() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        let made = task(hub, &project, "a", json!({})).await;
        let before = audit_actions(&hub.database).await.len();
        let same = go(hub, &made, "pending").await;
        assert_eq!(same["updatedAt"], made["updatedAt"]);
        assert_eq!(audit_actions(&hub.database).await.len(), before);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_status_than_expected_is_refused() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        let made = task(hub, &project, "a", json!({})).await;
        let input = json!({ "id": made["id"], "status": "failed", "expected": "in-progress" });
        let error = hub.err("task.updateStatus", input).await;
        assert_eq!(
            told(&error),
            ("CONFLICT".to_owned(), "unexpected_status".to_owned())
        );
        assert_eq!(error.details.unwrap()["status"], "pending");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_expect_pending_one_starts_the_task() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        let made = task(hub, &project, "a", json!({})).await;
        let start = async || {
            let input = json!({ "id": made["id"], "status": "in-progress", "expected": "pending" });
            hub.call(&hub.admin_key, "task.updateStatus", input).await
        };
        let outcomes = futures::future::join_all((0..10).map(|_| start())).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        for error in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
            assert_eq!(told(error).1, "unexpected_status");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn work_waits_for_its_prerequisites_unless_forced() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        let first = task(hub, &project, "first", json!({})).await;
        let second = task(hub, &project, "second", json!({ "dependsOn": ["first"] })).await;
        let start = json!({ "id": second["id"], "status": "in-progress" });
        let error = hub.err("task.updateStatus", start.clone()).await;
        assert_eq!(
            told(&error),
            (
                "UNPROCESSABLE".to_owned(),
                "unfinished_prerequisites".to_owned()
            )
        );
        assert_eq!(error.details.unwrap()["tasks"][0]["slug"], "first");
        let forced = json!({ "id": second["id"], "status": "in-progress", "force": true });
        hub.ok("task.updateStatus", forced).await;
        go(hub, &second, "pending").await;
        go(hub, &first, "in-progress").await;
        go(hub, &first, "completed").await;
        hub.ok("task.updateStatus", start).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_scope_task_status_moves_and_notes_but_does_not_write() {
    each_hub(async |hub| {
        let owner = hub.account("ann@example.org", AccessLevel::User).await;
        let writer = hub.key(&owner, &["project:write", "task:write"]).await;
        let mover = hub.key(&owner, &["task:read", "task:status"]).await;
        let project = hub
            .call(&writer, "project.create", json!({ "name": "p" }))
            .await
            .unwrap();
        let input = json!({ "projectId": project["id"], "name": "a" });
        let made = hub.call(&writer, "task.create", input).await.unwrap();
        let start = json!({ "id": made["id"], "status": "in-progress" });
        hub.call(&mover, "task.updateStatus", start).await.unwrap();
        hub.call(
            &mover,
            "task.addNote",
            json!({ "id": made["id"], "text": "n" }),
        )
        .await
        .unwrap();
        let rename = json!({ "id": made["id"], "name": "b" });
        let error = hub.call(&mover, "task.update", rename).await.unwrap_err();
        assert_eq!(error.code.as_str(), "ACCESS_DENIED");
        let done = json!({ "id": made["id"], "status": "completed" });
        hub.call(&writer, "task.updateStatus", done).await.unwrap();
    })
    .await;
}
