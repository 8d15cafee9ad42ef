//! API keys: only their hashes are here.

use std::time::Duration;

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Condition, Expr, ExprTrait};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::Serialize;

use crate::engine::Engine;
use crate::entity::accounts;
use crate::entity::api_keys::{ActiveModel, Column, Entity, Model};
use crate::error::StorageError;
use crate::ids::{AccountId, ApiKeyId};
use crate::json::{Metadata, ResourceMap, StringList};
use crate::page::{self, Page, PageRequest};
use crate::row::{self, set_if};
use crate::scope::column;
use crate::sql;
use crate::time::{self, DateTimeUtc};

/// Longest chain of rotations that is followed.
const LONGEST_CHAIN: u32 = 100;

/// The predicate of `idx_api_keys_active`; as text, because neither planner proves it for parameters.
const LIVE: &str = "\"api_keys\".\"revoked_at\" is null and \"api_keys\".\"enabled\" = true";

/// A key to be made.
#[derive(Debug, Clone)]
pub struct NewApiKey {
    /// Whose key it is.
    pub owner_id: AccountId,
    /// Label.
    pub name: Option<String>,
    /// Longer note.
    pub description: Option<String>,
    /// SHA-256 of the whole key, 64 lower-case hex digits.
    pub key_hash: String,
    /// First 12 characters.
    pub key_prefix: String,
    /// What it may do.
    pub scopes: StringList,
    /// What it is narrowed to.
    pub resources: ResourceMap,
    /// End of life.
    pub expires_at: Option<DateTimeUtc>,
    /// Notes.
    pub metadata: Metadata,
}

/// What to change of a key; `None` leaves a field as it is, `Some(None)` empties it.
#[derive(Debug, Clone, Default)]
pub struct KeyChanges {
    /// Label.
    pub name: Option<Option<String>>,
    /// Longer note.
    pub description: Option<Option<String>>,
    /// What it may do.
    pub scopes: Option<StringList>,
    /// What it is narrowed to.
    pub resources: Option<ResourceMap>,
    /// End of life.
    pub expires_at: Option<Option<DateTimeUtc>>,
    /// Notes, as a whole.
    pub metadata: Option<Metadata>,
    /// `updated_at` the row must still have.
    pub if_updated_at: Option<DateTimeUtc>,
}

/// Which keys of an account are wanted.
#[derive(Debug, Clone, Serialize)]
pub struct KeyFilter {
    /// Whose keys.
    pub owner: AccountId,
    /// Switched on, or off.
    pub enabled: Option<bool>,
    /// Revoked ones too.
    pub include_revoked: bool,
    /// Only those that expire before.
    pub expires_before: Option<DateTimeUtc>,
}

/// Makes a key. T, with its audit entry
///
/// Errors: `Unique` of `unq_api_keys_key_hash`, `ForeignKey`.
pub async fn create_api_key(
    db: &impl ConnectionTrait,
    new: NewApiKey,
) -> Result<Model, StorageError> {
    let now = time::now();
    let row = ActiveModel {
        id: Set(ApiKeyId::random()),
        owner_id: Set(new.owner_id),
        name: Set(new.name),
        description: Set(new.description),
        key_hash: Set(new.key_hash),
        key_prefix: Set(new.key_prefix),
        scopes: Set(new.scopes),
        resources: Set(new.resources),
        enabled: Set(true),
        expires_at: Set(new.expires_at.map(time::whole_milliseconds)),
        revoked_at: Set(None),
        rotated_to_id: Set(None),
        last_used_at: Set(None),
        metadata: Set(new.metadata),
        created_at: Set(now),
        updated_at: Set(now),
    };
    Ok(Entity::insert(row).exec_with_returning(db).await?)
}

/// The key with this hash and its account, whatever state they are in.
pub async fn api_key_by_hash(
    db: &impl ConnectionTrait,
    hash: &str,
) -> Result<Option<(Model, accounts::Model)>, StorageError> {
    let found = Entity::find()
        .filter(Column::KeyHash.eq(hash))
        .find_also_related(accounts::Entity)
        .one(db)
        .await?;
    Ok(found.and_then(|(key, account)| account.map(|account| (key, account))))
}

/// The key with this id.
pub async fn api_key_by_id(
    db: &impl ConnectionTrait,
    id: &ApiKeyId,
) -> Result<Option<Model>, StorageError> {
    Ok(Entity::find_by_id(id.clone()).one(db).await?)
}

