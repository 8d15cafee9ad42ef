//! The form of a graph that analyses walk on: numbers in flat arrays.
//!
//! Nodes are numbered by their place in node order. A library graph type is of no use here: the
//! neighbour order is part of every result, and none keeps it.

use std::sync::Arc;

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

/// Neighbours of all nodes one after the other, each node's in neighbour order.
#[derive(Default)]
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
            let edges = graph.edges.iter().map(ends);
            let (mut out, _) = grouped(
                count,
                graph.edge_count(),
                edges.map(|(from, to)| (from, to, 0)),
                false,
            );
            if numeric {
                out.sort(&mut [], &array_indexes);
            }
            out
        };
        let inn = || {
            let edges = graph.edges.with_slots();
            let edges = edges.map(|(slot, edge)| {
                let (from, to) = ends(edge);
                (to, from, slot)
            });
            let (mut inn, mut in_edges) = grouped(count, graph.edge_count(), edges, true);
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
        let longest = inn.starts.windows(2).map(|pair| pair[1] - pair[0]).max();
        let order = if longest.unwrap_or(0) <= u32::from(u8::MAX) {
            // Small counters stay close to the processor.
            kahn(
                &out,
                &inn,
                |count| count as u8,
                |count| *count -= 1,
                |count| *count == 0,
            )
        } else {
            kahn(
                &out,
                &inn,
                |count| count,
                |count| *count -= 1,
                |count| *count == 0,
            )
        };
        let (mut before, mut labels) = (Adjacency::default(), Vec::new());
        if order.len() == count {
            before = in_order(&inn, &order);
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

/// Nodes whose edges are grouped together; what is known of so many is close to the processor.
const BUCKET: usize = 1 << 14;

/// Groups edges `(own end, other end, slot)` by their own end, each group in the given order; the
/// slots too if they are wanted.
fn grouped(
    count: usize,
    edge_count: usize,
    edges: impl Iterator<Item = (u32, u32, u32)> + Clone,
    with_slots: bool,
) -> (Adjacency, Vec<u32>) {
    let mut starts = vec![0_u32; count + 1];
    let mut neighbours = vec![0_u32; edge_count];
    let mut slots = vec![0_u32; if with_slots { edge_count } else { 0 }];
    if count <= 2 * BUCKET {
        let mut fill = vec![0; count];
        group(
            &mut starts,
            0,
            &mut fill,
            &mut neighbours,
            &mut slots,
            edges,
        );
        return (Adjacency { starts, neighbours }, slots);
    }
    // With many nodes nearly every edge would touch memory that is far away. So the edges are
    // first dealt to buckets of neighbouring nodes, one bucket after the other in one list.
    let mut bucket_starts = vec![0_usize; count.div_ceil(BUCKET) + 1];
    for (own, _, _) in edges.clone() {
        bucket_starts[own as usize / BUCKET + 1] += 1;
    }
    for bucket in 1..bucket_starts.len() {
        bucket_starts[bucket] += bucket_starts[bucket - 1];
    }
    let mut dealt = vec![(0, 0, 0); edge_count];
    let mut fill = bucket_starts.clone();
    for edge in edges {
        let at = &mut fill[edge.0 as usize / BUCKET];
        dealt[*at] = edge;
        *at += 1;
    }
    let mut counts = vec![0; BUCKET];
    for (bucket, range) in bucket_starts.windows(2).enumerate() {
        let nodes = bucket * BUCKET..((bucket + 1) * BUCKET).min(count);
        let slots = slots.get_mut(range[0]..range[1]).unwrap_or_default();
        group(
            &mut starts[nodes.start..=nodes.end],
            nodes.start as u32,
            &mut counts[..nodes.len()],
            &mut neighbours[range[0]..range[1]],
            slots,
            dealt[range[0]..range[1]].iter().copied(),
        );
    }
    (Adjacency { starts, neighbours }, slots)
}

/// Groups the edges of the nodes from `first` on. `starts` begins with the number of edges before
/// them and gets one more entry for each node.
fn group(
    starts: &mut [u32],
    first: u32,
    fill: &mut [u32],
    neighbours: &mut [u32],
    slots: &mut [u32],
    edges: impl Iterator<Item = (u32, u32, u32)> + Clone,
) {
    fill.fill(0);
    for (own, _, _) in edges.clone() {
        fill[(own - first) as usize] += 1;
    }
    let before = starts[0];
    for node in 0..fill.len() {
        starts[node + 1] = starts[node] + fill[node];
        fill[node] = starts[node] - before;
    }
    for (own, other, slot) in edges {
        let at = &mut fill[(own - first) as usize];
        neighbours[*at as usize] = other;
        if let Some(place) = slots.get_mut(*at as usize) {
            *place = slot;
        }
        *at += 1;
    }
}

/// First in, first out from the nodes without prerequisites in node order, those set free in
/// neighbour order. The counters of unfinished prerequisites may be of any width.
fn kahn<C>(
    out: &Adjacency,
    inn: &Adjacency,
    counter: impl Fn(u32) -> C,
    lower: impl Fn(&mut C),
    is_zero: impl Fn(&C) -> bool,
) -> Vec<u32> {
    let lengths = inn.starts.windows(2).map(|pair| pair[1] - pair[0]);
    let mut waiting_for: Vec<C> = lengths.map(counter).collect();
    // The order is its own queue: what stands before `head` has been taken out.
    let mut order = Vec::with_capacity(waiting_for.len());
    let is_free = |place: &u32| is_zero(&waiting_for[*place as usize]);
    order.extend((0..waiting_for.len() as u32).filter(is_free));
    let mut head = 0;
    while let Some(&place) = order.get(head) {
        head += 1;
        for &next in out.of(place) {
            let waiting = &mut waiting_for[next as usize];
            lower(waiting);
            if is_zero(waiting) {
                order.push(next);
            }
        }
    }
    order
}

/// The same neighbours, nodes numbered by an order of all of them.
fn in_order(adjacency: &Adjacency, order: &[u32]) -> Adjacency {
    let mut numbers = vec![0; order.len()];
    for (number, place) in order.iter().enumerate() {
        numbers[*place as usize] = number as u32;
    }
    let mut starts = Vec::with_capacity(order.len() + 1);
    let mut neighbours = Vec::with_capacity(adjacency.neighbours.len());
    starts.push(0);
    for place in order {
        neighbours.extend(adjacency.of(*place).iter().map(|n| numbers[*n as usize]));
        starts.push(neighbours.len() as u32);
    }
    Adjacency { starts, neighbours }
}

impl Adjacency {
    /// The same neighbours, nodes numbered by an order of all of them.
    pub(crate) fn in_order(&self, order: &[u32]) -> Self {
        in_order(self, order)
    }

    /// Brings neighbours whose id is an array index to the front, ascending; `edges`, unless it
    /// is empty, along with them.
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
            let edges = edges.get_mut(range).unwrap_or_default();
            sorted.clear();
            sorted.extend(
                neighbours
                    .iter()
                    .enumerate()
                    .map(|(at, n)| (*n, edges.get(at).copied())),
            );
            // Stable: the others stay in the order of their edges.
            sorted.sort_by_key(|(n, _)| array_indexes[*n as usize]);
            for (place, (neighbour, edge)) in sorted.iter().enumerate() {
                neighbours[place] = *neighbour;
                if let Some(edge) = edge {
                    edges[place] = *edge;
                }
            }
        }
    }
}

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
