//! Parts of messages, in the order of their ids.

use std::collections::HashMap;

use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set,
    Statement, Value,
};
use serde_json::Map;
use uuid::Uuid;

use crate::engine::Engine;
use crate::entity::{messages, parts};
use crate::enums::PartType;
use crate::error::StorageError;
use crate::ids::{MessageId, PartId, SessionId};
use crate::json::{JsonObject, Metadata};
use crate::row;
use crate::scope::{Scope, column};
use crate::time;

/// A part to be added at the end of a message.
#[derive(Debug, Clone, PartialEq)]
pub struct NewPart {
    /// An id its sender chose; none = a new one.
    pub id: Option<PartId>,
    /// Kind of part.
    pub kind: PartType,
    /// Content, without the kind.
    pub data: JsonObject,
    /// The hub's own notes.
    pub metadata: Metadata,
}

/// New content of a part.
#[derive(Debug, Clone, PartialEq)]
pub struct PartChange {
    /// The part.
    pub id: PartId,
    /// Its content, whole.
    pub data: JsonObject,
}

/// Some parts, and whether more follow.
#[derive(Debug, Clone, PartialEq)]
pub struct PartPage {
    /// In the order of ids.
    pub items: Vec<parts::Model>,
    /// More follow after the last one.
    pub more: bool,
}

/// Most rows of one statement, well below either engine's limit of parameters.
const CHUNK: usize = 1_000;

/// Adds parts at the end of a message, in order. Needs a transaction.
///
/// A part whose id is stored already with the same content is answered as stored. Errors: `NotFound`
/// for the message; `Rule` `part_id` for an id that is no UUIDv7, does not sort after the parts before
/// it or is taken by another part, and for any new part after imported ones whose ids do not sort.
pub async fn append_parts(
    db: &impl ConnectionTrait,
    message: &MessageId,
    new: Vec<NewPart>,
) -> Result<Vec<parts::Model>, StorageError> {
    // Locked, so that two senders do not both see the same last part.
    let message = messages::Entity::find_by_id(message.clone())
        .lock_exclusive()
        .one(db)
        .await?
        .ok_or(StorageError::NotFound)?;
    let mut last = last_part_id(db, &message.id).await?;
    let mut repeated = stored(db, &new).await?;
    let now = time::now();
    let mut rows = Vec::with_capacity(new.len());
    let mut fresh = Vec::new();
    for part in new {
        if let Some(known) = part.id.as_ref().and_then(|id| repeated.remove(id)) {
            let same = known.message_id == message.id
                && known.kind == part.kind
                && known.data == part.data;
            if !same {
                return Err(StorageError::rule("part_id"));
            }
            rows.push(known);
            continue;
        }
        let id = next_id(part.id, last.as_ref())?;
        last = Some(id.clone());
        let row = parts::Model {
            id,
            message_id: message.id.clone(),
            session_id: message.session_id.clone(),
            kind: part.kind,
            data: part.data,
            metadata: part.metadata,
            created_at: now,
            updated_at: now,
        };
        fresh.push(row.clone());
        rows.push(row);
    }
    insert_parts(db, fresh).await?;
    Ok(rows)
}

/// Replaces the content of some parts, in one statement for many; answers how many there were.
pub async fn update_parts(
    db: &impl ConnectionTrait,
    changes: &[PartChange],
) -> Result<u64, StorageError> {
    let mut updated = 0;
    for chunk in changes.chunks(CHUNK) {
        let mut values: Vec<Value> = vec![time::now().into()];
        let mut rows = Vec::with_capacity(chunk.len());
        for change in chunk {
            values.push(change.id.as_str().into());
            values.push(serde_json::Value::Object(change.data.0.clone()).into());
            rows.push(format!("(${}, ${})", values.len() - 1, values.len()));
        }
        let sql = format!(
            "with change (id, data) as (values {})
             update parts set data = change.data, updated_at = $1
             from change where parts.id = change.id",
            rows.join(", ")
        );
        let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
        updated += db.execute_raw(statement).await?.rows_affected();
    }
    Ok(updated)
}

/// The part with an id, if the asker may see its session.
pub async fn part_by_id(
    db: &impl ConnectionTrait,
    scope: &Scope,
    id: &PartId,
) -> Result<Option<parts::Model>, StorageError> {
    Ok(parts::Entity::find_by_id(id.clone())
        .filter(scope.within_sessions(Engine::of(db), column("parts", "session_id")))
        .one(db)
        .await?)
}

