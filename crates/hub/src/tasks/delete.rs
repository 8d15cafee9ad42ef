//! `task.delete`.

use std::sync::Arc;

use alkhub_operations::{CallError, Operation, OperationType, operation};
use alkhub_storage::coordination::{self, TaskFollows};
use alkhub_storage::enums::{MappingStatus, MembershipLevel};
use alkhub_storage::tasks as queries;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{about, locked_task};
use crate::audit::{self, Action};
use crate::error::HubError;
use crate::events::TaskChange;
use crate::rules::{self, Issues};
use crate::state::{Call, handle};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        operation::<TaskDelete, TaskDeleted>("task.delete", OperationType::Mutation)
            .description(
                "Deletes a task with its dependencies. In an organization this needs admin.",
            )
            .scopes(&["task:write"])
            .error(
                "CONFLICT",
                "active_mapping: a session works on it; force aborts that first",
            )
            .handler(handle(delete)),
    ]
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TaskDelete {
    /// Id of the task.
    id: String,
    /// Also when a session works on it; its mapping is aborted first.
    #[serde(default)]
    force: bool,
    /// Only if the task was not changed since.
    if_updated_at: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct TaskDeleted {
    /// Dependencies that went with the task.
    edges_removed: u64,
}

async fn delete(call: Call, input: Arc<TaskDelete>) -> Result<TaskDeleted, HubError> {
    let mut issues = Issues::default();
    let unchanged_since = issues.moment("/ifUpdatedAt", input.if_updated_at.as_deref());
    issues.finish()?;
    let transaction = call.begin().await?;
    let (task, project) = locked_task(&transaction, &call.scope()?, &input.id).await?;
    call.require_level(project.org_id.as_ref(), MembershipLevel::Admin)?;
    rules::unchanged(unchanged_since, task.updated_at)?;
    if let Some(mapping) = coordination::active_mapping_of_task(&transaction, &task.id).await? {
        if !input.force {
            let message =
                "a session works on this task; give force to abort its mapping and delete";
            return Err(CallError::conflict("active_mapping", message)
                .with_detail("mappingId", json!(mapping.id))
                .into());
        }
        let aborted = MappingStatus::Aborted;
        coordination::set_mapping_status(&transaction, &mapping.id, aborted, TaskFollows::Same)
            .await?;
    }
    let edges_removed = queries::delete_task(&transaction, &task.id).await?;
    let entry = about(&task, &project).counted(json!({ "edgesRemoved": edges_removed }));
    audit::write(&transaction, &call.actor()?, Action::TaskDeleted, entry).await?;
    transaction.commit().await?;
    call.state()
        .events
        .task(&project.id, Some(&task.id), TaskChange::Deleted);
    Ok(TaskDeleted { edges_removed })
}
