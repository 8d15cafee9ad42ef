//! Where the work stands, and the mapping that follows.

use sea_orm::ActiveValue::Set;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect};

use crate::engine::Engine;
use crate::entity::{mappings, tasks};
use crate::enums::{MappingStatus, TaskStatus};
use crate::error::StorageError;
use crate::ids::TaskId;
use crate::row;
use crate::time;
use crate::transitions::Transitions;

/// A change of a task's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusChange {
    /// The status wanted.
    pub to: TaskStatus,
    /// Lets a completed task become pending again.
    pub reopen: bool,
}

/// Moves a task and, in the same transaction, its active mapping: completed and failed become the
/// mapping's word, pending aborts it, in-progress and blocked leave it as it is. T
///
/// Answers the mapping that followed, or that stays active. Whether prerequisites are finished is the
/// caller's question. Errors: `NotFound`, `IllegalTransition`.
pub async fn update_task_status(
    db: &impl ConnectionTrait,
    id: &TaskId,
    change: StatusChange,
) -> Result<(tasks::Model, Option<mappings::Model>), StorageError> {
    let task = tasks::Entity::find_by_id(id.clone())
        .lock_exclusive()
        .one(db)
        .await?
        .ok_or(StorageError::NotFound)?;
    let mapping = active_mapping(db, id).await?;
    let (from, to) = (task.status, change.to);
    if from == to {
        return Ok((task, mapping));
    }
    let reopens = change.reopen && from == TaskStatus::Completed && to == TaskStatus::Pending;
    if !reopens {
        from.check(to)?;
    }
    let now = time::after(task.updated_at);
    let mut changes = tasks::ActiveModel {
        status: Set(to),
        ..<tasks::ActiveModel as Default>::default()
    };
    if to == TaskStatus::InProgress && task.started_at.is_none() {
        changes.started_at = Set(Some(now));
    }
    match to {
        TaskStatus::Completed => changes.completed_at = Set(Some(now)),
        _ if task.completed_at.is_some() => changes.completed_at = Set(None),
        _ => {}
    }
    let moved = row::update::<tasks::Entity, _>(db, id.clone(), changes, None).await?;
    let mapping = match (mapping, follows(to)) {
        (Some(mapping), Some(status)) => {
            let changes = mappings::ActiveModel {
                status: Set(status),
                ..<mappings::ActiveModel as Default>::default()
            };
            Some(row::update::<mappings::Entity, _>(db, mapping.id, changes, None).await?)
        }
        (mapping, _) => mapping,
    };
    Ok((moved, mapping))
}

/// The status an active mapping takes when its task enters this one.
fn follows(task: TaskStatus) -> Option<MappingStatus> {
    match task {
        TaskStatus::Completed => Some(MappingStatus::Completed),
        TaskStatus::Failed => Some(MappingStatus::Failed),
        TaskStatus::Pending => Some(MappingStatus::Aborted),
        TaskStatus::InProgress | TaskStatus::Blocked => None,
    }
}

async fn active_mapping(
    db: &impl ConnectionTrait,
    task: &TaskId,
) -> Result<Option<mappings::Model>, StorageError> {
    let select = mappings::Entity::find()
        .filter(mappings::Column::TaskId.eq(task.clone()))
        .filter(mappings::Column::Status.eq(MappingStatus::Active));
    match Engine::of(db) {
        Engine::Sqlite => Ok(select.one(db).await?),
        Engine::Postgres => Ok(select.lock_exclusive().one(db).await?),
    }
}
