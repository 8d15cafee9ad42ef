//! What holds for all graphs (invariants 1 to 7).

use std::collections::{BTreeMap, HashSet};

use alkhub_callgraph::{
    Applied, CallErrorInfo, CallEvent, CallGraph, CallNode, CallPatch, CallStatus, EdgeSet,
    EventKind, Requested, StatusExtra,
};
use alkhub_operations::{ErrorCode, OperationType, RequestId};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

use crate::{at, id, op};

/// Events of one call: its request, and at most one outcome.
#[derive(Debug, Clone)]
enum Outcome {
    Open,
    Responded,
    Completed(bool),
    Both(bool),
    Failed,
    Aborted,
}

#[derive(Debug, Clone)]
struct Run {
    /// A call before this one, by its number.
    parent: Option<usize>,
    outcome: Outcome,
    /// Items of a subscription, by number; none for other calls.
    items: Option<Vec<u64>>,
    times: [i64; 4],
}

fn run() -> impl Strategy<Value = Run> {
    let outcome = prop_oneof![
        Just(Outcome::Open),
        Just(Outcome::Responded),
        any::<bool>().prop_map(Outcome::Completed),
        any::<bool>().prop_map(Outcome::Both),
        Just(Outcome::Failed),
        Just(Outcome::Aborted),
    ];
    let items = proptest::option::weighted(0.3, vec(1..5_u64, 0..4));
    (
        proptest::option::weighted(0.7, 0..100_usize),
        outcome,
        items,
        // Within the time that events are held.
        proptest::array::uniform4(0..50_i64),
    )
        .prop_map(|(parent, outcome, items, times)| Run {
            parent,
            outcome,
            items,
            times,
        })
}

fn events(runs: &[Run]) -> Vec<CallEvent> {
    let mut events = Vec::new();
    for (number, run) in runs.iter().enumerate() {
        let mut add = |time: i64, kind| {
            events.push(CallEvent::new(id(&format!("c{number}")), at(time), kind));
        };
        let [asked, responded, completed, ended] = run.times;
        let mut told = Requested::new(op("test.run"));
        told.input = Some(json!({ "n": number }));
        // A parent has a smaller number, so there is no cycle; number 0 may have one that never comes.
        told.parent_request_id = run.parent.map(|parent| match number {
            0 => id("nobody"),
            _ => id(&format!("c{}", parent % number)),
        });
        told.operation_type = run.items.as_ref().map(|_| OperationType::Subscription);
        add(asked, EventKind::Requested(Box::new(told)));
        for seq in run.items.iter().flatten() {
            let output = json!({ "item": seq });
            add(
                responded,
                EventKind::Responded {
                    output,
                    seq: Some(*seq),
                    meta: None,
                },
            );
        }
        let answer = EventKind::Responded {
            output: json!("x"),
            seq: None,
            meta: None,
        };
        let output = |given: bool| given.then(|| json!("y"));
        match (&run.outcome, &run.items) {
            (Outcome::Open, _) => {}
            // Items of a subscription without numbers would be counted one by one.
            (Outcome::Responded, Some(_)) => {}
            (Outcome::Responded, None) => add(responded, answer),
            (Outcome::Completed(given), _) | (Outcome::Both(given), Some(_)) => {
                add(
                    completed,
                    EventKind::Completed {
                        output: output(*given),
                    },
                );
            }
            (Outcome::Both(given), None) => {
                add(responded, answer);
                add(
                    completed,
                    EventKind::Completed {
                        output: output(*given),
                    },
                );
            }
            (Outcome::Failed, _) => {
                let error = CallErrorInfo::new(ErrorCode::TIMEOUT, "late");
                add(ended, EventKind::Error { error });
            }
            (Outcome::Aborted, _) => add(
                ended,
                EventKind::Aborted {
                    by: None,
                    reason: None,
                },
            ),
        }
    }
    events
}

fn shuffled_runs() -> impl Strategy<Value = (Vec<CallEvent>, Vec<CallEvent>)> {
    vec(run(), 1..8).prop_flat_map(|runs| {
        let events = events(&runs);
        (Just(events.clone()), Just(events).prop_shuffle())
    })
}

fn items(graph: &CallGraph) -> BTreeMap<String, u64> {
    let order = graph.topological_order();
    let calls = order.iter().filter_map(|id| graph.get(id));
    calls
        .map(|call| (call.request_id.to_string(), call.items))
        .collect()
}

