//! Which tasks lie between the others: betweenness by Brandes' algorithm.
//!
//! Own code rather than a library's, for the sake of the last bit: a score is a sum over all
//! sources, and it must be added up in node order whatever number of cores work on it.

use rayon::prelude::*;
use serde::Serialize;

use crate::TaskGraph;
use crate::graph::Layout;

/// How much a task lies between others.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bottleneck<'g> {
    /// The task.
    pub task_id: &'g str,
    /// Part of the shortest paths between two other tasks that lead through this one, 0 to 1.
    pub score: f64,
}

/// Entries of one round of sources that are kept until they are added up.
const ROUND_ENTRIES: usize = 2_000_000;

impl TaskGraph {
    /// Betweenness of every task, largest first, equal ones in node order.
    ///
    /// Takes time proportional to tasks times edges, on all cores of the current rayon pool; the
    /// scores do not depend on their number. Cycles are no obstacle.
    pub fn bottlenecks(&self) -> Vec<Bottleneck<'_>> {
        let mut scores = betweenness(self.layout());
        let count = scores.len();
        if count > 2 {
            let scale = 1.0 / ((count - 1) as f64 * (count - 2) as f64);
            for score in &mut scores {
                *score *= scale;
            }
        }
        let mut result: Vec<_> = (0..count as u32)
            .map(|place| Bottleneck {
                task_id: self.id_at(place),
                score: scores[place as usize],
            })
            .collect();
        result.sort_by(|a, b| b.score.total_cmp(&a.score));
        result
    }
}

/// Unscaled betweenness by place.
fn betweenness(layout: &Layout) -> Vec<f64> {
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
struct Worker {
    /// Distance from the source, [`UNSEEN`] where it does not reach.
    distances: Vec<u32>,
    /// Number of shortest paths from the source: a double, since it outgrows every integer.
    paths: Vec<f64>,
    dependencies: Vec<f64>,
    visited: Vec<u32>,
    /// Place and dependency, source by source.
    found: Vec<(u32, f64)>,
}

const UNSEEN: u32 = u32::MAX;

impl Worker {
    fn new(count: usize) -> Self {
        Self {
            distances: vec![UNSEEN; count],
            paths: vec![0.0; count],
            dependencies: vec![0.0; count],
            visited: Vec::with_capacity(count),
            found: Vec::new(),
        }
    }

    fn run(&mut self, layout: &Layout, sources: &[u32]) {
        for source in sources {
            self.search(layout, *source);
            self.accumulate(layout);
        }
    }

    /// Breadth-first search from `source`, counting shortest paths.
    fn search(&mut self, layout: &Layout, source: u32) {
        self.distances[source as usize] = 0;
        self.paths[source as usize] = 1.0;
        self.visited.push(source);
        let mut head = 0;
        while let Some(&place) = self.visited.get(head) {
            head += 1;
            let next_distance = self.distances[place as usize] + 1;
            let paths = self.paths[place as usize];
            for &next in layout.out().of(place) {
                let distance = &mut self.distances[next as usize];
                if *distance == UNSEEN {
                    *distance = next_distance;
                    self.paths[next as usize] = paths;
                    self.visited.push(next);
                } else if *distance == next_distance {
                    self.paths[next as usize] += paths;
                }
            }
        }
    }

    /// Dependencies of the source on each node it reaches, farthest first, and the scratch space
    /// cleared for the next source.
    fn accumulate(&mut self, layout: &Layout) {
        for &place in self.visited.iter().rev() {
            let distance = self.distances[place as usize];
            let own = self.dependencies[place as usize];
            if distance > 1 {
                // Nearer nodes have only the source before them, which is not scored.
                let share = (1.0 + own) / self.paths[place as usize];
                for &before in layout.inn().of(place) {
                    // An unseen node wraps to 0, the distance of the source alone.
                    if self.distances[before as usize].wrapping_add(1) == distance {
                        self.dependencies[before as usize] += self.paths[before as usize] * share;
                    }
                }
            }
            if own != 0.0 && distance > 0 {
                self.found.push((place, own));
            }
        }
        for place in self.visited.drain(..) {
            self.distances[place as usize] = UNSEEN;
            self.dependencies[place as usize] = 0.0;
        }
    }
}
