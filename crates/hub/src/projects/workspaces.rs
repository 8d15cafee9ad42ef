//! Operations on workspaces: the branches, directories and execution places of a project.

use std::sync::Arc;

use alkhub_operations::{CallError, Issue, Operation, OperationType, operation};
use alkhub_storage::entity::workspaces;
use alkhub_storage::enums::{MembershipLevel, WorkspaceType};
use alkhub_storage::ids::{ProjectId, WorkspaceId};
use alkhub_storage::json::WorkspaceExtra;
use alkhub_storage::projects::{self as queries, NewWorkspace, WorkspaceChanges};
use alkhub_storage::time::format as to_wire;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{MAX_LOCATION, location};
use crate::audit::{self, Action, Entry};
use crate::error::{HubError, NOT_FOUND};
use crate::page::{PageView, list_input};
use crate::rules::{self, Issues};
use crate::state::{Call, handle};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        operation::<WorkspaceCreate, WorkspaceView>("workspace.create", OperationType::Mutation)
            .description("Adds a workspace to a project.")
            .scopes(&["project:write"])
            .resource("project", "write")
            .error("CONFLICT", "directory_taken, archived")
            .handler(handle(create)),
        operation::<WorkspaceGet, WorkspaceView>("workspace.get", OperationType::Query)
            .description("One workspace.")
            .scopes(&["project:read"])
            .handler(handle(get)),
        operation::<WorkspaceList, PageView<WorkspaceView>>("workspace.list", OperationType::Query)
            .description("The workspaces of a project, newest first.")
            .scopes(&["project:read"])
            .resource("project", "read")
            .handler(handle(list)),
        operation::<WorkspaceUpdate, WorkspaceView>("workspace.update", OperationType::Mutation)
            .description("Changes name, branch, directory or notes of a workspace.")
            .scopes(&["project:write"])
            .error("CONFLICT", "directory_taken")
            .handler(handle(update)),
        operation::<WorkspaceDelete, WorkspaceDeleted>("workspace.delete", OperationType::Mutation)
            .description("Deletes a workspace; its sessions stay, without one.")
            .scopes(&["project:write"])
            .error("CONFLICT", "active_mapping: an agent works in it")
            .error("UNSUPPORTED", "removeWorktree needs a spoke to remove it")
            .handler(handle(delete)),
    ]
}

/// A workspace.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct WorkspaceView {
    /// Id of the workspace.
    id: WorkspaceId,
    /// Its project.
    project_id: ProjectId,
    /// `local`, `remote` or `container`.
    #[serde(rename = "type")]
    kind: WorkspaceType,
    /// Git branch.
    branch: Option<String>,
    /// Shown name; the branch when null.
    name: Option<String>,
    /// Absolute path where it runs.
    directory: Option<String>,
    /// What its type needs.
    extra: Option<Value>,
    /// Notes of the hub and of extensions.
    metadata: Map<String, Value>,
    /// When the row was made.
    created_at: String,
    /// When it was last changed.
    updated_at: String,
}

