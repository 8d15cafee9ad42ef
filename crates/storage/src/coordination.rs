//! Coordination: mappings of sessions to tasks, and anomalies seen in sessions.
//!
//! Rows are locked in the order session, task, mapping by every function here, so that two
//! coordinators wait for each other and never block each other.

mod detections;
mod mapping_status;
mod queries;

use sea_orm::{ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, QuerySelect, Set};

use crate::entity::{mappings, sessions, tasks, workspaces};
use crate::enums::MappingStatus;
use crate::error::StorageError;
use crate::ids::{MappingId, ProjectId, SessionId, SpokeId, TaskId, WorkspaceId};
use crate::json::Metadata;
use crate::time;

pub use detections::{
    DetectionFilter, NewDetection, Raised, count_open_detections_by_severity, detection_by_id,
    list_detections, load_open_detections, prune_detections, raise_detection, resolve_detections,
    resolve_detections_of_session,
};
pub use mapping_status::{TaskFollows, set_mapping_status, status_mismatches};
pub use queries::{
    ActiveCounts, Child, MappingFilter, active_counts, active_mapping_of_session,
    active_mapping_of_task, children_of, count_mappings_by_status, list_mappings,
    load_mappings_of_sessions, load_mappings_of_tasks, mapping_by_id, mapping_of_session,
    mappings_of_spoke, mappings_of_task, mappings_of_workspace,
};

/// A spawned session, as it begins.
#[derive(Debug, Clone, PartialEq)]
pub struct NewMapping {
    /// The spawned session.
    pub session_id: SessionId,
    /// Where it runs; none = in the hub.
    pub spoke_id: Option<SpokeId>,
    /// In which workspace.
    pub workspace_id: Option<WorkspaceId>,
    /// The coordinator's session.
    pub parent_session_id: Option<SessionId>,
    /// For which task.
    pub task_id: Option<TaskId>,
    /// The hub's own notes.
    pub metadata: Metadata,
}

/// Columns of a mapping that change while it is active; none = as it was.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MappingChanges {
    /// Another spoke.
    pub spoke_id: Option<SpokeId>,
    /// The workspace, once it is made.
    pub workspace_id: Option<WorkspaceId>,
    /// Notes merged key by key; a null removes a key.
    pub metadata: serde_json::Map<String, serde_json::Value>,
}

/// Stores an active mapping and the slug of its task. Needs a transaction.
///
/// Session and task are locked, so that of two spawns for one task the second finds the first.
/// Errors: `NotFound` for a session or task that is gone; `Rule` `session_taken` or `task_taken` when
/// one of them has an active mapping; `Rule` `other_project` for a task or workspace outside the
/// session's project.
pub async fn create_mapping(
    db: &impl ConnectionTrait,
    new: NewMapping,
) -> Result<mappings::Model, StorageError> {
    let session = sessions::Entity::find_by_id(new.session_id.clone())
        .lock_exclusive()
        .one(db)
        .await?
        .ok_or(StorageError::NotFound)?;
    let task = match &new.task_id {
        Some(task) => Some(
            tasks::Entity::find_by_id(task.clone())
                .lock_exclusive()
                .one(db)
                .await?
                .ok_or(StorageError::NotFound)?,
        ),
        None => None,
    };
    if task
        .as_ref()
        .is_some_and(|task| task.project_id != session.project_id)
    {
        return Err(StorageError::rule("other_project"));
    }
    check_workspace(db, new.workspace_id.as_ref(), &session.project_id).await?;
    if active_mapping_of_session(db, &new.session_id)
        .await?
        .is_some()
    {
        return Err(StorageError::rule("session_taken"));
    }
    if let Some(task) = &new.task_id
        && active_mapping_of_task(db, task).await?.is_some()
    {
        return Err(StorageError::rule("task_taken"));
    }
    let now = time::now();
    let row = mappings::ActiveModel {
        id: Set(MappingId::random()),
        session_id: Set(new.session_id),
        spoke_id: Set(new.spoke_id),
        workspace_id: Set(new.workspace_id),
        parent_session_id: Set(new.parent_session_id),
        task_id: Set(new.task_id),
        task_slug: Set(task.map(|task| task.slug)),
        status: Set(MappingStatus::Active),
        metadata: Set(new.metadata),
        created_at: Set(now),
        updated_at: Set(now),
    };
    Ok(row.insert(db).await?)
}

/// Changes where a mapping runs, or its notes. Needs a transaction.
///
/// Errors: `NotFound`; `Rule` `other_project` for a workspace outside the session's project.
pub async fn update_mapping(
    db: &impl ConnectionTrait,
    id: &MappingId,
    changes: MappingChanges,
) -> Result<mappings::Model, StorageError> {
    let stored = mappings::Entity::find_by_id(id.clone())
        .lock_exclusive()
        .one(db)
        .await?
        .ok_or(StorageError::NotFound)?;
    let mut row = mappings::ActiveModel {
        id: Set(id.clone()),
        ..Default::default()
    };
    if let Some(workspace) = changes.workspace_id {
        let session = sessions::Entity::find_by_id(stored.session_id.clone())
            .one(db)
            .await?
            .ok_or(StorageError::NotFound)?;
        check_workspace(db, Some(&workspace), &session.project_id).await?;
        row.workspace_id = Set(Some(workspace));
    }
    if let Some(spoke) = changes.spoke_id {
        row.spoke_id = Set(Some(spoke));
    }
    if !changes.metadata.is_empty() {
        let mut metadata = stored.metadata;
        metadata.merge(changes.metadata);
        row.metadata = Set(metadata);
    }
    row.updated_at = Set(time::after(stored.updated_at));
    Ok(row.update(db).await?)
}

/// Refuses a workspace of another project. The row is locked against deletion meanwhile.
async fn check_workspace(
    db: &impl ConnectionTrait,
    workspace: Option<&WorkspaceId>,
    project: &ProjectId,
) -> Result<(), StorageError> {
    let Some(workspace) = workspace else {
        return Ok(());
    };
    let row = workspaces::Entity::find_by_id(workspace.clone())
        .lock_shared()
        .one(db)
        .await?
        .ok_or(StorageError::NotFound)?;
    if row.project_id == *project {
        Ok(())
    } else {
        Err(StorageError::rule("other_project"))
    }
}

/// The predicate of active mappings.
fn is_active() -> sea_orm::sea_query::SimpleExpr {
    mappings::Column::Status.eq(MappingStatus::Active)
}
