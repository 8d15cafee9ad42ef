//! Calls of operations: one, several at once, and the first items of a subscription.

use std::time::Duration;

use alkhub_hub::{Answer, CallInput, CallOptions, CallRequest, Expected, Failure};
use alkhub_operations::{CallError, Envelope, OperationType, RequestId};
use futures::StreamExt;
use futures::future::join_all;
use rmcp::model::CallToolResult;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::{Caller, answer};

/// A call as a client asks for it.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) operation: String,
    pub(super) input: Value,
    pub(super) timeout: Option<Duration>,
    pub(super) idempotency_key: Option<String>,
    /// What of a subscription is read.
    pub(super) bounds: Bounds,
}

/// How much of a subscription is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) items: usize,
    pub(super) time: Duration,
}

/// How a call ended.
pub(super) enum Ended {
    /// A query or a mutation answered.
    Answer(Answer),
    /// A subscription was read as far as its bounds.
    Items(Items),
    /// The call was refused or failed.
    Failed(Failure),
}

/// What was read of a subscription.
pub(super) struct Items {
    request_id: RequestId,
    items: Vec<Envelope>,
    /// True when there will be no more.
    ended: bool,
    error: Option<CallError>,
}

impl Asked {
    /// A call of an operation with an input and nothing else.
    pub(super) fn plain(operation: &str, input: Value, bounds: Bounds) -> Self {
        Self {
            operation: operation.to_owned(),
            input,
            timeout: None,
            idempotency_key: None,
            bounds,
        }
    }
}

impl Caller {
    /// Runs one call to its end.
    pub(super) async fn run(&self, asked: Asked) -> Ended {
        // A task of its own: a client that hangs up does not stop a call half-way.
        let caller = self.clone();
        match tokio::spawn(async move { caller.run_here(asked).await }).await {
            Ok(ended) => ended,
            Err(ended) => {
                let error_id = Uuid::new_v4();
                tracing::error!(%error_id, "a call over MCP ended early: {ended}");
                Ended::Failed(failure(CallError::unknown(error_id)))
            }
        }
    }

    /// Runs all calls at the same time; the answers have the order of the calls.
    pub(super) async fn run_all(&self, asked: Vec<Asked>) -> Vec<Ended> {
        join_all(asked.into_iter().map(|asked| self.run(asked))).await
    }

    async fn run_here(&self, asked: Asked) -> Ended {
        let request = CallRequest {
            operation: asked.operation,
            input: CallInput::Json(asked.input),
            credential: self.credential.clone(),
            request_id: None,
            idempotency_key: asked.idempotency_key,
            timeout: asked.timeout,
            origin: self.origin.clone(),
            expected: Expected::Call,
            options: CallOptions::default(),
        };
        match self.hub.call(request.clone()).await {
            Ok(answer) => Ended::Answer(answer),
            Err(failed) if failed.actual_kind == Some(OperationType::Subscription) => {
                self.read(request, asked.bounds).await
            }
            Err(failed) => Ended::Failed(failed),
        }
    }

    /// Reads the beginning of a subscription; dropping the rest ends it.
    async fn read(&self, request: CallRequest, bounds: Bounds) -> Ended {
        let time = request
            .timeout
            .map_or(bounds.time, |timeout| timeout.min(bounds.time));
        let until = Instant::now() + time;
        let request = CallRequest {
            expected: Expected::Subscription,
            // Time that is up ends the reading, it is no fault of the subscription.
            timeout: None,
            ..request
        };
        let mut subscription = match self.hub.subscribe(request).await {
            Ok(subscription) => subscription,
            Err(failed) => return Ended::Failed(failed),
        };
        let mut read = Items {
            request_id: subscription.request_id.clone(),
            items: Vec::new(),
            ended: false,
            error: None,
        };
        while read.items.len() < bounds.items {
            match timeout_at(until, subscription.items.next()).await {
                Ok(Some(Ok(envelope))) => read.items.push(envelope),
                Ok(Some(Err(error))) => {
                    read.ended = true;
                    read.error = Some(error);
                    break;
                }
                Ok(None) => {
                    read.ended = true;
                    break;
                }
                Err(_time_is_up) => break,
            }
        }
        Ended::Items(read)
    }
}

impl Ended {
    /// As the result of the tool `call`.
    pub(super) fn into_result(self) -> CallToolResult {
        match self {
            Ended::Answer(answer) => answer::structured(json!({
                "requestId": answer.request_id,
                "output": answer.envelope.data,
            })),
            Ended::Items(items) => items.into_result(),
            Ended::Failed(failed) => answer::failed(&failed.error, &failed.request_id),
        }
    }

    /// As the result of a tool that is the operation itself.
    pub(super) fn into_own_result(self) -> CallToolResult {
        match self {
            Ended::Answer(answer) => answer::own(&answer.envelope),
            Ended::Items(items) => items.into_result(),
            Ended::Failed(failed) => answer::own_failed(&failed.error, &failed.request_id),
        }
    }

    /// As one of several results.
    pub(super) fn into_value(self) -> Value {
        match self {
            Ended::Answer(answer) => json!({
                "requestId": answer.request_id,
                "output": answer.envelope.data,
            }),
            Ended::Items(items) => items.into_value(),
            Ended::Failed(failed) => answer::failure(&failed.error, &failed.request_id),
        }
    }
}

impl Items {
    fn into_result(self) -> CallToolResult {
        let line = self.error.as_ref().map(answer::line_of);
        let mut result = answer::structured(self.into_value());
        if let Some(line) = line {
            result.is_error = Some(true);
            result
                .content
                .insert(0, rmcp::model::ContentBlock::text(line));
        }
        result
    }

    fn into_value(self) -> Value {
        let items: Vec<Value> = self.items.into_iter().map(Envelope::unwrap).collect();
        let mut value = json!({
            "items": items,
            "ended": self.ended,
            "requestId": self.request_id,
        });
        if let Some(error) = self.error {
            value["error"] = json!(error);
        }
        value
    }
}

fn failure(error: CallError) -> Failure {
    Failure {
        request_id: RequestId::random(),
        error,
        declared_status: None,
        actual_kind: None,
        replayed: false,
        rotated_to: None,
    }
}
