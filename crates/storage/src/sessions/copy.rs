//! Copies of whole sessions: forks, exports, imports.

use std::collections::{HashMap, HashSet};

use sea_orm::{ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, Set};
use serde_json::{Map, Value, json};

use crate::engine::Engine;
use crate::entity::{messages, parts, sessions};
use crate::enums::{MessageRole, PartType, SessionStatus};
use crate::error::StorageError;
use crate::ids::{AccountId, MessageId, PartId, SessionId};
use crate::json::{JsonObject, SessionData};
use crate::scope::column;
use crate::time::{self, DateTimeUtc};

use super::messages::{MessageRange, MessageWithParts, messages as read_messages};
use super::parts::insert_parts;
use super::{insert_with_slug, lock_session, usage};

/// What a fork is to be.
#[derive(Debug, Clone, PartialEq)]
pub struct Fork {
    /// Whose it will be.
    pub account_id: Option<AccountId>,
    /// The last message to copy; none = all.
    pub at_message: Option<MessageId>,
    /// Another title; none = the same.
    pub title: Option<String>,
}

/// A message with parts from elsewhere; ids are kept when they are free.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportedMessage {
    /// The message; its session is set by the import.
    pub message: messages::Model,
    /// Its parts in order; session and message are set by the import.
    pub parts: Vec<parts::Model>,
}

/// What an import did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Messages stored.
    pub messages: u64,
    /// Parts stored.
    pub parts: u64,
    /// Ids that were taken, and those used instead.
    pub renamed: Vec<(String, String)>,
}

/// Messages a batch of an export holds.
const BATCH: u64 = 200;

/// Copies a session and its messages up to and including one, with new ids in the same order. Needs a
/// transaction.
///
/// What is open is closed as interrupted; tokens are copied but counted only where they were spent.
/// The parent is not copied: it would make the fork a child of the coordinator. Errors: `NotFound` for
/// the session or the message; `Unique` when all slugs are taken.
pub async fn fork_session(
    db: &impl ConnectionTrait,
    id: &SessionId,
    fork: Fork,
    slugs: &[String],
) -> Result<sessions::Model, StorageError> {
    let source = lock_session(db, id).await?;
    let now = time::now();
    let data = source.data.unwrap_or_default();
    let row = sessions::ActiveModel {
        id: Set(SessionId::random()),
        account_id: Set(fork.account_id),
        project_id: Set(source.project_id),
        workspace_id: Set(source.workspace_id),
        parent_id: Set(None),
        title: Set(fork.title.unwrap_or(source.title)),
        status: Set(SessionStatus::Idle),
        version: Set(source.version),
        role_name: Set(source.role_name),
        data: Set(Some(SessionData {
            usage: None,
            share: None,
            revert: None,
            external_id: None,
            ..data
        })),
        archived_at: Set(None),
        metadata: Set(crate::json::Metadata::new().with(
            "forkedFrom",
            match &fork.at_message {
                Some(message) => json!({"sessionId": id, "messageId": message}),
                None => json!({"sessionId": id}),
            },
        )),
        created_at: Set(now),
        updated_at: Set(now),
        ..Default::default()
    };
    let copy = insert_with_slug(db, row, slugs).await?;

    let mut reader = ExportReader::new(id.clone());
    let mut renamed: HashMap<String, MessageId> = HashMap::new();
    let mut found = fork.at_message.is_none();
    'all: loop {
        let batch = reader.next_batch(db).await?;
        if batch.is_empty() {
            break;
        }
        let mut rows = Vec::with_capacity(batch.len());
        for item in batch {
            let last = fork.at_message.as_ref() == Some(&item.message.id);
            rows.push(copied(item, &copy.id, &mut renamed, now));
            if last {
                found = true;
                insert(db, rows).await?;
                break 'all;
            }
        }
        insert(db, rows).await?;
    }
    if found {
        Ok(copy)
    } else {
        Err(StorageError::NotFound)
    }
}

/// Reads a session batch by batch, oldest message first, each message once.
#[derive(Debug, Clone)]
pub struct ExportReader {
    session: SessionId,
    after: Option<MessageId>,
    ended: bool,
}

impl ExportReader {
    /// A reader at the first message.
    pub fn new(session: SessionId) -> Self {
        Self {
            session,
            after: None,
            ended: false,
        }
    }

