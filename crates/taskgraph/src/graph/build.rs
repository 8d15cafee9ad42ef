//! Ways to make a graph: from tasks, from tasks and edges, and step by step.

use rayon::prelude::*;

use super::{DEFAULT_QUALITY_RETENTION, EdgeAttributes, NONE, Node};
use super::{TaskAttributes, TaskGraph, array_index};
use crate::{DependencyEdge, TaskInput, TaskgraphError};

/// Tasks whose dependencies are looked up by one core at a time.
const SIDE_BY_SIDE: usize = 20_000;

/// Tasks whose ids are given slots together.
const BLOCK: usize = 256;

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

    /// Adds edges to a graph that has none yet.
    pub(crate) fn add_edges(&mut self, edges: &[DependencyEdge]) -> Result<(), TaskgraphError> {
        if self.add_all_edges(edges) {
            return Ok(());
        }
        // One of them is at fault; one after the other tells which.
        for edge in edges {
            let retention = edge.quality_retention.unwrap_or(DEFAULT_QUALITY_RETENTION);
            self.add_dependency_retaining(&edge.from, &edge.to, retention)?;
        }
        Ok(())
    }

    /// Adds edges to a graph that has none yet, or none of them when there is any fault.
    fn add_all_edges(&mut self, edges: &[DependencyEdge]) -> bool {
        let ends = edges.iter().flat_map(|edge| [&*edge.from, &*edge.to]);
        let mut slots = Vec::with_capacity(edges.len() * 2);
        self.ids.get_all(ends, &mut slots);
        let faulty = |ends: &[u32]| ends[0] == ends[1] || ends.contains(&NONE);
        if slots.chunks_exact(2).any(faulty) {
            return false;
        }
        self.reserve_edges(edges.len());
        for (ends, edge) in slots.chunks_exact(2).zip(edges) {
            let retention = edge.quality_retention.unwrap_or(DEFAULT_QUALITY_RETENTION);
            self.push_edge(ends[0], ends[1], retention);
        }
        if self.repeats_an_edge() {
            self.forget_edges();
            return false;
        }
        true
    }

    /// The tasks and their dependencies, whatever they were read from.
    pub(crate) fn from_parts<'a>(
        tasks: impl Iterator<Item = (&'a str, TaskAttributes, &'a [String])>,
    ) -> Result<Self, TaskgraphError> {
        let mut graph = Self::new();
        let mut depending = Vec::new();
        let mut named = 0;
        graph.reserve_nodes(tasks.size_hint().0);
        let mut ids = Vec::with_capacity(BLOCK);
        let mut tasks = tasks.peekable();
        while tasks.peek().is_some() {
            ids.clear();
            for (id, attributes, depends_on) in tasks.by_ref().take(BLOCK) {
                if !depends_on.is_empty() {
                    named += depends_on.len();
                    depending.push((graph.nodes.len() as u32, depends_on));
                }
                ids.push(id);
                graph.nodes.push(Some(Node {
                    attributes,
                    array_index: array_index(id),
                    orphan: false,
                }));
            }
            let inserted = graph.ids.insert_all(&ids);
            if let Some(twice) = ids.get(inserted) {
                return Err(TaskgraphError::DuplicateNode {
                    task_id: (*twice).to_owned(),
                });
            }
        }
        let slots_of = |depending: &[(u32, &[String])]| {
            let mut slots = Vec::new();
            let ids = depending.iter().flat_map(|(_, depends_on)| *depends_on);
            graph.ids.get_all(ids.map(String::as_str), &mut slots);
            slots
        };
        let slots: Vec<Vec<u32>> = depending.par_chunks(SIDE_BY_SIDE).map(slots_of).collect();
        graph.reserve_edges(named);
        // The last dependent each node became a prerequisite of: tells a repeated dependency
        // without looking at the edges.
        let mut last_dependent = vec![NONE; graph.nodes.len()];
        let mut slots = slots.into_iter().flatten();
        for (to, depends_on) in depending {
            for (id, slot) in depends_on.iter().zip(&mut slots) {
                let from = if slot == NONE {
                    let slot = graph.orphan(id);
                    last_dependent.resize(graph.nodes.len(), NONE);
                    slot
                } else {
                    slot
                };
                if from == to {
                    return Err(TaskgraphError::SelfDependency {
                        task_id: id.clone(),
                    });
                }
                if std::mem::replace(&mut last_dependent[from as usize], to) != to {
                    graph.push_edge(from, to, DEFAULT_QUALITY_RETENTION);
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
        let slot = self.insert_node(id, attributes, false);
        slot.ok_or_else(|| TaskgraphError::DuplicateNode {
            task_id: id.to_owned(),
        })
    }

    pub(super) fn slot(&self, id: &str) -> Result<u32, TaskgraphError> {
        let slot = self.ids.get(id);
        slot.ok_or_else(|| TaskgraphError::TaskNotFound {
            task_id: id.to_owned(),
        })
    }

    pub(super) fn reserve_nodes(&mut self, count: usize) {
        self.nodes.reserve(count);
        self.ids.reserve(count);
    }

    pub(super) fn reserve_edges(&mut self, count: usize) {
        self.edges.reserve(count);
    }

    /// The node of an id that names no task, made where there is none.
    fn orphan(&mut self, id: &str) -> u32 {
        let made = self.insert_node(id, TaskAttributes::named(id), true);
        made.or_else(|| self.ids.get(id)).unwrap_or(NONE)
    }

    /// Adds a node; none when its id is there.
    pub(super) fn insert_node(
        &mut self,
        id: &str,
        attributes: TaskAttributes,
        orphan: bool,
    ) -> Option<u32> {
        let slot = self.ids.insert(id)?;
        self.layout.take();
        if let Some(index) = self.index.get_mut() {
            index.add_node();
        }
        self.orphans += usize::from(orphan);
        self.nodes.push(Some(Node {
            attributes,
            array_index: array_index(id),
            orphan,
        }));
        Some(slot)
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
        self.push_edge_with(from, to, key, attributes);
        true
    }

    /// Adds an edge that is known to be new.
    #[inline]
    pub(super) fn push_edge(&mut self, from: u32, to: u32, retention: f64) {
        self.edges.push(from, to, retention);
        self.note_edge(from, to);
    }

    /// The same with all that an edge may have.
    pub(super) fn push_edge_with(
        &mut self,
        from: u32,
        to: u32,
        key: Option<Box<str>>,
        attributes: EdgeAttributes,
    ) {
        self.edges.push_with(from, to, key, attributes);
        self.note_edge(from, to);
    }

    #[inline]
    fn note_edge(&mut self, from: u32, to: u32) {
        self.layout.take();
        let slot = self.edges.slots() as u32 - 1;
        if let Some(index) = self.index.get_mut() {
            index.add_edge(slot, from, to);
        }
    }

    /// Whether two edges have the same ends.
    pub(super) fn repeats_an_edge(&self) -> bool {
        let layout = self.layout();
        let mut last_dependent = vec![NONE; layout.len()];
        (0..layout.len() as u32).any(|to| {
            let mut repeated =
                |from: &u32| std::mem::replace(&mut last_dependent[*from as usize], to) == to;
            layout.inn().of(to).iter().any(&mut repeated)
        })
    }

    fn forget_edges(&mut self) {
        self.edges = super::Edges::default();
        self.index.take();
        self.layout.take();
    }
}
