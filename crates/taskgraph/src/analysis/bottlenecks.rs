//! Which tasks lie between the others: betweenness by Brandes' algorithm.
//!
//! Own code rather than a library's, for the sake of the last bit: a score is a sum over all
//! sources, and whatever number of cores work on it, it comes out the same. Up to a thousand tasks
//! it is the sum in the order of the algorithm, which other programs add up too; so many sums in
//! one fixed order are slow, and larger graphs without cycles have an order of their own.

mod exact;
mod lanes;

use serde::Serialize;

use crate::TaskGraph;

/// How much a task lies between others.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bottleneck<'g> {
    /// The task.
    pub task_id: &'g str,
    /// Part of the shortest paths between two other tasks that lead through this one, 0 to 1.
    pub score: f64,
}

/// Up to this many tasks the sums are added up in the order of the algorithm, to the last bit.
const EXACT_UP_TO: usize = 1_000;

impl TaskGraph {
    /// Betweenness of every task, largest first, equal ones in node order.
    ///
    /// Takes time proportional to tasks times edges, on all cores of the current rayon pool; the
    /// scores do not depend on their number. Cycles are no obstacle.
    ///
    /// Up to 1,000 tasks, and where there are cycles, the scores are those of the algorithm's steps
    /// to the last bit; in larger graphs they may differ from them by a billionth.
    pub fn bottlenecks(&self) -> Vec<Bottleneck<'_>> {
        let mut scores = self.betweenness();
        let count = scores.len();
        if count > 2 {
            let scale = 1.0 / ((count - 1) as f64 * (count - 2) as f64);
            for score in &mut scores {
                *score *= scale;
            }
        }
        let mut result: Vec<_> = self
            .task_ids()
            .zip(scores)
            .map(|(task_id, score)| Bottleneck { task_id, score })
            .collect();
        result.sort_by(|a, b| b.score.total_cmp(&a.score));
        result
    }

    /// Unscaled betweenness by place.
    fn betweenness(&self) -> Vec<f64> {
        let layout = self.layout();
        if layout.len() > EXACT_UP_TO
            && let Some(order) = layout.order()
        {
            return lanes::betweenness(layout, order);
        }
        exact::betweenness(layout)
    }
}
