//! The audit trail: rows are added, and removed by retention only.

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::ExprTrait;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use serde::Serialize;

use crate::engine::Engine;
use crate::entity::audit_logs::{ActiveModel, Column, Entity, Model};
use crate::error::StorageError;
use crate::ids::{AccountId, ApiKeyId, AuditLogId, OrganizationId, SessionId};
use crate::json::{AuditDetails, Metadata};
use crate::page::{self, Page, PageRequest};
use crate::scope::{Scope, column};
use crate::time::{self, DateTimeUtc};
use crate::{meta, sql};

/// While this fact stands, audit rows may be deleted.
const SWITCH: &str = "audit.prune";

/// An entry to be written.
#[derive(Debug, Clone)]
pub struct NewAuditEntry {
    /// Who did it.
    pub owner_id: AccountId,
    /// With which key.
    pub key_id: Option<ApiKeyId>,
    /// In which session.
    pub session_id: Option<SessionId>,
    /// In whose organization.
    pub org_id: Option<OrganizationId>,
    /// Dotted verb.
    pub action: String,
    /// What exactly. The ids above are copied into it, because they may be set to null later.
    pub details: AuditDetails,
}

/// Which entries are wanted.
#[derive(Debug, Clone, Default, Serialize)]
pub struct AuditFilter {
    /// By this account.
    pub owner: Option<AccountId>,
    /// With this key.
    pub key: Option<ApiKeyId>,
    /// In this session.
    pub session: Option<SessionId>,
    /// In this organization.
    pub organization: Option<OrganizationId>,
    /// This action; `task.*` stands for all that begin with `task.`.
    pub action: Option<String>,
    /// Not before.
    pub from: Option<DateTimeUtc>,
    /// Before.
    pub to: Option<DateTimeUtc>,
    /// About this kind of row and this id (`details.target`).
    pub target: Option<(String, String)>,
}

/// Writes entries, in the transaction of what they record. T
pub async fn append_audit(
    db: &impl ConnectionTrait,
    entries: Vec<NewAuditEntry>,
) -> Result<Vec<AuditLogId>, StorageError> {
    let now = time::now();
    let rows: Vec<ActiveModel> = entries.into_iter().map(|entry| row(entry, now)).collect();
    let mut ids = Vec::with_capacity(rows.len());
    for chunk in rows.chunks(Engine::of(db).max_parameters() / 10) {
        Entity::insert_many(chunk.to_vec())
            .exec_without_returning(db)
            .await?;
        ids.extend(chunk.iter().filter_map(|row| row.id.try_as_ref().cloned()));
    }
    Ok(ids)
}

/// The entry with this id, if the asker may see it.
pub async fn audit_by_id(
    db: &impl ConnectionTrait,
    scope: &Scope,
    id: &AuditLogId,
) -> Result<Option<Model>, StorageError> {
    Ok(Entity::find_by_id(id.clone())
        .filter(scope.audit(Engine::of(db)))
        .one(db)
        .await?)
}

/// Entries the asker may see.
pub async fn list_audit(
    db: &impl ConnectionTrait,
    scope: &Scope,
    filter: &AuditFilter,
    request: &PageRequest,
) -> Result<Page<Model>, StorageError> {
    let engine = Engine::of(db);
    let mut select = Entity::find().filter(scope.audit(engine));
    if let Some(owner) = &filter.owner {
        select = select.filter(Column::OwnerId.eq(owner.clone()));
    }
    if let Some(key) = &filter.key {
        select = select.filter(Column::KeyId.eq(key.clone()));
    }
    if let Some(session) = &filter.session {
        select = select.filter(Column::SessionId.eq(session.clone()));
    }
    if let Some(organization) = &filter.organization {
        select = select.filter(Column::OrgId.eq(organization.clone()));
    }
    if let Some(action) = &filter.action {
        select = match action.strip_suffix('*') {
            // As a range on both engines: the index of PostgreSQL has the database's own order.
            Some(prefix) => select.filter(engine.in_prefix(column("audit_logs", "action"), prefix)),
            None => select.filter(Column::Action.eq(action.as_str())),
        };
    }
    // Without a beginning the bound says nothing; it makes SQLite walk the index instead of sorting.
    let from = filter.from.unwrap_or(DateTimeUtc::UNIX_EPOCH);
    select = select.filter(Column::CreatedAt.gte(from));
    if let Some(to) = filter.to {
        select = select.filter(Column::CreatedAt.lt(to));
    }
    if let Some((kind, id)) = &filter.target {
        select = select
            .filter(
                engine
                    .json_path_text("audit_logs", "details", &["target", "type"])
                    .eq(kind.as_str()),
            )
            .filter(
                engine
                    .json_path_text("audit_logs", "details", &["target", "id"])
                    .eq(id.as_str()),
            );
    }
    page::by_creation(db, select, "audit_logs", filter, request, |row| {
        (row.created_at, row.id.to_string())
    })
    .await
}

/// Removes the oldest entries before a moment, at most `limit`; answers how many. T
///
/// The switch that lets rows go stands only inside this transaction.
pub async fn prune_audit(
    db: &impl ConnectionTrait,
    older_than: DateTimeUtc,
    limit: u32,
) -> Result<u64, StorageError> {
    meta::put(db, SWITCH, &serde_json::Value::Bool(true)).await?;
    let removed = sql::execute(
        db,
        "delete from audit_logs where id in (
             select id from audit_logs where created_at < $1 order by created_at, id limit $2)",
        [older_than.into(), i64::from(limit).into()],
    )
    .await?;
    meta::delete(db, SWITCH).await?;
    Ok(removed)
}

fn row(entry: NewAuditEntry, now: DateTimeUtc) -> ActiveModel {
    let mut details = entry.details;
    let ids = details.ids.get_or_insert_with(Default::default);
    ids.owner_id = Some(entry.owner_id.to_string());
    ids.key_id = entry.key_id.as_ref().map(ToString::to_string);
    ids.session_id = entry.session_id.as_ref().map(ToString::to_string);
    ids.org_id = entry.org_id.as_ref().map(ToString::to_string);
    ActiveModel {
        id: Set(AuditLogId::random()),
        owner_id: Set(entry.owner_id),
        key_id: Set(entry.key_id),
        session_id: Set(entry.session_id),
        org_id: Set(entry.org_id),
        action: Set(entry.action),
        details: Set(details),
        metadata: Set(Metadata::new()),
        created_at: Set(now),
        updated_at: Set(now),
    }
}
