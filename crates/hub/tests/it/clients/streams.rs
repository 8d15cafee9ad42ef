//! Streams of events as subscriptions.

use std::sync::atomic::Ordering;
use std::time::Duration;

use alkhub_hub::Expected;
use alkhub_operations::{CallError, Envelope, ErrorCode};
use futures::StreamExt as _;
use serde_json::{Value, json};

use super::service::Service;
use super::{LOCAL, imported};
use crate::support::{TestHub, each_hub_with, request};

/// All items of a subscription.
async fn items(hub: &TestHub, operation: &str, input: Value) -> Vec<Result<Envelope, CallError>> {
    let mut request = request(Some(&hub.admin_key), operation, input);
    request.expected = Expected::Subscription;
    match hub.hub.subscribe(request).await {
        Ok(subscription) => subscription.items.collect().await,
        Err(failure) => vec![Err(failure.error)],
    }
}

fn serve(service: &Service, streams: &[&str]) {
    let mut waiting = service.shared.streams.lock().unwrap();
    waiting.extend(streams.iter().map(|text| (*text).to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn events_become_items_with_their_type_and_id() {
    each_hub_with(LOCAL, async |hub| {
        let service = Service::start().await;
        imported(hub, "pets", &service).await;
        serve(
            &service,
            &["id: 1\nevent: add\ndata: {\"a\":1}\n\n: ping\n\ndata: plain\n\ndata:\n\n"],
        );
        let items = items(hub, "pets.watch", json!({})).await;
        let data: Vec<_> = items
            .iter()
            .map(|item| item.as_ref().unwrap().data.clone())
            .collect();
        assert_eq!(json!(data), json!([{ "a": 1 }, "plain"]));
        let meta = items[0].as_ref().unwrap().to_json()["meta"].clone();
        assert_eq!(meta["event"], "add");
        assert_eq!(meta["eventId"], "1");
        assert_eq!(meta["contentType"], "text/event-stream");
        assert_eq!(meta["headers"]["x-served-by"], "test");
        let seen = service.last_seen();
        assert_eq!(seen["accept"], "text/event-stream");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn case_202_stream_is_asked_for_with_a_body_or_without() {
    each_hub_with(LOCAL, async |hub| {
        let service = Service::start().await;
        imported(hub, "pets", &service).await;
        serve(&service, &["data: 1\n\n", "data: 2\n\n"]);
        items(hub, "pets.watchPost", json!({ "body": { "topic": "x" } })).await;
        let seen = service.last_seen();
        assert_eq!(
            (&seen["method"], &seen["body"]),
            (&json!("POST"), &json!("{\"topic\":\"x\"}"))
        );
        assert_eq!(seen["contentType"], "application/json");
        items(hub, "pets.watchPost", json!({})).await;
        let seen = service.last_seen();
        assert_eq!(
            (&seen["body"], &seen["contentType"]),
            (&json!(""), &Value::Null)
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn case_203_failure_comes_before_any_item() {
    each_hub_with(LOCAL, async |hub| {
        let service = Service::start().await;
        imported(hub, "pets", &service).await;
        let items = items(hub, "pets.watch", json!({})).await;
        assert_eq!(items.len(), 1);
        let error = items[0].as_ref().unwrap_err();
        assert_eq!(error.code, ErrorCode::EXECUTION_ERROR);
        assert_eq!(error.message, "HTTP 500: Internal Server Error");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_stream_is_taken_up_again_behind_its_last_event() {
    each_hub_with(LOCAL, async |hub| {
        let service = Service::start().await;
        imported(hub, "pets", &service).await;
        serve(
            &service,
            &["!retry: 10\nid: 7\ndata: 1\n\ndata: half", "data: 2\n\n"],
        );
        let items = items(hub, "pets.watch", json!({})).await;
        let data: Vec<_> = items
            .iter()
            .map(|item| item.as_ref().unwrap().data.clone())
            .collect();
        assert_eq!(json!(data), json!([1, 2]));
        assert_eq!(service.last_seen()["lastEventId"], "7");
        // A service that never comes back is given up.
        serve(&service, &["!retry: 1\ndata: 1\n\n"]);
        let items = super::streams::items(hub, "pets.watch", json!({})).await;
        assert_eq!(items.len(), 2);
        assert_eq!(
            items[1].as_ref().unwrap_err().code,
            ErrorCode::EXECUTION_ERROR
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn request_is_cancelled_when_nobody_listens_any_more() {
    each_hub_with(LOCAL, async |hub| {
        let service = Service::start().await;
        imported(hub, "pets", &service).await;
        serve(&service, &["~data: 1\n\n"]);
        let mut request = request(Some(&hub.admin_key), "pets.watch", json!({}));
        request.expected = Expected::Subscription;
        let mut subscription = hub.hub.subscribe(request).await.unwrap();
        assert_eq!(
            subscription.items.next().await.unwrap().unwrap().data,
            json!(1)
        );
        drop(subscription);
        for _ in 0..100 {
            if service.shared.dropped.load(Ordering::SeqCst) == 1 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the request goes on");
    })
    .await;
}
