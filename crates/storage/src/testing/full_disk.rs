//! A disk that is full for one SQLite database, also for one that somebody else has opened.
//!
//! The limit is SQLite's own, on pages, and belongs to a connection: the one that writes asks here before
//! each use. What then fails is what fails on a full disk, at the statement that needs a page.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sea_orm::sqlx::sqlite::{Sqlite, SqlitePoolOptions};
use sea_orm::sqlx::{self, Executor, pool::PoolOptions};

/// Addresses of the databases that may not grow.
static FULL: Mutex<Option<HashSet<String>>> = Mutex::new(None);

/// The database at this address takes no page more, until [`end`].
pub fn begin(url: &str) {
    full().get_or_insert_default().insert(url.to_owned());
}

/// There is room again.
pub fn end(url: &str) {
    if let Some(full) = full().as_mut() {
        full.remove(url);
    }
}

/// The pool with a writing connection that obeys.
pub(crate) fn watched(pool: SqlitePoolOptions, url: &str) -> PoolOptions<Sqlite> {
    let url = url.to_owned();
    pool.before_acquire(move |connection, _| {
        let is_full = full().as_ref().is_some_and(|full| full.contains(&url));
        // The least number means the present size.
        let pages = if is_full { 1 } else { u32::MAX - 1 };
        Box::pin(async move {
            let limit = format!("pragma max_page_count = {pages}");
            connection.execute(sqlx::AssertSqlSafe(limit)).await?;
            Ok(true)
        })
    })
}

fn full() -> MutexGuard<'static, Option<HashSet<String>>> {
    FULL.lock().unwrap_or_else(PoisonError::into_inner)
}
