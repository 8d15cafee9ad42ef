//! The form of a graph that analyses walk on: numbers in flat arrays.
//!
//! Nodes are numbered by their place in node order. A library graph type is of no use here: the
//! neighbour order is part of every result, and none keeps it.

use super::{Edge, NONE, TaskAttributes, TaskGraph};

pub(crate) struct Layout {
    /// Slot of each node, by place.
    slots: Vec<u32>,
    out: Adjacency,
    inn: Adjacency,
    /// Slot of the edge behind each entry of `inn`.
    in_edges: Vec<u32>,
}

/// Neighbours of all nodes one after the other, each node's in neighbour order.
pub(crate) struct Adjacency {
    starts: Vec<u32>,
    neighbours: Vec<u32>,
}

impl Adjacency {
    #[inline]
    pub(crate) fn of(&self, node: u32) -> &[u32] {
        &self.neighbours[self.range(node)]
    }

    #[inline]
    fn range(&self, node: u32) -> std::ops::Range<usize> {
        self.starts[node as usize] as usize..self.starts[node as usize + 1] as usize
    }
}

impl Layout {
    pub(super) fn new(graph: &TaskGraph) -> Self {
        let slots: Vec<u32> = graph.live_nodes().map(|(slot, _)| slot).collect();
        let mut places = vec![NONE; graph.nodes.len()];
        for (place, slot) in slots.iter().enumerate() {
            places[*slot as usize] = place as u32;
        }
        let array_indexes: Vec<u32> = graph
            .live_nodes()
            .map(|(_, node)| node.array_index)
            .collect();
        let by = |own: fn(&Edge) -> u32, other: fn(&Edge) -> u32| {
            let mut starts = vec![0_u32; slots.len() + 1];
            for (_, edge) in graph.live_edges() {
                starts[places[own(edge) as usize] as usize + 1] += 1;
            }
            for place in 0..slots.len() {
                starts[place + 1] += starts[place];
            }
            let mut fill = starts.clone();
            let mut neighbours = vec![0_u32; graph.edge_count()];
            let mut edges = vec![0_u32; graph.edge_count()];
            for (slot, edge) in graph.live_edges() {
                let at = &mut fill[places[own(edge) as usize] as usize];
                neighbours[*at as usize] = places[other(edge) as usize];
                edges[*at as usize] = slot;
                *at += 1;
            }
            let mut adjacency = Adjacency { starts, neighbours };
            if array_indexes.iter().any(|index| *index != NONE) {
                adjacency.sort(&mut edges, &array_indexes);
            }
            (adjacency, edges)
        };
        let (out, _) = by(|edge| edge.from, |edge| edge.to);
        let (inn, in_edges) = by(|edge| edge.to, |edge| edge.from);
        Self {
            slots,
            out,
            inn,
            in_edges,
        }
    }

    /// Number of nodes.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Dependents of each node.
    pub(crate) fn out(&self) -> &Adjacency {
        &self.out
    }

    /// Prerequisites of each node.
    pub(crate) fn inn(&self) -> &Adjacency {
        &self.inn
    }
}

impl Adjacency {
    /// Brings neighbours whose id is an array index to the front, ascending.
    fn sort(&mut self, edges: &mut [u32], array_indexes: &[u32]) {
        let mut sorted = Vec::new();
        for node in 0..self.starts.len() - 1 {
            let range = self.range(node as u32);
            let neighbours = &mut self.neighbours[range.clone()];
            if neighbours
                .iter()
                .all(|n| array_indexes[*n as usize] == NONE)
            {
                continue;
            }
            let edges = &mut edges[range];
            sorted.clear();
            sorted.extend(neighbours.iter().copied().zip(edges.iter().copied()));
            // Stable: the others stay in the order of their edges.
            sorted.sort_by_key(|(n, _)| array_indexes[*n as usize]);
            for (place, (neighbour, edge)) in sorted.iter().enumerate() {
                neighbours[place] = *neighbour;
                edges[place] = *edge;
            }
        }
    }
}

/// From places back to ids, attributes and edges.
impl TaskGraph {
    pub(crate) fn id_at(&self, place: u32) -> &str {
        let node = self.node(self.layout().slots[place as usize]);
        node.map_or("", |node| &*node.id)
    }

    pub(crate) fn shared_id_at(&self, place: u32) -> std::sync::Arc<str> {
        let node = self.node(self.layout().slots[place as usize]);
        node.map_or_else(|| std::sync::Arc::from(""), |node| node.id.clone())
    }

    pub(crate) fn ids_at(&self, places: &[u32]) -> Vec<&str> {
        places.iter().map(|place| self.id_at(*place)).collect()
    }

    pub(crate) fn attributes_at(&self, place: u32) -> &TaskAttributes {
        static NOTHING: std::sync::LazyLock<TaskAttributes> =
            std::sync::LazyLock::new(TaskAttributes::default);
        let node = self.node(self.layout().slots[place as usize]);
        node.map_or(&NOTHING, |node| &node.attributes)
    }

    /// Places of both ends of every edge, in edge order.
    pub(crate) fn edge_places(&self) -> Vec<(u32, u32)> {
        let mut places = vec![NONE; self.nodes.len()];
        for (place, slot) in self.layout().slots.iter().enumerate() {
            places[*slot as usize] = place as u32;
        }
        self.live_edges()
            .map(|(_, edge)| (places[edge.from as usize], places[edge.to as usize]))
            .collect()
    }

    /// Prerequisites of a node in neighbour order, each with the retention of its edge.
    pub(crate) fn retentions_at(&self, place: u32) -> impl Iterator<Item = (u32, Option<f64>)> {
        let layout = self.layout();
        layout.inn.range(place).map(move |at| {
            let edge = self.edges[layout.in_edges[at] as usize].as_ref();
            (
                layout.inn.neighbours[at],
                edge.and_then(|edge| edge.attributes.quality_retention),
            )
        })
    }
}
