//! Subscriptions as server-sent events: `item` (its data is the envelope; its id is what a reader that comes
//! back goes on behind: the `id` or `seq` of an item that has one and can be asked for by `since`, else its
//! number), then one of `end {count}` and `error {code, message, details?}`; a comment every 15 seconds.

use std::convert::Infallible;
use std::time::Duration;

use alkhub_hub::Subscription;
use alkhub_operations::{CallError, Envelope, ErrorCode};
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderName, HeaderValue};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::mpsc::{self, OwnedPermit, Receiver, Sender};

use super::answer::{Refusal, mark};

/// Silence after which a comment shows that the connection lives.
const COMMENT: Duration = Duration::from_secs(15);
/// What is wrong with a subscription shows in its first moment, and is then a plain error.
const FIRST: Duration = Duration::from_millis(250);
/// Events that may wait for a slow reader.
const WAITING: usize = 256;
/// A reader that takes nothing for so long is cut off.
const PATIENCE: Duration = Duration::from_secs(30);

type Outcome = Result<Envelope, CallError>;
type Sent = Result<Event, Infallible>;

/// The answer to a subscription that passed every check.
pub(super) async fn respond(subscription: Subscription) -> Response {
    let Subscription {
        request_id,
        mut items,
        rotated_to,
        named_items,
    } = subscription;
    let first = tokio::time::timeout(FIRST, items.next()).await;
    let mut response = match first {
        Ok(Some(Err(error))) => Refusal::from(error).into_response(),
        Ok(Some(first)) => streamed(stream::iter([first]).chain(items).boxed(), named_items),
        Ok(None) => streamed(stream::empty().boxed(), named_items),
        Err(_) => streamed(items, named_items),
    };
    mark(
        response.headers_mut(),
        &request_id,
        false,
        rotated_to.as_deref(),
    );
    response
}

fn streamed(items: BoxStream<'static, Outcome>, named_items: bool) -> Response {
    // One place more than may wait, kept for the last event.
    let (sender, receiver) = mpsc::channel(WAITING + 1);
    if let Ok(last) = sender.clone().try_reserve_owned() {
        tokio::spawn(forward(items, named_items, sender, last));
    }
    let mut response = Sse::new(events(receiver))
        .keep_alive(KeepAlive::new().interval(COMMENT))
        .into_response();
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies that gather answers would hold items back.
    headers.insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    response
}

fn events(receiver: Receiver<Sent>) -> impl Stream<Item = Sent> {
    stream::unfold(receiver, |mut receiver| async {
        let event = receiver.recv().await?;
        Some((event, receiver))
    })
}

/// Hands items on until they end, the reader leaves, or the reader takes nothing for too long.
/// Dropping the items ends the subscription.
async fn forward(
    mut items: BoxStream<'static, Outcome>,
    named_items: bool,
    sender: Sender<Sent>,
    last: OwnedPermit<Sent>,
) {
    let mut count = 0_u64;
    let end = loop {
        let item = tokio::select! {
            item = items.next() => item,
            () = sender.closed() => return,
        };
        let envelope = match item {
            Some(Ok(envelope)) => envelope,
            Some(Err(error)) => break event("error", &error),
            None => break event("end", &json!({ "count": count })),
        };
        count += 1;
        let mut event = event("item", &envelope);
        let id = if named_items {
            name_of(&envelope.data)
        } else {
            Some(count.to_string())
        };
        if let Some(id) = id {
            event = event.id(id);
        }
        if sender.send_timeout(Ok(event), PATIENCE).await.is_err() {
            break slow_consumer();
        }
    };
    drop(items);
    last.send(Ok(end));
}

/// What an item calls itself. One without a name, such as the notice that something was missed, leaves a
/// reader where it was.
fn name_of(item: &Value) -> Option<String> {
    let name = item.get("id").or_else(|| item.get("seq"))?;
    match name {
        // Axum refuses line breaks in an id.
        Value::String(id) if !id.contains(['\n', '\r', '\0']) => Some(id.clone()),
        Value::Number(seq) => Some(seq.to_string()),
        _ => None,
    }
}

fn event(name: &str, data: &impl Serialize) -> Event {
    let event = Event::default().event(name);
    event.json_data(data).unwrap_or_else(|fault| {
        // Only a fault of the hub: what is sent here is made of JSON.
        let error = CallError::internal(&fault);
        Event::default()
            .event("error")
            .data(json!(error).to_string())
    })
}

fn slow_consumer() -> Event {
    let error = CallError::new(ErrorCode::ABORTED, "items were not read in time")
        .with_details(json!({ "by": "hub", "reason": "slow_consumer" }));
    event("error", &error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(number: u64) -> Outcome {
        let id = "task.watch".parse().unwrap();
        Ok(Envelope::local(json!({ "number": number }), &id))
    }

    async fn text(items: BoxStream<'static, Outcome>) -> String {
        let body = streamed(items, false).into_body();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    fn names(text: &str) -> Vec<&str> {
        text.lines()
            .filter_map(|line| line.strip_prefix("event: "))
            .collect()
    }

    #[tokio::test]
    async fn case_221_two_items_then_end() {
        let text = text(stream::iter([item(1), item(2)]).boxed()).await;
        assert_eq!(names(&text), ["item", "item", "end"]);
        assert!(text.contains("id: 1\n"), "{text}");
        assert!(text.contains("data: {\"count\":2}\n"), "{text}");
    }

    #[tokio::test]
    async fn case_221_error_mid_way_is_the_last_event() {
        let broken = Err(CallError::new(ErrorCode::OUTPUT_INVALID, "bad item"));
        let text = text(stream::iter([item(1), broken]).boxed()).await;
        assert_eq!(names(&text), ["item", "error"]);
        assert!(text.contains("\"code\":\"OUTPUT_INVALID\""), "{text}");
    }

    #[tokio::test]
    async fn case_221_reader_that_leaves_ends_the_subscription() {
        let (watch, alive) = tokio::sync::oneshot::channel::<()>();
        let items = stream::unfold(watch, |watch| async {
            std::future::pending::<()>().await;
            Some((item(1), watch))
        });
        drop(streamed(items.boxed(), false));
        // The sender lives in the items; it goes when they are dropped.
        assert!(alive.await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn reader_that_takes_nothing_is_cut_off() {
        let (watch, alive) = tokio::sync::oneshot::channel::<()>();
        let items = stream::unfold((watch, 0), |(watch, number)| async move {
            Some((item(number), (watch, number + 1)))
        });
        let body = streamed(items.boxed(), false).into_body();
        assert!(alive.await.is_err());
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        assert_eq!(names(&text).len(), WAITING + 1);
        assert_eq!(names(&text).last(), Some(&"error"));
        assert!(text.contains("slow_consumer"), "{text}");
    }

    #[tokio::test]
    async fn error_before_the_first_item_is_a_plain_answer() {
        let error = Err(CallError::not_found("no such project"));
        let response = respond(Subscription {
            request_id: alkhub_operations::RequestId::random(),
            items: stream::iter([error]).boxed(),
            rotated_to: None,
            named_items: false,
        })
        .await;
        assert_eq!(response.status(), 404);
    }
}
