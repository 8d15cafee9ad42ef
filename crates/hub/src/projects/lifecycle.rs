//! Archiving, deleting and counting projects.

use std::collections::BTreeMap;
use std::sync::Arc;

use alkhub_operations::{CallError, Operation, OperationType, operation};
use alkhub_storage::enums::MembershipLevel;
use alkhub_storage::ids::ProjectId;
use alkhub_storage::projects as queries;
use alkhub_storage::time::{format as to_wire, now};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Counts, ProjectView, about, visible};
use crate::audit::{self, Action};
use crate::error::{HubError, NOT_FOUND};
use crate::rules::{self, Issues};
use crate::state::{Call, handle};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        operation::<ProjectArchive, ProjectView>("project.archive", OperationType::Mutation)
            .description("Archives a project: no new sessions, imports or spawns until unarchived.")
            .scopes(&["project:write"])
            .resource("project", "write")
            .error("CONFLICT", "active_mappings: agents work in the project")
            .handler(handle(archive)),
        operation::<ProjectArchive, ProjectView>("project.unarchive", OperationType::Mutation)
            .description("Takes a project out of the archive.")
            .scopes(&["project:write"])
            .resource("project", "write")
            .handler(handle(unarchive)),
        operation::<ProjectDelete, ProjectDeleted>("project.delete", OperationType::Mutation)
            .description("Deletes a project with its workspaces, sessions and tasks.")
            .scopes(&["project:admin"])
            .resource("project", "admin")
            .error(
                "CONFLICT",
                "active_mappings: agents work in the project; give force",
            )
            .error(
                "UNPROCESSABLE",
                "confirm: the confirmation is not the project's name",
            )
            .handler(handle(delete)),
        operation::<ProjectStatsInput, ProjectStats>("project.stats", OperationType::Query)
            .description("Numbers of a project: tasks and sessions by status, calls of late.")
            .scopes(&["project:read"])
            .resource("project", "read")
            .handler(handle(stats)),
    ]
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ProjectArchive {
    /// Id of the project.
    id: String,
    /// Only if the project was not changed since.
    if_updated_at: Option<String>,
}

async fn archive(call: Call, input: Arc<ProjectArchive>) -> Result<ProjectView, HubError> {
    set_archived(&call, &input, true).await
}

async fn unarchive(call: Call, input: Arc<ProjectArchive>) -> Result<ProjectView, HubError> {
    set_archived(&call, &input, false).await
}

async fn set_archived(
    call: &Call,
    input: &ProjectArchive,
    archived: bool,
) -> Result<ProjectView, HubError> {
    let mut issues = Issues::default();
    let unchanged_since = issues.moment("/ifUpdatedAt", input.if_updated_at.as_deref());
    issues.finish()?;
    let transaction = call.begin().await?;
    let id = ProjectId::from(input.id.clone());
    let before = queries::lock_project(&transaction, &call.scope()?, &id)
        .await?
        .ok_or_else(|| CallError::not_found(NOT_FOUND))?;
    rules::unchanged(unchanged_since, before.updated_at)?;
    if before.metadata.0.contains_key("archivedAt") == archived {
        return Ok(ProjectView::from(&before));
    }
    let mut metadata = before.metadata.clone();
    let action = if archived {
        refuse_active_mappings(&transaction, &id).await?;
        metadata
            .0
            .insert("archivedAt".to_owned(), json!(to_wire(now())));
        Action::ProjectArchived
    } else {
        metadata.0.remove("archivedAt");
        Action::ProjectUnarchived
    };
    let changes = queries::ProjectChanges {
        metadata: Some(metadata),
        ..Default::default()
    };
    let after = queries::update_project(&transaction, &id, changes).await?;
    audit::write(&transaction, &call.actor()?, action, about(&after)).await?;
    transaction.commit().await?;
    Ok(ProjectView::from(&after))
}

async fn refuse_active_mappings(
    transaction: &impl alkhub_storage::ConnectionTrait,
    project: &ProjectId,
) -> Result<(), HubError> {
    let active = queries::active_mappings(transaction, project).await?;
    if active == 0 {
        return Ok(());
    }
    let message = "agents work in this project";
    Err(CallError::conflict("active_mappings", message)
        .with_detail("count", active)
        .into())
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ProjectDelete {
    /// Id of the project.
    id: String,
    /// The project's name, as a confirmation.
    confirm: String,
    /// Even while agents work in it.
    #[serde(default)]
    force: bool,
    /// Only if the project was not changed since.
    if_updated_at: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ProjectDeleted {
    /// Always true.
    deleted: bool,
    /// What went with it; spokes stay, unbound.
    counts: Counts,
}

async fn delete(call: Call, input: Arc<ProjectDelete>) -> Result<ProjectDeleted, HubError> {
    let mut issues = Issues::default();
    let unchanged_since = issues.moment("/ifUpdatedAt", input.if_updated_at.as_deref());
    issues.finish()?;
    let transaction = call.begin().await?;
    let id = ProjectId::from(input.id.clone());
    let project = queries::lock_project(&transaction, &call.scope()?, &id)
        .await?
        .ok_or_else(|| CallError::not_found(NOT_FOUND))?;
    rules::unchanged(unchanged_since, project.updated_at)?;
    call.require_level(project.org_id.as_ref(), MembershipLevel::Admin)?;
    if input.confirm != project.name {
        let message = "the confirmation must be the project's name";
        return Err(CallError::unprocessable("confirm", message).into());
    }
    if !input.force {
        refuse_active_mappings(&transaction, &id).await?;
    }
    let counts = Counts::from(queries::project_counts(&transaction, &id).await?);
    queries::delete_project(&transaction, &id).await?;
    let entry = about(&project).counted(json!(counts));
    audit::write(&transaction, &call.actor()?, Action::ProjectDeleted, entry).await?;
    transaction.commit().await?;
    Ok(ProjectDeleted {
        deleted: true,
        counts,
    })
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ProjectStatsInput {
    /// Id of the project.
    id: String,
    /// How far back calls are counted: `30m`, `24h`, `7d`.
    #[serde(default = "week")]
    window: String,
}

fn week() -> String {
    "7d".to_owned()
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ProjectStats {
    /// Tasks by status.
    tasks: BTreeMap<String, u64>,
    /// Sessions by status.
    sessions: BTreeMap<String, u64>,
    /// Calls about the project within the window, by status.
    calls: BTreeMap<String, u64>,
    /// Beginning of the window.
    since: String,
}

async fn stats(call: Call, input: Arc<ProjectStatsInput>) -> Result<ProjectStats, HubError> {
    let mut issues = Issues::default();
    let window = issues.take(rules::duration("/window", &input.window));
    issues.finish()?;
    let reader = call.database().reader();
    let project = visible(reader, &call.scope()?, &input.id).await?;
    let since = now() - window.unwrap_or_default();
    let found = queries::project_stats(reader, &project.id, since).await?;
    fn by_name<S: ToString>(counts: Vec<(S, u64)>) -> BTreeMap<String, u64> {
        counts
            .into_iter()
            .map(|(status, count)| (status.to_string(), count))
            .collect()
    }
    Ok(ProjectStats {
        tasks: by_name(found.tasks),
        sessions: by_name(found.sessions),
        calls: by_name(found.calls),
        since: to_wire(since),
    })
}
