//! Recorded calls: batches, trees, lists, statistics, retention.

use alkhub_storage::calls::{
    self, CallEnd, CallFilter, Inserted, NewCall, NewEdge, PruneRequest, Running, StatsBucket,
    StatsGroup, StatsRequest,
};
use alkhub_storage::enums::{CallStatus, EdgeType};
use alkhub_storage::ids::{CallGraphNodeId, OperationId};
use alkhub_storage::time::DateTimeUtc;
use alkhub_storage::{Database, PageRequest, Scope, StorageError, time};
use chrono::TimeDelta;
use serde_json::{Map, Value, json};

use crate::sql::count;
use crate::support::on_each_engine;
use crate::world::operations;

pub(crate) fn new(operation: &OperationId, request: &str, parent: Option<&str>) -> NewCall {
    NewCall {
        id: CallGraphNodeId::random(),
        request_id: request.to_owned(),
        operation_id: operation.clone(),
        parent_request_id: parent.map(str::to_owned),
        identity: Some(json!({"id": "a", "scopes": ["*"]})),
        caller_account_id: Some("ada".into()),
        status: CallStatus::Pending,
        input: Some(json!({"text": "it's \"ünïcode\"", "n": [1, 2.5, null]})),
        output: None,
        error: None,
        started_at: None,
        completed_at: None,
        created_at: time::now(),
        metadata: Map::new(),
    }
}

fn end(request: &str, status: CallStatus, at: DateTimeUtc) -> CallEnd {
    CallEnd {
        request_id: request.to_owned(),
        status,
        output: Some(json!(null)),
        error: None,
        completed_at: at,
        metadata: Map::new(),
    }
}

async fn insert(db: &Database, calls: &[NewCall]) -> Vec<Inserted> {
    let transaction = db.begin().await.unwrap();
    let outcome = calls::insert_calls(&transaction, calls).await.unwrap();
    transaction.commit().await.unwrap();
    outcome
}

async fn operation(db: &Database) -> OperationId {
    operations(db, "test", &["call"]).await.remove(0).id
}

#[tokio::test]
async fn a_batch_is_written_once_and_a_repetition_is_told() {
    on_each_engine(async |db| {
        let operation = operation(&db).await;
        let mut first = new(&operation, "r1", None);
        first.metadata = json!({"hub": {"id": "h", "start": 1}})
            .as_object()
            .unwrap()
            .clone();
        let batch = vec![first.clone(), new(&operation, "r2", Some("r1"))];
        assert_eq!(insert(&db, &batch).await, [Inserted::New, Inserted::New]);
        // The answer to the commit was lost: the same rows again are our own.
        assert_eq!(insert(&db, &batch).await, [Inserted::New, Inserted::New]);
        let other = new(&operation, "r1", None);
        let third = new(&operation, "r3", Some("nowhere"));
        assert_eq!(
            insert(&db, &[other, third]).await,
            [Inserted::Existing, Inserted::New]
        );
        let stored = calls::recorded_call(db.reader(), "r1")
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            (&stored.id, stored.status),
            (&first.id, CallStatus::Pending)
        );
        assert_eq!(stored.input, first.input);
        assert_eq!(stored.identity.unwrap().scopes, ["*"]);
        assert_eq!(stored.created_at, first.created_at);
        assert_eq!(stored.metadata["hub"], json!({"id": "h", "start": 1}));
        assert_eq!((stored.output, stored.completed_at), (None, None));
        assert_eq!(count(&db, "call_graph_edges", "1 = 1").await, 1);
        assert!(insert(&db, &[]).await.is_empty());
        let orphan = new(&"none".into(), "r4", None);
        let transaction = db.begin().await.unwrap();
        let refused = calls::insert_calls(&transaction, &[orphan]).await;
        transaction.rollback().await.unwrap();
        assert!(
            matches!(refused, Err(StorageError::ForeignKey { .. })),
            "{refused:?}"
        );
        let locked = calls::lock_operations(db.writer(), &[operation.clone(), "none".into()]).await;
        assert_eq!(locked.unwrap().into_iter().collect::<Vec<_>>(), [operation]);
    })
    .await;
}

