//! The migration runner: once, as a whole, and only with the text it knows.

use alkhub_storage::testing::TestDatabase;
use alkhub_storage::{Database, DatabaseOptions, Engine, MigrateError};

use crate::sql::{run, text};
use crate::support::on_each_engine;

#[tokio::test]
async fn a_fresh_data_base_is_brought_to_the_newest_schema_once() {
    let directory = tempfile::tempdir().unwrap();
    let options = DatabaseOptions::sqlite_file(&directory.path().join("new.db"));
    let db = Database::connect(&options).await.unwrap();
    assert_eq!(db.schema_version().await.unwrap(), 0);
    let pending = db.pending_migrations().await.unwrap();
    let applied = db.migrate().await.unwrap();
    assert_eq!(applied.applied, pending);
    assert_eq!(applied.applied[0], "0001_init");
    assert!(db.migrate().await.unwrap().applied.is_empty());
    assert!(db.schema_is_current().await.unwrap());
    assert_eq!(
        db.schema_version().await.unwrap() as usize,
        applied.applied.len()
    );
}

#[tokio::test]
async fn a_changed_file_is_refused() {
    on_each_engine(async |db| {
        run(
            &db,
            "update hub_migrations set sha256 = 'other' where version = 1",
        )
        .await;
        let refusal = db.migrate().await.unwrap_err();
        assert!(
            matches!(refusal, MigrateError::Changed { version: 1, .. }),
            "{refusal}"
        );
        assert!(db.pending_migrations().await.is_err());
    })
    .await;
}

#[tokio::test]
async fn a_schema_of_a_newer_hub_is_refused() {
    on_each_engine(async |db| {
        run(
            &db,
            "insert into hub_migrations (version, name, sha256) values (9999, 'later', 'x')",
        )
        .await;
        let refusal = db.migrate().await.unwrap_err();
        assert!(
            matches!(refusal, MigrateError::Newer { found: 9999, .. }),
            "{refusal}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_file_that_fails_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let db = Database::connect(&DatabaseOptions::sqlite_file(
        &directory.path().join("half.db"),
    ))
    .await
    .unwrap();
    // A table of the last statements stands in the way, so the file fails after most of its work.
    run(&db, "create table audit_logs (id text)").await;
    let refusal = db.migrate().await.unwrap_err();
    assert!(
        matches!(refusal, MigrateError::Failed { version: 1, .. }),
        "{refusal}"
    );
    let tables = text(
        &db,
        "select cast(count(*) as text) from sqlite_schema where name = 'accounts'",
    )
    .await;
    assert_eq!(tables.as_deref(), Some("0"));
}

#[tokio::test]
async fn two_hubs_that_start_at_once_migrate_once() {
    let directory = tempfile::tempdir().unwrap();
    let options = DatabaseOptions::sqlite_file(&directory.path().join("both.db"));
    let first = Database::connect(&options).await.unwrap();
    let second = Database::connect(&options).await.unwrap();
    let (one, other) = tokio::join!(first.migrate(), second.migrate());
    assert_eq!(one.unwrap().applied.len() + other.unwrap().applied.len(), 1);
}

#[tokio::test]
async fn the_connections_are_set_up_as_promised() {
    let db = TestDatabase::sqlite().await;
    assert_eq!(db.engine(), Engine::Sqlite);
    for (pragma, value) in [
        ("foreign_keys", "1"),
        ("journal_mode", "wal"),
        ("busy_timeout", "5000"),
        ("recursive_triggers", "0"),
        ("auto_vacuum", "2"),
    ] {
        let sql = format!("select cast({pragma} as text) from pragma_{pragma}");
        let column = if pragma == "busy_timeout" {
            sql.replace("cast(busy_timeout", "cast(timeout")
        } else {
            sql
        };
        assert_eq!(text(&db, &column).await.as_deref(), Some(value), "{pragma}");
    }
    let refusal = sea_orm::ConnectionTrait::execute_unprepared(
        db.reader(),
        "insert into hub_meta (\"key\", \"value\") values ('a', '1')",
    )
    .await;
    assert!(refusal.is_err(), "readers must not write");
}
