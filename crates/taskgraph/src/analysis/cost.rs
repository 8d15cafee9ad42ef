//! What tasks are expected to cost, one by one and as a whole.

use serde::{Deserialize, Serialize};

use crate::graph::DEFAULT_QUALITY_RETENTION;
use crate::{TaskGraph, TaskImpact, TaskRisk, TaskScope, TaskStatus, TaskgraphError};

/// What failures cost beyond the effort itself. All zero unless told.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EvConfig {
    /// Most retries that are expected; 0 for no bound.
    pub retries: f64,
    /// Cost of falling back after a failure.
    pub fallback_cost: f64,
    /// Cost of the time lost by one retry.
    pub time_lost: f64,
    /// Factor into another unit, such as money; 0 for none.
    pub value_rate: f64,
}

/// Expected cost of one task.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskEv {
    /// The expected cost.
    pub ev: f64,
    /// Probability of success it was computed with.
    pub p_success: f64,
    /// Retries to expect, after the bound.
    pub expected_retries: f64,
}

/// How the failure of a task bears on those after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, strum::Display)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum PropagationMode {
    /// Along the edges, by their retention.
    #[default]
    DagPropagate,
    /// Not at all.
    Independent,
}

/// How [`TaskGraph::workflow_cost`] counts.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WorkflowCostOptions {
    /// Whether completed tasks are listed and uncertain. Else they are left out and certain.
    pub include_completed: bool,
    /// How many tasks are listed, from the start of the topological order. Totals are over the
    /// listed ones.
    pub limit: Option<usize>,
    /// How failures spread.
    pub propagation_mode: PropagationMode,
    /// Retention of edges that have none, 0.9 unless told.
    pub default_quality_retention: f64,
    /// What failures cost. Without it the expected cost of a task is its effort times its
    /// impact, whatever its probability.
    pub ev_config: Option<EvConfig>,
}

impl Default for WorkflowCostOptions {
    fn default() -> Self {
        Self {
            include_completed: false,
            limit: None,
            propagation_mode: PropagationMode::DagPropagate,
            default_quality_retention: DEFAULT_QUALITY_RETENTION,
            ev_config: None,
        }
    }
}

/// Expected cost of the tasks of a graph.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowCost<'g> {
    /// The listed tasks in topological order.
    pub tasks: Vec<TaskCost<'g>>,
    /// Sum over the listed tasks.
    pub total_ev: f64,
    /// Mean over the listed tasks; 0 for none.
    pub average_ev: f64,
    /// How failures spread.
    pub propagation_mode: PropagationMode,
}

/// Expected cost of one task of a graph.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskCost<'g> {
    /// The task.
    pub task_id: &'g str,
    /// What it is called.
    pub name: &'g str,
    /// Expected cost.
    pub ev: f64,
    /// Probability of success by its own risk.
    pub p_intrinsic: f64,
    /// Probability of success with what comes before it.
    pub p_effective: f64,
    /// The same as [`Self::p_effective`].
    pub probability: f64,
    /// Effort.
    pub scope_cost: f64,
    /// Weight of a failure.
    pub impact_weight: f64,
}

/// Expected cost of a task that succeeds with probability `p` (not clamped).
///
/// ```
/// use alkhub_taskgraph::{EvConfig, calculate_task_ev};
///
/// let config = EvConfig { fallback_cost: 20.0, ..EvConfig::default() };
/// assert_eq!(calculate_task_ev(0.5, 2.0, 1.0, &config).ev, 12.0);
/// ```
pub fn calculate_task_ev(p: f64, scope_cost: f64, impact_weight: f64, config: &EvConfig) -> TaskEv {
    let mut expected_retries = if p > 0.0 { (1.0 - p) / p } else { 0.0 };
    if config.retries > 0.0 && expected_retries > config.retries {
        expected_retries = config.retries;
    }
    // The order of the operations is part of the result.
    let success = scope_cost * impact_weight;
    let failure =
        scope_cost * impact_weight + config.fallback_cost + config.time_lost * expected_retries;
    let mut ev = p * success + (1.0 - p) * failure;
    if config.value_rate != 0.0 {
        ev *= config.value_rate;
    }
    TaskEv {
        ev,
        p_success: p,
        expected_retries,
    }
}

impl TaskGraph {
    /// Expected cost of the tasks in topological order.
    ///
    /// # Errors
    ///
    /// [`TaskgraphError::CircularDependency`].
    pub fn workflow_cost(
        &self,
        options: &WorkflowCostOptions,
    ) -> Result<WorkflowCost<'_>, TaskgraphError> {
        let config = options.ev_config.unwrap_or_default();
        let order = self.topological_places()?;
        let before = self.layout().before();
        // What a task passes on to those after it, by number in the order.
        let mut passed_on = Vec::with_capacity(order.len());
        let mut tasks = Vec::new();
        let labels = self.layout().labels();
        let names = self.names_at(order);
        let ids = self.ids_at(order);
        if options.limit.is_none() {
            tasks.reserve(order.len());
        }
        let common = self.common_retention();
        for number in 0..order.len() as u32 {
            let place = order[number as usize];
            let task = labels[number as usize];
            let p_intrinsic = task.risk.unwrap_or(TaskRisk::Medium).success_probability();
            let prerequisites = before.of(number);
            let p_effective = match options.propagation_mode {
                PropagationMode::DagPropagate if !prerequisites.is_empty() => {
                    let times = |product: f64, other: &u32, retention: f64| {
                        let p: f64 = passed_on[*other as usize];
                        product * (p + (1.0 - p) * retention)
                    };
                    let product = if let Some(common) = common {
                        prerequisites
                            .iter()
                            .fold(1.0, |product, other| times(product, other, common))
                    } else {
                        let default = options.default_quality_retention;
                        let retentions = self.retentions_at(place);
                        prerequisites.iter().zip(retentions).fold(
                            1.0,
                            |product, (other, retention)| {
                                times(product, other, retention.unwrap_or(default))
                            },
                        )
                    };
                    p_intrinsic * product
                }
                PropagationMode::DagPropagate | PropagationMode::Independent => p_intrinsic,
            };
            let left_out = task.status == Some(TaskStatus::Completed) && !options.include_completed;
            passed_on.push(if left_out { 1.0 } else { p_effective });
            if left_out || options.limit.is_some_and(|limit| tasks.len() >= limit) {
                continue;
            }
            let scope_cost = task.scope.unwrap_or(TaskScope::Narrow).cost_estimate();
            let impact_weight = task.impact.unwrap_or(TaskImpact::Isolated).impact_weight();
            tasks.push(TaskCost {
                task_id: ids[number as usize],
                name: names[number as usize],
                ev: calculate_task_ev(p_effective, scope_cost, impact_weight, &config).ev,
                p_intrinsic,
                p_effective,
                probability: p_effective,
                scope_cost,
                impact_weight,
            });
        }
        let total_ev = tasks.iter().fold(0.0, |sum, task| sum + task.ev);
        let average_ev = if tasks.is_empty() {
            0.0
        } else {
            total_ev / tasks.len() as f64
        };
        Ok(WorkflowCost {
            tasks,
            total_ev,
            average_ev,
            propagation_mode: options.propagation_mode,
        })
    }
}
