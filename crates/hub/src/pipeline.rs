//! The one way in: every call of every surface goes through [`Hub::call`], in this order.
//!
//! ```text
//! authenticate → resolve → authorize → validate input → limits → record
//!    → dispatch → validate output → record the end → answer
//! ```
//!
//! Up to the limits nothing is recorded: nothing began, and bad input may hold anything. From the record
//! on the call runs in a task of its own, so that a caller who hangs up changes nothing about it.

mod admit;
mod nested;
mod record;
mod serve;
mod subscribe;
mod texts;

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

pub use alkhub_operations::Expected;
use alkhub_operations::{
    CallError, Context, Entry, Envelope, ErrorCode, JsonObject, OperationType, ProgressSink,
    RecordPolicy, RequestId,
};
use serde_json::Value;
pub use subscribe::Subscription;

use crate::Hub;
use crate::auth::{Credential, Origin, Principal};
use crate::connections::Connection;
use crate::dispatch::{Asked, Target};
use crate::limits::InFlight;
use crate::live::{CallKey, LiveCall};
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
    /// The caller's own id for the call.
    pub request_id: Option<RequestId>,
    /// The caller's idempotency key; it becomes a request id of the account and wins over one.
    pub idempotency_key: Option<String>,
    /// How long the caller wants to wait at most.
    pub timeout: Option<Duration>,
    /// Where the call came from.
    pub origin: Origin,
    /// Which kinds of operation the surface can serve this way.
    pub expected: Expected,
    /// What else a caller may say.
    pub options: CallOptions,
}

/// What a caller may say beside the call itself.
#[derive(Clone, Default)]
pub struct CallOptions {
    /// Which providers may take the call.
    pub target: Option<Target>,
    /// What goes beside the input; keys that begin with `alkhub.` are the hub's and are left out.
    pub metadata: Option<JsonObject>,
    /// Longest pause between two items of a subscription.
    pub idle_timeout: Option<Duration>,
    /// Begin a resumable subscription behind this item.
    pub resume_after: Option<u64>,
    /// The last event of a stream that the caller has: the same, by the words of event streams. For an
    /// operation that takes `since`, it is that.
    pub last_event_id: Option<String>,
    /// Takes reports of progress.
    pub progress: Option<ProgressSink>,
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

/// From where inside the hub a call is made.
#[derive(Clone, Default)]
pub(crate) struct Inside {
    /// The call it is made in; it then runs for the same caller.
    pub(crate) parent: Option<Arc<LiveCall>>,
    /// The connection it came over.
    pub(crate) connection: Option<Weak<Connection>>,
    /// Fires when the call is to stop with the one it is made in.
    pub(crate) token: Option<tokio_util::sync::CancellationToken>,
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
    options: CallOptions,
    inside: Inside,
    live: Arc<LiveCall>,
    /// The nearest ancestor that leaves a record, and what lies between.
    recorded_parent: (Option<CallKey>, Vec<String>),
    _in_flight: Option<InFlight>,
}

impl Admitted {
    /// What the choice of a provider depends on.
    fn asked(&self) -> Asked<'_> {
        Asked {
            entry: &self.entry,
            principal: self.principal.as_deref(),
            target: self.options.target.as_ref(),
            project: self.live.project.as_deref(),
            deadline: self.deadline,
        }
    }
}

impl Hub {
    /// Runs one operation for one caller, or says why not.
    ///
    /// # Errors
    /// [`Failure`] with the code of the stage that refused the call or of the handler that failed.
    pub async fn call(&self, request: CallRequest) -> Result<Answer, Failure> {
        call(&self.state, request, Inside::default()).await
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
        admit::authenticate(&self.state, credential, origin).await
    }
}

/// Runs one operation, made somewhere inside the hub or by a surface.
pub(crate) async fn call(
    state: &Arc<State>,
    request: CallRequest,
    inside: Inside,
) -> Result<Answer, Failure> {
    let own_id = request.request_id.clone().unwrap_or_else(RequestId::random);
    let mut refused = Failure::of(own_id);
    let admitted = match admit::admit(state, request, inside, &mut refused).await {
        Ok(admitted) => admitted,
        Err(error) => return Err(refused.because(error)),
    };
    let mut failure = Failure {
        request_id: admitted.request_id.clone(),
        ..refused
    };
    let entry = Arc::clone(&admitted.entry);
    let (outcome, replayed) = serve::serve(state, admitted).await;
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

pub(crate) use admit::authenticate;
pub(crate) use subscribe::subscribe;

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

impl std::fmt::Debug for CallOptions {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("CallOptions")
            .field("target", &self.target)
            .field("metadata", &self.metadata)
            .field("idle_timeout", &self.idle_timeout)
            .field("resume_after", &self.resume_after)
            .finish_non_exhaustive()
    }
}

/// What handlers get beside the context of the operations crate.
fn host_of(state: &Arc<State>, admitted: &Admitted) -> Arc<Host> {
    Arc::new(Host {
        state: Arc::clone(state),
        principal: admitted.principal.clone(),
        origin: admitted.origin.clone(),
        operation: admitted.entry.id().to_string(),
        connection: admitted.inside.connection.clone(),
    })
}

/// The context a handler of this process runs in.
fn context_of(state: &Arc<State>, admitted: &Admitted) -> Context {
    use alkhub_operations::Caller;
    let caller = match &admitted.principal {
        Some(principal) => Caller::Identity(principal.identity()),
        None => Caller::Anonymous,
    };
    let mut context = Context::new(admitted.request_id.clone(), caller)
        .with_cancellation(admitted.live.token.clone())
        .with_max_depth(state.config().calls.max_depth)
        .with_executor(Arc::new(nested::Nested::new(state, admitted)))
        .with_host(host_of(state, admitted));
    if let Some(parent) = &admitted.live.parent
        && let Ok(parent) = RequestId::new(parent.clone())
    {
        context = context.with_parent(parent, admitted.live.depth);
    }
    if let Some(metadata) = &admitted.options.metadata {
        context = context.with_metadata(metadata.clone());
    }
    if let Some(idle) = admitted.options.idle_timeout {
        context = context.with_idle_timeout(idle);
    }
    if let Some(progress) = &admitted.options.progress {
        context = context.with_progress(Arc::clone(progress));
    }
    context
}

/// How much of a call is kept: what its spec says, else little of a hub's query and all of the rest.
fn record_policy(state: &State, entry: &Entry) -> RecordPolicy {
    let default = match entry.spec().kind {
        OperationType::Query if state.providers.is_own(entry) => RecordPolicy::Metadata,
        _ => RecordPolicy::Full,
    };
    let policy = entry.spec().record_policy(default);
    // What others offer never runs without a trace when it may change something.
    let traceless = policy == RecordPolicy::None
        && entry.spec().kind != OperationType::Query
        && !state.providers.is_own(entry);
    if traceless {
        RecordPolicy::Metadata
    } else {
        policy
    }
}
