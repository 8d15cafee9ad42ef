//! Looking mappings up.

use std::collections::HashMap;

use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, JoinType, QueryFilter, QueryOrder, QuerySelect,
    RelationTrait,
};

use crate::engine::Engine;
use crate::entity::{mappings, sessions, tasks};
use crate::enums::MappingStatus;
use crate::error::StorageError;
use crate::ids::{AccountId, MappingId, ProjectId, SessionId, SpokeId, TaskId, WorkspaceId};
use crate::page::{self, Page, PageRequest};
use crate::scope::{Scope, column};

use super::is_active;

/// Which mappings to list; none = all.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct MappingFilter {
    /// Whose sessions are in one project.
    pub project_id: Option<ProjectId>,
    /// Of one coordinator.
    pub parent_session_id: Option<SessionId>,
    /// Of one spawned session.
    pub session_id: Option<SessionId>,
    /// For one task.
    pub task_id: Option<TaskId>,
    /// On one spoke.
    pub spoke_id: Option<SpokeId>,
    /// In one status.
    pub status: Option<MappingStatus>,
}

/// A mapping with its session and, where there is one, its task.
#[derive(Debug, Clone, PartialEq)]
pub struct Child {
    /// The mapping.
    pub mapping: mappings::Model,
    /// The spawned session.
    pub session: sessions::Model,
    /// What it works on.
    pub task: Option<tasks::Model>,
}

/// How many mappings are active, in the respects that are limited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ActiveCounts {
    /// In the project.
    pub project: u64,
    /// On the spoke.
    pub spoke: u64,
    /// Of the coordinator.
    pub parent: u64,
    /// Under the account.
    pub account: u64,
}

/// The mapping with an id, if the asker may see its session.
pub async fn mapping_by_id(
    db: &impl ConnectionTrait,
    scope: &Scope,
    id: &MappingId,
) -> Result<Option<mappings::Model>, StorageError> {
    Ok(mappings::Entity::find_by_id(id.clone())
        .filter(scope.within_sessions(Engine::of(db), column("mappings", "session_id")))
        .one(db)
        .await?)
}

/// The newest mapping of a session.
pub async fn mapping_of_session(
    db: &impl ConnectionTrait,
    session: &SessionId,
) -> Result<Option<mappings::Model>, StorageError> {
    Ok(mappings::Entity::find()
        .filter(mappings::Column::SessionId.eq(session.clone()))
        .order_by_desc(mappings::Column::CreatedAt)
        .order_by_desc(mappings::Column::Id)
        .one(db)
        .await?)
}

/// All tries at a task, newest first.
pub async fn mappings_of_task(
    db: &impl ConnectionTrait,
    task: &TaskId,
) -> Result<Vec<mappings::Model>, StorageError> {
    Ok(mappings::Entity::find()
        .filter(mappings::Column::TaskId.eq(task.clone()))
        .order_by_desc(mappings::Column::CreatedAt)
        .order_by_desc(mappings::Column::Id)
        .all(db)
        .await?)
}

/// The active mapping of a session; there is one at most.
pub async fn active_mapping_of_session(
    db: &impl ConnectionTrait,
    session: &SessionId,
) -> Result<Option<mappings::Model>, StorageError> {
    Ok(mappings::Entity::find()
        .filter(mappings::Column::SessionId.eq(session.clone()))
        .filter(is_active())
        .one(db)
        .await?)
}

/// The active mapping of a task; there is one at most.
pub async fn active_mapping_of_task(
    db: &impl ConnectionTrait,
    task: &TaskId,
) -> Result<Option<mappings::Model>, StorageError> {
    Ok(mappings::Entity::find()
        .filter(mappings::Column::TaskId.eq(task.clone()))
        .filter(is_active())
        .one(db)
        .await?)
}

