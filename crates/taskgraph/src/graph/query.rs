//! Questions about single tasks, and parts of a graph.

use super::{IN, OUT, TaskAttributes, TaskGraph};
use crate::TaskgraphError;

impl TaskGraph {
    /// Ids of all nodes in node order.
    pub fn task_ids(&self) -> impl Iterator<Item = &str> {
        self.live_nodes().map(|(_, node)| &*node.id)
    }

    /// All nodes in node order.
    pub fn tasks(&self) -> impl Iterator<Item = (&str, &TaskAttributes)> {
        self.live_nodes()
            .map(|(_, node)| (&*node.id, &node.attributes))
    }

    /// What is known of a task; none when it is not there.
    pub fn get_task(&self, id: &str) -> Option<&TaskAttributes> {
        self.node(*self.slots.get(id)?).map(|node| &node.attributes)
    }

    /// Retention of the edge between two tasks: none when there is no edge, none inside when the
    /// edge came from JSON without one.
    pub fn quality_retention(&self, prerequisite: &str, dependent: &str) -> Option<Option<f64>> {
        let (from, to) = (*self.slots.get(prerequisite)?, *self.slots.get(dependent)?);
        let edge = self.edges[self.index().between(from, to)? as usize].as_ref()?;
        Some(edge.attributes.quality_retention)
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
        let missing = |slot: u32| self.node(slot).filter(|node| node.orphan);
        let mut edges: Vec<_> = self
            .live_edges()
            .filter(|(_, edge)| missing(edge.from).is_some())
            .collect();
        // Stable: the edges of one task stay in the order of its dependencies.
        edges.sort_by_key(|(_, edge)| edge.to);
        let ids = |(_, edge): (u32, &super::Edge)| {
            Some((&*self.node(edge.to)?.id, &*self.node(edge.from)?.id))
        };
        edges.into_iter().filter_map(ids).collect()
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
            if keep(&node.id, &node.attributes) {
                new_slots[slot as usize] = part.nodes.len() as u32;
                part.slots.insert(node.id.clone(), part.nodes.len() as u32);
                part.nodes.push(Some(node.clone()));
            }
        }
        for (_, edge) in self.live_edges() {
            let (from, to) = (new_slots[edge.from as usize], new_slots[edge.to as usize]);
            if from != super::NONE && to != super::NONE {
                part.push_edge(from, to, edge.key.clone(), edge.attributes.clone());
            }
        }
        part
    }

    fn neighbours(&self, id: &str, side: usize) -> Result<Vec<&str>, TaskgraphError> {
        let slot = self.slot(id)?;
        let mut neighbours: Vec<_> = self
            .edges_of(slot, side)
            .filter_map(|edge| self.node(if side == OUT { edge.to } else { edge.from }))
            .collect();
        // Stable: ids that are no index stay in the order of their edges.
        neighbours.sort_by_key(|node| node.array_index);
        Ok(neighbours.into_iter().map(|node| &*node.id).collect())
    }
}
