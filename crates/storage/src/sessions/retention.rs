//! Sessions nobody works in any more.

use sea_orm::sea_query::{Expr, ExprTrait, Query, SelectStatement, SimpleExpr};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::engine::Engine;
use crate::entity::{parts, sessions};
use crate::enums::SessionStatus;
use crate::error::StorageError;
use crate::ids::SessionId;
use crate::scope::column;
use crate::time::{self, DateTimeUtc};

/// Sessions that are busy or wait for a retry although nothing was written in them since a moment, the
/// longest silent first.
pub async fn stale_busy_sessions(
    db: &impl ConnectionTrait,
    silent_since: DateTimeUtc,
) -> Result<Vec<sessions::Model>, StorageError> {
    Ok(sessions::Entity::find()
        // Open is implied, but named: it is what the index is on.
        .filter(Expr::cust(super::OPEN))
        .filter(Expr::cust("sessions.status in ('busy', 'retry')"))
        .filter(sessions::Column::UpdatedAt.lt(silent_since))
        .filter(Expr::exists(written_since(silent_since)).not())
        .order_by_asc(sessions::Column::UpdatedAt)
        .all(db)
        .await?)
}

/// Archives idle sessions that did not change since a moment and have no active mapping, and answers
/// which. Needs a transaction.
pub async fn archive_idle_sessions(
    db: &impl ConnectionTrait,
    older_than: DateTimeUtc,
    limit: u64,
) -> Result<Vec<SessionId>, StorageError> {
    let ids: Vec<SessionId> = sessions::Entity::find()
        .select_only()
        .column(sessions::Column::Id)
        .filter(sessions::Column::Status.eq(SessionStatus::Idle))
        .filter(sessions::Column::UpdatedAt.lt(older_than))
        .filter(unmapped())
        .order_by_asc(sessions::Column::UpdatedAt)
        .order_by_asc(sessions::Column::Id)
        .limit(limit)
        .lock_exclusive()
        .into_tuple()
        .all(db)
        .await?;
    let now = time::now();
    sessions::Entity::update_many()
        .col_expr(
            sessions::Column::Status,
            Expr::value(SessionStatus::Archived),
        )
        .col_expr(sessions::Column::ArchivedAt, Expr::value(now))
        .col_expr(sessions::Column::UpdatedAt, Expr::value(now))
        .filter(Engine::of(db).one_of(column("sessions", "id"), &ids))
        .filter(sessions::Column::Status.eq(SessionStatus::Idle))
        .exec(db)
        .await?;
    Ok(ids)
}

/// Deletes sessions that were archived before a moment and have no active mapping, oldest first, and
/// answers which. Needs a transaction.
pub async fn prune_sessions(
    db: &impl ConnectionTrait,
    archived_before: DateTimeUtc,
    limit: u64,
) -> Result<Vec<SessionId>, StorageError> {
    let ids: Vec<SessionId> = sessions::Entity::find()
        .select_only()
        .column(sessions::Column::Id)
        .filter(sessions::Column::Status.eq(SessionStatus::Archived))
        .filter(sessions::Column::ArchivedAt.lt(archived_before))
        .filter(unmapped())
        .order_by_asc(sessions::Column::ArchivedAt)
        .order_by_asc(sessions::Column::Id)
        .limit(limit)
        .lock_exclusive()
        .into_tuple()
        .all(db)
        .await?;
    sessions::Entity::delete_many()
        .filter(Engine::of(db).one_of(column("sessions", "id"), &ids))
        .exec(db)
        .await?;
    Ok(ids)
}

/// Parts of the session that were written at a moment or later.
fn written_since(moment: DateTimeUtc) -> SelectStatement {
    Query::select()
        .expr(Expr::val(1))
        .from(parts::Entity)
        .and_where(Expr::cust("parts.session_id = sessions.id"))
        .and_where(ColumnTrait::gte(&parts::Column::UpdatedAt, moment))
        .to_owned()
}

/// No active mapping refers to the session.
fn unmapped() -> SimpleExpr {
    Expr::cust(
        "exists (
            select 1 from mappings
            where mappings.session_id = sessions.id and mappings.status = 'active'
        )",
    )
    .not()
}
