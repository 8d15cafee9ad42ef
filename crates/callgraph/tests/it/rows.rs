//! Rows into a graph and back (invariant 10, the part of the graph).

use alkhub_callgraph::stored::{StoredCall, StoredEdge};
use alkhub_callgraph::{CallGraph, CallNode, CallStatus, EdgeType, GraphError};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

use crate::{Script, at, graph, id, names, node};

fn row(call: &str, second: i64) -> StoredCall {
    let mut call: CallNode = node(call, second);
    call.row_id = Some(format!("row-{}", call.request_id));
    StoredCall::from_call(&call).unwrap()
}

fn edge(from: &str, to: &str, edge_type: EdgeType) -> StoredEdge {
    StoredEdge {
        source_id: format!("row-{from}"),
        target_id: format!("row-{to}"),
        edge_type,
    }
}

#[test]
fn edges_to_rows_that_are_not_there_are_left_out() {
    let rows = [row("b<a", 1), row("a", 0), row("c", 2), row("d<gone", 3)];
    let edges = [
        edge("a", "b", EdgeType::Triggered),
        edge("b", "c", EdgeType::DependsOn),
        edge("x", "c", EdgeType::DependsOn),
        edge("a", "y", EdgeType::Triggered),
    ];
    let graph = CallGraph::from_rows(rows, edges).unwrap();
    assert_eq!(names(graph.roots()), ["a", "c", "d"]);
    assert_eq!((graph.stats().triggered, graph.stats().depends_on), (1, 1));
    assert!(graph.is_detached(&id("d")));
}

#[test]
fn an_edge_tells_a_parent_that_its_row_does_not() {
    let graph = CallGraph::from_rows(
        [row("a", 0), row("b", 1)],
        [edge("a", "b", EdgeType::Triggered)],
    )
    .unwrap();
    assert_eq!(names(graph.children(&id("a"))), ["b"]);
}

#[test]
fn damaged_rows_are_told() {
    let cycle = CallGraph::from_rows([row("a<b", 0), row("b<a", 1)], []);
    assert!(matches!(cycle, Err(GraphError::Cycle { .. })));
    let twice = CallGraph::from_rows([row("a", 0), row("a", 1)], []);
    assert_eq!(twice, Err(GraphError::DuplicateNode { key: id("a") }));
}

#[test]
fn only_calls_with_a_row_give_one() {
    assert_eq!(graph(&["a"]).to_rows(), (vec![], vec![]));
}

#[test]
fn the_graph_of_rows_is_the_graph_of_events() {
    let mut script = Script::subscription();
    script.play("q(s) run(s) ok(s,seq1) ok(s,seq3)");
    script.kind = None;
    script.play("q(b<a) q(a) run(b) ok(b,x) ok(a,y) done(a) q(c<b) ab(c) q(d) err(d)");
    script.graph.add_dependency(&id("b"), &id("c")).unwrap();
    let events = script.graph;
    let rows = events.list().into_iter().map(|call| {
        let mut call = call.clone();
        call.row_id = Some(format!("row-{}", call.request_id));
        StoredCall::from_call(&call).unwrap()
    });
    let edges = [
        edge("a", "b", EdgeType::Triggered),
        edge("b", "c", EdgeType::Triggered),
        edge("b", "c", EdgeType::DependsOn),
    ];
    let read = CallGraph::from_rows(rows, edges).unwrap();
    // The number of items lies among the notes of a row.
    assert_eq!(read.get(&id("s")).unwrap().items, 3);
    assert_eq!(read.get(&id("s")).unwrap().metadata["items"], 3);
    let without_items = |graph: &CallGraph| {
        let mut json = graph.export().to_json();
        for node in json["nodes"].as_array_mut().unwrap() {
            node["attributes"]
                .as_object_mut()
                .unwrap()
                .remove("metadata");
        }
        json
    };
    assert_eq!(without_items(&read), without_items(&events));
}

fn stored() -> impl Strategy<Value = (Vec<StoredCall>, Vec<StoredEdge>)> {
    let status = proptest::sample::select(vec![
        CallStatus::Pending,
        CallStatus::Running,
        CallStatus::Completed,
        CallStatus::Failed,
        CallStatus::Aborted,
    ]);
    let call = (
        proptest::option::of(0..100_usize),
        status,
        0..20_i64,
        proptest::option::of(0..20_i64),
        0..3_u64,
    );
    vec(call, 1..12).prop_map(|calls| {
        let mut rows = Vec::new();
        let mut edges = Vec::new();
        for (number, (parent, status, created, started, items)) in calls.into_iter().enumerate() {
            let parent = parent.filter(|_| number > 0).map(|parent| parent % number);
            let mut stored = row(&format!("c{number}"), created);
            stored.parent_request_id = parent.map(|parent| id(&format!("c{parent}")));
            stored.status = status;
            stored.started_at = started.map(at);
            stored.input = Some(json!({ "n": number }));
            if items > 0 {
                stored.metadata.insert("items".to_owned(), json!(items));
            }
            rows.push(stored);
            let (here, source) = (
                format!("c{number}"),
                parent.map(|parent| format!("c{parent}")),
            );
            if let Some(source) = &source {
                edges.push(edge(source, &here, EdgeType::Triggered));
            }
            if number > 1 {
                edges.push(edge("c0", &here, EdgeType::DependsOn));
            }
        }
        (rows, edges)
    })
}

proptest! {
    /// Invariant 10.
    #[test]
    fn rows_come_back_as_they_were((rows, edges) in stored()) {
        let graph = CallGraph::from_rows(rows.clone(), edges.clone()).unwrap();
        let (mut out, mut edges_out) = graph.to_rows();
        let sorted = |rows: &mut Vec<StoredCall>| rows.sort_by(|a, b| a.id.cmp(&b.id));
        let (mut rows, mut edges) = (rows, edges);
        sorted(&mut rows);
        sorted(&mut out);
        let key = |edge: &StoredEdge| (edge.source_id.clone(), edge.target_id.clone(), edge.edge_type);
        edges.sort_by_key(key);
        edges_out.sort_by_key(key);
        prop_assert_eq!(out, rows);
        prop_assert_eq!(edges_out, edges);
    }
}
