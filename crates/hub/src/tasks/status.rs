//! `task.updateStatus` and `task.addNote`: what happens to a task while it is worked on.

use std::sync::Arc;

use alkhub_operations::{CallError, Operation, OperationType, operation};
use alkhub_storage::enums::TaskStatus;
use alkhub_storage::tasks::{self as queries, StatusChange};
use alkhub_storage::{StorageError, Task};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::view::{MappingView, TaskRef, TaskView};
use super::{about, locked_task};
use crate::audit::{self, Action};
use crate::error::HubError;
use crate::events::TaskChange;
use crate::rules::{self, Issues};
use crate::state::{Call, handle};

/// Longest note, in bytes.
const MAX_NOTE: usize = 16 * 1_024;
/// Longest reason, in characters.
const MAX_REASON: usize = 1_000;
/// Unfinished prerequisites named in one answer.
const MAX_NAMED: usize = 100;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        operation::<TaskUpdateStatus, StatusUpdated>("task.updateStatus", OperationType::Mutation)
            .description(
                "Moves a task to another status, and the session that works on it along with it.",
            )
            .any_scopes(&["task:write", "task:status"])
            .error(
                "CONFLICT",
                "illegal_transition: the task cannot go there from where it is; unexpected_status: \
                 it is not where the caller thinks",
            )
            .error(
                "UNPROCESSABLE",
                "unfinished_prerequisites: something must be completed first",
            )
            .handler(handle(update_status)),
        operation::<TaskAddNote, TaskView>("task.addNote", OperationType::Mutation)
            .description("Appends a note to a task, behind the text of its author.")
            .scopes(&["task:status"])
            .handler(handle(add_note)),
    ]
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TaskUpdateStatus {
    /// Id of the task.
    id: String,
    /// Where it goes.
    status: TaskStatus,
    /// Only if it is here now.
    expected: Option<TaskStatus>,
    /// Start although prerequisites are unfinished.
    #[serde(default)]
    force: bool,
    /// Allow a completed task to become pending again.
    #[serde(default)]
    reopen: bool,
    /// Why, for the audit log; at most 1,000 characters.
    reason: Option<String>,
    /// Only if the task was not changed since.
    if_updated_at: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct StatusUpdated {
    /// The task as it is now.
    task: TaskView,
    /// The mapping that went along, or that stays active with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    mapping: Option<MappingView>,
}

async fn update_status(
    call: Call,
    input: Arc<TaskUpdateStatus>,
) -> Result<StatusUpdated, HubError> {
    let mut issues = Issues::default();
    let reason = input
        .reason
        .as_deref()
        .and_then(|text| issues.take(rules::text("/reason", text, MAX_REASON)));
    let unchanged_since = issues.moment("/ifUpdatedAt", input.if_updated_at.as_deref());
    issues.finish()?;
    let transaction = call.begin().await?;
    let (task, project) = locked_task(&transaction, &call.scope()?, &input.id).await?;
    rules::unchanged(unchanged_since, task.updated_at)?;
    if let Some(expected) = input.expected.filter(|expected| *expected != task.status) {
        let message = format!("the task is {}, not {expected}", task.status);
        return Err(CallError::conflict("unexpected_status", message)
            .with_detail("status", json!(task.status))
            .into());
    }
    if input.status == TaskStatus::InProgress && task.status != input.status && !input.force {
        let linked = queries::dependencies(&transaction, std::slice::from_ref(&task.id)).await?;
        let prerequisites: Vec<Task> = linked.into_iter().map(|linked| linked.task).collect();
        refuse_unfinished(&prerequisites)?;
    }
    let change = StatusChange {
        to: input.status,
        reopen: input.reopen,
    };
    let moved = queries::update_task_status(&transaction, &task.id, change).await;
    let (after, mapping) = moved.map_err(illegal_transition)?;
    if after.status != task.status {
        let entry = about(&after, &project)
            .changed(
                json!({ "status": task.status }),
                json!({ "status": after.status }),
            )
            .because(reason);
        audit::write(
            &transaction,
            &call.actor()?,
            Action::TaskStatusChanged,
            entry,
        )
        .await?;
    }
    transaction.commit().await?;
    if after.status != task.status {
        call.state()
            .events
            .task(&project.id, Some(&task.id), TaskChange::StatusChanged);
    }
    Ok(StatusUpdated {
        task: TaskView::whole(&after),
        mapping: mapping.as_ref().map(MappingView::from),
    })
}

/// Refuses to begin work that waits for other work.
///
/// # Errors
/// `UNPROCESSABLE` `unfinished_prerequisites` with the tasks that are not completed.
pub(super) fn refuse_unfinished(prerequisites: &[Task]) -> Result<(), HubError> {
    let unfinished: Vec<TaskRef> = prerequisites
        .iter()
        .filter(|task| task.status != TaskStatus::Completed)
        .map(TaskRef::from)
        .collect();
    if unfinished.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = unfinished
        .iter()
        .take(5)
        .map(|task| task.slug.as_str())
        .collect();
    let more = if unfinished.len() > names.len() {
        ", …"
    } else {
        ""
    };
    let message = format!(
        "not completed yet: {}{more}; give force to start anyway",
        names.join(", ")
    );
    Err(
        CallError::unprocessable("unfinished_prerequisites", message)
            .with_detail(
                "tasks",
                json!(unfinished.iter().take(MAX_NAMED).collect::<Vec<_>>()),
            )
            .into(),
    )
}

/// Says what the tables of transitions say.
pub(super) fn illegal_transition(error: StorageError) -> HubError {
    match error {
        StorageError::IllegalTransition { table, from, to } => {
            let hint = if table == "tasks" && from == "completed" && to == "pending" {
                "; give reopen to take it up again"
            } else {
                ""
            };
            let message = format!(
                "a {} cannot go from {from} to {to}{hint}",
                table.trim_end_matches('s')
            );
            CallError::conflict("illegal_transition", message)
                .with_detail("table", table)
                .with_detail("from", from)
                .with_detail("to", to)
                .into()
        }
        other => other.into(),
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TaskAddNote {
    /// Id of the task.
    id: String,
    /// The note, at most 16 KiB.
    text: String,
}

async fn add_note(call: Call, input: Arc<TaskAddNote>) -> Result<TaskView, HubError> {
    let mut issues = Issues::default();
    let text = issues
        .take(rules::text("/text", &input.text, MAX_NOTE))
        .unwrap_or_default();
    if input.text.len() > MAX_NOTE {
        let message = format!("must be at most {MAX_NOTE} bytes");
        issues.add(alkhub_operations::Issue::new("/text", "maxLength", message));
    }
    if text.trim().is_empty() {
        issues.add(alkhub_operations::Issue::new(
            "/text",
            "minLength",
            "must not be empty",
        ));
    }
    issues.finish()?;
    let transaction = call.begin().await?;
    let (task, project) = locked_task(&transaction, &call.scope()?, &input.id).await?;
    let after = queries::append_task_note(&transaction, &task.id, &text).await?;
    super::update::audit_changes(&transaction, &call, &task, &after, &project).await?;
    transaction.commit().await?;
    call.state()
        .events
        .task(&project.id, Some(&task.id), TaskChange::Updated);
    Ok(TaskView::whole(&after))
}
