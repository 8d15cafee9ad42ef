//! Anomalies seen in sessions, each told once while it lasts.

use std::collections::HashMap;
use std::time::Duration;

use sea_orm::sea_query::{Expr, Order};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, Set,
};

use crate::engine::Engine;
use crate::entity::{detections, sessions};
use crate::enums::Severity;
use crate::error::StorageError;
use crate::ids::{AccountId, DetectionId, ProjectId, SessionId};
use crate::json::{DetectionDetails, Metadata};
use crate::page::{self, Page, PageRequest};
use crate::scope::{Scope, column};
use crate::time::{self, DateTimeUtc};

/// A finding of a rule.
#[derive(Debug, Clone, PartialEq)]
pub struct NewDetection {
    /// The session it was seen in.
    pub session_id: SessionId,
    /// Kind of anomaly.
    pub anomaly_type: String,
    /// How bad it is.
    pub severity: Severity,
    /// Equal key while unresolved = the same anomaly; none = always a new one.
    pub dedup_key: Option<String>,
    /// What was measured.
    pub details: DetectionDetails,
    /// How long a resolved anomaly of this key stays quiet.
    pub cooldown: Duration,
}

/// What became of a finding.
#[derive(Debug, Clone, PartialEq)]
pub enum Raised {
    /// A new row.
    New(detections::Model),
    /// Counted on the open row of its key.
    Repeated {
        /// The row as it is now.
        detection: detections::Model,
        /// The severity went up, so it is worth telling again.
        risen: bool,
    },
    /// Resolved so recently that it stays quiet; the row as it was.
    Cooling(detections::Model),
}

impl Raised {
    /// The row, whatever became of it.
    pub fn detection(&self) -> &detections::Model {
        match self {
            Self::New(detection) | Self::Repeated { detection, .. } | Self::Cooling(detection) => {
                detection
            }
        }
    }
}

/// Which detections to list; none = all.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct DetectionFilter {
    /// Of one session.
    pub session_id: Option<SessionId>,
    /// Of the sessions of one project.
    pub project_id: Option<ProjectId>,
    /// Of one kind.
    pub anomaly_type: Option<String>,
    /// Of one severity.
    pub severity: Option<Severity>,
    /// Open ones (`Some(true)`), resolved ones (`Some(false)`), or both.
    pub open: Option<bool>,
}

/// Stores a finding, or counts it on the open row of its key. Needs a transaction.
///
/// The session's row is locked: the index on the key is not unique, the lock is what prevents twins.
/// Errors: `NotFound` when the session is gone.
pub async fn raise_detection(
    db: &impl ConnectionTrait,
    new: NewDetection,
) -> Result<Raised, StorageError> {
    sessions::Entity::find_by_id(new.session_id.clone())
        .lock_exclusive()
        .one(db)
        .await?
        .ok_or(StorageError::NotFound)?;
    let now = time::now();
    if let Some(key) = &new.dedup_key {
        let earlier = detections::Entity::find()
            .filter(detections::Column::DedupKey.eq(key.as_str()))
            .order_by(Expr::cust("resolved_at is null"), Order::Desc)
            .order_by_desc(detections::Column::ResolvedAt)
            .one(db)
            .await?;
        if let Some(earlier) = earlier {
            match earlier.resolved_at {
                None => return repeat(db, earlier, new, now).await,
                Some(resolved) if (now - resolved).to_std().unwrap_or_default() < new.cooldown => {
                    return Ok(Raised::Cooling(earlier));
                }
                Some(_) => {}
            }
        }
    }
    let mut details = new.details;
    details.count = Some(details.count.unwrap_or(1));
    let seen_at = time::format(now);
    details.first_seen_at.get_or_insert_with(|| seen_at.clone());
    details.last_seen_at.get_or_insert(seen_at);
    let row = detections::ActiveModel {
        id: Set(DetectionId::random()),
        session_id: Set(new.session_id),
        anomaly_type: Set(new.anomaly_type),
        severity: Set(new.severity),
        details: Set(details),
        dedup_key: Set(new.dedup_key),
        resolved_at: Set(None),
        resolved_by: Set(None),
        metadata: Set(Metadata::new()),
        created_at: Set(now),
        updated_at: Set(now),
    };
    Ok(Raised::New(row.insert(db).await?))
}

