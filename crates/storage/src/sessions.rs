//! Sessions of agents, their messages and parts.

mod copy;
mod lists;
mod messages;
mod parts;
mod retention;
mod search;
mod search_query;
mod usage;

use sea_orm::sea_query::{Expr, SelectStatement};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, PaginatorTrait,
    QueryFilter, QuerySelect, QueryTrait, Set, TryInsertResult,
};
use serde_json::{Map, Value};

use crate::engine::Engine;
use crate::entity::{
    detections, mappings, messages as message_rows, parts as part_rows, sessions, workspaces,
};
use crate::enums::SessionStatus;
use crate::error::StorageError;
use crate::ids::{AccountId, ProjectId, SessionId, WorkspaceId};
use crate::json::{Metadata, SessionData};
use crate::scope::Scope;
use crate::time::{self, DateTimeUtc};
use crate::transitions::Transitions;

pub use copy::{
    ExportReader, Fork, ImportReport, ImportedMessage, close_interrupted, fork_session,
    import_messages, import_session,
};
pub use lists::{
    Descendant, SessionFilter, count_sessions_by_status, list_sessions, open_sessions,
    session_children, session_tree,
};
pub use messages::{
    MessagePage, MessageRange, MessageWithParts, NewMessage, append_message,
    count_messages_by_role, delete_message, finish_message, last_messages, message_by_id, messages,
    messages_since_compaction, open_message, set_message_metadata,
};
pub use parts::{
    NewPart, PartChange, PartPage, append_parts, count_parts_by_type, last_parts, lock_part,
    part_by_id, parts_by_type, parts_of_messages, parts_of_session, set_part_metadata,
    update_parts,
};
pub use retention::{archive_idle_sessions, prune_sessions, stale_busy_sessions};
pub use search::{Found, SearchFilter, search_parts};
pub(crate) use search_query::SearchTerm;
pub use search_query::{SearchQuery, SearchQueryError};

/// The predicate of the index of open sessions; the planners need it word by word.
pub(crate) const OPEN: &str = "sessions.status in ('idle', 'busy', 'retry')";

/// A session as it begins: idle, without messages.
#[derive(Debug, Clone, PartialEq)]
pub struct NewSession {
    /// Whose.
    pub account_id: Option<AccountId>,
    /// In which project.
    pub project_id: ProjectId,
    /// In which workspace of the project.
    pub workspace_id: Option<WorkspaceId>,
    /// The coordinator's session.
    pub parent_id: Option<SessionId>,
    /// Shown title.
    pub title: String,
    /// Behavioural role.
    pub role_name: Option<String>,
    /// Model, directory and more.
    pub data: SessionData,
    /// The hub's own notes.
    pub metadata: Metadata,
}

/// Columns of a session that change; none = as it was.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SessionChanges {
    /// Another title.
    pub title: Option<String>,
    /// Another slug.
    pub slug: Option<String>,
    /// Another workspace, or none.
    pub workspace_id: Option<Option<WorkspaceId>>,
    /// Other data, whole.
    pub data: Option<SessionData>,
    /// Notes merged key by key; a null removes a key.
    pub metadata: Map<String, Value>,
    /// Refuse with `Stale` unless the row was last changed at this moment.
    pub if_updated_at: Option<DateTimeUtc>,
}

/// What went with a deleted session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeletedSession {
    /// Messages.
    pub messages: u64,
    /// Their parts.
    pub parts: u64,
    /// Mappings.
    pub mappings: u64,
    /// Detections.
    pub detections: u64,
    /// Sessions that became roots.
    pub children: u64,
}

