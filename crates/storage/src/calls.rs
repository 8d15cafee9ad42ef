//! Queries of the call graph: the statements of the recorder, and look-ups.
//!
//! A batch travels as one JSON document in one parameter, so that a statement has the same text
//! whatever the size of the batch, on both engines.

use std::collections::HashSet;

use chrono::SecondsFormat;
use sea_orm::{ConnectionTrait, EntityTrait, QueryFilter};
use serde_json::{Map, Value, json};

use crate::engine::Engine;
use crate::entity::call_graph_nodes::{Column, Entity, Model};
use crate::enums::CallStatus;
use crate::error::StorageError;
use crate::ids::{AccountId, CallGraphEdgeId, CallGraphNodeId, OperationId};
use crate::scope::Scope;
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
    pub identity: Option<Value>,
    /// The caller's account.
    pub caller_account_id: Option<AccountId>,
    /// Where the call stands.
    pub status: CallStatus,
    /// As called, capped.
    pub input: Option<Value>,
    /// As answered, capped.
    pub output: Option<Value>,
    /// Why it failed.
    pub error: Option<Value>,
    /// When it was dispatched.
    pub started_at: Option<DateTimeUtc>,
    /// When it became terminal.
    pub completed_at: Option<DateTimeUtc>,
    /// When it was requested.
    pub created_at: DateTimeUtc,
    /// The hub's notes.
    pub metadata: Map<String, Value>,
}

/// The end of a recorded call.
#[derive(Debug, Clone, PartialEq)]
pub struct CallEnd {
    /// Which call.
    pub request_id: String,
    /// A terminal status.
    pub status: CallStatus,
    /// As answered, capped.
    pub output: Option<Value>,
    /// Why it failed.
    pub error: Option<Value>,
    /// When it became terminal.
    pub completed_at: DateTimeUtc,
    /// Notes to add.
    pub metadata: Map<String, Value>,
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
    pub fn strip(&mut self, note: Map<String, Value>) {
        self.input = None;
        self.output = None;
        self.error = None;
        self.identity = None;
        self.metadata.extend(note);
    }
}

impl CallEnd {
    /// Leaves out what a database may refuse, and notes why.
    pub fn strip(&mut self, note: Map<String, Value>) {
        self.output = None;
        self.error = None;
        self.metadata.extend(note);
    }
}

/// Records calls, with the `triggered` edge from the parent where the parent is recorded. The outcomes
/// are in the order of the calls. T
///
/// A call whose request id is taken is not written; a row of the same id is the caller's own earlier
/// write (its commit was not answered) and counts as new.
pub async fn insert_calls(
    db: &impl ConnectionTrait,
    calls: &[NewCall],
) -> Result<Vec<Inserted>, StorageError> {
    if calls.is_empty() {
        return Ok(Vec::new());
    }
    let document = Value::Array(calls.iter().map(row).collect());
    let insert = match Engine::of(db) {
        Engine::Sqlite => INSERT_SQLITE,
        Engine::Postgres => INSERT_POSTGRES,
    };
    let mut stored = returned(db, insert, &document).await?;
    if stored.len() < calls.len() {
        let missing: Vec<Value> = calls
            .iter()
            .filter(|call| !stored.contains(&call.request_id))
            .map(|call| json!({ "id": call.id, "request_id": call.request_id }))
            .collect();
        let own = match Engine::of(db) {
            Engine::Sqlite => OWN_SQLITE,
            Engine::Postgres => OWN_POSTGRES,
        };
        stored.extend(returned(db, own, &Value::Array(missing)).await?);
    }
    if calls.iter().any(|call| call.parent_request_id.is_some()) {
        let edges = match Engine::of(db) {
            Engine::Sqlite => EDGES_SQLITE,
            Engine::Postgres => EDGES_POSTGRES,
        };
        sql::execute(db, edges, [document.to_string().into()]).await?;
    }
    Ok(calls
        .iter()
        .map(|call| match stored.contains(&call.request_id) {
            true => Inserted::New,
            false => Inserted::Existing,
        })
        .collect())
}