/// The detection with an id, if the asker may see its session.
pub async fn detection_by_id(
    db: &impl ConnectionTrait,
    scope: &Scope,
    id: &DetectionId,
) -> Result<Option<detections::Model>, StorageError> {
    Ok(detections::Entity::find_by_id(id.clone())
        .filter(scope.within_sessions(Engine::of(db), column("detections", "session_id")))
        .one(db)
        .await?)
}

/// Detections the asker may see, newest first.
pub async fn list_detections(
    db: &impl ConnectionTrait,
    scope: &Scope,
    filter: &DetectionFilter,
    request: &PageRequest,
) -> Result<Page<detections::Model>, StorageError> {
    let mut select = detections::Entity::find()
        .filter(scope.within_sessions(Engine::of(db), column("detections", "session_id")));
    if let Some(session) = &filter.session_id {
        select = select.filter(detections::Column::SessionId.eq(session.clone()));
    }
    if let Some(project) = &filter.project_id {
        select = select.filter(
            detections::Column::SessionId.in_subquery(crate::sessions::ids_of_project(project)),
        );
    }
    if let Some(kind) = &filter.anomaly_type {
        select = select.filter(detections::Column::AnomalyType.eq(kind.as_str()));
    }
    if let Some(severity) = filter.severity {
        select = select.filter(detections::Column::Severity.eq(severity));
    }
    match filter.open {
        Some(true) => select = select.filter(detections::Column::ResolvedAt.is_null()),
        Some(false) => select = select.filter(detections::Column::ResolvedAt.is_not_null()),
        None => {}
    }
    page::by_creation(db, select, "detections", filter, request, |row| {
        (row.created_at, row.id.to_string())
    })
    .await
}

/// The open detections of each of some sessions, oldest first.
pub async fn load_open_detections(
    db: &impl ConnectionTrait,
    sessions: &[SessionId],
) -> Result<HashMap<SessionId, Vec<detections::Model>>, StorageError> {
    let rows = detections::Entity::find()
        .filter(Engine::of(db).one_of(column("detections", "session_id"), sessions))
        .filter(detections::Column::ResolvedAt.is_null())
        .order_by_asc(detections::Column::CreatedAt)
        .order_by_asc(detections::Column::Id)
        .all(db)
        .await?;
    let mut found: HashMap<SessionId, Vec<detections::Model>> = HashMap::new();
    for row in rows {
        found.entry(row.session_id.clone()).or_default().push(row);
    }
    Ok(found)
}

/// How many open detections the asker may see, by severity.
pub async fn count_open_detections_by_severity(
    db: &impl ConnectionTrait,
    scope: &Scope,
    project: Option<&ProjectId>,
) -> Result<Vec<(Severity, u64)>, StorageError> {
    let mut select = detections::Entity::find()
        .select_only()
        .column(detections::Column::Severity)
        .expr(Expr::cust("count(*)"))
        .filter(scope.within_sessions(Engine::of(db), column("detections", "session_id")))
        .filter(detections::Column::ResolvedAt.is_null())
        .group_by(detections::Column::Severity);
    if let Some(project) = project {
        select = select.filter(
            detections::Column::SessionId.in_subquery(crate::sessions::ids_of_project(project)),
        );
    }
    crate::row::counted(db, select).await
}

