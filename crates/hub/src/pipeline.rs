//! The one way in: every call of every surface goes through [`Hub::call`], in this order.
//!
//! ```text
//! authenticate → resolve → authorize → validate input → limits → record
//!    → dispatch → validate output → record the end → answer
//! ```
//!
//! Up to the limits nothing is recorded: nothing began, and bad input may hold anything. From the record
//! on the call runs in a task of its own, so that a caller who hangs up changes nothing about it.

mod record;
mod subscribe;
mod texts;

use std::sync::Arc;
use std::time::{Duration, Instant};

pub use alkhub_operations::Expected;
use alkhub_operations::record::is_large;
use alkhub_operations::{
    CallError, Caller, Context, Entry, Envelope, ErrorCode, OperationType, RecordPolicy, RequestId,
    coerce_query,
};
use serde_json::{Value, json};
pub use subscribe::Subscription;

use crate::Hub;
use crate::audit::{Action, Actor};
use crate::auth::{self, Authentication, Credential, Origin, Principal};
use crate::authorize;
use crate::error::unavailable;
use crate::limits::{Concurrency, InFlight, Rate};
use crate::memory;
use crate::notices::Notice;
use crate::repeats::{Announce, Entered, Outcome};
use crate::state::{Host, State};

/// A call as a surface hands it in.
#[derive(Debug, Clone)]
pub struct CallRequest {
    /// Full name of the operation, `task.create`.
    pub operation: String,
    /// The input, as JSON or as the parameters of a query string.
    pub input: CallInput,
    /// What the caller showed to say who they are.
    pub credential: Credential,
    /// The caller's own id for the call, a UUID.
    pub request_id: Option<RequestId>,
    /// The caller's idempotency key; it becomes a request id of the account and wins over one.
    pub idempotency_key: Option<String>,
    /// How long the caller wants to wait at most.
    pub timeout: Option<Duration>,
    /// Where the call came from.
    pub origin: Origin,
    /// Which kinds of operation the surface can serve this way.
    pub expected: Expected,
}

/// The input of a call.
#[derive(Debug, Clone)]
pub enum CallInput {
    /// A JSON document.
    Json(Value),
    /// Names and texts, coerced by the operation's schema.
    Query(Vec<(String, String)>),
}

/// A successful call.
#[derive(Debug)]
pub struct Answer {
    /// The id the call is recorded under.
    pub request_id: RequestId,
    /// The output with its metadata.
    pub envelope: Envelope,
    /// True when this is the answer of an earlier call with the same id.
    pub replayed: bool,
    /// The successor of the key that was used, when it was rotated.
    pub rotated_to: Option<String>,
}

/// A call that was refused or failed.
#[derive(Debug)]
pub struct Failure {
    /// The id the call is recorded under, or would have been.
    pub request_id: RequestId,
    /// Why.
    pub error: CallError,
    /// The HTTP status the operation declares for the error's code, if it declares one.
    pub declared_status: Option<u16>,
    /// What the operation is, when the surface cannot serve that kind.
    pub actual_kind: Option<OperationType>,
    /// True when this is the answer of an earlier call with the same id.
    pub replayed: bool,
    /// The successor of the key that was used, when it was rotated.
    pub rotated_to: Option<String>,
}

/// A call that passed every check and waits to be recorded.
struct Admitted {
    entry: Arc<Entry>,
    principal: Option<Arc<Principal>>,
    input: Value,
    request_id: RequestId,
    /// True when the caller chose the id, so that it may be a repetition.
    chosen_id: bool,
    deadline: Instant,
    origin: Origin,
    _in_flight: Option<InFlight>,
}

impl Hub {
    /// Runs one operation for one caller, or says why not.
    ///
    /// # Errors
    /// [`Failure`] with the code of the stage that refused the call or of the handler that failed.
    pub async fn call(&self, request: CallRequest) -> Result<Answer, Failure> {
        let state = &self.state;
        let own_id = request.request_id.clone().unwrap_or_else(RequestId::random);
        let mut refused = Failure::of(own_id);
        let admitted = match admit(state, request, &mut refused).await {
            Ok(admitted) => admitted,
            Err(error) => return Err(refused.because(error)),
        };
        let mut failure = Failure {
            request_id: admitted.request_id.clone(),
            ..refused
        };
        let entry = Arc::clone(&admitted.entry);
        let (outcome, replayed) = serve(state, admitted).await;
        match outcome {
            Ok(envelope) => Ok(Answer {
                request_id: failure.request_id,
                envelope,
                replayed,
                rotated_to: failure.rotated_to,
            }),
            Err(error) => {
                failure.replayed = replayed;
                failure.declared_status = entry
                    .spec()
                    .error(&error.code)
                    .and_then(|declared| declared.http_status);
                Err(failure.because(error))
            }
        }
    }

