//! Ways to make a graph: from tasks, from tasks and edges, and step by step.

use std::sync::Arc;

use super::{DEFAULT_QUALITY_RETENTION, Edge, EdgeAttributes, NONE, Node};
use super::{TaskAttributes, TaskGraph, array_index};
use crate::{DependencyEdge, TaskInput, TaskgraphError};

impl TaskGraph {
    /// Makes a graph of tasks and what they depend on, each edge with a retention of 0.9.
    ///
    /// A dependency that names no task becomes a node of its own, named after its id; such nodes
    /// come after all tasks, in order of first mention ([`Self::missing_references`]). A
    /// repeated dependency is one edge.
    ///
    /// # Errors
    ///
    /// [`TaskgraphError::DuplicateNode`] for the first id seen twice, before anything else;
    /// [`TaskgraphError::SelfDependency`] for a task that names itself.
    pub fn from_tasks(tasks: &[TaskInput]) -> Result<Self, TaskgraphError> {
        let tasks = tasks
            .iter()
            .map(|task| (&*task.id, TaskAttributes::from(task), &*task.depends_on));
        Self::from_parts(tasks)
    }

    /// Makes a graph of tasks and a separate list of edges; what the tasks say they depend on is
    /// ignored. An edge without a retention gets 0.9.
    ///
    /// # Errors
    ///
    /// [`TaskgraphError::DuplicateNode`] for the first id seen twice; for each edge in order
    /// [`TaskgraphError::TaskNotFound`] for an unknown end, the prerequisite first,
    /// [`TaskgraphError::SelfDependency`], [`TaskgraphError::DuplicateEdge`].
    pub fn from_records(
        tasks: &[TaskInput],
        edges: &[DependencyEdge],
    ) -> Result<Self, TaskgraphError> {
        let none: &[String] = &[];
        let tasks = tasks
            .iter()
            .map(|task| (&*task.id, TaskAttributes::from(task), none));
        let mut graph = Self::from_parts(tasks)?;
        graph.add_edges(edges)?;
        Ok(graph)
    }

    pub(crate) fn add_edges(&mut self, edges: &[DependencyEdge]) -> Result<(), TaskgraphError> {
        self.reserve_edges(edges.len());
        for edge in edges {
            let retention = edge.quality_retention.unwrap_or(DEFAULT_QUALITY_RETENTION);
            self.add_dependency_retaining(&edge.from, &edge.to, retention)?;
        }
        Ok(())
    }

