//! The order of the vertices in each layer: as few crossings as a bounded search finds.

use super::Layers;

/// Vertices and lines that all sweeps together may look at, which bounds the time.
const WORK: usize = 8_000_000;

/// Sweeps without a better result after which the search ends.
const PATIENCE: usize = 4;

/// Orders the layers: depth first to begin with, so that what belongs together stands together,
/// then sweeps that put each vertex at the mean place of its neighbours, to the right and back.
/// The order with the fewest crossings wins.
pub(super) fn arrange(layers: &mut Layers) {
    start(layers);
    let size = layers.rank.len() + layers.right.iter().map(Vec::len).sum::<usize>();
    let sweeps = (WORK / size.max(1)).clamp(2, 24);
    let mut place = places(layers);
    let mut best = crossings(layers, &place);
    let mut kept = layers.layers.clone();
    let mut in_vain = 0;
    for _ in 0..sweeps {
        if best == 0 || in_vain == PATIENCE {
            break;
        }
        for rank in 1..layers.layers.len() {
            sort(layers, rank, Side::Left, &mut place);
        }
        for rank in (0..layers.layers.len().saturating_sub(1)).rev() {
            sort(layers, rank, Side::Right, &mut place);
        }
        let now = crossings(layers, &place);
        if now < best {
            best = now;
            kept.clone_from(&layers.layers);
            in_vain = 0;
        } else {
            in_vain += 1;
        }
    }
    layers.layers = kept;
}

#[derive(Clone, Copy)]
enum Side {
    Left,
    Right,
}

/// Fills the layers in the order of a depth-first walk from the leftmost tasks.
fn start(layers: &mut Layers) {
    let mut roots: Vec<u32> = (0..layers.rank.len() as u32).collect();
    roots.sort_by_key(|vertex| layers.rank[*vertex as usize]);
    let mut seen = vec![false; layers.rank.len()];
    let mut waiting = Vec::new();
    for root in roots {
        waiting.push(root);
        while let Some(vertex) = waiting.pop() {
            if std::mem::replace(&mut seen[vertex as usize], true) {
                continue;
            }
            layers.layers[layers.rank[vertex as usize] as usize].push(vertex);
            waiting.extend(layers.left[vertex as usize].iter().rev());
            waiting.extend(layers.right[vertex as usize].iter().rev());
        }
    }
}

/// By vertex: its place in its layer.
fn places(layers: &Layers) -> Vec<u32> {
    let mut place = vec![0; layers.rank.len()];
    for layer in &layers.layers {
        for (at, vertex) in layer.iter().enumerate() {
            place[*vertex as usize] = at as u32;
        }
    }
    place
}

/// Puts each vertex of a layer at the mean place of its neighbours on one side.
fn sort(layers: &mut Layers, rank: usize, side: Side, place: &mut [u32]) {
    let (neighbours, other) = match side {
        Side::Left => (&layers.left, rank - 1),
        Side::Right => (&layers.right, rank + 1),
    };
    // A vertex without neighbours on that side stays where it is, measured in places there.
    let scale = layers.layers[other].len() as f64 / layers.layers[rank].len() as f64;
    let layer = &mut layers.layers[rank];
    let mut keyed: Vec<(f64, u32)> = layer
        .iter()
        .enumerate()
        .map(|(at, vertex)| {
            let neighbours = &neighbours[*vertex as usize];
            let mean = if neighbours.is_empty() {
                at as f64 * scale
            } else {
                let sum: u64 = neighbours
                    .iter()
                    .map(|other| u64::from(place[*other as usize]))
                    .sum();
                sum as f64 / neighbours.len() as f64
            };
            (mean, *vertex)
        })
        .collect();
    // Stable: equal means keep their order.
    keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
    for (at, (_, vertex)) in keyed.into_iter().enumerate() {
        layer[at] = vertex;
        place[vertex as usize] = at as u32;
    }
}

/// Pairs of lines that cross between neighbouring layers.
fn crossings(layers: &Layers, place: &[u32]) -> u64 {
    let mut total = 0;
    let mut ends: Vec<u32> = Vec::new();
    let mut tree: Vec<u32> = Vec::new();
    for (rank, layer) in layers.layers.iter().enumerate() {
        let Some(next) = layers.layers.get(rank + 1) else {
            break;
        };
        // Lines from top to bottom by their left end; two cross when their right ends are the
        // other way round. A tree of counts tells how many earlier ones end further down.
        tree.clear();
        tree.resize(next.len() + 1, 0);
        let mut before = 0_u32;
        for vertex in layer {
            ends.clear();
            ends.extend(
                layers.right[*vertex as usize]
                    .iter()
                    .map(|to| place[*to as usize]),
            );
            for end in &ends {
                let mut at = end + 1;
                let mut not_below = 0;
                while at > 0 {
                    not_below += tree[at as usize];
                    at &= at - 1;
                }
                total += u64::from(before - not_below);
            }
            for end in &ends {
                let mut at = end + 1;
                while (at as usize) < tree.len() {
                    tree[at as usize] += 1;
                    at += at & at.wrapping_neg();
                }
                before += 1;
            }
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::super::{Layers, Link};
    use super::*;

    fn layers(tasks: usize, pairs: &[(u32, u32)]) -> Layers {
        let links: Vec<Link> = pairs
            .iter()
            .map(|(from, to)| Link {
                from: *from,
                to: *to,
                back: false,
            })
            .collect();
        Layers::new(tasks, &links, usize::MAX)
    }

    #[test]
    fn crossings_are_counted() {
        let mut crossed = layers(4, &[(0, 3), (1, 2)]);
        crossed.layers = vec![vec![0, 1], vec![2, 3]];
        assert_eq!(crossings(&crossed, &places(&crossed)), 1);
        crossed.layers = vec![vec![0, 1], vec![3, 2]];
        assert_eq!(crossings(&crossed, &places(&crossed)), 0);
    }

    #[test]
    fn a_drawing_without_crossings_is_found_where_there_is_one() {
        // A tree, its leaves given in mixed order.
        let mut tree = layers(7, &[(0, 1), (0, 2), (1, 6), (2, 3), (1, 4), (2, 5)]);
        arrange(&mut tree);
        assert_eq!(crossings(&tree, &places(&tree)), 0);
        let vertices: usize = tree.layers.iter().map(Vec::len).sum();
        assert_eq!(vertices, 7);
    }
}
