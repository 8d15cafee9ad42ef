//! How far down each vertex stands.

use super::{BOX_HEIGHT, Layers};

/// Pixels between two boxes, and between lines that pass.
const BOX_GAP: f64 = 16.0;
const LINE_GAP: f64 = 7.0;

/// Sweeps over all layers.
const SWEEPS: usize = 12;

/// By vertex: the middle of its height, the topmost edge of all at 0; and the height of all.
///
/// Each sweep pulls the vertices of a layer to the mean height of their neighbours, as near to it
/// as order and distances allow in the sense of least squares. Long lines pull hardest, so they
/// come out straight.
pub(super) fn heights(layers: &Layers) -> (Vec<f64>, f64) {
    let mut y = vec![0.0; layers.rank.len()];
    for layer in &layers.layers {
        let mut at = 0.0;
        for (number, vertex) in layer.iter().enumerate() {
            if number > 0 {
                at += distance(layers, layer[number - 1], *vertex);
            }
            y[*vertex as usize] = at;
        }
        // Layers are centred on each other to begin with.
        for vertex in layer {
            y[*vertex as usize] -= at / 2.0;
        }
    }
    let count = layers.layers.len();
    for sweep in 0..SWEEPS {
        let sides = if sweep + 2 >= SWEEPS {
            Sides::Both
        } else if sweep % 2 == 0 {
            Sides::Left
        } else {
            Sides::Right
        };
        if sweep % 2 == 0 {
            for rank in 0..count {
                settle(layers, rank, sides, &mut y);
            }
        } else {
            for rank in (0..count).rev() {
                settle(layers, rank, sides, &mut y);
            }
        }
    }
    let half = |vertex: usize| {
        if layers.is_dummy(vertex as u32) {
            0.0
        } else {
            BOX_HEIGHT / 2.0
        }
    };
    let edge = |sign: f64| {
        let edges = y.iter().enumerate().map(|(v, y)| sign * y + half(v));
        edges.fold(f64::NEG_INFINITY, f64::max)
    };
    let (top, bottom) = (-edge(-1.0), edge(1.0));
    y.iter_mut().for_each(|y| *y -= top);
    (y, bottom - top)
}

#[derive(Clone, Copy, PartialEq)]
enum Sides {
    Left,
    Right,
    Both,
}

/// Least distance between the middles of two vertices, the first above the second.
fn distance(layers: &Layers, above: u32, below: u32) -> f64 {
    match (layers.is_dummy(above), layers.is_dummy(below)) {
        (false, false) => BOX_HEIGHT + BOX_GAP,
        (true, true) => LINE_GAP,
        _ => BOX_HEIGHT / 2.0 + LINE_GAP + 2.0,
    }
}

/// Moves the vertices of one layer towards their neighbours.
fn settle(layers: &Layers, rank: usize, sides: Sides, y: &mut [f64]) {
    let layer = &layers.layers[rank];
    // With the least distances taken off, keeping the order is all that is left to keep.
    let mut offset = 0.0;
    let mut blocks: Vec<Block> = Vec::with_capacity(layer.len());
    let mut offsets = Vec::with_capacity(layer.len());
    for (number, vertex) in layer.iter().enumerate() {
        if number > 0 {
            offset += distance(layers, layer[number - 1], *vertex);
        }
        offsets.push(offset);
        let (wanted, weight) = wish(layers, *vertex, sides, y);
        let mut block = Block {
            mean: wanted - offset,
            weight,
            vertices: 1,
        };
        // Neighbours that want to stand in each other's place share the mean of their wishes.
        while let Some(above) = blocks.last()
            && above.mean > block.mean
        {
            block = above.with(&block);
            blocks.pop();
        }
        blocks.push(block);
    }
    let means = blocks
        .iter()
        .flat_map(|block| std::iter::repeat_n(block.mean, block.vertices));
    for ((vertex, offset), mean) in layer.iter().zip(offsets).zip(means) {
        y[*vertex as usize] = mean + offset;
    }
}

struct Block {
    mean: f64,
    weight: f64,
    vertices: usize,
}

impl Block {
    fn with(&self, below: &Self) -> Self {
        let weight = self.weight + below.weight;
        Self {
            mean: (self.mean * self.weight + below.mean * below.weight) / weight,
            weight,
            vertices: self.vertices + below.vertices,
        }
    }
}

/// Where a vertex would like to stand, and how much.
fn wish(layers: &Layers, vertex: u32, sides: Sides, y: &[f64]) -> (f64, f64) {
    let none: &[u32] = &[];
    let left = if sides == Sides::Right {
        none
    } else {
        &layers.left[vertex as usize]
    };
    let right = if sides == Sides::Left {
        none
    } else {
        &layers.right[vertex as usize]
    };
    let (mut sum, mut weight) = (0.0, 0.0);
    for neighbour in left.iter().chain(right) {
        let pull = match (layers.is_dummy(vertex), layers.is_dummy(*neighbour)) {
            (true, true) => 8.0,
            (false, false) => 1.0,
            _ => 2.0,
        };
        sum += y[*neighbour as usize] * pull;
        weight += pull;
    }
    if weight == 0.0 {
        // Nothing pulls: stay, unless others need the room.
        return (y[vertex as usize], 0.05);
    }
    (sum / weight, weight)
}

#[cfg(test)]
mod tests {
    use super::super::{Layers, Link, order};
    use super::*;

    #[test]
    fn boxes_of_a_layer_never_overlap_and_a_chain_is_straight() {
        let links: Vec<Link> = [(0, 1), (1, 2), (0, 3), (0, 4), (3, 2), (4, 2), (0, 2)]
            .iter()
            .map(|(from, to)| Link {
                from: *from,
                to: *to,
                back: false,
            })
            .collect();
        let mut layers = Layers::new(5, &links, usize::MAX);
        order::arrange(&mut layers);
        let (y, height) = heights(&layers);
        for layer in &layers.layers {
            for pair in layer.windows(2) {
                let apart = y[pair[1] as usize] - y[pair[0] as usize];
                assert!(apart > distance(&layers, pair[0], pair[1]) - 1e-6);
            }
        }
        assert!((y[0] - y[2]).abs() < 1.0, "{y:?}");
        assert!(height >= 3.0 * BOX_HEIGHT);
    }
}
