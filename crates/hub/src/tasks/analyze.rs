//! `task.analyze`: what follows from the graph of a project's tasks.

use std::sync::Arc;

use alkhub_operations::{CallError, Operation, OperationType, operation};
use alkhub_storage::TaskDependency;
use alkhub_storage::tasks::{self as queries, TaskOutline};
use alkhub_taskgraph::{
    PropagationMode, TaskGraph, TaskgraphError, WorkflowCostOptions, should_decompose_task,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::import::off_runtime;
use super::view::DEFAULT_RETENTION;
use super::{graph, visible_project};
use crate::error::HubError;
use crate::state::{Call, handle};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        operation::<AnalyzeInput, Map<String, Value>>("task.analyze", OperationType::Query)
            .description("Order, paths, bottlenecks, risk and cost of the tasks of a project.")
            .scopes(&["task:read"])
            .resource("project", "read")
            .handler(handle(analyze)),
    ]
}

/// What can be asked about a graph; results name tasks by slug.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, JsonSchema, strum::IntoStaticStr,
)]
#[serde(rename_all = "camelCase")]
#[strum(serialize_all = "camelCase")]
enum Analysis {
    /// The longest chain of tasks.
    CriticalPath,
    /// The chain with the largest sum of costs.
    WeightedCriticalPath,
    /// Groups of tasks that can run side by side, one after the other.
    ParallelGroups,
    /// The tasks that most ways lead through.
    Bottlenecks,
    /// The chain that carries the most risk.
    RiskPath,
    /// The tasks by risk.
    RiskDistribution,
    /// What the tasks are expected to cost.
    WorkflowCost,
    /// The tasks that should be split, and why.
    Decompose,
    /// Circles of dependencies; there are none in a project.
    Cycles,
    /// The tasks in an order in which they can be done.
    TopologicalOrder,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AnalyzeInput {
    /// Id of the project.
    project_id: String,
    /// What to find out.
    #[schemars(length(min = 1, max = 10))]
    analyses: Vec<Analysis>,
    /// How to count costs.
    options: Option<AnalyzeOptions>,
}

/// How `workflowCost` counts.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AnalyzeOptions {
    /// List completed tasks too, and take them for uncertain.
    #[serde(default)]
    include_completed: bool,
    /// Most tasks to list, from the start of the order.
    limit: Option<u32>,
    /// Count each task for itself, whatever comes before it.
    #[serde(default)]
    independent: bool,
    /// Retention of dependencies that have none of their own, 0 to 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    default_quality_retention: Option<f64>,
}

async fn analyze(call: Call, input: Arc<AnalyzeInput>) -> Result<Map<String, Value>, HubError> {
    if input.analyses.is_empty() {
        let message = "name at least one analysis";
        return Err(CallError::validation_field("/analyses", "minItems", message).into());
    }
    let (tasks, edges) = read(&call, &input.project_id).await?;
    let results = off_runtime(move || -> Result<Map<String, Value>, HubError> {
        let graph = graph::of_rows(tasks, &edges)?;
        let options = cost_options(input.options.unwrap_or_default());
        let mut results = Map::new();
        for analysis in &input.analyses {
            let result = run(&graph, *analysis, &options).map_err(graph::broken)?;
            results.insert(<&str>::from(*analysis).to_owned(), result);
        }
        Ok(results)
    });
    results.await?
}

fn cost_options(options: AnalyzeOptions) -> WorkflowCostOptions {
    WorkflowCostOptions {
        include_completed: options.include_completed,
        limit: options.limit.map(|limit| limit as usize),
        propagation_mode: if options.independent {
            PropagationMode::Independent
        } else {
            PropagationMode::DagPropagate
        },
        default_quality_retention: options
            .default_quality_retention
            .unwrap_or(DEFAULT_RETENTION),
        ev_config: None,
    }
}

fn run(
    graph: &TaskGraph,
    analysis: Analysis,
    options: &WorkflowCostOptions,
) -> Result<Value, TaskgraphError> {
    Ok(match analysis {
        Analysis::CriticalPath => json!(graph.critical_path()?),
        Analysis::WeightedCriticalPath => json!(graph.weighted_critical_path(|_, task| {
            task.scope
                .unwrap_or(alkhub_taskgraph::TaskScope::Narrow)
                .cost_estimate()
        })?),
        Analysis::ParallelGroups => json!(graph.parallel_groups()?),
        Analysis::Bottlenecks => json!(graph.bottlenecks()),
        Analysis::RiskPath => json!(graph.risk_path()?),
        Analysis::RiskDistribution => json!(graph.risk_distribution()),
        Analysis::WorkflowCost => json!(graph.workflow_cost(options)?),
        Analysis::Decompose => graph
            .tasks()
            .map(|(slug, task)| (slug, should_decompose_task(task)))
            .filter(|(_, advice)| advice.should_decompose)
            .map(|(slug, advice)| json!({ "taskId": slug, "reasons": advice.reasons }))
            .collect(),
        Analysis::Cycles => json!(graph.find_cycles()),
        Analysis::TopologicalOrder => json!(graph.topological_order()?),
    })
}

/// The tasks of a project and its dependencies, as of one moment.
pub(super) async fn read(
    call: &Call,
    project: &str,
) -> Result<(Vec<TaskOutline>, Vec<TaskDependency>), HubError> {
    let transaction = call.database().begin_read().await?;
    let project = visible_project(&transaction, &call.scope()?, project).await?;
    let tasks = queries::task_outlines(&transaction, &project.id).await?;
    let edges = queries::project_edges(&transaction, &project.id).await?;
    transaction.rollback().await?;
    Ok((tasks, edges))
}
