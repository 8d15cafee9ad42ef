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
        Ok(self.ids_at(&self.topological_places()?))
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
        self.kahn().len() < self.layout().len()
    }

    /// Tasks that can be worked on side by side: the first group has no prerequisites, each
    /// further one waits for the group before. Within a group topological order.
    ///
    /// # Errors
    ///
    /// [`TaskgraphError::CircularDependency`].
    pub fn parallel_groups(&self) -> Result<Vec<Vec<&str>>, TaskgraphError> {
        let order = self.topological_places()?;
        let inn = self.layout().inn();
        let mut depths = vec![0_u32; order.len()];
        let mut groups: Vec<Vec<&str>> = Vec::new();
        for place in order {
            let depth = inn
                .of(place)
                .iter()
                .map(|u| depths[*u as usize] + 1)
                .max()
                .unwrap_or(0);
            depths[place as usize] = depth;
            if groups.len() <= depth as usize {
                groups.resize_with(depth as usize + 1, Vec::new);
            }
            groups[depth as usize].push(self.id_at(place));
        }
        Ok(groups)
    }

    pub(super) fn topological_places(&self) -> Result<Vec<u32>, TaskgraphError> {
        let order = self.kahn();
        if order.len() == self.layout().len() {
            return Ok(order);
        }
        let shared = |cycle: &Vec<u32>| cycle.iter().map(|p| self.shared_id_at(*p)).collect();
        let cycles = self.cycle_places().iter().map(shared).collect();
        Err(TaskgraphError::CircularDependency { cycles })
    }

    pub(super) fn cycle_places(&self) -> Vec<Vec<u32>> {
        let layout = self.layout();
        cycles::search(layout.len(), |node| layout.out().of(node as u32))
    }

    /// The topological order as far as cycles let it come.
    fn kahn(&self) -> Vec<u32> {
        let layout = self.layout();
        let mut waiting_for: Vec<u32> = (0..layout.len())
            .map(|place| layout.inn().of(place as u32).len() as u32)
            .collect();
        // The order is its own queue: what stands before `head` has been taken out.
        let mut order = Vec::with_capacity(layout.len());
        order.extend((0..layout.len() as u32).filter(|place| waiting_for[*place as usize] == 0));
        let mut head = 0;
        while let Some(&place) = order.get(head) {
            head += 1;
            for &next in layout.out().of(place) {
                waiting_for[next as usize] -= 1;
                if waiting_for[next as usize] == 0 {
                    order.push(next);
                }
            }
        }
        order
    }
}
