//! `hub.events` and watchers that are slow.

use std::sync::Arc;
use std::time::Duration;

use alkhub_hub::{Expected, Hub, Subscription};
use alkhub_operations::ErrorCode;
use alkhub_storage::testing::TestDatabase;
use futures::StreamExt as _;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::support::{request, start};

/// More than a watcher may be behind, and less than are held.
const CHANGES: usize = 4_200;

async fn watch(hub: &Hub, key: &str, since: Option<&str>) -> Subscription {
    let mut input = json!({ "topics": ["config.*"] });
    if let Some(since) = since {
        input["since"] = json!(since);
    }
    let mut asked = request(Some(key), "hub.events", input);
    asked.expected = Expected::Subscription;
    let mut watching = hub.subscribe(asked).await.unwrap();
    // It begins to listen when it is asked for the first item.
    if since.is_none() {
        let nothing = tokio::time::timeout(Duration::from_millis(50), watching.items.next());
        assert!(nothing.await.is_err());
    }
    watching
}

async fn next(watching: &mut Subscription) -> Value {
    let item = tokio::time::timeout(Duration::from_secs(20), watching.items.next());
    item.await.expect("an item in time").unwrap().unwrap().data
}

async fn change(hub: &Arc<Hub>, key: &str, changes: usize) {
    let change = |number: usize| {
        let input = json!({ "key": "limits.burst", "value": 1_000 + number });
        let hub = Arc::clone(hub);
        let asked = request(Some(key), "config.set", input);
        async move { hub.call(asked).await.unwrap() }
    };
    futures::stream::iter(0..changes)
        .map(change)
        .buffer_unordered(32)
        .for_each(|_changed| async {})
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn case_h67_a_watcher_of_events_that_reads_nothing_is_cut_and_may_go_on_behind_its_last() {
    let database = TestDatabase::sqlite().await;
    let data_dir = tempfile::tempdir().unwrap();
    let started = start(database.url(), data_dir.path(), &[]).await.unwrap();
    let key = started.first_key.unwrap().expose_secret().to_owned();
    let hub = started.hub;
    let mut slow = watch(&hub, &key, None).await;
    let mut quick = watch(&hub, &key, None).await;
    change(&hub, &key, 1).await;
    let had = next(&mut slow).await;
    assert_eq!(next(&mut quick).await["id"], had["id"]);

    let reading = tokio::spawn(async move {
        for _ in 0..CHANGES {
            assert_eq!(next(&mut quick).await["topic"], "config.changed");
        }
    });
    change(&hub, &key, CHANGES).await;
    reading.await.expect("who reads hears of all of them");

    let error = slow.items.next().await.unwrap().unwrap_err();
    assert_eq!(error.code, ErrorCode::ABORTED, "{error:?}");
    let details = error.details.unwrap();
    assert_eq!(details["reason"], "slow_consumer", "{details}");
    assert!(slow.items.next().await.is_none());

    let mut again = watch(&hub, &key, had["id"].as_str()).await;
    let mut ids = std::collections::HashSet::new();
    for _ in 0..CHANGES {
        let event = next(&mut again).await;
        assert!(ids.insert(event["id"].as_str().unwrap().to_owned()));
    }
    assert!(!ids.contains(had["id"].as_str().unwrap()));
    hub.shutdown(Duration::from_secs(5)).await;
}
