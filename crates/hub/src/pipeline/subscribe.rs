//! Subscriptions: the same stages as a call, then items until the end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use alkhub_operations::context::EnvelopeStream;
use alkhub_operations::{AbortBy, CallError, ErrorCode, RequestId};
use alkhub_storage::enums::CallStatus;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use serde_json::json;
use tokio::time::Interval;

use super::admit::admit;
use super::record::{self, Beginning, Begins};
use super::{Admitted, CallRequest, Failure, Inside, context_of, serve};
use crate::Hub;
use crate::abort;
use crate::auth::{Authentication, Credential};
use crate::authorize;
use crate::dispatch::{self, Choice, Route};
use crate::error::unavailable;
use crate::live::{Policy, Stop, Top};
use crate::providers::Reach;
use crate::repeats::{Fingerprint, Outcome};
use crate::state::State;

/// How often a running subscription looks whether its caller may still have it.
const RECHECK: Duration = Duration::from_secs(1);

/// Items of a subscription under way.
pub struct Subscription {
    /// The id it is recorded under.
    pub request_id: RequestId,
    /// The items; an error is the last one. Dropping the stream ends the subscription.
    pub items: BoxStream<'static, Outcome>,
    /// The successor of the key that was used, when it was rotated.
    pub rotated_to: Option<String>,
    /// It goes on behind what its items call themselves (`id` or `seq`), not behind their number.
    pub named_items: bool,
}

impl Hub {
    /// Starts a subscription for one caller, or says why not. Every check comes before the first item.
    ///
    /// # Errors
    /// [`Failure`] with the code of the stage that refused it.
    pub async fn subscribe(&self, request: CallRequest) -> Result<Subscription, Failure> {
        subscribe(&self.state, request, Inside::default()).await
    }
}

/// Starts a subscription, made somewhere inside the hub or by a surface.
pub(crate) async fn subscribe(
    state: &Arc<State>,
    request: CallRequest,
    inside: Inside,
) -> Result<Subscription, Failure> {
    let own_id = request.request_id.clone().unwrap_or_else(RequestId::random);
    let mut refused = Failure::of(own_id);
    let admitted = match admit(state, request, inside, &mut refused).await {
        Ok(admitted) => admitted,
        Err(error) => return Err(refused.because(error)),
    };
    let named_items = admitted
        .entry
        .spec()
        .input_schema
        .property("since")
        .is_some();
    match start(state, admitted).await {
        Ok(items) => Ok(Subscription {
            request_id: refused.request_id,
            items,
            rotated_to: refused.rotated_to,
            named_items,
        }),
        Err(error) => Err(refused.because(error)),
    }
}

async fn start(
    state: &Arc<State>,
    mut admitted: Admitted,
) -> Result<BoxStream<'static, Outcome>, CallError> {
    let id = admitted.entry.id().as_str();
    let operation = state
        .providers
        .row(id)
        .ok_or_else(|| CallError::operation_not_found(id))?;
    let fingerprint = record::fingerprint(state, &admitted, &operation);
    state.live.enter(Arc::clone(&admitted.live))?;
    let open = OpenCall {
        state: Arc::clone(state),
        key: admitted.live.key.clone(),
    };
    let choice = dispatch::choose(state, &admitted.asked(), &[]);
    let recorded = admitted.live.recorded;
    if recorded {
        match record::begin(state, &admitted, &fingerprint, Begins::of(&choice)).await? {
            Beginning::New => {}
            // A subscription is recorded or refused; only queries run without.
            Beginning::Unrecorded => return Err(unavailable("the disk is full", "disk_full")),
            // Its items are not kept, so they cannot be given again.
            Beginning::Existing => {
                let message = "this request id was used before; a subscription is not repeated";
                return Err(CallError::conflict("request_id", message));
            }
        }
    }
    let items = match open_stream(state, &mut admitted, choice, recorded).await {
        Ok(items) => items,
        Err(error) => {
            let outcome = serve::settle_outcome(state, &admitted, Err(error));
            // The outcome is the error itself, whether or not its record was written.
            return Err(finish(state, &admitted, &fingerprint, outcome).await);
        }
    };
    open.keep();
    let mut recheck = tokio::time::interval_at((Instant::now() + RECHECK).into(), RECHECK);
    recheck.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let running = Running {
        items,
        recheck,
        count: 0,
        record: Some(OpenRecord {
            state: Arc::clone(state),
            admitted: Arc::new(admitted),
            fingerprint,
            open: true,
        }),
    };
    Ok(stream::unfold(running, |mut running| async {
        let item = running.next().await?;
        Some((item, running))
    })
    .boxed())
}

