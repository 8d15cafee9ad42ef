//! Changes of a graph that stands.

use super::{EdgeAttributes, EdgeList, IN, NONE, OUT, TaskGraph, TaskUpdate};
use crate::TaskgraphError;

impl TaskGraph {
    /// Removes a task and all its edges; nothing happens when it is not there.
    pub fn remove_task(&mut self, id: &str) {
        let Some(slot) = self.slots.remove(id) else {
            return;
        };
        self.layout.take();
        let Some(node) = self.nodes[slot as usize].take() else {
            return;
        };
        // The lists of the node itself go with it; only those of its neighbours are mended.
        let dependents: Vec<_> = self
            .edges_of(node.out, OUT)
            .map(|(e, edge)| (e, edge.to))
            .collect();
        for (edge, to) in dependents {
            self.unlink(edge, to, IN);
            self.edges[edge as usize] = None;
            self.edge_slots.remove(&(slot, to));
        }
        let prerequisites: Vec<_> = self
            .edges_of(node.inn, IN)
            .map(|(e, edge)| (e, edge.from))
            .collect();
        for (edge, from) in prerequisites {
            self.unlink(edge, from, OUT);
            self.edges[edge as usize] = None;
            self.edge_slots.remove(&(from, slot));
        }
        self.close_gaps();
    }

    /// Removes a dependency; nothing happens when it is not there.
    pub fn remove_dependency(&mut self, prerequisite: &str, dependent: &str) {
        let Some((from, to, edge)) = self.edge_between(prerequisite, dependent) else {
            return;
        };
        self.layout.take();
        self.unlink(edge, from, OUT);
        self.unlink(edge, to, IN);
        self.edges[edge as usize] = None;
        self.edge_slots.remove(&(from, to));
        self.close_gaps();
    }

    /// Changes the named attributes of a task and leaves the others.
    ///
    /// # Errors
    ///
    /// [`TaskgraphError::TaskNotFound`].
    pub fn update_task(&mut self, id: &str, update: TaskUpdate) -> Result<(), TaskgraphError> {
        let slot = self.slot(id)?;
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
        let edge = self
            .edge_between(prerequisite, dependent)
            .and_then(|(_, _, edge)| self.edges[edge as usize].as_mut());
        let Some(edge) = edge else {
            let task_id = format!("{prerequisite}->{dependent}");
            return Err(TaskgraphError::TaskNotFound { task_id });
        };
        if let Some(retention) = update.quality_retention {
            edge.attributes.quality_retention = Some(retention);
        }
        if let Some(other) = update.other {
            edge.attributes.other.get_or_insert_default().extend(*other);
        }
        Ok(())
    }

    fn edge_between(&self, from: &str, to: &str) -> Option<(u32, u32, u32)> {
        let (from, to) = (*self.slots.get(from)?, *self.slots.get(to)?);
        Some((from, to, *self.edge_slots.get(&(from, to))?))
    }

    /// Takes an edge out of one list of a node.
    fn unlink(&mut self, edge: u32, node: u32, side: usize) {
        let Some(list) = self.list(node, side) else {
            return;
        };
        let mut before = NONE;
        let mut at = list.first;
        while at != edge && at != NONE {
            before = at;
            at = self.edges[at as usize]
                .as_ref()
                .map_or(NONE, |edge| edge.next[side]);
        }
        let next = self.edges[edge as usize]
            .as_ref()
            .map_or(NONE, |edge| edge.next[side]);
        if before != NONE
            && let Some(before) = &mut self.edges[before as usize]
        {
            before.next[side] = next;
        }
        if let Some(list) = self.list_mut(node, side) {
            if before == NONE {
                list.first = next;
            }
            if list.last == edge {
                list.last = before;
            }
        }
    }

    fn list(&self, node: u32, side: usize) -> Option<EdgeList> {
        self.node(node)
            .map(|node| if side == OUT { node.out } else { node.inn })
    }

    fn list_mut(&mut self, node: u32, side: usize) -> Option<&mut EdgeList> {
        let node = self.nodes[node as usize].as_mut()?;
        Some(if side == OUT {
            &mut node.out
        } else {
            &mut node.inn
        })
    }

    /// Rebuilds the graph once most of its slots are gaps, so that memory follows its size.
    fn close_gaps(&mut self) {
        let gaps = self.nodes.len() + self.edges.len() - self.slots.len() - self.edge_slots.len();
        if gaps > 64 && gaps > self.slots.len() + self.edge_slots.len() {
            *self = self.subgraph(|_, _| true);
        }
    }
}
