//! The connection to the database: one writer and many readers on SQLite, a pool on PostgreSQL.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sea_orm::{
    AccessMode, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, IsolationLevel,
    RuntimeErr, SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait, sqlx,
};

use crate::dedicated::Dedicated;
use crate::engine::{self, Engine};
use crate::error::StorageError;
use crate::migrate::{self, MigrateError, MigrationReport};

/// Oldest SQLite that serves the schema.
const OLDEST_SQLITE: (u32, u32) = (3, 45);
/// Oldest PostgreSQL that serves the schema.
const OLDEST_POSTGRES: u32 = 14;

/// Readers of SQLite unless told otherwise.
const SQLITE_READERS: u32 = 8;
/// Connections to PostgreSQL unless told otherwise.
const POSTGRES_CONNECTIONS: u32 = 16;

/// A pool smaller than this has no connection to give away for good.
const DEDICATED_FROM: u32 = 6;

/// Where the database is and how it is used.
#[derive(Debug, Clone)]
pub struct DatabaseOptions {
    /// `sqlite:///path/hub.db` or `postgres://user@host/name`.
    pub url: String,
    /// SQLite: readers, 8 by default, beside the one writer. PostgreSQL: all connections, 16 by
    /// default.
    pub max_connections: Option<u32>,
    /// SQLite: what a commit waits for.
    pub synchronous: SqliteSynchronous,
    /// PostgreSQL: longest run of a statement; zero = no limit.
    pub statement_timeout: Duration,
}

impl DatabaseOptions {
    /// The defaults for an address.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            max_connections: None,
            synchronous: SqliteSynchronous::Full,
            statement_timeout: Duration::from_secs(30),
        }
    }

    /// SQLite in a file, with the defaults.
    pub fn sqlite_file(path: &Path) -> Self {
        Self::new(format!("sqlite://{}", path.display()))
    }
}

/// What a commit on SQLite waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SqliteSynchronous {
    /// The disk: a commit survives a power cut.
    #[default]
    Full,
    /// The operating system: a commit survives a crash of the hub.
    Normal,
}

/// Why the database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address is neither `sqlite:` nor `postgres:`, or is malformed.
    #[error(
        "the address of the database is not understood; it starts with sqlite:// or postgres://"
    )]
    Address,
    /// SQLite must lie on a local disk.
    #[error(
        "{path} lies on a network file system ({kind}), where SQLite loses data; use a local disk or PostgreSQL"
    )]
    NetworkFileSystem {
        /// The file.
        path: PathBuf,
        /// Kind of file system.
        kind: &'static str,
    },
    /// The engine is too old.
    #[error("{engine} {found} is too old, {needed} or later is needed")]
    TooOld {
        /// The engine.
        engine: Engine,
        /// Its version.
        found: String,
        /// The oldest that does.
        needed: String,
    },
    /// The database did not answer as it should.
    #[error("the database cannot be opened")]
    Storage(#[from] StorageError),
}

/// A connected database. Cloning shares the connections.
#[derive(Debug, Clone)]
pub struct Database {
    engine: Engine,
    writer: DatabaseConnection,
    reader: DatabaseConnection,
}

