//! The live graph: what stays, what goes, and when.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use alkhub_callgraph::{
    Applied, CallNode, CallStatus, GraphError, LiveGraph, LiveLimits, StatusExtra,
};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::{at, event, id, names, node, op};

fn live(nodes: usize) -> LiveGraph {
    LiveGraph::new(LiveLimits {
        nodes,
        ..LiveLimits::default()
    })
}

fn end(live: &mut LiveGraph, name: &str, second: i64) {
    live.update_status(
        &id(name),
        CallStatus::Completed,
        at(second),
        StatusExtra::default(),
    )
    .unwrap();
}

fn add(live: &mut LiveGraph, call: &str, second: i64) {
    live.add_call(node(call, second), at(second)).unwrap();
}

fn has(live: &LiveGraph, name: &str) -> bool {
    live.graph().get(&id(name)).is_some()
}

#[test]
fn a_tree_stays_while_one_of_its_calls_is_open() {
    let mut live = live(10);
    add(&mut live, "a", 0);
    add(&mut live, "b<a", 1);
    end(&mut live, "a", 2);
    assert_eq!((live.sweep(at(1_000)), live.open()), (0, 1));
    end(&mut live, "b", 1_000);
    assert_eq!(live.sweep(at(1_059)), 0);
    assert_eq!(live.sweep(at(1_060)), 2);
    assert!(live.is_empty());
}

#[test]
fn a_new_child_keeps_a_tree() {
    let mut live = live(10);
    add(&mut live, "a", 0);
    end(&mut live, "a", 1);
    add(&mut live, "b<a", 30);
    assert_eq!(live.sweep(at(100)), 0);
    end(&mut live, "b", 100);
    assert_eq!(live.sweep(at(160)), 2);
}

#[test]
fn a_change_makes_room_by_its_own_time() {
    let mut live = live(10);
    add(&mut live, "a", 0);
    end(&mut live, "a", 1);
    live.apply(&event("q", "b", None, at(61), None));
    assert!(!has(&live, "a") && has(&live, "b"));
}

#[test]
fn over_the_limit_the_tree_that_ended_first_goes() {
    let mut live = live(3);
    for (call, second) in [("a", 0), ("b", 1), ("c", 2)] {
        add(&mut live, call, second);
    }
    end(&mut live, "b", 3);
    end(&mut live, "a", 4);
    add(&mut live, "d", 5);
    assert_eq!(names(live.graph().roots()), ["a", "c", "d"]);
    add(&mut live, "e", 6);
    assert_eq!(names(live.graph().roots()), ["c", "d", "e"]);
}

#[test]
fn what_is_open_stays_even_over_the_limit() {
    let mut live = live(2);
    for (call, second) in [("a", 0), ("b<a", 1), ("c<b", 2)] {
        add(&mut live, call, second);
    }
    end(&mut live, "a", 3);
    end(&mut live, "b", 4);
    assert_eq!((live.len(), live.open()), (3, 1));
}

#[test]
fn finished_calls_of_an_open_tree_go_from_the_leaves() {
    let mut live = live(4);
    add(&mut live, "a", 0);
    for (call, second) in [("b<a", 1), ("c<b", 2), ("d<a", 3)] {
        add(&mut live, call, second);
    }
    end(&mut live, "b", 4);
    end(&mut live, "c", 5);
    end(&mut live, "d", 6);
    add(&mut live, "e<a", 7);
    assert_eq!(names(live.graph().children(&id("a"))), ["b", "d", "e"]);
    assert!(!has(&live, "c"));
    add(&mut live, "f<a", 8);
    assert_eq!(names(live.graph().children(&id("a"))), ["d", "e", "f"]);
}

#[test]
fn a_pinned_call_keeps_its_tree() {
    let mut live = live(1);
    add(&mut live, "a", 0);
    live.pin(&id("a")).unwrap();
    live.pin(&id("a")).unwrap();
    end(&mut live, "a", 1);
    add(&mut live, "b", 2);
    assert_eq!(live.sweep(at(500)), 0);
    live.unpin(&id("a"), at(500)).unwrap();
    assert!(has(&live, "a"));
    live.unpin(&id("a"), at(500)).unwrap();
    assert!(!has(&live, "a"));
    assert_eq!(
        live.pin(&id("a")),
        Err(GraphError::NodeNotFound { key: id("a") })
    );
}

#[test]
fn children_that_came_first_join_the_tree_of_their_parent() {
    let mut live = live(10);
    for (call, second) in [("c<b", 0), ("d<b", 1), ("b<a", 2)] {
        live.apply(&event("q", call, None, at(second), None));
    }
    for name in ["b", "c", "d"] {
        live.apply(&event("ok", name, None, at(5), None));
    }
    live.apply(&event("q", "a", None, at(6), None));
    assert_eq!(live.sweep(at(100)), 0);
    live.apply(&event("ok", "a", None, at(100), None));
    assert_eq!(live.sweep(at(160)), 4);
}

