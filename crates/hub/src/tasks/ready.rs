//! `task.ready`: what can be started now, the most urgent first.

use std::collections::HashMap;
use std::sync::Arc;

use alkhub_operations::{Operation, OperationType, operation};
use alkhub_storage::enums::{TaskPriority, TaskStatus};
use alkhub_storage::ids::ProjectId;
use alkhub_storage::tasks as queries;
use alkhub_storage::{ConnectionTrait, Task, time};
use alkhub_taskgraph::Schedule;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::view::TaskView;
use super::{graph, visible_project};
use crate::error::HubError;
use crate::state::{Call, handle};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        operation::<ReadyInput, Vec<ReadyTask>>("task.ready", OperationType::Query)
            .description(
                "The tasks that can be started now: pending, with all prerequisites completed. In the \
                 order of the critical path (slack, risk, priority), or of priority and due date.",
            )
            .scopes(&["task:read"])
            .resource("project", "read")
            .handler(handle(ready)),
    ]
}

/// Which task comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum ReadyOrder {
    /// What holds up the whole the most: least slack, then most risk, then as with `priority`.
    #[default]
    Critical,
    /// Highest priority, then earliest due date, then slug.
    Priority,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ReadyInput {
    /// Id of the project.
    project_id: String,
    /// Most tasks of the answer, 1 to 500.
    #[serde(default = "fifty")]
    #[schemars(range(min = 1, max = 500))]
    limit: u16,
    /// Which task comes first.
    #[serde(default)]
    order: ReadyOrder,
    /// Leave out tasks that a session is already working on.
    #[serde(default = "yes")]
    exclude_mapped: bool,
}

fn fifty() -> u16 {
    50
}

fn yes() -> bool {
    true
}

/// A task that can be started, with the reason for its place.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ReadyTask {
    /// The task, without its body.
    task: TaskView,
    /// Cost that may be added to the task before the whole takes longer. Only in order `critical`.
    #[serde(skip_serializing_if = "Option::is_none")]
    slack: Option<f64>,
    /// True when there is no slack. Only in order `critical`.
    #[serde(skip_serializing_if = "Option::is_none")]
    on_critical_path: Option<bool>,
    /// Chance of failure times reach of a failure. Only in order `critical`.
    #[serde(skip_serializing_if = "Option::is_none")]
    risk_score: Option<f64>,
    /// Why it stands where it stands.
    reason: String,
}

async fn ready(call: Call, input: Arc<ReadyInput>) -> Result<Vec<ReadyTask>, HubError> {
    let reader = call.database().reader();
    let project = visible_project(reader, &call.scope()?, &input.project_id).await?;
    match input.order {
        ReadyOrder::Priority => by_priority(reader, &project.id, &input).await,
        ReadyOrder::Critical => by_criticality(reader, &project.id, &input).await,
    }
}

async fn by_priority(
    reader: &impl ConnectionTrait,
    project: &ProjectId,
    input: &ReadyInput,
) -> Result<Vec<ReadyTask>, HubError> {
    let limit = Some(u64::from(input.limit.clamp(1, 500)));
    let rows = queries::ready_tasks(reader, project, input.exclude_mapped, limit).await?;
    Ok(rows
        .iter()
        .map(|row| ReadyTask {
            task: TaskView::brief(row),
            slack: None,
            on_critical_path: None,
            risk_score: None,
            reason: wanted(row),
        })
        .collect())
}

async fn by_criticality(
    reader: &impl ConnectionTrait,
    project: &ProjectId,
    input: &ReadyInput,
) -> Result<Vec<ReadyTask>, HubError> {
    let mut open = queries::task_outlines(reader, project).await?;
    open.retain(|task| task.status != TaskStatus::Completed);
    let ends = queries::edge_ends(reader, project).await?;
    let rows = queries::ready_tasks(reader, project, input.exclude_mapped, None).await?;
    let graph = graph::of_ends(&open, &ends)?;
    let schedule = graph.schedule().map_err(graph::broken)?;
    let measures: HashMap<&str, &Schedule<'_>> = schedule
        .iter()
        .map(|measure| (measure.task_id, measure))
        .collect();
    let mut ready: Vec<(&Schedule<'_>, &Task)> = rows
        .iter()
        // A task that became ready between two reads has no measure yet; the next call shows it.
        .filter_map(|row| {
            measures
                .get(row.slug.as_str())
                .map(|measure| (*measure, row))
        })
        .collect();
    // The rows come in the order of priority, which a stable sort keeps among equals.
    ready.sort_by(|(a, _), (b, _)| {
        a.slack
            .total_cmp(&b.slack)
            .then(b.risk_score.total_cmp(&a.risk_score))
    });
    ready.truncate(usize::from(input.limit.clamp(1, 500)));
    Ok(ready
        .into_iter()
        .map(|(measure, row)| ReadyTask {
            task: TaskView::brief(row),
            slack: Some(measure.slack),
            on_critical_path: Some(measure.on_critical_path),
            risk_score: Some(measure.risk_score),
            reason: measured(measure, row),
        })
        .collect())
}

fn measured(measure: &Schedule<'_>, row: &Task) -> String {
    let place = if measure.on_critical_path {
        "on the critical path".to_owned()
    } else {
        format!("slack {}", measure.slack)
    };
    // Two digits tell one task from another; more would only show how doubles are stored.
    format!(
        "{place}; risk score {:.2}; {}",
        measure.risk_score,
        wanted(row)
    )
}

/// Priority and due date in words.
fn wanted(row: &Task) -> String {
    let priority = row.priority.map_or_else(
        || "no priority".to_owned(),
        |priority: TaskPriority| format!("priority {priority}"),
    );
    match row.due_at {
        Some(due) if due < time::now() => {
            format!("{priority}; overdue since {}", due.format("%Y-%m-%d"))
        }
        Some(due) => format!("{priority}; due {}", due.format("%Y-%m-%d")),
        None => format!("{priority}; not dated"),
    }
}
