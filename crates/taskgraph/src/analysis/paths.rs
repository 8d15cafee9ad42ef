//! Longest paths: by number of tasks, by a weight, by risk; and how much room tasks have.

use serde::Serialize;

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
pub(super) fn risk_score(attributes: &TaskAttributes) -> f64 {
    let risk = attributes.risk.unwrap_or(TaskRisk::Medium).risk_weight();
    risk * attributes
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
        Ok(self.ids_at(&self.longest_path(|_| 1.0)?))
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
        self.topological_places()?;
        let weights: Vec<f64> = self
            .tasks()
            .map(|(id, attributes)| weight(id, attributes))
            .collect();
        Ok(self.ids_at(&self.longest_path(|place| weights[place as usize])?))
    }

    /// The path that carries the most risk: [`Self::weighted_critical_path`] with failure
    /// probability times impact as weight.
    ///
    /// # Errors
    ///
    /// [`TaskgraphError::CircularDependency`].
    pub fn risk_path(&self) -> Result<RiskPath<'_>, TaskgraphError> {
        let scores: Vec<f64> = self.attributes().map(risk_score).collect();
        let path = self.longest_path(|place| scores[place as usize])?;
        let total_risk = path
            .iter()
            .fold(0.0, |sum, place| sum + scores[*place as usize]);
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
        let before = self.layout().before();
        let cost = |attributes: &TaskAttributes| {
            attributes
                .scope
                .unwrap_or(TaskScope::Narrow)
                .cost_estimate()
        };
        let costs: Vec<f64> = self.attributes().map(cost).collect();
        let mut numbers = vec![0_u32; order.len()];
        // Cost, head and tail by number in the order.
        let mut rooms = Vec::with_capacity(order.len());
        for (number, place) in order.iter().enumerate() {
            numbers[*place as usize] = number as u32;
            let ends = before.of(number as u32).iter().map(|other| {
                let Room { cost, head, .. } = rooms[*other as usize];
                head + cost
            });
            rooms.push(Room {
                cost: costs[*place as usize],
                head: ends.fold(0.0, f64::max),
                tail: 0.0,
            });
        }
        let mut longest = 0.0_f64;
        for number in (0..order.len()).rev() {
            let room = &mut rooms[number];
            room.tail += room.cost;
            let tail = room.tail;
            longest = longest.max(tail);
            for other in before.of(number as u32) {
                let other = &mut rooms[*other as usize];
                other.tail = other.tail.max(tail);
            }
        }
        let of = |((task_id, attributes), number): ((_, &TaskAttributes), u32)| {
            let Room { head, tail, .. } = rooms[number as usize];
            let slack = longest - (head + tail);
            Schedule {
                task_id,
                head,
                tail,
                slack,
                // Costs are whole numbers, so the sums are exact.
                on_critical_path: slack == 0.0,
                risk_score: risk_score(attributes),
            }
        };
        Ok(self.tasks().zip(numbers).map(of).collect())
    }

    /// Places of the longest path, `weight` giving the weight of a place.
    fn longest_path(&self, weight: impl Fn(u32) -> f64) -> Result<Vec<u32>, TaskgraphError> {
        const NONE: u32 = u32::MAX;
        let order = self.topological_places()?;
        if let [only] = order {
            // A path of one task whatever it weighs, even if that is no number.
            return Ok(vec![*only]);
        }
        let before = self.layout().before();
        // By number in the order: the length of the longest path up to it, and what comes before.
        let mut distances: Vec<f64> = Vec::with_capacity(order.len());
        let mut steps: Vec<u32> = Vec::with_capacity(order.len());
        let mut end = NONE;
        let mut farthest = f64::NEG_INFINITY;
        for (number, place) in (0..).zip(order) {
            let own = weight(*place);
            let prerequisites = before.of(number);
            let mut step = NONE;
            let mut longest = if prerequisites.is_empty() {
                own
            } else {
                f64::NEG_INFINITY
            };
            for &prerequisite in prerequisites {
                let candidate = distances[prerequisite as usize] + own;
                if candidate > longest {
                    longest = candidate;
                    step = prerequisite;
                }
            }
            distances.push(longest);
            steps.push(step);
            if longest > farthest {
                farthest = longest;
                end = number;
            }
        }
        let mut path = Vec::new();
        while end != NONE {
            path.push(order[end as usize]);
            end = steps[end as usize];
        }
        path.reverse();
        Ok(path)
    }
}

/// What a schedule knows of a task.
struct Room {
    cost: f64,
    head: f64,
    /// Without the cost of the task itself until that is added.
    tail: f64,
}
