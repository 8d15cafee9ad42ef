//! Subscriptions over HTTP: server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use alkhub_hub::{Failure, Subscription};
use alkhub_operations::{CallError, Envelope};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use serde_json::json;

use super::answer::{Refusal, failure, mark};

/// How long an answer waits for a refusal that comes at once, which is then a plain HTTP error.
const FIRST_LOOK: Duration = Duration::from_millis(100);

/// A comment is sent this often, so that nobody on the way takes the connection for dead.
const ALIVE: Duration = Duration::from_secs(15);

type Items = BoxStream<'static, Result<Envelope, CallError>>;

/// Answers a subscription: events `item`, then `end` or `error`.
pub(super) async fn respond(subscription: Subscription) -> Result<Response, Refusal> {
    let Subscription { request_id, mut items, rotated_to } = subscription;
    let items: Items = match tokio::time::timeout(FIRST_LOOK, items.next()).await {
        Ok(Some(Err(error))) => {
            return Ok(failure(Failure {
                request_id,
                error,
                declared_status: None,
                actual_kind: None,
                replayed: false,
                rotated_to,
            }));
        }
        Ok(Some(first)) => stream::iter([first]).chain(items).boxed(),
        Ok(None) => stream::empty().boxed(),
        Err(_nothing_yet) => items,
    };
    let alive = KeepAlive::new().interval(ALIVE).text("alive");
    let mut response = Sse::new(events(items)).keep_alive(alive).into_response();
    mark(response.headers_mut(), &request_id, false, rotated_to.as_deref());
    Ok(response)
}

/// Numbered items, then the one event that ends the stream.
fn events(items: Items) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(Some((items, 0_u64)), |running| async {
        let (mut items, sequence) = running?;
        let next = match items.next().await {
            Some(Ok(envelope)) => {
                let sequence = sequence + 1;
                let item = event("item", &envelope).id(sequence.to_string());
                (item, Some((items, sequence)))
            }
            Some(Err(error)) => (event("error", &error), None),
            None => (event("end", &json!({ "count": sequence })), None),
        };
        Some((Ok(next.0), next.1))
    })
}

fn event(name: &str, data: &impl serde::Serialize) -> Event {
    Event::default().event(name).json_data(data).unwrap_or_else(|error| {
        // What is sent here is made of JSON already, so this is a fault of the hub.
        let error = CallError::internal(&error);
        Event::default().event("error").data(error.message)
    })
}