    /// Finds who stands behind a credential, as the first stage of a call does.
    ///
    /// # Errors
    /// `UNAUTHENTICATED`, `ACCOUNT_INACTIVE`, `RATE_LIMITED`, `UNAVAILABLE`.
    pub async fn authenticate(
        &self,
        credential: &Credential,
        origin: &Origin,
    ) -> Result<Arc<Principal>, CallError> {
        authenticate(&self.state, credential, origin).await
    }
}

impl Failure {
    fn of(request_id: RequestId) -> Self {
        Self {
            request_id,
            error: CallError::new(ErrorCode::UNKNOWN_ERROR, ""),
            declared_status: None,
            actual_kind: None,
            replayed: false,
            rotated_to: None,
        }
    }

    fn because(self, error: CallError) -> Self {
        Self { error, ..self }
    }
}

/// The stages before the record. What is learnt on the way that a refusal tells as well goes into
/// `refused`.
async fn admit(
    state: &Arc<State>,
    request: CallRequest,
    refused: &mut Failure,
) -> Result<Admitted, CallError> {
    let entry = state.registry.get(&request.operation);
    let open = entry.as_ref().is_some_and(|entry| entry.is_open());
    if state.draining() && !open {
        return Err(unavailable("the hub is shutting down", "shutting_down"));
    }
    let principal = if open {
        None
    } else {
        Some(authenticate(state, &request.credential, &request.origin).await?)
    };
    if let Some(principal) = &principal {
        refused.rotated_to = principal
            .key
            .rotated_to_id
            .as_ref()
            .map(ToString::to_string);
        state
            .limits
            .take(&principal.key.id, rate_of(state, principal))?;
    }
    let (request_id, chosen_id) = choose_id(&request, principal.as_deref(), &refused.request_id)?;
    refused.request_id = request_id.clone();

    let entry = entry
        .filter(|entry| {
            principal
                .as_ref()
                .is_none_or(|principal| authorize::may_see(principal, entry))
        })
        .ok_or_else(|| CallError::operation_not_found(&request.operation))?;
    entry.check_kind(request.expected).inspect_err(|_refused| {
        refused.actual_kind = Some(entry.spec().kind);
    })?;
    let input = match request.input {
        CallInput::Json(input) => input,
        CallInput::Query(pairs) => coerce_query(&entry.spec().input_schema, &pairs),
    };
    if let Some(principal) = &principal {
        authorize::authorize(principal, &entry, &input)
            .inspect_err(|error| notice_denial(state, principal, &request.origin, &entry, error))?;
    }
    entry.validate_input(&input)?;
    texts::check(entry.spec().kind, &input)?;

    let in_flight = match &principal {
        Some(principal) => {
            let limits = &state.config().limits;
            let allowed = Concurrency {
                per_key: limits.concurrency,
                per_account: limits.account_concurrency,
            };
            Some(
                state
                    .limits
                    .enter(&principal.key.id, &principal.account.id, allowed)?,
            )
        }
        None => None,
    };
    let deadline = Instant::now() + time_allowed(state, &entry, request.timeout)?;
    Ok(Admitted {
        entry,
        principal,
        input,
        request_id,
        chosen_id,
        deadline,
        origin: request.origin,
        _in_flight: in_flight,
    })
}

async fn authenticate(
    state: &State,
    credential: &Credential,
    origin: &Origin,
) -> Result<Arc<Principal>, CallError> {
    state.limits.admit_address(origin.ip)?;
    match state.authenticator.authenticate(credential).await? {
        Authentication::Accepted(principal) => {
            state.last_used.note(&principal.key.id, chrono::Utc::now());
            Ok(principal)
        }
        Authentication::Inactive(principal) => {
            state.notices.give(Notice {
                action: Action::AuthRefusedInactive,
                subject: principal.key.id.to_string(),
                actor: actor_of(&principal, origin, None),
                reason: principal.account.status.to_string(),
            });
            Err(auth::account_inactive(&principal))
        }
        Authentication::Refused { why, key_prefix } => {
            let ip = origin.ip.map(|ip| ip.to_string());
            tracing::debug!(reason = %why, ip, key_prefix, "a caller was not let in");
            // Nobody who merely forgot the key is treated as one who guesses keys.
            if why != auth::Refusal::Missing {
                state.limits.count_failed_attempt(origin.ip);
                let account = &state.hub_account;
                state.notices.give(Notice::of_stranger(
                    account,
                    origin,
                    key_prefix,
                    why.to_string(),
                ));
            }
            Err(auth::unauthenticated(why))
        }
    }
}

