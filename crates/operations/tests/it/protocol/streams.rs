//! Subscriptions over the wire.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use alkhub_operations::protocol::{
    CallMap, Delivered, MapLimits, Request, ServerLimits, Subscription, Violation,
};
use alkhub_operations::{
    AbortBy, AccessControl, CallError, CallEvent, Context, Envelope, ErrorCode, Operation, Reply,
};
use futures::{FutureExt, StreamExt, stream};
use serde_json::{Value, json};

use super::links::{Link, Notes, aborted, after, alone, completed, failed, responded, unbounded};
use crate::support::{
    constant, identity, registry, subscription, with_access, with_input, with_output,
};

fn request() -> Request {
    Request::new("test.items", json!({}))
}

/// A stream of the numbers from 1.
fn numbers(upto: i64) -> Operation {
    subscription("test.items", move |_, _| {
        stream::iter((1..=upto).map(|number| Ok(Reply::Data(json!(number)))))
    })
}

async fn all(subscription: Subscription) -> Vec<Result<Envelope, CallError>> {
    subscription.collect().await
}

fn data(items: &[Result<Envelope, CallError>]) -> Vec<Value> {
    items
        .iter()
        .filter_map(|item| item.as_ref().ok().map(|envelope| envelope.data.clone()))
        .collect()
}

fn seqs(events: &[CallEvent]) -> Vec<u64> {
    let of = |event: &CallEvent| match event {
        CallEvent::Responded(responded) => responded.seq,
        _ => None,
    };
    events.iter().filter_map(of).collect()
}

#[tokio::test]
async fn case_148_three_items_and_the_end() {
    let link = Link::new(registry([numbers(3)]));
    let items = all(link.map.subscribe(request())).await;
    assert_eq!(data(&items), [json!(1), json!(2), json!(3)]);
    assert_eq!(items.len(), 3);
    let sent = link.back.notes.all();
    assert_eq!(seqs(&sent), [1, 2, 3]);
    let CallEvent::Completed(end) = sent.last().unwrap() else {
        panic!("no end");
    };
    assert_eq!(end.count, Some(3));
    assert_eq!(link.map.pending(), 0);
}

#[tokio::test]
async fn case_149_a_consumer_that_leaves_stops_the_provider() {
    struct Guard(tokio::sync::mpsc::UnboundedSender<()>);
    impl Drop for Guard {
        fn drop(&mut self) {
            self.0.send(()).unwrap();
        }
    }
    let (cleaned, mut seen) = unbounded();
    let endless = subscription("test.items", move |_, _| {
        let guard = Guard(cleaned.clone());
        stream::iter(1..).then(move |number| {
            let _with_the_stream = &guard;
            async move {
                tokio::time::sleep(Duration::from_millis(1)).await;
                Ok(Reply::Data(json!(number)))
            }
        })
    });
    let link = Link::new(registry([endless]));
    let mut items = link.map.subscribe(request());
    items.next().await.unwrap().unwrap();
    drop(items);
    seen.recv().await.unwrap();
    after(20).await;
    assert_eq!(link.there.notes.aborted()[0].by, Some(AbortBy::Caller));
    assert_eq!(link.back.notes.aborted()[0].by, Some(AbortBy::Provider));
    assert!(link.server.running().is_empty());
}

#[tokio::test]
async fn case_150_an_error_comes_behind_the_items() {
    let (map, _) = alone();
    let items = map.subscribe(request());
    let id = items.request_id().clone();
    map.deliver(responded(&id, json!(1), Some(1)));
    map.deliver(failed(
        &id,
        CallError::new(ErrorCode::other("BROKEN"), "so"),
    ));
    let items = all(items).await;
    assert_eq!(items.len(), 2);
    assert_eq!(items[1].as_ref().unwrap_err().code, "BROKEN");
}

