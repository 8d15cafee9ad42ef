//! `task.graph` and `task.analyze`: the tasks of a project as a graph, and what follows from it.

use std::sync::Arc;

use alkhub_operations::{CallError, Operation, OperationType, operation};
use alkhub_storage::TaskDependency;
use alkhub_storage::enums::{TaskImpact, TaskLevel, TaskPriority, TaskRisk, TaskScope, TaskStatus};
use alkhub_storage::ids::TaskId;
use alkhub_storage::tasks::{self as queries, TaskOutline};
use alkhub_taskgraph::{
    PropagationMode, TaskGraph, TaskgraphError, WorkflowCostOptions, should_decompose_task,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::import::off_runtime;
use super::view::DEFAULT_RETENTION;
use super::{graph, visible_project};
use crate::error::HubError;
use crate::rules::{self, Issues};
use crate::state::{Call, handle};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        operation::<GraphInput, GraphView>("task.graph", OperationType::Query)
            .description("The tasks of a project and the dependencies among them.")
            .scopes(&["task:read"])
            .resource("project", "read")
            .handler(handle(graph_of)),
        operation::<AnalyzeInput, Map<String, Value>>("task.analyze", OperationType::Query)
            .description("Order, paths, bottlenecks, risk and cost of the tasks of a project.")
            .scopes(&["task:read"])
            .resource("project", "read")
            .handler(handle(analyze)),
    ]
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct GraphInput {
    /// Id of the project.
    project_id: String,
    /// Only tasks whose path is this one or lies below it.
    path_prefix: Option<String>,
    /// Only tasks that stand so.
    status: Option<Vec<TaskStatus>>,
    /// How the graph is given.
    #[serde(default)]
    #[expect(dead_code, reason = "one format so far, which the schema checks")]
    format: Format,
}

/// How a graph is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum Format {
    /// Lists of nodes and edges.
    #[default]
    Graph,
}

/// Tasks and the dependencies among them.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct GraphView {
    /// The tasks, by path and slug.
    nodes: Vec<NodeView>,
    /// The dependencies among them, by the slugs of dependent and prerequisite.
    edges: Vec<EdgeView>,
}

/// A task of a graph.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct NodeView {
    /// Id of the task.
    id: TaskId,
    /// Its slug, by which edges name it.
    slug: String,
    /// Its name.
    name: String,
    /// Path of its file.
    path: Option<String>,
    /// Where the work stands.
    status: TaskStatus,
    /// How much it touches.
    scope: Option<TaskScope>,
    /// How likely it is to fail.
    risk: Option<TaskRisk>,
    /// How far a failure reaches.
    impact: Option<TaskImpact>,
    /// Kind of work.
    level: Option<TaskLevel>,
    /// How soon it is wanted.
    priority: Option<TaskPriority>,
}

/// A dependency of a graph.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct EdgeView {
    /// Slug of the prerequisite.
    from: String,
    /// Slug of the dependent.
    to: String,
    /// Part of the quality of the prerequisite that survives, 0 to 1.
    quality_retention: f64,
}

async fn graph_of(call: Call, input: Arc<GraphInput>) -> Result<GraphView, HubError> {
    let mut issues = Issues::default();
    if let Some(prefix) = &input.path_prefix {
        issues.take(rules::text("/pathPrefix", prefix, super::places::MAX_PATH));
    }
    issues.finish()?;
    let (mut tasks, edges) = read(&call, &input.project_id).await?;
    tasks.retain(|task| {
        let under = |prefix: &String| {
            task.path
                .as_ref()
                .is_some_and(|path| super::places::is_under(path, prefix))
        };
        input.path_prefix.as_ref().is_none_or(under)
            && input
                .status
                .as_ref()
                .is_none_or(|allowed| allowed.contains(&task.status))
    });
    tasks.sort_by(|a, b| (&a.path, &a.slug).cmp(&(&b.path, &b.slug)));
    let edges = graph::edges_among(&tasks, &edges)
        .into_iter()
        .map(|edge| EdgeView {
            quality_retention: edge.quality_retention.unwrap_or(DEFAULT_RETENTION),
            from: edge.from,
            to: edge.to,
        })
        .collect();
    let node = |task: TaskOutline| NodeView {
        id: task.id,
        slug: task.slug,
        name: task.name,
        path: task.path,
        status: task.status,
        scope: task.scope,
        risk: task.risk,
        impact: task.impact,
        level: task.level,
        priority: task.priority,
    };
    Ok(GraphView {
        nodes: tasks.into_iter().map(node).collect(),
        edges,
    })
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

async fn read(
    call: &Call,
    project: &str,
) -> Result<(Vec<TaskOutline>, Vec<TaskDependency>), HubError> {
    let transaction = call.database().begin_read().await?;
    let project = visible_project(&transaction, &call.scope()?, project).await?;
    let tasks = queries::task_outlines(&transaction, &project.id).await?;
    let edges = queries::project_edges(&transaction, &project.id).await?;
    transaction
        .rollback()
        .await
        .map_err(alkhub_storage::StorageError::from)?;
    Ok((tasks, edges))
}