/// Ends calls that are pending or running. The answers are in the order of the ends: false where
/// somebody was first, or there is no such call. T
pub async fn finish_calls(
    db: &impl ConnectionTrait,
    ends: &[CallEnd],
) -> Result<Vec<bool>, StorageError> {
    if ends.is_empty() {
        return Ok(Vec::new());
    }
    let document = Value::Array(ends.iter().map(end_row).collect());
    let update = match Engine::of(db) {
        Engine::Sqlite => FINISH_SQLITE,
        Engine::Postgres => FINISH_POSTGRES,
    };
    let finished = returned(db, update, &document).await?;
    for end in ends.iter().filter(|end| !end.metadata.is_empty()) {
        if finished.contains(&end.request_id) {
            use sea_orm::{ColumnTrait, QueryFilter as _};
            let merged = Engine::of(db).merged_metadata("call_graph_nodes", &end.metadata);
            Entity::update_many()
                .col_expr(Column::Metadata, merged)
                .filter(Column::RequestId.eq(end.request_id.as_str()))
                .exec(db)
                .await?;
        }
    }
    Ok(ends.iter().map(|end| finished.contains(&end.request_id)).collect())
}

/// A recorded call, whoever asks: for the repetition of a call, which is compared with it.
pub async fn recorded_call(
    db: &impl ConnectionTrait,
    request_id: &str,
) -> Result<Option<Model>, StorageError> {
    call_by_request_id(db, &Scope::All, request_id).await
}

/// A visible call by its request id.
pub async fn call_by_request_id(
    db: &impl ConnectionTrait,
    scope: &Scope,
    request_id: &str,
) -> Result<Option<Model>, StorageError> {
    use sea_orm::ColumnTrait;
    Ok(Entity::find()
        .filter(Column::RequestId.eq(request_id))
        .filter(scope.calls(Engine::of(db)))
        .one(db)
        .await?)
}

/// Calls that are pending or running, oldest first; with `owner` only those of that hub process.
pub async fn live_calls(
    db: &impl ConnectionTrait,
    owner: Option<&str>,
    limit: u16,
) -> Result<Vec<Model>, StorageError> {
    let statement = match Engine::of(db) {
        // After ANALYZE the planner thinks the index useless and scans the table.
        Engine::Sqlite => {
            "select * from call_graph_nodes indexed by idx_call_graph_nodes_status
             where status in ('pending', 'running')
               and ($1 is null or json_extract(metadata, '$.hub.id') = $1)
             order by created_at, id limit $2"
        }
        Engine::Postgres => {
            "select * from call_graph_nodes
             where status in ('pending', 'running')
               and ($1::text is null or metadata -> 'hub' ->> 'id' = $1)
             order by created_at, id limit $2"
        }
    };
    let owner = owner.map(ToOwned::to_owned);
    sql::all(db, statement, [owner.into(), i64::from(limit).into()]).await
}

const INSERT_POSTGRES: &str = "
    insert into call_graph_nodes (id, request_id, operation_id, parent_request_id, identity,
        caller_account_id, status, input, output, error, started_at, completed_at, metadata,
        created_at, updated_at)
    select u.id, u.request_id, u.operation_id, u.parent_request_id, u.identity,
        u.caller_account_id, u.status, u.input, u.output, u.error, u.started_at, u.completed_at,
        u.metadata, u.created_at, coalesce(u.completed_at, u.created_at)
    from jsonb_to_recordset($1::jsonb) as u(id text, request_id text, operation_id text,
        parent_request_id text, identity jsonb, caller_account_id text, status text, input jsonb,
        output jsonb, error jsonb, started_at timestamptz, completed_at timestamptz,
        metadata jsonb, created_at timestamptz)
    on conflict (request_id) do nothing returning request_id";

// A key that is absent gives NULL, and so does none of the columns' own JSON null: those are left out.
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

const OWN_POSTGRES: &str = "
    select n.request_id from jsonb_to_recordset($1::jsonb) as u(id text, request_id text)
    join call_graph_nodes n on n.id = u.id and n.request_id = u.request_id";

const OWN_SQLITE: &str = "
    select n.request_id from json_each($1) u
    join call_graph_nodes n on n.id = u.value ->> 'id' and n.request_id = u.value ->> 'request_id'";

