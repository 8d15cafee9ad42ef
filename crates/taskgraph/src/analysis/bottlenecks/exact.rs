//! Betweenness by the steps of Brandes' algorithm, in their order to the last bit.

use std::hint::select_unpredictable;

use rayon::prelude::*;

use crate::graph::Layout;

/// Entries of one round of sources that are kept until they are added up.
const ROUND_ENTRIES: usize = 2_000_000;

/// Unscaled betweenness by place.
pub(super) fn betweenness(layout: &Layout) -> Vec<f64> {
    let count = layout.len();
    let mut scores = vec![0.0; count];
    // Sources without dependents lie at the start of no path.
    let sources: Vec<u32> = (0..count as u32)
        .filter(|place| !layout.out().of(*place).is_empty())
        .collect();
    if sources.is_empty() {
        return scores;
    }
    // More workers than cores, because sources differ much in how far they reach.
    let workers = rayon::current_num_threads() * 4;
    let round = (ROUND_ENTRIES / count.max(1)).clamp(workers, 64 * workers);
    let make = || -> Vec<Worker> { (0..workers).map(|_| Worker::new(count)).collect() };
    let (mut computing, mut adding) = (make(), make());
    for sources in sources.chunks(round) {
        let share = sources.len().div_ceil(workers);
        // While the paths of one round are searched, the round before is added up.
        rayon::join(
            || {
                let shares = sources.chunks(share).chain(std::iter::repeat(&[][..]));
                let shares: Vec<_> = computing.iter_mut().zip(shares).collect();
                shares
                    .into_par_iter()
                    .for_each(|(worker, share)| worker.run(layout, share));
            },
            || add(&mut scores, &mut adding),
        );
        std::mem::swap(&mut computing, &mut adding);
    }
    add(&mut scores, &mut adding);
    scores
}

/// Adds what the workers found, in the order of the sources.
fn add(scores: &mut [f64], workers: &mut [Worker]) {
    for worker in workers {
        for (place, dependency) in worker.found.drain(..) {
            scores[place as usize] += dependency;
        }
    }
}

/// Scratch space for the searches of one share of the sources.
///
/// The searches do not branch on what they find: whether an edge lies on a shortest path is as
/// good as random to the processor, so a wrong guess at every other edge would cost more than
/// the work itself. Adding zero instead changes no sum.
pub(super) struct Worker {
    states: Vec<State>,
    /// Nodes in the order in which they were reached; one place more than there are nodes.
    visited: Vec<u32>,
    /// Place and dependency, source by source.
    pub(super) found: Vec<(u32, f64)>,
}

/// What a search knows of a node; side by side, since all of it is needed at once.
#[derive(Clone, Copy)]
struct State {
    /// Number of shortest paths from the source: a double, since it outgrows every integer.
    paths: f64,
    /// Dependency of the source on the node.
    dependency: f64,
    /// Distance from the source, [`UNSEEN`] where it does not reach.
    distance: u32,
}

const UNSEEN: u32 = u32::MAX;

impl State {
    const CLEAR: Self = Self {
        paths: 0.0,
        dependency: 0.0,
        distance: UNSEEN,
    };
}

impl Worker {
    pub(super) fn new(count: usize) -> Self {
        Self {
            states: vec![State::CLEAR; count],
            visited: vec![0; count + 1],
            found: Vec::new(),
        }
    }

    pub(super) fn run(&mut self, layout: &Layout, sources: &[u32]) {
        for source in sources {
            let reached = self.search(layout, *source);
            let most_paths = |most: f64, place: &u32| most.max(self.states[*place as usize].paths);
            if self.visited[..reached].iter().fold(0.0, most_paths) < MOST_PATHS {
                self.accumulate(layout, reached);
            } else {
                self.accumulate_wide(layout, reached);
            }
            self.collect(reached);
        }
    }

    /// Breadth-first search from `source`, counting shortest paths; how many nodes it reached.
    fn search(&mut self, layout: &Layout, source: u32) -> usize {
        self.states[source as usize] = State {
            paths: 1.0,
            dependency: 0.0,
            distance: 0,
        };
        self.visited[0] = source;
        let (mut head, mut reached) = (0, 1);
        while head < reached {
            let place = self.visited[head];
            head += 1;
            let State {
                paths, distance, ..
            } = self.states[place as usize];
            let next_distance = distance + 1;
            for &next in layout.out().of(place) {
                let state = &mut self.states[next as usize];
                let is_new = state.distance == UNSEEN;
                self.visited[reached] = next;
                reached += usize::from(is_new);
                state.distance = select_unpredictable(is_new, next_distance, state.distance);
                let is_next = state.distance == next_distance;
                state.paths += select_unpredictable(is_next, paths, 0.0);
            }
        }
        reached
    }

