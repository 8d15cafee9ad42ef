//! Trees, waterfalls and numbers.

use alkhub_callgraph::view::{AbortOutcome, Cut, call_tree, operation_stats, waterfall};
use alkhub_callgraph::{CallErrorInfo, CallGraph, CallNode, CallStatus};
use alkhub_operations::ErrorCode;
use serde_json::{Value, json};

use crate::{at, graph, id, node, op};

/// A finished call: requested, started, ended.
fn done(call: &str, requested: i64, started: i64, ended: i64) -> CallNode {
    let mut call = node(call, requested);
    call.status = CallStatus::Completed;
    call.started_at = Some(at(started));
    call.completed_at = Some(at(ended));
    call
}

fn of(calls: impl IntoIterator<Item = CallNode>) -> CallGraph {
    let mut graph = CallGraph::new();
    for call in calls {
        graph.add_call(call).unwrap();
    }
    graph
}

fn tree_text(graph: &CallGraph, cut: Cut) -> String {
    let tree = call_tree(graph, &id("a"), cut, |_| true).unwrap();
    let mut rows: Vec<String> = tree
        .nodes
        .iter()
        .map(|row| {
            let name = row.request_id.as_ref().unwrap();
            format!(
                "{}{name}{}",
                "-".repeat(row.depth),
                if row.more { "+" } else { "" }
            )
        })
        .collect();
    if tree.more {
        rows.push("…".to_owned());
    }
    rows.join(" ")
}

#[test]
fn a_tree_is_told_in_pre_order() {
    let graph = graph(&["a", "b<a", "c<a", "d<b", "e<b", "f<d"]);
    assert_eq!(tree_text(&graph, Cut::default()), "a -b --d ---f --e -c");
    assert!(call_tree(&graph, &id("z"), Cut::default(), |_| true).is_none());
}

#[test]
fn case_p23_a_tree_is_cut_from_below() {
    let graph = graph(&["a", "b<a", "c<a", "d<b", "e<b", "f<d"]);
    let cut = |depth, limit| tree_text(&graph, Cut { depth, limit });
    assert_eq!(cut(2, 500), "a -b --d+ --e -c …");
    assert_eq!(cut(100, 4), "a -b+ --d+ -c …");
    assert_eq!(cut(100, 2), "a+ -b+ …");
    assert_eq!(cut(0, 500), "a+ …");
    assert_eq!(cut(100, 6), "a -b --d ---f --e -c");
}

#[test]
fn case_p23_a_chain_deeper_than_the_cut_says_so() {
    let mut calls = vec![node("c0", 0)];
    calls.extend((1..=120).map(|number| node(&format!("c{number}<c{}", number - 1), number)));
    let tree = call_tree(&of(calls), &id("c0"), Cut::default(), |_| true).unwrap();
    assert_eq!((tree.nodes.len(), tree.more), (101, true));
    assert!(tree.nodes[100].more && !tree.nodes[99].more);
}

#[test]
fn a_hidden_call_keeps_its_place_and_its_times() {
    let mut failed = done("b<a", 1, 2, 3);
    failed.status = CallStatus::Failed;
    failed.error = Some(CallErrorInfo::new(ErrorCode::TIMEOUT, "late"));
    let graph = of([done("a", 0, 1, 9), failed, done("c<b", 2, 2, 3)]);
    let tree = call_tree(&graph, &id("a"), Cut::default(), |call| {
        call.request_id != id("b")
    })
    .unwrap();
    let time = |second| at(second).to_string();
    assert_eq!(
        json!(tree),
        json!({
            "more": false,
            "nodes": [
                { "depth": 0, "requestId": "a", "operationId": "test.run", "status": "completed",
                  "requestedAt": time(0), "startedAt": time(1), "completedAt": time(9) },
                { "depth": 1, "hidden": true, "status": "failed",
                  "requestedAt": time(1), "startedAt": time(2), "completedAt": time(3) },
                { "depth": 2, "requestId": "c", "operationId": "test.run", "status": "completed",
                  "requestedAt": time(2), "startedAt": time(2), "completedAt": time(3) },
            ],
        })
    );
    let seen = json!(call_tree(&graph, &id("a"), Cut::default(), |_| true));
    assert_eq!(seen["nodes"][1]["errorCode"], "TIMEOUT");
    assert_eq!(seen["nodes"][2]["parentRequestId"], "b");
}

