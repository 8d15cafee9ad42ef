//! The pipeline: who gets in, what is recorded, what a repetition gets, what a stop does.

use std::time::Duration;

use alkhub_hub::{CallInput, Credential, Expected};
use alkhub_operations::{ErrorCode, RequestId};
use alkhub_storage::calls;
use alkhub_storage::enums::{AccessLevel, CallStatus};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::support::{TestHub, each_hub, each_hub_with, request, rule, start, with_id};

async fn status_of(hub: &TestHub, id: &RequestId) -> Option<CallStatus> {
    let row = calls::call_by_request_id(
        hub.database.reader(),
        &alkhub_storage::Scope::All,
        id.as_str(),
    );
    row.await.expect("a look-up").map(|node| node.status)
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_open_to_everybody_and_leaves_no_record() {
    each_hub(async |hub| {
        let id = RequestId::random();
        let answer = hub
            .send(with_id(request(None, "hub.health", json!({})), id.clone()))
            .await;
        assert_eq!(answer.unwrap().envelope.data["status"], "ok");
        assert_eq!(status_of(hub, &id).await, None);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answered_calls_are_in_the_graph_with_their_final_status() {
    each_hub(async |hub| {
        let good = RequestId::random();
        let input = json!({ "name": "p" });
        let call = request(Some(&hub.admin_key), "project.create", input.clone());
        hub.send(with_id(call, good.clone())).await.unwrap();
        let node = calls::call_by_request_id(
            hub.database.reader(),
            &alkhub_storage::Scope::All,
            good.as_str(),
        )
        .await
        .unwrap()
        .unwrap();
        assert_eq!(node.status, CallStatus::Completed);
        assert_eq!(node.input, Some(input));
        assert!(node.started_at.is_some() && node.completed_at.is_some());

        let bad = RequestId::random();
        let call = request(
            Some(&hub.admin_key),
            "project.get",
            json!({ "id": "nowhere" }),
        );
        let failure = hub.send(with_id(call, bad.clone())).await.unwrap_err();
        assert_eq!(failure.error.code, ErrorCode::NOT_FOUND);
        assert_eq!(status_of(hub, &bad).await, Some(CallStatus::Failed));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_calls_leave_no_record() {
    each_hub(async |hub| {
        for (operation, input, code) in [
            ("nothing.here", json!({}), ErrorCode::OPERATION_NOT_FOUND),
            ("project.create", json!({}), ErrorCode::VALIDATION_ERROR),
            (
                "project.create",
                json!({ "name": "x", "nmae": 1 }),
                ErrorCode::VALIDATION_ERROR,
            ),
        ] {
            let id = RequestId::random();
            let call = request(Some(&hub.admin_key), operation, input);
            let failure = hub.send(with_id(call, id.clone())).await.unwrap_err();
            assert_eq!(failure.error.code, code, "{operation}");
            assert_eq!(status_of(hub, &id).await, None, "{operation}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn case_129_repeated_id_never_runs_twice() {
    each_hub(async |hub| {
        let id = RequestId::random();
        let call = || {
            request(
                Some(&hub.admin_key),
                "project.create",
                json!({ "name": "once" }),
            )
        };
        let first = hub.send(with_id(call(), id.clone())).await.unwrap();
        let second = hub.send(with_id(call(), id.clone())).await.unwrap();
        assert!(!first.replayed && second.replayed);
        assert_eq!(first.envelope.data, second.envelope.data);
        let listed = hub.ok("project.list", json!({})).await;
        assert_eq!(listed["items"].as_array().unwrap().len(), 1);

        let mut other_input = call();
        other_input.input = CallInput::Json(json!({ "name": "twice" }));
        let failure = hub
            .send(with_id(other_input, id.clone()))
            .await
            .unwrap_err();
        assert_eq!(failure.error.code, ErrorCode::UNPROCESSABLE);
        assert_eq!(rule(&failure.error), "request_id");

        let somebody = hub.account("a@example.org", AccessLevel::User).await;
        let key = hub.key(&somebody, &["project:write"]).await;
        let theirs = request(Some(&key), "project.create", json!({ "name": "once" }));
        let failure = hub.send(with_id(theirs, id.clone())).await.unwrap_err();
        assert_eq!(failure.error.code, ErrorCode::CONFLICT);
        assert_eq!(rule(&failure.error), "request_id");

        let query = request(Some(&hub.admin_key), "project.list", json!({}));
        let failure = hub.send(with_id(query, id)).await.unwrap_err();
        assert_eq!(failure.error.code, ErrorCode::CONFLICT);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn case_128_same_id_twice_in_flight_runs_once() {
    each_hub(async |hub| {
        let id = RequestId::random();
        let calls = (0..8).map(|_| {
            let call = request(
                Some(&hub.admin_key),
                "project.create",
                json!({ "name": "once" }),
            );
            hub.send(with_id(call, id.clone()))
        });
        let answers = futures::future::join_all(calls).await;
        let ids: std::collections::BTreeSet<String> = answers
            .into_iter()
            .map(|answer| {
                answer.unwrap().envelope.data["id"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        assert_eq!(ids.len(), 1);
        let listed = hub.ok("project.list", json!({})).await;
        assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn idempotency_key_belongs_to_the_account() {
    each_hub(async |hub| {
        let somebody = hub.account("a@example.org", AccessLevel::User).await;
        let theirs = hub.key(&somebody, &["project:write"]).await;
        for key in [&hub.admin_key, &theirs] {
            for replayed in [false, true] {
                let mut call = request(Some(key), "project.create", json!({ "name": "mine" }));
                call.idempotency_key = Some("deploy-2026-11-24".to_owned());
                assert_eq!(hub.send(call).await.unwrap().replayed, replayed);
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn repeated_call_whose_answer_was_not_kept_is_told_so() {
    each_hub(async |hub| {
        let id = RequestId::random();
        let input = json!({ "name": "k", "scopes": ["hub:read"] });
        let call = || request(Some(&hub.admin_key), "key.create", input.clone());
        hub.send(with_id(call(), id.clone())).await.unwrap();
        let failure = hub.send(with_id(call(), id)).await.unwrap_err();
        assert_eq!(failure.error.code, ErrorCode::CONFLICT);
        assert_eq!(rule(&failure.error), "answer_not_kept");
        let keys = hub.ok("key.list", json!({})).await;
        assert_eq!(keys["items"].as_array().unwrap().len(), 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h2_h3_keys_that_are_not_valid_get_one_and_the_same_answer() {
    each_hub(async |hub| {
        let account = hub.account("a@example.org", AccessLevel::User).await;
        let revoked = hub.key(&account, &["hub:read"]).await;
        let listed = hub.ok("key.list", json!({ "ownerId": account })).await;
        hub.ok("key.revoke", json!({ "id": listed["items"][0]["id"] }))
            .await;
        let mut changed = hub.admin_key.clone().into_bytes();
        changed[20] = if changed[20] == b'a' { b'b' } else { b'a' };
        let changed = String::from_utf8(changed).unwrap();
        let mut answers = Vec::new();
        for key in [revoked.as_str(), changed.as_str(), "alk_short", "two words"] {
            let failure = hub
                .send(request(Some(key), "hub.info", json!({})))
                .await
                .expect_err("refused");
            assert_eq!(failure.error.code, ErrorCode::UNAUTHENTICATED);
            answers.push(serde_json::to_string(&failure.error).unwrap());
        }
        let mut call = request(None, "hub.info", json!({}));
        call.credential = Credential::Malformed;
        answers.push(serde_json::to_string(&hub.send(call).await.unwrap_err().error).unwrap());
        answers.dedup();
        assert_eq!(answers.len(), 1, "{answers:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h16_address_with_too_many_wrong_keys_is_refused_for_a_while() {
    each_hub(async |hub| {
        let wrong = SecretString::from("alk_wrong".to_owned());
        let mut codes = Vec::new();
        for _ in 0..25 {
            let mut call = request(None, "hub.info", json!({}));
            call.credential = Credential::Key(wrong.clone());
            codes.push(hub.send(call).await.unwrap_err().error.code);
        }
        assert_eq!(codes[19], ErrorCode::UNAUTHENTICATED);
        assert_eq!(codes[20], ErrorCode::RATE_LIMITED);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rate_and_concurrency_of_a_key_are_limited() {
    each_hub_with(
        &[("limits.rate", "1"), ("limits.burst", "3")],
        async |hub| {
            let mut codes = Vec::new();
            for _ in 0..5 {
                let outcome = hub.call(&hub.admin_key, "hub.info", json!({})).await;
                codes.push(outcome.err().map(|error| error.code));
            }
            assert!(codes.contains(&Some(ErrorCode::RATE_LIMITED)), "{codes:?}");
            assert_eq!(codes[0], None);
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deadline_of_zero_has_passed_before_the_call() {
    each_hub(async |hub| {
        let mut call = request(
            Some(&hub.admin_key),
            "project.create",
            json!({ "name": "p" }),
        );
        call.timeout = Some(Duration::ZERO);
        assert_eq!(
            hub.send(call).await.unwrap_err().error.code,
            ErrorCode::TIMEOUT
        );
        let listed = hub.ok("project.list", json!({})).await;
        assert_eq!(listed["items"], json!([]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn query_string_is_coerced_and_mutations_are_no_queries() {
    each_hub(async |hub| {
        hub.ok("project.create", json!({ "name": "p" })).await;
        let mut call = request(Some(&hub.admin_key), "project.list", Value::Null);
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        call.input = CallInput::Query(vec![pair("limit", "1"), pair("includeArchived", "true")]);
        call.expected = Expected::Query;
        assert_eq!(
            hub.send(call).await.unwrap().envelope.data["items"]
                .as_array()
                .unwrap()
                .len(),
            1
        );

        let mut call = request(
            Some(&hub.admin_key),
            "project.create",
            json!({ "name": "q" }),
        );
        call.expected = Expected::Query;
        let failure = hub.send(call).await.unwrap_err();
        assert_eq!(rule(&failure.error), "kind");
        assert!(failure.actual_kind.is_some());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_hub_takes_no_new_calls_and_says_when_to_come_back() {
    each_hub(async |hub| {
        hub.hub.begin_drain();
        let error = hub.err("hub.info", json!({})).await;
        assert_eq!(error.code, ErrorCode::UNAVAILABLE);
        assert!(error.details.unwrap()["retryAfterMs"].is_number());
        let health = hub
            .send(request(None, "hub.health", json!({})))
            .await
            .unwrap();
        assert_eq!(health.envelope.data["status"], "degraded");
        assert!(!hub.hub.readiness().await.ready);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h10_second_start_makes_no_key_and_keeps_everything() {
    each_hub(async |hub| {
        hub.ok("project.create", json!({ "name": "kept" })).await;
        hub.hub.shutdown(Duration::from_secs(5)).await;
        // The lock of the data directory goes with the first hub, which the test still holds.
        let other = tempfile::tempdir().unwrap();
        let again = start(hub.database.url(), other.path(), &[]).await.unwrap();
        assert!(again.first_key.is_none());
        let outcome = again
            .hub
            .call(request(Some(&hub.admin_key), "project.list", json!({})))
            .await
            .unwrap();
        assert_eq!(outcome.envelope.data["items"][0]["name"], "kept");
        again.hub.shutdown(Duration::from_secs(5)).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_left_open_by_a_dead_hub_are_closed_at_the_next_start() {
    each_hub(async |hub| {
        let id = RequestId::random();
        let call = request(
            Some(&hub.admin_key),
            "project.create",
            json!({ "name": "p" }),
        );
        hub.send(with_id(call, id.clone())).await.unwrap();
        hub.hub.shutdown(Duration::from_secs(5)).await;
        // As a crash would have left it.
        crate::support::execute(
            &hub.database,
            "update call_graph_nodes set status = 'running', completed_at = null",
        )
        .await;
        let again = start(hub.database.url(), hub.data_dir(), &[]).await;
        // The first hub object still holds the lock of its directory.
        assert!(again.is_err());
        let copy = tempfile::tempdir().unwrap();
        std::fs::copy(
            hub.data_dir().join("instance-id"),
            copy.path().join("instance-id"),
        )
        .unwrap();
        let again = start(hub.database.url(), copy.path(), &[]).await.unwrap();
        assert_eq!(status_of(hub, &id).await, Some(CallStatus::Failed));
        assert!(again.recovered_calls >= 1);
        again.hub.shutdown(Duration::from_secs(5)).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn watcher_hears_of_each_change_after_its_commit_and_its_end_is_recorded() {
    use futures::StreamExt as _;
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        let id = RequestId::random();
        let mut call = request(
            Some(&hub.admin_key),
            "task.watch",
            json!({ "projectId": project }),
        );
        call.expected = Expected::Subscription;
        let mut watching = hub.hub.subscribe(with_id(call, id.clone())).await.unwrap();
        // The first poll begins the listening; nothing is there yet.
        let nothing = tokio::time::timeout(Duration::from_millis(100), watching.items.next()).await;
        assert!(nothing.is_err());
        let task = hub
            .ok("task.create", json!({ "projectId": project, "name": "t" }))
            .await;
        let moved = json!({ "id": task["id"], "status": "in-progress" });
        hub.ok("task.updateStatus", moved).await;
        for (change, status) in [("created", "in-progress"), ("statusChanged", "in-progress")] {
            let item = watching.items.next().await.unwrap().unwrap().data;
            assert_eq!(item["change"], change);
            assert_eq!(item["taskId"], task["id"]);
            // The row is read when the item is asked for, so it is the newest state.
            assert_eq!(item["task"]["status"], status);
        }
        assert_eq!(status_of(hub, &id).await, Some(CallStatus::Running));
        drop(watching);
        for _ in 0..100 {
            if status_of(hub, &id).await == Some(CallStatus::Aborted) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the end of the subscription was not recorded");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn case_068_subscription_ends_when_its_key_is_revoked() {
    use futures::StreamExt as _;
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        let made = hub
            .ok("key.create", json!({ "name": "k", "scopes": ["*"] }))
            .await;
        let key = made["key"].as_str().unwrap();
        let mut call = request(Some(key), "task.watch", json!({ "projectId": project }));
        call.expected = Expected::Subscription;
        let mut watching = hub.hub.subscribe(call).await.unwrap();
        hub.ok("key.revoke", json!({ "id": made["apiKey"]["id"] }))
            .await;
        let ended = tokio::time::timeout(Duration::from_secs(10), watching.items.next()).await;
        let error = ended.expect("an end").expect("an item").unwrap_err();
        assert_eq!(error.code, ErrorCode::ACCESS_DENIED);
        assert!(watching.items.next().await.is_none());
    })
    .await;
}