    /// The next messages with their parts; empty at the end.
    ///
    /// Errors: `NotFound` when the message read last was deleted meanwhile; read in one transaction
    /// to see one state.
    pub async fn next_batch(
        &mut self,
        db: &impl ConnectionTrait,
    ) -> Result<Vec<MessageWithParts>, StorageError> {
        if self.ended {
            return Ok(Vec::new());
        }
        let range = MessageRange {
            after: self.after.take(),
            before: None,
        };
        let page = read_messages(db, &self.session, &range, BATCH, true).await?;
        self.after = page.items.last().map(|item| item.message.id.clone());
        self.ended = !page.more;
        Ok(page.items)
    }
}

/// Stores a session from elsewhere, without messages; its id is kept when it is free, else a new one
/// is given. Needs a transaction.
///
/// Errors: `Unique` when all slugs are taken; `ForeignKey` for a project that does not exist.
pub async fn import_session(
    db: &impl ConnectionTrait,
    mut session: sessions::Model,
    slugs: &[String],
) -> Result<sessions::Model, StorageError> {
    if sessions::Entity::find_by_id(session.id.clone())
        .one(db)
        .await?
        .is_some()
    {
        session.id = SessionId::random();
    }
    let row = sessions::ActiveModel {
        id: Set(session.id),
        account_id: Set(session.account_id),
        project_id: Set(session.project_id),
        workspace_id: Set(session.workspace_id),
        parent_id: Set(session.parent_id),
        slug: Set(session.slug),
        title: Set(session.title),
        status: Set(session.status),
        version: Set(session.version),
        role_name: Set(session.role_name),
        data: Set(session.data),
        archived_at: Set(session.archived_at),
        metadata: Set(session.metadata),
        created_at: Set(session.created_at),
        updated_at: Set(session.updated_at),
    };
    insert_with_slug(db, row, slugs).await
}

/// Stores messages from elsewhere in a session, in the order given. Needs a transaction.
///
/// Ids and times are kept where they can be: a taken id is replaced, and so are all part ids of a
/// message of which one is taken, for they must go on sorting; a message that is not younger than the
/// one before it becomes so. References between the messages follow. Errors: `NotFound` for the
/// session.
pub async fn import_messages(
    db: &impl ConnectionTrait,
    session: &SessionId,
    items: Vec<ImportedMessage>,
) -> Result<ImportReport, StorageError> {
    lock_session(db, session).await?;
    let message_ids: Vec<&str> = items.iter().map(|item| item.message.id.as_str()).collect();
    let part_ids: Vec<&str> = items
        .iter()
        .flat_map(|item| &item.parts)
        .map(|part| part.id.as_str())
        .collect();
    let taken_messages: HashSet<MessageId> = taken_messages(db, &message_ids).await?;
    let taken_parts: HashSet<PartId> = taken_parts(db, &part_ids).await?;

    let mut report = ImportReport::default();
    let mut renamed: HashMap<String, MessageId> = HashMap::new();
    let mut seen_messages: HashSet<MessageId> = HashSet::new();
    let mut seen: HashSet<PartId> = HashSet::new();
    let mut last = super::messages::last_created_at(db, session).await?;
    let mut rows = Vec::with_capacity(items.len());
    for item in items {
        let ImportedMessage {
            mut message,
            mut parts,
        } = item;
        let replace = parts
            .iter()
            .any(|part| taken_parts.contains(&part.id) || !seen.insert(part.id.clone()));
        if taken_messages.contains(&message.id) || !seen_messages.insert(message.id.clone()) {
            let new = MessageId::random();
            report
                .renamed
                .push((message.id.to_string(), new.to_string()));
            renamed.insert(message.id.to_string(), new.clone());
            message.id = new;
        }
        if let Some(parent) = &message.data.parent_id
            && let Some(new) = renamed.get(parent)
        {
            message.data.parent_id = Some(new.to_string());
        }
        message.session_id = session.clone();
        message.created_at = later(message.created_at, last);
        last = Some(message.created_at);
        for part in &mut parts {
            if replace {
                let new = PartId::random();
                report.renamed.push((part.id.to_string(), new.to_string()));
                part.id = new;
            }
            part.session_id = session.clone();
            part.message_id = message.id.clone();
        }
        report.messages += 1;
        report.parts += parts.len() as u64;
        rows.push(MessageWithParts { message, parts });
    }
    insert(db, rows).await?;
    Ok(report)
}

