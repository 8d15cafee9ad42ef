//! The graph as a whole: order, groups, the critical path, numbers.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};

use alkhub_operations::RequestId;
use serde::Serialize;

use super::{CallGraph, EdgeSet, EdgeType};
use crate::status::CallStatus;

/// Numbers of a graph.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GraphStats {
    /// Calls.
    pub nodes: usize,
    /// Edges from a call to one it made.
    pub triggered: usize,
    /// Edges from a call to one that waited for it.
    pub depends_on: usize,
    /// Edges of an import that are not ours.
    pub foreign: usize,
    /// Calls by status.
    pub by_status: StatusCounts,
    /// Number of [`CallGraph::parallel_groups`].
    pub depth: usize,
    /// Size of the largest of them.
    pub width: usize,
}

/// Calls by status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct StatusCounts {
    /// Not started.
    pub pending: usize,
    /// Being run.
    pub running: usize,
    /// Ended well.
    pub completed: usize,
    /// Ended with an error.
    pub failed: usize,
    /// Called off.
    pub aborted: usize,
}

impl CallGraph {
    /// All calls, each behind those it came from and waited for; earlier ones first where that leaves
    /// a choice.
    #[must_use]
    pub fn topological_order(&self) -> Vec<RequestId> {
        self.ids(self.levels().into_iter().map(|(slot, _)| slot))
    }

    /// Calls by depth: group 0 are those that nothing comes before, each other call is in the group
    /// behind the last one it came from or waited for.
    #[must_use]
    pub fn parallel_groups(&self) -> Vec<Vec<RequestId>> {
        let groups = self.groups();
        groups.into_iter().map(|group| self.ids(group)).collect()
    }

    /// The chain of calls a finished tree took its time with: from the root on always the child that
    /// ended last, but not after its parent; of two that ended at once the one with the smaller id.
    /// Empty while the root is open.
    #[must_use]
    pub fn critical_path(&self, root: &RequestId) -> Vec<RequestId> {
        let path = self.find(root).map(|slot| self.critical_slots(slot));
        self.ids(path.unwrap_or_default())
    }

    /// Numbers of the graph.
    #[must_use]
    pub fn stats(&self) -> GraphStats {
        let groups = self.groups();
        let mut stats = GraphStats {
            nodes: self.len(),
            depth: groups.len(),
            width: groups.iter().map(Vec::len).max().unwrap_or(0),
            ..GraphStats::default()
        };
        for (_, call) in self.calls() {
            *stats.by_status.counter(call.status) += 1;
        }
        for edge in self.edges() {
            match edge.kind {
                EdgeType::Triggered => stats.triggered += 1,
                EdgeType::DependsOn => stats.depends_on += 1,
                EdgeType::Sequential | EdgeType::Conditional => stats.foreign += 1,
            }
        }
        stats
    }

    pub(crate) fn critical_slots(&self, root: u32) -> Vec<u32> {
        if self.call(root).status.is_open() {
            return Vec::new();
        }
        let mut path = vec![root];
        let mut end = self.call(root).completed_at;
        let mut at = root;
        loop {
            let in_time = self
                .children_of(at)
                .map(|child| (self.call(child), child))
                .filter(|(call, _)| {
                    call.completed_at.is_some() && (end.is_none() || call.completed_at <= end)
                });
            let last =
                in_time.max_by_key(|(call, _)| (call.completed_at, Reverse(&call.request_id)));
            let Some((call, child)) = last else {
                return path;
            };
            path.push(child);
            end = call.completed_at;
            at = child;
        }
    }

    /// All calls in topological order with their depths. Calls of a cycle are missing.
    pub(super) fn levels(&self) -> Vec<(u32, usize)> {
        let mut missing = vec![0_usize; self.slots.len()];
        let mut level = vec![0_usize; self.slots.len()];
        let mut ready = BinaryHeap::new();
        for (slot, node) in self.nodes() {
            let prerequisites = node
                .links
                .as_ref()
                .map_or(0, |links| links.prerequisites.len());
            let before = prerequisites + usize::from(node.parent != super::NONE);
            missing[slot as usize] = before;
            if before == 0 {
                ready.push(Reverse((self.order_of(slot), slot)));
            }
        }
        let mut order = Vec::with_capacity(self.len());
        while let Some(Reverse((_, slot))) = ready.pop() {
            let here = level[slot as usize];
            order.push((slot, here));
            for after in self.each_after(slot) {
                let after_level = &mut level[after as usize];
                *after_level = (*after_level).max(here + 1);
                let missing = &mut missing[after as usize];
                *missing -= 1;
                if *missing == 0 {
                    ready.push(Reverse((self.order_of(after), after)));
                }
            }
        }
        order
    }

    /// A cycle, when there is one. Only a graph that is being imported can have any.
    pub(super) fn any_cycle(&self) -> Option<Vec<RequestId>> {
        let sorted: HashSet<u32> = self.levels().into_iter().map(|(slot, _)| slot).collect();
        if sorted.len() == self.len() {
            return None;
        }
        let mut left: Vec<u32> = self.nodes().map(|(slot, _)| slot).collect();
        left.retain(|slot| !sorted.contains(slot));
        self.sort(&mut left);
        // Not every call that is left lies on a cycle, but one before it does: go back until a call
        // comes a second time.
        let (mut way, mut seen) = (Vec::new(), HashSet::new());
        let mut at = *left.first()?;
        while seen.insert(at) {
            way.push(at);
            let before = self.before(at, EdgeSet::Both);
            at = before.into_iter().find(|slot| !sorted.contains(slot))?;
        }
        let mut cycle: Vec<u32> = way.into_iter().skip_while(|slot| *slot != at).collect();
        cycle.reverse();
        let first = (0..cycle.len()).min_by_key(|place| self.order_of(cycle[*place]))?;
        cycle.rotate_left(first);
        Some(self.ids(cycle))
    }

    fn groups(&self) -> Vec<Vec<u32>> {
        let mut groups: Vec<Vec<u32>> = Vec::new();
        for (slot, level) in self.levels() {
            if groups.len() <= level {
                groups.resize_with(level + 1, Vec::new);
            }
            groups[level].push(slot);
        }
        for group in &mut groups {
            self.sort(group);
        }
        groups
    }

    /// Every edge forward, two for a pair that has both types.
    fn each_after(&self, slot: u32) -> Vec<u32> {
        let mut after: Vec<u32> = self.children_of(slot).collect();
        if let Some(links) = &self.node(slot).links {
            after.extend(links.dependents.keys());
        }
        after
    }
}

impl StatusCounts {
    fn counter(&mut self, status: CallStatus) -> &mut usize {
        match status {
            CallStatus::Pending => &mut self.pending,
            CallStatus::Running => &mut self.running,
            CallStatus::Completed => &mut self.completed,
            CallStatus::Failed => &mut self.failed,
            CallStatus::Aborted => &mut self.aborted,
        }
    }
}
