//! Messages of a session, in the order (`created_at`, `id`).

use std::collections::HashMap;

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect, Select, Set,
};
use serde_json::{Map, Value};

use crate::engine::Engine;
use crate::entity::{messages, parts};
use crate::enums::{MessageRole, PartType, SessionStatus};
use crate::error::StorageError;
use crate::ids::{MessageId, SessionId};
use crate::json::{MessageData, Metadata};
use crate::scope::{Scope, column};
use crate::time::{self, DateTimeUtc};

use super::lock_session;
use super::parts::parts_of_messages;
use super::usage::{self, Counted};

/// A message to be added at the end of a session, without its parts.
#[derive(Debug, Clone, PartialEq)]
pub struct NewMessage {
    /// In which session.
    pub session_id: SessionId,
    /// Who speaks.
    pub role: MessageRole,
    /// What belongs to the turn as a whole.
    pub data: MessageData,
    /// The hub's own notes.
    pub metadata: Metadata,
}

/// Which messages of a session to read: without ends the first ones, with `before` alone the last ones
/// before it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MessageRange {
    /// Only messages after this one.
    pub after: Option<MessageId>,
    /// Only messages before this one.
    pub before: Option<MessageId>,
}

/// A message and its parts in order.
#[derive(Debug, Clone, PartialEq)]
pub struct MessageWithParts {
    /// The message.
    pub message: messages::Model,
    /// Its parts; empty where they were not asked for.
    pub parts: Vec<parts::Model>,
}

/// Some messages, oldest first.
#[derive(Debug, Clone, PartialEq)]
pub struct MessagePage {
    /// The messages.
    pub items: Vec<MessageWithParts>,
    /// More follow in the direction of reading: after the last one or, read backwards, before the
    /// first one.
    pub more: bool,
}

/// Adds a message at the end of a session. Needs a transaction.
///
/// The session is locked and the message is at least one millisecond younger than the one before it,
/// so that order never hangs on a random id. Errors: `NotFound`; `Rule` `archived`; `Rule`
/// `already_streaming` for an open assistant message while another one is open; `Rule`
/// `foreign_parent` when `parentId` is no user message of the session.
pub async fn append_message(
    db: &impl ConnectionTrait,
    new: NewMessage,
) -> Result<messages::Model, StorageError> {
    let session = lock_session(db, &new.session_id).await?;
    if session.status == SessionStatus::Archived {
        return Err(StorageError::rule("archived"));
    }
    if let Some(parent) = &new.data.parent_id {
        check_parent(db, &new.session_id, parent).await?;
    }
    let completed = usage::is_completed(new.role, &new.data);
    if !completed && open_message(db, &new.session_id).await?.is_some() {
        return Err(StorageError::rule("already_streaming"));
    }
    let created_at = match last_created_at(db, &new.session_id).await? {
        Some(last) => time::after(last),
        None => time::now(),
    };
    let row = messages::ActiveModel {
        id: Set(MessageId::random()),
        session_id: Set(new.session_id),
        role: Set(new.role),
        data: Set(new.data),
        metadata: Set(new.metadata),
        created_at: Set(created_at),
        updated_at: Set(created_at),
    };
    let message = row.insert(db).await?;
    let counted = Counted::of(&message);
    usage::add(db, session, Counted::default(), counted).await?;
    Ok(message)
}

/// The message with an id, if the asker may see its session.
pub async fn message_by_id(
    db: &impl ConnectionTrait,
    scope: &Scope,
    id: &MessageId,
) -> Result<Option<messages::Model>, StorageError> {
    Ok(messages::Entity::find_by_id(id.clone())
        .filter(scope.within_sessions(Engine::of(db), column("messages", "session_id")))
        .one(db)
        .await?)
}

/// The assistant message of a session that is not completed; there is one at most.
pub async fn open_message(
    db: &impl ConnectionTrait,
    session: &SessionId,
) -> Result<Option<messages::Model>, StorageError> {
    let engine = Engine::of(db);
    Ok(in_session(session)
        .filter(messages::Column::Role.eq(MessageRole::Assistant))
        .filter(engine.json_path_is_null("messages", "data", &["time", "completed"]))
        .order_by_desc(messages::Column::CreatedAt)
        .order_by_desc(messages::Column::Id)
        .one(db)
        .await?)
}