/// Ends what is open in a part because nobody goes on with it; answers whether something was.
pub fn close_interrupted(kind: PartType, data: &mut JsonObject, now: DateTimeUtc) -> bool {
    match kind {
        PartType::Text | PartType::Reasoning => {
            let Some(Value::Object(moments)) = data.get_mut("time") else {
                return false;
            };
            if moments.get("end").is_some_and(|end| !end.is_null()) {
                return false;
            }
            let end = same_form(moments.get("start"), now);
            moments.insert("end".to_owned(), end);
        }
        PartType::ToolCall => {
            let Some(Value::Object(state)) = data.get_mut("state") else {
                return false;
            };
            if !matches!(
                state.get("status").and_then(Value::as_str),
                Some("pending" | "running")
            ) {
                return false;
            }
            let start = state
                .get("time")
                .and_then(|moments| moments.get("start"))
                .cloned();
            let end = same_form(start.as_ref(), now);
            let start = start.unwrap_or_else(|| end.clone());
            let input = state.get("input").cloned().unwrap_or_else(|| json!({}));
            *state = Map::from_iter([
                ("status".to_owned(), "error".into()),
                ("input".to_owned(), input),
                ("error".to_owned(), "interrupted".into()),
                ("time".to_owned(), json!({"start": start, "end": end})),
            ]);
        }
        _ => return false,
    }
    data.insert("interrupted".to_owned(), Value::Bool(true));
    true
}

/// A moment as the part writes its others: runners send milliseconds or RFC 3339.
fn same_form(start: Option<&Value>, now: DateTimeUtc) -> Value {
    match start {
        Some(Value::Number(_)) => now.timestamp_millis().into(),
        _ => time::format(now).into(),
    }
}

/// A message with parts as it stands in a fork.
fn copied(
    item: MessageWithParts,
    session: &SessionId,
    renamed: &mut HashMap<String, MessageId>,
    now: DateTimeUtc,
) -> MessageWithParts {
    let MessageWithParts {
        mut message,
        mut parts,
    } = item;
    let id = MessageId::random();
    renamed.insert(message.id.to_string(), id.clone());
    message.id = id;
    message.session_id = session.clone();
    if let Some(parent) = message.data.parent_id.take() {
        message.data.parent_id = renamed.get(&parent).map(ToString::to_string);
    }
    if message.role == MessageRole::Assistant {
        if !usage::is_completed(message.role, &message.data) {
            let moments = message.data.time.get_or_insert_default();
            moments.insert("completed".to_owned(), time::format(now).into());
        }
        message
            .metadata
            .insert("forkedTokens".to_owned(), Value::Bool(true));
    }
    for part in &mut parts {
        part.id = PartId::random();
        part.message_id = message.id.clone();
        part.session_id = session.clone();
        close_interrupted(part.kind, &mut part.data, now);
    }
    MessageWithParts { message, parts }
}

async fn insert(
    db: &impl ConnectionTrait,
    items: Vec<MessageWithParts>,
) -> Result<(), StorageError> {
    let mut part_rows = Vec::new();
    let mut message_rows = Vec::with_capacity(items.len());
    for item in items {
        part_rows.extend(item.parts);
        message_rows.push(messages::ActiveModel {
            id: Set(item.message.id),
            session_id: Set(item.message.session_id),
            role: Set(item.message.role),
            data: Set(item.message.data),
            metadata: Set(item.message.metadata),
            created_at: Set(item.message.created_at),
            updated_at: Set(item.message.updated_at),
        });
    }
    for chunk in message_rows.chunks(1_000) {
        messages::Entity::insert_many(chunk.to_vec())
            .exec_without_returning(db)
            .await?;
    }
    insert_parts(db, part_rows).await
}

/// The time of a message that follows another one.
fn later(wanted: DateTimeUtc, last: Option<DateTimeUtc>) -> DateTimeUtc {
    let wanted = time::whole_milliseconds(wanted);
    match last {
        Some(last) if wanted <= last => {
            time::whole_milliseconds(last) + chrono::Duration::milliseconds(1)
        }
        _ => wanted,
    }
}

async fn taken_messages(
    db: &impl ConnectionTrait,
    ids: &[&str],
) -> Result<HashSet<MessageId>, StorageError> {
    let found: Vec<MessageId> = messages::Entity::find()
        .select_only()
        .column(messages::Column::Id)
        .filter(Engine::of(db).one_of(column("messages", "id"), ids))
        .into_tuple()
        .all(db)
        .await?;
    Ok(found.into_iter().collect())
}

async fn taken_parts(
    db: &impl ConnectionTrait,
    ids: &[&str],
) -> Result<HashSet<PartId>, StorageError> {
    let found: Vec<PartId> = parts::Entity::find()
        .select_only()
        .column(parts::Column::Id)
        .filter(Engine::of(db).one_of(column("parts", "id"), ids))
        .into_tuple()
        .all(db)
        .await?;
    Ok(found.into_iter().collect())
}
