//! Topological order, cycles, parallel groups.

use crate::cycles;
use crate::{TaskGraph, TaskgraphError};

impl TaskGraph {
    /// Tasks in an order in which each comes after its prerequisites: first in, first out from
    /// the tasks without prerequisites in node order, those set free in neighbour order.
    ///
    /// # Errors
    ///
    /// [`TaskgraphError::CircularDependency`].
    pub fn topological_order(&self) -> Result<Vec<&str>, TaskgraphError> {
        Ok(self.ids_at(self.topological_places()?))
    }

    /// Cycles found by depth-first search from each node in node order, dependents in neighbour
    /// order: one for each edge back into the current path, so at least one for each knot of
    /// dependencies but not every possible one. `[a, b, c]` means a → b → c → a.
    ///
    /// The first cycle is always reported whole; further ones until all together name four
    /// million tasks.
    pub fn find_cycles(&self) -> Vec<Vec<&str>> {
        self.cycle_places()
            .iter()
            .map(|cycle| self.ids_at(cycle))
            .collect()
    }

    /// Whether there is a cycle.
    pub fn has_cycles(&self) -> bool {
        self.layout().order().is_none()
    }

    /// Tasks that can be worked on side by side: the first group has no prerequisites, each
    /// further one waits for the group before. Within a group topological order.
    ///
    /// # Errors
    ///
    /// [`TaskgraphError::CircularDependency`].
    pub fn parallel_groups(&self) -> Result<Vec<Vec<&str>>, TaskgraphError> {
        let order = self.topological_places()?;
        let before = self.layout().before();
        let mut depths = vec![0_u32; order.len()];
        let mut sizes: Vec<usize> = Vec::new();
        for number in 0..order.len() {
            let deeper = |other: &u32| depths[*other as usize] + 1;
            let depth = before.of(number as u32).iter().map(deeper).max();
            let depth = depth.unwrap_or(0);
            depths[number] = depth;
            if sizes.len() <= depth as usize {
                sizes.push(0);
            }
            sizes[depth as usize] += 1;
        }
        let mut groups: Vec<Vec<&str>> = sizes.into_iter().map(Vec::with_capacity).collect();
        for (id, depth) in self.ids_at(order).into_iter().zip(depths) {
            groups[depth as usize].push(id);
        }
        Ok(groups)
    }

    /// Places in topological order.
    pub(super) fn topological_places(&self) -> Result<&[u32], TaskgraphError> {
        self.layout()
            .order()
            .ok_or_else(|| TaskgraphError::CircularDependency {
                cycles: self.shared_ids_at(&self.cycle_places()),
            })
    }

    pub(super) fn cycle_places(&self) -> Vec<Vec<u32>> {
        let layout = self.layout();
        if layout.order().is_some() {
            return Vec::new();
        }
        cycles::search(layout.len(), |node| layout.out().of(node as u32))
    }
}
