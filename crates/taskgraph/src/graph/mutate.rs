//! Changes of a graph that stands.

use super::{EdgeAttributes, IN, OUT, TaskGraph, TaskUpdate};
use crate::TaskgraphError;

impl TaskGraph {
    /// Removes a task and all its edges; nothing happens when it is not there.
    pub fn remove_task(&mut self, id: &str) {
        let Some(slot) = self.ids.remove(id) else {
            return;
        };
        self.layout.take();
        let edges: Vec<u32> = self
            .index()
            .edges_of(slot, OUT)
            .chain(self.index().edges_of(slot, IN))
            .collect();
        for edge in edges {
            self.drop_edge(edge);
        }
        if self.nodes[slot as usize]
            .take()
            .is_some_and(|node| node.orphan)
        {
            self.orphans -= 1;
        }
        self.close_gaps();
    }

    /// Removes a dependency; nothing happens when it is not there.
    pub fn remove_dependency(&mut self, prerequisite: &str, dependent: &str) {
        let Some(edge) = self.edge_between(prerequisite, dependent) else {
            return;
        };
        self.layout.take();
        self.drop_edge(edge);
        self.close_gaps();
    }

    /// Changes the named attributes of a task and leaves the others.
    ///
    /// # Errors
    ///
    /// [`TaskgraphError::TaskNotFound`].
    pub fn update_task(&mut self, id: &str, update: TaskUpdate) -> Result<(), TaskgraphError> {
        let slot = self.slot(id)?;
        self.layout.take();
        if let Some(node) = &mut self.nodes[slot as usize] {
            update.apply(&mut node.attributes);
        }
        Ok(())
    }

    /// Sets the retention of an edge, if one is given.
    ///
    /// # Errors
    ///
    /// [`TaskgraphError::TaskNotFound`] with `a->b` for its id when there is no such edge, also
    /// when the tasks are missing.
    pub fn update_edge_attributes(
        &mut self,
        prerequisite: &str,
        dependent: &str,
        update: EdgeAttributes,
    ) -> Result<(), TaskgraphError> {
        let Some(edge) = self.edge_between(prerequisite, dependent) else {
            let task_id = format!("{prerequisite}->{dependent}");
            return Err(TaskgraphError::TaskNotFound { task_id });
        };
        self.edges.update(edge, update);
        Ok(())
    }

    fn edge_between(&self, from: &str, to: &str) -> Option<u32> {
        self.index().between(self.ids.get(from)?, self.ids.get(to)?)
    }

    /// Leaves a gap for an edge.
    fn drop_edge(&mut self, slot: u32) {
        let Some(edge) = self.edges.remove(slot) else {
            return;
        };
        if let Some(index) = self.index.get_mut() {
            index.remove_edge(slot, &edge);
        }
    }

    /// Rebuilds the graph once most of its slots are gaps, so that memory follows its size.
    fn close_gaps(&mut self) {
        let slots = self.nodes.len() + self.edges.slots();
        let taken = self.task_count() + self.edge_count();
        if slots - taken > 64.max(taken) {
            *self = self.subgraph(|_, _| true);
        }
    }
}
