//! A lost socket and the next one.

use std::sync::Arc;
use std::time::Duration;

use alkhub_operations::protocol::{Delivered, MapLimits, Request, ServerLimits};
use alkhub_operations::{CallError, Context, ErrorCode, Operation, Reply};
use futures::{StreamExt, stream};
use serde_json::json;

use super::links::{Link, Wire, after, alone, responded};
use crate::support::{query, registry, subscription};

fn slow(millis: u64) -> Operation {
    query("test.slow", move |_, _| async move {
        tokio::time::sleep(Duration::from_millis(millis)).await;
        Ok(Reply::Data(json!("done")))
    })
}

fn link(operations: impl IntoIterator<Item = Operation>) -> Link {
    let server = ServerLimits {
        keep_answers: true,
        strip_reserved: false,
        ..ServerLimits::default()
    };
    Link::with(registry(operations), MapLimits::default(), server)
}

/// Cuts both wires and lets both halves know.
fn cut(link: &Link) {
    link.there.cut();
    link.back.cut();
    link.map.detach();
    link.server.detach();
}

/// New wires; what the provider still has is told first, as a hub and its spoke do.
fn join(link: &mut Link) -> Vec<CallError> {
    let (there, to_server) = Wire::new();
    let (back, to_map) = Wire::new();
    link.carry(to_server, to_map);
    let resume = link.server.resume();
    for event in resume.undelivered {
        link.map.deliver(event);
    }
    let mut lost = Vec::new();
    for id in link.map.pending_ids() {
        if !resume.running.contains(&id) {
            let error = CallError::provider_lost(true);
            link.map.fail(&id, error.clone());
            lost.push(error);
        }
    }
    link.map.attach(there.clone());
    link.server.attach(back.clone(), Some(resume.mark));
    (link.there, link.back) = (there, back);
    lost
}

#[tokio::test(start_paused = true)]
async fn case_135_a_call_that_still_runs_goes_on_over_the_next_socket() {
    let mut link = link([slow(500)]);
    let call = link.map.call(Request::new("test.slow", json!({})));
    after(50).await;
    cut(&link);
    after(100).await;
    assert_eq!(link.map.pending(), 1);
    assert!(join(&mut link).is_empty());
    assert_eq!(call.await.unwrap().data, json!("done"));
    assert_eq!(link.back.notes.names(), ["call.responded"]);
}

#[tokio::test(start_paused = true)]
async fn case_135_an_answer_that_could_not_be_sent_is_handed_over() {
    let mut link = link([slow(100)]);
    let call = link.map.call(Request::new("test.slow", json!({})));
    let id = call.request_id().clone();
    after(50).await;
    cut(&link);
    after(200).await;
    assert!(link.server.running().is_empty());
    assert_eq!(link.server.undelivered().len(), 1);
    join(&mut link);
    assert_eq!(call.await.unwrap().data, json!("done"));
    // Once.
    assert_eq!(
        link.map.deliver(responded(&id, json!("again"), None)),
        Delivered::Late
    );
    let mark = link.server.mark();
    link.server.acknowledge(mark);
    assert!(link.server.undelivered().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_was_written_and_lost_is_handed_over_too() {
    let mut link = link([slow(100)]);
    let call = link.map.call(Request::new("test.slow", json!({})));
    after(50).await;
    // The provider does not know yet that nothing arrives.
    let (black_hole, _nobody_reads) = Wire::new();
    link.server.attach(black_hole, None);
    after(100).await;
    cut(&link);
    join(&mut link);
    assert_eq!(call.await.unwrap().data, json!("done"));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_the_provider_never_saw_is_lost() {
    let mut link = link([slow(100)]);
    let (black_hole, _nobody_reads) = Wire::new();
    link.map.attach(black_hole);
    let call = link.map.call(Request::new("test.slow", json!({})));
    cut(&link);
    assert_eq!(join(&mut link).len(), 1);
    assert_eq!(call.await.unwrap_err().code, ErrorCode::PROVIDER_LOST);
}

#[tokio::test(start_paused = true)]
async fn a_repeated_request_gets_the_kept_answer_and_does_not_run_again() {
    let link = link([slow(10)]);
    let call = link.map.call(Request::new("test.slow", json!({})));
    let asked = link.there.notes.all().remove(0);
    call.await.unwrap();
    assert_eq!(link.server.deliver(asked), Delivered::Accepted);
    assert_eq!(
        link.back.notes.names(),
        ["call.responded", "call.responded"]
    );
    assert!(link.server.running().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_deadline_passes_while_the_socket_is_lost() {
    let (map, sent) = alone();
    let call =
        map.call(Request::new("test.slow", json!({})).with_timeout(Duration::from_millis(100)));
    map.detach();
    let id = call.request_id().clone();
    assert_eq!(call.await.unwrap_err().code, ErrorCode::TIMEOUT);
    assert!(sent.aborted().is_empty());
    assert_eq!(
        map.aborted(&id).await,
        alkhub_operations::protocol::AbortAnswer::Unreachable
    );
    // When the provider is back and still runs it, it is told.
    map.attach(sent.clone());
    map.tell_aborted(&id, alkhub_operations::AbortBy::Deadline, None);
    assert_eq!(sent.aborted().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stream_goes_on_over_the_next_socket_without_a_gap() {
    let ticking = subscription("test.items", |_, _: Context| {
        stream::iter(1..=20).then(|number| async move {
            tokio::time::sleep(Duration::from_millis(10)).await;
            Ok(Reply::Data(json!(number)))
        })
    });
    let mut link = link([ticking]);
    let items = link.map.subscribe(Request::new("test.items", json!({})));
    let taking = tokio::spawn(items.map(|item| item.unwrap().data).collect::<Vec<_>>());
    after(55).await;
    cut(&link);
    after(100).await;
    join(&mut link);
    let expected: Vec<_> = (1..=20).map(|number| json!(number)).collect();
    assert_eq!(taking.await.unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn items_wait_while_there_is_no_socket() {
    let made = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = Arc::clone(&made);
    let endless = subscription("test.items", move |_, _: Context| {
        let counted = Arc::clone(&counted);
        stream::iter(0..).map(move |number| {
            counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            Ok(Reply::Data(json!(number)))
        })
    });
    let mut link = link([endless]);
    let mut items = link.map.subscribe(Request::new("test.items", json!({})));
    for _ in 0..100 {
        items.next().await.unwrap().unwrap();
    }
    cut(&link);
    let before = made.load(std::sync::atomic::Ordering::SeqCst);
    after(1_000).await;
    let after_cut = made.load(std::sync::atomic::Ordering::SeqCst);
    assert!(after_cut - before <= 2, "{before} {after_cut}");
    join(&mut link);
    for _ in 0..1000 {
        items.next().await.unwrap().unwrap();
    }
}
