//! Functions of the graph (cases G1 to G16, G22, G24).

use alkhub_callgraph::{
    AbortPolicy, CallErrorInfo, CallGraph, CallPatch, CallStatus, EdgeSet, GraphError, IssueKind,
    StatusExtra,
};
use alkhub_operations::ErrorCode;
use serde_json::json;

use crate::{at, graph, id, ids, names, node, texts};

const ALL: [CallStatus; 5] = [
    CallStatus::Pending,
    CallStatus::Running,
    CallStatus::Completed,
    CallStatus::Failed,
    CallStatus::Aborted,
];

fn cycle(names: &[&str]) -> GraphError {
    GraphError::Cycle {
        cycles: vec![ids(names)],
    }
}

fn diamond() -> CallGraph {
    let mut graph = graph(&["a", "b<a", "c<a", "d<b"]);
    assert_eq!(graph.add_dependency(&id("c"), &id("d")), Ok(true));
    graph
}

#[test]
fn case_g01_a_call_is_added_once() {
    let mut graph = graph(&["a"]);
    assert_eq!(
        graph.add_call(node("a", 5)),
        Err(GraphError::DuplicateNode { key: id("a") })
    );
}

#[test]
fn case_g02_an_unknown_call_has_no_status() {
    let done = CallGraph::new().update_status(
        &id("a"),
        CallStatus::Running,
        at(0),
        StatusExtra::default(),
    );
    assert_eq!(done, Err(GraphError::NodeNotFound { key: id("a") }));
}

#[test]
fn case_g03_all_steps_of_the_state_machine() {
    for from in ALL {
        for to in ALL {
            let mut graph = CallGraph::new();
            let mut call = node("a", 0);
            call.status = from;
            graph.add_call(call).unwrap();
            let done = graph.update_status(&id("a"), to, at(3), StatusExtra::default());
            let legal = matches!(
                (from, to),
                (CallStatus::Pending, CallStatus::Running)
                    | (
                        CallStatus::Pending | CallStatus::Running,
                        CallStatus::Completed | CallStatus::Failed | CallStatus::Aborted
                    )
            );
            if from == to {
                assert!(!done.unwrap().changed, "{from} {to}");
            } else if legal {
                assert!(done.unwrap().changed, "{from} {to}");
                assert_eq!(graph.get(&id("a")).unwrap().status, to);
            } else {
                let refused = GraphError::InvalidTransition {
                    request_id: id("a"),
                    from,
                    to,
                };
                assert_eq!(done, Err(refused));
                assert_eq!(graph.get(&id("a")).unwrap().status, from);
            }
        }
    }
}

