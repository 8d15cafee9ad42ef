//! The hub's own facts (`hub_meta`), usage, budgets and blobs.

mod blobs;
mod usage;

use std::time::Duration;

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};
use serde_json::{Value, json};

use crate::engine::Engine;
use crate::entity::hub_meta::{ActiveModel, Column, Entity};
use crate::error::StorageError;
use crate::{sql, time};

pub use blobs::{delete_blobs, read_blob, unreferenced_blobs, write_blob};
pub use usage::{
    Budget, NewBudget, Usage, UsageDimension, UsageEntry, UsageFilter, add_usage, delete_budget,
    list_budgets, list_usage, set_budget, sum_usage,
};

/// The fact under a key.
pub async fn get(db: &impl ConnectionTrait, key: &str) -> Result<Option<Value>, StorageError> {
    Ok(Entity::find_by_id(key).one(db).await?.map(|row| row.value))
}

/// Writes a fact, whatever it was.
pub async fn put(db: &impl ConnectionTrait, key: &str, value: &Value) -> Result<(), StorageError> {
    Entity::insert(row(key, value))
        .on_conflict(
            OnConflict::column(Column::Key)
                .update_columns([Column::Value, Column::UpdatedAt])
                .to_owned(),
        )
        .exec_without_returning(db)
        .await?;
    Ok(())
}

/// Writes a fact if it is still `expected` (none = not there); the answer says whether it was.
pub async fn put_if(
    db: &impl ConnectionTrait,
    key: &str,
    expected: Option<&Value>,
    value: &Value,
) -> Result<bool, StorageError> {
    let Some(expected) = expected else {
        let inserted = Entity::insert(row(key, value))
            .on_conflict_do_nothing_on([Column::Key])
            .exec_without_returning(db)
            .await?;
        return Ok(matches!(inserted, sea_orm::TryInsertResult::Inserted(1)));
    };
    let Some(found) = Entity::find_by_id(key).one(db).await? else {
        return Ok(false);
    };
    if found.value != *expected {
        return Ok(false);
    }
    // The moment stands for the value: every write leaves a later one.
    let mut changed = row(key, value);
    changed.key = sea_orm::ActiveValue::NotSet;
    changed.updated_at = Set(time::after(found.updated_at));
    let result = Entity::update_many()
        .set(changed)
        .filter(Column::Key.eq(key))
        .filter(Column::UpdatedAt.eq(found.updated_at))
        .exec(db)
        .await?;
    Ok(result.rows_affected == 1)
}

/// Removes a fact; the answer says whether it was there.
pub async fn delete(db: &impl ConnectionTrait, key: &str) -> Result<bool, StorageError> {
    Ok(Entity::delete_by_id(key).exec(db).await?.rows_affected == 1)
}

/// Facts whose keys start with a prefix, by key.
pub async fn list_prefix(
    db: &impl ConnectionTrait,
    prefix: &str,
) -> Result<Vec<(String, Value)>, StorageError> {
    let engine = Engine::of(db);
    let key = engine.bytewise("hub_meta", "key");
    let mut select = Entity::find().order_by_asc(key.clone());
    if !prefix.is_empty() {
        select = select.filter(engine.in_prefix(key, prefix));
    }
    Ok(select
        .all(db)
        .await?
        .into_iter()
        .map(|row| (row.key, row.value))
        .collect())
}

/// Takes or renews the lease of a job (`job:<name>`); the answer says whether `holder` has it now.
///
/// What else the job keeps under its key stays.
pub async fn take_lease(
    db: &impl ConnectionTrait,
    job: &str,
    holder: &str,
    lasts: Duration,
) -> Result<bool, StorageError> {
    let now = time::now();
    let until = now
        + chrono::Duration::from_std(lasts)
            .map_err(|_| StorageError::unexpected("a lease of centuries"))?;
    let engine = Engine::of(db);
    let (merged, held) = match engine {
        Engine::Sqlite => (
            "json_patch(hub_meta.\"value\", excluded.\"value\")",
            "json_extract(hub_meta.\"value\", '$.until') > $5 \
             and json_extract(hub_meta.\"value\", '$.holder') <> $4",
        ),
        Engine::Postgres => (
            "hub_meta.\"value\" || excluded.\"value\"",
            "hub_meta.\"value\" ->> 'until' > $5 and hub_meta.\"value\" ->> 'holder' <> $4",
        ),
    };
    let value = json!({ "holder": holder, "until": time::format(until) });
    let written = sql::execute(
        db,
        &format!(
            "insert into hub_meta (\"key\", \"value\", updated_at) values ($1, $2, $3)
             on conflict (\"key\") do update
             set \"value\" = {merged}, updated_at = excluded.updated_at
             where not coalesce({held}, false)"
        ),
        [
            format!("job:{job}").into(),
            value.into(),
            now.into(),
            holder.into(),
            // RFC 3339 of one form sorts like the moments it names.
            time::format(now).into(),
        ],
    )
    .await?;
    Ok(written == 1)
}

/// Waits until no other transaction holds the lock `name`, and holds it to the end of this one. T
///
/// SQLite has one writer, so its write transaction is the lock.
pub async fn lock(db: &impl ConnectionTrait, name: &str) -> Result<(), StorageError> {
    if Engine::of(db) == Engine::Postgres {
        sql::rows(
            db,
            "select pg_advisory_xact_lock(hashtextextended($1, 0))",
            [name.into()],
        )
        .await?;
    }
    Ok(())
}

fn row(key: &str, value: &Value) -> ActiveModel {
    ActiveModel {
        key: Set(key.to_owned()),
        value: Set(value.clone()),
        updated_at: Set(time::now()),
    }
}
