//! The database of a stopped hub, opened beside it.

use std::path::Path;

use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr, Statement,
};

use super::BenchError;

/// One connection, as durable as the hub's writing one.
pub(super) struct Sqlite {
    connection: DatabaseConnection,
}

impl Sqlite {
    /// Opens an existing database.
    pub(super) async fn open(path: &Path) -> Result<Self, BenchError> {
        let mut options = ConnectOptions::new(format!("sqlite:{}?mode=rw", path.display()));
        options
            .max_connections(1)
            .min_connections(1)
            .sqlx_logging(false);
        let connection = Database::connect(options).await.map_err(failed)?;
        let database = Self { connection };
        database.run("pragma synchronous = full").await?;
        Ok(database)
    }

    /// Runs a statement.
    pub(super) async fn run(&self, sql: &str) -> Result<(), BenchError> {
        self.connection
            .execute_unprepared(sql)
            .await
            .map_err(failed)?;
        Ok(())
    }

    /// The first column of all rows, which must be text.
    pub(super) async fn texts(&self, sql: &str) -> Result<Vec<String>, BenchError> {
        let rows = self
            .connection
            .query_all_raw(Statement::from_string(DbBackend::Sqlite, sql))
            .await
            .map_err(failed)?;
        rows.iter()
            .map(|row| row.try_get_by_index(0).map_err(failed))
            .collect()
    }

    /// The names of a table's columns, in their order.
    pub(super) async fn columns(&self, table: &str) -> Result<Vec<String>, BenchError> {
        self.texts(&format!(
            "select name from pragma_table_info('{table}') order by cid"
        ))
        .await
    }
}

fn failed(error: DbErr) -> BenchError {
    BenchError::Contestant {
        who: "SQLite".to_owned(),
        what: format!("failed: {error}"),
    }
}