    /// Dependencies of the source on each node it reached, farthest first.
    fn accumulate(&mut self, layout: &Layout, reached: usize) {
        for &place in self.visited[..reached].iter().rev() {
            let State {
                paths,
                dependency,
                distance,
            } = self.states[place as usize];
            if distance <= 1 {
                // From here on only the source comes before, and that is not scored.
                break;
            }
            let share = (1.0 + dependency) / paths;
            for &before in layout.inn().of(place) {
                let state = &mut self.states[before as usize];
                // An unseen node wraps to 0, the distance of the source alone.
                let is_nearer = state.distance.wrapping_add(1) == distance;
                state.dependency += select_unpredictable(is_nearer, state.paths * share, 0.0);
            }
        }
    }

    /// The same with path counts beyond the range of a double, which are counted again.
    fn accumulate_wide(&mut self, layout: &Layout, reached: usize) {
        let mut paths = vec![Wide::ZERO; self.states.len()];
        let visited = &self.visited[..reached];
        if let Some(source) = visited.first() {
            paths[*source as usize] = Wide {
                digits: 1.0,
                steps: 0,
            };
        }
        for &place in visited {
            let next_distance = self.states[place as usize].distance + 1;
            for &next in layout.out().of(place) {
                if self.states[next as usize].distance == next_distance {
                    paths[next as usize] = paths[next as usize].plus(paths[place as usize]);
                }
            }
        }
        for &place in visited.iter().rev() {
            let State {
                dependency,
                distance,
                ..
            } = self.states[place as usize];
            for &before in layout.inn().of(place) {
                let state = &mut self.states[before as usize];
                if distance > 0 && state.distance.wrapping_add(1) == distance {
                    let part = paths[before as usize].over(paths[place as usize]);
                    state.dependency += part * (1.0 + dependency);
                }
            }
        }
    }

    /// Keeps what was found for one source and clears the scratch space for the next.
    fn collect(&mut self, reached: usize) {
        for &place in &self.visited[..reached] {
            let state = &mut self.states[place as usize];
            if state.dependency != 0.0 && state.distance > 0 {
                self.found.push((place, state.dependency));
            }
            *state = State::CLEAR;
        }
    }
}

/// Path counts from here on are counted as [`Wide`], before they become infinite.
pub(super) const MOST_PATHS: f64 = 1e300;

/// A positive number without bounds: `digits` times 2^512 to the power of `steps`.
#[derive(Clone, Copy)]
struct Wide {
    /// At least 1 and below 2^512, or zero.
    digits: f64,
    steps: u32,
}

impl Wide {
    const ZERO: Self = Self {
        digits: 0.0,
        steps: 0,
    };

    fn plus(self, other: Self) -> Self {
        let (large, small) = if self.steps >= other.steps {
            (self, other)
        } else {
            (other, self)
        };
        let digits = large.digits + small.digits * Self::down(large.steps - small.steps);
        if digits < Self::step() {
            return Self { digits, ..large };
        }
        Self {
            digits: digits * Self::down(1),
            steps: large.steps + 1,
        }
    }

    /// A quotient of at most 1.
    fn over(self, larger: Self) -> f64 {
        self.digits / larger.digits * Self::down(larger.steps.saturating_sub(self.steps))
    }

    fn step() -> f64 {
        2.0_f64.powi(512)
    }

    /// 2^512 to the power of minus `steps`, zero where a double ends.
    fn down(steps: u32) -> f64 {
        2.0_f64.powi(-512 * steps.min(4) as i32)
    }
}

#[cfg(test)]
mod tests {
    use super::{State, Worker};
    use crate::{TaskGraph, TaskInput};

    /// Layers of three tasks, each on all of the layer before.
    fn layered(layers: usize) -> TaskGraph {
        let tasks: Vec<TaskInput> = (0..layers * 3)
            .map(|number| {
                let before = (number / 3 * 3).saturating_sub(3)..number / 3 * 3;
                TaskInput::new(number.to_string(), "").depending_on(before.map(|n| n.to_string()))
            })
            .collect();
        TaskGraph::from_tasks(&tasks).unwrap()
    }

    #[test]
    fn counting_wide_gives_the_same_dependencies() {
        let graph = layered(500);
        let layout = graph.layout();
        let dependencies = |wide: bool| -> Vec<f64> {
            let mut worker = Worker::new(layout.len());
            let reached = worker.search(layout, 0);
            if wide {
                worker.accumulate_wide(layout, reached);
            } else {
                worker.accumulate(layout, reached);
            }
            worker.states[1..]
                .iter()
                .map(|state: &State| state.dependency)
                .collect()
        };
        for (wide, plain) in dependencies(true).iter().zip(dependencies(false)) {
            assert!((wide - plain).abs() <= plain * 1e-12, "{wide} {plain}");
        }
    }

    #[test]
    fn scores_stay_right_when_path_counts_outgrow_doubles() {
        // 3^700 paths from end to end. Of the pairs with one task before layer k and one after
        // it, each of the three tasks of layer k carries a third.
        let graph = layered(700);
        for bottleneck in graph.bottlenecks() {
            let layer = (bottleneck.task_id.parse::<u32>().unwrap() / 3) as f64;
            let expected = 3.0 * layer * (699.0 - layer) / (2_099.0 * 2_098.0);
            assert!((bottleneck.score - expected).abs() < 1e-9, "{layer}");
        }
    }
}