/// Resolves some open detections and answers all of them as they are now; those resolved before stay
/// as they were. `note` and `action` go into their details; without `by` it was the hub itself. Needs
/// a transaction.
pub async fn resolve_detections(
    db: &impl ConnectionTrait,
    ids: &[DetectionId],
    by: Option<&AccountId>,
    note: Option<&str>,
    action: Option<&str>,
) -> Result<Vec<detections::Model>, StorageError> {
    let rows = detections::Entity::find()
        .filter(Engine::of(db).one_of(column("detections", "id"), ids))
        .order_by_asc(detections::Column::Id)
        .lock_exclusive()
        .all(db)
        .await?;
    let mut resolved = Vec::with_capacity(rows.len());
    for row in rows {
        resolved.push(resolve(db, row, by, note, action).await?);
    }
    Ok(resolved)
}

/// Resolves whatever is open in a session, optionally of one kind only, because the anomaly or the
/// session's mapping ended by itself. Needs a transaction.
pub async fn resolve_detections_of_session(
    db: &impl ConnectionTrait,
    session: &SessionId,
    anomaly_type: Option<&str>,
) -> Result<Vec<detections::Model>, StorageError> {
    let mut select = detections::Entity::find()
        .filter(detections::Column::SessionId.eq(session.clone()))
        .filter(detections::Column::ResolvedAt.is_null());
    if let Some(kind) = anomaly_type {
        select = select.filter(detections::Column::AnomalyType.eq(kind));
    }
    let rows = select
        .order_by_asc(detections::Column::Id)
        .lock_exclusive()
        .all(db)
        .await?;
    let mut resolved = Vec::with_capacity(rows.len());
    for row in rows {
        resolved.push(resolve(db, row, None, None, None).await?);
    }
    Ok(resolved)
}

/// Deletes detections that were resolved before a moment, oldest first, and answers how many. Needs a
/// transaction.
pub async fn prune_detections(
    db: &impl ConnectionTrait,
    resolved_before: DateTimeUtc,
    limit: u64,
) -> Result<u64, StorageError> {
    let ids: Vec<DetectionId> = detections::Entity::find()
        .select_only()
        .column(detections::Column::Id)
        .filter(detections::Column::ResolvedAt.lt(resolved_before))
        .order_by_asc(detections::Column::ResolvedAt)
        .limit(limit)
        .into_tuple()
        .all(db)
        .await?;
    let deleted = detections::Entity::delete_many()
        .filter(Engine::of(db).one_of(column("detections", "id"), &ids))
        .exec(db)
        .await?;
    Ok(deleted.rows_affected)
}

async fn repeat(
    db: &impl ConnectionTrait,
    open: detections::Model,
    new: NewDetection,
    now: DateTimeUtc,
) -> Result<Raised, StorageError> {
    let mut details = new.details;
    details.count = Some(open.details.count.unwrap_or(1) + 1);
    details.first_seen_at = open.details.first_seen_at;
    details.last_seen_at = Some(time::format(now));
    let risen = new.severity > open.severity;
    let row = detections::ActiveModel {
        id: Set(open.id),
        severity: Set(new.severity.max(open.severity)),
        details: Set(details),
        updated_at: Set(time::after(open.updated_at)),
        ..Default::default()
    };
    Ok(Raised::Repeated {
        detection: row.update(db).await?,
        risen,
    })
}

async fn resolve(
    db: &impl ConnectionTrait,
    row: detections::Model,
    by: Option<&AccountId>,
    note: Option<&str>,
    action: Option<&str>,
) -> Result<detections::Model, StorageError> {
    if row.resolved_at.is_some() {
        return Ok(row);
    }
    let now = time::after(row.updated_at);
    let mut details = row.details;
    if by.is_none() {
        details.auto = Some(true);
    }
    if let Some(note) = note {
        details.note = Some(note.to_owned());
    }
    if let Some(action) = action {
        details.action = Some(action.to_owned());
    }
    let row = detections::ActiveModel {
        id: Set(row.id),
        details: Set(details),
        resolved_at: Set(Some(now)),
        resolved_by: Set(by.cloned()),
        updated_at: Set(now),
        ..Default::default()
    };
    Ok(row.update(db).await?)
}