impl From<&workspaces::Model> for WorkspaceView {
    fn from(row: &workspaces::Model) -> Self {
        Self {
            id: row.id.clone(),
            project_id: row.project_id.clone(),
            kind: row.kind,
            branch: row.branch.clone(),
            name: row.name.clone(),
            directory: row.directory.clone(),
            extra: row.extra.as_ref().map(|extra| json!(extra)),
            metadata: row.metadata.0.clone(),
            created_at: to_wire(row.created_at),
            updated_at: to_wire(row.updated_at),
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WorkspaceCreate {
    /// Project it belongs to.
    project_id: String,
    /// Shown name; the branch when absent.
    name: Option<String>,
    /// `local`, `remote` or `container`.
    #[serde(rename = "type", default = "local")]
    kind: WorkspaceType,
    /// Git branch.
    branch: Option<String>,
    /// Absolute path where it runs; two workspaces of a project never share one.
    directory: Option<String>,
    /// What its type needs.
    extra: Option<WorkspaceExtraInput>,
}

fn local() -> WorkspaceType {
    WorkspaceType::Local
}

/// What a workspace's type needs.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WorkspaceExtraInput {
    /// What kind of place it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<PlaceKind>,
    /// Branch it was cut from.
    #[serde(skip_serializing_if = "Option::is_none")]
    base_branch: Option<String>,
    /// Commit it was cut from.
    #[serde(skip_serializing_if = "Option::is_none")]
    base_commit: Option<String>,
    /// Spoke it lives on.
    #[serde(skip_serializing_if = "Option::is_none")]
    spoke_id: Option<String>,
    /// Container it runs in.
    #[serde(skip_serializing_if = "Option::is_none")]
    container_id: Option<String>,
    /// Host it runs on.
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
}

/// Kinds of place.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum PlaceKind {
    /// The project's main checkout.
    Main,
    /// A git worktree.
    Worktree,
    /// A branch of the main checkout.
    Branch,
    /// A plain directory.
    Directory,
}

async fn create(call: Call, input: Arc<WorkspaceCreate>) -> Result<WorkspaceView, HubError> {
    let mut issues = Issues::default();
    let name = input
        .name
        .as_deref()
        .and_then(|name| issues.take(rules::name("/name", name)));
    let branch = location(&mut issues, "/branch", input.branch.as_ref());
    let directory = location(&mut issues, "/directory", input.directory.as_ref());
    let extra = input
        .extra
        .as_ref()
        .and_then(|extra| checked_extra(&mut issues, extra));
    issues.finish()?;

    let transaction = call.begin().await?;
    let project_id = ProjectId::from(input.project_id.clone());
    let project = queries::lock_project(&transaction, &call.scope()?, &project_id)
        .await?
        .ok_or_else(|| CallError::not_found(NOT_FOUND))?;
    if project.metadata.0.contains_key("archivedAt") {
        return Err(CallError::conflict("archived", "the project is archived").into());
    }
    refuse_taken_directory(&transaction, &project.id, directory.as_deref(), None).await?;
    let new = NewWorkspace {
        project_id: project.id.clone(),
        kind: input.kind,
        branch,
        name,
        directory,
        extra,
        metadata: Map::new().into(),
    };
    let workspace = queries::create_workspace(&transaction, new).await?;
    let entry = about(&workspace).in_organization(project.org_id.as_ref());
    audit::write(
        &transaction,
        &call.actor()?,
        Action::WorkspaceCreated,
        entry,
    )
    .await?;
    transaction.commit().await?;
    Ok(WorkspaceView::from(&workspace))
}

fn checked_extra(issues: &mut Issues, extra: &WorkspaceExtraInput) -> Option<WorkspaceExtra> {
    let extra = json!(extra);
    for (field, value) in extra.as_object().into_iter().flatten() {
        if let Some(text) = value.as_str() {
            issues.take(rules::text(&format!("/extra/{field}"), text, MAX_LOCATION));
        }
    }
    let checked = serde_json::from_value(extra)
        .map_err(|bad| Issue::new("/extra", "type", format!("does not fit a workspace: {bad}")));
    issues.take(checked)
}

async fn refuse_taken_directory(
    transaction: &impl alkhub_storage::ConnectionTrait,
    project: &ProjectId,
    directory: Option<&str>,
    except: Option<&WorkspaceId>,
) -> Result<(), HubError> {
    let Some(directory) = directory else {
        return Ok(());
    };
    match queries::workspace_in_directory(transaction, project, directory).await? {
        Some(other) if Some(&other.id) != except => {
            let message = "another workspace of the project has this directory";
            Err(CallError::conflict("directory_taken", message)
                .with_detail("workspaceId", json!(other.id))
                .into())
        }
        _ => Ok(()),
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WorkspaceGet {
    /// Id of the workspace.
    id: String,
}

async fn get(call: Call, input: Arc<WorkspaceGet>) -> Result<WorkspaceView, HubError> {
    let workspace = visible(call.database().reader(), &call, &input.id).await?;
    Ok(WorkspaceView::from(&workspace))
}

async fn visible(
    database: &impl alkhub_storage::ConnectionTrait,
    call: &Call,
    id: &str,
) -> Result<workspaces::Model, HubError> {
    queries::workspace_by_id(database, &call.scope()?, &WorkspaceId::from(id.to_owned()))
        .await?
        .ok_or_else(|| CallError::not_found(NOT_FOUND).into())
}

list_input! {
    struct WorkspaceList {
        /// Project whose workspaces are listed.
        project_id: String,
        /// Only those of this branch.
        branch: Option<String>,
    }
}

async fn list(call: Call, input: Arc<WorkspaceList>) -> Result<PageView<WorkspaceView>, HubError> {
    let reader = call.database().reader();
    let project = super::visible(reader, &call.scope()?, &input.project_id).await?;
    let page =
        queries::workspaces_of(reader, &project.id, input.branch.as_deref(), &input.page()).await?;
    Ok(PageView::of(page, |row| WorkspaceView::from(&row)))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WorkspaceUpdate {
    /// Id of the workspace.
    id: String,
    /// New name; null removes it.
    #[serde(default, deserialize_with = "rules::present")]
    name: Option<Option<String>>,
    /// New branch; null removes it.
    #[serde(default, deserialize_with = "rules::present")]
    branch: Option<Option<String>>,
    /// New directory; null removes it.
    #[serde(default, deserialize_with = "rules::present")]
    directory: Option<Option<String>>,
    /// Notes to merge; null removes a key.
    metadata: Option<Map<String, Value>>,
    /// Only if the workspace was not changed since.
    if_updated_at: Option<String>,
}

async fn update(call: Call, input: Arc<WorkspaceUpdate>) -> Result<WorkspaceView, HubError> {
    let transaction = call.begin().await?;
    let before = visible(&transaction, &call, &input.id).await?;
    // The project's row is the lock under which directories are compared.
    queries::lock_project(&transaction, &call.scope()?, &before.project_id).await?;
    let mut issues = Issues::default();
    let name = input.name.as_ref().map(|name| {
        name.as_deref()
            .and_then(|name| issues.take(rules::name("/name", name)))
    });
    let branch = input
        .branch
        .as_ref()
        .map(|text| location(&mut issues, "/branch", text.as_ref()));
    let directory = input
        .directory
        .as_ref()
        .map(|text| location(&mut issues, "/directory", text.as_ref()));
    let metadata = input.metadata.as_ref().and_then(|patch| {
        issues.take_all(rules::metadata_patch(
            "workspaces",
            &before.metadata.0,
            patch,
        ))
    });
    let unchanged_since = issues.moment("/ifUpdatedAt", input.if_updated_at.as_deref());
    issues.finish()?;
    rules::unchanged(unchanged_since, before.updated_at)?;
    if let Some(directory) = &directory {
        let id = Some(&before.id);
        refuse_taken_directory(&transaction, &before.project_id, directory.as_deref(), id).await?;
    }
    let changes = WorkspaceChanges {
        name,
        branch,
        directory,
        metadata: metadata.map(Into::into),
        ..WorkspaceChanges::default()
    };
    let after = queries::update_workspace(&transaction, &before.id, changes).await?;
    transaction.commit().await?;
    Ok(WorkspaceView::from(&after))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WorkspaceDelete {
    /// Id of the workspace.
    id: String,
    /// Also remove the worktree on the spoke's disk.
    #[serde(default)]
    remove_worktree: bool,
    /// Only if the workspace was not changed since.
    if_updated_at: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct WorkspaceDeleted {
    /// Always true.
    deleted: bool,
    /// True when the worktree went as well.
    worktree_removed: bool,
}

async fn delete(call: Call, input: Arc<WorkspaceDelete>) -> Result<WorkspaceDeleted, HubError> {
    let mut issues = Issues::default();
    let unchanged_since = issues.moment("/ifUpdatedAt", input.if_updated_at.as_deref());
    issues.finish()?;
    let transaction = call.begin().await?;
    let workspace = visible(&transaction, &call, &input.id).await?;
    rules::unchanged(unchanged_since, workspace.updated_at)?;
    if input.remove_worktree {
        let code = alkhub_operations::ErrorCode::UNSUPPORTED;
        let message = "this hub has no spokes yet that could remove a worktree";
        return Err(CallError::new(code, message).into());
    }
    let project =
        super::visible(&transaction, &call.scope()?, workspace.project_id.as_ref()).await?;
    call.require_level(project.org_id.as_ref(), MembershipLevel::Admin)?;
    if queries::active_mappings_of_workspace(&transaction, &workspace.id).await? > 0 {
        return Err(
            CallError::conflict("active_mapping", "an agent works in this workspace").into(),
        );
    }
    queries::delete_workspace(&transaction, &workspace.id).await?;
    let entry = about(&workspace).in_organization(project.org_id.as_ref());
    audit::write(
        &transaction,
        &call.actor()?,
        Action::WorkspaceDeleted,
        entry,
    )
    .await?;
    transaction.commit().await?;
    Ok(WorkspaceDeleted {
        deleted: true,
        worktree_removed: false,
    })
}

fn about(workspace: &workspaces::Model) -> Entry {
    let label = workspace
        .name
        .as_deref()
        .or(workspace.branch.as_deref())
        .unwrap_or_default();
    Entry::about("workspace", &workspace.id, label)
}
