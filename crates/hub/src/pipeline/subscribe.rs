//! Subscriptions: the same stages as a call, then items until the end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use alkhub_operations::{CallError, Caller, Context, EnvelopeStream, ErrorCode, RequestId};
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use serde_json::json;
use tokio::time::Interval;

use super::record::{self, Beginning};
use super::{Admitted, CallRequest, Failure, admit, host_of};
use crate::Hub;
use crate::auth::{Authentication, Credential};
use crate::authorize;
use crate::error::unavailable;
use crate::repeats::Outcome;
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
}

impl Hub {
    /// Starts a subscription for one caller, or says why not. Every check comes before the first item.
    ///
    /// # Errors
    /// [`Failure`] with the code of the stage that refused it.
    pub async fn subscribe(&self, request: CallRequest) -> Result<Subscription, Failure> {
        let state = &self.state;
        let credential = request.credential.clone();
        let bounded = request.timeout.is_some();
        let own_id = request.request_id.clone().unwrap_or_else(RequestId::random);
        let mut refused = Failure::of(own_id);
        let admitted = match admit(state, request, &mut refused).await {
            Ok(admitted) => admitted,
            Err(error) => return Err(refused.because(error)),
        };
        match start(state, admitted, credential, bounded).await {
            Ok(items) => Ok(Subscription {
                request_id: refused.request_id,
                items,
                rotated_to: refused.rotated_to,
            }),
            Err(error) => Err(refused.because(error)),
        }
    }
}

async fn start(
    state: &Arc<State>,
    admitted: Admitted,
    credential: Credential,
    bounded: bool,
) -> Result<BoxStream<'static, Outcome>, CallError> {
    let id = admitted.entry.id().as_str();
    let operation = state
        .operation_rows
        .get(id)
        .ok_or_else(|| CallError::operation_not_found(id))?;
    let fingerprint = record::fingerprint(state, &admitted, operation);
    match record::begin(state, &admitted, &fingerprint).await? {
        Beginning::New => {}
        // A subscription is recorded or refused; only queries run without.
        Beginning::Unrecorded => return Err(unavailable("the disk is full", "disk_full")),
        // Its items are not kept, so they cannot be given again.
        Beginning::Existing => {
            let message = "this request id was used before; a subscription is not repeated";
            return Err(CallError::conflict("request_id", message));
        }
    }
    let caller = match &admitted.principal {
        Some(principal) => Caller::Identity(principal.identity()),
        None => Caller::Anonymous,
    };
    let mut context =
        Context::new(admitted.request_id.clone(), caller).with_host(host_of(state, &admitted));
    if bounded {
        context = context.with_deadline(admitted.deadline);
    }
    let items = match admitted.entry.stream(admitted.input.clone(), &context) {
        Ok(items) => items,
        Err(error) => {
            // The outcome is the error itself, whether or not its record was written.
            return Err(record::end(state, &admitted, Err(error))
                .await
                .err()
                .unwrap_or_else(|| {
                    CallError::new(ErrorCode::ABORTED, "the subscription did not begin")
                }));
        }
    };
    let mut recheck = tokio::time::interval_at((Instant::now() + RECHECK).into(), RECHECK);
    recheck.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let running = Running {
        items,
        recheck,
        credential,
        count: 0,
        record: Some(OpenRecord {
            state: Arc::clone(state),
            admitted: Arc::new(admitted),
            open: true,
        }),
    };
    Ok(stream::unfold(running, |mut running| async {
        let item = running.next().await?;
        Some((item, running))
    })
    .boxed())
}

struct Running {
    items: EnvelopeStream,
    recheck: Interval,
    credential: Credential,
    count: u64,
    /// Gone once the end is recorded.
    record: Option<OpenRecord>,
}

impl Running {
    async fn next(&mut self) -> Option<Outcome> {
        let record = self.record.as_ref()?;
        let (state, admitted) = (Arc::clone(&record.state), Arc::clone(&record.admitted));
        loop {
            let item = tokio::select! {
                item = self.items.next() => item,
                _ = self.recheck.tick() => {
                    match still_allowed(&state, &admitted, &self.credential).await {
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
                    self.end(Err(error.clone())).await;
                    Some(Err(error))
                }
                None => {
                    let count = alkhub_operations::Envelope::local(
                        json!({ "items": self.count }),
                        admitted.entry.id(),
                    );
                    self.end(Ok(count)).await;
                    None
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
    open: bool,
}

impl OpenRecord {
    async fn end(mut self, outcome: Outcome) {
        self.open = false;
        finish(Arc::clone(&self.state), Arc::clone(&self.admitted), outcome).await;
    }
}

impl Drop for OpenRecord {
    fn drop(&mut self) {
        if !self.open {
            return;
        }
        let error = CallError::new(ErrorCode::ABORTED, "the caller left")
            .with_details(json!({ "by": "caller" }));
        let end = finish(
            Arc::clone(&self.state),
            Arc::clone(&self.admitted),
            Err(error),
        );
        // A stream is dropped where nothing can be awaited; the tracker lets a stop wait for it.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            self.state.running.spawn_on(end, &runtime);
        }
    }
}

async fn finish(state: Arc<State>, admitted: Arc<Admitted>, outcome: Outcome) {
    if let Err(error) = record::end(&state, &admitted, outcome).await
        && error.code == ErrorCode::UNAVAILABLE
    {
        tracing::warn!(request_id = %admitted.request_id, "the end of a subscription waits to be recorded");
    }
}

/// The caller's rights may go while the subscription runs: key revoked, account suspended, scope
/// removed.
async fn still_allowed(
    state: &State,
    admitted: &Admitted,
    credential: &Credential,
) -> Result<(), CallError> {
    if state.draining() {
        return Err(unavailable("the hub is shutting down", "shutting_down"));
    }
    if admitted.principal.is_none() {
        return Ok(());
    }
    let denied = || CallError::access_denied("the right to this subscription has ended");
    match state.authenticator.authenticate(credential).await {
        Ok(Authentication::Accepted(principal)) => {
            authorize::authorize(&principal, &admitted.entry, &admitted.input)
                .map_err(|_gone| denied())
        }
        Ok(Authentication::Refused { .. } | Authentication::Inactive(_)) => Err(denied()),
        // The database is away for a moment; the next look decides.
        Err(_unavailable) => Ok(()),
    }
}
