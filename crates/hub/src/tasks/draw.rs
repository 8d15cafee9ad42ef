//! `task.graph`: the tasks of a project as a graph, in lists or drawn.

use std::sync::Arc;

use alkhub_operations::{CallError, Operation, OperationType, operation};
use alkhub_storage::enums::{TaskImpact, TaskLevel, TaskPriority, TaskRisk, TaskScope, TaskStatus};
use alkhub_storage::ids::TaskId;
use alkhub_storage::tasks::TaskOutline;
use alkhub_taskgraph::DependencyEdge;
use alkhub_taskgraph::render::{self, RenderError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::import::off_runtime;
use super::view::DEFAULT_RETENTION;
use super::{analyze, graph, places};
use crate::error::{HubError, unforeseen};
use crate::rules::{self, Issues};
use crate::state::{Call, handle};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        operation::<GraphInput, GraphView>("task.graph", OperationType::Query)
            .description(
                "The tasks of a project and the dependencies among them, in lists or drawn.",
            )
            .scopes(&["task:read"])
            .resource("project", "read")
            .error(
                "UNPROCESSABLE",
                "too_large: more tasks or dependencies than a drawing takes",
            )
            .handler(handle(graph_of)),
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
    format: Format,
}

/// How a graph is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum Format {
    /// Lists of nodes and edges.
    #[default]
    Graph,
    /// A picture in layers, from prerequisites to dependents.
    Svg,
    /// The language of Graphviz.
    Dot,
    /// The language of Mermaid.
    Mermaid,
}

/// Tasks and the dependencies among them.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct GraphView {
    /// How the graph is given.
    format: Format,
    /// The tasks, by path and slug. Only in format `graph`.
    #[serde(skip_serializing_if = "Option::is_none")]
    nodes: Option<Vec<NodeView>>,
    /// The dependencies among them, by the slugs of dependent and prerequisite. Only in format `graph`.
    #[serde(skip_serializing_if = "Option::is_none")]
    edges: Option<Vec<EdgeView>>,
    /// The drawing, in the other formats.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
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

impl From<TaskOutline> for NodeView {
    fn from(task: TaskOutline) -> Self {
        Self {
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
        }
    }
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

impl From<DependencyEdge> for EdgeView {
    fn from(edge: DependencyEdge) -> Self {
        Self {
            quality_retention: edge.quality_retention.unwrap_or(DEFAULT_RETENTION),
            from: edge.from,
            to: edge.to,
        }
    }
}

async fn graph_of(call: Call, input: Arc<GraphInput>) -> Result<GraphView, HubError> {
    let mut issues = Issues::default();
    if let Some(prefix) = &input.path_prefix {
        issues.take(rules::text("/pathPrefix", prefix, places::MAX_PATH));
    }
    issues.finish()?;
    let (mut tasks, edges) = analyze::read(&call, &input.project_id).await?;
    tasks.retain(|task| {
        let path = task.path.as_ref();
        let under = |prefix: &String| path.is_some_and(|path| places::is_under(path, prefix));
        input.path_prefix.as_ref().is_none_or(under)
            && input
                .status
                .as_ref()
                .is_none_or(|allowed| allowed.contains(&task.status))
    });
    let format = input.format;
    if format == Format::Graph {
        // The rows come by path and slug.
        let edges = graph::edges_among(&tasks, &edges)
            .into_iter()
            .map(EdgeView::from)
            .collect();
        let nodes = tasks.into_iter().map(NodeView::from).collect();
        return Ok(GraphView {
            format,
            nodes: Some(nodes),
            edges: Some(edges),
            text: None,
        });
    }
    let text = off_runtime(move || -> Result<String, HubError> {
        let graph = graph::of_rows(tasks, &edges)?;
        let options = render::Options::default();
        let drawn = match format {
            Format::Dot => render::dot(&graph, &options),
            Format::Mermaid => render::mermaid(&graph, &options),
            Format::Svg | Format::Graph => render::svg(&graph, &options),
        };
        drawn.map_err(not_drawn)
    });
    Ok(GraphView {
        format,
        nodes: None,
        edges: None,
        text: Some(text.await??),
    })
}

fn not_drawn(error: RenderError) -> HubError {
    match error {
        RenderError::TooLarge { tasks, edges } => {
            CallError::unprocessable("too_large", error.to_string())
                .with_detail("tasks", tasks)
                .with_detail("dependencies", edges)
                .into()
        }
        RenderError::Json(_) => unforeseen(&error).into(),
    }
}
