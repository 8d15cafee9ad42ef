//! Numbers, alike on both engines.

use std::sync::Mutex;

use alkhub_operations::ErrorCode;
use alkhub_storage::calls::NewCall;
use alkhub_storage::enums::CallStatus;
use alkhub_storage::ids::{CallGraphNodeId, OperationId};
use alkhub_storage::{spokes, time};
use chrono::TimeDelta;
use proptest::collection::vec;
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Row, ids, record, write};
use crate::support::{TestHub, each_hub, rule};

const OPERATIONS: [&str; 3] = ["hub.info", "task.create", "project.list"];

async fn operation_ids(hub: &TestHub) -> Vec<OperationId> {
    let mut found = Vec::new();
    for name in OPERATIONS {
        let (namespace, name) = name.split_once('.').unwrap();
        let row = spokes::operation_by_name(hub.database.reader(), namespace, name).await;
        found.push(row.unwrap().unwrap().id);
    }
    found
}

/// One call of a history: numbers from which everything else follows.
type Plan = (usize, usize, u8, u16, u16, u16);

/// The same calls on every engine, their ids included.
fn history(plans: &[Plan], operations: &[OperationId], name: u128) -> Vec<NewCall> {
    let start = time::parse("2026-11-20T00:00:00Z").unwrap();
    let id = |place: usize| Uuid::from_u128((name << 64) | (place as u128 + 1)).to_string();
    plans
        .iter()
        .enumerate()
        .map(|(place, (operation, parent, status, minute, queue, run))| {
            let mut call = Row::ended("hub.info").call;
            call.id = CallGraphNodeId::from(format!("row-{}", id(place)));
            call.request_id = id(place);
            call.operation_id = operations[operation % operations.len()].clone();
            // Every third is a root; the others hang below an earlier one.
            call.parent_request_id = (place > 0 && parent % 3 > 0).then(|| id(parent % place));
            call.caller_account_id = Some(["ada", "bob"][parent % 2].into());
            call.created_at = start + TimeDelta::minutes(i64::from(*minute) % 3_000);
            call.status = [
                CallStatus::Completed,
                CallStatus::Completed,
                CallStatus::Failed,
                CallStatus::Aborted,
                CallStatus::Running,
                CallStatus::Pending,
            ][usize::from(status % 6)];
            let started = call.created_at + TimeDelta::milliseconds(i64::from(*queue));
            let open = matches!(call.status, CallStatus::Running | CallStatus::Pending);
            call.started_at = (call.status != CallStatus::Pending).then_some(started);
            call.completed_at =
                (!open).then_some(started + TimeDelta::milliseconds(i64::from(*run)));
            if call.status == CallStatus::Failed {
                let code = ["TIMEOUT", "NO_PROVIDER"][run.rem_euclid(2) as usize];
                call.error = Some(json!({ "code": code, "message": "m" }));
            }
            if status % 2 == 0 {
                call.metadata
                    .insert("spokeId".to_owned(), json!(format!("s{}", operation % 2)));
            }
            call
        })
        .collect()
}

fn histories(cases: usize, calls: usize) -> Vec<Vec<Plan>> {
    let plan = (
        0_usize..3,
        0_usize..1_000,
        0_u8..6,
        0_u16..3_000,
        0_u16..500,
        0_u16..5_000,
    );
    let mut runner = TestRunner::deterministic();
    let histories = vec(plan, calls..=calls);
    (0..cases)
        .map(|_| histories.new_tree(&mut runner).unwrap().current())
        .collect()
}

/// What differs from run to run: ages, and when a row was written.
fn steady(mut value: Value) -> Value {
    match &mut value {
        Value::Object(fields) => {
            for gone in ["ageMs", "updatedAt", "nextCursor"] {
                fields.remove(gone);
            }
            // Open calls run up to now.
            if fields.get("live") == Some(&json!(true)) || fields.contains_key("selfMs") {
                fields.remove("runMs");
                fields.remove("selfMs");
            }
            for field in fields.values_mut() {
                *field = steady(field.take());
            }
        }
        Value::Array(items) => items
            .iter_mut()
            .for_each(|item| *item = steady(item.take())),
        _ => {}
    }
    value
}

