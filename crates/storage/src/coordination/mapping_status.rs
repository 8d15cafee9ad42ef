//! The end of a mapping, and the task that follows it.

use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ConnectionTrait, EntityTrait, JoinType, QueryFilter, QuerySelect,
    RelationTrait, Set,
};

use crate::entity::{mappings, tasks};
use crate::enums::{MappingStatus, TaskStatus};
use crate::error::StorageError;
use crate::ids::MappingId;
use crate::time;
use crate::transitions::Transitions;

/// Where the task of an ended mapping goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskFollows {
    /// The same word; after an abort to pending.
    Same,
    /// After an abort: pending, failed or blocked, as the caller says.
    To(TaskStatus),
    /// Stays as it is: the spawn was undone and the task put back by other means.
    Stays,
}

/// Moves a mapping out of `active`, and its task with it, in one go. Needs a transaction.
///
/// A task that is neither in progress nor blocked has been moved by somebody else and stays. The same
/// status again changes nothing. Errors: `NotFound`; `IllegalTransition` of the mapping or, for a
/// blocked task that would be completed, of the task.
pub async fn set_mapping_status(
    db: &impl ConnectionTrait,
    id: &MappingId,
    to: MappingStatus,
    follows: TaskFollows,
) -> Result<(mappings::Model, Option<tasks::Model>), StorageError> {
    let seen = mappings::Entity::find_by_id(id.clone())
        .one(db)
        .await?
        .ok_or(StorageError::NotFound)?;
    // The task before the mapping: everybody locks in this order.
    let task = match seen.task_id {
        Some(task) => {
            tasks::Entity::find_by_id(task)
                .lock_exclusive()
                .one(db)
                .await?
        }
        None => None,
    };
    let mapping = mappings::Entity::find_by_id(id.clone())
        .lock_exclusive()
        .one(db)
        .await?
        .ok_or(StorageError::NotFound)?;
    mapping.status.check(to)?;
    if mapping.status == to {
        return Ok((mapping, task));
    }
    let task = match task {
        Some(task) => Some(move_task(db, task, to, follows).await?),
        None => None,
    };
    let row = mappings::ActiveModel {
        id: Set(mapping.id),
        status: Set(to),
        updated_at: Set(time::after(mapping.updated_at)),
        ..Default::default()
    };
    Ok((row.update(db).await?, task))
}

/// Active mappings whose task is neither in progress nor blocked. There are none unless somebody
/// wrote by hand.
pub async fn status_mismatches(
    db: &impl ConnectionTrait,
) -> Result<Vec<(mappings::Model, tasks::Model)>, StorageError> {
    let rows = mappings::Entity::find()
        .select_also(tasks::Entity)
        .join(JoinType::InnerJoin, mappings::Relation::Task.def())
        .filter(super::is_active())
        .filter(Expr::cust("tasks.status not in ('in-progress', 'blocked')"))
        .all(db)
        .await?;
    Ok(rows
        .into_iter()
        .filter_map(|(mapping, task)| Some((mapping, task?)))
        .collect())
}

async fn move_task(
    db: &impl ConnectionTrait,
    task: tasks::Model,
    mapping: MappingStatus,
    follows: TaskFollows,
) -> Result<tasks::Model, StorageError> {
    let follows_mapping = matches!(task.status, TaskStatus::InProgress | TaskStatus::Blocked);
    let to = match (mapping, follows) {
        (_, TaskFollows::Stays) => return Ok(task),
        _ if !follows_mapping => return Ok(task),
        (MappingStatus::Aborted, TaskFollows::To(status)) => status,
        (MappingStatus::Aborted, TaskFollows::Same) => TaskStatus::Pending,
        (MappingStatus::Completed, _) => TaskStatus::Completed,
        (MappingStatus::Failed, _) => TaskStatus::Failed,
        (MappingStatus::Active, _) => return Ok(task),
    };
    task.status.check(to)?;
    if task.status == to {
        return Ok(task);
    }
    let now = time::after(task.updated_at);
    let mut row = tasks::ActiveModel {
        id: Set(task.id),
        status: Set(to),
        updated_at: Set(now),
        ..Default::default()
    };
    if to == TaskStatus::Completed {
        row.completed_at = Set(Some(now));
    }
    Ok(row.update(db).await?)
}
