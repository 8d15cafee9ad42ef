//! Large graphs (case G23).

use std::time::{Duration, Instant};

use alkhub_callgraph::{CallGraph, CallNode, EdgeSet};

use crate::{at, id, op};

const CHAIN: usize = 100_000;

/// A second in an optimized build; without optimization the same work takes several times as long.
const TIME: Duration = Duration::from_secs(if cfg!(debug_assertions) { 30 } else { 1 });

fn chain(order: impl Iterator<Item = usize>) -> CallGraph {
    let mut graph = CallGraph::new();
    for number in order {
        let mut call = CallNode::new(id(&format!("c{number}")), op("test.run"))
            .with_requested_at(at(number as i64));
        if number > 0 {
            call = call.with_parent(id(&format!("c{}", number - 1)));
        }
        graph.add_call(call).unwrap();
    }
    graph
}

#[test]
fn case_g23_a_chain_of_a_hundred_thousand_calls() {
    let graph = chain(0..CHAIN);
    let begun = Instant::now();
    let (first, last) = (id("c0"), id(&format!("c{}", CHAIN - 1)));
    assert_eq!(graph.descendants(&first, EdgeSet::Both).len(), CHAIN - 1);
    assert_eq!(graph.topological_order().len(), CHAIN);
    assert_eq!(graph.lineage(&last).len(), CHAIN);
    assert_eq!(graph.path(&first, &last).unwrap().len(), CHAIN);
    assert_eq!(graph.ancestors(&last, EdgeSet::Both).len(), CHAIN - 1);
    let text = serde_json::to_string(&graph.export()).unwrap();
    drop(graph);
    assert!(begun.elapsed() < TIME, "{:?}", begun.elapsed());
    let read = CallGraph::from_json(serde_json::from_str(&text).unwrap()).unwrap();
    assert_eq!((read.len(), read.stats().depth), (CHAIN, CHAIN));
    assert_eq!(read.subgraph(&id("c1")).len(), CHAIN - 1);
    assert_eq!(read.validate(), []);
}

#[test]
fn a_chain_may_come_from_its_end() {
    let graph = chain((0..CHAIN).rev());
    assert_eq!(graph.roots().len(), 1);
    assert_eq!(graph.parallel_groups().len(), CHAIN);
}

#[test]
fn a_call_with_a_hundred_thousand_children_loses_them_one_by_one() {
    let mut graph = CallGraph::new();
    graph
        .add_call(CallNode::new(id("root"), op("test.run")))
        .unwrap();
    for number in 0..CHAIN {
        let call = CallNode::new(id(&format!("c{number}")), op("test.run"));
        graph.add_call(call.with_parent(id("root"))).unwrap();
    }
    let begun = Instant::now();
    for number in 0..CHAIN {
        graph.remove_call(&id(&format!("c{number}"))).unwrap();
    }
    assert_eq!(graph.len(), 1);
    assert!(begun.elapsed() < TIME, "{:?}", begun.elapsed());
}