/// Keys of an account.
pub async fn list_api_keys(
    db: &impl ConnectionTrait,
    filter: &KeyFilter,
    request: &PageRequest,
) -> Result<Page<Model>, StorageError> {
    let mut select = Entity::find().filter(Column::OwnerId.eq(filter.owner.clone()));
    if let Some(enabled) = filter.enabled {
        select = select.filter(Column::Enabled.eq(enabled));
    }
    if !filter.include_revoked {
        select = select.filter(Column::RevokedAt.is_null());
    }
    if let Some(moment) = filter.expires_before {
        select = select.filter(Column::ExpiresAt.lt(moment));
    }
    // The moment is not the caller's filter but counted from now; it must not spoil the cursor.
    let told_apart = (
        &filter.owner,
        filter.enabled,
        filter.include_revoked,
        filter.expires_before.is_some(),
    );
    page::by_creation(db, select, "api_keys", &told_apart, request, by_creation).await
}

/// Keys of an account: the live ones, or all.
pub async fn api_keys_of(
    db: &impl ConnectionTrait,
    owner: &AccountId,
    live_only: bool,
    request: &PageRequest,
) -> Result<Page<Model>, StorageError> {
    let mut select = Entity::find().filter(Column::OwnerId.eq(owner.clone()));
    if live_only {
        select = select.filter(Expr::cust(LIVE)).filter(unexpired());
    }
    let told_apart = ("of", owner, live_only);
    page::by_creation(db, select, "api_keys", &told_apart, request, by_creation).await
}

/// Keys that are switched off.
pub async fn api_keys_disabled(
    db: &impl ConnectionTrait,
    request: &PageRequest,
) -> Result<Page<Model>, StorageError> {
    let select = Entity::find().filter(Column::Enabled.eq(false));
    page::by_creation(db, select, "api_keys", &"disabled", request, by_creation).await
}

/// Live keys that expire before a moment, the next first.
pub async fn api_keys_expiring(
    db: &impl ConnectionTrait,
    before: DateTimeUtc,
) -> Result<Vec<Model>, StorageError> {
    Ok(Entity::find()
        .filter(Expr::cust(LIVE))
        .filter(Column::ExpiresAt.gt(time::now()))
        .filter(Column::ExpiresAt.lt(before))
        .order_by_asc(Column::ExpiresAt)
        .order_by_asc(Column::Id)
        .all(db)
        .await?)
}

/// How many live keys an account has at a moment.
pub async fn count_live_keys(
    db: &impl ConnectionTrait,
    owner: &AccountId,
    now: DateTimeUtc,
) -> Result<u64, StorageError> {
    let text = format!(
        "select count(*) from api_keys where owner_id = $1 and {LIVE}
         and (expires_at is null or expires_at > $2)"
    );
    sql::count(db, &text, [owner.as_str().into(), now.into()]).await
}

/// Changes a key.
///
/// Errors: `NotFound`, `Stale`.
pub async fn update_api_key(
    db: &impl ConnectionTrait,
    id: &ApiKeyId,
    changes: KeyChanges,
) -> Result<Model, StorageError> {
    let unchanged_since = changes.if_updated_at;
    let changes = ActiveModel {
        name: set_if(changes.name),
        description: set_if(changes.description),
        scopes: set_if(changes.scopes),
        resources: set_if(changes.resources),
        expires_at: set_if(
            changes
                .expires_at
                .map(|moment| moment.map(time::whole_milliseconds)),
        ),
        metadata: set_if(changes.metadata),
        ..ActiveModel::default()
    };
    row::update::<Entity, _>(db, id.clone(), changes, unchanged_since).await
}

