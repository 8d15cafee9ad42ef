//! Longest paths: by number of tasks, by a weight, by risk; and how much room tasks have.

use std::hint::select_unpredictable;

use serde::Serialize;

use crate::graph::Labels;
use crate::{TaskAttributes, TaskGraph, TaskImpact, TaskRisk, TaskScope, TaskgraphError};

/// The path that carries the most risk.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RiskPath<'g> {
    /// From its first task to its last; empty for an empty graph.
    pub path: Vec<&'g str>,
    /// Sum of the weights along the path.
    pub total_risk: f64,
}

/// How much room a task has before it delays the whole, in units of cost.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Schedule<'g> {
    /// The task.
    pub task_id: &'g str,
    /// Largest sum of costs of a path that ends just before the task; 0 for none.
    pub head: f64,
    /// Largest sum of costs of a path that starts with the task.
    pub tail: f64,
    /// Largest tail of all tasks minus head and tail of this one.
    pub slack: f64,
    /// Whether there is no slack.
    pub on_critical_path: bool,
    /// Failure probability times impact of the task.
    pub risk_score: f64,
}

/// Failure probability times impact, unassessed risk taken for medium, impact for isolated.
fn risk_score(labels: &Labels) -> f64 {
    let risk = labels.risk.unwrap_or(TaskRisk::Medium).risk_weight();
    risk * labels
        .impact
        .unwrap_or(TaskImpact::Isolated)
        .impact_weight()
}

impl TaskGraph {
    /// The longest chain of tasks, from first to last; the earliest in topological order where
    /// several are equally long.
    ///
    /// # Errors
    ///
    /// [`TaskgraphError::CircularDependency`].
    pub fn critical_path(&self) -> Result<Vec<&str>, TaskgraphError> {
        Ok(self.ids_at(&self.longest_path(|_| 1.0)?.0))
    }

    /// The path with the largest sum of weights. `weight` is asked once for each task.
    ///
    /// Negative weights may end a path early; a weight that is no number never wins.
    ///
    /// # Errors
    ///
    /// [`TaskgraphError::CircularDependency`].
    ///
    /// ```
    /// # use alkhub_taskgraph::{TaskGraph, TaskInput};
    /// # let graph = TaskGraph::from_tasks(&[
    /// #     TaskInput::new("a", ""),
    /// #     TaskInput::new("b", "").depending_on(["a"]),
    /// #     TaskInput::new("c", "").depending_on(["a"]),
    /// # ])?;
    /// let path = graph.weighted_critical_path(|id, _| if id == "c" { 5.0 } else { 1.0 })?;
    /// assert_eq!(path, ["a", "c"]);
    /// # Ok::<(), alkhub_taskgraph::TaskgraphError>(())
    /// ```
    pub fn weighted_critical_path(
        &self,
        mut weight: impl FnMut(&str, &TaskAttributes) -> f64,
    ) -> Result<Vec<&str>, TaskgraphError> {
        let order = self.topological_places()?;
        let tasks = self.tasks();
        let by_place: Vec<f64> = tasks
            .map(|(id, attributes)| weight(id, attributes))
            .collect();
        let weights: Vec<f64> = order
            .iter()
            .map(|place| by_place[*place as usize])
            .collect();
        let (path, _) = self.longest_path(|number| weights[number as usize])?;
        Ok(self.ids_at(&path))
    }