/// Stores a session under the first of some slugs that is free.
///
/// Errors: `Unique` of `unq_sessions_slug` when all are taken; `Rule` `other_project` for a workspace
/// of another project; `ForeignKey` for a project or parent that does not exist.
pub async fn create_session(
    db: &impl ConnectionTrait,
    new: NewSession,
    slugs: &[String],
) -> Result<sessions::Model, StorageError> {
    check_workspace(db, new.workspace_id.as_ref(), &new.project_id).await?;
    let now = time::now();
    let row = sessions::ActiveModel {
        id: Set(SessionId::random()),
        account_id: Set(new.account_id),
        project_id: Set(new.project_id),
        workspace_id: Set(new.workspace_id),
        parent_id: Set(new.parent_id),
        title: Set(new.title),
        status: Set(SessionStatus::Idle),
        version: Set("1".to_owned()),
        role_name: Set(new.role_name),
        data: Set(Some(new.data)),
        archived_at: Set(None),
        metadata: Set(new.metadata),
        created_at: Set(now),
        updated_at: Set(now),
        ..Default::default()
    };
    insert_with_slug(db, row, slugs).await
}

/// Changes title, slug, workspace, data or notes. Needs a transaction.
///
/// Errors: `NotFound`; `Unique` by slug; `Stale`; `Rule` `other_project`.
pub async fn update_session(
    db: &impl ConnectionTrait,
    id: &SessionId,
    changes: SessionChanges,
) -> Result<sessions::Model, StorageError> {
    let stored = lock_session(db, id).await?;
    if changes
        .if_updated_at
        .is_some_and(|seen| seen != time::whole_milliseconds(stored.updated_at))
    {
        return Err(StorageError::Stale);
    }
    let mut row = sessions::ActiveModel {
        id: Set(id.clone()),
        ..Default::default()
    };
    if let Some(title) = changes.title {
        row.title = Set(title);
    }
    if let Some(slug) = changes.slug {
        row.slug = Set(slug);
    }
    if let Some(workspace) = changes.workspace_id {
        check_workspace(db, workspace.as_ref(), &stored.project_id).await?;
        row.workspace_id = Set(workspace);
    }
    if let Some(data) = changes.data {
        row.data = Set(Some(data));
    }
    if !changes.metadata.is_empty() {
        let mut metadata = stored.metadata;
        metadata.merge(changes.metadata);
        row.metadata = Set(metadata);
    }
    row.updated_at = Set(time::after(stored.updated_at));
    Ok(row.update(db).await?)
}

/// The session with an id, if the asker may see it.
pub async fn session_by_id(
    db: &impl ConnectionTrait,
    scope: &Scope,
    id: &SessionId,
) -> Result<Option<sessions::Model>, StorageError> {
    Ok(sessions::Entity::find_by_id(id.clone())
        .filter(scope.sessions(Engine::of(db)))
        .one(db)
        .await?)
}

/// The session with a slug, if the asker may see it.
pub async fn session_by_slug(
    db: &impl ConnectionTrait,
    scope: &Scope,
    slug: &str,
) -> Result<Option<sessions::Model>, StorageError> {
    Ok(sessions::Entity::find()
        .filter(sessions::Column::Slug.eq(slug))
        .filter(scope.sessions(Engine::of(db)))
        .one(db)
        .await?)
}

/// Locks a session's row until the transaction ends. Errors: `NotFound`.
pub async fn lock_session(
    db: &impl ConnectionTrait,
    id: &SessionId,
) -> Result<sessions::Model, StorageError> {
    sessions::Entity::find_by_id(id.clone())
        .lock_exclusive()
        .one(db)
        .await?
        .ok_or(StorageError::NotFound)
}