#[test]
fn a_call_that_gets_its_parent_later_joins_its_tree() {
    let mut live = live(10);
    for call in ["a", "b"] {
        live.apply(&event("q", call, None, at(0), None));
    }
    live.apply(&event("ok", "b", None, at(1), None));
    assert_eq!(
        live.apply(&event("q", "b<a", None, at(2), None)),
        Applied::Applied
    );
    assert_eq!(live.sweep(at(100)), 0);
    live.apply(&event("ok", "a", None, at(100), None));
    assert_eq!(live.sweep(at(160)), 2);
}

#[test]
fn an_answer_that_waited_ends_the_call_at_once() {
    let mut live = live(10);
    live.apply(&event("ok", "a", None, at(0), None));
    live.apply(&event("q", "a", None, at(1), None));
    assert_eq!(live.open(), 0);
    assert_eq!(live.sweep(at(61)), 1);
}

#[test]
fn two_hundred_thousand_calls_come_and_go() {
    let mut live = LiveGraph::new(LiveLimits::default());
    let operation = op("test.run");
    // One call that never ends, above half of them.
    add(&mut live, "root", 0);
    for number in 0..400_000_i64 {
        let now = at(number / 10_000);
        let name = id(&format!("c{number}"));
        let mut call = CallNode::new(name.clone(), operation.clone()).with_requested_at(now);
        if number % 2 == 0 {
            call = call.with_parent(id("root"));
        }
        live.add_call(call, now).unwrap();
        live.update_status(&name, CallStatus::Completed, now, StatusExtra::default())
            .unwrap();
        assert!(live.len() <= 200_000);
    }
    assert_eq!((live.len(), live.open()), (200_000, 1));
    end(&mut live, "root", 50);
    assert_eq!(live.sweep(at(110)), 200_000);
}

#[derive(Debug, Clone)]
enum Step {
    Add(u8, Option<u8>),
    End(u8),
    Pin(u8),
    Unpin(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let name = 0..12_u8;
    prop_oneof![
        4 => (name.clone(), proptest::option::of(name.clone())).prop_map(|(name, parent)| Step::Add(name, parent)),
        3 => name.clone().prop_map(Step::End),
        1 => name.clone().prop_map(Step::Pin),
        1 => name.prop_map(Step::Unpin),
    ]
}

/// The calls of a live graph told again by looking through all of them.
#[derive(Default)]
struct Model {
    calls: BTreeMap<u8, Told>,
}

#[derive(Clone, Copy)]
struct Told {
    parent: Option<u8>,
    open: bool,
    pins: u32,
    /// Second in which it last kept its tree from being over.
    until: i64,
}

impl Model {
    fn root(&self, name: u8) -> u8 {
        match self.calls[&name].parent {
            Some(parent) if self.calls.contains_key(&parent) => self.root(parent),
            _ => name,
        }
    }

    fn sweep(&mut self, now: i64) {
        let mut trees: BTreeMap<u8, Vec<u8>> = BTreeMap::new();
        for name in self.calls.keys() {
            trees.entry(self.root(*name)).or_default().push(*name);
        }
        for names in trees.into_values() {
            let calls = names.iter().map(|name| self.calls[name]);
            let over = calls.clone().all(|call| !call.open && call.pins == 0);
            let until = calls.map(|call| call.until).max().unwrap_or(0);
            if over && until + 60 <= now {
                self.calls.retain(|name, _| !names.contains(name));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_live_graph_keeps_what_a_slow_look_at_all_calls_would_keep(steps in vec((step(), 0..40_i64), 1..80)) {
        let mut live = LiveGraph::new(LiveLimits { nodes: 1_000, keep: Duration::from_secs(60) });
        let mut model = Model::default();
        let mut now = 0;
        for (step, pause) in steps {
            now += pause;
            live.sweep(at(now));
            model.sweep(now);
            match step {
                Step::Add(name, parent) => {
                    let mut call = CallNode::new(id(&format!("c{name}")), op("test.run")).with_requested_at(at(now));
                    call.parent_request_id = parent.map(|parent| id(&format!("c{parent}")));
                    if live.add_call(call, at(now)).is_ok() {
                        model.calls.insert(name, Told { parent, open: true, pins: 0, until: now });
                    }
                }
                Step::End(name) => {
                    let ended = live.update_status(&id(&format!("c{name}")), CallStatus::Failed, at(now), StatusExtra::default());
                    if ended.is_ok_and(|step| step.changed) {
                        let call = model.calls.get_mut(&name).unwrap();
                        (call.open, call.until) = (false, now);
                    }
                }
                Step::Pin(name) => {
                    if live.pin(&id(&format!("c{name}"))).is_ok() {
                        model.calls.get_mut(&name).unwrap().pins += 1;
                    }
                }
                Step::Unpin(name) => {
                    if live.unpin(&id(&format!("c{name}")), at(now)).is_ok() {
                        let call = model.calls.get_mut(&name).unwrap();
                        if call.pins > 0 {
                            (call.pins, call.until) = (call.pins - 1, now);
                        }
                    }
                }
            }
            let kept: BTreeSet<String> = live.graph().topological_order().iter().map(ToString::to_string).collect();
            let expected: BTreeSet<String> = model.calls.keys().map(|name| format!("c{name}")).collect();
            prop_assert_eq!(kept, expected);
            prop_assert_eq!(live.open(), model.calls.values().filter(|call| call.open).count());
        }
    }
}
