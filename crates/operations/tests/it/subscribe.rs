//! Subscriptions inside the process.

use std::time::Duration;

use alkhub_operations::{
    AccessControl, CallError, Empty, Envelope, ErrorCode, OperationType, Reply, Source, operation,
};
use futures::StreamExt;
use futures::stream;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::{
    anonymous, as_account, registry, subscription, with_access, with_input, with_output,
};

fn data(values: &[i64]) -> Vec<Result<Reply, CallError>> {
    values
        .iter()
        .map(|value| Ok(Reply::Data(json!(value))))
        .collect()
}

#[tokio::test]
async fn case_155_a_guarded_subscription_is_refused_before_any_item() {
    let guarded = subscription("a.items", |_, _| stream::iter(data(&[1])));
    let registry = registry([with_access(guarded, AccessControl::scopes(["admin"]))]);
    let error = registry
        .subscribe("a.items", None, as_account(&[], &registry))
        .err()
        .unwrap();
    assert_eq!(error.code, ErrorCode::ACCESS_DENIED);
}

#[tokio::test]
async fn case_156_bad_input_is_refused_before_any_item() {
    let items = subscription("a.items", |_, _| stream::iter(data(&[1])));
    let registry = registry([with_input(items, json!({ "type": "object" }))]);
    let error = registry
        .subscribe("a.items", json!(1), anonymous())
        .err()
        .unwrap();
    assert_eq!(error.code, ErrorCode::VALIDATION_ERROR);
}

#[tokio::test]
async fn case_157_an_empty_stream_just_ends() {
    let registry = registry([subscription("a.items", |_, _| stream::empty())]);
    let items: Vec<_> = registry
        .subscribe("a.items", None, anonymous())
        .unwrap()
        .collect()
        .await;
    assert!(items.is_empty());
}

#[tokio::test]
async fn case_158_items_of_every_form_are_kept_and_case_159_times_do_not_go_back() {
    let envelope = Envelope::http(json!("x"), 200, [].into(), "text/plain");
    let sent = envelope.clone();
    let registry = registry([subscription("a.items", move |_, _| {
        stream::iter(vec![
            Ok(Reply::Data(Value::Null)),
            Ok(Reply::Envelope(sent.clone())),
            Ok(Reply::Data(json!(3))),
        ])
    })]);
    let items: Vec<_> = registry
        .subscribe("a.items", None, anonymous())
        .unwrap()
        .collect()
        .await;
    let items: Vec<_> = items.into_iter().map(Result::unwrap).collect();
    assert_eq!(items[0].data, Value::Null);
    assert_eq!(items[1], envelope);
    let time = |envelope: &Envelope| match envelope.meta.source {
        Source::Local { timestamp, .. } => timestamp,
        _ => panic!("not local"),
    };
    assert!(time(&items[0]) <= time(&items[2]));
}

#[tokio::test]
async fn case_160_the_first_item_that_breaks_the_schema_ends_the_stream() {
    let token = CancellationToken::new();
    let sent = token.clone();
    let items = subscription("a.items", move |_, ctx| {
        let (sent, watched) = (sent.clone(), ctx.cancellation().clone());
        tokio::spawn(async move {
            watched.cancelled().await;
            sent.cancel();
        });
        stream::iter(vec![
            Ok(Reply::Data(json!(1))),
            Ok(Reply::Data(json!(2))),
            Ok(Reply::Data(json!("three"))),
            Ok(Reply::Data(json!(4))),
        ])
    });
    let registry = registry([with_output(items, json!({ "type": "integer" }))]);
    let items: Vec<_> = registry
        .subscribe("a.items", None, anonymous())
        .unwrap()
        .collect()
        .await;
    assert_eq!(items.len(), 3);
    assert_eq!(
        items[2].as_ref().unwrap_err().code,
        ErrorCode::OUTPUT_INVALID
    );
    token.cancelled().await;
}

