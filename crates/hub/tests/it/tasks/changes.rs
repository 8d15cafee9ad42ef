//! `task.update`, `task.assign`, `task.addNote`, `task.delete`.

use alkhub_storage::enums::{AccessLevel, MembershipLevel};
use serde_json::{Value, json};

use super::{get, issue_paths, task, told};
use crate::support::{audit_actions, each_hub};

#[tokio::test(flavor = "multi_thread")]
async fn an_update_changes_what_is_given_and_null_removes() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        let more =
            json!({ "priority": "low", "risk": "high", "tags": ["x"], "metadata": { "a": 1 } });
        let made = task(hub, &project, "a", more).await;
        let input = json!({
            "id": made["id"], "name": " New ", "slug": "b", "priority": null, "scope": "single",
            "tags": ["y"], "dueAt": "2026-01-01T00:00:00Z", "metadata": { "a": null, "b": 2 },
        });
        let after = hub.ok("task.update", input).await;
        assert_eq!(
            (&after["name"], &after["slug"]),
            (&json!("New"), &json!("b"))
        );
        assert_eq!(
            (&after["priority"], &after["risk"]),
            (&Value::Null, &json!("high"))
        );
        assert_eq!(
            (&after["scope"], &after["tags"]),
            (&json!("single"), &json!(["y"]))
        );
        assert_eq!(
            (&after["dueAt"], &after["metadata"]),
            (&json!("2026-01-01T00:00:00.000Z"), &json!({ "b": 2 }))
        );
        assert!(after["updatedAt"].as_str() > made["updatedAt"].as_str());
        assert!(
            audit_actions(&hub.database)
                .await
                .contains(&"task.updated".to_owned())
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_is_not_changed_by_an_update() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        let made = task(hub, &project, "a", json!({})).await;
        let input = json!({ "id": made["id"], "status": "completed" });
        let error = hub.err("task.update", input).await;
        assert_eq!(error.code.as_str(), "VALIDATION_ERROR");
        assert_eq!(issue_paths(&error), ["/status"]);
        assert!(
            error.message.contains("task.updateStatus"),
            "{}",
            error.message
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_of_a_row_that_changed_is_stale() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        let made = task(hub, &project, "a", json!({})).await;
        let guarded = |name: &str, seen: &Value| {
            json!({ "id": made["id"], "name": name, "ifUpdatedAt": seen["updatedAt"] })
        };
        let after = hub.ok("task.update", guarded("one", &made)).await;
        let error = hub.err("task.update", guarded("two", &made)).await;
        assert_eq!(error.code.as_str(), "STALE");
        assert_eq!(error.details.unwrap()["updatedAt"], after["updatedAt"]);
        hub.ok("task.update", guarded("three", &after)).await;
        for operation in ["task.updateStatus", "task.delete", "task.assign"] {
            let mut input = json!({ "id": made["id"], "ifUpdatedAt": made["updatedAt"] });
            if operation == "task.updateStatus" {
                input["status"] = json!("in-progress");
            }
            if operation == "task.assign" {
                input["assignee"] = json!("ann");
            }
            assert_eq!(hub.err(operation, input).await.code.as_str(), "STALE", "{operation}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_guarded_writers_one_wins() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        let made = task(hub, &project, "a", json!({})).await;
        let write = async |name: &str| {
            let input = json!({ "id": made["id"], "name": name, "ifUpdatedAt": made["updatedAt"] });
            hub.call(&hub.admin_key, "task.update", input)
                .await
                .map_err(|error| error.code.to_string())
        };
        let (one, two) = tokio::join!(write("one"), write("two"));
        let codes: Vec<&str> = [&one, &two]
            .iter()
            .filter_map(|outcome| outcome.as_ref().err().map(String::as_str))
            .collect();
        assert_eq!(codes, ["STALE"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slug_in_use_and_bad_fields_are_refused_by_an_update() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        task(hub, &project, "a", json!({})).await;
        let made = task(hub, &project, "b", json!({})).await;
        let error = hub
            .err("task.update", json!({ "id": made["id"], "slug": "a" }))
            .await;
        assert_eq!(
            told(&error),
            ("CONFLICT".to_owned(), "slug_taken".to_owned())
        );
        let input = json!({
            "id": made["id"], "slug": "", "name": "", "path": "/x", "tags": [""], "dueAt": "x",
            "metadata": { "unparsed": {} }, "ifUpdatedAt": "yesterday",
        });
        let error = hub.err("task.update", input).await;
        assert_eq!(
            issue_paths(&error),
            [
                "/slug",
                "/name",
                "/path",
                "/tags/0",
                "/dueAt",
                "/metadata/unparsed",
                "/ifUpdatedAt"
            ]
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn assigning_takes_a_name_or_null() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        let made = task(hub, &project, "a", json!({})).await;
        let assign = |who: Value| json!({ "id": made["id"], "assignee": who });
        assert_eq!(
            hub.ok("task.assign", assign(json!("ann"))).await["assignee"],
            "ann"
        );
        assert_eq!(
            hub.ok("task.assign", assign(Value::Null)).await["assignee"],
            Value::Null
        );
        let error = hub.err("task.assign", json!({ "id": made["id"] })).await;
        assert_eq!(error.code.as_str(), "VALIDATION_ERROR");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn notes_of_many_writers_are_all_kept_behind_the_text() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        let made = task(hub, &project, "a", json!({ "body": "Text" })).await;
        let note = async |text: String| {
            hub.ok("task.addNote", json!({ "id": made["id"], "text": text }))
                .await;
        };
        let notes = (0..8).map(|number| note(format!("note {number}")));
        futures::future::join_all(notes).await;
        let body = get(hub, &project, "a").await["body"]
            .as_str()
            .unwrap()
            .to_owned();
        assert_eq!(body.matches("<!-- notes -->").count(), 1, "{body}");
        assert!(body.starts_with("Text\n<!-- notes -->\n"), "{body}");
        for number in 0..8 {
            assert!(body.contains(&format!("note {number}")), "{body}");
        }
        let updated = hub
            .ok("task.update", json!({ "id": made["id"], "body": "Other" }))
            .await;
        let body = updated["body"].as_str().unwrap();
        assert!(
            body.starts_with("Other\n<!-- notes -->\n") && body.contains("note 7"),
            "{body}"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_note_is_some_text_of_at_most_16_kib() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        let made = task(hub, &project, "a", json!({})).await;
        for text in [
            " ".to_owned(),
            "x".repeat(16 * 1024 + 1),
            "ü".repeat(9 * 1024),
            "a\u{0}".to_owned(),
        ] {
            let error = hub
                .err("task.addNote", json!({ "id": made["id"], "text": text }))
                .await;
            assert_eq!(error.code.as_str(), "VALIDATION_ERROR");
        }
        let text = "x".repeat(16 * 1024);
        hub.ok("task.addNote", json!({ "id": made["id"], "text": text }))
            .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_takes_the_dependencies_along() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        let a = task(hub, &project, "a", json!({})).await;
        task(hub, &project, "b", json!({ "dependsOn": ["a"] })).await;
        task(hub, &project, "c", json!({ "dependsOn": ["a", "b"] })).await;
        let deleted = hub.ok("task.delete", json!({ "id": a["id"] })).await;
        assert_eq!(deleted, json!({ "edgesRemoved": 2 }));
        assert_eq!(
            get(hub, &project, "c").await["dependencies"]
                .as_array()
                .unwrap()
                .len(),
            1
        );
        assert_eq!(
            hub.err("task.delete", json!({ "id": a["id"] }))
                .await
                .code
                .as_str(),
            "NOT_FOUND"
        );
        assert!(
            audit_actions(&hub.database)
                .await
                .contains(&"task.deleted".to_owned())
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_an_organization_members_write_and_administrators_delete() {
    each_hub(async |hub| {
        let owner = hub.account("owner@example.org", AccessLevel::User).await;
        let member = hub.account("member@example.org", AccessLevel::User).await;
        let organization = hub.organization("acme", &owner).await;
        hub.member(&organization, &member, MembershipLevel::Member)
            .await;
        let project = hub.project("p", Some(&organization)).await;
        let made = task(hub, &project, "a", json!({})).await;
        let (owner, member) = (
            hub.key(&owner, &["task:write"]).await,
            hub.key(&member, &["task:write"]).await,
        );
        let rename = json!({ "id": made["id"], "name": "B" });
        hub.call(&member, "task.update", rename).await.unwrap();
        let delete = json!({ "id": made["id"] });
        let error = hub
            .call(&member, "task.delete", delete.clone())
            .await
            .unwrap_err();
        assert_eq!(error.code.as_str(), "ACCESS_DENIED");
        let prune = json!({ "projectId": project, "files": [], "prune": true });
        let error = hub.call(&member, "task.import", prune).await.unwrap_err();
        assert_eq!(error.code.as_str(), "ACCESS_DENIED");
        hub.call(&owner, "task.delete", delete).await.unwrap();
    })
    .await;
}