fn rate_of(state: &State, principal: &Principal) -> Rate {
    let limits = &state.config().limits;
    let general = Rate {
        per_second: limits.rate,
        burst: limits.burst,
    };
    // A key's own limit counts when it is the lower one.
    match principal.own_rate() {
        Some(own) if general.per_second == 0 || own < general.per_second => Rate {
            per_second: own,
            burst: own.max(1),
        },
        _ => general,
    }
}

fn choose_id(
    request: &CallRequest,
    principal: Option<&Principal>,
    own_id: &RequestId,
) -> Result<(RequestId, bool), CallError> {
    match (&request.idempotency_key, principal) {
        (Some(key), Some(principal)) => {
            RequestId::from_idempotency_key(principal.account.id.as_str(), key)
                .map(|id| (id, true))
                .map_err(|bad| CallError::validation_rule("idempotency_key", bad.to_string()))
        }
        _ => Ok((own_id.clone(), request.request_id.is_some())),
    }
}

fn time_allowed(
    state: &State,
    entry: &Entry,
    requested: Option<Duration>,
) -> Result<Duration, CallError> {
    let calls = &state.config().calls;
    let own = entry.spec().ext.timeout.unwrap_or(calls.deadline);
    let allowed = requested.unwrap_or(own).min(calls.max_deadline);
    if allowed.is_zero() {
        return Err(CallError::new(
            ErrorCode::TIMEOUT,
            "the deadline of the call has passed",
        ));
    }
    Ok(allowed)
}

fn notice_denial(
    state: &State,
    principal: &Principal,
    origin: &Origin,
    entry: &Entry,
    error: &CallError,
) {
    let operation = entry.id().to_string();
    state.notices.give(Notice {
        action: Action::AccessDenied,
        subject: format!("{} {operation}", principal.key.id),
        actor: actor_of(principal, origin, Some(operation)),
        reason: error.message.clone(),
    });
}

fn actor_of(principal: &Principal, origin: &Origin, operation: Option<String>) -> Actor {
    Actor {
        account: principal.account.id.clone(),
        key: Some(principal.key.id.clone()),
        key_prefix: Some(principal.key.key_prefix.clone()),
        operation,
        request_id: None,
        origin: origin.clone(),
    }
}

/// From the record on. Returns the outcome and whether it is that of an earlier call.
async fn serve(state: &Arc<State>, admitted: Admitted) -> (Outcome, bool) {
    if record_policy(&admitted.entry) == RecordPolicy::None {
        let outcome = spawn(state, run_unrecorded(Arc::clone(state), admitted)).await;
        return (outcome, false);
    }
    let Some(operation) = state.operation_rows.get(&admitted.entry.id().to_string()) else {
        let id = admitted.entry.id().to_string();
        return (Err(CallError::operation_not_found(&id)), false);
    };
    let fingerprint = record::fingerprint(state, &admitted, operation);
    if !admitted.chosen_id {
        let state_of_call = Arc::clone(state);
        let call = async move { run(state_of_call, admitted, fingerprint, None).await.0 };
        return (spawn(state, call).await, false);
    }
    let deadline = admitted.deadline;
    match state
        .repeats
        .enter(&admitted.request_id, fingerprint.clone())
    {
        Entered::Differs(error) => (Err(error), true),
        Entered::First(announce) => {
            let task = state.running.spawn(run(
                Arc::clone(state),
                admitted,
                fingerprint,
                Some(announce),
            ));
            task.await
                .unwrap_or_else(|died| (Err(crate::error::unforeseen(&died)), false))
        }
        Entered::Repeat(mut first) => {
            let waited = tokio::time::timeout_at(deadline.into(), first.wait_for(Option::is_some));
            let told = match waited.await {
                Ok(Ok(outcome)) => outcome.clone(),
                // The first asker's task ended without telling: its record says what is known.
                Ok(Err(_gone)) => None,
                Err(_late) => return (Err(timed_out()), true),
            };
            match told {
                Some(outcome) => (outcome, true),
                None => (
                    record::recorded_outcome(state, &admitted, &fingerprint, deadline).await,
                    true,
                ),
            }
        }
    }
}

