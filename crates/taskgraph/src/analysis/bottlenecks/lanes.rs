//! Betweenness of a graph without cycles, eight sources at a time.
//!
//! Where there is no cycle, distances and path counts need no search: in topological order each
//! follows from those of the prerequisites. The order is the same whatever the source, so eight
//! sources go through it side by side, one in each lane of a vector register.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::exact;
use crate::graph::{Adjacency, Layout};

/// Sources that go through the graph together.
const LANES: usize = 8;

/// Parts into which the sources are dealt. The scores of each part are added up on their own, so
/// the number decides the sums to the last bit and must not follow the number of cores.
const PARTS: usize = 32;

/// Unscaled betweenness by place, `order` being a topological order of all places.
pub(super) fn betweenness(layout: &Layout, order: &[u32]) -> Vec<f64> {
    let graph = Graph::new(layout, order);
    // Sources without dependents lie at the start of no path.
    let sources: Vec<u32> = (0..order.len() as u32)
        .filter(|node| !graph.out.of(*node).is_empty())
        .collect();
    let batches: Vec<&[u32]> = sources.chunks(LANES).collect();
    let parts = PARTS.min(batches.len());
    let next_part = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(parts));
    rayon::scope(|scope| {
        for _ in 0..rayon::current_num_threads().min(parts) {
            scope.spawn(|_| {
                let mut sweep = None;
                loop {
                    let part = next_part.fetch_add(1, Ordering::Relaxed);
                    if part >= parts {
                        break;
                    }
                    let sweep = sweep.get_or_insert_with(|| Sweep::new(&graph, layout));
                    // Dealt one by one: the first sources reach more than the last.
                    for batch in batches.iter().skip(part).step_by(parts) {
                        sweep.run(batch);
                    }
                    let scores = sweep.take_scores();
                    let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                    done.push((part, scores));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(part, _)| *part);
    let mut scores = vec![0.0; order.len()];
    for (_, part) in &done {
        for (place, score) in order.iter().zip(part) {
            scores[*place as usize] += score;
        }
    }
    scores
}

/// The graph with its nodes numbered in topological order.
struct Graph<'a> {
    order: &'a [u32],
    inn: &'a Adjacency,
    out: Adjacency,
}

impl<'a> Graph<'a> {
    fn new(layout: &'a Layout, order: &'a [u32]) -> Self {
        Self {
            order,
            inn: layout.before(),
            out: layout.out().in_order(order),
        }
    }
}

/// What eight sources know of a node.
#[derive(Clone, Copy)]
#[repr(align(32))]
struct State {
    /// Distance from the source: whole numbers, infinite where it does not reach. Singles, because
    /// every processor finds the least of two of them at once.
    distance: Lanes,
    /// Number of shortest paths from the source.
    paths: Lanes,
    /// Dependency of the source on the node.
    dependency: Lanes,
}

impl State {
    const CLEAR: Self = Self {
        distance: [f64::INFINITY; LANES],
        paths: [0.0; LANES],
        dependency: [0.0; LANES],
    };
}

/// Scratch space of one worker.
struct Sweep<'a> {
    graph: &'a Graph<'a>,
    layout: &'a Layout,
    states: Vec<State>,
    /// A bit for each node that is reached and not yet visited.
    waiting: Vec<u64>,
    /// Nodes that one of the sources reaches, in topological order.
    visited: Vec<u32>,
    scores: Vec<f64>,
    /// For sources with more paths than a double can count.
    exact: Option<exact::Worker>,
}

impl<'a> Sweep<'a> {
    fn new(graph: &'a Graph<'a>, layout: &'a Layout) -> Self {
        let count = layout.len();
        Self {
            graph,
            layout,
            states: vec![State::CLEAR; count],
            waiting: vec![0; count.div_ceil(64)],
            visited: Vec::new(),
            scores: vec![0.0; count],
            exact: None,
        }
    }

    fn take_scores(&mut self) -> Vec<f64> {
        let count = self.scores.len();
        std::mem::replace(&mut self.scores, vec![0.0; count])
    }

    /// Adds to the scores what lies on shortest paths from up to eight sources.
    fn run(&mut self, sources: &[u32]) {
        for (lane, source) in sources.iter().enumerate() {
            let state = &mut self.states[*source as usize];
            state.distance[lane] = 0.0;
            state.paths[lane] = 1.0;
            self.waiting[*source as usize / 64] |= 1 << (source % 64);
        }
        let first = sources.first().map_or(0, |source| *source as usize / 64);
        if self.count_paths(first) < exact::MOST_PATHS {
            self.accumulate();
        } else {
            for &node in &self.visited {
                self.states[node as usize] = State::CLEAR;
            }
            self.run_exactly(sources);
        }
        self.visited.clear();
    }

    /// Distances and path counts of all that is reached, from the given word of bits on; the
    /// largest count.
    fn count_paths(&mut self, first: usize) -> f64 {
        let mut most = [0.0_f64; LANES];
        for word in first..self.waiting.len() {
            while self.waiting[word] != 0 {
                let node = (word * 64) as u32 + self.waiting[word].trailing_zeros();
                self.waiting[word] &= self.waiting[word] - 1;
                self.visited.push(node);
                let State {
                    mut distance,
                    mut paths,
                    ..
                } = self.states[node as usize];
                let before = self.graph.inn.of(node);
                for other in before {
                    let one_more = plus(self.states[*other as usize].distance, [1.0; LANES]);
                    distance = least(distance, one_more);
                }
                for other in before {
                    let other = &self.states[*other as usize];
                    let one_more = plus(other.distance, [1.0; LANES]);
                    // Infinite and infinite are equal too, but then there are no paths.
                    paths = plus(paths, where_equal(one_more, distance, other.paths));
                }
                most = largest(most, paths);
                let state = &mut self.states[node as usize];
                state.distance = distance;
                state.paths = paths;
                for next in self.graph.out.of(node) {
                    self.waiting[*next as usize / 64] |= 1 << (next % 64);
                }
            }
        }
        most.into_iter().fold(0.0, f64::max)
    }

    /// Dependencies on all that was reached, last first; leaves the scratch space clear.
    fn accumulate(&mut self) {
        for &node in self.visited.iter().rev() {
            let State {
                distance,
                paths,
                dependency,
            } = std::mem::replace(&mut self.states[node as usize], State::CLEAR);
            // No paths where a source does not reach; any number does there.
            let share = over(plus(dependency, [1.0; LANES]), largest(paths, [1.0; LANES]));
            // At the start of a path it is not between.
            self.scores[node as usize] += sum(where_less([0.5; LANES], distance, dependency));
            for other in self.graph.inn.of(node) {
                let other = &mut self.states[*other as usize];
                let one_more = plus(other.distance, [1.0; LANES]);
                let part = where_equal(one_more, distance, times(other.paths, share));
                other.dependency = plus(other.dependency, part);
            }
        }
    }

    /// The same for sources whose paths are more than a double can count.
    fn run_exactly(&mut self, sources: &[u32]) {
        let count = self.layout.len();
        let worker = self.exact.get_or_insert_with(|| exact::Worker::new(count));
        let mut numbers = vec![0; count];
        for (number, place) in self.graph.order.iter().enumerate() {
            numbers[*place as usize] = number as u32;
        }
        for source in sources {
            let place = self.graph.order[*source as usize];
            worker.run(self.layout, &[place]);
            for (place, dependency) in worker.found.drain(..) {
                self.scores[numbers[place as usize] as usize] += dependency;
            }
        }
    }
}

type Lanes = [f64; LANES];

#[inline(always)]
fn each(of: impl Fn(usize) -> f64) -> Lanes {
    std::array::from_fn(of)
}

#[inline(always)]
fn plus(a: Lanes, b: Lanes) -> Lanes {
    each(|lane| a[lane] + b[lane])
}

#[inline(always)]
fn times(a: Lanes, b: Lanes) -> Lanes {
    each(|lane| a[lane] * b[lane])
}

#[inline(always)]
fn over(a: Lanes, b: Lanes) -> Lanes {
    each(|lane| a[lane] / b[lane])
}

#[inline(always)]
fn least(a: Lanes, b: Lanes) -> Lanes {
    each(|lane| if b[lane] < a[lane] { b[lane] } else { a[lane] })
}

#[inline(always)]
fn largest(a: Lanes, b: Lanes) -> Lanes {
    each(|lane| if b[lane] > a[lane] { b[lane] } else { a[lane] })
}

/// The values where `a` is `b`, elsewhere 0.
#[inline(always)]
fn where_equal(a: Lanes, b: Lanes, values: Lanes) -> Lanes {
    each(|lane| {
        let mask = u64::from(a[lane] == b[lane]).wrapping_neg();
        f64::from_bits(values[lane].to_bits() & mask)
    })
}

/// The values where `a` is less than `b`, elsewhere 0.
#[inline(always)]
fn where_less(a: Lanes, b: Lanes, values: Lanes) -> Lanes {
    each(|lane| {
        let mask = u64::from(a[lane] < b[lane]).wrapping_neg();
        f64::from_bits(values[lane].to_bits() & mask)
    })
}

fn sum([a, b, c, d, e, f, g, h]: Lanes) -> f64 {
    ((a + b) + (c + d)) + ((e + f) + (g + h))
}

#[cfg(test)]
mod tests {
    use super::{betweenness, exact};
    use crate::{TaskGraph, TaskInput};

    /// Tasks with up to five dependencies among the `reach` before, ids shuffled against them.
    fn random(count: u64, reach: u64) -> TaskGraph {
        let mut state = reach + 1;
        let mut below = |limit: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % limit
        };
        let id = |number: u64| format!("t{}", number * 7_919 % count);
        let mut tasks: Vec<TaskInput> = (0..count)
            .map(|number| {
                let before: Vec<String> = (0..below(6))
                    .filter(|_| number > 0)
                    .map(|_| id(number - 1 - below(reach.min(number))))
                    .collect();
                TaskInput::new(id(number), "").depending_on(before)
            })
            .collect();
        tasks.sort_by(|a, b| a.id.cmp(&b.id));
        TaskGraph::from_tasks(&tasks).unwrap()
    }

    #[test]
    fn eight_sources_at_a_time_find_what_one_at_a_time_finds() {
        for (count, reach) in [
            (0, 1),
            (1, 1),
            (7, 3),
            (9, 9),
            (503, 12),
            (1_301, 5),
            (1_301, 1_301),
        ] {
            let graph = random(count, reach);
            let layout = graph.layout();
            let found = betweenness(layout, layout.order().unwrap());
            for (found, expected) in found.iter().zip(exact::betweenness(layout)) {
                let difference = (found - expected).abs();
                assert!(
                    difference <= expected * 1e-9,
                    "{count} {reach}: {found} {expected}"
                );
            }
        }
    }

    #[test]
    fn scores_do_not_depend_on_the_number_of_cores() {
        let graph = random(1_301, 40);
        let scores = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            let pool = pool.build().unwrap();
            let layout = graph.layout();
            pool.install(|| betweenness(layout, layout.order().unwrap()))
        };
        let one = scores(1);
        assert!(one.iter().any(|score| *score > 0.0));
        assert_eq!(one, scores(3));
    }
}