/// A change of a graph, by numbers of calls.
#[derive(Debug, Clone)]
enum Step {
    Add(u8, Option<u8>, i64),
    Status(u8, CallStatus, i64),
    Depend(u8, u8),
    Remove(u8),
    Patch(u8, i64),
    Event(u8, u8, i64),
    Ask(u8, Option<u8>, i64),
}

fn step() -> impl Strategy<Value = Step> {
    let call = 0..8_u8;
    let time = 0..50_i64;
    let status = proptest::sample::select(vec![
        CallStatus::Running,
        CallStatus::Completed,
        CallStatus::Failed,
        CallStatus::Aborted,
    ]);
    prop_oneof![
        3 => (call.clone(), proptest::option::of(call.clone()), time.clone()).prop_map(|(a, b, t)| Step::Add(a, b, t)),
        2 => (call.clone(), proptest::option::of(call.clone()), time.clone()).prop_map(|(a, b, t)| Step::Ask(a, b, t)),
        3 => (call.clone(), status, time.clone()).prop_map(|(a, to, t)| Step::Status(a, to, t)),
        3 => (call.clone(), call.clone()).prop_map(|(a, b)| Step::Depend(a, b)),
        1 => call.clone().prop_map(Step::Remove),
        1 => (call.clone(), time.clone()).prop_map(|(a, t)| Step::Patch(a, t)),
        3 => (call, 0..5_u8, time).prop_map(|(a, kind, t)| Step::Event(a, kind, t)),
    ]
}

fn take(graph: &mut CallGraph, step: &Step) {
    let name = |number: &u8| id(&format!("c{number}"));
    match step {
        Step::Add(call, parent, time) => {
            let mut node = CallNode::new(name(call), op("test.run")).with_requested_at(at(*time));
            node.parent_request_id = parent.as_ref().map(name);
            drop(graph.add_call(node));
        }
        Step::Ask(call, parent, time) => {
            let mut told = Requested::new(op("test.run"));
            told.parent_request_id = parent.as_ref().map(name);
            told.operation_type = (*call == 0).then_some(OperationType::Subscription);
            graph.apply(&CallEvent::new(
                name(call),
                at(*time),
                EventKind::Requested(Box::new(told)),
            ));
        }
        Step::Status(call, to, time) => {
            drop(graph.update_status(&name(call), *to, at(*time), StatusExtra::default()));
        }
        Step::Depend(before, after) => {
            drop(graph.add_dependency(&name(before), &name(after)));
        }
        Step::Remove(call) => drop(graph.remove_call(&name(call))),
        Step::Patch(call, time) => {
            let patch = CallPatch {
                started_at: Some(at(*time)),
                input: Some(json!(time)),
                ..CallPatch::default()
            };
            drop(graph.update_call(&name(call), patch));
        }
        Step::Event(call, kind, time) => {
            let kind = match kind {
                0 => EventKind::Responded {
                    output: json!(time),
                    seq: None,
                    meta: None,
                },
                1 => EventKind::Responded {
                    output: json!(time),
                    seq: Some(*time as u64),
                    meta: None,
                },
                2 => EventKind::Completed {
                    output: Some(json!(time)),
                },
                3 => EventKind::Error {
                    error: CallErrorInfo::new(ErrorCode::TIMEOUT, "late"),
                },
                _ => EventKind::Aborted {
                    by: None,
                    reason: None,
                },
            };
            graph.apply(&CallEvent::new(name(call), at(*time), kind));
        }
    }
}

fn played(steps: &[Step]) -> CallGraph {
    let mut graph = CallGraph::new();
    for step in steps {
        take(&mut graph, step);
    }
    graph
}

