//! What the driver says, told by kind and place.

use alkhub_storage::identity::{self, NewAccount};
use alkhub_storage::testing::{TestDatabase, full_disk};
use alkhub_storage::{ConnectError, Database, DatabaseOptions, StorageError, meta};
use sea_orm::ConnectionTrait;
use serde_json::json;

use crate::rows::{insert, world};
use crate::sql::{execute, run};
use crate::support::on_each_engine;
use crate::world::account;

async fn refusal(db: &Database, text: &str) -> StorageError {
    StorageError::from(execute(db, text).await.unwrap_err())
}

#[tokio::test]
async fn each_refusal_says_what_refused_and_where() {
    on_each_engine(async |db| {
        run(&db, &world()).await;
        let twin = insert("accounts", "other", &[("email", "accounts@example.com")]);
        assert!(refusal(&db, &twin).await.is_unique("unq_accounts_email"));
        let key = insert("accounts", "accounts", &[("email", "new@example.com")]);
        assert!(refusal(&db, &key).await.is_unique("accounts_pkey"));
        let two = "insert into call_graph_edges (id, source_id, target_id, edge_type) \
                   select 'other', source_id, target_id, edge_type from call_graph_edges";
        let index = "unq_call_graph_edges_source_target_type";
        assert!(refusal(&db, two).await.is_unique(index));
        let partial = "insert into operation_registrations \
                       (id, operation_id, provider_type, provider_id) \
                       select 'other', operation_id, provider_type, provider_id \
                       from operation_registrations";
        let index = "unq_operation_registrations_active";
        assert!(refusal(&db, partial).await.is_unique(index));
        let check = refusal(&db, "update tasks set status = 'done'").await;
        assert!(matches!(&check, StorageError::Check { name } if name == "chk_tasks_status"));
        let null = refusal(&db, "update tasks set name = null").await;
        assert!(matches!(&null, StorageError::Check { name } if name == "chk_tasks_name"));
        let fixed = refusal(
            &db,
            "update tasks set created_at = '2020-01-01 00:00:00+00:00'",
        )
        .await;
        assert!(
            matches!(&fixed, StorageError::Immutable { table, column }
                if table == "tasks" && column == "created_at"),
            "{fixed:?}"
        );
        let orphan = insert("workspaces", "other", &[("project_id", "none")]);
        let orphan = refusal(&db, &orphan).await;
        assert!(
            matches!(orphan, StorageError::ForeignKey { .. }),
            "{orphan:?}"
        );
        let held = refusal(&db, "delete from accounts where id = 'accounts'").await;
        assert!(matches!(held, StorageError::ForeignKey { .. }), "{held:?}");
        let rule = refusal(&db, "delete from operations where id = '__removed__'").await;
        assert!(
            matches!(&rule, StorageError::Rule { name } if name == "sentinel"),
            "{rule:?}"
        );
        let other = refusal(&db, "select no_such_column from accounts").await;
        assert!(matches!(other, StorageError::Other(_)), "{other:?}");
    })
    .await;
}

#[tokio::test]
async fn a_full_disk_is_told_and_leaves_what_was_there() {
    let db = TestDatabase::sqlite().await;
    account(&db, "ada").await;
    // The file may not grow any further.
    full_disk::begin(db.url());
    let text = "x".repeat(4 << 20);
    let full = meta::put(db.writer(), "big", &json!(text))
        .await
        .unwrap_err();
    assert!(matches!(full, StorageError::Full), "{full:?}");
    let found = identity::account_by_email(db.reader(), "ada@example.com")
        .await
        .unwrap();
    assert!(found.is_some());
    full_disk::end(db.url());
    meta::put(db.writer(), "big", &json!(text)).await.unwrap();
}

#[tokio::test]
async fn a_writer_that_waits_too_long_is_told_to_try_again() {
    on_each_engine(async |db| {
        let other = Database::connect(&DatabaseOptions::new(db.url()))
            .await
            .unwrap();
        account(&db, "ada").await;
        let text = "update accounts set display_name = 'x'";
        // Patience of the test, not of the hub.
        let impatient = match db.engine() {
            alkhub_storage::Engine::Sqlite => "pragma busy_timeout = 50",
            alkhub_storage::Engine::Postgres => "set lock_timeout = 50",
        };
        let holder = db.begin().await.unwrap();
        holder.execute_unprepared(text).await.unwrap();
        let waited = match db.engine() {
            alkhub_storage::Engine::Sqlite => {
                other.writer().execute_unprepared(impatient).await.unwrap();
                other.begin().await.map(|_| ())
            }
            alkhub_storage::Engine::Postgres => {
                let second = other.begin().await.unwrap();
                second.execute_unprepared(impatient).await.unwrap();
                second
                    .execute_unprepared(text)
                    .await
                    .map(|_| ())
                    .map_err(StorageError::from)
            }
        };
        holder.rollback().await.unwrap();
        let error = waited.unwrap_err();
        assert!(matches!(error, StorageError::Busy), "{error:?}");
        assert!(error.is_retryable());
        other.close().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_data_base_that_is_not_there_is_unavailable() {
    // A port nobody listens on: it was free a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let options = DatabaseOptions {
        max_connections: Some(1),
        ..DatabaseOptions::new(format!("postgres://nobody@127.0.0.1:{port}/none"))
    };
    let refused = Database::connect(&options).await.unwrap_err();
    assert!(
        matches!(refused, ConnectError::Storage(StorageError::Unavailable(_))),
        "{refused:?}"
    );
    let options = DatabaseOptions::new("sqlite:///no/such/directory/hub.db");
    let refused = Database::connect(&options).await.unwrap_err();
    assert!(
        matches!(refused, ConnectError::Storage(StorageError::Unavailable(_))),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_closed_data_base_is_unavailable() {
    on_each_engine(async |db| {
        let second = Database::connect(&DatabaseOptions::new(db.url()))
            .await
            .unwrap();
        second.ping().await.unwrap();
        let kept = second.clone();
        second.close().await.unwrap();
        let gone = kept.ping().await.unwrap_err();
        assert!(matches!(gone, StorageError::Unavailable(_)), "{gone:?}");
        let new = NewAccount {
            email: "a@b".to_owned(),
            ..NewAccount::default()
        };
        let gone = identity::create_account(kept.writer(), new)
            .await
            .unwrap_err();
        assert!(matches!(gone, StorageError::Unavailable(_)), "{gone:?}");
    })
    .await;
}
