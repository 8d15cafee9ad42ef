//! What a peer asks of the hub over its connection: the pipeline, as for every other surface.

use std::sync::{Arc, Weak};

use alkhub_operations::context::EnvelopeStream;
use alkhub_operations::protocol::{Inbound, Service};
use alkhub_operations::{CallError, Envelope, Expected, OperationType, RequestId, input_or_empty};
use async_trait::async_trait;
use serde_json::Value;

use super::Connection;
use crate::dispatch::Target;
use crate::error::unavailable;
use crate::live::LiveCall;
use crate::pipeline::{self, CallInput, CallOptions, CallRequest, Inside};
use crate::state::State;

pub(super) struct SocketService {
    state: Arc<State>,
    connection: Weak<Connection>,
}

impl SocketService {
    pub(super) fn new(state: Arc<State>, connection: Weak<Connection>) -> Self {
        Self { state, connection }
    }

    fn ask(
        &self,
        inbound: Inbound,
        expected: Expected,
    ) -> Result<(CallRequest, Inside), CallError> {
        let connection = self
            .connection
            .upgrade()
            .ok_or_else(|| unavailable("the connection is closed", "closed"))?;
        let requested = inbound.requested;
        let parent = requested
            .parent_request_id
            .as_ref()
            .map(|parent| self.parent(&connection, parent.as_str()))
            .transpose()?;
        let mut metadata = inbound.context.metadata().clone();
        let target = metadata
            .remove("target")
            .filter(|target| !target.is_null())
            .map(read_target)
            .transpose()?;
        let context = &inbound.context;
        let request = CallRequest {
            operation: requested.operation_id,
            input: CallInput::Json(input_or_empty(requested.input)),
            credential: connection.credential.clone(),
            request_id: Some(requested.request_id),
            idempotency_key: None,
            timeout: context.remaining(),
            origin: connection.origin.clone(),
            expected,
            options: CallOptions {
                target,
                metadata: (!metadata.is_empty()).then_some(metadata),
                idle_timeout: context.idle_timeout(),
                resume_after: requested.resume_after,
                last_event_id: None,
                progress: Some(forward(inbound.context.clone())),
            },
        };
        let inside = Inside {
            parent,
            connection: Some(Weak::clone(&self.connection)),
            token: None,
        };
        Ok((request, inside))
    }

    /// The call a peer says it is executing. One that was aborted a moment ago, which the peer may not
    /// know yet, is told as such.
    fn parent(&self, connection: &Connection, key: &str) -> Result<Arc<LiveCall>, CallError> {
        let unknown = || {
            CallError::validation_rule(
                "parent",
                "parentRequestId names no open call that this connection is executing",
            )
        };
        let link = connection.link().ok_or_else(unknown)?;
        if let Some(call) = self.state.live.executed_by(key, &link) {
            return Ok(call);
        }
        match RequestId::new(key).map(|id| link.map.check_parent(&id)) {
            Ok(Err(why)) => Err(why),
            Ok(Ok(())) | Err(_) => Err(unknown()),
        }
    }
}

/// Reports of progress go on to whoever asked.
fn forward(context: alkhub_operations::Context) -> alkhub_operations::ProgressSink {
    Arc::new(move |progress| context.progress(progress.fraction, progress.message.as_deref()))
}

fn read_target(target: Value) -> Result<Target, CallError> {
    serde_json::from_value(target).map_err(|error| {
        CallError::validation_field(
            "/metadata/target",
            "target",
            format!("is not {{spokeId?, labels?}}: {error}"),
        )
    })
}

#[async_trait]
impl Service for SocketService {
    async fn call(&self, request: Inbound) -> Result<Envelope, CallError> {
        let (request, inside) = self.ask(request, Expected::Call)?;
        match pipeline::call(&self.state, request, inside).await {
            Ok(answer) => Ok(answer.envelope),
            Err(failure) => Err(failure.error),
        }
    }

    async fn subscribe(&self, request: Inbound) -> Result<EnvelopeStream, CallError> {
        let (request, inside) = self.ask(request, Expected::Subscription)?;
        match pipeline::subscribe(&self.state, request, inside).await {
            Ok(subscription) => Ok(subscription.items),
            Err(failure) => Err(failure.error),
        }
    }

    fn kind(&self, operation: &str) -> Option<OperationType> {
        Some(self.state.registry.get(operation)?.spec().kind)
    }
}