#[tokio::test]
async fn the_first_end_of_a_call_is_its_end() {
    on_each_engine(async |db| {
        let operation = operation(&db).await;
        let mut noted = new(&operation, "r1", None);
        noted.metadata = json!({"keep": 1, "replace": {"a": 1}})
            .as_object()
            .unwrap()
            .clone();
        insert(
            &db,
            &[
                noted,
                new(&operation, "r2", None),
                new(&operation, "r3", None),
            ],
        )
        .await;
        let at = time::now();
        let run = |request: &str| Running {
            request_id: request.to_owned(),
            started_at: at,
        };
        let writer = db.writer();
        let running = calls::mark_running(writer, &[run("r1"), run("none"), run("r2")]).await;
        assert_eq!(running.unwrap(), [true, false, true]);
        let again = calls::mark_running(writer, &[run("r1")]).await.unwrap();
        assert_eq!(again, [false]);
        let mut noted = end("r1", CallStatus::Completed, at);
        noted.output = Some(json!({"a": [true, "x"]}));
        let patch = json!({"replace": {"b": null}, "late": true, "text": "1", "number": 1.5});
        noted.metadata = patch.as_object().unwrap().clone();
        let mut failed = end("r2", CallStatus::Failed, at);
        failed.output = None;
        failed.error = Some(json!({"code": "TIMEOUT", "message": "too late"}));
        let ended = calls::finish_calls(writer, &[noted, failed]).await.unwrap();
        assert_eq!(ended, [true, true]);
        let late = [
            end("r1", CallStatus::Aborted, at),
            end("r3", CallStatus::Completed, at),
        ];
        assert_eq!(
            calls::finish_calls(writer, &late).await.unwrap(),
            [false, true]
        );
        let stored = calls::recorded_call(writer, "r1").await.unwrap().unwrap();
        assert_eq!(
            (stored.status, stored.completed_at),
            (CallStatus::Completed, Some(at))
        );
        assert_eq!(stored.output, Some(json!({"a": [true, "x"]})));
        assert_eq!(
            Value::Object(stored.metadata.0),
            json!({"keep": 1, "replace": {"b": null}, "late": true, "text": "1", "number": 1.5})
        );
        let failed = calls::recorded_call(writer, "r2").await.unwrap().unwrap();
        assert_eq!(failed.error.unwrap().code, "TIMEOUT");
        assert_eq!(failed.output, None);
        let answered = calls::recorded_call(writer, "r3").await.unwrap().unwrap();
        assert_eq!(
            answered.output,
            Some(Value::Null),
            "an answer of null is an answer"
        );
        assert_eq!(answered.started_at, None);
        let patch = json!({"items": 3}).as_object().unwrap().clone();
        let patched = [("r1".to_owned(), patch.clone()), ("none".to_owned(), patch)];
        assert_eq!(calls::patch_calls(writer, &patched).await.unwrap(), 1);
        let stored = calls::recorded_call(writer, "r1").await.unwrap().unwrap();
        assert_eq!(
            (&stored.metadata["items"], &stored.metadata["keep"]),
            (&json!(3), &json!(1))
        );
    })
    .await;
}

/// r1 calls r2 and r3, r3 calls r4; r5 waited for r2.
async fn tree(db: &Database, operation: &OperationId) {
    let mut created_at = time::now() - TimeDelta::hours(1);
    let calls: Vec<NewCall> = [
        ("r1", None),
        ("r2", Some("r1")),
        ("r3", Some("r1")),
        ("r4", Some("r3")),
        ("r5", None),
    ]
    .into_iter()
    .map(|(request, parent)| {
        created_at += TimeDelta::seconds(1);
        NewCall {
            created_at,
            ..new(operation, request, parent)
        }
    })
    .collect();
    insert(db, &calls).await;
    let edge = NewEdge {
        source_request_id: "r2".to_owned(),
        target_request_id: "r5".to_owned(),
        edge_type: EdgeType::DependsOn,
        created_at,
    };
    let gone = NewEdge {
        source_request_id: "none".to_owned(),
        ..edge.clone()
    };
    let edges = [edge, gone];
    assert_eq!(calls::insert_edges(db.writer(), &edges).await.unwrap(), 1);
    assert_eq!(calls::insert_edges(db.writer(), &edges).await.unwrap(), 0);
}

