//! Tasks of rows as a graph of the task graph crate, in which slugs are the ids.

use std::collections::HashMap;

use alkhub_operations::CallError;
use alkhub_storage::TaskDependency;
use alkhub_storage::ids::TaskId;
use alkhub_storage::tasks::TaskOutline;
use alkhub_taskgraph::{DependencyEdge, TaskAttributes, TaskGraph, TaskgraphError};
use serde_json::json;

use super::labels::ToFile;
use crate::error::{HubError, unforeseen};

/// Ids of circles told in one answer.
const MAX_CYCLE_IDS: usize = 20_000;

/// The graph of the given tasks and of the dependencies among them: tasks by path and slug, edges by the
/// slugs of dependent and prerequisite, so that results are repeatable.
///
/// # Errors
/// `UNKNOWN_ERROR` for rows the database should have refused, such as two of one slug.
pub(super) fn of_rows(
    mut tasks: Vec<TaskOutline>,
    edges: &[TaskDependency],
) -> Result<TaskGraph, HubError> {
    tasks.sort_by(|a, b| (&a.path, &a.slug).cmp(&(&b.path, &b.slug)));
    build(&tasks, &edges_among(&tasks, edges)).map_err(broken)
}

/// As [`of_rows`], from the ends of the dependencies, (prerequisite, dependent), alone.
pub(super) fn of_ends(
    tasks: &[TaskOutline],
    ends: &[(TaskId, TaskId)],
) -> Result<TaskGraph, HubError> {
    build(
        tasks,
        &named(tasks, ends.iter().map(|(from, to)| (from, to, None))),
    )
    .map_err(broken)
}

/// The dependencies both ends of which are among the tasks, by the slugs of dependent and prerequisite.
pub(super) fn edges_among(tasks: &[TaskOutline], edges: &[TaskDependency]) -> Vec<DependencyEdge> {
    let ends = edges.iter().map(|edge| {
        (
            &edge.depends_on_task_id,
            &edge.dependent_task_id,
            edge.quality_retention,
        )
    });
    let mut edges = named(tasks, ends);
    edges.sort_by(|a, b| (&a.to, &a.from).cmp(&(&b.to, &b.from)));
    edges
}

fn named<'a>(
    tasks: &[TaskOutline],
    edges: impl Iterator<Item = (&'a TaskId, &'a TaskId, Option<f64>)>,
) -> Vec<DependencyEdge> {
    let slugs: HashMap<&TaskId, &str> = tasks
        .iter()
        .map(|task| (&task.id, task.slug.as_str()))
        .collect();
    edges
        .filter_map(|(from, to, quality_retention)| {
            Some(DependencyEdge {
                from: (*slugs.get(from)?).to_owned(),
                to: (*slugs.get(to)?).to_owned(),
                quality_retention,
            })
        })
        .collect()
}

/// `UNPROCESSABLE` `cycle` with every circle found, as far as they fit.
pub(super) fn cycle_error<S: AsRef<str>>(cycles: &[Vec<S>]) -> CallError {
    let mut ids = 0;
    let told: Vec<Vec<&str>> = cycles
        .iter()
        .enumerate()
        .take_while(|(place, cycle)| {
            ids += cycle.len();
            *place == 0 || ids <= MAX_CYCLE_IDS
        })
        .map(|(_, cycle)| {
            cycle
                .iter()
                .take(MAX_CYCLE_IDS)
                .map(AsRef::as_ref)
                .collect()
        })
        .collect();
    let first = told.first().map_or(&[][..], Vec::as_slice);
    let mut shown: Vec<&str> = first.iter().take(20).copied().collect();
    if first.len() > shown.len() {
        shown.push("…");
    }
    shown.extend(first.first());
    let message = format!(
        "tasks depend on each other in a circle: {}",
        shown.join(" → ")
    );
    CallError::unprocessable("cycle", message)
        .with_detail("path", json!(first))
        .with_detail("cycles", json!(told))
}

/// An analysis that rows of the database cannot fail.
pub(super) fn broken(error: TaskgraphError) -> HubError {
    unforeseen(&error).into()
}

fn build(tasks: &[TaskOutline], edges: &[DependencyEdge]) -> Result<TaskGraph, TaskgraphError> {
    let mut graph = TaskGraph::new();
    for task in tasks {
        let attributes = TaskAttributes {
            name: task.name.clone(),
            scope: task.scope.map(ToFile::to_file),
            risk: task.risk.map(ToFile::to_file),
            impact: task.impact.map(ToFile::to_file),
            level: task.level.map(ToFile::to_file),
            priority: task.priority.map(ToFile::to_file),
            status: Some(task.status.to_file()),
            other: None,
        };
        graph.add_task(&task.slug, attributes)?;
    }
    for edge in edges {
        let retention = edge
            .quality_retention
            .unwrap_or(alkhub_taskgraph::DEFAULT_QUALITY_RETENTION);
        graph.add_dependency_retaining(&edge.from, &edge.to, retention)?;
    }
    Ok(graph)
}