    /// The path that carries the most risk: [`Self::weighted_critical_path`] with failure
    /// probability times impact as weight.
    ///
    /// # Errors
    ///
    /// [`TaskgraphError::CircularDependency`].
    pub fn risk_path(&self) -> Result<RiskPath<'_>, TaskgraphError> {
        let labels = self.layout().labels();
        let weight = |number: u32| risk_score(&labels[number as usize]);
        let (path, numbers) = self.longest_path(weight)?;
        let total_risk = numbers
            .iter()
            .fold(0.0, |sum, number| sum + weight(*number));
        Ok(RiskPath {
            path: self.ids_at(&path),
            total_risk,
        })
    }

    /// Head, tail and slack of every task in node order, the cost of an unassessed scope taken
    /// for narrow. To plan what is left, leave completed tasks out with [`Self::subgraph`].
    ///
    /// # Errors
    ///
    /// [`TaskgraphError::CircularDependency`].
    pub fn schedule(&self) -> Result<Vec<Schedule<'_>>, TaskgraphError> {
        let order = self.topological_places()?;
        let (before, labels) = (self.layout().before(), self.layout().labels());
        // Costs are whole numbers, so their sums are exact, and small as integers.
        let cost = |number: u32| {
            let scope = labels[number as usize].scope;
            scope.unwrap_or(TaskScope::Narrow).cost_estimate() as u32
        };
        // By number in the order.
        let mut rooms: Vec<Room> = Vec::with_capacity(order.len());
        for number in 0..order.len() as u32 {
            let end = |other: &u32| rooms[*other as usize].head + cost(*other);
            let head = before.of(number).iter().map(end).max().unwrap_or(0);
            rooms.push(Room { head, tail: 0 });
        }
        let mut longest = 0;
        for number in (0..order.len() as u32).rev() {
            let room = &mut rooms[number as usize];
            room.tail += cost(number);
            let tail = room.tail;
            longest = longest.max(tail);
            for other in before.of(number) {
                let other = &mut rooms[*other as usize];
                other.tail = other.tail.max(tail);
            }
        }
        let mut numbers = vec![0_u32; order.len()];
        for (number, place) in (0..).zip(order) {
            numbers[*place as usize] = number;
        }
        let of = |((task_id, attributes), number): ((_, &TaskAttributes), u32)| {
            let Room { head, tail } = rooms[number as usize];
            // No path is longer than the longest.
            let slack = longest - (head + tail);
            Schedule {
                task_id,
                head: f64::from(head),
                tail: f64::from(tail),
                slack: f64::from(slack),
                on_critical_path: slack == 0,
                risk_score: risk_score(&attributes.into()),
            }
        };
        Ok(self.tasks().zip(numbers).map(of).collect())
    }

    /// The longest path as places and as numbers in topological order, `weight` giving the weight
    /// of a number.
    fn longest_path(
        &self,
        weight: impl Fn(u32) -> f64,
    ) -> Result<(Vec<u32>, Vec<u32>), TaskgraphError> {
        const NONE: u32 = u32::MAX;
        let order = self.topological_places()?;
        if let [only] = order {
            // A path of one task whatever it weighs, even if that is no number.
            return Ok((vec![*only], vec![0]));
        }
        let before = self.layout().before();
        // By number in the order: the length of the longest path up to it, and what comes before.
        let mut distances: Vec<f64> = Vec::with_capacity(order.len());
        let mut steps: Vec<u32> = Vec::with_capacity(order.len());
        let mut end = NONE;
        let mut farthest = f64::NEG_INFINITY;
        for number in 0..order.len() as u32 {
            let own = weight(number);
            let prerequisites = before.of(number);
            let mut step = NONE;
            let mut longest = if prerequisites.is_empty() {
                own
            } else {
                f64::NEG_INFINITY
            };
            for &prerequisite in prerequisites {
                let candidate = distances[prerequisite as usize] + own;
                // Which is longer nobody can guess, the processor neither.
                let is_longer = candidate > longest;
                longest = select_unpredictable(is_longer, candidate, longest);
                step = select_unpredictable(is_longer, prerequisite, step);
            }
            distances.push(longest);
            steps.push(step);
            if longest > farthest {
                farthest = longest;
                end = number;
            }
        }
        let mut numbers = Vec::new();
        while end != NONE {
            numbers.push(end);
            end = steps[end as usize];
        }
        numbers.reverse();
        let place = |number: &u32| order[*number as usize];
        Ok((numbers.iter().map(place).collect(), numbers))
    }
}

/// What a schedule knows of a task.
struct Room {
    head: u32,
    /// Without the cost of the task itself until that is added.
    tail: u32,
}