/// Locks a part's row until the transaction ends, for a change that depends on what it holds. Errors:
/// `NotFound`.
pub async fn lock_part(
    db: &impl ConnectionTrait,
    id: &PartId,
) -> Result<parts::Model, StorageError> {
    parts::Entity::find_by_id(id.clone())
        .lock_exclusive()
        .one(db)
        .await?
        .ok_or(StorageError::NotFound)
}

/// Takes notes about a part, merged key by key; a null removes a key. Needs a transaction. Errors:
/// `NotFound`.
pub async fn set_part_metadata(
    db: &impl ConnectionTrait,
    id: &PartId,
    notes: Map<String, serde_json::Value>,
) -> Result<parts::Model, StorageError> {
    let mut metadata = lock_part(db, id).await?.metadata;
    metadata.merge(notes);
    let changes = parts::ActiveModel {
        metadata: Set(metadata),
        ..<parts::ActiveModel as Default>::default()
    };
    row::update::<parts::Entity, _>(db, id.clone(), changes, None).await
}

/// The last parts of a session, in order.
pub async fn last_parts(
    db: &impl ConnectionTrait,
    session: &SessionId,
    limit: u64,
) -> Result<Vec<parts::Model>, StorageError> {
    let mut rows = parts::Entity::find()
        .filter(parts::Column::SessionId.eq(session.clone()))
        .order_by_desc(parts::Column::Id)
        .limit(limit)
        .all(db)
        .await?;
    rows.reverse();
    Ok(rows)
}

/// The parts of several messages, each list in order.
pub async fn parts_of_messages(
    db: &impl ConnectionTrait,
    messages: &[MessageId],
) -> Result<HashMap<MessageId, Vec<parts::Model>>, StorageError> {
    let rows = parts::Entity::find()
        .filter(Engine::of(db).one_of(column("parts", "message_id"), messages))
        .order_by_asc(parts::Column::MessageId)
        .order_by_asc(parts::Column::Id)
        .all(db)
        .await?;
    let mut found: HashMap<MessageId, Vec<parts::Model>> = HashMap::new();
    for row in rows {
        found.entry(row.message_id.clone()).or_default().push(row);
    }
    Ok(found)
}

/// The parts of a session after one of them, in order.
pub async fn parts_of_session(
    db: &impl ConnectionTrait,
    session: &SessionId,
    after: Option<&PartId>,
    limit: u64,
) -> Result<PartPage, StorageError> {
    let select = parts::Entity::find().filter(parts::Column::SessionId.eq(session.clone()));
    read_page(db, select, after, limit).await
}

/// The parts of a session that are of some kinds, after one of them, in order.
pub async fn parts_by_type(
    db: &impl ConnectionTrait,
    session: &SessionId,
    kinds: &[PartType],
    after: Option<&PartId>,
    limit: u64,
) -> Result<PartPage, StorageError> {
    let select = parts::Entity::find()
        .filter(parts::Column::SessionId.eq(session.clone()))
        .filter(parts::Column::Kind.is_in(kinds.iter().copied()));
    read_page(db, select, after, limit).await
}

/// How many parts a session has, by kind.
pub async fn count_parts_by_type(
    db: &impl ConnectionTrait,
    session: &SessionId,
) -> Result<Vec<(PartType, u64)>, StorageError> {
    let select = parts::Entity::find()
        .select_only()
        .column(parts::Column::Kind)
        .expr(Expr::cust("count(*)"))
        .filter(parts::Column::SessionId.eq(session.clone()))
        .group_by(parts::Column::Kind);
    crate::row::counted(db, select).await
}

/// Stores parts as they are, many a statement.
pub(super) async fn insert_parts(
    db: &impl ConnectionTrait,
    rows: Vec<parts::Model>,
) -> Result<(), StorageError> {
    let mut rows = rows.into_iter().peekable();
    while rows.peek().is_some() {
        let chunk: Vec<parts::ActiveModel> =
            rows.by_ref().take(CHUNK).map(whole_active_model).collect();
        parts::Entity::insert_many(chunk)
            .exec_without_returning(db)
            .await?;
    }
    Ok(())
}

fn whole_active_model(row: parts::Model) -> parts::ActiveModel {
    parts::ActiveModel {
        id: Set(row.id),
        message_id: Set(row.message_id),
        session_id: Set(row.session_id),
        kind: Set(row.kind),
        data: Set(row.data),
        metadata: Set(row.metadata),
        created_at: Set(row.created_at),
        updated_at: Set(row.updated_at),
    }
}