/// What a coordinator spawned, with sessions and tasks, oldest first.
pub async fn children_of(
    db: &impl ConnectionTrait,
    parent: &SessionId,
    status: Option<MappingStatus>,
) -> Result<Vec<Child>, StorageError> {
    let mut select = mappings::Entity::find()
        .filter(mappings::Column::ParentSessionId.eq(parent.clone()))
        .order_by_asc(mappings::Column::CreatedAt)
        .order_by_asc(mappings::Column::Id);
    if let Some(status) = status {
        select = select.filter(mappings::Column::Status.eq(status));
    }
    let mappings = select.all(db).await?;
    let engine = Engine::of(db);
    let session_ids: Vec<&SessionId> = mappings.iter().map(|row| &row.session_id).collect();
    let task_ids: Vec<&TaskId> = mappings
        .iter()
        .filter_map(|row| row.task_id.as_ref())
        .collect();
    let sessions = by_id(
        sessions::Entity::find()
            .filter(engine.one_of(column("sessions", "id"), &session_ids))
            .all(db)
            .await?,
        |session| session.id.clone(),
    );
    let tasks = by_id(
        tasks::Entity::find()
            .filter(engine.one_of(column("tasks", "id"), &task_ids))
            .all(db)
            .await?,
        |task| task.id.clone(),
    );
    // A session may have several mappings, one after the other; each of them shows it.
    let mut children = Vec::with_capacity(mappings.len());
    for mapping in mappings {
        if let Some(session) = sessions.get(&mapping.session_id) {
            let task = mapping
                .task_id
                .as_ref()
                .and_then(|task| tasks.get(task))
                .cloned();
            children.push(Child {
                session: session.clone(),
                task,
                mapping,
            });
        }
    }
    Ok(children)
}

/// Mappings on a spoke, newest first.
pub async fn mappings_of_spoke(
    db: &impl ConnectionTrait,
    spoke: &SpokeId,
    status: Option<MappingStatus>,
) -> Result<Vec<mappings::Model>, StorageError> {
    let select = mappings::Entity::find().filter(mappings::Column::SpokeId.eq(spoke.clone()));
    newest(db, select, status).await
}

/// Mappings in a workspace, newest first.
pub async fn mappings_of_workspace(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    status: Option<MappingStatus>,
) -> Result<Vec<mappings::Model>, StorageError> {
    let select =
        mappings::Entity::find().filter(mappings::Column::WorkspaceId.eq(workspace.clone()));
    newest(db, select, status).await
}

/// Mappings the asker may see, newest first.
pub async fn list_mappings(
    db: &impl ConnectionTrait,
    scope: &Scope,
    filter: &MappingFilter,
    request: &PageRequest,
) -> Result<Page<mappings::Model>, StorageError> {
    let mut select = mappings::Entity::find()
        .filter(scope.within_sessions(Engine::of(db), column("mappings", "session_id")));
    if let Some(project) = &filter.project_id {
        select = select.filter(
            mappings::Column::SessionId.in_subquery(crate::sessions::ids_of_project(project)),
        );
    }
    if let Some(parent) = &filter.parent_session_id {
        select = select.filter(mappings::Column::ParentSessionId.eq(parent.clone()));
    }
    if let Some(session) = &filter.session_id {
        select = select.filter(mappings::Column::SessionId.eq(session.clone()));
    }
    if let Some(task) = &filter.task_id {
        select = select.filter(mappings::Column::TaskId.eq(task.clone()));
    }
    if let Some(spoke) = &filter.spoke_id {
        select = select.filter(mappings::Column::SpokeId.eq(spoke.clone()));
    }
    if let Some(status) = filter.status {
        select = select.filter(mappings::Column::Status.eq(status));
    }
    page::by_creation(db, select, "mappings", filter, request, |row| {
        (row.created_at, row.id.to_string())
    })
    .await
}

/// The newest mapping of each of some tasks.
pub async fn load_mappings_of_tasks(
    db: &impl ConnectionTrait,
    tasks: &[TaskId],
) -> Result<HashMap<TaskId, mappings::Model>, StorageError> {
    let rows = mappings::Entity::find()
        .filter(Engine::of(db).one_of(column("mappings", "task_id"), tasks))
        .order_by_asc(mappings::Column::CreatedAt)
        .order_by_asc(mappings::Column::Id)
        .all(db)
        .await?;
    // Later rows replace earlier ones.
    Ok(rows
        .into_iter()
        .filter_map(|row| Some((row.task_id.clone()?, row)))
        .collect())
}

