//! Aborting: trees under way, and trees that are in their rows only.

use std::time::Duration;

use alkhub_hub::Expected;
use alkhub_operations::ErrorCode;
use alkhub_storage::enums::AccessLevel;
use futures::StreamExt as _;
use serde_json::json;

use super::{Row, record};
use crate::support::{audit_actions, each_hub, request};

#[tokio::test(flavor = "multi_thread")]
async fn case_a15_a_finished_call_is_reported_and_nothing_changes() {
    each_hub(async |hub| {
        let row = Row::ended("hub.info");
        record(&hub.database, std::slice::from_ref(&row)).await;
        let before = hub.ok("call.get", json!({ "requestId": row.id })).await;
        for _ in 0..2 {
            let report = hub.ok("call.abort", json!({ "requestId": row.id })).await;
            assert_eq!(report["alreadyFinished"], json!([row.id]));
            assert_eq!(
                (&report["complete"], &report["aborted"]),
                (&json!(true), &json!([]))
            );
        }
        assert_eq!(
            hub.ok("call.get", json!({ "requestId": row.id })).await,
            before
        );
        let audited = audit_actions(&hub.database).await;
        assert!(!audited.contains(&"call.aborted".to_owned()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn case_a16_an_unknown_call_is_not_found() {
    each_hub(async |hub| {
        for id in ["00000000-0000-4000-8000-000000000000", "no such id"] {
            for operation in ["call.abort", "call.abortReport", "call.tree", "call.watch"] {
                let field = if operation == "call.watch" {
                    "root"
                } else {
                    "requestId"
                };
                let mut input = json!({});
                input[field] = json!(id);
                let key = &hub.admin_key;
                let error = hub.try_once(key, operation, input).await.unwrap_err();
                assert_eq!(error.code, ErrorCode::NOT_FOUND, "{operation} {id:?}");
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn case_a17_the_call_of_another_account_is_not_found_and_goes_on() {
    each_hub(async |hub| {
        let user = hub.account("user@example.org", AccessLevel::User).await;
        let project = hub.project("p", None).await;
        let row = Row::running("hub.info")
            .about(&project)
            .noted("spokeId", json!("s"));
        record(&hub.database, std::slice::from_ref(&row)).await;
        for scopes in [&["task:read"][..], &["call:abort"]] {
            let key = hub.key(&user, scopes).await;
            let refused = hub
                .call(&key, "call.abort", json!({ "requestId": row.id }))
                .await;
            assert_eq!(
                refused.unwrap_err().code,
                ErrorCode::NOT_FOUND,
                "{scopes:?}"
            );
        }
        let read = hub.ok("call.get", json!({ "requestId": row.id })).await;
        assert_eq!(read["status"], "running");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn seeing_a_call_is_not_enough_to_abort_it() {
    each_hub(async |hub| {
        let owner = hub.account("owner@example.org", AccessLevel::User).await;
        let organization = hub.organization("acme", &owner).await;
        let project = hub.project("p", Some(&organization)).await;
        let row = Row::running("hub.info")
            .about(&project)
            .noted("spokeId", json!("s"));
        record(&hub.database, std::slice::from_ref(&row)).await;
        let key = hub.key(&owner, &["call:read"]).await;
        let refused = hub
            .call(&key, "call.abort", json!({ "requestId": row.id }))
            .await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.code, ErrorCode::ACCESS_DENIED);
        assert_eq!(refused.details.unwrap()["missing"], json!(["call:abort"]));
        let key = hub.key(&owner, &["call:abort"]).await;
        let report = hub
            .call(&key, "call.abort", json!({ "requestId": row.id }))
            .await
            .unwrap();
        assert_eq!(report["unreachable"], json!([row.id]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn case_a28_a_tree_that_is_in_its_rows_only_is_ended_there() {
    each_hub(async |hub| {
        let root = Row::running("hub.info").noted("spokeId", json!("s1"));
        let done = Row::ended("task.get").below(&root);
        let open = Row::running("task.list")
            .below(&done)
            .noted("spokeId", json!("s2"));
        let waiting = Row::pending("task.create").below(&root);
        let rows = [root.clone(), done.clone(), open.clone(), waiting.clone()];
        record(&hub.database, &rows).await;
        let input = json!({ "requestId": root.id, "reason": "enough" });
        let report = hub.ok("call.abort", input).await;
        assert_eq!(report["complete"], false);
        assert_eq!(report["alreadyFinished"], json!([done.id]));
        assert_eq!(report["nodes"].as_array().unwrap().len(), 4);
        assert_eq!(report["nodes"][0]["requestId"], root.id.as_str());
        for (row, by, unreachable) in [
            (&root, "caller", true),
            (&open, "parent", true),
            (&waiting, "parent", false),
        ] {
            let read = hub.ok("call.get", json!({ "requestId": row.id })).await;
            let abort = &read["metadata"]["abort"];
            assert_eq!(
                (&read["status"], &abort["by"]),
                (&json!("aborted"), &json!(by))
            );
            assert_eq!(abort["confirmed"], !unreachable);
            assert_eq!(abort["unreachable"] == true, unreachable);
            assert_eq!(read["error"]["details"]["reason"], "enough");
        }
        let later = hub
            .ok("call.abortReport", json!({ "requestId": root.id }))
            .await;
        assert_eq!(later["unreachable"], json!([root.id, open.id]));
        assert_eq!(later["aborted"], json!([waiting.id]));
        assert_eq!(later["alreadyFinished"], json!([done.id]));
        // Once more: the same report, and nothing else.
        let again = hub.ok("call.abort", json!({ "requestId": root.id })).await;
        assert_eq!(again, later);
        let audited = audit_actions(&hub.database).await;
        assert_eq!(
            audited
                .iter()
                .filter(|action| *action == "call.aborted")
                .count(),
            1
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn running_calls_of_the_rows_survive_when_asked_to() {
    each_hub(async |hub| {
        let root = Row::running("hub.info").noted("spokeId", json!("s1"));
        let runs = Row::running("task.get")
            .below(&root)
            .noted("spokeId", json!("s1"));
        let below = Row::pending("task.list").below(&runs);
        let waits = Row::pending("task.create").below(&root);
        record(
            &hub.database,
            &[root.clone(), runs.clone(), below.clone(), waits.clone()],
        )
        .await;
        let input = json!({ "requestId": root.id, "policy": "continue-running" });
        let report = hub.ok("call.abort", input).await;
        assert_eq!(report["survived"], json!([runs.id]));
        let status = async |row: &Row| {
            let read = hub.ok("call.get", json!({ "requestId": row.id })).await;
            read["status"].as_str().unwrap().to_owned()
        };
        assert_eq!(status(&root).await, "aborted");
        assert_eq!(status(&runs).await, "running");
        assert_eq!(status(&below).await, "pending");
        assert_eq!(status(&waits).await, "aborted");
        let later = hub
            .ok("call.abortReport", json!({ "requestId": root.id }))
            .await;
        assert_eq!(later["survived"], json!([runs.id]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_under_way_is_stopped_and_its_record_says_by_whom() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        let mut watching = request(
            Some(&hub.admin_key),
            "task.watch",
            json!({ "projectId": project }),
        );
        watching.expected = Expected::Subscription;
        let mut watching = hub.hub.subscribe(watching).await.unwrap();
        let id = watching.request_id.to_string();
        let reading = tokio::spawn(async move { watching.items.next().await });
        let input = json!({ "requestId": id, "reason": "no longer needed" });
        let report = hub.ok("call.abort", input).await;
        assert_eq!(report["aborted"], json!([id]));
        assert_eq!(report["complete"], true);
        let end = tokio::time::timeout(Duration::from_secs(5), reading).await;
        let error = end.unwrap().unwrap().unwrap().unwrap_err();
        assert_eq!(error.code, ErrorCode::ABORTED);
        let read = hub.ok("call.get", json!({ "requestId": id })).await;
        assert_eq!(read["status"], "aborted");
        assert_eq!(read["metadata"]["abort"]["by"], "caller");
        assert!(
            audit_actions(&hub.database)
                .await
                .contains(&"call.aborted".to_owned())
        );
    })
    .await;
}