/// Finds who gives the items and lets it begin.
async fn open_stream(
    state: &Arc<State>,
    admitted: &mut Admitted,
    choice: Result<Choice, CallError>,
    recorded: bool,
) -> Result<EnvelopeStream, CallError> {
    let route = match choice? {
        Choice::Route(route) => route,
        Choice::Wait => {
            let asked = admitted.asked();
            let waited = dispatch::wait(state, &asked);
            let route = tokio::time::timeout_at(admitted.deadline.into(), waited)
                .await
                .map_err(|_late| serve::timed_out(admitted))??;
            if recorded {
                let offer = match &route {
                    Route::Provider(offer, _) => Some(&**offer),
                    Route::Own => None,
                };
                record::running(state, admitted, offer).await?;
            }
            route
        }
    };
    let mut context = context_of(state, admitted);
    if let Some(deadline) = admitted.live.deadline {
        context = context.with_deadline(deadline);
    }
    match route {
        Route::Own => {
            serve::begin_here(state, admitted)?;
            let input = std::mem::take(&mut admitted.input);
            admitted.entry.stream(input, &context)
        }
        Route::Provider(offer, place) => match &offer.reach {
            Reach::Spoke(_) => {
                let outgoing = serve::outgoing(admitted, recorded);
                dispatch::stream_on_spoke(state, &outgoing, offer, place)
            }
            Reach::Service(service) => {
                serve::begin_here(state, admitted)?;
                let service = Arc::clone(service);
                let input = std::mem::take(&mut admitted.input);
                dispatch::stream_at_service(&admitted.entry, &service, input, &context, offer)
            }
            Reach::Away => Err(dispatch::no_provider(admitted.entry.id())),
        },
    }
}

/// Takes the call out of the live ones when it never got as far as a stream.
struct OpenCall {
    state: Arc<State>,
    key: String,
}

impl OpenCall {
    /// The stream exists: it ends the call.
    fn keep(mut self) {
        self.key.clear();
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        if !self.key.is_empty() {
            self.state.live.finish(&self.key, CallStatus::Failed);
            self.state.live.settle(&self.key);
        }
    }
}

struct Running {
    items: EnvelopeStream,
    recheck: Interval,
    count: u64,
    /// Gone once the end is recorded.
    record: Option<OpenRecord>,
}

impl Running {
    async fn next(&mut self) -> Option<Outcome> {
        let record = self.record.as_ref()?;
        let (state, admitted) = (Arc::clone(&record.state), Arc::clone(&record.admitted));
        let token = admitted.live.token.clone();
        loop {
            let item = tokio::select! {
                biased;
                () = token.cancelled() => {
                    Some(Err(CallError::aborted(&admitted.live.key, AbortBy::Hub)))
                }
                () = overdue(admitted.live.deadline) => {
                    let collected = state.live.time_out(&admitted.live.key, Instant::now());
                    abort::follow(&state, collected);
                    Some(Err(serve::timed_out(&admitted)))
                }
                item = self.items.next() => item,
                _ = self.recheck.tick() => {
                    match still_allowed(&state, &admitted).await {
                        Ok(()) => continue,
                        Err(error) => Some(Err(error)),
                    }
                }
            };
            return match item {
                Some(Ok(envelope)) => {
                    self.count += 1;
                    Some(Ok(envelope))
                }
                Some(Err(error)) => {
                    let outcome = serve::settle_outcome(&state, &admitted, Err(error));
                    self.end(outcome.clone()).await;
                    Some(outcome)
                }
                None => {
                    let count = alkhub_operations::Envelope::local(
                        json!({ "items": self.count }),
                        admitted.entry.id(),
                    );
                    // Aborted at the last moment: then that is its end, for the consumer as well.
                    let outcome = serve::settle_outcome(&state, &admitted, Ok(count));
                    self.end(outcome.clone()).await;
                    outcome.err().map(Err)
                }
            };
        }
    }