const EDGES_POSTGRES: &str = "
    insert into call_graph_edges (id, source_id, target_id, edge_type, metadata, created_at, updated_at)
    select u.edge_id, p.id, n.id, 'triggered', '{}'::jsonb, u.created_at, u.created_at
    from jsonb_to_recordset($1::jsonb)
        as u(id text, edge_id text, parent_request_id text, created_at timestamptz)
    join call_graph_nodes p on p.request_id = u.parent_request_id
    join call_graph_nodes n on n.id = u.id
    on conflict (source_id, target_id, edge_type) do nothing";

const EDGES_SQLITE: &str = "
    insert into call_graph_edges (id, source_id, target_id, edge_type, metadata, created_at, updated_at)
    select u.value ->> 'edge_id', p.id, n.id, 'triggered', '{}', u.value ->> 'created_at',
        u.value ->> 'created_at'
    from json_each($1) u
    join call_graph_nodes p on p.request_id = u.value ->> 'parent_request_id'
    join call_graph_nodes n on n.id = u.value ->> 'id'
    where true
    on conflict (source_id, target_id, edge_type) do nothing";

const FINISH_POSTGRES: &str = "
    update call_graph_nodes as n
    set status = u.status, output = u.output, error = u.error, completed_at = u.completed_at,
        updated_at = u.completed_at
    from jsonb_to_recordset($1::jsonb) as u(request_id text, status text, output jsonb, error jsonb,
        completed_at timestamptz)
    where n.request_id = u.request_id and n.status in ('pending', 'running')
    returning n.request_id";

const FINISH_SQLITE: &str = "
    update call_graph_nodes
    set status = u.value ->> 'status', output = u.value -> 'output', error = u.value -> 'error',
        completed_at = u.value ->> 'completed_at', updated_at = u.value ->> 'completed_at'
    from json_each($1) u
    where call_graph_nodes.request_id = u.value ->> 'request_id'
      and call_graph_nodes.status in ('pending', 'running')
    returning call_graph_nodes.request_id";

/// The request ids a statement over a batch gives back.
async fn returned(
    db: &impl ConnectionTrait,
    statement: &str,
    document: &Value,
) -> Result<HashSet<String>, StorageError> {
    let rows = sql::rows(db, statement, [document.to_string().into()]).await?;
    rows.iter().map(|row| row.try_get_by_index(0).map_err(StorageError::from)).collect()
}

fn row(call: &NewCall) -> Value {
    let mut row = Map::new();
    let mut put = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            row.insert(key.to_owned(), value);
        }
    };
    put("id", Some(json!(call.id)));
    put("edge_id", call.parent_request_id.as_ref().map(|_| json!(CallGraphEdgeId::random())));
    put("request_id", Some(json!(call.request_id)));
    put("operation_id", Some(json!(call.operation_id)));
    put("parent_request_id", call.parent_request_id.as_ref().map(|id| json!(id)));
    put("identity", call.identity.clone());
    put("caller_account_id", call.caller_account_id.as_ref().map(|id| json!(id)));
    put("status", Some(json!(call.status)));
    put("input", call.input.clone());
    put("output", call.output.clone());
    put("error", call.error.clone());
    put("started_at", call.started_at.map(stored_moment));
    put("completed_at", call.completed_at.map(stored_moment));
    put("created_at", Some(stored_moment(call.created_at)));
    put("metadata", Some(Value::Object(call.metadata.clone())));
    Value::Object(row)
}

fn end_row(end: &CallEnd) -> Value {
    let mut row = json!({
        "request_id": end.request_id,
        "status": end.status,
        "completed_at": stored_moment(end.completed_at),
    });
    if let Some(output) = &end.output {
        row["output"] = output.clone();
    }
    if let Some(error) = &end.error {
        row["error"] = error.clone();
    }
    row
}

/// The moment as the driver writes it on SQLite, so that texts compare like moments.
fn stored_moment(moment: DateTimeUtc) -> Value {
    Value::from(moment.to_rfc3339_opts(SecondsFormat::AutoSi, false))
}