#[test]
fn a_status_brings_only_what_it_can_have() {
    let mut graph = graph(&["a"]);
    let extra = StatusExtra {
        output: Some(json!(1)),
        error: Some(CallErrorInfo::new(ErrorCode::TIMEOUT, "late")),
        ..StatusExtra::default()
    };
    let before = graph.clone();
    for (status, faults) in [
        (CallStatus::Running, 2),
        (CallStatus::Completed, 1),
        (CallStatus::Failed, 1),
    ] {
        match graph.update_status(&id("a"), status, at(1), extra.clone()) {
            Err(GraphError::InvalidInput { errors }) => assert_eq!(errors.len(), faults),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(graph, before);
}

#[test]
fn case_g04_a_failed_call_gets_no_output() {
    let mut graph = graph(&["a"]);
    graph
        .update_status(&id("a"), CallStatus::Failed, at(1), StatusExtra::default())
        .unwrap();
    let patch = CallPatch {
        output: Some(json!(1)),
        ..CallPatch::default()
    };
    assert!(matches!(
        graph.update_call(&id("a"), patch),
        Err(GraphError::InvalidInput { .. })
    ));
    assert_eq!(graph.get(&id("a")).unwrap().output, None);
}

#[test]
fn case_g05_an_empty_patch_changes_nothing() {
    let mut graph = graph(&["a", "b<a"]);
    let before = graph.export().to_text();
    graph.update_call(&id("a"), CallPatch::default()).unwrap();
    assert_eq!(graph.export().to_text(), before);
}

#[test]
fn a_patch_fills_what_is_absent_and_nothing_else() {
    let mut graph = graph(&["a"]);
    let patch = CallPatch {
        input: Some(json!({ "x": 1 })),
        metadata: json!({ "attempt": 2, "gone": null })
            .as_object()
            .unwrap()
            .clone(),
        ..CallPatch::default()
    };
    graph.update_call(&id("a"), patch.clone()).unwrap();
    graph.update_call(&id("a"), patch).unwrap();
    let call = graph.get(&id("a")).unwrap();
    assert_eq!(call.input, Some(json!({ "x": 1 })));
    assert_eq!(json!(call.metadata), json!({ "attempt": 2 }));
    let other = CallPatch {
        input: Some(json!({ "x": 2 })),
        metadata: json!({ "attempt": 3 }).as_object().unwrap().clone(),
        ..CallPatch::default()
    };
    let refused = GraphError::Conflict {
        key: id("a"),
        field: "input",
    };
    assert_eq!(graph.update_call(&id("a"), other), Err(refused));
    assert_eq!(graph.get(&id("a")).unwrap().metadata["attempt"], 2);
}

#[test]
fn a_patch_keeps_times_in_order() {
    let mut graph = graph(&["a"]);
    let times = |started_at, completed_at| CallPatch {
        started_at,
        completed_at,
        ..CallPatch::default()
    };
    let is_refused = |done| matches!(done, Err(GraphError::InvalidInput { .. }));
    assert!(is_refused(
        graph.update_call(&id("a"), times(Some(at(1)), None))
    ));
    assert!(is_refused(
        graph.update_call(&id("a"), times(None, Some(at(1))))
    ));
    graph
        .update_status(
            &id("a"),
            CallStatus::Completed,
            at(5),
            StatusExtra::default(),
        )
        .unwrap();
    assert!(is_refused(
        graph.update_call(&id("a"), times(Some(at(6)), None))
    ));
    graph
        .update_call(&id("a"), times(Some(at(4)), None))
        .unwrap();
    assert_eq!(graph.duration(&id("a")).unwrap().as_secs(), 1);
}

#[test]
fn case_g06_children_of_a_removed_call_are_detached() {
    let mut graph = graph(&["a", "b<a", "c<b"]);
    let removed = graph.remove_call(&id("b")).unwrap();
    assert_eq!(removed.request_id, id("b"));
    assert_eq!(names(graph.roots()), ["a", "c"]);
    assert!(graph.is_detached(&id("c")));
    assert_eq!(
        graph.get(&id("c")).unwrap().parent_request_id,
        Some(id("b"))
    );
    assert_eq!(graph.stats().triggered, 0);
}

#[test]
fn case_g07_and_come_back_with_it() {
    let mut graph = graph(&["a", "b<a", "c<b"]);
    let before = graph.clone();
    let removed = graph.remove_call(&id("b")).unwrap();
    graph.add_call(removed).unwrap();
    assert_eq!(graph.stats().triggered, 2);
    assert_eq!(graph, before);
}

#[test]
fn removing_takes_dependencies_along() {
    let mut graph = diamond();
    graph.remove_call(&id("c")).unwrap();
    assert_eq!(graph.stats().depends_on, 0);
    assert_eq!(names(graph.predecessors(&id("d"))), ["b"]);
    assert_eq!(
        graph.remove_call(&id("c")),
        Err(GraphError::NodeNotFound { key: id("c") })
    );
}

#[test]
fn case_g08_a_dependency_is_noted_once() {
    let mut graph = graph(&["a", "b"]);
    assert_eq!(graph.add_dependency(&id("a"), &id("b")), Ok(true));
    assert_eq!(graph.add_dependency(&id("a"), &id("b")), Ok(false));
    assert_eq!(graph.stats().depends_on, 1);
}

#[test]
fn case_g09_a_dependency_needs_two_calls() {
    let mut graph = graph(&["a"]);
    assert_eq!(graph.add_dependency(&id("a"), &id("a")), Err(cycle(&["a"])));
    let missing = GraphError::NodeNotFound { key: id("b") };
    assert_eq!(graph.add_dependency(&id("a"), &id("b")), Err(missing));
}

#[test]
fn case_g10_a_pair_may_have_an_edge_of_each_type() {
    let mut graph = graph(&["a", "b<a"]);
    graph.add_dependency(&id("a"), &id("b")).unwrap();
    let json = graph.export().to_json();
    let keys: Vec<_> = json["edges"]
        .as_array()
        .unwrap()
        .iter()
        .map(|edge| edge["key"].as_str().unwrap())
        .collect();
    assert_eq!(keys, ["a->b", "a->b:depends_on"]);
    assert_eq!(names(graph.successors(&id("a"))), ["b"]);
}

#[test]
fn case_g11_a_dependency_closes_no_cycle() {
    let mut graph = graph(&["a", "b<a"]);
    assert_eq!(
        graph.add_dependency(&id("b"), &id("a")),
        Err(cycle(&["a", "b"]))
    );
    assert_eq!(graph.stats().depends_on, 0);
}

#[test]
fn a_child_closes_no_cycle_over_dependencies() {
    let mut graph = graph(&["c<p", "x"]);
    graph.add_dependency(&id("c"), &id("x")).unwrap();
    assert_eq!(graph.add_call(node("p<x", 3)), Err(cycle(&["p", "c", "x"])));
    assert_eq!(graph.len(), 2);
    assert!(graph.is_detached(&id("c")));
}

#[test]
fn case_g12_descendants_follow_the_edges_they_are_asked_for() {
    let mut graph = graph(&["a", "b<a", "z", "c<b"]);
    graph.add_dependency(&id("a"), &id("z")).unwrap();
    let of = |via| {
        let found = graph.descendants(&id("a"), via);
        texts(&found).join(" ")
    };
    assert_eq!(of(EdgeSet::Triggered), "b c");
    assert_eq!(of(EdgeSet::Both), "b c z");
    assert_eq!(of(EdgeSet::DependsOn), "z");
    assert_eq!(texts(&graph.ancestors(&id("c"), EdgeSet::Both)), ["b", "a"]);
    assert_eq!(texts(&graph.ancestors(&id("z"), EdgeSet::DependsOn)), ["a"]);
}

#[test]
fn case_g13_lineage_and_paths() {
    let graph = graph(&["a", "b<a", "c<b"]);
    assert_eq!(texts(&graph.lineage(&id("c"))), ["a", "b", "c"]);
    assert_eq!(graph.path(&id("a"), &id("c")), Some(ids(&["a", "b", "c"])));
    assert_eq!(graph.path(&id("c"), &id("a")), None);
    assert_eq!(graph.path(&id("a"), &id("a")), Some(ids(&["a"])));
    assert_eq!(graph.path(&id("a"), &id("z")), None);
}

#[test]
fn case_g14_order_and_groups_of_a_diamond() {
    let graph = diamond();
    assert_eq!(texts(&graph.topological_order()), ["a", "b", "c", "d"]);
    assert_eq!(
        graph.parallel_groups(),
        [ids(&["a"]), ids(&["b", "c"]), ids(&["d"])]
    );
    let stats = graph.stats();
    assert_eq!((stats.nodes, stats.triggered, stats.depends_on), (4, 3, 1));
    assert_eq!(
        (stats.depth, stats.width, stats.by_status.pending),
        (3, 2, 4)
    );
    assert_eq!(names(graph.predecessors(&id("d"))), ["b", "c"]);
    assert_eq!(
        graph
            .reachable_from(&ids(&["c", "z"]))
            .into_iter()
            .collect::<Vec<_>>(),
        ids(&["c", "d"])
    );
}

#[test]
fn case_g15_an_empty_graph_has_empty_lists() {
    let graph = CallGraph::new();
    let a = id("a");
    assert!(graph.is_empty() && graph.get(&a).is_none() && graph.parent(&a).is_none());
    assert!(graph.children(&a).is_empty() && graph.roots().is_empty());
    assert!(graph.ancestors(&a, EdgeSet::Both).is_empty());
    assert!(graph.descendants(&a, EdgeSet::Both).is_empty());
    assert!(graph.lineage(&a).is_empty() && graph.path(&a, &a).is_none());
    assert!(graph.predecessors(&a).is_empty() && graph.successors(&a).is_empty());
    assert!(graph.reachable_from(std::slice::from_ref(&a)).is_empty());
    assert!(graph.topological_order().is_empty() && graph.parallel_groups().is_empty());
    assert!(graph.critical_path(&a).is_empty() && graph.duration(&a).is_none());
    assert!(graph.filter_by_status(CallStatus::Pending).is_empty());
    assert!(graph.subgraph(&a).is_empty() && graph.validate().is_empty());
    assert_eq!(graph.stats(), alkhub_callgraph::GraphStats::default());
}

#[test]
fn case_g16_a_subgraph_begins_with_a_detached_root() {
    let mut graph = graph(&["a", "b<a", "c<b", "d<b", "z"]);
    graph.add_dependency(&id("c"), &id("d")).unwrap();
    graph.add_dependency(&id("d"), &id("z")).unwrap();
    let part = graph.subgraph(&id("b"));
    assert_eq!(names(part.roots()), ["b"]);
    assert!(part.is_detached(&id("b")));
    assert_eq!(names(part.children(&id("b"))), ["c", "d"]);
    assert_eq!((part.len(), part.stats().depends_on), (3, 1));
}

#[test]
fn lists_are_ordered_by_request_time_then_id() {
    let mut graph = CallGraph::new();
    for (call, second) in [("a", 0), ("z<a", 1), ("y<a", 1), ("c<a", 2), ("b<a", 3)] {
        graph.add_call(node(call, second)).unwrap();
    }
    assert_eq!(names(graph.children(&id("a"))), ["y", "z", "c", "b"]);
    assert_eq!(texts(&graph.topological_order()), ["a", "y", "z", "c", "b"]);
    assert_eq!(
        names(graph.filter_by_status(CallStatus::Pending)),
        ["a", "y", "z", "c", "b"]
    );
}

#[test]
fn case_g22_what_does_not_fit_is_told() {
    let mut graph = CallGraph::new();
    let mut running = node("a", 0);
    running.status = CallStatus::Running;
    let mut aborted = node("b<a", 1);
    aborted.status = CallStatus::Aborted;
    aborted.completed_at = Some(at(3));
    for call in [
        running,
        aborted,
        node("c<b", 2),
        node("d<nobody", 3),
        node("e<d", 4),
    ] {
        graph.add_call(call).unwrap();
    }
    let found: Vec<_> = graph
        .validate()
        .into_iter()
        .map(|issue| (issue.request_id.to_string(), issue.kind))
        .collect();
    assert_eq!(
        found,
        [
            ("a".to_owned(), IssueKind::StatusInconsistency),
            ("c".to_owned(), IssueKind::StatusInconsistency),
            ("d".to_owned(), IssueKind::DanglingReference),
        ]
    );
}

#[test]
fn every_inconsistency_is_an_issue_of_its_own() {
    let mut graph = graph(&["a"]);
    let mut call = node("b", 5);
    call.status = CallStatus::Failed;
    call.output = Some(json!(1));
    call.started_at = Some(at(1));
    graph.add_call(call).unwrap();
    let mut call = node("c<b", 6);
    call.status = CallStatus::Completed;
    call.error = Some(CallErrorInfo::new(ErrorCode::TIMEOUT, "late"));
    call.completed_at = Some(at(7));
    graph.add_call(call).unwrap();
    let mut call = node("d<b", 7);
    call.completed_at = Some(at(7));
    graph.add_call(call).unwrap();
    let found: Vec<_> = graph
        .validate()
        .into_iter()
        .map(|issue| issue.message)
        .collect();
    assert_eq!(
        found,
        [
            "the call has no edge",
            "the call has ended and has no completedAt",
            "the call did not succeed and has an output",
            "the times are out of order",
            "the call has succeeded and has an error",
            "the call is open and has a completedAt",
        ]
    );
}

#[test]
fn a_survivor_under_an_aborted_call_is_no_issue() {
    let mut graph = graph(&["a", "b<a"]);
    graph
        .update_status(&id("a"), CallStatus::Aborted, at(3), StatusExtra::default())
        .unwrap();
    let mut survivor = node("c<a", 2);
    survivor.status = CallStatus::Running;
    survivor.started_at = Some(at(3));
    survivor.abort_policy = AbortPolicy::ContinueRunning;
    graph.add_call(survivor).unwrap();
    let found: Vec<_> = graph
        .validate()
        .into_iter()
        .map(|issue| issue.request_id)
        .collect();
    assert_eq!(found, ids(&["b"]));
}

#[test]
fn case_g24_the_critical_path_follows_the_last_end() {
    let mut graph = CallGraph::new();
    for (call, from, to) in [
        ("root", 0, 10),
        ("b<root", 0, 4),
        ("c<root", 3, 9),
        ("c1<c", 5, 8),
        ("late<c", 5, 11),
    ] {
        let mut call = node(call, from);
        call.status = CallStatus::Completed;
        call.started_at = Some(at(from));
        call.completed_at = Some(at(to));
        graph.add_call(call).unwrap();
    }
    assert_eq!(
        texts(&graph.critical_path(&id("root"))),
        ["root", "c", "c1"]
    );
    let mut twin = node("b9<root", 3);
    twin.status = CallStatus::Failed;
    twin.completed_at = Some(at(9));
    graph.add_call(twin).unwrap();
    graph.add_call(node("open<root", 1)).unwrap();
    assert_eq!(texts(&graph.critical_path(&id("root"))), ["root", "b9"]);
    assert!(graph.critical_path(&id("open")).is_empty());
}