#[tokio::test]
async fn case_151_an_abort_by_the_provider_is_an_error() {
    let (map, _) = alone();
    let items = map.subscribe(request());
    map.deliver(aborted(items.request_id(), AbortBy::Provider));
    let items = all(items).await;
    assert_eq!(items[0].as_ref().unwrap_err().code, ErrorCode::ABORTED);
    assert_eq!(items.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn case_152_silence_longer_than_the_idle_timeout_ends_it() {
    let (map, sent) = alone();
    let items = map.subscribe(request().with_idle_timeout(Duration::from_millis(80)));
    let items = all(items).await;
    let error = items[0].as_ref().unwrap_err();
    assert_eq!(error.code, ErrorCode::TIMEOUT);
    assert_eq!(error.details, Some(json!({ "idleTimeout": 80 })));
    assert_eq!(sent.aborted()[0].by, Some(AbortBy::Deadline));
}

#[tokio::test(start_paused = true)]
async fn case_153_items_restart_the_idle_time() {
    let (map, _) = alone();
    let mut items = map.subscribe(request().with_idle_timeout(Duration::from_millis(150)));
    let id = items.request_id().clone();
    for seq in 1..=3 {
        after(100).await;
        map.deliver(responded(&id, json!(seq), Some(seq)));
        assert_eq!(items.next().await.unwrap().unwrap().data, json!(seq));
    }
    after(200).await;
    assert!(items.next().await.unwrap().is_err());
}

#[tokio::test(start_paused = true)]
async fn case_154_without_an_idle_timeout_a_pause_is_no_end() {
    let (map, _) = alone();
    let mut items = map.subscribe(request());
    after(3_600_000).await;
    map.deliver(responded(items.request_id(), json!(1), Some(1)));
    assert!(items.next().await.unwrap().is_ok());
}

#[tokio::test]
async fn case_155_and_156_refusals_come_before_any_item() {
    let guarded = with_access(numbers(3), AccessControl::scopes(["admin"]));
    let link = Link::new(registry([guarded]));
    let items = all(link.map.subscribe(request())).await;
    assert_eq!(items.len(), 1);
    // Without an identity; with one that lacks the scope it is ACCESS_DENIED, as for a call.
    assert_eq!(
        items[0].as_ref().unwrap_err().code,
        ErrorCode::UNAUTHENTICATED
    );
    let mut asked = request();
    asked.identity = Some(identity(&["other"]));
    let items = all(link.map.subscribe(asked)).await;
    assert_eq!(items.len(), 1);
    assert_eq!(
        items[0].as_ref().unwrap_err().code,
        ErrorCode::ACCESS_DENIED
    );

    let picky = with_input(numbers(3), json!({ "type": "integer" }));
    let link = Link::new(registry([picky]));
    let items = all(link.map.subscribe(request())).await;
    assert_eq!(
        items[0].as_ref().unwrap_err().code,
        ErrorCode::VALIDATION_ERROR
    );
    assert_eq!(link.back.notes.names(), ["call.error"]);
}

#[tokio::test]
async fn case_157_an_empty_stream_ends_with_a_count_of_none() {
    let link = Link::new(registry([numbers(0)]));
    assert!(all(link.map.subscribe(request())).await.is_empty());
    let CallEvent::Completed(end) = &link.back.notes.all()[0] else {
        panic!("no end");
    };
    assert_eq!(end.count, Some(0));
}

#[tokio::test]
async fn case_158_and_159_items_of_all_forms_come_as_they_are() {
    let envelope = Envelope::http(json!("x"), 200, [].into(), "text/plain");
    let sent = envelope.clone();
    let mixed = subscription("test.items", move |_, _| {
        stream::iter([
            Ok(Reply::Data(Value::Null)),
            Ok(Reply::Envelope(sent.clone())),
            Ok(Reply::Data(json!(3))),
        ])
    });
    let link = Link::new(registry([mixed]));
    let items = all(link.map.subscribe(request())).await;
    assert_eq!(data(&items), [Value::Null, json!("x"), json!(3)]);
    assert_eq!(items[1].as_ref().unwrap(), &envelope);
}

#[tokio::test]
async fn case_160_the_first_bad_item_ends_the_stream() {
    let items = subscription("test.items", |_, _| {
        stream::iter([json!(1), json!(2), json!("three"), json!(4)].map(|it| Ok(Reply::Data(it))))
    });
    let link = Link::new(registry([with_output(items, json!({ "type": "integer" }))]));
    let items = all(link.map.subscribe(request())).await;
    assert_eq!(data(&items), [json!(1), json!(2)]);
    assert_eq!(
        items[2].as_ref().unwrap_err().code,
        ErrorCode::OUTPUT_INVALID
    );
}

#[tokio::test]
async fn case_160_an_item_that_is_no_envelope_aborts_its_provider() {
    let (map, sent) = alone();
    let items = map.subscribe(request());
    let text = json!({ "type": "call.responded", "payload": {
        "requestId": items.request_id(), "seq": 1, "output": 5,
    } });
    let fault = alkhub_operations::protocol::decode(
        &text.to_string(),
        &alkhub_operations::protocol::FrameLimits::default(),
    )
    .unwrap_err();
    assert_eq!(map.refuse(&fault), Some(Delivered::Accepted));
    let items = all(items).await;
    assert_eq!(
        items[0].as_ref().unwrap_err().code,
        ErrorCode::OUTPUT_INVALID
    );
    assert_eq!(sent.aborted()[0].by, Some(AbortBy::Hub));
}

#[tokio::test(start_paused = true)]
async fn case_161_a_consumer_that_takes_nothing_loses_its_stream_only() {
    let made = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&made);
    let endless = subscription("test.items", move |_, _| {
        let counted = Arc::clone(&counted);
        stream::iter(0..).map(move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            Ok(Reply::Data(json!("x".repeat(1000))))
        })
    });
    let link = Link::new(registry([endless]));
    let mut paused = link.map.subscribe(request());
    let mut other = link.map.subscribe(request());
    for _ in 0..2000 {
        other.next().await.unwrap().unwrap();
    }
    after(29_000).await;
    for _ in 0..2000 {
        other.next().await.unwrap().unwrap();
    }
    // What was made is what was taken and what the windows hold.
    assert!(made.load(Ordering::SeqCst) < 4_700);
    assert_eq!(link.map.pending(), 2);
    after(2_000).await;
    let error = paused.next().await.unwrap().unwrap_err();
    assert_eq!(error.code, ErrorCode::ABORTED);
    assert_eq!(
        error.details,
        Some(json!({ "by": "hub", "reason": "slow_consumer" }))
    );
    assert!(paused.next().await.is_none());
    let told = link.there.notes.aborted();
    assert_eq!((told.len(), told[0].by), (1, Some(AbortBy::Hub)));
}