#[tokio::test]
async fn case_165_a_handler_that_fails_first_gives_only_its_error() {
    let registry = registry([
        operation::<Empty, u32>("a.items", OperationType::Subscription)
            .stream(|_, _| stream::iter([Err(CallError::not_found("nothing"))])),
        subscription("a.panics", |_, _| stream::poll_fn(|_| panic!("boom"))),
        subscription(
            "a.panicsAtOnce",
            |_, _| -> stream::Empty<Result<Reply, CallError>> { panic!("boom") },
        ),
    ]);
    let items: Vec<_> = registry
        .subscribe("a.items", None, anonymous())
        .unwrap()
        .collect()
        .await;
    assert_eq!(items, [Err(CallError::not_found("nothing"))]);
    let items: Vec<_> = registry
        .subscribe("a.panics", None, anonymous())
        .unwrap()
        .collect()
        .await;
    assert_eq!(items.len(), 1);
    assert_eq!(
        items[0].as_ref().unwrap_err().code,
        ErrorCode::UNKNOWN_ERROR
    );
    let error = registry
        .subscribe("a.panicsAtOnce", None, anonymous())
        .err()
        .unwrap();
    assert_eq!(error.code, ErrorCode::UNKNOWN_ERROR);
}

#[tokio::test]
async fn case_151_an_abort_is_an_error_and_case_149_dropping_the_stream_stops_the_handler() {
    let (sender, mut tokens) = tokio::sync::mpsc::channel::<CancellationToken>(2);
    let registry = registry([subscription("a.endless", move |_, ctx| {
        sender.try_send(ctx.cancellation().clone()).unwrap();
        stream::repeat_with(|| Ok(Reply::Data(json!(1))))
            .take(1)
            .chain(stream::pending())
    })]);
    let token = CancellationToken::new();
    let ctx = anonymous().with_cancellation(token.clone());
    let mut items = registry.subscribe("a.endless", None, ctx).unwrap();
    assert!(items.next().await.unwrap().is_ok());
    token.cancel();
    assert_eq!(
        items.next().await.unwrap().unwrap_err().code,
        ErrorCode::ABORTED
    );
    assert!(items.next().await.is_none());
    assert!(tokens.recv().await.unwrap().is_cancelled());

    let mut dropped = registry.subscribe("a.endless", None, anonymous()).unwrap();
    assert!(dropped.next().await.unwrap().is_ok());
    let inner = tokens.recv().await.unwrap();
    assert!(!inner.is_cancelled());
    drop(dropped);
    assert!(inner.is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn cases_152_to_154_an_idle_stream_times_out_only_when_asked() {
    let every = |pause: u64| {
        move |_: Value, _| {
            stream::iter(0..3).then(move |number| async move {
                tokio::time::sleep(Duration::from_millis(pause)).await;
                Ok(Reply::Data(json!(number)))
            })
        }
    };
    let registry = registry([
        subscription("a.fast", every(50)),
        subscription("a.slow", every(500)),
    ]);
    let idle = |idle| anonymous().with_idle_timeout(Duration::from_millis(idle));
    let collect = |id, ctx| {
        registry
            .subscribe(id, None, ctx)
            .unwrap()
            .collect::<Vec<_>>()
    };

    let items = collect("a.slow", idle(80)).await;
    assert_eq!(items.len(), 1);
    let error = items[0].as_ref().unwrap_err();
    assert_eq!(error.code, ErrorCode::TIMEOUT);
    assert_eq!(error.details, Some(json!({ "idleTimeout": 80 })));
    assert!(error.message.ends_with("timed out (idle after 80ms)"));

    assert!(collect("a.fast", idle(150)).await.iter().all(Result::is_ok));
    let patient = collect("a.slow", anonymous()).await;
    assert!(patient.len() == 3 && patient.iter().all(Result::is_ok));
    let bounded = collect(
        "a.slow",
        anonymous().with_timeout(Duration::from_millis(700)),
    )
    .await;
    assert_eq!(bounded.len(), 2);
    assert_eq!(bounded[1].as_ref().unwrap_err().code, ErrorCode::TIMEOUT);
}