async fn last_part_id(
    db: &impl ConnectionTrait,
    message: &MessageId,
) -> Result<Option<PartId>, StorageError> {
    Ok(parts::Entity::find()
        .select_only()
        .column(parts::Column::Id)
        .filter(parts::Column::MessageId.eq(message.clone()))
        .order_by_desc(parts::Column::Id)
        .into_tuple()
        .one(db)
        .await?)
}

/// The rows that already have an id a sender chose.
async fn stored(
    db: &impl ConnectionTrait,
    new: &[NewPart],
) -> Result<HashMap<PartId, parts::Model>, StorageError> {
    let chosen: Vec<&PartId> = new.iter().filter_map(|part| part.id.as_ref()).collect();
    if chosen.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = parts::Entity::find()
        .filter(Engine::of(db).one_of(column("parts", "id"), &chosen))
        .all(db)
        .await?;
    Ok(rows.into_iter().map(|row| (row.id.clone(), row)).collect())
}

/// The id a new part gets, which sorts after the last one.
fn next_id(chosen: Option<PartId>, last: Option<&PartId>) -> Result<PartId, StorageError> {
    let last = match last {
        Some(last) => Some(sortable(last).ok_or_else(|| StorageError::rule("part_id"))?),
        None => None,
    };
    let id = match chosen {
        Some(chosen) => {
            let id = sortable(&chosen).ok_or_else(|| StorageError::rule("part_id"))?;
            if last.is_some_and(|last| id <= last) {
                return Err(StorageError::rule("part_id"));
            }
            return Ok(chosen);
        }
        None => PartId::random(),
    };
    match (sortable(&id), last) {
        // Another process with a faster clock made the last one.
        (Some(made), Some(last)) if made <= last => Ok(after(last)),
        _ => Ok(id),
    }
}

/// The UUIDv7 an id is, in the spelling that sorts.
fn sortable(id: &PartId) -> Option<Uuid> {
    let uuid = Uuid::try_parse(id.as_str()).ok()?;
    let plain = uuid.hyphenated().to_string() == id.as_str();
    (plain && uuid.get_version_num() == 7).then_some(uuid)
}

/// A UUIDv7 one millisecond younger than another one.
fn after(last: Uuid) -> PartId {
    let (seconds, nanoseconds) = last.get_timestamp().map_or((0, 0), |stamp| stamp.to_unix());
    let millisecond = seconds * 1_000 + u64::from(nanoseconds) / 1_000_000 + 1;
    let random = Uuid::new_v4().into_bytes();
    let mut tail = [0; 10];
    tail.copy_from_slice(&random[..10]);
    let uuid = uuid::Builder::from_unix_timestamp_millis(millisecond, &tail).into_uuid();
    PartId::from(uuid.hyphenated().to_string())
}

async fn read_page(
    db: &impl ConnectionTrait,
    select: sea_orm::Select<parts::Entity>,
    after: Option<&PartId>,
    limit: u64,
) -> Result<PartPage, StorageError> {
    let mut select = select.order_by_asc(parts::Column::Id).limit(limit + 1);
    if let Some(after) = after {
        select = select.filter(parts::Column::Id.gt(after.clone()));
    }
    let mut items = select.all(db).await?;
    let more = items.len() as u64 > limit;
    items.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(PartPage { items, more })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_id_sorts_after_one_from_the_future() {
        let future =
            uuid::Builder::from_unix_timestamp_millis(9_999_999_999_999, &[0xff; 10]).into_uuid();
        let last = PartId::from(future.hyphenated().to_string());
        let next = next_id(None, Some(&last)).expect("an id");
        assert!(next > last, "{next} after {last}");
        assert!(sortable(&next).is_some());
    }

    #[test]
    fn a_chosen_id_must_sort_after_the_last_one() {
        let (first, second) = (PartId::random(), PartId::random());
        assert_eq!(
            next_id(Some(second.clone()), Some(&first)).expect("fits"),
            second
        );
        assert!(next_id(Some(first.clone()), Some(&second)).is_err());
        assert!(next_id(Some(PartId::from("prt_1")), None).is_err());
        let upper = PartId::from(first.as_str().to_uppercase());
        assert!(next_id(Some(upper), None).is_err());
    }

    #[test]
    fn nothing_follows_a_part_whose_id_does_not_sort() {
        assert!(next_id(None, Some(&PartId::from("prt_1"))).is_err());
    }
}