/// Messages of a session, oldest first.
///
/// Errors: `NotFound` when an end of the range is no message of the session.
pub async fn messages(
    db: &impl ConnectionTrait,
    session: &SessionId,
    range: &MessageRange,
    limit: u64,
    with_parts: bool,
) -> Result<MessagePage, StorageError> {
    let backwards = range.before.is_some() && range.after.is_none();
    let mut select = in_session(session);
    if let Some(after) = &range.after {
        select = select.filter(place().gt(place_of(db, session, after).await?));
    }
    if let Some(before) = &range.before {
        select = select.filter(place().lt(place_of(db, session, before).await?));
    }
    let mut rows = if backwards {
        newest_first(select)
    } else {
        oldest_first(select)
    }
    .limit(limit + 1)
    .all(db)
    .await?;
    let more = rows.len() as u64 > limit;
    rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    if backwards {
        rows.reverse();
    }
    let items = if with_parts {
        load_parts(db, rows).await?
    } else {
        without_parts(rows)
    };
    Ok(MessagePage { items, more })
}

/// The last messages of a session with their parts, oldest first.
pub async fn last_messages(
    db: &impl ConnectionTrait,
    session: &SessionId,
    limit: u64,
) -> Result<Vec<MessageWithParts>, StorageError> {
    let mut rows = newest_first(in_session(session))
        .limit(limit)
        .all(db)
        .await?;
    rows.reverse();
    load_parts(db, rows).await
}

/// The message with the last compaction part and all after it, with parts; all messages where there
/// was no compaction.
pub async fn messages_since_compaction(
    db: &impl ConnectionTrait,
    session: &SessionId,
) -> Result<Vec<MessageWithParts>, StorageError> {
    let compaction: Option<MessageId> = parts::Entity::find()
        .select_only()
        .column(parts::Column::MessageId)
        .filter(parts::Column::SessionId.eq(session.clone()))
        .filter(parts::Column::Kind.eq(PartType::Compaction))
        .order_by_desc(parts::Column::Id)
        .into_tuple()
        .one(db)
        .await?;
    let mut select = in_session(session);
    if let Some(message) = compaction {
        select = select.filter(place().gte(place_of(db, session, &message).await?));
    }
    let rows = oldest_first(select).all(db).await?;
    load_parts(db, rows).await
}

/// Merges a patch (RFC 7396) into a message's data and keeps the session's totals: what is completed
/// by it is added, what was counted before is corrected. Needs a transaction.
///
/// Errors: `NotFound`; `Rule` `already_streaming` when it would open the message again beside an open
/// one; `Check` `chk_messages_data` when the result has not the shape of message data.
pub async fn finish_message(
    db: &impl ConnectionTrait,
    id: &MessageId,
    patch: &Map<String, Value>,
) -> Result<messages::Model, StorageError> {
    let session: SessionId = messages::Entity::find_by_id(id.clone())
        .select_only()
        .column(messages::Column::SessionId)
        .into_tuple()
        .one(db)
        .await?
        .ok_or(StorageError::NotFound)?;
    let session = lock_session(db, &session).await?;
    let stored = messages::Entity::find_by_id(id.clone())
        .one(db)
        .await?
        .ok_or(StorageError::NotFound)?;
    let data = merged(&stored.data, patch)?;
    let opens =
        usage::is_completed(stored.role, &stored.data) && !usage::is_completed(stored.role, &data);
    if opens && open_message(db, &session.id).await?.is_some() {
        return Err(StorageError::rule("already_streaming"));
    }
    let before = Counted::of(&stored);
    let row = messages::ActiveModel {
        id: Set(stored.id),
        data: Set(data),
        updated_at: Set(time::after(stored.updated_at)),
        ..Default::default()
    };
    let message = row.update(db).await?;
    usage::add(db, session, before, Counted::of(&message)).await?;
    Ok(message)
}

/// Takes notes about a message, merged key by key; a null removes a key. Needs a transaction. Errors:
/// `NotFound`.
pub async fn set_message_metadata(
    db: &impl ConnectionTrait,
    id: &MessageId,
    notes: Map<String, Value>,
) -> Result<messages::Model, StorageError> {
    let stored = messages::Entity::find_by_id(id.clone())
        .lock_exclusive()
        .one(db)
        .await?
        .ok_or(StorageError::NotFound)?;
    let mut metadata = stored.metadata;
    metadata.merge(notes);
    let row = messages::ActiveModel {
        id: Set(stored.id),
        metadata: Set(metadata),
        updated_at: Set(time::after(stored.updated_at)),
        ..Default::default()
    };
    Ok(row.update(db).await?)
}

