//! A call at somebody else's: on a spoke over its connection, or at a service this process calls.

use std::sync::Arc;
use std::time::{Duration, Instant};

use alkhub_operations::context::EnvelopeStream;
use alkhub_operations::envelope::from_provider;
use alkhub_operations::error::{ForeignOutcome, map_foreign_error};
use alkhub_operations::protocol::Request;
use alkhub_operations::{
    CallError, Context, Entry, Envelope, ErrorCode, Identity, JsonObject, ProgressSink, RequestId,
};
use futures::StreamExt as _;
use serde_json::{Map, Value, json};

use super::{Asked, Choice, Route, choose, no_provider, wait};
use crate::auth::Principal;
use crate::links::{Place, SpokeLink};
use crate::live::{Ended, Executor, LiveCall, aborted};
use crate::providers::{Offer, ProviderId, Reach};
use crate::repeats::Outcome;
use crate::state::State;

/// A call on its way to a provider.
pub(crate) struct Outgoing<'a> {
    pub(crate) asked: Asked<'a>,
    pub(crate) entry: &'a Arc<Entry>,
    pub(crate) live: &'a Arc<LiveCall>,
    pub(crate) input: Value,
    pub(crate) metadata: Option<JsonObject>,
    pub(crate) progress: Option<ProgressSink>,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) resume_after: Option<u64>,
    /// True for subscriptions without a time of their own.
    pub(crate) unbounded: bool,
    pub(crate) recorded: bool,
}

/// How one attempt at one provider ended.
enum Attempt {
    Ended(Box<Outcome>),
    /// It was not run there: the provider no longer offers it, or its connection went before it was
    /// sent.
    NotRun,
    /// The connection went while it ran; it may be sent again, for it is idempotent.
    Lost,
}

/// Sends a call to a spoke and waits for its answer; when the spoke is lost and it is safe, sends it
/// once to another.
///
/// # Errors
/// What the provider raised, mapped; `PROVIDER_LOST`, `NO_PROVIDER`, `OUTPUT_INVALID`.
pub(crate) async fn on_spoke(
    state: &Arc<State>,
    outgoing: Outgoing<'_>,
    offer: Arc<Offer>,
    place: Option<Place>,
) -> Outcome {
    let mut tried = Vec::new();
    let mut current = (offer, place);
    loop {
        let (offer, place) = current;
        let Reach::Spoke(link) = &offer.reach else {
            return Err(no_provider(outgoing.entry.id()));
        };
        // When whoever waits gives up, this is dropped, and with it the place.
        let held = Held {
            state: Arc::clone(state),
            offer: Arc::clone(&offer),
            place,
        };
        let overdue = Overdue::from(&offer, outgoing.asked.deadline);
        let attempt = attempt(state, &outgoing, &offer, link, held.place.as_ref()).await;
        overdue.ended();
        drop(held);
        tried.push(offer.provider.clone());
        match attempt {
            Attempt::Ended(outcome) => return *outcome,
            // Once is enough: a second failure is the answer.
            Attempt::NotRun | Attempt::Lost if tried.len() > 1 => {
                return Err(match attempt {
                    Attempt::Lost => CallError::provider_lost(true),
                    _ => no_provider(outgoing.entry.id()),
                });
            }
            Attempt::NotRun | Attempt::Lost => {
                let lost = matches!(attempt, Attempt::Lost);
                current = again(state, &outgoing, &tried, lost).await?;
                if outgoing.recorded {
                    let note = Map::from_iter([("attempt".to_owned(), json!(tried.len() + 1))]);
                    state.recorder.patch(&outgoing.live.key, note);
                }
            }
        }
    }
}

