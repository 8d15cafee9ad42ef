//! Walks along edges. All are loops; a chain of calls may be of any length.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use alkhub_operations::RequestId;

use super::{CallGraph, NONE};
use crate::call::CallNode;
use crate::status::CallStatus;

/// Which edges a walk follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EdgeSet {
    /// From a call to those it made.
    Triggered,
    /// From a call to those that had to wait for it.
    DependsOn,
    /// Both.
    Both,
}

impl EdgeSet {
    fn has_triggered(self) -> bool {
        self != Self::DependsOn
    }

    fn has_depends_on(self) -> bool {
        self != Self::Triggered
    }
}

impl CallGraph {
    /// The calls this one made.
    #[must_use]
    pub fn children(&self, id: &RequestId) -> Vec<&CallNode> {
        self.listed(id, |graph, slot| graph.after(slot, EdgeSet::Triggered))
    }

    /// Calls without a parent, and detached ones.
    #[must_use]
    pub fn roots(&self) -> Vec<&CallNode> {
        self.ordered(
            self.nodes()
                .filter(|(_, node)| node.parent == NONE)
                .map(|(slot, _)| slot),
        )
    }

    /// Calls that come before this one, the nearest first.
    #[must_use]
    pub fn ancestors(&self, id: &RequestId, via: EdgeSet) -> Vec<RequestId> {
        let Some(start) = self.find(id) else {
            return Vec::new();
        };
        let mut seen = HashSet::from([start]);
        let mut queue = VecDeque::from([start]);
        let mut found = Vec::new();
        while let Some(slot) = queue.pop_front() {
            for before in self.before(slot, via) {
                if seen.insert(before) {
                    found.push(before);
                    queue.push_back(before);
                }
            }
        }
        self.ids(found)
    }

    /// Calls that come after this one, in pre-order, each once.
    #[must_use]
    pub fn descendants(&self, id: &RequestId, via: EdgeSet) -> Vec<RequestId> {
        self.find(id)
            .map(|start| self.ids(self.pre_order(start, via).into_iter().skip(1)))
            .unwrap_or_default()
    }

    /// From the topmost call down to this one.
    #[must_use]
    pub fn lineage(&self, id: &RequestId) -> Vec<RequestId> {
        let mut line: Vec<u32> = std::iter::successors(self.find(id), |slot| {
            let parent = self.parent_of(*slot);
            (parent != NONE).then_some(parent)
        })
        .collect();
        line.reverse();
        self.ids(line)
    }

    /// The call that made this one, and those it depends on.
    #[must_use]
    pub fn predecessors(&self, id: &RequestId) -> Vec<&CallNode> {
        self.listed(id, |graph, slot| graph.before(slot, EdgeSet::Both))
    }

    /// The calls this one made, and those that depend on it.
    #[must_use]
    pub fn successors(&self, id: &RequestId) -> Vec<&CallNode> {
        self.listed(id, |graph, slot| graph.after(slot, EdgeSet::Both))
    }

    /// A shortest way along edges of both types, both ends included.
    #[must_use]
    pub fn path(&self, from: &RequestId, to: &RequestId) -> Option<Vec<RequestId>> {
        let (from, to) = (self.find(from)?, self.find(to)?);
        let path = self.trace(from, EdgeSet::Both, |slot| slot == to)?;
        Some(self.ids(path))
    }

    /// The given calls that are here, and all that come after them along edges of both types.
    #[must_use]
    pub fn reachable_from(&self, ids: &[RequestId]) -> BTreeSet<RequestId> {
        let mut stack: Vec<u32> = ids.iter().filter_map(|id| self.find(id)).collect();
        let mut seen: HashSet<u32> = stack.iter().copied().collect();
        while let Some(slot) = stack.pop() {
            let after = self.after_unordered(slot, EdgeSet::Both);
            stack.extend(after.into_iter().filter(|next| seen.insert(*next)));
        }
        self.ids(seen).into_iter().collect()
    }

    /// All calls of a status.
    #[must_use]
    pub fn filter_by_status(&self, status: CallStatus) -> Vec<&CallNode> {
        self.ordered(
            self.calls()
                .filter(|(_, call)| call.status == status)
                .map(|(slot, _)| slot),
        )
    }

