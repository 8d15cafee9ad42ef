//! The schema's history: frozen, numbered files, each applied once and as a whole.

use sea_orm::ActiveValue::Set;
use sea_orm::{
    ActiveModelTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryOrder,
    SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait,
};
use sha2::{Digest, Sha256};

use crate::database::Database;
use crate::engine::Engine;
use crate::entity::hub_migrations;
use crate::error::StorageError;
use crate::time;

/// What a run of the migrations did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MigrationReport {
    /// Names of the files it applied, in order.
    pub applied: Vec<String>,
}

/// Why the schema cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The database was made with another text of a file.
    #[error(
        "migration {version} ({name}) was applied with another text; this hub cannot use the database, the one that made it can"
    )]
    Changed {
        /// Number of the file.
        version: i32,
        /// Its name in the database.
        name: String,
    },
    /// The database was made by a newer hub.
    #[error("the database has schema {found}, this hub knows {known}; start a newer hub")]
    Newer {
        /// Schema of the database.
        found: i32,
        /// Newest schema this hub knows.
        known: i32,
    },
    /// A file could not be applied; nothing of it was kept.
    #[error("migration {version} ({name}) failed")]
    Failed {
        /// Number of the file.
        version: i32,
        /// Its name.
        name: &'static str,
        /// What failed.
        #[source]
        source: StorageError,
    },
    /// The database failed.
    #[error("the schema cannot be read")]
    Storage(#[from] StorageError),
}

/// A frozen file.
struct Migration {
    version: i32,
    name: &'static str,
    sql: &'static str,
}

const SQLITE: &[Migration] = &[Migration {
    version: 1,
    name: "0001_init",
    sql: include_str!("../migrations/sqlite/0001_init.sql"),
}];

const POSTGRES: &[Migration] = &[Migration {
    version: 1,
    name: "0001_init",
    sql: include_str!("../migrations/postgres/0001_init.sql"),
}];

/// Two hubs that start at once take turns by this number.
const LOCK: i64 = 0x616c_6b68_7562;

/// Applies the files that are missing, one transaction each.
pub(crate) async fn run(database: &Database) -> Result<MigrationReport, MigrateError> {
    let mut report = MigrationReport::default();
    loop {
        let transaction = begin(database).await?;
        transaction
            .execute_unprepared(history_table(database.engine()))
            .await
            .map_err(StorageError::from)?;
        let Some(next) = missing(database.engine(), &transaction)
            .await?
            .into_iter()
            .next()
        else {
            transaction.rollback().await.map_err(StorageError::from)?;
            return Ok(report);
        };
        apply(transaction, next)
            .await
            .map_err(|source| MigrateError::Failed {
                version: next.version,
                name: next.name,
                source,
            })?;
        report.applied.push(next.name.to_owned());
    }
}

/// What [`run`] would apply.
pub(crate) async fn pending(database: &Database) -> Result<Vec<String>, MigrateError> {
    let missing = if has_history(database).await? {
        missing(database.engine(), database.reader()).await?
    } else {
        files(database.engine()).iter().collect()
    };
    Ok(missing
        .into_iter()
        .map(|file| file.name.to_owned())
        .collect())
}

/// Number of the last applied file, 0 for none.
pub(crate) async fn version(database: &Database) -> Result<i32, StorageError> {
    if !has_history(database).await? {
        return Ok(0);
    }
    let last = hub_migrations::Entity::find()
        .order_by_desc(hub_migrations::Column::Version)
        .one(database.reader())
        .await?;
    Ok(last.map_or(0, |row| row.version))
}

/// SHA-256 over all files of an engine, in hex; names the state a fresh database is brought to.
#[cfg(feature = "testing")]
pub(crate) fn fingerprint(engine: Engine) -> String {
    let mut hash = Sha256::new();
    for file in files(engine) {
        hash.update(file.sql.as_bytes());
    }
    hex(&hash.finalize())
}

fn files(engine: Engine) -> &'static [Migration] {
    match engine {
        Engine::Sqlite => SQLITE,
        Engine::Postgres => POSTGRES,
    }
}

/// A transaction that no other migration shares.
async fn begin(database: &Database) -> Result<DatabaseTransaction, StorageError> {
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Exclusive),
        ..TransactionOptions::default()
    };
    let transaction = database.writer().begin_with_options(options).await?;
    if database.engine() == Engine::Postgres {
        // Waits for the other hub as long as it takes; a migration may be long as well.
        transaction
            .execute_unprepared(&format!(
                "set local statement_timeout = 0; select pg_advisory_xact_lock({LOCK})"
            ))
            .await?;
    }
    Ok(transaction)
}

async fn apply(transaction: DatabaseTransaction, file: &Migration) -> Result<(), StorageError> {
    transaction.execute_unprepared(file.sql).await?;
    hub_migrations::ActiveModel {
        version: Set(file.version),
        name: Set(file.name.to_owned()),
        sha256: Set(sha256(file.sql)),
        applied_at: Set(time::now()),
    }
    .insert(&transaction)
    .await?;
    transaction.commit().await?;
    Ok(())
}

/// The files that are not applied yet; refuses a history this hub does not know.
async fn missing(
    engine: Engine,
    db: &impl ConnectionTrait,
) -> Result<Vec<&'static Migration>, MigrateError> {
    let history = hub_migrations::Entity::find()
        .order_by_asc(hub_migrations::Column::Version)
        .all(db)
        .await
        .map_err(StorageError::from)?;
    let files = files(engine);
    let known = files.last().map_or(0, |file| file.version);
    for row in &history {
        match files.iter().find(|file| file.version == row.version) {
            None => {
                return Err(MigrateError::Newer {
                    found: row.version,
                    known,
                });
            }
            Some(file) if sha256(file.sql) != row.sha256 => {
                return Err(MigrateError::Changed {
                    version: row.version,
                    name: row.name.clone(),
                });
            }
            Some(_) => {}
        }
    }
    Ok(files
        .iter()
        .filter(|file| history.iter().all(|row| row.version != file.version))
        .collect())
}

async fn has_history(database: &Database) -> Result<bool, StorageError> {
    let sql = match database.engine() {
        Engine::Sqlite => {
            "select count(*) from sqlite_schema where type = 'table' and name = 'hub_migrations'"
        }
        Engine::Postgres => {
            "select count(*) from pg_tables \
             where schemaname = current_schema() and tablename = 'hub_migrations'"
        }
    };
    let reader = database.reader();
    let row = reader
        .query_one_raw(Statement::from_string(reader.get_database_backend(), sql))
        .await?;
    let count: i64 = match row {
        Some(row) => row.try_get_by_index(0)?,
        None => 0,
    };
    Ok(count > 0)
}

fn history_table(engine: Engine) -> &'static str {
    match engine {
        Engine::Sqlite => {
            "create table if not exists hub_migrations (
    version INTEGER not null primary key,
    name TEXT not null,
    sha256 TEXT not null,
    applied_at TEXT not null default (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now'))
)"
        }
        Engine::Postgres => {
            "create table if not exists hub_migrations (
    version integer not null primary key,
    name text not null,
    sha256 text not null,
    applied_at timestamptz not null default now()
)"
        }
    }
}

fn sha256(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
