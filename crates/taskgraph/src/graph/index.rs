//! Which edges a node has, kept up to date while a graph changes.
//!
//! Made when it is first asked for: a graph that is only built and analysed never asks, and the
//! analyses have their own form of the same ([`super::Layout`]).

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::{Edge, NONE, TaskGraph};

/// By prerequisite: the edges to the dependents of a node.
pub(super) const OUT: usize = 0;
/// By dependent: the edges from the prerequisites of a node.
pub(super) const IN: usize = 1;

#[derive(Clone)]
pub(super) struct Index {
    /// Slot of the edge between two slots.
    between: HashMap<(u32, u32), u32, RandomState>,
    /// The two lists of each node, in order of insertion.
    lists: Vec<[List; 2]>,
    /// The edge after each edge in the two lists it is in.
    next: Vec<[u32; 2]>,
}

#[derive(Clone, Copy)]
struct List {
    first: u32,
    last: u32,
}

impl List {
    const EMPTY: Self = Self {
        first: NONE,
        last: NONE,
    };
}

impl Index {
    pub(super) fn new(graph: &TaskGraph) -> Self {
        let mut index = Self {
            between: HashMap::with_capacity_and_hasher(graph.edge_count(), RandomState::default()),
            lists: vec![[List::EMPTY; 2]; graph.nodes.len()],
            next: Vec::with_capacity(graph.edges.slots()),
        };
        for (slot, edge) in graph.edges.with_slots() {
            index.add_edge(slot, edge.from, edge.to);
        }
        index
    }

    /// Slot of the edge between two slots.
    pub(super) fn between(&self, from: u32, to: u32) -> Option<u32> {
        self.between.get(&(from, to)).copied()
    }

    /// Slots of the edges of a node on one side, in order of insertion.
    pub(super) fn edges_of(&self, node: u32, side: usize) -> impl Iterator<Item = u32> {
        let first = self.lists[node as usize][side].first;
        let after = move |edge: &u32| self.next.get(*edge as usize).map(|next| next[side]);
        std::iter::successors(Some(first), after).take_while(|edge| *edge != NONE)
    }

    pub(super) fn add_node(&mut self) {
        self.lists.push([List::EMPTY; 2]);
    }

    pub(super) fn add_edge(&mut self, slot: u32, from: u32, to: u32) {
        self.next.resize(slot as usize + 1, [NONE; 2]);
        self.between.insert((from, to), slot);
        for (node, side) in [(from, OUT), (to, IN)] {
            let list = &mut self.lists[node as usize][side];
            let last = std::mem::replace(&mut list.last, slot);
            if last == NONE {
                list.first = slot;
            } else {
                self.next[last as usize][side] = slot;
            }
        }
    }

    pub(super) fn remove_edge(&mut self, slot: u32, edge: &Edge) {
        self.between.remove(&(edge.from, edge.to));
        for (node, side) in [(edge.from, OUT), (edge.to, IN)] {
            let before = self
                .edges_of(node, side)
                .take_while(|other| *other != slot)
                .last();
            let after = self.next[slot as usize][side];
            match before {
                Some(before) => self.next[before as usize][side] = after,
                None => self.lists[node as usize][side].first = after,
            }
            let list = &mut self.lists[node as usize][side];
            if list.last == slot {
                list.last = before.unwrap_or(NONE);
            }
        }
    }
}
