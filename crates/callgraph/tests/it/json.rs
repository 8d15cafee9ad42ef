//! The graph as graphology JSON, out and in (cases G17 to G21).

use alkhub_callgraph::{CallErrorInfo, CallGraph, CallStatus, GraphError, StatusExtra};
use alkhub_operations::{ErrorCode, Identity};
use serde_json::{Value, json};

use crate::{at, graph, id, ids, names};

/// A graph of nodes with these attributes and edges `a b type`.
fn document(nodes: Value, edges: &[&str]) -> Value {
    let nodes: Vec<Value> = nodes
        .as_object()
        .unwrap()
        .iter()
        .map(|(key, more)| {
            let mut attributes =
                json!({ "requestId": key, "operationId": "test.run", "status": "pending" });
            for (name, value) in more.as_object().unwrap() {
                attributes[name] = value.clone();
            }
            json!({ "key": key, "attributes": attributes })
        })
        .collect();
    let edges: Vec<Value> = edges
        .iter()
        .map(|edge| {
            let parts: Vec<&str> = edge.split(' ').collect();
            json!({
                "key": edge, "source": parts[0], "target": parts[1],
                "attributes": { "edgeType": parts[2] },
            })
        })
        .collect();
    json!({
        "attributes": {},
        "options": { "type": "directed", "multi": false, "allowSelfLoops": false },
        "nodes": nodes,
        "edges": edges,
    })
}

fn faults(json: Value) -> Vec<String> {
    match CallGraph::from_json(json) {
        Err(GraphError::InvalidInput { errors }) => {
            errors.into_iter().map(|fault| fault.path).collect()
        }
        other => panic!("{other:?}"),
    }
}

fn round_trip(graph: &CallGraph) {
    let text = graph.export().to_text();
    let read = CallGraph::from_json(graph.export().to_json()).unwrap();
    assert_eq!(read, *graph);
    assert_eq!(read.export().to_text(), text);
    let streamed: Value =
        serde_json::from_str(&serde_json::to_string(&graph.export()).unwrap()).unwrap();
    assert_eq!(streamed, graph.export().to_json());
}

#[test]
fn case_g17_edges_of_both_types_come_back() {
    let mut graph = graph(&["a", "b<a"]);
    graph.add_dependency(&id("a"), &id("b")).unwrap();
    assert_eq!(graph.export().to_json()["options"]["multi"], true);
    round_trip(&graph);
}

#[test]
fn everything_that_is_exported_comes_back() {
    let mut graph = graph(&["a", "b<a", "c<nobody"]);
    let extra = StatusExtra {
        output: Some(json!({ "deep": [1, { "x": null }] })),
        metadata: json!({ "attempt": 2 }).as_object().unwrap().clone(),
        ..StatusExtra::default()
    };
    graph
        .update_status(&id("a"), CallStatus::Running, at(3), StatusExtra::default())
        .unwrap();
    graph
        .update_status(&id("a"), CallStatus::Completed, at(4), extra)
        .unwrap();
    let extra = StatusExtra {
        error: Some(CallErrorInfo::new(ErrorCode::TIMEOUT, "late")),
        ..StatusExtra::default()
    };
    graph
        .update_status(&id("b"), CallStatus::Failed, at(5), extra)
        .unwrap();
    let patch = alkhub_callgraph::CallPatch {
        identity: Some(Identity {
            id: "ada".to_owned(),
            scopes: vec!["x:y".to_owned()],
            resources: [("project:p".to_owned(), vec!["read".to_owned()])].into(),
        }),
        ..alkhub_callgraph::CallPatch::default()
    };
    graph.update_call(&id("b"), patch).unwrap();
    round_trip(&graph);
    let attributes = &graph.export().to_json()["nodes"][0]["attributes"];
    assert_eq!(
        *attributes,
        json!({
            "requestId": "a", "operationId": "test.run", "status": "completed",
            "output": { "deep": [1, { "x": null }] },
            "requestedAt": at(0).to_string(), "startedAt": at(3).to_string(),
            "completedAt": at(4).to_string(), "metadata": { "attempt": 2 },
        })
    );
}

#[test]
fn case_g18_a_cycle_is_refused_by_name() {
    let cycle = |names: &[&str]| {
        Err(GraphError::Cycle {
            cycles: vec![ids(names)],
        })
    };
    let calls = json!({ "a": {}, "b": {}, "c": {}, "d": {} });
    let edges = [
        "a b triggered",
        "b c depends_on",
        "c a triggered",
        "c d triggered",
    ];
    assert_eq!(
        CallGraph::from_json(document(calls.clone(), &edges)),
        cycle(&["a", "b", "c"])
    );
    assert_eq!(
        CallGraph::from_json(document(calls, &["a a depends_on"])),
        cycle(&["a"])
    );
    let parents = json!({ "a": { "parentRequestId": "b" }, "b": { "parentRequestId": "a" } });
    assert_eq!(
        CallGraph::from_json(document(parents, &[])),
        cycle(&["a", "b"])
    );
    let own = json!({ "a": { "parentRequestId": "a" } });
    assert_eq!(CallGraph::from_json(document(own, &[])), cycle(&["a"]));
}

