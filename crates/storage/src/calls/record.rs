//! The statements of the recorder: batches of beginnings, ends and edges.
//!
//! A batch travels in parameters whose number does not depend on its size: one JSON document on SQLite,
//! one array a column on PostgreSQL. So a statement has the same text for every batch.

use std::collections::HashSet;

use sea_orm::{ConnectionTrait, Value};
use serde_json::{Map, json};

use crate::engine::{Engine, text_array};
use crate::enums::{CallStatus, EdgeType};
use crate::error::StorageError;
use crate::ids::{AccountId, CallGraphEdgeId, CallGraphNodeId, OperationId};
use crate::sql;
use crate::time::DateTimeUtc;

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
    calls: &[NewCall],
) -> Result<Vec<Inserted>, StorageError> {
    if calls.is_empty() {
        return Ok(Vec::new());
    }
    let engine = Engine::of(db);
    let (text, values) = match engine {
        Engine::Sqlite => (INSERT_SQLITE, vec![document(calls.iter().map(row))]),
        Engine::Postgres => (INSERT_POSTGRES, insert_arrays(calls)),
    };
    let mut stored = returned(db, text, values).await?;
    if stored.len() < calls.len() {
        let missing: Vec<&NewCall> = calls
            .iter()
            .filter(|call| !stored.contains(&call.request_id))
            .collect();
        stored.extend(own_rows(db, &missing).await?);
    }
    let children: Vec<NewEdge> = calls
        .iter()
        .filter(|call| stored.contains(&call.request_id))
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
            if stored.contains(&call.request_id) {
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
    ends: &[CallEnd],
) -> Result<Vec<bool>, StorageError> {
    if ends.is_empty() {
        return Ok(Vec::new());
    }
    let (text, values) = match Engine::of(db) {
        Engine::Sqlite => (finish_sqlite(), vec![document(ends.iter().map(end_row))]),
        Engine::Postgres => (FINISH_POSTGRES.to_owned(), finish_arrays(ends)),
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

// Null has no place in the driver's arrays; an empty text stands for it, which no column holds.
const INSERT_POSTGRES: &str = "
    insert into call_graph_nodes (id, request_id, operation_id, parent_request_id, identity,
        caller_account_id, status, input, output, error, started_at, completed_at, metadata,
        created_at, updated_at)
    select u.id, u.request_id, u.operation_id, nullif(u.parent, ''), nullif(u.identity, '')::jsonb,
        nullif(u.account, ''), u.status, nullif(u.input, '')::jsonb, nullif(u.output, '')::jsonb,
        nullif(u.error, '')::jsonb, nullif(u.started, '')::timestamptz,
        nullif(u.completed, '')::timestamptz, u.metadata::jsonb, u.created,
        coalesce(nullif(u.completed, '')::timestamptz, u.created)
    from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
        $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[],
        $14::timestamptz[])
        as u(id, request_id, operation_id, parent, identity, account, status, input, output, error,
            started, completed, metadata, created)
    on conflict (request_id) do nothing returning request_id";

// A key that is absent gives null; JSON's own null stays what it is.
const INSERT_SQLITE: &str = "
    insert into call_graph_nodes (id, request_id, operation_id, parent_request_id, identity,
        caller_account_id, status, input, output, error, started_at, completed_at, metadata,
        created_at, updated_at)
    select value ->> 'id', value ->> 'request_id', value ->> 'operation_id',
        value ->> 'parent_request_id', value -> 'identity', value ->> 'caller_account_id',
        value ->> 'status', value -> 'input', value -> 'output', value -> 'error',
        value ->> 'started_at', value ->> 'completed_at', value -> 'metadata',
        value ->> 'created_at', coalesce(value ->> 'completed_at', value ->> 'created_at')
    from json_each($1) where true
    on conflict (request_id) do nothing returning request_id";

const RUNNING_POSTGRES: &str = "
    update call_graph_nodes as n set status = 'running', started_at = u.at, updated_at = u.at
    from unnest($1::text[], $2::timestamptz[]) as u(request_id, at)
    where n.request_id = u.request_id and n.status = 'pending'
    returning n.request_id";

const RUNNING_SQLITE: &str = "
    update call_graph_nodes
    set status = 'running', started_at = u.value ->> 'at', updated_at = u.value ->> 'at'
    from json_each($1) u
    where call_graph_nodes.request_id = u.value ->> 'request_id'
      and call_graph_nodes.status = 'pending'
    returning call_graph_nodes.request_id";

const FINISH_POSTGRES: &str = "
    update call_graph_nodes as n
    set status = u.status, output = nullif(u.output, '')::jsonb, error = nullif(u.error, '')::jsonb,
        completed_at = u.completed, updated_at = u.completed,
        metadata = case when u.metadata = '' then n.metadata
            else coalesce(n.metadata, '{}') || u.metadata::jsonb end
    from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::text[])
        as u(request_id, status, output, error, completed, metadata)
    where n.request_id = u.request_id and n.status in ('pending', 'running')
    returning n.request_id";

const EDGES_POSTGRES: &str = "
    insert into call_graph_edges (id, source_id, target_id, edge_type, created_at, updated_at)
    select u.id, s.id, t.id, u.type, u.at, u.at
    from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[])
        as u(id, source, target, type, at)
    join call_graph_nodes s on s.request_id = u.source
    join call_graph_nodes t on t.request_id = u.target
    on conflict (source_id, target_id, edge_type) do nothing";

const EDGES_SQLITE: &str = "
    insert into call_graph_edges (id, source_id, target_id, edge_type, created_at, updated_at)
    select u.value ->> 'id', s.id, t.id, u.value ->> 'type', u.value ->> 'at', u.value ->> 'at'
    from json_each($1) u
    join call_graph_nodes s on s.request_id = u.value ->> 'source'
    join call_graph_nodes t on t.request_id = u.value ->> 'target'
    where true
    on conflict (source_id, target_id, edge_type) do nothing";

