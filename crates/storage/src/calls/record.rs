//! The statements of the recorder: batches of beginnings, ends and edges.
//!
//! A batch travels in parameters whose number does not depend on its size: one JSON document on SQLite,
//! one array a column on PostgreSQL. So a statement has the same text for every batch.

mod parameters;
mod statements;

use std::borrow::Borrow;
use std::collections::HashSet;

use sea_orm::{ConnectionTrait, Value};
use serde_json::{Map, json};

use crate::engine::{Engine, text_array};
use crate::enums::{CallStatus, EdgeType};
use crate::error::StorageError;
use crate::ids::{AccountId, CallGraphEdgeId, CallGraphNodeId, OperationId};
use crate::sql;
use crate::time::DateTimeUtc;
use parameters::{document, end_row, finish_arrays, insert_arrays, object_text, row, texts};
use statements::{
    EDGES_POSTGRES, EDGES_SQLITE, FINISH_POSTGRES, INSERT_POSTGRES, INSERT_SQLITE,
    RUNNING_POSTGRES, RUNNING_SQLITE, finish_sqlite, merged_sqlite,
};

/// A call to be recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct NewCall {
    /// Id of the row, made by the recorder: a row with this id is its own earlier write.
    pub id: CallGraphNodeId,
    /// Unique over all calls.
    pub request_id: String,
    /// What is called.
    pub operation_id: OperationId,
    /// Request id of the call that made this one.
    pub parent_request_id: Option<String>,
    /// The caller at call time.
    pub identity: Option<serde_json::Value>,
    /// The caller's account.
    pub caller_account_id: Option<AccountId>,
    /// Where the call stands.
    pub status: CallStatus,
    /// As called, capped.
    pub input: Option<serde_json::Value>,
    /// As answered, capped.
    pub output: Option<serde_json::Value>,
    /// Why it failed.
    pub error: Option<serde_json::Value>,
    /// When it was dispatched.
    pub started_at: Option<DateTimeUtc>,
    /// When it became terminal.
    pub completed_at: Option<DateTimeUtc>,
    /// When it was requested.
    pub created_at: DateTimeUtc,
    /// The hub's notes.
    pub metadata: Map<String, serde_json::Value>,
}

/// The moment a recorded call was dispatched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// Which call.
    pub request_id: String,
    /// When it was dispatched.
    pub started_at: DateTimeUtc,
}

/// The end of a recorded call.
#[derive(Debug, Clone, PartialEq)]
pub struct CallEnd {
    /// Which call.
    pub request_id: String,
    /// A terminal status.
    pub status: CallStatus,
    /// As answered, capped.
    pub output: Option<serde_json::Value>,
    /// Why it failed.
    pub error: Option<serde_json::Value>,
    /// When it became terminal.
    pub completed_at: DateTimeUtc,
    /// Notes to add; each replaces an earlier one of its key.
    pub metadata: Map<String, serde_json::Value>,
}

/// An edge between two recorded calls, by their request ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEdge {
    /// The caller, or what had to be done before.
    pub source_request_id: String,
    /// The called, or what waited.
    pub target_request_id: String,
    /// What the edge means.
    pub edge_type: EdgeType,
    /// When it came about.
    pub created_at: DateTimeUtc,
}

/// What became of a [`NewCall`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inserted {
    /// It is stored.
    New,
    /// Another call has this request id; nothing was written.
    Existing,
}

impl NewCall {
    /// The same call, dispatched.
    pub fn run(&mut self, at: DateTimeUtc) {
        self.status = CallStatus::Running;
        self.started_at = Some(at);
    }

    /// The same call, already ended.
    pub fn finish(&mut self, end: CallEnd) {
        self.status = end.status;
        self.output = end.output;
        self.error = end.error;
        self.completed_at = Some(end.completed_at);
        self.metadata.extend(end.metadata);
    }

    /// Leaves out what a database may refuse, and notes why.
    pub fn strip(&mut self, note: Map<String, serde_json::Value>) {
        self.input = None;
        self.output = None;
        self.error = None;
        self.identity = None;
        self.metadata.extend(note);
    }
}

impl CallEnd {
    /// Leaves out what a database may refuse, and notes why.
    pub fn strip(&mut self, note: Map<String, serde_json::Value>) {
        self.output = None;
        self.error = None;
        self.metadata.extend(note);
    }
}