#[tokio::test]
async fn a_tree_is_read_down_and_up() {
    on_each_engine(async |db| {
        let operation = operation(&db).await;
        tree(&db, &operation).await;
        let read = async |depth, limit| {
            calls::call_tree(db.reader(), &Scope::All, "r1", depth, limit)
                .await
                .unwrap()
        };
        let whole = read(100, 500).await;
        let found: Vec<(&str, u32)> = whole
            .nodes
            .iter()
            .map(|node| (node.node.request_id.as_str(), node.depth))
            .collect();
        assert_eq!(found, [("r1", 0), ("r2", 1), ("r3", 1), ("r4", 2)]);
        assert_eq!((whole.edges.len(), whole.truncated), (3, false));
        assert_eq!(read(1, 500).await.nodes.len(), 3);
        let cut = read(100, 2).await;
        assert_eq!(
            (cut.nodes.len(), cut.edges.len(), cut.truncated),
            (2, 1, true)
        );
        let stranger = Scope::account("eve".into());
        let hidden = calls::call_tree(db.reader(), &stranger, "r1", 100, 500)
            .await
            .unwrap();
        assert_eq!(hidden.nodes.len(), 4, "the tree keeps its shape");
        assert!(hidden.nodes.iter().all(|node| !node.visible));
        let own = Scope::account("ada".into());
        assert!(
            calls::call_by_request_id(db.reader(), &own, "r4")
                .await
                .unwrap()
                .is_some()
        );
        assert!(
            calls::call_by_request_id(db.reader(), &stranger, "r4")
                .await
                .unwrap()
                .is_none()
        );
        let up = calls::call_ancestors(db.reader(), &Scope::All, "r4")
            .await
            .unwrap();
        let up: Vec<&str> = up.iter().map(|up| up.node.request_id.as_str()).collect();
        assert_eq!(up, ["r3", "r1"]);
        let second = &whole.nodes[1].node.id;
        let from = async |kind| {
            calls::edges_from(db.reader(), second, kind)
                .await
                .unwrap()
                .len()
        };
        assert_eq!(
            (from(None).await, from(Some(EdgeType::Triggered)).await),
            (1, 0)
        );
        let into = calls::edges_into(db.reader(), second, None).await.unwrap();
        assert_eq!(into[0].source_id, whole.nodes[0].node.id);
        let by_id = calls::call_by_id(db.reader(), &Scope::All, second)
            .await
            .unwrap();
        assert_eq!(by_id.map(|node| node.request_id).as_deref(), Some("r2"));
    })
    .await;
}

/// 20 ended calls, one a minute, of 10 to 200 ms, every fifth failed, and one that is open.
async fn history(db: &Database, operation: &OperationId) -> DateTimeUtc {
    let origin = time::parse("2026-11-24T10:00:00.000Z").unwrap();
    let mut calls: Vec<NewCall> = (0..20_i64)
        .map(|n| {
            let created_at = origin + TimeDelta::minutes(n);
            let started = created_at + TimeDelta::milliseconds(4);
            let mut call = new(operation, &format!("c{n:02}"), None);
            call.created_at = created_at;
            call.started_at = Some(started);
            call.completed_at = Some(started + TimeDelta::milliseconds(10 * (n + 1)));
            call.status = CallStatus::Completed;
            call.metadata
                .insert("spokeId".to_owned(), json!(format!("s{}", n % 2)));
            if n % 5 == 0 {
                call.status = CallStatus::Failed;
                let code = if n == 0 { "OTHER" } else { "TIMEOUT" };
                call.error = Some(json!({"code": code, "message": "m"}));
            }
            call
        })
        .collect();
    let mut open = new(operation, "open", None);
    open.created_at = origin + TimeDelta::minutes(20);
    open.started_at = Some(open.created_at);
    open.status = CallStatus::Running;
    open.metadata.insert("hub".to_owned(), json!({"id": "h1"}));
    calls.push(open);
    insert(db, &calls).await;
    origin
}