fn all(graph: &CallGraph) -> Vec<RequestId> {
    graph.topological_order()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Invariant 1.
    #[test]
    fn every_order_of_events_gives_the_same_graph((events, shuffled) in shuffled_runs()) {
        let (one, _) = CallGraph::from_call_events(events);
        let (other, report) = CallGraph::from_call_events(shuffled);
        prop_assert_eq!(report.dropped, 0);
        prop_assert_eq!(items(&one), items(&other));
        prop_assert_eq!(one, other);
    }

    /// Invariant 2.
    #[test]
    fn an_event_told_again_changes_nothing((_, shuffled) in shuffled_runs()) {
        let (before, _) = CallGraph::from_call_events(shuffled.clone());
        let mut graph = before.clone();
        for event in &shuffled {
            let did = graph.apply(event);
            prop_assert!(!matches!(did, Applied::Applied | Applied::Held), "{:?} {:?}", event, did);
        }
        prop_assert_eq!(items(&graph), items(&before));
        prop_assert_eq!(graph, before);
    }

    /// Invariant 3: every call stands in the order, no edge leads back, none is there twice.
    #[test]
    fn no_changes_make_a_cycle_or_a_double_edge(steps in vec(step(), 1..60)) {
        let graph = played(&steps);
        let order = all(&graph);
        prop_assert_eq!(order.len(), graph.len());
        let json = graph.export().to_json();
        let mut keys = HashSet::new();
        let place = |name: &serde_json::Value| {
            order.iter().position(|id| name == id.as_str()).unwrap()
        };
        for edge in json["edges"].as_array().unwrap() {
            prop_assert!(place(&edge["source"]) < place(&edge["target"]));
            let kind = edge["attributes"]["edgeType"].to_string();
            prop_assert!(keys.insert((edge["source"].to_string(), edge["target"].to_string(), kind)));
        }
    }

    /// Invariant 4.
    #[test]
    fn what_has_ended_stays_as_it_ended(steps in vec(step(), 1..60)) {
        let mut graph = CallGraph::new();
        for step in steps {
            let before = graph.clone();
            take(&mut graph, &step);
            for id in all(&before) {
                let (Some(old), Some(new)) = (before.get(&id), graph.get(&id)) else { continue };
                if old.status.is_open() {
                    continue;
                }
                prop_assert_eq!(old.status, new.status);
                let pair = matches!(step, Step::Event(_, 0..=2, _)) && old.status == CallStatus::Completed;
                if !pair {
                    prop_assert_eq!(&old.output, &new.output);
                    prop_assert_eq!(old.completed_at, new.completed_at);
                }
                prop_assert!(new.completed_at <= old.completed_at);
            }
        }
    }

    /// Invariant 5.
    #[test]
    fn times_follow_each_other(steps in vec(step(), 1..60)) {
        let graph = played(&steps);
        for id in all(&graph) {
            let call = graph.get(&id).unwrap();
            let times: Vec<_> = [call.requested_at, call.started_at, call.completed_at].into_iter().flatten().collect();
            prop_assert!(times.is_sorted(), "{:?}", call);
        }
    }

    /// Invariant 6.
    #[test]
    fn an_export_reads_back_as_the_same_graph(steps in vec(step(), 1..60)) {
        let graph = played(&steps);
        let read = CallGraph::from_json(graph.export().to_json()).unwrap();
        prop_assert_eq!(read.export().to_text(), graph.export().to_text());
        prop_assert_eq!(read, graph);
    }

    /// Invariant 7.
    #[test]
    fn above_and_below_are_two_sides_of_one_thing(steps in vec(step(), 1..60)) {
        let graph = played(&steps);
        let ids = all(&graph);
        for via in [EdgeSet::Triggered, EdgeSet::DependsOn, EdgeSet::Both] {
            for x in &ids {
                for y in &ids {
                    prop_assert_eq!(
                        graph.descendants(y, via).contains(x),
                        graph.ancestors(x, via).contains(y)
                    );
                }
            }
        }
        for id in &ids {
            if let Some(parent) = graph.parent(id) {
                let children = graph.children(&parent.request_id);
                prop_assert!(children.iter().any(|child| child.request_id == *id));
            }
            prop_assert!(graph.lineage(id).ends_with(std::slice::from_ref(id)));
            let line = graph.ancestors(id, EdgeSet::Triggered);
            prop_assert_eq!(line.len() + 1, graph.lineage(id).len());
            for before in graph.ancestors(id, EdgeSet::Both) {
                prop_assert!(graph.path(&before, id).is_some());
            }
            let part = graph.subgraph(id);
            prop_assert_eq!(part.len(), 1 + graph.descendants(id, EdgeSet::Triggered).len());
        }
    }

    #[test]
    fn groups_are_levels_of_the_order(steps in vec(step(), 1..60)) {
        let graph = played(&steps);
        let groups = graph.parallel_groups();
        prop_assert_eq!(groups.iter().map(Vec::len).sum::<usize>(), graph.len());
        let level = |id: &RequestId| groups.iter().position(|group| group.contains(id));
        for id in all(&graph) {
            let above = graph.predecessors(&id).into_iter().filter_map(|call| level(&call.request_id)).max();
            prop_assert_eq!(level(&id), Some(above.map_or(0, |above| above + 1)));
        }
    }
}