/// Records calls, with the `triggered` edge from the parent where the parent is recorded. The outcomes
/// are in the order of the calls. T
///
/// A call whose request id is taken is not written; a row of the same id is the caller's own earlier
/// write (its commit was not answered) and counts as new. Request ids occur once in a batch.
/// Errors: `ForeignKey` when an operation has no row.
pub async fn insert_calls(
    db: &impl ConnectionTrait,
    calls: &[impl Borrow<NewCall>],
) -> Result<Vec<Inserted>, StorageError> {
    let calls: Vec<&NewCall> = calls.iter().map(Borrow::borrow).collect();
    if calls.is_empty() {
        return Ok(Vec::new());
    }
    let engine = Engine::of(db);
    let (text, values) = match engine {
        Engine::Sqlite => (
            INSERT_SQLITE,
            vec![document(calls.iter().map(|call| row(call)))],
        ),
        Engine::Postgres => (INSERT_POSTGRES, insert_arrays(&calls)),
    };
    // Counted, not listed: mostly all are new, and then there is nothing to be read.
    let new = sql::execute(db, text, values).await?;
    let stored = if usize::try_from(new).is_ok_and(|new| new == calls.len()) {
        None
    } else {
        Some(own_rows(db, &calls).await?)
    };
    let is_stored = |call: &NewCall| {
        stored
            .as_ref()
            .is_none_or(|stored| stored.contains(&call.request_id))
    };
    let children: Vec<NewEdge> = calls
        .iter()
        .filter(|call| is_stored(call))
        .filter_map(|call| {
            Some(NewEdge {
                source_request_id: call.parent_request_id.clone()?,
                target_request_id: call.request_id.clone(),
                edge_type: EdgeType::Triggered,
                created_at: call.created_at,
            })
        })
        .collect();
    insert_edges(db, &children).await?;
    Ok(calls
        .iter()
        .map(|call| {
            if is_stored(call) {
                Inserted::New
            } else {
                Inserted::Existing
            }
        })
        .collect())
}

/// Moves pending calls to running. The answers are in the order given: false where the call is not
/// pending any more, or not there. T
pub async fn mark_running(
    db: &impl ConnectionTrait,
    calls: &[Running],
) -> Result<Vec<bool>, StorageError> {
    if calls.is_empty() {
        return Ok(Vec::new());
    }
    let (text, values) = match Engine::of(db) {
        Engine::Sqlite => {
            let rows = calls.iter().map(|call| {
                json!({ "request_id": call.request_id, "at": Engine::Sqlite.moment_text(call.started_at) })
            });
            (RUNNING_SQLITE, vec![document(rows)])
        }
        Engine::Postgres => (
            RUNNING_POSTGRES,
            vec![
                texts(calls.iter().map(|call| call.request_id.clone())),
                Value::from(calls.iter().map(|call| call.started_at).collect::<Vec<_>>()),
            ],
        ),
    };
    let moved = returned(db, text, values).await?;
    Ok(calls
        .iter()
        .map(|call| moved.contains(&call.request_id))
        .collect())
}

/// Ends calls that are pending or running: the first writer wins. The answers are in the order of the
/// ends: false where somebody was first, or there is no such call. T
///
/// Request ids occur once in a batch.
pub async fn finish_calls(
    db: &impl ConnectionTrait,
    ends: &[impl Borrow<CallEnd>],
) -> Result<Vec<bool>, StorageError> {
    let ends: Vec<&CallEnd> = ends.iter().map(Borrow::borrow).collect();
    if ends.is_empty() {
        return Ok(Vec::new());
    }
    let (text, values) = match Engine::of(db) {
        Engine::Sqlite => (
            finish_sqlite(),
            vec![document(ends.iter().map(|end| end_row(end)))],
        ),
        Engine::Postgres => (FINISH_POSTGRES.to_owned(), finish_arrays(&ends)),
    };
    let finished = returned(db, &text, values).await?;
    Ok(ends
        .iter()
        .map(|end| finished.contains(&end.request_id))
        .collect())
}

