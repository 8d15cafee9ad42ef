//! The hub's database, read behind its back.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr, Statement,
};

/// Ids in one statement.
const CHUNK: usize = 500;

/// One reading connection.
#[derive(Debug)]
pub(super) struct Store {
    connection: DatabaseConnection,
    backend: DbBackend,
}

impl Store {
    /// Opens the database at this address, `sqlite://…` or `postgres://…`.
    pub(super) async fn open(url: &str) -> Result<Self, DbErr> {
        let mut options = ConnectOptions::new(url);
        options
            .max_connections(1)
            .min_connections(1)
            .sqlx_logging(false);
        let connection = Database::connect(options).await?;
        let backend = connection.get_database_backend();
        Ok(Self {
            connection,
            backend,
        })
    }

    /// Makes an empty database of that name, on a server of PostgreSQL.
    pub(super) async fn create(&self, name: &str) -> Result<(), DbErr> {
        self.connection
            .execute_unprepared(&format!("create database {name}"))
            .await
            .map(drop)
    }

    /// Open calls from before that moment (`2026-11-24T08:10:53.120+00:00`): those that ran in the hub
    /// itself, or those that ran on a spoke.
    pub(super) async fn open_calls(
        &self,
        before: &str,
        on_spoke: bool,
    ) -> Result<Vec<String>, DbErr> {
        let place = if on_spoke { "is not null" } else { "is null" };
        let sql = format!(
            "select request_id, status from call_graph_nodes where status in ('pending', 'running')
             and created_at < '{before}' and metadata ->> 'spokeId' {place}"
        );
        Ok(self.pairs(&sql).await?.into_keys().collect())
    }

    /// The states of these calls, by request id; absent ones are not there.
    pub(super) async fn states(&self, ids: &[&str]) -> Result<BTreeMap<String, String>, DbErr> {
        let mut states = BTreeMap::new();
        for ids in ids.chunks(CHUNK) {
            let sql = format!(
                "select request_id, status from call_graph_nodes where request_id in ({})",
                quoted(ids)
            );
            states.extend(self.pairs(&sql).await?);
        }
        Ok(states)
    }

    /// Which of these rows a table has.
    pub(super) async fn present(
        &self,
        table: &str,
        ids: &[&str],
    ) -> Result<BTreeSet<String>, DbErr> {
        let mut present = BTreeSet::new();
        for ids in ids.chunks(CHUNK) {
            let sql = format!(
                "select id, id as same from {table} where id in ({})",
                quoted(ids)
            );
            present.extend(self.pairs(&sql).await?.into_keys());
        }
        Ok(present)
    }

    /// How many calls there are of each state.
    pub(super) async fn totals(&self) -> Result<BTreeMap<String, String>, DbErr> {
        self.pairs(
            "select status, cast(count(*) as text) from call_graph_nodes group by status order by status",
        )
        .await
    }

    async fn pairs(&self, sql: &str) -> Result<BTreeMap<String, String>, DbErr> {
        let rows = self
            .connection
            .query_all_raw(Statement::from_string(self.backend, sql))
            .await?;
        rows.iter()
            .map(|row| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?)))
            .collect()
    }
}

/// Ids are made of letters, digits and hyphens by the hub; a quote would end the statement, not pass.
fn quoted(ids: &[&str]) -> String {
    ids.iter()
        .map(|id| format!("'{}'", id.replace('\'', "''")))
        .collect::<Vec<_>>()
        .join(",")
}
