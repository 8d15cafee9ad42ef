//! Short forms for statements written as text. Parameters are `$1`, `$2`, … on both engines.

use sea_orm::{ConnectionTrait, FromQueryResult, QueryResult, Statement, TryGetable, Value};

use crate::engine::Engine;
use crate::error::StorageError;

/// Every row of a query.
pub(crate) async fn all<M: FromQueryResult>(
    db: &impl ConnectionTrait,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<Vec<M>, StorageError> {
    let rows = db.query_all_raw(statement(db, sql, values)).await?;
    rows.iter()
        .map(|row| M::from_query_result(row, "").map_err(StorageError::from))
        .collect()
}

/// The first row of a query.
pub(crate) async fn one<M: FromQueryResult>(
    db: &impl ConnectionTrait,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<Option<M>, StorageError> {
    match db.query_one_raw(statement(db, sql, values)).await? {
        Some(row) => Ok(Some(M::from_query_result(&row, "")?)),
        None => Ok(None),
    }
}

/// Rows of a query, undecoded.
pub(crate) async fn rows(
    db: &impl ConnectionTrait,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<Vec<QueryResult>, StorageError> {
    Ok(db.query_all_raw(statement(db, sql, values)).await?)
}

/// The first column of the first row.
pub(crate) async fn scalar<T: TryGetable>(
    db: &impl ConnectionTrait,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<T, StorageError> {
    let row = db
        .query_one_raw(statement(db, sql, values))
        .await?
        .ok_or_else(|| StorageError::unexpected("a query without an answer"))?;
    Ok(row.try_get_by_index(0)?)
}

/// How many rows match; the query selects `count(*)`.
pub(crate) async fn count(
    db: &impl ConnectionTrait,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<u64, StorageError> {
    let number: i64 = scalar(db, sql, values).await?;
    u64::try_from(number).map_err(|_| StorageError::unexpected("a negative count"))
}

/// Runs a statement and says how many rows it touched.
pub(crate) async fn execute(
    db: &impl ConnectionTrait,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<u64, StorageError> {
    Ok(db
        .execute_raw(statement(db, sql, values))
        .await?
        .rows_affected())
}

/// The parameter that stands for value `number`, counted from 1, where all stand in order, each once.
///
/// For SQLite `$17` is a name, and names are looked up one after the other for every value that is bound:
/// in a statement of thousands that takes longer than the writing.
pub(crate) fn in_order(engine: Engine, number: usize) -> String {
    match engine {
        Engine::Sqlite => "?".to_owned(),
        Engine::Postgres => format!("${number}"),
    }
}

fn statement(
    db: &impl ConnectionTrait,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Statement {
    Statement::from_sql_and_values(db.get_database_backend(), sql, values)
}