    /// A call and all below it, with the edges between them. It becomes a root there and keeps the id
    /// of its parent. Empty when the call is not here.
    #[must_use]
    pub fn subgraph(&self, root: &RequestId) -> CallGraph {
        let mut part = CallGraph::new();
        let Some(start) = self.find(root) else {
            return part;
        };
        let mut copies = HashMap::new();
        for slot in self.pre_order(start, EdgeSet::Triggered) {
            let node = self.node(slot);
            let copy = part.fill((*node.call).clone());
            let made = part.node_mut(copy);
            (made.answered, made.ended) = (node.answered, node.ended);
            match (copies.get(&node.parent), &node.call.parent_request_id) {
                (Some(parent), _) => part.link(*parent, copy),
                (None, Some(missing)) => part.wait(missing.clone(), copy),
                (None, None) => {}
            }
            copies.insert(slot, copy);
        }
        for (slot, copy) in &copies {
            let Some(links) = &self.node(*slot).links else {
                continue;
            };
            if copies.contains_key(&self.parent_of(*slot)) && !links.triggered.is_empty() {
                part.links(*copy).triggered = links.triggered.clone();
            }
            for (to, attributes) in &links.dependents {
                if let Some(to) = copies.get(to) {
                    part.link_dependency(*copy, *to, attributes.clone());
                }
            }
            for ((to, kind), attributes) in &links.foreign {
                if let Some(to) = copies.get(to) {
                    part.link_foreign(*copy, *to, *kind, attributes.clone());
                }
            }
        }
        part
    }

    /// A call and what comes after it: parents before children, siblings in order.
    pub(crate) fn pre_order(&self, start: u32, via: EdgeSet) -> Vec<u32> {
        let mut found = Vec::new();
        let mut stack = vec![start];
        // Along triggered edges alone nothing can be met twice.
        let mut seen = HashSet::new();
        while let Some(slot) = stack.pop() {
            if via != EdgeSet::Triggered && !seen.insert(slot) {
                continue;
            }
            found.push(slot);
            stack.extend(self.after(slot, via).into_iter().rev());
        }
        found
    }

    /// Slots one step further, in order.
    pub(crate) fn after(&self, slot: u32, via: EdgeSet) -> Vec<u32> {
        let mut after = self.after_unordered(slot, via);
        self.sort(&mut after);
        after.dedup();
        after
    }

    fn after_unordered(&self, slot: u32, via: EdgeSet) -> Vec<u32> {
        let mut after = Vec::new();
        if via.has_triggered() {
            after.extend(self.children_of(slot));
        }
        if via.has_depends_on()
            && let Some(links) = &self.node(slot).links
        {
            after.extend(links.dependents.keys());
        }
        after
    }

    /// Slots one step back, in order.
    pub(super) fn before(&self, slot: u32, via: EdgeSet) -> Vec<u32> {
        let mut before = Vec::new();
        let node = self.node(slot);
        if via.has_triggered() && node.parent != NONE {
            before.push(node.parent);
        }
        if via.has_depends_on()
            && let Some(links) = &node.links
        {
            before.extend(&links.prerequisites);
        }
        self.sort(&mut before);
        before.dedup();
        before
    }

    /// A shortest way forward from a call to one that is wanted, both ends included.
    pub(super) fn trace(
        &self,
        start: u32,
        via: EdgeSet,
        wanted: impl Fn(u32) -> bool,
    ) -> Option<Vec<u32>> {
        let mut path = breadth_first(start, |slot| self.after(slot, via), wanted)?;
        path.reverse();
        Some(path)
    }

    /// A shortest way from one that is wanted forward to a call, looked for from its end: there are
    /// far fewer calls above one than below it.
    pub(super) fn trace_back(&self, end: u32, wanted: impl Fn(u32) -> bool) -> Option<Vec<u32>> {
        breadth_first(end, |slot| self.before(slot, EdgeSet::Both), wanted)
    }

    fn listed(
        &self,
        id: &RequestId,
        neighbours: impl Fn(&Self, u32) -> Vec<u32>,
    ) -> Vec<&CallNode> {
        let slots = self.find(id).map(|slot| neighbours(self, slot));
        let calls = slots.into_iter().flatten();
        calls.map(|slot| self.call(slot)).collect()
    }

    pub(super) fn ordered(&self, slots: impl Iterator<Item = u32>) -> Vec<&CallNode> {
        let mut slots: Vec<u32> = slots.collect();
        self.sort(&mut slots);
        slots.into_iter().map(|slot| self.call(slot)).collect()
    }
}

/// The way from the first wanted slot back to the start.
fn breadth_first(
    start: u32,
    next: impl Fn(u32) -> Vec<u32>,
    wanted: impl Fn(u32) -> bool,
) -> Option<Vec<u32>> {
    let mut came_from = HashMap::from([(start, NONE)]);
    let mut queue = VecDeque::from([start]);
    while let Some(slot) = queue.pop_front() {
        if wanted(slot) {
            let way = std::iter::successors(Some(slot), |slot| {
                came_from.get(slot).copied().filter(|from| *from != NONE)
            });
            return Some(way.collect());
        }
        for neighbour in next(slot) {
            came_from.entry(neighbour).or_insert_with(|| {
                queue.push_back(neighbour);
                slot
            });
        }
    }
    None
}
