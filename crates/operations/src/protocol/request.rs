//! What a caller asks for, and the bounds of its half.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use super::{AbortBy, ProgressSink, RequestId};
use crate::access::Identity;
use crate::spec::JsonObject;

/// A request to be sent.
#[derive(Clone)]
pub struct Request {
    /// Its id; everything that follows names it.
    pub request_id: RequestId,
    /// The operation.
    pub operation_id: String,
    /// The input.
    pub input: Value,
    /// The call it is made in.
    pub parent_request_id: Option<RequestId>,
    /// When it must have ended, from now. A call that overruns it gets `TIMEOUT`, and the provider is
    /// told to stop. Zero is overdue before it is sent.
    pub timeout: Option<Duration>,
    /// For subscriptions: longest pause between two items.
    pub idle_timeout: Option<Duration>,
    /// On whose behalf, for providers that decide by it.
    pub identity: Option<Identity>,
    /// What goes beside the input.
    pub metadata: Option<JsonObject>,
    /// For resumable subscriptions: begin behind this item.
    pub resume_after: Option<u64>,
    /// For subscriptions: items that may come before more are asked for. `None` leaves it to the map,
    /// which asks for more as items are taken.
    pub credit: Option<u64>,
    /// Takes reports of progress.
    pub progress: Option<ProgressSink>,
}

impl Request {
    /// A request with a new id and nothing beside the input.
    #[must_use]
    pub fn new(operation_id: impl Into<String>, input: Value) -> Self {
        Self {
            request_id: RequestId::random(),
            operation_id: operation_id.into(),
            input,
            parent_request_id: None,
            timeout: None,
            idle_timeout: None,
            identity: None,
            metadata: None,
            resume_after: None,
            credit: None,
            progress: None,
        }
    }

    /// The same under this id.
    #[must_use]
    pub fn with_id(mut self, id: RequestId) -> Self {
        self.request_id = id;
        self
    }

    /// The same, made in this call.
    #[must_use]
    pub fn with_parent(mut self, parent: RequestId) -> Self {
        self.parent_request_id = Some(parent);
        self
    }

    /// The same with a deadline this far from now.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The same; a subscription that pauses longer ends with `TIMEOUT`.
    #[must_use]
    pub fn with_idle_timeout(mut self, idle: Duration) -> Self {
        self.idle_timeout = Some(idle);
        self
    }

    /// The same with this beside the input.
    #[must_use]
    pub fn with_metadata(mut self, metadata: JsonObject) -> Self {
        self.metadata = Some(metadata);
        self
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Request")
            .field("request_id", &self.request_id)
            .field("operation_id", &self.operation_id)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// Bounds of a [`CallMap`](super::CallMap).
#[derive(Debug, Clone)]
pub struct MapLimits {
    /// Open requests; one more is `RATE_LIMITED`.
    pub entries: usize,
    /// Items of a subscription that wait for its consumer.
    pub buffer_items: usize,
    /// Bytes of such items, about.
    pub buffer_bytes: usize,
    /// How long a consumer may take nothing while its provider waits for it.
    pub slow: Duration,
    /// How long ids of aborted requests are kept for their confirmation.
    pub confirm: Duration,
    /// What a call ends with that its provider completes without an answer: `EXECUTION_ERROR` when
    /// true, because nobody aborted it; else `ABORTED`, as the reference has it.
    pub unanswered_is_failure: bool,
}

impl Default for MapLimits {
    fn default() -> Self {
        Self {
            entries: 1024,
            buffer_items: 256,
            buffer_bytes: 4 * 1024 * 1024,
            slow: Duration::from_secs(30),
            confirm: Duration::from_secs(10),
            unanswered_is_failure: false,
        }
    }
}

/// Why a map ends all that is open in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// The provider's connection is gone for good: `PROVIDER_LOST`.
    ProviderLost,
    /// This process is stopping: `UNAVAILABLE`; the provider is told to stop too.
    Shutdown,
    /// Somebody ended it: `ABORTED`; the provider is told to stop too.
    Aborted(AbortBy),
}