/// The newest mapping of each of some sessions.
pub async fn load_mappings_of_sessions(
    db: &impl ConnectionTrait,
    sessions: &[SessionId],
) -> Result<HashMap<SessionId, mappings::Model>, StorageError> {
    let rows = mappings::Entity::find()
        .filter(Engine::of(db).one_of(column("mappings", "session_id"), sessions))
        .order_by_asc(mappings::Column::CreatedAt)
        .order_by_asc(mappings::Column::Id)
        .all(db)
        .await?;
    Ok(by_id(rows, |row| row.session_id.clone()))
}

/// Active mappings of a project, and on the spoke, of the coordinator and under the account where
/// these are given (else 0).
pub async fn active_counts(
    db: &impl ConnectionTrait,
    project: &ProjectId,
    spoke: Option<&SpokeId>,
    parent: Option<&SessionId>,
    account: Option<&AccountId>,
) -> Result<ActiveCounts, StorageError> {
    let of_sessions = |column: sessions::Column, id: String| {
        mappings::Entity::find()
            .join(JoinType::InnerJoin, mappings::Relation::Session.def())
            .filter(ColumnTrait::eq(&column, id))
    };
    let mut counts = ActiveCounts {
        project: count(
            db,
            of_sessions(sessions::Column::ProjectId, project.to_string()),
        )
        .await?,
        ..ActiveCounts::default()
    };
    if let Some(account) = account {
        counts.account = count(
            db,
            of_sessions(sessions::Column::AccountId, account.to_string()),
        )
        .await?;
    }
    if let Some(spoke) = spoke {
        let select = mappings::Entity::find().filter(mappings::Column::SpokeId.eq(spoke.clone()));
        counts.spoke = count(db, select).await?;
    }
    if let Some(parent) = parent {
        let select =
            mappings::Entity::find().filter(mappings::Column::ParentSessionId.eq(parent.clone()));
        counts.parent = count(db, select).await?;
    }
    Ok(counts)
}

/// How many mappings the asker may see, by status.
pub async fn count_mappings_by_status(
    db: &impl ConnectionTrait,
    scope: &Scope,
    project: Option<&ProjectId>,
) -> Result<Vec<(MappingStatus, u64)>, StorageError> {
    let mut select = mappings::Entity::find()
        .select_only()
        .column(mappings::Column::Status)
        .expr(Expr::cust("count(*)"))
        .filter(scope.within_sessions(Engine::of(db), column("mappings", "session_id")))
        .group_by(mappings::Column::Status);
    if let Some(project) = project {
        select = select.filter(
            mappings::Column::SessionId.in_subquery(crate::sessions::ids_of_project(project)),
        );
    }
    crate::row::counted(db, select).await
}

async fn newest(
    db: &impl ConnectionTrait,
    select: sea_orm::Select<mappings::Entity>,
    status: Option<MappingStatus>,
) -> Result<Vec<mappings::Model>, StorageError> {
    let select = match status {
        Some(status) => select.filter(mappings::Column::Status.eq(status)),
        None => select,
    };
    Ok(select
        .order_by_desc(mappings::Column::CreatedAt)
        .order_by_desc(mappings::Column::Id)
        .all(db)
        .await?)
}

async fn count(
    db: &impl ConnectionTrait,
    select: sea_orm::Select<mappings::Entity>,
) -> Result<u64, StorageError> {
    let number: Option<i64> = select
        .select_only()
        .expr(Expr::cust("count(*)"))
        .filter(is_active())
        .into_tuple()
        .one(db)
        .await?;
    Ok(number.map_or(0, i64::unsigned_abs))
}

fn by_id<K: std::hash::Hash + Eq, T>(rows: Vec<T>, id: impl Fn(&T) -> K) -> HashMap<K, T> {
    rows.into_iter().map(|row| (id(&row), row)).collect()
}
