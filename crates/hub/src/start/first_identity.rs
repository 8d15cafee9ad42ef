//! The first account and its key, made once; and the way back in when every key is lost.

use std::path::Path;

use alkhub_storage::enums::{AccessLevel, AccountStatus};
use alkhub_storage::identity::{self, NewAccount, NewApiKey};
use alkhub_storage::ids::AccountId;
use alkhub_storage::json::{Metadata, ResourceMap, StringList};
use alkhub_storage::{ConnectError, ConnectionTrait, Database, DbErr, StorageError, meta};
use secrecy::SecretString;

use super::{DataDirError, data_dir};
use crate::audit::{self, Action, Actor, Entry};
use crate::auth::Origin;
use crate::config::LiveConfig;
use crate::keys::{self, Kind, NoRandomness};

/// The administrator that the first start makes.
const ADMIN_EMAIL: &str = "admin@localhost";

/// The hub's own account: it owns what has no other owner.
const HUB_EMAIL: &str = "hub@localhost";

/// Why a first or recovered key could not be made.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The data directory.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The database.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Its connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// Its transaction.
    #[error(transparent)]
    Commit(#[from] DbErr),
    /// The random generator.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
    /// There is nobody to make a key for.
    #[error(
        "there is no active administrator in this database; start the hub once to make the first"
    )]
    NoAdmin,
}

pub(super) struct Identity {
    pub(super) hub_account: AccountId,
    pub(super) first_key: Option<SecretString>,
}

/// Makes the first administrator, the hub's own account and the first key when there is no account.
pub(super) async fn ensure(database: &Database, data_dir: &Path) -> Result<Identity, RecoverError> {
    let transaction = database.begin().await?;
    // Two processes that start at once on one database meet here: the second waits for the first.
    meta::lock(&transaction, "first-identity").await?;
    if let Some(hub) = identity::account_by_email(&transaction, HUB_EMAIL).await? {
        transaction.commit().await?;
        data_dir::repair_local_key_mode(data_dir)?;
        return Ok(Identity {
            hub_account: hub.id,
            first_key: None,
        });
    }
    let hub = account(&transaction, HUB_EMAIL, "alkhub", AccessLevel::Service).await?;
    let admin = account(
        &transaction,
        ADMIN_EMAIL,
        "Administrator",
        AccessLevel::Admin,
    )
    .await?;
    let key = add_key(&transaction, &admin, "first key", Action::HubInitialized).await?;
    data_dir::write_local_key(data_dir, &key)?;
    transaction.commit().await?;
    Ok(Identity {
        hub_account: hub,
        first_key: Some(key),
    })
}

/// Makes a new key for the first active administrator, with the hub stopped, and writes it where the
/// local command line finds it.
///
/// # Errors
/// [`RecoverError`]; a running hub holds the data directory.
pub async fn recover_key(live: &LiveConfig) -> Result<SecretString, RecoverError> {
    let config = live.current();
    let _lock = data_dir::take(&config.data_dir)?;
    let database = Database::connect(&super::database_options(&config)).await?;
    let transaction = database.begin().await?;
    let admin = identity::first_active_admin(&transaction)
        .await?
        .ok_or(RecoverError::NoAdmin)?;
    let key = add_key(
        &transaction,
        &admin.id,
        "recovered key",
        Action::KeyRecovered,
    )
    .await?;
    data_dir::write_local_key(&config.data_dir, &key)?;
    transaction.commit().await?;
    database.close().await?;
    Ok(key)
}

async fn account(
    transaction: &impl ConnectionTrait,
    email: &str,
    name: &str,
    access_level: AccessLevel,
) -> Result<AccountId, StorageError> {
    let new = NewAccount {
        email: email.to_owned(),
        display_name: Some(name.to_owned()),
        access_level,
        status: AccountStatus::Active,
        ..NewAccount::default()
    };
    identity::create_account(transaction, new)
        .await
        .map(|account| account.id)
}

async fn add_key(
    transaction: &impl ConnectionTrait,
    owner: &AccountId,
    name: &str,
    action: Action,
) -> Result<SecretString, RecoverError> {
    let key = keys::generate(Kind::Account)?;
    let new = NewApiKey {
        owner_id: owner.clone(),
        name: Some(name.to_owned()),
        description: None,
        key_hash: keys::hash(&key),
        key_prefix: keys::shown_prefix(&key),
        scopes: StringList::from(vec!["*".to_owned()]),
        resources: ResourceMap::default(),
        expires_at: None,
        metadata: Metadata::new(),
    };
    let stored = identity::create_api_key(transaction, new).await?;
    let actor = Actor {
        account: owner.clone(),
        key: Some(stored.id.clone()),
        key_prefix: Some(stored.key_prefix.clone()),
        operation: None,
        request_id: None,
        origin: Origin::internal(),
    };
    audit::write(
        transaction,
        &actor,
        action,
        Entry::about("key", &stored.id, name),
    )
    .await?;
    Ok(key)
}
