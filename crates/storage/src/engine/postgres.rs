//! PostgreSQL: how a connection is set up, and what its refusals mean.

use std::str::FromStr;
use std::time::Duration;

use sea_orm::sqlx::postgres::{PgConnectOptions, PgDatabaseError, PgPoolOptions};
use sea_orm::sqlx::{self, ConnectOptions, Executor};
use sea_orm::{DatabaseConnection, SqlxPostgresConnector};

use super::{Meaning, always, raised};
use crate::error::StorageError;

/// How long a statement waits for a free connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// Opens a pool. Sessions run in UTC, so that answers do not depend on the server's own zone.
pub(crate) async fn connect(
    url: &str,
    max_connections: u32,
    statement_timeout: Duration,
) -> Result<DatabaseConnection, sqlx::Error> {
    let options = PgConnectOptions::from_str(url)?
        .application_name("alkhub")
        .disable_statement_logging();
    let setup = format!(
        "set timezone = 'UTC'; set statement_timeout = {}; set client_min_messages = warning",
        statement_timeout.as_millis()
    );
    let pool = PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .after_connect(move |connection, _| {
            let setup = setup.clone();
            Box::pin(async move {
                connection.execute(sqlx::AssertSqlSafe(setup)).await?;
                Ok(())
            })
        })
        .connect_with(options)
        .await?;
    Ok(SqlxPostgresConnector::from_sqlx_postgres_pool(pool))
}

/// What a refusal of the server means.
pub(super) fn meaning(refusal: &PgDatabaseError) -> Option<Meaning> {
    let text = |part: Option<&str>| part.map(str::to_owned);
    match refusal.code() {
        "23505" => always(StorageError::Unique { index: text(refusal.constraint())? }),
        // 23001 is what servers from version 18 on say for ON DELETE RESTRICT.
        "23503" | "23001" => always(StorageError::ForeignKey {
            constraint: text(refusal.constraint()),
            table: text(refusal.table()),
        }),
        "23514" => always(StorageError::Check { name: text(refusal.constraint())? }),
        "23502" => always(StorageError::Check {
            name: format!("chk_{}_{}", refusal.table()?, refusal.column()?),
        }),
        "P0001" => raised(refusal.message()).and_then(always),
        // Serialization, deadlock, lock not had in time, statement timeout.
        "40001" | "40P01" | "55P03" | "57014" => always(StorageError::Busy),
        "53100" => always(StorageError::Full),
        code if code.starts_with("08") || code.starts_with("53") || code.starts_with("57P") => {
            Some(Box::new(StorageError::Unavailable))
        }
        _ => None,
    }
}
