//! Looking sessions up.

use std::collections::HashMap;

use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Statement,
};

use crate::engine::Engine;
use crate::entity::sessions;
use crate::enums::SessionStatus;
use crate::error::StorageError;
use crate::ids::{AccountId, ProjectId, SessionId, WorkspaceId};
use crate::page::{self, Page, PageRequest};
use crate::scope::{Scope, column};
use crate::time::DateTimeUtc;

use super::OPEN;

/// Which sessions to list; none = all.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct SessionFilter {
    /// Of one project.
    pub project_id: Option<ProjectId>,
    /// In one workspace.
    pub workspace_id: Option<WorkspaceId>,
    /// Of one account.
    pub account_id: Option<AccountId>,
    /// Under one role.
    pub role_name: Option<String>,
    /// Children of one session.
    pub parent_id: Option<SessionId>,
    /// In one of these statuses; empty = any.
    pub status: Vec<SessionStatus>,
    /// Text the title contains; ASCII letters in either case.
    pub search: Option<String>,
    /// Made at this moment or later.
    pub from: Option<DateTimeUtc>,
    /// Made before this moment.
    pub to: Option<DateTimeUtc>,
}

/// A session under another one.
#[derive(Debug, Clone, PartialEq)]
pub struct Descendant {
    /// The session.
    pub session: sessions::Model,
    /// 1 for a child, 2 for a child's child.
    pub depth: u32,
}

/// Sessions the asker may see, newest first.
pub async fn list_sessions(
    db: &impl ConnectionTrait,
    scope: &Scope,
    filter: &SessionFilter,
    request: &PageRequest,
) -> Result<Page<sessions::Model>, StorageError> {
    let mut select = sessions::Entity::find().filter(scope.sessions(Engine::of(db)));
    if let Some(project) = &filter.project_id {
        select = select.filter(sessions::Column::ProjectId.eq(project.clone()));
    }
    if let Some(workspace) = &filter.workspace_id {
        select = select.filter(sessions::Column::WorkspaceId.eq(workspace.clone()));
    }
    if let Some(account) = &filter.account_id {
        select = select.filter(sessions::Column::AccountId.eq(account.clone()));
    }
    if let Some(role) = &filter.role_name {
        select = select.filter(sessions::Column::RoleName.eq(role.as_str()));
    }
    if let Some(parent) = &filter.parent_id {
        select = select.filter(sessions::Column::ParentId.eq(parent.clone()));
    }
    if !filter.status.is_empty() {
        select = select.filter(sessions::Column::Status.is_in(filter.status.iter().copied()));
    }
    if let Some(text) = &filter.search {
        select = select.filter(Engine::of(db).contains(column("sessions", "title"), text));
    }
    if let Some(from) = filter.from {
        select = select.filter(sessions::Column::CreatedAt.gte(from));
    }
    if let Some(to) = filter.to {
        select = select.filter(sessions::Column::CreatedAt.lt(to));
    }
    page::by_creation(db, select, "sessions", filter, request, |row| {
        (row.created_at, row.id.to_string())
    })
    .await
}

/// Sessions that are not archived, the last changed first, optionally of one project.
pub async fn open_sessions(
    db: &impl ConnectionTrait,
    project: Option<&ProjectId>,
) -> Result<Vec<sessions::Model>, StorageError> {
    let mut select = sessions::Entity::find().filter(Expr::cust(OPEN));
    if let Some(project) = project {
        select = select.filter(sessions::Column::ProjectId.eq(project.clone()));
    }
    Ok(select
        .order_by_desc(sessions::Column::UpdatedAt)
        .all(db)
        .await?)
}

/// The sessions directly under one, oldest first, that the asker may see.
pub async fn session_children(
    db: &impl ConnectionTrait,
    scope: &Scope,
    id: &SessionId,
) -> Result<Vec<sessions::Model>, StorageError> {
    Ok(sessions::Entity::find()
        .filter(sessions::Column::ParentId.eq(id.clone()))
        .filter(scope.sessions(Engine::of(db)))
        .order_by_asc(sessions::Column::CreatedAt)
        .order_by_asc(sessions::Column::Id)
        .all(db)
        .await?)
}

/// All sessions under one down to a depth of at most 10, level by level, that the asker may see.
pub async fn session_tree(
    db: &impl ConnectionTrait,
    scope: &Scope,
    id: &SessionId,
    depth: u32,
) -> Result<Vec<Descendant>, StorageError> {
    // "union" without "all" would not end a cycle made by direct SQL, the depth does.
    let statement = Statement::from_sql_and_values(
        db.get_database_backend(),
        "with recursive tree (id, depth) as (
            select id, 1 from sessions where parent_id = $1
            union all
            select sessions.id, tree.depth + 1
            from tree join sessions on sessions.parent_id = tree.id
            where tree.depth < $2
        )
        select id, min(depth) as depth from tree group by id",
        [id.as_str().into(), (depth.min(10) as i32).into()],
    );
    let mut depths = HashMap::new();
    for row in db.query_all_raw(statement).await? {
        let found: SessionId = row.try_get("", "id")?;
        let depth: i32 = row.try_get("", "depth")?;
        depths.insert(found, depth.unsigned_abs());
    }
    let ids: Vec<&SessionId> = depths.keys().collect();
    let rows = sessions::Entity::find()
        .filter(Engine::of(db).one_of(column("sessions", "id"), &ids))
        .filter(scope.sessions(Engine::of(db)))
        .order_by_asc(sessions::Column::CreatedAt)
        .order_by_asc(sessions::Column::Id)
        .all(db)
        .await?;
    let mut tree: Vec<Descendant> = rows
        .into_iter()
        .filter_map(|session| {
            Some(Descendant {
                depth: *depths.get(&session.id)?,
                session,
            })
        })
        .collect();
    tree.sort_by_key(|descendant| descendant.depth);
    Ok(tree)
}

/// How many sessions the asker may see, by status, optionally of one project.
pub async fn count_sessions_by_status(
    db: &impl ConnectionTrait,
    scope: &Scope,
    project: Option<&ProjectId>,
) -> Result<Vec<(SessionStatus, u64)>, StorageError> {
    let mut select = sessions::Entity::find()
        .select_only()
        .column(sessions::Column::Status)
        .expr(Expr::cust("count(*)"))
        .filter(scope.sessions(Engine::of(db)))
        .group_by(sessions::Column::Status);
    if let Some(project) = project {
        select = select.filter(sessions::Column::ProjectId.eq(project.clone()));
    }
    crate::row::counted(db, select).await
}