/// Another provider, now; else the same one when it is back.
async fn again(
    state: &Arc<State>,
    outgoing: &Outgoing<'_>,
    tried: &[ProviderId],
    lost: bool,
) -> Result<(Arc<Offer>, Option<Place>), CallError> {
    let refused = || {
        if lost {
            CallError::provider_lost(true)
        } else {
            no_provider(outgoing.entry.id())
        }
    };
    match choose(state, &outgoing.asked, tried) {
        Ok(Choice::Route(Route::Provider(offer, place))) => return Ok((offer, place)),
        Ok(Choice::Route(Route::Own)) => return Err(refused()),
        Ok(Choice::Wait) | Err(_) => {}
    }
    if !lost {
        return Err(refused());
    }
    // Nobody else: the same spoke may be back in its grace.
    let grace = state.config().spokes.resume_grace;
    let until = Instant::now() + grace;
    while Instant::now() < until {
        match choose(state, &outgoing.asked, &[]) {
            Ok(Choice::Route(Route::Provider(offer, place))) => return Ok((offer, place)),
            Ok(Choice::Wait) => match wait(state, &outgoing.asked).await? {
                Route::Provider(offer, place) => return Ok((offer, place)),
                Route::Own => return Err(refused()),
            },
            _ => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
    Err(refused())
}

/// Gives back the place of a choice that comes to nothing.
pub(crate) fn give_back(state: &State, choice: Result<Choice, CallError>) {
    if let Ok(Choice::Route(Route::Provider(offer, place))) = choice {
        release(state, &offer, place);
    }
}

/// Gives the place back, and lets somebody who waits for it know.
pub(crate) fn release(state: &State, offer: &Offer, place: Option<Place>) {
    drop(place);
    if !state.queue.is_empty() {
        let provider = &offer.provider;
        state.queue.wake(|operation| {
            state
                .providers
                .of(operation)
                .iter()
                .any(|other| &other.provider == provider)
        });
    }
}

async fn attempt(
    state: &Arc<State>,
    outgoing: &Outgoing<'_>,
    offer: &Offer,
    link: &Arc<SpokeLink>,
    place: Option<&Place>,
) -> Attempt {
    let request = match request_of(outgoing) {
        Ok(request) => request,
        Err(error) => return Attempt::Ended(Box::new(Err(error))),
    };
    // Sent under the lock of the live calls: an abort finds it either sent or not begun.
    let sent = state.live.run(
        &outgoing.live.key,
        Executor::Spoke(Arc::clone(link)),
        || link.map.call(request),
    );
    let call = match sent {
        Ok(call) => call,
        Err(ended) => return Attempt::Ended(Box::new(Err(not_begun(outgoing.live, &ended)))),
    };
    let idempotent = outgoing.entry.spec().idempotent();
    let outcome = tokio::select! {
        biased;
        outcome = call => outcome,
        () = link.lost(), if idempotent => {
            offer.breaker.failed(Instant::now());
            return Attempt::Lost;
        }
    };
    match &outcome {
        Err(error) if error.code == ErrorCode::PROVIDER_LOST => {
            offer.breaker.failed(Instant::now());
            let started = error
                .details
                .as_ref()
                .and_then(|details| details["started"].as_bool());
            if started == Some(false) {
                return Attempt::NotRun;
            }
            return Attempt::Ended(Box::new(outcome));
        }
        Err(error) if error.code == ErrorCode::TIMEOUT => offer.breaker.failed(Instant::now()),
        _ => {
            offer.breaker.answered();
            if let Some(place) = place {
                place.answered();
            }
        }
    }
    match answered(outgoing.entry, offer, outcome) {
        Some(outcome) => Attempt::Ended(Box::new(outcome)),
        None => {
            let name = outgoing.entry.id().to_string();
            state
                .providers
                .withdraw(&offer.provider, Some(std::slice::from_ref(&name)));
            Attempt::NotRun
        }
    }
}

/// What a provider's answer means; none when it does not offer the operation any more.
fn answered(entry: &Entry, offer: &Offer, outcome: Result<Envelope, CallError>) -> Option<Outcome> {
    let provider = offer.provider.described();
    match outcome {
        Ok(envelope) => Some(
            from_provider(
                envelope,
                entry.id(),
                None,
                alkhub_operations::envelope::now_ms(),
            )
            .and_then(|envelope| entry.validate_output(envelope))
            .map(|mut envelope| {
                envelope.meta.provider = Some(provider);
                envelope
            }),
        ),
        // The map's own: nobody at the provider has said so.
        Err(error) if error.code == ErrorCode::PROVIDER_LOST => Some(Err(error)),
        Err(error) if error.code == ErrorCode::OUTPUT_INVALID => Some(Err(error)),
        Err(error) if for_its_consumer(&error) => Some(Err(error)),
        Err(error) => {
            let declared = &entry.spec().error_schemas;
            match map_foreign_error(error, declared, &provider, false).outcome {
                ForeignOutcome::Answer(error) => Some(Err(error)),
                ForeignOutcome::NotOffered => None,
            }
        }
    }
}

/// True for the end of a stream whose consumer took nothing: the provider has no part in it.
fn for_its_consumer(error: &CallError) -> bool {
    error.code == ErrorCode::ABORTED
        && error
            .details
            .as_ref()
            .is_some_and(|details| details["by"] == "hub" && details["reason"] == "slow_consumer")
}

fn not_begun(live: &LiveCall, ended: &Ended) -> CallError {
    match ended {
        Ended::Aborted(stop) => aborted(&live.key, stop),
        _ => CallError::timeout(&live.key),
    }
}

fn request_of(outgoing: &Outgoing<'_>) -> Result<Request, CallError> {
    let id = |key: &str| RequestId::new(key).map_err(|error| CallError::internal(&error));
    let operation = outgoing.entry.id().as_str();
    let mut request =
        Request::new(operation, outgoing.input.clone()).with_id(id(&outgoing.live.key)?);
    if let Some(parent) = &outgoing.live.parent {
        request.parent_request_id = Some(id(parent)?);
    }
    if !outgoing.unbounded {
        request.timeout = Some(
            outgoing
                .asked
                .deadline
                .saturating_duration_since(Instant::now()),
        );
    }
    request.idle_timeout = outgoing.idle_timeout;
    request.resume_after = outgoing.resume_after;
    request.identity = outgoing
        .asked
        .principal
        .map(|principal| identity_for(principal, outgoing.entry));
    request.metadata.clone_from(&outgoing.metadata);
    request.progress.clone_from(&outgoing.progress);
    Ok(request)
}

/// What a provider learns of the caller: who it is, and of its rights what the operation asks for.
fn identity_for(principal: &Principal, entry: &Entry) -> Identity {
    let control = &entry.spec().access_control;
    let mut identity = principal.identity();
    identity.scopes.retain(|scope| {
        control.required_scopes.contains(scope) || control.required_scopes_any.contains(scope)
    });
    match &control.resource {
        Some(resource) => {
            let prefix = format!("{}:", resource.kind);
            identity
                .resources
                .retain(|name, _| name.starts_with(&prefix));
        }
        None => identity.resources.clear(),
    }
    identity
}

/// Starts a subscription on a spoke. Each item is checked; the first bad one ends it.
///
/// # Errors
/// When it cannot be sent.
pub(crate) fn stream_on_spoke(
    state: &Arc<State>,
    outgoing: &Outgoing<'_>,
    offer: Arc<Offer>,
    place: Option<Place>,
) -> Result<EnvelopeStream, CallError> {
    let Reach::Spoke(link) = &offer.reach else {
        return Err(no_provider(outgoing.entry.id()));
    };
    let request = request_of(outgoing)?;
    let items = state
        .live
        .run(
            &outgoing.live.key,
            Executor::Spoke(Arc::clone(link)),
            || link.map.subscribe(request),
        )
        .map_err(|ended| not_begun(outgoing.live, &ended))?;
    let entry = Arc::clone(outgoing.entry);
    // The place is taken until the stream ends.
    let held = Held {
        state: Arc::clone(state),
        offer,
        place,
    };
    Ok(items
        .map(move |item| {
            let offer = &held.offer;
            match &item {
                Err(error) if error.code == ErrorCode::PROVIDER_LOST => {
                    offer.breaker.failed(Instant::now());
                }
                _ => offer.breaker.answered(),
            }
            answered(&entry, offer, item).unwrap_or_else(|| Err(no_provider(entry.id())))
        })
        .boxed())
}

/// A place that is given back when this is dropped.
struct Held {
    state: Arc<State>,
    offer: Arc<Offer>,
    place: Option<Place>,
}

impl Drop for Held {
    fn drop(&mut self) {
        release(&self.state, &self.offer, self.place.take());
    }
}

/// Tells the breaker when a call is given up because its time is over: nobody may be left then to hear
/// the provider's side of it.
struct Overdue {
    offer: Arc<Offer>,
    deadline: Instant,
    ended: bool,
}

impl Overdue {
    fn from(offer: &Arc<Offer>, deadline: Instant) -> Self {
        Self {
            offer: Arc::clone(offer),
            deadline,
            ended: false,
        }
    }

    fn ended(mut self) {
        self.ended = true;
    }
}

impl Drop for Overdue {
    fn drop(&mut self) {
        let now = Instant::now();
        if !self.ended && now >= self.deadline {
            self.offer.breaker.failed(now);
        }
    }
}

/// Calls a service from this process.
///
/// # Errors
/// As [`on_spoke`], without the loss of a connection.
pub(crate) async fn at_service(
    entry: &Entry,
    service: &Entry,
    input: Value,
    context: &Context,
    offer: &Arc<Offer>,
    deadline: Instant,
) -> Outcome {
    let overdue = Overdue::from(offer, deadline);
    let outcome = service.run(input, context).await;
    overdue.ended();
    match &outcome {
        Err(error) if unreachable_service(error) => {
            offer.breaker.failed(Instant::now());
        }
        _ => offer.breaker.answered(),
    }
    answered(entry, offer, outcome).unwrap_or_else(|| Err(no_provider(entry.id())))
}

/// Starts a stream of a service from this process.
///
/// # Errors
/// What refuses it before the first item.
pub(crate) fn stream_at_service(
    entry: &Arc<Entry>,
    service: &Arc<Entry>,
    input: Value,
    context: &Context,
    offer: Arc<Offer>,
) -> Result<EnvelopeStream, CallError> {
    let entry = Arc::clone(entry);
    Ok(service
        .stream(input, context)?
        .map(move |item| {
            answered(&entry, &offer, item).unwrap_or_else(|| Err(no_provider(entry.id())))
        })
        .boxed())
}

/// True when the service was not reached, as against one that answered with an error.
fn unreachable_service(error: &CallError) -> bool {
    error.code == ErrorCode::TIMEOUT
        || error
            .details
            .as_ref()
            .and_then(|details| details.get("reason")?.as_str())
            .is_some_and(|reason| matches!(reason, "dns" | "connect" | "tls" | "closed"))
}
