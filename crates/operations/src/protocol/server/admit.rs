//! What can be said of a request before its service sees it.

use std::time::Duration;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{Inner, State};
use crate::context::{Caller, Context};
use crate::envelope::now_ms;
use crate::error::{CallError, ErrorCode};
use crate::events::CallRequested;
use crate::spec::JsonObject;

/// Largest metadata of a request, bytes as JSON.
const METADATA_LIMIT: usize = 16 * 1024;

/// Longer times than this are as good as none, and sums with them would overflow.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Metadata that only the hub may set.
const RESERVED_PREFIX: &str = "alkhub.";

impl Inner {
    /// The context of a request, or why it does not run.
    pub(super) fn admit(
        &self,
        state: &State,
        requested: &mut CallRequested,
        subscription: bool,
    ) -> Result<Context, CallError> {
        if state.closed {
            return Err(CallError::unavailable("the connection is being closed"));
        }
        let full = state.running.len() >= self.limits.running
            || (subscription && state.subscriptions >= self.limits.subscriptions);
        if full {
            return Err(CallError::new(
                ErrorCode::RATE_LIMITED,
                "too many requests are open on this connection",
            ));
        }
        let id = requested.request_id.clone();
        let mut context = Context::new(id.clone(), Caller::Anonymous);
        if let Some(parent) = &requested.parent_request_id {
            context = context.with_parent(parent.clone(), 2);
        }
        if let Some(left) = time_left(requested, subscription) {
            if left.is_zero() {
                return Err(CallError::timeout(&id));
            }
            context = context.with_timeout(left);
        }
        if let Some(idle) = requested.idle_timeout.filter(|_| subscription) {
            context = context.with_idle_timeout(Duration::from_millis(idle).min(LONGEST));
        }
        if let Some(metadata) = requested.metadata.take() {
            context = context.with_metadata(self.checked(metadata)?);
        }
        Ok(context.with_cancellation(CancellationToken::new()))
    }

    fn checked(&self, mut metadata: JsonObject) -> Result<JsonObject, CallError> {
        if self.limits.strip_reserved {
            metadata.retain(|name, _| !name.starts_with(RESERVED_PREFIX));
        }
        let bytes = Value::Object(metadata.clone()).to_string().len();
        if bytes > METADATA_LIMIT {
            let message = format!("metadata has at most {METADATA_LIMIT} bytes");
            return Err(CallError::new(ErrorCode::PAYLOAD_TOO_LARGE, message)
                .with_detail("limit", METADATA_LIMIT));
        }
        Ok(metadata)
    }
}

/// Time that a request leaves, zero when it is overdue. `timeoutMs` wins, for it needs no equal
/// clocks; a subscription has no deadline without it.
fn time_left(requested: &CallRequested, subscription: bool) -> Option<Duration> {
    if let Some(timeout) = requested.timeout_ms {
        return Some(Duration::from_millis(timeout).min(LONGEST));
    }
    // The reference takes a deadline of 0 for none; an instant in 1970 means the same to us as any
    // other in the past.
    let deadline = requested.deadline.filter(|_| !subscription)?;
    #[expect(
        clippy::cast_precision_loss,
        reason = "milliseconds since 1970 fit into 53 bits"
    )]
    let left = deadline - now_ms() as f64;
    // NaN and the past are both no time.
    let left = (left.max(0.0) / 1000.0).min(LONGEST.as_secs_f64());
    Some(Duration::from_secs_f64(left))
}