/// Deletes a message and answers how many parts went with it. What it cost stays in the session's
/// totals. Needs a transaction. Errors: `NotFound`; `Rule` `streaming` for an open assistant message.
pub async fn delete_message(
    db: &impl ConnectionTrait,
    id: &MessageId,
) -> Result<u64, StorageError> {
    let message = messages::Entity::find_by_id(id.clone())
        .lock_exclusive()
        .one(db)
        .await?
        .ok_or(StorageError::NotFound)?;
    if !usage::is_completed(message.role, &message.data) {
        return Err(StorageError::rule("streaming"));
    }
    let parts = parts::Entity::find()
        .filter(parts::Column::MessageId.eq(id.clone()))
        .count(db)
        .await?;
    messages::Entity::delete_by_id(id.clone()).exec(db).await?;
    Ok(parts)
}

/// How many messages a session has, by role.
pub async fn count_messages_by_role(
    db: &impl ConnectionTrait,
    session: &SessionId,
) -> Result<Vec<(MessageRole, u64)>, StorageError> {
    let select = in_session(session)
        .select_only()
        .column(messages::Column::Role)
        .expr(Expr::cust("count(*)"))
        .group_by(messages::Column::Role);
    crate::row::counted(db, select).await
}

/// Gives messages their parts.
async fn load_parts(
    db: &impl ConnectionTrait,
    rows: Vec<messages::Model>,
) -> Result<Vec<MessageWithParts>, StorageError> {
    let ids: Vec<MessageId> = rows.iter().map(|row| row.id.clone()).collect();
    let mut parts: HashMap<MessageId, Vec<parts::Model>> = parts_of_messages(db, &ids).await?;
    Ok(rows
        .into_iter()
        .map(|message| {
            let parts = parts.remove(&message.id).unwrap_or_default();
            MessageWithParts { message, parts }
        })
        .collect())
}

/// Where a message stands in the order of its session.
async fn place_of(
    db: &impl ConnectionTrait,
    session: &SessionId,
    id: &MessageId,
) -> Result<sea_orm::sea_query::SimpleExpr, StorageError> {
    let created_at: DateTimeUtc = messages::Entity::find_by_id(id.clone())
        .select_only()
        .column(messages::Column::CreatedAt)
        .filter(messages::Column::SessionId.eq(session.clone()))
        .into_tuple()
        .one(db)
        .await?
        .ok_or(StorageError::NotFound)?;
    Ok(Expr::tuple([Expr::val(created_at), Expr::val(id.as_str())]))
}

fn place() -> sea_orm::sea_query::SimpleExpr {
    Expr::tuple([column("messages", "created_at"), column("messages", "id")])
}

fn in_session(session: &SessionId) -> Select<messages::Entity> {
    messages::Entity::find().filter(messages::Column::SessionId.eq(session.clone()))
}

fn oldest_first(select: Select<messages::Entity>) -> Select<messages::Entity> {
    select
        .order_by_asc(messages::Column::CreatedAt)
        .order_by_asc(messages::Column::Id)
}

fn newest_first(select: Select<messages::Entity>) -> Select<messages::Entity> {
    select
        .order_by_desc(messages::Column::CreatedAt)
        .order_by_desc(messages::Column::Id)
}

fn without_parts(rows: Vec<messages::Model>) -> Vec<MessageWithParts> {
    rows.into_iter()
        .map(|message| MessageWithParts {
            message,
            parts: Vec::new(),
        })
        .collect()
}

pub(super) async fn last_created_at(
    db: &impl ConnectionTrait,
    session: &SessionId,
) -> Result<Option<DateTimeUtc>, StorageError> {
    Ok(newest_first(in_session(session))
        .select_only()
        .column(messages::Column::CreatedAt)
        .into_tuple()
        .one(db)
        .await?)
}

async fn check_parent(
    db: &impl ConnectionTrait,
    session: &SessionId,
    parent: &str,
) -> Result<(), StorageError> {
    let fits = messages::Entity::find_by_id(MessageId::from(parent))
        .filter(messages::Column::SessionId.eq(session.clone()))
        .filter(messages::Column::Role.eq(MessageRole::User))
        .count(db)
        .await?;
    if fits == 1 {
        Ok(())
    } else {
        Err(StorageError::rule("foreign_parent"))
    }
}

/// The data with a merge patch applied.
fn merged(data: &MessageData, patch: &Map<String, Value>) -> Result<MessageData, StorageError> {
    let mut value = serde_json::to_value(data)
        .map_err(|_| StorageError::unexpected("message data that is no JSON"))?;
    merge(&mut value, &Value::Object(patch.clone()));
    serde_json::from_value(value).map_err(|_| StorageError::Check {
        name: "chk_messages_data".to_owned(),
    })
}

fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    if let Value::Object(target) = target {
        for (key, value) in patch {
            if value.is_null() {
                target.remove(key);
            } else {
                merge(target.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
    }
}
