//! Calls that a handler of the hub makes: the same pipeline, for the same caller, below its own call.

use std::sync::{Arc, Weak};

use alkhub_operations::context::{EnvelopeStream, Executor, NestedCall};
use alkhub_operations::{CallError, Envelope, Expected};
use async_trait::async_trait;
use futures::StreamExt as _;

use super::{Admitted, CallInput, CallOptions, CallRequest, Inside};
use crate::auth::{Credential, Origin};
use crate::error::unavailable;
use crate::live::LiveCall;
use crate::state::State;

/// Runs the nested calls of one call.
pub(super) struct Nested {
    // Weak: a handler that outlives the hub must not keep its database open.
    state: Weak<State>,
    parent: Arc<LiveCall>,
    origin: Origin,
}

impl Nested {
    pub(super) fn new(state: &Arc<State>, admitted: &Admitted) -> Self {
        Self {
            state: Arc::downgrade(state),
            parent: Arc::clone(&admitted.live),
            origin: admitted.origin.clone(),
        }
    }

    fn ask(&self, call: NestedCall, expected: Expected) -> (CallRequest, Inside) {
        let context = call.context;
        let request = CallRequest {
            operation: call.operation,
            input: CallInput::Json(call.input),
            credential: Credential::None,
            request_id: None,
            idempotency_key: None,
            timeout: context.remaining(),
            origin: self.origin.clone(),
            expected,
            options: CallOptions {
                metadata: Some(context.metadata().clone()),
                ..CallOptions::default()
            },
        };
        let inside = Inside {
            parent: Some(Arc::clone(&self.parent)),
            connection: None,
            token: Some(context.cancellation().clone()),
        };
        (request, inside)
    }

    fn state(&self) -> Result<Arc<State>, CallError> {
        self.state
            .upgrade()
            .ok_or_else(|| unavailable("the hub has stopped", "shutting_down"))
    }
}

#[async_trait]
impl Executor for Nested {
    async fn call(&self, call: NestedCall) -> Result<Envelope, CallError> {
        let (request, inside) = self.ask(call, Expected::Call);
        match super::call(&self.state()?, request, inside).await {
            Ok(answer) => Ok(answer.envelope),
            Err(failure) => Err(failure.error),
        }
    }

    async fn subscribe(&self, call: NestedCall) -> Result<EnvelopeStream, CallError> {
        let (request, inside) = self.ask(call, Expected::Subscription);
        match super::subscribe(&self.state()?, request, inside).await {
            Ok(subscription) => Ok(subscription.items.boxed()),
            Err(failure) => Err(failure.error),
        }
    }
}
