//! Encrypted credentials. Values come and go encrypted; only the crypto module of the hub reads them.

use std::collections::HashMap;

use sea_orm::sea_query::{ExprTrait, LockBehavior, LockType, OnConflict};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, Set,
};

use crate::engine::Engine;
use crate::entity::client_secrets;
use crate::error::StorageError;
use crate::ids::{ClientId, ClientSecretId};
use crate::json::{EncryptedValue, Metadata};
use crate::scope::column;
use crate::time::{self, DateTimeUtc};

/// What may be told of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretName {
    /// Its name within the client.
    pub key: String,
    /// Known end; none = unknown.
    pub expires_at: Option<DateTimeUtc>,
    /// Number of the data key it is encrypted with.
    pub key_version: i64,
    /// Last change.
    pub updated_at: DateTimeUtc,
}

/// A secret with a known end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpiringSecret {
    /// Whose.
    pub client_id: ClientId,
    /// Its name within the client.
    pub key: String,
    /// The end.
    pub expires_at: DateTimeUtc,
}

/// Stores a secret, or replaces the one of that name. Needs a transaction, for the audit entry.
pub async fn set_secret(
    db: &impl ConnectionTrait,
    client: &ClientId,
    key: &str,
    value: EncryptedValue,
    expires_at: Option<DateTimeUtc>,
) -> Result<client_secrets::Model, StorageError> {
    let now = time::now();
    let row = client_secrets::ActiveModel {
        id: Set(ClientSecretId::random()),
        client_id: Set(client.clone()),
        key: Set(key.to_owned()),
        value: Set(value),
        expires_at: Set(expires_at),
        metadata: Set(Metadata::new()),
        created_at: Set(now),
        updated_at: Set(now),
    };
    let replace = OnConflict::columns([
        client_secrets::Column::ClientId,
        client_secrets::Column::Key,
    ])
    .update_columns([
        client_secrets::Column::Value,
        client_secrets::Column::ExpiresAt,
        client_secrets::Column::UpdatedAt,
    ])
    .to_owned();
    Ok(client_secrets::Entity::insert(row)
        .on_conflict(replace)
        .exec_with_returning(db)
        .await?)
}

/// The encrypted value of a secret. Its only caller is the crypto module.
pub async fn secret(
    db: &impl ConnectionTrait,
    client: &ClientId,
    key: &str,
) -> Result<Option<client_secrets::Model>, StorageError> {
    Ok(client_secrets::Entity::find()
        .filter(client_secrets::Column::ClientId.eq(client.clone()))
        .filter(client_secrets::Column::Key.eq(key))
        .one(db)
        .await?)
}

/// Deletes a secret; answers whether there was one. Needs a transaction, for the audit entry.
pub async fn delete_secret(
    db: &impl ConnectionTrait,
    client: &ClientId,
    key: &str,
) -> Result<bool, StorageError> {
    let deleted = client_secrets::Entity::delete_many()
        .filter(client_secrets::Column::ClientId.eq(client.clone()))
        .filter(client_secrets::Column::Key.eq(key))
        .exec(db)
        .await?;
    Ok(deleted.rows_affected > 0)
}

/// The names of a client's secrets, by name.
pub async fn secret_names(
    db: &impl ConnectionTrait,
    client: &ClientId,
) -> Result<Vec<SecretName>, StorageError> {
    let mut names = load_secret_names(db, std::slice::from_ref(client)).await?;
    Ok(names.remove(client).unwrap_or_default())
}

/// The names of the secrets of several clients, each list by name.
pub async fn load_secret_names(
    db: &impl ConnectionTrait,
    clients: &[ClientId],
) -> Result<HashMap<ClientId, Vec<SecretName>>, StorageError> {
    let rows = client_secrets::Entity::find()
        .filter(Engine::of(db).one_of(column("client_secrets", "client_id"), clients))
        .order_by(
            Engine::of(db).bytewise("client_secrets", "key"),
            sea_orm::Order::Asc,
        )
        .all(db)
        .await?;
    let mut names: HashMap<ClientId, Vec<SecretName>> = HashMap::new();
    for row in rows {
        names.entry(row.client_id).or_default().push(SecretName {
            key: row.key,
            expires_at: row.expires_at,
            key_version: row.value.key_version,
            updated_at: row.updated_at,
        });
    }
    Ok(names)
}

/// Secrets that end before a moment, the first to end first.
pub async fn secrets_expiring(
    db: &impl ConnectionTrait,
    before: DateTimeUtc,
) -> Result<Vec<ExpiringSecret>, StorageError> {
    let rows: Vec<(ClientId, String, DateTimeUtc)> = client_secrets::Entity::find()
        .select_only()
        .columns([
            client_secrets::Column::ClientId,
            client_secrets::Column::Key,
            client_secrets::Column::ExpiresAt,
        ])
        .filter(client_secrets::Column::ExpiresAt.lt(before))
        .order_by_asc(client_secrets::Column::ExpiresAt)
        .into_tuple()
        .all(db)
        .await?;
    Ok(rows
        .into_iter()
        .map(|(client_id, key, expires_at)| ExpiringSecret {
            client_id,
            key,
            expires_at,
        })
        .collect())
}

/// Secrets encrypted with an older data key than `version`, locked; rows another process works on are
/// left out. Needs a transaction: decrypt, encrypt, [`replace_secret_value`], commit.
pub async fn secrets_with_old_key(
    db: &impl ConnectionTrait,
    version: i64,
    limit: u64,
) -> Result<Vec<client_secrets::Model>, StorageError> {
    Ok(client_secrets::Entity::find()
        .filter(
            Engine::of(db)
                .json_integer("client_secrets", "value", "keyVersion")
                .lt(version),
        )
        .order_by_asc(client_secrets::Column::Id)
        .limit(limit)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .all(db)
        .await?)
}

/// Puts a freshly encrypted value in the place of the old one. Needs a transaction. Errors:
/// `NotFound`.
pub async fn replace_secret_value(
    db: &impl ConnectionTrait,
    id: &ClientSecretId,
    value: EncryptedValue,
) -> Result<client_secrets::Model, StorageError> {
    let stored = client_secrets::Entity::find_by_id(id.clone())
        .one(db)
        .await?
        .ok_or(StorageError::NotFound)?;
    let row = client_secrets::ActiveModel {
        id: Set(id.clone()),
        value: Set(value),
        updated_at: Set(time::after(stored.updated_at)),
        ..Default::default()
    };
    Ok(row.update(db).await?)
}
