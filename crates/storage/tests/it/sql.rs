//! Direct SQL for tests that look past the repositories: at the catalogue, at triggers, at rules of
//! the database itself.

use alkhub_storage::Database;
use sea_orm::{ConnectionTrait, DbErr, Statement};
use serde_json::Value;

/// Runs statements in a transaction of their own and commits it; on failure nothing stays.
pub(crate) async fn execute(db: &Database, sql: &str) -> Result<(), DbErr> {
    let transaction = db.begin().await.expect("a transaction begins");
    match transaction.execute_unprepared(sql).await {
        Ok(_) => transaction.commit().await,
        Err(error) => {
            transaction.rollback().await?;
            Err(error)
        }
    }
}

/// Like [`execute`], for statements that must succeed.
pub(crate) async fn run(db: &Database, sql: &str) {
    if let Err(error) = execute(db, sql).await {
        panic!("{sql}\nfailed: {error}");
    }
}

/// The message of the refusal; a statement that succeeds fails the test.
pub(crate) async fn refusal(db: &Database, sql: &str) -> String {
    match execute(db, sql).await {
        Ok(()) => panic!("{sql}\nwas accepted"),
        Err(error) => error.to_string(),
    }
}

/// The first column of every row, which must be text.
pub(crate) async fn texts(db: &Database, sql: &str) -> Vec<Option<String>> {
    let statement = Statement::from_string(db.reader().get_database_backend(), sql);
    db.reader()
        .query_all_raw(statement)
        .await
        .unwrap_or_else(|error| panic!("{sql}\nfailed: {error}"))
        .iter()
        .map(|row| row.try_get_by_index(0).expect("the first column is text"))
        .collect()
}

/// The one text a query answers; none when there is no row or it holds null.
pub(crate) async fn text(db: &Database, sql: &str) -> Option<String> {
    texts(db, sql).await.into_iter().next().flatten()
}

/// How many rows a table holds that match a condition.
pub(crate) async fn count(db: &Database, table: &str, condition: &str) -> u64 {
    let sql = format!("select cast(count(*) as text) from {table} where {condition}");
    text(db, &sql)
        .await
        .and_then(|number| number.parse().ok())
        .expect("a count is a number")
}

/// Rows that a query writes as one JSON text each.
pub(crate) async fn json_rows(db: &Database, sql: &str) -> Vec<Value> {
    texts(db, sql)
        .await
        .into_iter()
        .map(|row| serde_json::from_str(&row.expect("a row")).expect("the row is JSON"))
        .collect()
}