/// Adds notes to recorded calls, whatever their status: each key replaces an earlier one. Answers how
/// many calls there were. T
pub async fn patch_calls(
    db: &impl ConnectionTrait,
    patches: &[(String, Map<String, serde_json::Value>)],
) -> Result<u64, StorageError> {
    if patches.is_empty() {
        return Ok(0);
    }
    let engine = Engine::of(db);
    let next = engine.next_moment_sql("call_graph_nodes.updated_at");
    match engine {
        Engine::Sqlite => {
            let text = format!(
                "update call_graph_nodes set metadata = {}, updated_at = max($2, {next})
                 from json_each($1) u
                 where call_graph_nodes.request_id = u.value ->> 'request_id'",
                merged_sqlite("u.value -> 'metadata'")
            );
            let rows = patches.iter().map(
                |(request_id, metadata)| json!({ "request_id": request_id, "metadata": metadata }),
            );
            sql::execute(db, &text, [document(rows), crate::time::now().into()]).await
        }
        Engine::Postgres => {
            let text = format!(
                "update call_graph_nodes set
                     metadata = coalesce(call_graph_nodes.metadata, '{{}}') || u.metadata::jsonb,
                     updated_at = greatest($3, {next})
                 from unnest($1::text[], $2::text[]) as u(request_id, metadata)
                 where call_graph_nodes.request_id = u.request_id"
            );
            let values = [
                texts(patches.iter().map(|(request_id, _)| request_id.clone())),
                texts(patches.iter().map(|(_, metadata)| object_text(metadata))),
                crate::time::now().into(),
            ];
            sql::execute(db, &text, values).await
        }
    }
}

/// Writes edges whose both ends are recorded; those that are there already stay as they are. Answers
/// how many are new. T
pub async fn insert_edges(
    db: &impl ConnectionTrait,
    edges: &[NewEdge],
) -> Result<u64, StorageError> {
    if edges.is_empty() {
        return Ok(0);
    }
    let id = || CallGraphEdgeId::random().into_string();
    match Engine::of(db) {
        Engine::Sqlite => {
            let rows = edges.iter().map(|edge| {
                json!({
                    "id": id(),
                    "source": edge.source_request_id,
                    "target": edge.target_request_id,
                    "type": edge.edge_type,
                    "at": Engine::Sqlite.moment_text(edge.created_at),
                })
            });
            sql::execute(db, EDGES_SQLITE, [document(rows)]).await
        }
        Engine::Postgres => {
            let values = [
                texts(edges.iter().map(|_| id())),
                texts(edges.iter().map(|edge| edge.source_request_id.clone())),
                texts(edges.iter().map(|edge| edge.target_request_id.clone())),
                texts(edges.iter().map(|edge| edge.edge_type.as_str().to_owned())),
                Value::from(edges.iter().map(|edge| edge.created_at).collect::<Vec<_>>()),
            ];
            sql::execute(db, EDGES_POSTGRES, values).await
        }
    }
}

/// Which of the operations can be recorded against now: they have a row, and nobody is removing it.
/// They cannot be removed before the transaction ends. T
///
/// An operation under removal is skipped and not waited for, so that one removal does not stop all
/// recording. On SQLite nobody else writes meanwhile.
pub async fn lock_operations(
    db: &impl ConnectionTrait,
    ids: &[OperationId],
) -> Result<HashSet<OperationId>, StorageError> {
    let (text, value) = match Engine::of(db) {
        Engine::Sqlite => (
            "select id from operations where id in (select value from json_each($1))",
            crate::engine::json_array(ids).into(),
        ),
        Engine::Postgres => (
            "select id from operations where id = any($1) order by id for key share skip locked",
            text_array(ids),
        ),
    };
    let found = returned(db, text, vec![value]).await?;
    Ok(found.into_iter().map(OperationId::from).collect())
}

/// The rows among `calls` that were written with this very id.
async fn own_rows(
    db: &impl ConnectionTrait,
    calls: &[&NewCall],
) -> Result<HashSet<String>, StorageError> {
    let (text, values) = match Engine::of(db) {
        Engine::Sqlite => {
            let rows = calls
                .iter()
                .map(|call| json!({ "id": call.id, "request_id": call.request_id }));
            (
                "select n.request_id from json_each($1) u join call_graph_nodes n
                 on n.id = u.value ->> 'id' and n.request_id = u.value ->> 'request_id'",
                vec![document(rows)],
            )
        }
        Engine::Postgres => (
            "select n.request_id from unnest($1::text[], $2::text[]) as u(id, request_id)
             join call_graph_nodes n on n.id = u.id and n.request_id = u.request_id",
            vec![
                texts(calls.iter().map(|call| call.id.to_string())),
                texts(calls.iter().map(|call| call.request_id.clone())),
            ],
        ),
    };
    returned(db, text, values).await
}

/// The request ids a statement over a batch gives back.
async fn returned(
    db: &impl ConnectionTrait,
    text: &str,
    values: Vec<Value>,
) -> Result<HashSet<String>, StorageError> {
    let rows = sql::rows(db, text, values).await?;
    rows.iter()
        .map(|row| row.try_get_by_index(0).map_err(StorageError::from))
        .collect()
}