#[test]
fn case_g19_all_faults_are_told() {
    let mut json = document(
        json!({ "a": { "status": "done", "operationId": null } }),
        &[],
    );
    assert_eq!(
        faults(json.clone()),
        [
            "/nodes/0/attributes/operationId",
            "/nodes/0/attributes/status"
        ]
    );
    json["nodes"][0]["attributes"] = json!({
        "requestId": "z", "operationId": "nothing", "status": "pending", "error": 3,
        "identity": { "scopes": [] }, "startedAt": "today", "metadata": [],
    });
    json["options"]["type"] = json!("undirected");
    json["edges"] = json!([{ "source": "a", "attributes": { "edgeType": "typed" } }, 7]);
    assert_eq!(
        faults(json),
        [
            "/options/type",
            "/nodes/0/attributes/requestId",
            "/nodes/0/attributes/operationId",
            "/nodes/0/attributes/error",
            "/nodes/0/attributes/identity",
            "/nodes/0/attributes/startedAt",
            "/nodes/0/attributes/metadata",
            "/edges/0/target",
            "/edges/0/attributes/edgeType",
            "/edges/1",
        ]
    );
    assert_eq!(faults(json!([])), [""]);
    assert_eq!(faults(json!({ "nodes": {}, "edges": null })), ["/nodes"]);
}

#[test]
fn case_g20_unknown_attributes_are_kept_and_null_is_absent() {
    let mut json = document(
        json!({ "a": { "colour": "red", "output": null, "x": null } }),
        &[],
    );
    json["attributes"] = json!({ "name": "theirs" });
    let graph = CallGraph::from_json(json).unwrap();
    assert_eq!(graph.get(&id("a")).unwrap().output, None);
    let out = graph.export().to_json();
    assert_eq!(out["attributes"], json!({ "name": "theirs" }));
    assert_eq!(
        out["nodes"][0]["attributes"],
        json!({ "requestId": "a", "operationId": "test.run", "status": "pending", "colour": "red" })
    );
    round_trip(&graph);
}

#[test]
fn case_g20_edges_that_are_not_ours_are_kept_and_walked_by_nobody() {
    let mut json = document(
        json!({ "a": {}, "b": {} }),
        &["a b sequential", "b a conditional", "a b triggered"],
    );
    json["edges"][0]["attributes"]["dataFlow"] = json!(true);
    json["edges"][2]["attributes"]["weight"] = json!(2);
    json["options"]["multi"] = json!(true);
    let graph = CallGraph::from_json(json).unwrap();
    assert_eq!((graph.stats().foreign, graph.stats().depth), (2, 2));
    assert!(graph.predecessors(&id("a")).is_empty());
    let out = graph.export().to_json();
    assert_eq!(
        out["edges"],
        json!([
            { "key": "a->b", "source": "a", "target": "b",
              "attributes": { "edgeType": "triggered", "weight": 2 } },
            { "key": "a->b:sequential", "source": "a", "target": "b",
              "attributes": { "edgeType": "sequential", "dataFlow": true } },
            { "key": "b->a", "source": "b", "target": "a",
              "attributes": { "edgeType": "conditional" } },
        ])
    );
    round_trip(&graph);
    let mut part = graph.subgraph(&id("a"));
    assert_eq!(part, graph);
    part.remove_call(&id("b")).unwrap();
    assert_eq!(part.stats().foreign, 0);
}

#[test]
fn case_g21_edges_need_their_ends_and_are_given_once() {
    let calls = json!({ "a": {}, "b": {} });
    assert_eq!(
        faults(document(
            calls.clone(),
            &["a z triggered", "y b depends_on"]
        )),
        ["/edges/0/target", "/edges/1/source"]
    );
    let twice = document(calls, &["a b triggered", "a b triggered"]);
    assert_eq!(
        CallGraph::from_json(twice),
        Err(GraphError::DuplicateEdge {
            from: id("a"),
            to: id("b")
        })
    );
    let mut json = document(json!({ "a": {} }), &[]);
    json["nodes"] = json!([json["nodes"][0], json["nodes"][0]]);
    assert_eq!(
        CallGraph::from_json(json),
        Err(GraphError::DuplicateNode { key: id("a") })
    );
}

#[test]
fn parents_and_edges_are_brought_together() {
    let calls = json!({ "a": {}, "b": {}, "c": { "parentRequestId": "a" }, "d": { "parentRequestId": "x" } });
    let graph = CallGraph::from_json(document(calls.clone(), &["a b triggered"])).unwrap();
    assert_eq!(names(graph.children(&id("a"))), ["b", "c"]);
    assert_eq!(
        graph.get(&id("b")).unwrap().parent_request_id,
        Some(id("a"))
    );
    assert!(graph.is_detached(&id("d")));
    assert_eq!(
        faults(document(calls.clone(), &["b c triggered"])),
        ["/edges/0"]
    );
    assert_eq!(
        faults(document(calls, &["a b triggered", "c b triggered"])),
        ["/edges/1"]
    );
}
