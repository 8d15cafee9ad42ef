//! The form of a graph that analyses walk on: numbers in flat arrays.
//!
//! Nodes are numbered by their place in node order. A library graph type is of no use here: the
//! neighbour order is part of every result, and none keeps it.

use std::sync::Arc;

use super::adjacency::{Adjacency, grouped, topological_order};
use super::{Edge, Labels, NONE, TaskGraph};

pub(crate) struct Layout {
    /// Slot of each node, by place; empty when they are the same.
    slots: Vec<u32>,
    count: usize,
    out: Adjacency,
    inn: Adjacency,
    /// Slot of the edge behind each entry of `inn`.
    in_edges: Vec<u32>,
    /// The topological order as far as cycles let it come.
    order: Vec<u32>,
    /// Prerequisites by topological number, as topological numbers; empty when there are cycles.
    /// Analyses that follow the order read it, and all they note for a node, from front to back.
    before: Adjacency,
    /// By topological number; empty when there are cycles.
    labels: Vec<Labels>,
}

impl Layout {
    pub(super) fn new(graph: &TaskGraph) -> Self {
        let count = graph.task_count();
        let mut slots = Vec::new();
        let mut places = Vec::new();
        if count < graph.nodes.len() {
            slots.extend(graph.live_nodes().map(|(slot, _)| slot));
            places.resize(graph.nodes.len(), NONE);
            for (place, slot) in slots.iter().enumerate() {
                places[*slot as usize] = place as u32;
            }
        }
        let place_of = |slot: u32| {
            if places.is_empty() {
                slot
            } else {
                places[slot as usize]
            }
        };
        let array_indexes: Vec<u32> = graph
            .live_nodes()
            .map(|(_, node)| node.array_index)
            .collect();
        let numeric = array_indexes.iter().any(|index| *index != NONE);
        let ends = |edge: &Edge| (place_of(edge.from), place_of(edge.to));
        let out = || {
            let edges = graph.edges.iter().map(|edge| {
                let (from, to) = ends(edge);
                (from, to, ())
            });
            let (mut out, mut nothing) = grouped(count, graph.edge_count(), edges);
            if numeric {
                out.sort(&mut nothing, &array_indexes);
            }
            out
        };
        let inn = || {
            let edges = graph.edges.with_slots();
            let edges = edges.map(|(slot, edge)| {
                let (from, to) = ends(edge);
                (to, from, slot)
            });
            let (mut inn, mut in_edges) = grouped(count, graph.edge_count(), edges);
            if numeric {
                inn.sort(&mut in_edges, &array_indexes);
            }
            (inn, in_edges)
        };
        let (out, (inn, in_edges)) = if count < SIDE_BY_SIDE {
            (out(), inn())
        } else {
            rayon::join(out, inn)
        };
        let order = topological_order(&out, &inn);
        let (mut before, mut labels) = (Adjacency::default(), Vec::new());
        if order.len() == count {
            before = inn.in_order(&order);
            let nodes = graph.live_nodes();
            let by_place: Vec<Labels> = nodes.map(|(_, node)| (&node.attributes).into()).collect();
            labels.extend(order.iter().map(|place| by_place[*place as usize]));
        }
        Self {
            slots,
            count,
            out,
            inn,
            in_edges,
            order,
            before,
            labels,
        }
    }

    /// Number of nodes.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// Dependents of each node.
    pub(crate) fn out(&self) -> &Adjacency {
        &self.out
    }

    /// Prerequisites of each node.
    pub(crate) fn inn(&self) -> &Adjacency {
        &self.inn
    }

    /// Places in topological order; none when there are cycles.
    pub(crate) fn order(&self) -> Option<&[u32]> {
        (self.order.len() == self.count).then_some(&self.order)
    }

    /// Prerequisites of each node where there is an order, all nodes given by their number in it.
    pub(crate) fn before(&self) -> &Adjacency {
        &self.before
    }

    /// What analyses count with, of each node where there is an order, by its number in it.
    pub(crate) fn labels(&self) -> &[Labels] {
        &self.labels
    }

    #[inline]
    fn slot(&self, place: u32) -> u32 {
        if self.slots.is_empty() {
            place
        } else {
            self.slots[place as usize]
        }
    }
}

/// From this many nodes on it pays to use more than one core.
const SIDE_BY_SIDE: usize = 50_000;

/// From places back to ids, attributes and edges.
impl TaskGraph {
    pub(crate) fn id_at(&self, place: u32) -> &str {
        self.ids.text(self.layout().slot(place))
    }

    /// The ids of several paths, each id that is named more than once shared.
    pub(crate) fn shared_ids_at(&self, paths: &[Vec<u32>]) -> Vec<Vec<Arc<str>>> {
        let mut shared: Vec<Option<Arc<str>>> = vec![None; self.layout().len()];
        let mut id = |place: &u32| {
            let shared = &mut shared[*place as usize];
            Arc::clone(shared.get_or_insert_with(|| Arc::from(self.id_at(*place))))
        };
        paths
            .iter()
            .map(|path| path.iter().map(&mut id).collect())
            .collect()
    }

    pub(crate) fn ids_at(&self, places: &[u32]) -> Vec<&str> {
        if places.len() < self.task_count() / 8 {
            return places.iter().map(|place| self.id_at(*place)).collect();
        }
        // An id is found in the text, so it costs less to look at all of them in order first.
        let ids: Vec<&str> = self.task_ids().collect();
        places.iter().map(|place| ids[*place as usize]).collect()
    }

    /// Names of nodes, read like [`Self::ids_at`].
    pub(crate) fn names_at(&self, places: &[u32]) -> Vec<&str> {
        let names: Vec<&str> = self.tasks().map(|(_, task)| &*task.name).collect();
        places.iter().map(|place| names[*place as usize]).collect()
    }

    /// Places of both ends of every edge, in edge order.
    pub(crate) fn edge_places(&self) -> Vec<(u32, u32)> {
        let mut places = vec![NONE; self.nodes.len()];
        for (place, (slot, _)) in (0..).zip(self.live_nodes()) {
            places[slot as usize] = place;
        }
        self.edges
            .iter()
            .map(|edge| (places[edge.from as usize], places[edge.to as usize]))
            .collect()
    }

    /// Retentions of the edges from the prerequisites of a node, in neighbour order.
    pub(crate) fn retentions_at(&self, place: u32) -> impl Iterator<Item = Option<f64>> {
        let layout = self.layout();
        layout
            .inn
            .range(place)
            .map(move |at| self.edges.retention(layout.in_edges[at]))
    }

    /// The retention of all edges, where they are known to have the same.
    pub(crate) fn common_retention(&self) -> Option<f64> {
        self.edges.common_retention()
    }
}