#[test]
fn a_waterfall_tells_where_the_time_went() {
    let mut open = node("d<a", 6);
    open.status = CallStatus::Running;
    open.started_at = Some(at(7));
    let graph = of([
        done("a", 0, 1, 10),
        done("b<a", 1, 2, 5),
        done("c<a", 3, 4, 8),
        open,
        node("e<a", 8),
    ]);
    let rows = waterfall(&graph, &id("a"), Cut::default(), at(20), |_| true)
        .unwrap()
        .rows;
    let told: Vec<_> = rows
        .iter()
        .map(|row| {
            let name = row.request_id.as_ref().unwrap().as_str();
            (
                name,
                row.offset_ms.unwrap(),
                row.queue_ms,
                row.run_ms,
                row.self_ms,
                row.live,
                row.critical,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            // b, c and d cover 2 to 10.
            (
                "a",
                1_000,
                Some(1_000),
                Some(9_000),
                Some(1_000),
                false,
                true
            ),
            (
                "b",
                2_000,
                Some(1_000),
                Some(3_000),
                Some(3_000),
                false,
                false
            ),
            (
                "c",
                4_000,
                Some(1_000),
                Some(4_000),
                Some(4_000),
                false,
                true
            ),
            (
                "d",
                7_000,
                Some(1_000),
                Some(13_000),
                Some(13_000),
                true,
                false
            ),
            ("e", 8_000, None, None, None, true, false),
        ]
    );
}

#[test]
fn a_waterfall_tells_attempts_and_aborts() {
    let with = |call: &str, status, metadata: Value| {
        let mut call = node(call, 1);
        call.status = status;
        call.metadata = metadata.as_object().unwrap().clone();
        call
    };
    let graph = of([
        node("a", 0),
        with(
            "b<a",
            CallStatus::Aborted,
            json!({ "abort": { "by": "parent", "confirmed": true } }),
        ),
        with(
            "c<a",
            CallStatus::Aborted,
            json!({ "abort": { "confirmed": false } }),
        ),
        with(
            "d<a",
            CallStatus::Aborted,
            json!({ "abort": { "confirmed": false, "unreachable": true } }),
        ),
        with(
            "e<a",
            CallStatus::Running,
            json!({ "detachedFrom": "a", "attempt": 2 }),
        ),
    ]);
    let rows = waterfall(&graph, &id("a"), Cut::default(), at(2), |_| true)
        .unwrap()
        .rows;
    let outcomes: Vec<_> = rows.iter().map(|row| row.abort).collect();
    assert_eq!(
        outcomes,
        [
            None,
            Some(AbortOutcome::Aborted),
            Some(AbortOutcome::Unconfirmed),
            Some(AbortOutcome::Unreachable),
            Some(AbortOutcome::Survived),
        ]
    );
    assert_eq!(rows[4].attempt, Some(2));
    let hidden = waterfall(&graph, &id("a"), Cut::default(), at(2), |_| false).unwrap();
    assert_eq!(
        json!(hidden.rows[4]),
        json!({ "depth": 1, "status": "running", "offsetMs": 1_000, "live": true, "critical": false, "hidden": true })
    );
}

#[test]
fn numbers_by_operation_are_nearest_ranks() {
    let mut calls: Vec<CallNode> = (1..=100)
        .map(|n| done(&format!("c{n}"), 0, 1, 1 + n))
        .collect();
    calls[0].status = CallStatus::Failed;
    calls.push(node("open", 0));
    let mut other = done("other", 0, 0, 3);
    other.operation_id = op("a.first");
    calls.push(other);
    let stats = operation_stats(&calls);
    assert_eq!(
        json!(stats),
        json!([
            { "operationId": "a.first", "count": 1, "errors": 0, "p50Ms": 3_000, "p95Ms": 3_000,
              "p99Ms": 3_000, "maxMs": 3_000, "meanQueueMs": 0.0 },
            { "operationId": "test.run", "count": 101, "errors": 1, "p50Ms": 50_000, "p95Ms": 95_000,
              "p99Ms": 99_000, "maxMs": 100_000, "meanQueueMs": 1_000.0 },
        ])
    );
    assert_eq!(operation_stats([&node("a", 0)])[0].p50_ms, None);
}