/// Switches keys on or off that are not revoked; answers those it changed. T, with their audit entries
pub async fn set_key_enabled(
    db: &impl ConnectionTrait,
    ids: &[ApiKeyId],
    enabled: bool,
) -> Result<Vec<ApiKeyId>, StorageError> {
    let engine = Engine::of(db);
    let rows = Entity::update_many()
        .set(ActiveModel {
            enabled: Set(enabled),
            ..ActiveModel::default()
        })
        .col_expr(Column::UpdatedAt, engine.touched("api_keys", time::now()))
        .filter(engine.one_of(column("api_keys", "id"), ids))
        .filter(Column::RevokedAt.is_null())
        .filter(Column::Enabled.ne(enabled))
        .exec_with_returning(db)
        .await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// Revokes keys for good; answers those that were not revoked before. T, with their audit entries
pub async fn revoke_keys(
    db: &impl ConnectionTrait,
    ids: &[ApiKeyId],
) -> Result<Vec<ApiKeyId>, StorageError> {
    let mine = Engine::of(db).one_of(column("api_keys", "id"), ids);
    revoke(db, Condition::all().add(mine)).await
}

/// Revokes every key of an account.
pub(super) async fn revoke_all(
    db: &impl ConnectionTrait,
    owner: &AccountId,
) -> Result<Vec<ApiKeyId>, StorageError> {
    revoke(db, Condition::all().add(Column::OwnerId.eq(owner.clone()))).await
}

async fn revoke(
    db: &impl ConnectionTrait,
    which: Condition,
) -> Result<Vec<ApiKeyId>, StorageError> {
    let now = time::now();
    let rows = Entity::update_many()
        .set(ActiveModel {
            revoked_at: Set(Some(now)),
            ..ActiveModel::default()
        })
        .col_expr(Column::UpdatedAt, Engine::of(db).touched("api_keys", now))
        .filter(which)
        .filter(Column::RevokedAt.is_null())
        .exec_with_returning(db)
        .await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// Gives a key a successor with `hash` and `prefix`; the old one ends after `grace`, at once when it
/// is zero. Answers (new, old). T, with its audit entry
///
/// Errors: `NotFound`; `Rule` of `key_revoked`, `key_rotated`, `key_disabled`, `key_expired`.
pub async fn rotate_api_key(
    db: &impl ConnectionTrait,
    old: &ApiKeyId,
    hash: String,
    prefix: String,
    grace: Duration,
) -> Result<(Model, Model), StorageError> {
    let old = Entity::find_by_id(old.clone())
        .lock_exclusive()
        .one(db)
        .await?
        .ok_or(StorageError::NotFound)?;
    let now = time::now();
    let refusal = if old.revoked_at.is_some() {
        Some("key_revoked")
    } else if old.rotated_to_id.is_some() {
        Some("key_rotated")
    } else if !old.enabled {
        Some("key_disabled")
    } else if old.expires_at.is_some_and(|end| end <= now) {
        Some("key_expired")
    } else {
        None
    };
    if let Some(name) = refusal {
        return Err(StorageError::Rule {
            name: name.to_owned(),
        });
    }
    let successor = create_api_key(
        db,
        NewApiKey {
            owner_id: old.owner_id.clone(),
            name: old.name.clone(),
            description: old.description.clone(),
            key_hash: hash,
            key_prefix: prefix,
            scopes: old.scopes.clone(),
            resources: old.resources.clone(),
            expires_at: old.expires_at,
            metadata: old.metadata.clone(),
        },
    )
    .await?;
    let end = now
        + chrono::Duration::from_std(grace)
            .map_err(|_| StorageError::unexpected("a grace of centuries"))?;
    let changes = ActiveModel {
        rotated_to_id: Set(Some(successor.id.clone())),
        expires_at: Set(Some(
            old.expires_at
                .map_or(end, |old| std::cmp::Ord::min(old, end)),
        )),
        revoked_at: set_if(grace.is_zero().then_some(Some(now))),
        ..ActiveModel::default()
    };
    let old = row::update::<Entity, _>(db, old.id.clone(), changes, None).await?;
    Ok((successor, old))
}

/// The key and its successors, oldest first.
pub async fn key_chain(
    db: &impl ConnectionTrait,
    id: &ApiKeyId,
) -> Result<Vec<Model>, StorageError> {
    let text = format!(
        "with recursive chain(id, depth) as (
             select id, 0 from api_keys where id = $1
             union all
             select k.rotated_to_id, c.depth + 1 from chain c join api_keys k on k.id = c.id
             where k.rotated_to_id is not null and c.depth < {LONGEST_CHAIN}
         )
         select k.* from chain c join api_keys k on k.id = c.id order by c.depth"
    );
    sql::all(db, &text, [id.as_str().into()]).await
}

/// Writes when keys were last used, as one statement; answers how many rows changed.
///
/// `updated_at` moves with it: the trigger sees to that.
pub async fn touch_keys(
    db: &impl ConnectionTrait,
    used: &[(ApiKeyId, DateTimeUtc)],
) -> Result<u64, StorageError> {
    row::write_moments(db, "api_keys", "last_used_at", used).await
}

fn unexpired() -> Condition {
    Condition::any()
        .add(Column::ExpiresAt.is_null())
        .add(Expr::col((Entity, Column::ExpiresAt)).gt(time::now()))
}

fn by_creation(row: &Model) -> (DateTimeUtc, String) {
    (row.created_at, row.id.to_string())
}