/// Runs the call in a task of its own, so that it goes on when the caller hangs up.
async fn spawn(state: &State, call: impl Future<Output = Outcome> + Send + 'static) -> Outcome {
    state
        .running
        .spawn(call)
        .await
        .unwrap_or_else(|died| Err(crate::error::unforeseen(&died)))
}

/// Records the beginning, dispatches, records the end.
async fn run(
    state: Arc<State>,
    mut admitted: Admitted,
    fingerprint: crate::repeats::Fingerprint,
    announce: Option<Announce>,
) -> (Outcome, bool) {
    let (outcome, replayed) = match record::begin(&state, &admitted, &fingerprint).await {
        Ok(record::Beginning::New) => {
            let started = Instant::now();
            let outcome = dispatch(&state, &mut admitted, started).await;
            (record::end(&state, &admitted, outcome).await, false)
        }
        Ok(record::Beginning::Unrecorded) => {
            (dispatch(&state, &mut admitted, Instant::now()).await, false)
        }
        Ok(record::Beginning::Existing) => {
            let deadline = admitted.deadline;
            (
                record::recorded_outcome(&state, &admitted, &fingerprint, deadline).await,
                true,
            )
        }
        Err(error) => (Err(error), false),
    };
    if let Some(announce) = announce {
        announce.tell(&outcome);
    }
    (outcome, replayed)
}

async fn run_unrecorded(state: Arc<State>, mut admitted: Admitted) -> Outcome {
    dispatch(&state, &mut admitted, Instant::now()).await
}

/// Gives the input to the handler, for good: it may be as large as a directory, and what is recorded of
/// it has been written.
async fn dispatch(state: &Arc<State>, admitted: &mut Admitted, started: Instant) -> Outcome {
    let caller = match &admitted.principal {
        Some(principal) => Caller::Identity(principal.identity()),
        None => Caller::Anonymous,
    };
    let operation = admitted.entry.id().to_string();
    let context = Context::new(admitted.request_id.clone(), caller)
        .with_deadline(admitted.deadline)
        .with_host(host_of(state, admitted));
    let input = std::mem::take(&mut admitted.input);
    let large_input = is_large(&input);
    let outcome = match admitted.entry.run(input, &context).await {
        Ok(envelope) => admitted.entry.validate_output(envelope),
        Err(error) => Err(error),
    };
    if large_input
        || outcome
            .as_ref()
            .is_ok_and(|envelope| is_large(&envelope.data))
    {
        memory::give_back_soon();
    }
    let duration = started.elapsed();
    let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    log(admitted, &operation, &outcome, duration_ms);
    outcome.map(|mut envelope| {
        envelope.meta.request_id = Some(admitted.request_id.clone());
        envelope.meta.duration = Some(duration);
        envelope
    })
}

/// What handlers get beside the context of the operations crate.
fn host_of(state: &Arc<State>, admitted: &Admitted) -> Arc<Host> {
    Arc::new(Host {
        state: Arc::clone(state),
        principal: admitted.principal.clone(),
        origin: admitted.origin.clone(),
        operation: admitted.entry.id().to_string(),
    })
}

fn log(admitted: &Admitted, operation: &str, outcome: &Outcome, duration_ms: u64) {
    let request_id = &admitted.request_id;
    let account_id = admitted
        .principal
        .as_ref()
        .map(|principal| principal.account.id.to_string());
    match outcome {
        Err(error) if error.code.http_status() >= 500 => {
            tracing::warn!(%request_id, operation, account_id, code = %error.code, duration_ms, "call failed");
        }
        Err(error) => {
            tracing::debug!(%request_id, operation, account_id, code = %error.code, duration_ms, "call refused");
        }
        Ok(_) if duration_ms > 1_000 => {
            tracing::info!(%request_id, operation, account_id, duration_ms, "slow call");
        }
        Ok(_) => tracing::debug!(%request_id, operation, account_id, duration_ms, "call answered"),
    }
}

/// How much of a call is kept: what its spec says, else little of a query and all of the rest.
fn record_policy(entry: &Entry) -> RecordPolicy {
    let default = match entry.spec().kind {
        OperationType::Query => RecordPolicy::Metadata,
        OperationType::Mutation | OperationType::Subscription => RecordPolicy::Full,
    };
    entry.spec().record_policy(default)
}

fn timed_out() -> CallError {
    CallError::new(
        ErrorCode::TIMEOUT,
        "the call did not end before its deadline",
    )
    .with_details(json!({ "retryAfterMs": 1_000 }))
}
