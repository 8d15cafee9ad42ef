//! Around a running call: who called, until when, and how it calls others.

mod caller;
mod compose;

pub use caller::{Caller, Elevation, HostCapability, SystemCaller};
pub use compose::{EnvelopeStream, Executor, NestedCall};

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::request_id::RequestId;
use crate::spec::JsonObject;

/// Deepest nesting of calls, the outermost counted as 1.
pub const MAX_DEPTH: u32 = 32;

/// How far a call has come; never terminal, may be dropped on the way.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Progress {
    /// Done so far, 0…1.
    pub fraction: Option<f64>,
    /// What is being done.
    pub message: Option<String>,
}

/// Takes progress reports.
pub type ProgressSink = Arc<dyn Fn(Progress) + Send + Sync>;

/// What a handler knows about the call it runs. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    request_id: RequestId,
    parent_request_id: Option<RequestId>,
    caller: Arc<Caller>,
    elevation: Option<Arc<Elevation>>,
    /// Elevation that takes effect in the next nested call.
    pending_elevation: Option<(SystemCaller, Arc<Elevation>)>,
    deadline: Option<Instant>,
    idle_timeout: Option<Duration>,
    cancellation: CancellationToken,
    metadata: Arc<JsonObject>,
    depth: u32,
    max_depth: u32,
    namespaces: Option<Arc<[String]>>,
    executor: Option<Arc<dyn Executor>>,
    host: Option<Arc<dyn Any + Send + Sync>>,
    progress: Option<ProgressSink>,
}

impl Context {
    /// A context of an outermost call: no deadline, nothing that could be called, no metadata.
    #[must_use]
    pub fn new(request_id: RequestId, caller: Caller) -> Self {
        Self {
            request_id,
            parent_request_id: None,
            caller: Arc::new(caller),
            elevation: None,
            pending_elevation: None,
            deadline: None,
            idle_timeout: None,
            cancellation: CancellationToken::new(),
            metadata: Arc::new(JsonObject::new()),
            depth: 1,
            max_depth: MAX_DEPTH,
            namespaces: None,
            executor: None,
            host: None,
            progress: None,
        }
    }

    /// The same, as a child of another call.
    #[must_use]
    pub fn with_parent(mut self, parent: RequestId, depth: u32) -> Self {
        self.parent_request_id = Some(parent);
        self.depth = depth;
        self
    }

    /// The same with a deadline.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// The same, with the deadline this far from now.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        let deadline = now() + timeout;
        self.with_deadline(deadline)
    }

    /// The same; a subscription that gives no item for this long ends with `TIMEOUT`.
    #[must_use]
    pub fn with_idle_timeout(mut self, idle: Duration) -> Self {
        self.idle_timeout = Some(idle);
        self
    }

    /// The same, aborted when this token fires.
    #[must_use]
    pub fn with_cancellation(mut self, token: CancellationToken) -> Self {
        self.cancellation = token;
        self
    }

    /// The same with what the caller sent beside the input.
    #[must_use]
    pub fn with_metadata(mut self, metadata: JsonObject) -> Self {
        self.metadata = Arc::new(metadata);
        self
    }

    /// The same with another bound for nested calls.
    #[must_use]
    pub fn with_max_depth(mut self, max_depth: u32) -> Self {
        self.max_depth = max_depth;
        self
    }

    /// The same; nested calls go through this executor.
    #[must_use]
    pub fn with_executor(mut self, executor: Arc<dyn Executor>) -> Self {
        self.executor = Some(executor);
        self
    }

    /// The same with a value of the embedding program, which handlers get by its type.
    #[must_use]
    pub fn with_host(mut self, host: Arc<dyn Any + Send + Sync>) -> Self {
        self.host = Some(host);
        self
    }

    /// The same; progress reports go to this sink.
    #[must_use]
    pub fn with_progress(mut self, sink: ProgressSink) -> Self {
        self.progress = Some(sink);
        self
    }

    /// The same on somebody else's behalf. Not public: a handler that could do it would lend itself
    /// rights.
    pub(crate) fn on_behalf_of(mut self, caller: Caller) -> Self {
        self.caller = Arc::new(caller);
        self
    }

    /// Id of the request this call answers.
    #[must_use]
    pub fn request_id(&self) -> &RequestId {
        &self.request_id
    }

    /// Id of the call that made this one.
    #[must_use]
    pub fn parent_request_id(&self) -> Option<&RequestId> {
        self.parent_request_id.as_ref()
    }

    /// On whose behalf it runs.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Why it runs with more rights than its caller has, if it does.
    #[must_use]
    pub fn elevation(&self) -> Option<&Elevation> {
        self.elevation.as_deref()
    }

    /// When it must have ended.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Time left, zero once overdue; `None` without a deadline.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline
            .map(|deadline| deadline.saturating_duration_since(now()))
    }

    /// Longest pause between two items of a subscription.
    #[must_use]
    pub fn idle_timeout(&self) -> Option<Duration> {
        self.idle_timeout
    }

    /// Fires when the call is aborted, has timed out, or nobody waits for it any more.
    #[must_use]
    pub fn cancellation(&self) -> &CancellationToken {
        &self.cancellation
    }

    /// True once [`Context::cancellation`] has fired.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancellation.is_cancelled()
    }

    /// What the caller sent beside the input.
    #[must_use]
    pub fn metadata(&self) -> &JsonObject {
        &self.metadata
    }

    /// How deep the call is nested; 1 is outermost.
    #[must_use]
    pub fn depth(&self) -> u32 {
        self.depth
    }

    /// The embedding program's value, if it is of this type.
    #[must_use]
    pub fn host<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.host.as_ref()?.downcast_ref()
    }

    /// Reports progress; without anybody who listens it does nothing.
    pub fn progress(&self, fraction: Option<f64>, message: Option<&str>) {
        if let Some(sink) = &self.progress {
            let fraction = fraction.map(|fraction| fraction.clamp(0.0, 1.0));
            sink(Progress {
                fraction,
                message: message.map(str::to_owned),
            });
        }
    }

    /// True once the deadline has passed.
    pub(crate) fn is_overdue(&self) -> bool {
        self.remaining() == Some(Duration::ZERO)
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Context")
            .field("request_id", &self.request_id)
            .field("parent_request_id", &self.parent_request_id)
            .field("caller", &self.caller)
            .field("deadline", &self.deadline)
            .field("depth", &self.depth)
            .finish_non_exhaustive()
    }
}

/// The monotonic clock that timers here run on; in tests it can stand still.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