#[tokio::test]
async fn calls_are_listed_by_every_filter() {
    on_each_engine(async |db| {
        let operation = operation(&db).await;
        let origin = history(&db, &operation).await;
        let listed = async |filter: CallFilter| {
            let mut request = PageRequest::first(7);
            let mut seen = Vec::new();
            loop {
                let page = calls::calls(db.reader(), &Scope::All, &filter, &request)
                    .await
                    .unwrap();
                assert!(page.items.iter().all(|call| call.input.is_none()));
                seen.extend(page.items.into_iter().map(|call| call.request_id));
                match page.next_cursor {
                    Some(next) => request = request.after(Some(next)),
                    None => return seen,
                }
            }
        };
        let all = listed(CallFilter::default()).await;
        assert_eq!(
            (all.len(), all[0].as_str(), all[20].as_str()),
            (21, "open", "c00")
        );
        let base = CallFilter::default;
        for (filter, number) in [
            (
                CallFilter {
                    operation: Some(operation.clone()),
                    ..base()
                },
                21,
            ),
            (
                CallFilter {
                    namespace: Some("test".to_owned()),
                    ..base()
                },
                21,
            ),
            (
                CallFilter {
                    namespace: Some("other".to_owned()),
                    ..base()
                },
                0,
            ),
            (
                CallFilter {
                    account: Some("eve".into()),
                    ..base()
                },
                0,
            ),
            (
                CallFilter {
                    status: vec![CallStatus::Failed],
                    ..base()
                },
                4,
            ),
            (
                CallFilter {
                    status: vec![CallStatus::Failed, CallStatus::Running],
                    ..base()
                },
                5,
            ),
            (
                CallFilter {
                    spoke: Some("s1".into()),
                    ..base()
                },
                10,
            ),
            (
                CallFilter {
                    min_ms: Some(200),
                    ..base()
                },
                1,
            ),
            (
                CallFilter {
                    min_ms: Some(201),
                    ..base()
                },
                0,
            ),
            (
                CallFilter {
                    error_code: Some("TIMEOUT".to_owned()),
                    ..base()
                },
                3,
            ),
            (
                CallFilter {
                    root_only: true,
                    ..base()
                },
                21,
            ),
            (
                CallFilter {
                    from: Some(origin + TimeDelta::minutes(5)),
                    to: Some(origin + TimeDelta::minutes(7)),
                    ..base()
                },
                2,
            ),
        ] {
            assert_eq!(listed(filter.clone()).await.len(), number, "{filter:?}");
        }
        let stuck = calls::stuck_calls(db.reader(), &Scope::All, time::now(), 10)
            .await
            .unwrap();
        assert_eq!(stuck.len(), 1);
        let live = async |owner| {
            calls::live_calls(db.reader(), owner, 10)
                .await
                .unwrap()
                .len()
        };
        assert_eq!(
            (
                live(None).await,
                live(Some("h1")).await,
                live(Some("h2")).await
            ),
            (1, 1, 0)
        );
    })
    .await;
}