/// Moves a session from one status to another; answers whether it was in the first. Notes in
/// `metadata` are merged key by key, a null removes a key; leaving `retry` removes the note `retry`.
///
/// The same status again writes nothing, but for `retry`, where the next attempt is planned. Errors:
/// `IllegalTransition`.
pub async fn set_session_status(
    db: &impl ConnectionTrait,
    id: &SessionId,
    from: SessionStatus,
    to: SessionStatus,
    metadata: Map<String, Value>,
) -> Result<bool, StorageError> {
    from.check(to)?;
    if from == to && to != SessionStatus::Retry {
        let there = sessions::Entity::find_by_id(id.clone())
            .filter(sessions::Column::Status.eq(from))
            .count(db)
            .await?;
        return Ok(there > 0);
    }
    let mut notes = metadata;
    if from == SessionStatus::Retry && to != SessionStatus::Retry {
        notes.insert("retry".to_owned(), Value::Null);
    }
    let now = time::now();
    let mut update = sessions::Entity::update_many()
        .col_expr(sessions::Column::Status, Expr::value(to))
        .col_expr(sessions::Column::UpdatedAt, Expr::value(now));
    if to == SessionStatus::Archived {
        update = update.col_expr(sessions::Column::ArchivedAt, Expr::value(now));
    } else if from == SessionStatus::Archived {
        update = update.col_expr(
            sessions::Column::ArchivedAt,
            Expr::value(None::<DateTimeUtc>),
        );
    }
    if !notes.is_empty() {
        update = update.col_expr(
            sessions::Column::Metadata,
            Engine::of(db).merged_metadata("sessions", &notes),
        );
    }
    let updated = update
        .filter(sessions::Column::Id.eq(id.clone()))
        .filter(sessions::Column::Status.eq(from))
        .exec(db)
        .await?;
    Ok(updated.rows_affected == 1)
}

/// Deletes a session with everything in it and answers what went. Needs a transaction. Errors:
/// `NotFound`.
pub async fn delete_session(
    db: &impl ConnectionTrait,
    id: &SessionId,
) -> Result<DeletedSession, StorageError> {
    lock_session(db, id).await?;
    let counts = DeletedSession {
        messages: message_rows::Entity::find()
            .filter(message_rows::Column::SessionId.eq(id.clone()))
            .count(db)
            .await?,
        parts: part_rows::Entity::find()
            .filter(part_rows::Column::SessionId.eq(id.clone()))
            .count(db)
            .await?,
        mappings: mappings::Entity::find()
            .filter(mappings::Column::SessionId.eq(id.clone()))
            .count(db)
            .await?,
        detections: detections::Entity::find()
            .filter(detections::Column::SessionId.eq(id.clone()))
            .count(db)
            .await?,
        children: sessions::Entity::find()
            .filter(sessions::Column::ParentId.eq(id.clone()))
            .count(db)
            .await?,
    };
    sessions::Entity::delete_by_id(id.clone()).exec(db).await?;
    Ok(counts)
}

/// The ids of a project's sessions, for a condition on a column that refers to sessions.
pub(crate) fn ids_of_project(project: &ProjectId) -> SelectStatement {
    sessions::Entity::find()
        .select_only()
        .column(sessions::Column::Id)
        .filter(sessions::Column::ProjectId.eq(project.clone()))
        .into_query()
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
        .await?;
    match row {
        Some(row) if row.project_id == *project => Ok(()),
        Some(_) => Err(StorageError::rule("other_project")),
        None => Err(StorageError::NotFound),
    }
}

/// Inserts under the first free slug. A refused insert would end a PostgreSQL transaction, so a taken
/// slug is skipped inside the statement.
async fn insert_with_slug(
    db: &impl ConnectionTrait,
    row: sessions::ActiveModel,
    slugs: &[String],
) -> Result<sessions::Model, StorageError> {
    for slug in slugs {
        let mut row = row.clone();
        row.slug = Set(slug.clone());
        let outcome = sessions::Entity::insert(row)
            .on_conflict_do_nothing_on([sessions::Column::Slug])
            .exec_with_returning(db)
            .await;
        match outcome {
            Ok(TryInsertResult::Inserted(session)) => return Ok(session),
            // A skipped row is "conflicted" in one version of the library, "not found" in another.
            Ok(_) | Err(DbErr::RecordNotFound(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(StorageError::Unique {
        index: "unq_sessions_slug".into(),
    })
}
