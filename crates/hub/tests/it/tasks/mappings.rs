//! A task and the session that works on it move together.

use alkhub_storage::coordination::{self, NewMapping};
use alkhub_storage::ids::{MappingId, ProjectId, TaskId};
use alkhub_storage::json::{Metadata, SessionData};
use alkhub_storage::sessions::{self, NewSession};
use alkhub_storage::{Database, Mapping};
use serde_json::{Value, json};

use super::{get, go, task, told};
use crate::support::{TestHub, each_hub};

/// A task in progress with a session that works on it.
async fn worked_on(hub: &TestHub, project: &str, slug: &str) -> (Value, MappingId) {
    let made = task(hub, project, slug, json!({})).await;
    let made = go(hub, &made, "in-progress").await;
    let database: &Database = &hub.database;
    let transaction = database.begin().await.unwrap();
    let new = NewSession {
        account_id: None,
        project_id: ProjectId::from(project),
        workspace_id: None,
        parent_id: None,
        title: slug.to_owned(),
        role_name: None,
        data: SessionData::default(),
        metadata: Metadata::new(),
    };
    let session = sessions::create_session(&transaction, new, &[slug.to_owned()])
        .await
        .unwrap();
    let new = NewMapping {
        session_id: session.id,
        spoke_id: None,
        workspace_id: None,
        parent_session_id: None,
        task_id: Some(TaskId::from(made["id"].as_str().unwrap())),
        metadata: Metadata::new(),
    };
    let mapping = coordination::create_mapping(&transaction, new)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    (made, mapping.id)
}

async fn mapping(hub: &TestHub, id: &MappingId) -> Mapping {
    let database: &Database = &hub.database;
    let reader = database.reader();
    coordination::mapping_by_id(reader, &alkhub_storage::Scope::All, id)
        .await
        .unwrap()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn i2_an_active_mapping_follows_its_task_and_ends_once() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        for (to, expected) in [
            ("completed", "completed"),
            ("failed", "failed"),
            ("pending", "aborted"),
        ] {
            let (made, id) = worked_on(hub, &project, to).await;
            let moved = hub
                .ok(
                    "task.updateStatus",
                    json!({ "id": made["id"], "status": to }),
                )
                .await;
            assert_eq!(
                (&moved["task"]["status"], &moved["mapping"]["status"]),
                (&json!(to), &json!(expected))
            );
            assert_eq!(mapping(hub, &id).await.status.as_str(), expected);
            let history = hub.ok("task.history", json!({ "id": made["id"] })).await;
            let tries: Vec<&Value> = history["items"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|item| item["kind"] == "mapping")
                .collect();
            assert_eq!((tries.len(), &tries[0]["mapping"]), (1, &json!(id)));
        }
        let database: &Database = &hub.database;
        let broken = coordination::status_mismatches(database.reader())
            .await
            .unwrap();
        assert!(broken.is_empty(), "{broken:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r4_a_blocked_task_leaves_its_mapping_as_it_is() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        let (made, id) = worked_on(hub, &project, "a").await;
        let before = mapping(hub, &id).await;
        let moved = hub
            .ok(
                "task.updateStatus",
                json!({ "id": made["id"], "status": "blocked" }),
            )
            .await;
        assert_eq!(moved["mapping"]["status"], "active");
        assert_eq!(mapping(hub, &id).await, before);
        let error = hub
            .err(
                "task.updateStatus",
                json!({ "id": made["id"], "status": "completed" }),
            )
            .await;
        assert_eq!(told(&error).1, "illegal_transition");
        assert_eq!(get(hub, &project, "a").await["mapping"]["id"], json!(id));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_in_work_is_deleted_by_force_alone() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        let (made, id) = worked_on(hub, &project, "a").await;
        let error = hub.err("task.delete", json!({ "id": made["id"] })).await;
        assert_eq!(
            told(&error),
            ("CONFLICT".to_owned(), "active_mapping".to_owned())
        );
        hub.ok("task.delete", json!({ "id": made["id"], "force": true }))
            .await;
        let after = mapping(hub, &id).await;
        assert_eq!(
            (after.status.as_str(), after.task_id, after.task_slug),
            ("aborted", None, None)
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_in_work_are_not_offered_again() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        let (made, _) = worked_on(hub, &project, "a").await;
        // By hand: nothing of the hub leaves an active mapping on a pending task.
        let id = made["id"].as_str().unwrap();
        let sql = format!("update tasks set status = 'pending' where id = '{id}'");
        crate::support::execute(&hub.database, &sql).await;
        for order in ["priority", "critical"] {
            let ready = async |exclude: bool| {
                let input =
                    json!({ "projectId": project, "order": order, "excludeMapped": exclude });
                hub.ok("task.ready", input).await.as_array().unwrap().len()
            };
            assert_eq!((ready(true).await, ready(false).await), (0, 1), "{order}");
        }
    })
    .await;
}