    async fn end(&mut self, outcome: Outcome) {
        if let Some(open) = self.record.take() {
            open.end(outcome).await;
        }
    }
}

/// A record that is still `running`; dropped so, it is ended as aborted by the caller.
struct OpenRecord {
    state: Arc<State>,
    admitted: Arc<Admitted>,
    fingerprint: Fingerprint,
    open: bool,
}

impl OpenRecord {
    async fn end(mut self, outcome: Outcome) {
        self.open = false;
        let (state, admitted) = (Arc::clone(&self.state), Arc::clone(&self.admitted));
        finish(&state, &admitted, &self.fingerprint, outcome).await;
    }
}

impl Drop for OpenRecord {
    fn drop(&mut self) {
        if !self.open {
            return;
        }
        let (state, admitted) = (Arc::clone(&self.state), Arc::clone(&self.admitted));
        let fingerprint = self.fingerprint.clone();
        let stop = Stop {
            by: AbortBy::Caller,
            reason: None,
        };
        let key = &admitted.live.key;
        let collected = state
            .live
            .stop(key, Top::Abort, &stop, Policy::AbortDependents);
        abort::follow(&state, collected);
        let end = async move {
            let left = CallError::aborted(&admitted.live.key, AbortBy::Caller);
            let outcome = serve::settle_outcome(&state, &admitted, Err(left));
            finish(&state, &admitted, &fingerprint, outcome).await;
        };
        // A stream is dropped where nothing can be awaited; the tracker lets a stop wait for it.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            self.state.running.spawn_on(end, &runtime);
        }
    }
}

/// Records the end and takes the call out of the live ones; gives the error it ended with.
async fn finish(
    state: &Arc<State>,
    admitted: &Admitted,
    fingerprint: &Fingerprint,
    outcome: Outcome,
) -> CallError {
    let ended = if admitted.live.recorded {
        record::end(state, admitted, fingerprint, outcome).await
    } else {
        outcome
    };
    state.live.settle(&admitted.live.key);
    match ended {
        Ok(_) => CallError::new(ErrorCode::ABORTED, "the subscription did not begin"),
        Err(error) => {
            if error.code == ErrorCode::UNAVAILABLE {
                tracing::warn!(request_id = %admitted.request_id, "the end of a subscription waits to be recorded");
            }
            error
        }
    }
}

async fn overdue(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

/// The caller's rights may go while the subscription runs: key revoked, account suspended, scope
/// removed.
async fn still_allowed(state: &State, admitted: &Admitted) -> Result<(), CallError> {
    if state.draining() {
        return Err(unavailable("the hub is shutting down", "shutting_down"));
    }
    if admitted.principal.is_none() {
        return Ok(());
    }
    let denied = || CallError::access_denied("the right to this subscription has ended");
    let credential = &admitted.live.credential;
    if matches!(credential, Credential::None) {
        // Made inside of another call: it ends with that one.
        return Ok(());
    }
    match state.authenticator.authenticate(credential).await {
        Ok(Authentication::Accepted(principal)) => {
            authorize::authorize(state, &principal, &admitted.entry, &admitted.input)
                .map_err(|_gone| denied())
        }
        Ok(Authentication::Refused { .. } | Authentication::Inactive(_)) => Err(denied()),
        // The database is away for a moment; the next look decides.
        Err(_unavailable) => Ok(()),
    }
}
