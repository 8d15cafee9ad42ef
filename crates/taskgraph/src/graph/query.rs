//! Questions about single tasks, and parts of a graph.

use super::{IN, OUT, TaskAttributes, TaskGraph};
use crate::TaskgraphError;

impl TaskGraph {
    /// Ids of all nodes in node order.
    pub fn task_ids(&self) -> impl Iterator<Item = &str> {
        self.live_nodes().map(|(slot, _)| self.ids.text(slot))
    }

    /// All nodes in node order.
    pub fn tasks(&self) -> impl Iterator<Item = (&str, &TaskAttributes)> {
        self.live_nodes()
            .map(|(slot, node)| (self.ids.text(slot), &node.attributes))
    }

    /// What is known of a task; none when it is not there.
    pub fn get_task(&self, id: &str) -> Option<&TaskAttributes> {
        self.node(self.ids.get(id)?).map(|node| &node.attributes)
    }

    /// Retention of the edge between two tasks: none when there is no edge, none inside when the
    /// edge came from JSON without one.
    pub fn quality_retention(&self, prerequisite: &str, dependent: &str) -> Option<Option<f64>> {
        let (from, to) = (self.ids.get(prerequisite)?, self.ids.get(dependent)?);
        let edge = self.index().between(from, to)?;
        Some(self.edges.retention(edge))
    }

    /// Direct prerequisites of a task in neighbour order.
    ///
    /// # Errors
    ///
    /// [`TaskgraphError::TaskNotFound`].
    pub fn dependencies(&self, id: &str) -> Result<Vec<&str>, TaskgraphError> {
        self.neighbours(id, IN)
    }

    /// Tasks that depend directly on a task, in neighbour order.
    ///
    /// # Errors
    ///
    /// [`TaskgraphError::TaskNotFound`].
    pub fn dependents(&self, id: &str) -> Result<Vec<&str>, TaskgraphError> {
        self.neighbours(id, OUT)
    }

    /// Pairs of a task and an id it depends on that is no task, in task order and for one task
    /// in the order of its dependencies.
    pub fn missing_references(&self) -> Vec<(&str, &str)> {
        if self.orphans == 0 {
            return Vec::new();
        }
        let missing = |slot: u32| self.node(slot).is_some_and(|node| node.orphan);
        let edges = self.edges.iter().filter(|edge| missing(edge.from));
        let mut edges: Vec<(u32, u32)> = edges.map(|edge| (edge.to, edge.from)).collect();
        // Stable: the edges of one task stay in the order of its dependencies.
        edges.sort_by_key(|(to, _)| *to);
        edges
            .into_iter()
            .map(|(to, from)| (self.ids.text(to), self.ids.text(from)))
            .collect()
    }

    /// A new graph of the tasks that `keep` accepts and the edges between them, all orders and
    /// attributes kept. `keep` is asked once for each task, in node order.
    pub fn subgraph(&self, mut keep: impl FnMut(&str, &TaskAttributes) -> bool) -> Self {
        let mut part = Self {
            attributes: self.attributes.clone(),
            ..Self::default()
        };
        let mut new_slots = vec![super::NONE; self.nodes.len()];
        for (slot, node) in self.live_nodes() {
            if keep(self.ids.text(slot), &node.attributes) {
                new_slots[slot as usize] = part.nodes.len() as u32;
                part.orphans += usize::from(node.orphan);
                part.nodes.push(Some(node.clone()));
            }
        }
        let kept = (0..)
            .zip(&new_slots)
            .filter(|(_, new)| **new != super::NONE);
        let ids: Vec<&str> = kept.map(|(slot, _)| self.ids.text(slot)).collect();
        // Slots are given out in order, so each id gets the one of its node.
        part.ids.insert_all(&ids);
        for (slot, edge) in self.edges.with_slots() {
            let (from, to) = (new_slots[edge.from as usize], new_slots[edge.to as usize]);
            if from != super::NONE && to != super::NONE {
                part.edges.push_like(from, to, &self.edges, slot);
            }
        }
        part
    }

    fn neighbours(&self, id: &str, side: usize) -> Result<Vec<&str>, TaskgraphError> {
        let slot = self.slot(id)?;
        let mut neighbours: Vec<u32> = self
            .edges_of(slot, side)
            .map(|edge| if side == OUT { edge.to } else { edge.from })
            .collect();
        // Stable: ids that are no index stay in the order of their edges.
        neighbours.sort_by_key(|slot| {
            self.node(*slot)
                .map_or(super::NONE, |node| node.array_index)
        });
        let id = |slot: u32| self.ids.text(slot);
        Ok(neighbours.into_iter().map(id).collect())
    }
}
