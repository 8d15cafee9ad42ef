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
        self.weighted_critical_path(|_, _| 1.0)
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
        weight: impl FnMut(&str, &TaskAttributes) -> f64,
    ) -> Result<Vec<&str>, TaskgraphError> {
        Ok(self.ids_at(&self.longest_path(weight)?))
    }

    /// The path that carries the most risk: [`Self::weighted_critical_path`] with failure
    /// probability times impact as weight.
    ///
    /// # Errors
    ///
    /// [`TaskgraphError::CircularDependency`].
    pub fn risk_path(&self) -> Result<RiskPath<'_>, TaskgraphError> {
        let path = self.longest_path(|_, attributes| risk_score(attributes))?;
        let total_risk = path.iter().fold(0.0, |sum, place| {
            sum + risk_score(self.attributes_at(*place))
        });
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
        let layout = self.layout();
        let cost = |place: u32| {
            self.attributes_at(place)
                .scope
                .unwrap_or(TaskScope::Narrow)
                .cost_estimate()
        };
        let mut head = vec![0.0_f64; order.len()];
        let mut tail = vec![0.0_f64; order.len()];
        for &place in &order {
            let before = layout
                .inn()
                .of(place)
                .iter()
                .map(|u| head[*u as usize] + cost(*u));
            head[place as usize] = before.fold(0.0, f64::max);
        }
        for &place in order.iter().rev() {
            let after = layout.out().of(place).iter().map(|v| tail[*v as usize]);
            tail[place as usize] = cost(place) + after.fold(0.0, f64::max);
        }
        let longest = tail.iter().copied().fold(0.0, f64::max);
        let of = |place: u32| {
            let (head, tail) = (head[place as usize], tail[place as usize]);
            let slack = longest - (head + tail);
            Schedule {
                task_id: self.id_at(place),
                head,
                tail,
                slack,
                // Costs are whole numbers, so the sums are exact.
                on_critical_path: slack == 0.0,
                risk_score: risk_score(self.attributes_at(place)),
            }
        };
        Ok((0..layout.len() as u32).map(of).collect())
    }

    fn longest_path(
        &self,
        mut weight: impl FnMut(&str, &TaskAttributes) -> f64,
    ) -> Result<Vec<u32>, TaskgraphError> {
        const NONE: u32 = u32::MAX;
        let order = self.topological_places()?;
        if let [only] = order[..] {
            // A path of one task whatever it weighs, even if that is no number.
            weight(self.id_at(only), self.attributes_at(only));
            return Ok(order);
        }
        let inn = self.layout().inn();
        let mut distance = vec![f64::NEG_INFINITY; order.len()];
        let mut before = vec![NONE; order.len()];
        for &place in &order {
            let own = weight(self.id_at(place), self.attributes_at(place));
            let prerequisites = inn.of(place);
            let best = &mut before[place as usize];
            let mut longest = f64::NEG_INFINITY;
            for &prerequisite in prerequisites {
                let candidate = distance[prerequisite as usize] + own;
                if candidate > longest {
                    longest = candidate;
                    *best = prerequisite;
                }
            }
            distance[place as usize] = if prerequisites.is_empty() {
                own
            } else {
                longest
            };
        }
        let mut end = NONE;
        let mut longest = f64::NEG_INFINITY;
        for &place in &order {
            if distance[place as usize] > longest {
                longest = distance[place as usize];
                end = place;
            }
        }
        let mut path = Vec::new();
        while end != NONE {
            path.push(end);
            end = before[end as usize];
        }
        path.reverse();
        Ok(path)
    }
}
