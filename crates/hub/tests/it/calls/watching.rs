//! Watching calls: a picture, then changes in the order of their commits.

use std::time::Duration;

use alkhub_hub::{Expected, Subscription};
use alkhub_storage::enums::AccessLevel;
use futures::StreamExt as _;
use serde_json::{Value, json};

use super::{Row, record};
use crate::support::{TestHub, each_hub, request};

async fn watch(hub: &TestHub, key: &str, input: Value) -> Subscription {
    let mut asked = request(Some(key), "call.watch", input);
    asked.expected = Expected::Subscription;
    hub.hub.subscribe(asked).await.unwrap()
}

async fn next(subscription: &mut Subscription) -> Value {
    let item = tokio::time::timeout(Duration::from_secs(5), subscription.items.next()).await;
    item.expect("an item in time").unwrap().unwrap().data
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_gets_a_picture_and_then_every_change_in_order() {
    each_hub(async |hub| {
        let open = Row::running("hub.info");
        record(&hub.database, std::slice::from_ref(&open)).await;
        let mut watching = watch(
            hub,
            &hub.admin_key,
            json!({ "operation": "project.create" }),
        )
        .await;
        let picture = next(&mut watching).await;
        assert_eq!(picture["type"], "snapshot");
        assert_eq!(picture["nodes"], json!([]), "only calls of the operation");
        let mut seen = Vec::new();
        for name in ["a", "b"] {
            hub.project(name, None).await;
            loop {
                let change = next(&mut watching).await;
                assert_eq!(
                    (&change["type"], &change["operation"]),
                    (&json!("node"), &json!("project.create"))
                );
                seen.push(change["seq"].as_u64().unwrap());
                if change["status"] == "completed" {
                    break;
                }
                assert_eq!(change["status"], "running");
            }
        }
        assert!(seen.is_sorted() && seen.len() == 4, "{seen:?}");
        // Coming back with the first number: what came after it, and no picture.
        let input = json!({ "operation": "project.create", "since": seen[0] });
        let mut back = watch(hub, &hub.admin_key, input).await;
        for seq in &seen[1..] {
            assert_eq!(next(&mut back).await["seq"], *seq);
        }
        // A number of another process.
        let mut lost = watch(hub, &hub.admin_key, json!({ "since": 1_000_000 })).await;
        let picture = next(&mut lost).await;
        assert_eq!(picture["type"], "snapshot");
        let ids: Vec<&Value> = picture["nodes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|node| &node["requestId"])
            .collect();
        assert!(ids.contains(&&json!(open.id)), "{ids:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_hears_nothing_of_calls_it_may_not_see() {
    each_hub(async |hub| {
        let user = hub.account("user@example.org", AccessLevel::User).await;
        let key = hub.key(&user, &["call:read", "project:write"]).await;
        let mut watching = watch(hub, &key, json!({ "statuses": ["completed"] })).await;
        assert_eq!(
            next(&mut watching).await["nodes"].as_array().unwrap().len(),
            1,
            "itself"
        );
        hub.project("of somebody else", None).await;
        hub.call(&key, "project.create", json!({ "name": "own" }))
            .await
            .unwrap();
        let change = next(&mut watching).await;
        assert_eq!(change["accountId"], json!(user));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_that_reads_too_slowly_is_told_and_gets_a_new_picture() {
    each_hub(async |hub| {
        let mut watching = watch(hub, &hub.admin_key, json!({})).await;
        assert_eq!(next(&mut watching).await["type"], "snapshot");
        for round in 0..8 {
            let calls = (0..160).map(|number| {
                let name = format!("p{round}-{number}");
                hub.call(&hub.admin_key, "project.create", json!({ "name": name }))
            });
            for answer in futures::stream::iter(calls)
                .buffer_unordered(20)
                .collect::<Vec<_>>()
                .await
            {
                answer.unwrap();
            }
        }
        let lagged = loop {
            let item = next(&mut watching).await;
            if item["type"] != "node" {
                break item;
            }
        };
        assert_eq!(lagged["type"], "lagged");
        assert!(lagged["missed"].as_u64().unwrap() > 0);
        assert_eq!(next(&mut watching).await["type"], "snapshot");
    })
    .await;
}
