//! A connection of one's own for who writes all the time.
//!
//! The pool asks each connection that comes back whether it still answers: a way to the database and back
//! beside every statement. A writer that is never idle for long keeps its connection instead.
//!
//! The database also keeps the plan of a statement with the connection. A plan made while a table was small
//! would read all of it for every batch, until the next `ANALYZE`; so these connections use indexes from
//! the beginning.

use sea_orm::entity::prelude::async_trait::async_trait;
use sea_orm::sqlx::pool::PoolConnection;
use sea_orm::sqlx::query::Query;
use sea_orm::sqlx::{self, AssertSqlSafe, PgPool, Postgres};
use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr, Statement, Values,
};
use sea_query_sqlx::SqlxValues;
use tokio::sync::{Mutex, MutexGuard};

/// A connection to PostgreSQL that is taken from the pool when it is first needed and again after an error,
/// for statements that find their rows by an index. Each is a transaction by itself, or stands between
/// `begin` and `commit`; an error ends the connection, and with it the transaction.
#[derive(Debug)]
pub struct Dedicated {
    pool: PgPool,
    connection: Mutex<Option<PoolConnection<Postgres>>>,
}

/// The connection while a statement runs; kept afterwards only if that went well.
struct Taken<'a> {
    place: MutexGuard<'a, Option<PoolConnection<Postgres>>>,
    connection: PoolConnection<Postgres>,
}

impl Dedicated {
    pub(crate) fn new(pool: PgPool) -> Self {
        Self {
            pool,
            connection: Mutex::new(None),
        }
    }

    async fn take(&self) -> Result<Taken<'_>, DbErr> {
        let mut place = self.connection.lock().await;
        let connection = match place.take() {
            Some(connection) => connection,
            None => self
                .connect()
                .await
                .map_err(|error| DbErr::Conn(RuntimeErr::SqlxError(error.into())))?,
        };
        Ok(Taken { place, connection })
    }

    async fn connect(&self) -> Result<PoolConnection<Postgres>, sqlx::Error> {
        let mut connection = self.pool.acquire().await?;
        // It is set up for one kind of work, and may be inside of a transaction.
        connection.close_on_drop();
        let setting = AssertSqlSafe("set enable_seqscan = off");
        sqlx::Executor::execute(&mut *connection, setting).await?;
        Ok(connection)
    }
}

impl Taken<'_> {
    /// Keeps the connection after a success.
    fn settle<T>(self, outcome: Result<T, sqlx::Error>) -> Result<T, sqlx::Error> {
        let Self {
            mut place,
            connection,
        } = self;
        if outcome.is_ok() {
            *place = Some(connection);
        }
        outcome
    }
}

#[async_trait]
impl ConnectionTrait for Dedicated {
    fn get_database_backend(&self) -> DbBackend {
        DbBackend::Postgres
    }

    async fn execute_raw(&self, stmt: Statement) -> Result<ExecResult, DbErr> {
        let mut taken = self.take().await?;
        let outcome = query(&stmt).execute(&mut *taken.connection).await;
        taken.settle(outcome).map(Into::into).map_err(exec_error)
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let mut taken = self.take().await?;
        let outcome = sqlx::Executor::execute(&mut *taken.connection, AssertSqlSafe(sql)).await;
        taken.settle(outcome).map(Into::into).map_err(exec_error)
    }

    async fn query_one_raw(&self, stmt: Statement) -> Result<Option<QueryResult>, DbErr> {
        let mut taken = self.take().await?;
        let outcome = query(&stmt).fetch_optional(&mut *taken.connection).await;
        let row = taken.settle(outcome).map_err(query_error)?;
        Ok(row.map(Into::into))
    }

    async fn query_all_raw(&self, stmt: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let mut taken = self.take().await?;
        let outcome = query(&stmt).fetch_all(&mut *taken.connection).await;
        let rows = taken.settle(outcome).map_err(query_error)?;
        Ok(rows.into_iter().map(Into::into).collect())
    }
}

fn query(statement: &Statement) -> Query<'_, Postgres, SqlxValues> {
    let values = statement.values.clone().unwrap_or(Values(Vec::new()));
    sqlx::query_with(AssertSqlSafe(statement.sql.as_str()), SqlxValues(values))
}

fn exec_error(error: sqlx::Error) -> DbErr {
    DbErr::Exec(RuntimeErr::SqlxError(error.into()))
}

fn query_error(error: sqlx::Error) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(error.into()))
}
