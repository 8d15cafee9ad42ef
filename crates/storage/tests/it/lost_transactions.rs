//! A transaction that SQLite ended by itself, as it does on a full disk, takes no later one with it.

use alkhub_storage::testing::TestDatabase;
use alkhub_storage::{ConnectionTrait, meta};
use serde_json::json;

#[tokio::test]
async fn what_is_committed_after_sqlite_rolled_back_by_itself_is_there() {
    let database = TestDatabase::sqlite().await;
    let now = "strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')";
    for round in 0..3 {
        let transaction = database.begin().await.unwrap();
        let insert = format!(
            "insert or rollback into hub_meta (\"key\", \"value\", updated_at) values ('twice', '1', {now})"
        );
        transaction.execute_unprepared(&insert).await.unwrap();
        // The conflict ends the whole transaction inside SQLite, behind the driver's back.
        assert!(transaction.execute_unprepared(&insert).await.is_err());
        drop(transaction);

        let transaction = database.begin().await.unwrap();
        assert!(
            transaction
                .execute_unprepared("insert into nowhere values (1)")
                .await
                .is_err()
        );
        drop(transaction);

        let key = format!("kept:{round}");
        let transaction = database.begin().await.unwrap();
        meta::put(&transaction, &key, &json!(round)).await.unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(
            meta::get(database.reader(), &key).await.unwrap(),
            Some(json!(round))
        );
    }
}