#[tokio::test]
async fn percentiles_are_the_nearest_rank() {
    on_each_engine(async |db| {
        let operation = operation(&db).await;
        let origin = history(&db, &operation).await;
        let whole = StatsRequest {
            from: origin,
            to: origin + TimeDelta::days(1),
            bucket: None,
            group: None,
            operation: None,
        };
        let stats = calls::call_stats(db.reader(), &Scope::All, &whole)
            .await
            .unwrap();
        let all = &stats[0];
        assert_eq!((stats.len(), all.count, all.errors), (1, 21, 4));
        assert_eq!(
            (all.p50, all.p95, all.p99, all.max),
            (Some(100), Some(190), Some(200), Some(200))
        );
        assert!(
            (all.mean_queue.unwrap() - 80.0 / 21.0).abs() < 1e-9,
            "{all:?}"
        );
        let by_status = StatsRequest {
            group: Some(StatsGroup::Status),
            ..whole.clone()
        };
        let by_status = calls::call_stats(db.reader(), &Scope::All, &by_status)
            .await
            .unwrap();
        let found: Vec<(Option<&str>, i64, Option<i64>)> = by_status
            .iter()
            .map(|row| (row.key.as_deref(), row.count, row.p50))
            .collect();
        assert_eq!(
            found,
            [
                (Some("completed"), 16, Some(100)),
                (Some("failed"), 4, Some(60)),
                (Some("running"), 1, None),
            ]
        );
        let hours = StatsRequest {
            bucket: Some(StatsBucket::Minute),
            group: Some(StatsGroup::Provider),
            operation: Some(operation.clone()),
            ..whole.clone()
        };
        let hours = calls::call_stats(db.reader(), &Scope::All, &hours)
            .await
            .unwrap();
        assert_eq!(hours.len(), 21);
        assert_eq!(
            hours[1].bucket_ms,
            (origin + TimeDelta::minutes(1)).timestamp_millis()
        );
        assert_eq!(
            (hours[1].key.as_deref(), hours[20].key.as_deref()),
            (Some("s1"), None)
        );
        let wide = StatsRequest {
            to: origin + TimeDelta::days(8),
            bucket: Some(StatsBucket::Minute),
            ..whole
        };
        let refused = calls::call_stats(db.reader(), &Scope::All, &wide).await;
        assert!(matches!(&refused, Err(StorageError::Rule { name }) if name == "range_too_wide"));

        let to = origin + TimeDelta::days(1);
        for of in [None, Some(&operation)] {
            let slow = calls::slowest_calls(db.reader(), &Scope::All, of, origin, to, 2)
                .await
                .unwrap();
            let slow: Vec<(&str, u64)> = slow
                .iter()
                .map(|(call, ms)| (call.request_id.as_str(), *ms))
                .collect();
            assert_eq!(slow, [("c19", 200), ("c18", 190)]);
            let codes = calls::errors_by_code(db.reader(), &Scope::All, of, origin, to, 9)
                .await
                .unwrap();
            assert_eq!(codes, [("TIMEOUT".to_owned(), 3), ("OTHER".to_owned(), 1)]);
            assert_eq!(
                calls::count_calls(db.reader(), &Scope::All, of, origin, to)
                    .await
                    .unwrap(),
                21
            );
        }
        let counts = calls::calls_of_operation_count(db.reader(), &operation)
            .await
            .unwrap();
        assert_eq!(counts, (1, 21));
        let by_status = calls::count_calls_by_status(db.reader()).await.unwrap();
        assert_eq!(by_status.iter().map(|(_, number)| number).sum::<u64>(), 21);
    })
    .await;
}

#[tokio::test]
async fn trees_that_are_over_go_leaves_first() {
    on_each_engine(async |db| {
        let operation = operation(&db).await;
        tree(&db, &operation).await;
        let prune = async |failed_older_than, after, limit| {
            let transaction = db.begin().await.unwrap();
            let request = PruneRequest {
                older_than: time::now() + TimeDelta::seconds(1),
                failed_older_than,
                after,
                limit,
                enough: None,
            };
            let pruned = calls::prune_calls(&transaction, &request).await.unwrap();
            transaction.commit().await.unwrap();
            pruned
        };
        let soon = Some(time::now() + TimeDelta::seconds(1));
        let none = prune(soon, None, 1_000).await;
        assert_eq!((none.trees, none.nodes), (0, 0), "open calls stay");
        let at = time::now();
        let ends: Vec<CallEnd> = ["r1", "r2", "r3", "r5"]
            .map(|request| end(request, CallStatus::Completed, at))
            .into_iter()
            .chain([end("r4", CallStatus::Failed, at)])
            .collect();
        calls::finish_calls(db.writer(), &ends).await.unwrap();
        let kept = prune(None, None, 1_000).await;
        assert_eq!(
            (kept.trees, kept.nodes),
            (1, 1),
            "a tree with a failure stays, another goes"
        );
        let part = prune(soon, None, 2).await;
        assert_eq!((part.trees, part.nodes), (0, 2));
        assert!(
            calls::recorded_call(db.reader(), "r4")
                .await
                .unwrap()
                .is_none()
        );
        assert!(
            calls::recorded_call(db.reader(), "r1")
                .await
                .unwrap()
                .is_some()
        );
        let rest = prune(soon, part.next, 1_000).await;
        assert_eq!((rest.trees, rest.nodes, rest.next), (1, 2, None));
        assert_eq!(count(&db, "call_graph_nodes", "1 = 1").await, 0);
        assert_eq!(count(&db, "call_graph_edges", "1 = 1").await, 0);
    })
    .await;
}
