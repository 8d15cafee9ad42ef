//! Who is next to whom: flat lists, how edges are sorted into them, and the order that follows.

use super::NONE;

/// Neighbours of all nodes one after the other, each node's in neighbour order.
#[derive(Default)]
pub(crate) struct Adjacency {
    starts: Vec<u32>,
    pub(super) neighbours: Vec<u32>,
}

impl Adjacency {
    #[inline]
    pub(crate) fn of(&self, node: u32) -> &[u32] {
        &self.neighbours[self.range(node)]
    }

    #[inline]
    pub(super) fn range(&self, node: u32) -> std::ops::Range<usize> {
        self.starts[node as usize] as usize..self.starts[node as usize + 1] as usize
    }
}

impl Adjacency {
    /// The same neighbours, nodes numbered by an order of all of them.
    pub(crate) fn in_order(&self, order: &[u32]) -> Self {
        let mut numbers = vec![0; order.len()];
        for (number, place) in order.iter().enumerate() {
            numbers[*place as usize] = number as u32;
        }
        let mut starts = Vec::with_capacity(order.len() + 1);
        let mut neighbours = Vec::with_capacity(self.neighbours.len());
        starts.push(0);
        for place in order {
            neighbours.extend(self.of(*place).iter().map(|n| numbers[*n as usize]));
            starts.push(neighbours.len() as u32);
        }
        Self { starts, neighbours }
    }

    /// Brings neighbours whose id is an array index to the front, ascending; what is known of each
    /// edge along with them.
    pub(super) fn sort<E: Copy>(&mut self, edges: &mut [E], array_indexes: &[u32]) {
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

/// Nodes whose edges are grouped together; what is known of so many is close to the processor.
const BUCKET: usize = 1 << 14;

/// Groups edges `(own end, other end, what else is known)` by their own end, each group in the
/// given order.
pub(super) fn grouped<E: Copy + Default>(
    count: usize,
    edge_count: usize,
    edges: impl Iterator<Item = (u32, u32, E)> + Clone,
) -> (Adjacency, Vec<E>) {
    let mut starts = vec![0_u32; count + 1];
    if edges.clone().is_sorted_by_key(|(own, _, _)| own) {
        // Whoever builds from tasks has the edges in the order of one of their ends.
        let mut neighbours = Vec::with_capacity(edge_count);
        let mut known = Vec::with_capacity(edge_count);
        for (own, other, edge) in edges {
            neighbours.push(other);
            known.push(edge);
            starts[own as usize + 1] += 1;
        }
        for node in 0..count {
            starts[node + 1] += starts[node];
        }
        return (Adjacency { starts, neighbours }, known);
    }
    let mut neighbours = vec![0_u32; edge_count];
    let mut known = vec![E::default(); edge_count];
    if count <= 2 * BUCKET {
        let mut fill = vec![0; count];
        group(
            &mut starts,
            0,
            &mut fill,
            &mut neighbours,
            &mut known,
            edges,
        );
        return (Adjacency { starts, neighbours }, known);
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
    let mut dealt = vec![(0, 0, E::default()); edge_count];
    let mut fill = bucket_starts.clone();
    for edge in edges {
        let at = &mut fill[edge.0 as usize / BUCKET];
        dealt[*at] = edge;
        *at += 1;
    }
    let mut counts = vec![0; BUCKET];
    for (bucket, range) in bucket_starts.windows(2).enumerate() {
        let nodes = bucket * BUCKET..((bucket + 1) * BUCKET).min(count);
        group(
            &mut starts[nodes.start..=nodes.end],
            nodes.start as u32,
            &mut counts[..nodes.len()],
            &mut neighbours[range[0]..range[1]],
            &mut known[range[0]..range[1]],
            dealt[range[0]..range[1]].iter().copied(),
        );
    }
    (Adjacency { starts, neighbours }, known)
}

/// Groups the edges of the nodes from `first` on. `starts` begins with the number of edges before
/// them and gets one more entry for each node.
fn group<E>(
    starts: &mut [u32],
    first: u32,
    fill: &mut [u32],
    neighbours: &mut [u32],
    known: &mut [E],
    edges: impl Iterator<Item = (u32, u32, E)> + Clone,
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
    for (own, other, edge) in edges {
        let at = &mut fill[(own - first) as usize];
        neighbours[*at as usize] = other;
        known[*at as usize] = edge;
        *at += 1;
    }
}

/// First in, first out from the nodes without prerequisites in node order, those set free in
/// neighbour order; as far as cycles let it come.
pub(super) fn topological_order(out: &Adjacency, inn: &Adjacency) -> Vec<u32> {
    let lengths = inn.starts.windows(2).map(|pair| pair[1] - pair[0]);
    if lengths.max().unwrap_or(0) <= u32::from(u8::MAX) {
        // Small counters stay close to the processor.
        kahn(
            out,
            inn,
            |count| count as u8,
            |count| *count -= 1,
            |count| *count == 0,
        )
    } else {
        kahn(
            out,
            inn,
            |count| count,
            |count| *count -= 1,
            |count| *count == 0,
        )
    }
}

/// The same with counters of unfinished prerequisites of any width.
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