impl Database {
    /// Opens the database; SQLite makes the file when it is missing. Migrates nothing.
    pub async fn connect(options: &DatabaseOptions) -> Result<Self, ConnectError> {
        let url = options.url.as_str();
        let database = if url.starts_with("sqlite:") {
            refuse_network_file_system(url)?;
            let readers = options.max_connections.unwrap_or(SQLITE_READERS).max(1);
            let (writer, reader) = engine::connect_sqlite(url, readers, options.synchronous)
                .await
                .map_err(connect_error)?;
            Self {
                engine: Engine::Sqlite,
                writer,
                reader,
            }
        } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            let connections = options
                .max_connections
                .unwrap_or(POSTGRES_CONNECTIONS)
                .max(1);
            let pool = engine::connect_postgres(url, connections, options.statement_timeout)
                .await
                .map_err(connect_error)?;
            Self {
                engine: Engine::Postgres,
                writer: pool.clone(),
                reader: pool,
            }
        } else {
            return Err(ConnectError::Address);
        };
        database.refuse_old_engine().await?;
        Ok(database)
    }

    /// Which engine it is.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// For queries; refuses writes on SQLite.
    pub fn reader(&self) -> &DatabaseConnection {
        &self.reader
    }

    /// For single statements that write.
    pub fn writer(&self) -> &DatabaseConnection {
        &self.writer
    }

    /// A connection of its own for a writer that is never idle for long. Drop it before [`Self::close`].
    /// None on SQLite, where all share the one that writes, and where the pool is too small.
    pub fn dedicated(&self) -> Option<Dedicated> {
        if self.engine != Engine::Postgres {
            return None;
        }
        let pool = self.writer.get_postgres_connection_pool();
        (pool.options().get_max_connections() >= DEDICATED_FROM)
            .then(|| Dedicated::new(pool.clone()))
    }

    /// Begins a transaction that may write. On SQLite there is one at a time.
    ///
    /// Errors: `Busy`, `Unavailable`.
    pub async fn begin(&self) -> Result<DatabaseTransaction, StorageError> {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        Ok(self.writer.begin_with_options(options).await?)
    }

    /// Begins a transaction that only reads and sees one state throughout.
    ///
    /// Errors: `Unavailable`.
    pub async fn begin_read(&self) -> Result<DatabaseTransaction, StorageError> {
        let options = match self.engine {
            Engine::Sqlite => TransactionOptions::default(),
            Engine::Postgres => TransactionOptions {
                isolation_level: Some(IsolationLevel::RepeatableRead),
                access_mode: Some(AccessMode::ReadOnly),
                ..TransactionOptions::default()
            },
        };
        Ok(self.reader.begin_with_options(options).await?)
    }

    /// Applies what is missing of the schema and says what that was.
    pub async fn migrate(&self) -> Result<MigrationReport, MigrateError> {
        migrate::run(self).await
    }

    /// Whether the schema is the one this hub was made for.
    pub async fn schema_is_current(&self) -> Result<bool, MigrateError> {
        Ok(self.pending_migrations().await?.is_empty())
    }

    /// Checks the schema without changing it; the answer is what [`Self::migrate`] would apply.
    pub async fn pending_migrations(&self) -> Result<Vec<String>, MigrateError> {
        migrate::pending(self).await
    }

    /// Number of the last applied migration, 0 for an empty database.
    pub async fn schema_version(&self) -> Result<i32, StorageError> {
        migrate::version(self).await
    }

    /// Gives back the memory in which SQLite keeps pages for later, after work that touched very many of
    /// them. PostgreSQL keeps them on its own side.
    ///
    /// Errors: those of any statement.
    pub async fn release_memory(&self) -> Result<(), StorageError> {
        if self.engine() == Engine::Sqlite {
            self.writer()
                .execute_unprepared("pragma shrink_memory")
                .await?;
        }
        Ok(())
    }

    /// SQLite: moves what the write-ahead log holds into the database file, as far as nobody reads the old
    /// pages, beside whoever writes. Pages that changed many times are moved once, and no commit has to do
    /// it. To be called every second or so; with nothing to move it costs next to nothing.
    ///
    /// Errors: those of any statement.
    pub async fn checkpoint(&self) -> Result<(), StorageError> {
        if self.engine() == Engine::Sqlite {
            self.reader()
                .execute_unprepared("pragma wal_checkpoint(passive)")
                .await?;
        }
        Ok(())
    }

    /// Asks for a sign of life.
    ///
    /// Errors: `Unavailable`.
    pub async fn ping(&self) -> Result<(), StorageError> {
        self.reader.ping().await?;
        Ok(())
    }

    /// Closes all connections, after what is under way.
    pub async fn close(self) -> Result<(), StorageError> {
        self.reader.close_by_ref().await?;
        self.writer.close_by_ref().await?;
        Ok(())
    }

    async fn refuse_old_engine(&self) -> Result<(), ConnectError> {
        let (sql, needed) = match self.engine {
            Engine::Sqlite => (
                "select sqlite_version()",
                format!("{}.{}", OLDEST_SQLITE.0, OLDEST_SQLITE.1),
            ),
            Engine::Postgres => ("show server_version", OLDEST_POSTGRES.to_string()),
        };
        let found: String = self
            .reader
            .query_one_raw(Statement::from_string(
                self.reader.get_database_backend(),
                sql,
            ))
            .await
            .map_err(StorageError::from)?
            .and_then(|row| row.try_get_by_index(0).ok())
            .ok_or_else(|| StorageError::unexpected("version of the engine"))?;
        if is_new_enough(self.engine, &found) {
            Ok(())
        } else {
            Err(ConnectError::TooOld {
                engine: self.engine,
                found,
                needed,
            })
        }
    }
}

fn is_new_enough(engine: Engine, version: &str) -> bool {
    let mut numbers = version
        .split(|character: char| !character.is_ascii_digit())
        .map_while(|number| number.parse::<u32>().ok());
    let major = numbers.next().unwrap_or(0);
    match engine {
        Engine::Sqlite => (major, numbers.next().unwrap_or(0)) >= OLDEST_SQLITE,
        Engine::Postgres => major >= OLDEST_POSTGRES,
    }
}

fn refuse_network_file_system(url: &str) -> Result<(), ConnectError> {
    let path = url.trim_start_matches("sqlite:").trim_start_matches("//");
    let path = Path::new(path.split('?').next().unwrap_or(path));
    match engine::network_file_system(path) {
        Some(kind) => Err(ConnectError::NetworkFileSystem {
            path: path.to_owned(),
            kind,
        }),
        None => Ok(()),
    }
}

fn connect_error(error: sqlx::Error) -> ConnectError {
    if matches!(error, sqlx::Error::Configuration(_)) {
        return ConnectError::Address;
    }
    StorageError::from(DbErr::Conn(RuntimeErr::SqlxError(error.into()))).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        assert!(is_new_enough(Engine::Sqlite, "3.45.0"));
        assert!(is_new_enough(Engine::Sqlite, "3.51.3"));
        assert!(!is_new_enough(Engine::Sqlite, "3.9.2"));
        assert!(is_new_enough(Engine::Postgres, "14.2 (Debian 14.2-1)"));
        assert!(is_new_enough(Engine::Postgres, "18beta1"));
        assert!(!is_new_enough(Engine::Postgres, "9.6.1"));
    }

    #[tokio::test]
    async fn an_address_of_another_kind_is_refused() {
        let options = DatabaseOptions::new("mysql://localhost/hub");
        assert!(matches!(
            Database::connect(&options).await,
            Err(ConnectError::Address)
        ));
    }
}