#[tokio::test(start_paused = true)]
async fn case_161_a_provider_that_ignores_credit_fills_the_buffer_and_no_more() {
    let (map, sent) = alone();
    let mut items = map.subscribe(request());
    let id = items.request_id().clone();
    for seq in 1..=10_000 {
        assert_eq!(
            map.deliver(responded(&id, json!(seq), Some(seq))),
            Delivered::Accepted
        );
    }
    // What came before the loss is told, the loss after it.
    let mut taken = 0;
    let error = loop {
        match items.next().await.unwrap() {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(taken, 256);
    assert_eq!(error.details.unwrap()["reason"], "slow_consumer");
    assert_eq!(sent.aborted().len(), 1);
    assert_eq!(map.pending(), 0);
}

#[tokio::test(start_paused = true)]
async fn large_items_are_bounded_by_their_bytes() {
    let (map, _) = alone();
    let mut items = map.subscribe(request());
    let id = items.request_id().clone();
    let large = json!("x".repeat(1 << 20));
    for seq in 1..=64 {
        map.deliver(responded(&id, large.clone(), Some(seq)));
    }
    let mut taken = 0;
    while let Some(Some(Ok(_))) = items.next().now_or_never() {
        taken += 1;
    }
    assert!((4..=16).contains(&taken), "{taken}");
}

#[tokio::test]
async fn case_162_a_provider_keeps_to_its_credit() {
    let link = Link::new(registry([numbers(25)]));
    let mut asked = request();
    asked.credit = Some(10);
    // A map that gives no more by itself would be another caller's; so the server is asked alone.
    let notes = Notes::new();
    let service = alkhub_operations::protocol::RegistryService::new(registry([numbers(25)]));
    let server = alkhub_operations::protocol::CallServer::new(
        Arc::new(service),
        notes.clone(),
        ServerLimits::default(),
    );
    let map = CallMap::new(notes.clone(), MapLimits::default());
    let items = map.subscribe(asked);
    server.deliver(notes.all().remove(0));
    after(30).await;
    assert_eq!(seqs(&notes.all()).len(), 10);
    let credit = |add| {
        CallEvent::Credit(alkhub_operations::events::CallCredit {
            request_id: items.request_id().clone(),
            add,
        })
    };
    assert_eq!(server.deliver(credit(5)), Delivered::Accepted);
    after(30).await;
    assert_eq!(seqs(&notes.all()).len(), 15);
    // Exactly as many as there are: the end needs no credit of its own.
    server.deliver(credit(10));
    after(30).await;
    assert_eq!(seqs(&notes.all()), (1..=25).collect::<Vec<_>>());
    assert!(matches!(notes.all().last(), Some(CallEvent::Completed(_))));

    // And through a map, which asks for more as items are taken.
    let items = all(link.map.subscribe(request())).await;
    assert_eq!(items.len(), 25);
    assert!(link.there.notes.names().contains(&"call.credit"));
}

#[tokio::test]
async fn case_163_a_resumed_stream_counts_on_from_where_it_was() {
    let link = Link::new(registry([numbers(3)]));
    let mut asked = request();
    asked.resume_after = Some(5);
    let items = all(link.map.subscribe(asked)).await;
    assert_eq!(items.len(), 3);
    assert_eq!(seqs(&link.back.notes.all()), [6, 7, 8]);
}

#[tokio::test]
async fn case_164_the_request_is_sent_without_polling() {
    let (map, sent) = alone();
    let _items = map.subscribe(request());
    assert_eq!(sent.names(), ["call.requested"]);
}

#[tokio::test]
async fn case_165_a_handler_that_fails_first_sends_only_its_error() {
    let fails = subscription("test.items", |_, _| {
        stream::iter([Err(CallError::not_found("nothing"))])
    });
    let link = Link::new(registry([fails]));
    let items = all(link.map.subscribe(request())).await;
    assert_eq!(items[0].as_ref().unwrap_err().code, ErrorCode::NOT_FOUND);
    assert_eq!(link.back.notes.names(), ["call.error"]);
}

#[tokio::test]
async fn a_missing_item_ends_the_stream_and_a_repeated_one_is_late() {
    let (map, sent) = alone();
    let mut items = map.subscribe(request());
    let id = items.request_id().clone();
    map.deliver(responded(&id, json!(1), Some(1)));
    assert_eq!(
        map.deliver(responded(&id, json!(1), Some(1))),
        Delivered::Late
    );
    assert_eq!(
        map.deliver(responded(&id, json!(4), Some(4))),
        Delivered::Violation(Violation::Sequence {
            expected: 2,
            got: 4
        })
    );
    assert!(items.next().await.unwrap().is_ok());
    let error = items.next().await.unwrap().unwrap_err();
    assert_eq!(error.code, ErrorCode::EXECUTION_ERROR);
    assert_eq!(sent.aborted()[0].reason.as_deref(), Some("items_lost"));
}

#[tokio::test]
async fn items_of_peers_that_do_not_count_are_taken() {
    let (map, _) = alone();
    let items = map.subscribe(request());
    let id = items.request_id().clone();
    map.deliver(responded(&id, json!(1), None));
    map.deliver(responded(&id, json!(2), None));
    map.deliver(completed(&id));
    assert_eq!(data(&all(items).await), [json!(1), json!(2)]);
}

#[tokio::test(start_paused = true)]
async fn an_item_under_way_confirms_no_abort() {
    let (map, _) = alone();
    let items = map.subscribe(request());
    let id = items.request_id().clone();
    drop(items);
    let confirmation = tokio::spawn(map.aborted(&id));
    after(5).await;
    assert_eq!(
        map.deliver(responded(&id, json!(1), Some(1))),
        Delivered::Late
    );
    after(5).await;
    assert!(!confirmation.is_finished());
    map.deliver(aborted(&id, AbortBy::Provider));
    confirmation.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn case_145_one_subscription_more_than_may_be_open_is_refused() {
    let waits = subscription("test.items", |_, _| stream::pending());
    let link = Link::new(registry([waits, constant("test.one", json!(1))]));
    let _open: Vec<_> = (0..64).map(|_| link.map.subscribe(request())).collect();
    let refused = all(link.map.subscribe(request())).await;
    assert_eq!(
        refused[0].as_ref().unwrap_err().code,
        ErrorCode::RATE_LIMITED
    );
    // Calls are not counted among them.
    link.map
        .call(Request::new("test.one", json!({})))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_call_of_a_subscription_gets_its_first_item() {
    // Call and subscribe are one: a call takes the first answer.
    let (map, _) = alone();
    let call = map.call(request());
    let id = call.request_id().clone();
    map.deliver(responded(&id, json!("first"), Some(1)));
    assert_eq!(
        map.deliver(responded(&id, json!(2), Some(2))),
        Delivered::Late
    );
    assert_eq!(call.await.unwrap().data, json!("first"));
}

#[tokio::test]
async fn handlers_see_when_the_consumer_leaves() {
    let (left, mut seen) = unbounded();
    let waits = subscription("test.items", move |_, ctx: Context| {
        let left = left.clone();
        tokio::spawn(async move {
            ctx.cancellation().cancelled().await;
            left.send(()).unwrap();
        });
        stream::once(async { Ok(Reply::Data(json!(1))) }).chain(stream::pending())
    });
    let link = Link::new(registry([waits]));
    let mut items = link.map.subscribe(request());
    items.next().await.unwrap().unwrap();
    drop(items);
    seen.recv().await.unwrap();
}
