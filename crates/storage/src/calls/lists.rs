//! Lists of calls.

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect};
use serde::Serialize;

use super::lookups::{brief, without_payload};
use super::statistics::duration_sql;
use crate::engine::Engine;
use crate::entity::call_graph_nodes::{Column, Entity, Model};
use crate::entity::operations;
use crate::enums::CallStatus;
use crate::error::StorageError;
use crate::ids::{AccountId, OperationId, ProjectId, SessionId, SpokeId};
use crate::page::{self, Page, PageRequest};
use crate::scope::Scope;
use crate::sql;
use crate::time::DateTimeUtc;

/// Which calls are wanted.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct CallFilter {
    /// Of this operation.
    pub operation: Option<OperationId>,
    /// Of operations of this namespace.
    pub namespace: Option<String>,
    /// Of this account.
    pub account: Option<AccountId>,
    /// In one of these statuses; empty = any.
    pub status: Vec<CallStatus>,
    /// About this project.
    pub project: Option<ProjectId>,
    /// In this session.
    pub session: Option<SessionId>,
    /// On this spoke.
    pub spoke: Option<SpokeId>,
    /// Only those no other call made.
    pub root_only: bool,
    /// That ran at least so many milliseconds.
    pub min_ms: Option<u64>,
    /// That failed with this code.
    pub error_code: Option<String>,
    /// Requested not before.
    pub from: Option<DateTimeUtc>,
    /// Requested before.
    pub to: Option<DateTimeUtc>,
}

/// Calls the asker may see, without input and output.
pub async fn calls(
    db: &impl ConnectionTrait,
    scope: &Scope,
    filter: &CallFilter,
    request: &PageRequest,
) -> Result<Page<Model>, StorageError> {
    let engine = Engine::of(db);
    let note = |key| engine.json_text("call_graph_nodes", "metadata", key);
    let mut select = Entity::find().filter(scope.calls(engine));
    if let Some(operation) = &filter.operation {
        select = select.filter(Column::OperationId.eq(operation.clone()));
    }
    if let Some(namespace) = &filter.namespace {
        let of_namespace = operations::Entity::find()
            .select_only()
            .column(operations::Column::Id)
            .filter(operations::Column::Namespace.eq(namespace.as_str()));
        select = select
            .filter(Column::OperationId.in_subquery(sea_orm::QueryTrait::into_query(of_namespace)));
    }
    if let Some(account) = &filter.account {
        select = select.filter(Column::CallerAccountId.eq(account.clone()));
    }
    if !filter.status.is_empty() {
        select = select.filter(Column::Status.is_in(filter.status.iter().copied()));
    }
    if let Some(project) = &filter.project {
        select = select.filter(note("projectId").eq(project.as_str()));
    }
    if let Some(session) = &filter.session {
        select = select.filter(note("sessionId").eq(session.as_str()));
    }
    if let Some(spoke) = &filter.spoke {
        select = select.filter(note("spokeId").eq(spoke.as_str()));
    }
    if filter.root_only {
        select = select.filter(Column::ParentRequestId.is_null());
    }
    if let Some(ms) = filter.min_ms {
        let ms = i64::try_from(ms).unwrap_or(i64::MAX);
        let duration = Expr::cust(duration_sql(engine, "call_graph_nodes"));
        select = select.filter(duration.gte(ms));
    }
    if let Some(code) = &filter.error_code {
        select = select.filter(
            engine
                .json_text("call_graph_nodes", "error", "code")
                .eq(code.as_str()),
        );
    }
    // Without a beginning the bound says nothing; it makes SQLite walk the index instead of sorting.
    let from = filter.from.unwrap_or(DateTimeUtc::UNIX_EPOCH);
    select = select.filter(Column::CreatedAt.gte(from));
    if let Some(to) = filter.to {
        select = select.filter(Column::CreatedAt.lt(to));
    }
    let select = brief(select, engine);
    page::by_creation(db, select, "call_graph_nodes", filter, request, |row| {
        (row.created_at, row.id.to_string())
    })
    .await
}

/// Calls that are pending or running since before a moment, of those the asker may see, the oldest
/// first; without input and output.
pub async fn stuck_calls(
    db: &impl ConnectionTrait,
    scope: &Scope,
    older_than: DateTimeUtc,
    limit: u16,
) -> Result<Vec<Model>, StorageError> {
    let engine = Engine::of(db);
    let (visible, mut values) = scope.calls_sql(engine);
    values.extend([older_than.into(), i64::from(limit).into()]);
    let text = format!(
        "select {} from call_graph_nodes {} where status in ('pending', 'running')
           and coalesce(started_at, created_at) < ${} and ({visible})
         order by coalesce(started_at, created_at), id limit ${}",
        without_payload(engine),
        by_status(engine),
        values.len() - 1,
        values.len(),
    );
    sql::all(db, &text, values).await
}

/// Calls that are pending or running, oldest first; with `owner` only those of that hub process.
pub async fn live_calls(
    db: &impl ConnectionTrait,
    owner: Option<&str>,
    limit: u16,
) -> Result<Vec<Model>, StorageError> {
    let engine = Engine::of(db);
    let hub = match engine {
        Engine::Sqlite => "json_extract(metadata, '$.hub.id')",
        Engine::Postgres => "metadata -> 'hub' ->> 'id'",
    };
    let text = format!(
        "select * from call_graph_nodes {} where status in ('pending', 'running')
           and (cast($1 as text) is null or {hub} = $1)
         order by created_at, id limit $2",
        by_status(engine)
    );
    let owner = owner.map(ToOwned::to_owned);
    sql::all(db, &text, [owner.into(), i64::from(limit).into()]).await
}

/// After ANALYZE SQLite sees few different statuses, thinks the index useless and scans the table.
fn by_status(engine: Engine) -> &'static str {
    match engine {
        Engine::Sqlite => "indexed by idx_call_graph_nodes_status",
        Engine::Postgres => "",
    }
}