    /// The tasks and their dependencies, whatever they were read from.
    pub(crate) fn from_parts<'a>(
        tasks: impl Iterator<Item = (&'a str, TaskAttributes, &'a [String])>,
    ) -> Result<Self, TaskgraphError> {
        let mut graph = Self::new();
        let mut depending = Vec::new();
        graph.reserve_nodes(tasks.size_hint().0);
        for (id, attributes, depends_on) in tasks {
            let slot = graph.add_node(id, attributes)?;
            if !depends_on.is_empty() {
                depending.push((slot, depends_on));
            }
        }
        graph.reserve_edges(
            depending
                .iter()
                .map(|(_, depends_on)| depends_on.len())
                .sum(),
        );
        // The last dependent each node became a prerequisite of: tells a repeated dependency
        // without looking at the edges.
        let mut last_dependent = vec![NONE; graph.nodes.len()];
        for (to, depends_on) in depending {
            for id in depends_on {
                let from = match graph.slots.get(id.as_str()) {
                    Some(&slot) => slot,
                    None => {
                        last_dependent.push(NONE);
                        graph.insert_node(id, TaskAttributes::named(id.as_str()), true)
                    }
                };
                if from == to {
                    return Err(TaskgraphError::SelfDependency {
                        task_id: id.clone(),
                    });
                }
                if std::mem::replace(&mut last_dependent[from as usize], to) != to {
                    graph.push_edge(
                        from,
                        to,
                        None,
                        EdgeAttributes::retaining(DEFAULT_QUALITY_RETENTION),
                    );
                }
            }
        }
        Ok(graph)
    }

    /// Adds a task without dependencies.
    ///
    /// # Errors
    ///
    /// [`TaskgraphError::DuplicateNode`] when the id is there, if only as a missing reference.
    pub fn add_task(&mut self, id: &str, attributes: TaskAttributes) -> Result<(), TaskgraphError> {
        self.add_node(id, attributes).map(|_| ())
    }

    /// Makes `dependent` depend on `prerequisite` with a retention of 0.9.
    ///
    /// # Errors
    ///
    /// [`TaskgraphError::TaskNotFound`] for an unknown end, the prerequisite first,
    /// [`TaskgraphError::SelfDependency`], [`TaskgraphError::DuplicateEdge`].
    pub fn add_dependency(
        &mut self,
        prerequisite: &str,
        dependent: &str,
    ) -> Result<(), TaskgraphError> {
        self.add_dependency_retaining(prerequisite, dependent, DEFAULT_QUALITY_RETENTION)
    }

    /// Makes `dependent` depend on `prerequisite` with the given retention (range not checked).
    ///
    /// # Errors
    ///
    /// As [`Self::add_dependency`].
    pub fn add_dependency_retaining(
        &mut self,
        prerequisite: &str,
        dependent: &str,
        quality_retention: f64,
    ) -> Result<(), TaskgraphError> {
        self.add_edge(
            prerequisite,
            dependent,
            None,
            EdgeAttributes::retaining(quality_retention),
        )
    }

    pub(super) fn add_edge(
        &mut self,
        from: &str,
        to: &str,
        key: Option<Box<str>>,
        attributes: EdgeAttributes,
    ) -> Result<(), TaskgraphError> {
        let (from_slot, to_slot) = (self.slot(from)?, self.slot(to)?);
        if from_slot == to_slot {
            return Err(TaskgraphError::SelfDependency {
                task_id: from.to_owned(),
            });
        }
        if self.insert_edge(from_slot, to_slot, key, attributes) {
            return Ok(());
        }
        Err(TaskgraphError::DuplicateEdge {
            prerequisite: from.to_owned(),
            dependent: to.to_owned(),
        })
    }

    pub(super) fn add_node(
        &mut self,
        id: &str,
        attributes: TaskAttributes,
    ) -> Result<u32, TaskgraphError> {
        if self.slots.contains_key(id) {
            return Err(TaskgraphError::DuplicateNode {
                task_id: id.to_owned(),
            });
        }
        Ok(self.insert_node(id, attributes, false))
    }

    pub(super) fn slot(&self, id: &str) -> Result<u32, TaskgraphError> {
        let slot = self.slots.get(id).copied();
        slot.ok_or_else(|| TaskgraphError::TaskNotFound {
            task_id: id.to_owned(),
        })
    }

    pub(super) fn reserve_nodes(&mut self, count: usize) {
        self.nodes.reserve(count);
        self.slots.reserve(count);
    }

    pub(super) fn reserve_edges(&mut self, count: usize) {
        self.edges.reserve(count);
    }

    /// Adds a node whose id is known to be new.
    fn insert_node(&mut self, id: &str, attributes: TaskAttributes, orphan: bool) -> u32 {
        self.layout.take();
        if let Some(index) = self.index.get_mut() {
            index.add_node();
        }
        let slot = self.nodes.len() as u32;
        let id: Arc<str> = Arc::from(id);
        let array_index = array_index(&id);
        self.slots.insert(Arc::clone(&id), slot);
        self.nodes.push(Some(Node {
            id,
            attributes,
            orphan,
            array_index,
        }));
        slot
    }

    /// Adds an edge between two different nodes; false when there is one already.
    fn insert_edge(
        &mut self,
        from: u32,
        to: u32,
        key: Option<Box<str>>,
        attributes: EdgeAttributes,
    ) -> bool {
        if self.index().between(from, to).is_some() {
            return false;
        }
        self.push_edge(from, to, key, attributes);
        true
    }

    /// Adds an edge that is known to be new.
    pub(super) fn push_edge(
        &mut self,
        from: u32,
        to: u32,
        key: Option<Box<str>>,
        attributes: EdgeAttributes,
    ) {
        self.layout.take();
        let edge = Edge {
            from,
            to,
            attributes,
            key,
        };
        if let Some(index) = self.index.get_mut() {
            index.add_edge(self.edges.len() as u32, &edge);
        }
        self.edges.push(Some(edge));
        self.edge_count += 1;
    }
}