fn finish_sqlite() -> String {
    format!(
        "update call_graph_nodes
         set status = u.value ->> 'status', output = u.value -> 'output',
             error = u.value -> 'error', completed_at = u.value ->> 'completed_at',
             updated_at = u.value ->> 'completed_at',
             metadata = case when u.value -> 'metadata' is null
                 then call_graph_nodes.metadata else {} end
         from json_each($1) u
         where call_graph_nodes.request_id = u.value ->> 'request_id'
           and call_graph_nodes.status in ('pending', 'running')
         returning call_graph_nodes.request_id",
        merged_sqlite("u.value -> 'metadata'")
    )
}

/// The notes of a row with the keys of `patch` in place of earlier ones. Not `json_patch`, which
/// merges deep and takes null for a removal, as PostgreSQL's operator does not.
fn merged_sqlite(patch: &str) -> String {
    let value = "case type when 'object' then json(value) when 'array' then json(value)
        when 'true' then json('true') when 'false' then json('false')
        when 'null' then json('null') else value end";
    format!(
        "(select json_group_object(key, {value}) from (
            select key, value, type from json_each(coalesce(call_graph_nodes.metadata, '{{}}'))
            where key not in (select key from json_each({patch}))
            union all select key, value, type from json_each({patch})))"
    )
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

fn document(rows: impl Iterator<Item = serde_json::Value>) -> Value {
    serde_json::Value::Array(rows.collect()).to_string().into()
}

fn texts(texts: impl Iterator<Item = String>) -> Value {
    Value::from(texts.collect::<Vec<String>>())
}

fn row(call: &NewCall) -> serde_json::Value {
    let mut row = Map::new();
    let mut put = |key: &str, value: Option<serde_json::Value>| {
        if let Some(value) = value {
            row.insert(key.to_owned(), value);
        }
    };
    let moment = |moment: DateTimeUtc| json!(Engine::Sqlite.moment_text(moment));
    put("id", Some(json!(call.id)));
    put("request_id", Some(json!(call.request_id)));
    put("operation_id", Some(json!(call.operation_id)));
    put(
        "parent_request_id",
        call.parent_request_id.as_ref().map(|id| json!(id)),
    );
    put("identity", call.identity.clone());
    put(
        "caller_account_id",
        call.caller_account_id.as_ref().map(|id| json!(id)),
    );
    put("status", Some(json!(call.status)));
    put("input", call.input.clone());
    put("output", call.output.clone());
    put("error", call.error.clone());
    put("started_at", call.started_at.map(moment));
    put("completed_at", call.completed_at.map(moment));
    put("created_at", Some(moment(call.created_at)));
    put(
        "metadata",
        Some(serde_json::Value::Object(call.metadata.clone())),
    );
    serde_json::Value::Object(row)
}

fn end_row(end: &CallEnd) -> serde_json::Value {
    let mut row = json!({
        "request_id": end.request_id,
        "status": end.status,
        "completed_at": Engine::Sqlite.moment_text(end.completed_at),
    });
    if let Some(output) = &end.output {
        row["output"] = output.clone();
    }
    if let Some(error) = &end.error {
        row["error"] = error.clone();
    }
    if !end.metadata.is_empty() {
        row["metadata"] = serde_json::Value::Object(end.metadata.clone());
    }
    row
}

/// The columns of a batch of new calls in the order of [`INSERT_POSTGRES`].
fn insert_arrays(calls: &[NewCall]) -> Vec<Value> {
    let column = |value: &dyn Fn(&NewCall) -> String| texts(calls.iter().map(value));
    let moment =
        |moment: Option<DateTimeUtc>| moment.map(|moment| moment.to_rfc3339()).unwrap_or_default();
    vec![
        column(&|call| call.id.to_string()),
        column(&|call| call.request_id.clone()),
        column(&|call| call.operation_id.to_string()),
        column(&|call| call.parent_request_id.clone().unwrap_or_default()),
        column(&|call| json_text(call.identity.as_ref())),
        column(&|call| {
            call.caller_account_id
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default()
        }),
        column(&|call| call.status.as_str().to_owned()),
        column(&|call| json_text(call.input.as_ref())),
        column(&|call| json_text(call.output.as_ref())),
        column(&|call| json_text(call.error.as_ref())),
        column(&|call| moment(call.started_at)),
        column(&|call| moment(call.completed_at)),
        column(&|call| object_text(&call.metadata)),
        Value::from(calls.iter().map(|call| call.created_at).collect::<Vec<_>>()),
    ]
}

/// The columns of a batch of ends in the order of [`FINISH_POSTGRES`].
fn finish_arrays(ends: &[CallEnd]) -> Vec<Value> {
    let column = |value: &dyn Fn(&CallEnd) -> String| texts(ends.iter().map(value));
    vec![
        column(&|end| end.request_id.clone()),
        column(&|end| end.status.as_str().to_owned()),
        column(&|end| json_text(end.output.as_ref())),
        column(&|end| json_text(end.error.as_ref())),
        Value::from(ends.iter().map(|end| end.completed_at).collect::<Vec<_>>()),
        column(&|end| {
            if end.metadata.is_empty() {
                String::new()
            } else {
                object_text(&end.metadata)
            }
        }),
    ]
}

fn json_text(value: Option<&serde_json::Value>) -> String {
    value.map(ToString::to_string).unwrap_or_default()
}

fn object_text(map: &Map<String, serde_json::Value>) -> String {
    serde_json::Value::Object(map.clone()).to_string()
}