#[tokio::test(flavor = "multi_thread")]
async fn both_engines_answer_alike_for_the_same_random_history() {
    let histories = histories(3, 60);
    let answers: Mutex<Vec<Vec<(String, Value)>>> = Mutex::default();
    each_hub(async |hub| {
        let operations = operation_ids(hub).await;
        let mut all = Vec::new();
        for (number, plans) in histories.iter().enumerate() {
            let calls = history(plans, &operations, number as u128 + 1);
            write(&hub.database, &calls).await;
            all.extend(calls);
        }
        let period = json!({ "from": "2026-11-19T00:00:00Z", "to": "2026-11-23T00:00:00Z" });
        let with = |more: Value| {
            let mut input = period.clone();
            input
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            input
        };
        let mut asked = vec![
            ("call.list", with(json!({ "limit": 500 }))),
            (
                "call.list",
                with(json!({ "limit": 500, "operation": "task.create" })),
            ),
            (
                "call.list",
                with(json!({ "limit": 500, "accountId": "ada", "minMs": 2_000 })),
            ),
            (
                "call.list",
                with(json!({ "limit": 500, "errorCode": "TIMEOUT", "rootOnly": true })),
            ),
            ("call.stuck", json!({ "olderThanMs": 1_000, "limit": 500 })),
            ("call.slowest", with(json!({ "n": 30 }))),
            (
                "call.slowest",
                with(json!({ "n": 30, "operation": "hub.info" })),
            ),
            ("call.errors", period.clone()),
            ("call.errors", with(json!({ "operation": "hub.info" }))),
        ];
        for group in ["operation", "caller", "provider", "status"] {
            for bucket in [None, Some("1m"), Some("1h"), Some("1d")] {
                let mut more = json!({ "groupBy": group });
                if let Some(bucket) = bucket {
                    more["bucket"] = json!(bucket);
                }
                asked.push(("call.stats", with(more)));
            }
        }
        for call in all.iter().step_by(7) {
            let one = json!({ "requestId": call.request_id });
            let whole = json!({ "requestId": call.request_id, "fromRoot": true });
            for operation in ["call.get", "call.ancestors", "call.abortReport"] {
                asked.push((operation, one.clone()));
            }
            for operation in [
                "call.tree",
                "call.descendants",
                "call.waterfall",
                "call.export",
            ] {
                asked.push((operation, whole.clone()));
            }
        }
        let mut told = Vec::new();
        for (operation, input) in asked {
            let answer = hub.ok(operation, input.clone()).await;
            told.push((format!("{operation} {input}"), steady(answer)));
        }
        answers.lock().unwrap().push(told);
    })
    .await;
    let answers = answers.into_inner().unwrap();
    for (one, other) in answers[0].iter().zip(&answers[1]) {
        assert_eq!(one, other);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn case_p24_statistics_of_ten_thousand_calls_are_equal_on_both_engines() {
    let plans = histories(1, 10_000).remove(0);
    let answers: Mutex<Vec<Value>> = Mutex::default();
    each_hub(async |hub| {
        let operations = operation_ids(hub).await;
        write(&hub.database, &history(&plans, &operations, 9)).await;
        let mut told = Vec::new();
        for group in ["operation", "caller", "provider", "status"] {
            for bucket in ["1m", "1h", "1d"] {
                let input = json!({
                    "from": "2026-11-19T00:00:00Z", "to": "2026-11-23T00:00:00Z",
                    "groupBy": group, "bucket": bucket,
                });
                told.push(hub.ok("call.stats", input).await);
            }
        }
        answers.lock().unwrap().push(json!(told));
    })
    .await;
    let answers = answers.into_inner().unwrap();
    assert!(answers[0][0]["items"].as_array().unwrap().len() > 1_000);
    assert_eq!(answers[0], answers[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_are_those_of_the_calls_one_may_see() {
    each_hub(async |hub| {
        use alkhub_storage::enums::AccessLevel;
        let user = hub.account("user@example.org", AccessLevel::User).await;
        let key = hub.key(&user, &["call:read"]).await;
        let own = Row::failed("task.create", "TIMEOUT").by(&user);
        let foreign = Row::failed("task.create", "NO_PROVIDER");
        record(&hub.database, &[own.clone(), foreign]).await;
        let of = json!({ "operation": "task.create" });
        let stats = hub.call(&key, "call.stats", of.clone()).await.unwrap();
        assert_eq!(
            (&stats["items"][0]["count"], &stats["items"][0]["p50Ms"]),
            (&json!(1), &json!(100))
        );
        let errors = hub.call(&key, "call.errors", of.clone()).await.unwrap();
        assert_eq!(errors["items"], json!([{ "code": "TIMEOUT", "count": 1 }]));
        let slowest = hub.call(&key, "call.slowest", of.clone()).await.unwrap();
        assert_eq!(ids(&slowest), [own.id]);
        let all = hub.ok("call.errors", of).await;
        assert_eq!(all["items"].as_array().unwrap().len(), 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_period_that_is_too_wide_or_ends_before_it_begins_is_refused() {
    each_hub(async |hub| {
        let input =
            json!({ "from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z", "bucket": "1m" });
        let wide = hub.err("call.stats", input).await;
        assert_eq!(
            (wide.code.clone(), rule(&wide)),
            (ErrorCode::UNPROCESSABLE, "range_too_wide".to_owned())
        );
        let input = json!({ "from": "2026-02-01T00:00:00Z", "to": "2026-01-01T00:00:00Z" });
        for operation in ["call.stats", "call.slowest", "call.errors"] {
            let error = hub.err(operation, input.clone()).await;
            assert_eq!(error.code, ErrorCode::VALIDATION_ERROR, "{operation}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_stuck_when_it_takes_much_longer_than_its_operation_does() {
    each_hub(async |hub| {
        let now = time::now();
        let ago = |seconds: i64| now - TimeDelta::seconds(seconds);
        // Its operation takes a minute, so two are nothing unusual.
        let usual = Row::ended("task.list").at(ago(600), 0, 60_000);
        let patient = Row::running("task.list").at(ago(120), 0, 0);
        let stuck = Row::running("task.get").at(ago(120), 0, 0);
        let young = Row::running("task.get").at(ago(10), 0, 0);
        record(
            &hub.database,
            &[usual, patient.clone(), stuck.clone(), young.clone()],
        )
        .await;
        assert_eq!(
            ids(&hub.ok("call.stuck", json!({})).await),
            std::slice::from_ref(&stuck.id)
        );
        let all = hub.ok("call.stuck", json!({ "olderThanMs": 5_000 })).await;
        assert_eq!(all["items"].as_array().unwrap().len(), 3);
        let running = hub
            .ok("call.running", json!({ "operation": "task.get" }))
            .await;
        assert_eq!(ids(&running), [young.id, stuck.id]);
    })
    .await;
}
