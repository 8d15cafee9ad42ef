//! What there is to see in a graph, before anyone decides how it looks.

use std::collections::{HashMap, HashSet};

use crate::{TaskAttributes, TaskGraph};

/// A graph with the facts that every drawing shows. Tasks are numbered in node order.
pub(super) struct Scene<'g> {
    pub(super) graph: &'g TaskGraph,
    /// In edge order.
    pub(super) edges: Vec<Edge>,
    /// The critical path from its first task to its last; empty when there are cycles.
    pub(super) critical_path: Vec<u32>,
    /// By task: whether it is only known because others depend on it.
    pub(super) missing: Vec<bool>,
    /// Ids of the tasks of each cycle found.
    pub(super) cycles: Vec<Vec<&'g str>>,
}

/// One dependency, from prerequisite to dependent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Edge {
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) kind: EdgeKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EdgeKind {
    Ordinary,
    /// Between two neighbours on the critical path.
    Critical,
    /// Closes a cycle: without these edges the graph has none.
    Back,
}

impl<'g> Scene<'g> {
    pub(super) fn new(graph: &'g TaskGraph) -> Self {
        let back = back_edges(graph);
        let critical_path = critical_places(graph);
        let mut next = vec![u32::MAX; graph.task_count()];
        for pair in critical_path.windows(2) {
            next[pair[0] as usize] = pair[1];
        }
        let kind = |from: u32, to: u32| {
            if back.contains(&(from, to)) {
                EdgeKind::Back
            } else if next[from as usize] == to {
                EdgeKind::Critical
            } else {
                EdgeKind::Ordinary
            }
        };
        let missing: HashSet<&str> = graph
            .missing_references()
            .into_iter()
            .map(|(_, id)| id)
            .collect();
        Self {
            graph,
            edges: graph
                .edge_places()
                .into_iter()
                .map(|(from, to)| Edge {
                    from,
                    to,
                    kind: kind(from, to),
                })
                .collect(),
            critical_path,
            missing: graph.task_ids().map(|id| missing.contains(id)).collect(),
            cycles: if back.is_empty() {
                Vec::new()
            } else {
                graph.find_cycles()
            },
        }
    }

    /// Number of tasks, missing ones included.
    pub(super) fn len(&self) -> usize {
        self.missing.len()
    }

    pub(super) fn tasks(&self) -> impl Iterator<Item = (usize, &'g str, &'g TaskAttributes)> {
        self.graph
            .tasks()
            .enumerate()
            .map(|(place, (id, attributes))| (place, id, attributes))
    }

    /// By task: whether it is on the critical path.
    pub(super) fn on_critical_path(&self) -> Vec<bool> {
        let mut on_path = vec![false; self.len()];
        for place in &self.critical_path {
            on_path[*place as usize] = true;
        }
        on_path
    }
}

fn critical_places(graph: &TaskGraph) -> Vec<u32> {
    // A graph with cycles has no longest path; the drawing then goes without.
    let Ok(path) = graph.critical_path() else {
        return Vec::new();
    };
    let places: HashMap<&str, u32> = graph.task_ids().zip(0..).collect();
    path.into_iter()
        .filter_map(|id| places.get(id).copied())
        .collect()
}

/// Edges that lead back into the current path of a depth-first search in node order: each closes
/// a cycle, and without them there is none.
fn back_edges(graph: &TaskGraph) -> HashSet<(u32, u32)> {
    #[derive(Clone, Copy, PartialEq)]
    enum State {
        Unseen,
        OnPath,
        Finished,
    }
    let mut back = HashSet::new();
    if !graph.has_cycles() {
        return back;
    }
    let layout = graph.layout();
    let mut state = vec![State::Unseen; layout.len()];
    let mut path: Vec<(u32, usize)> = Vec::new();
    for root in 0..layout.len() as u32 {
        if state[root as usize] != State::Unseen {
            continue;
        }
        state[root as usize] = State::OnPath;
        path.push((root, 0));
        while let Some((node, cursor)) = path.last_mut() {
            let Some(&target) = layout.out().of(*node).get(*cursor) else {
                state[*node as usize] = State::Finished;
                path.pop();
                continue;
            };
            *cursor += 1;
            match state[target as usize] {
                State::Unseen => {
                    state[target as usize] = State::OnPath;
                    path.push((target, 0));
                }
                State::OnPath => {
                    back.insert((*node, target));
                }
                State::Finished => {}
            }
        }
    }
    back
}
