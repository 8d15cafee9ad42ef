//! Events: what is told about calls, in the form of a log.
//!
//! An event here carries its time and a nested error. The protocol's own form has neither
//! ([`alkhub_operations::events`]); [`CallEvent::from_wire`] turns it into this one.

mod read;
mod wire;

use alkhub_operations::{AbortBy, Identity, OperationId, OperationType, RequestId};
use serde_json::{Map, Value, json};

use crate::call::CallErrorInfo;
use crate::time::Timestamp;

/// Something that happened to a call.
///
/// ```
/// use alkhub_callgraph::CallEvent;
/// use serde_json::json;
///
/// let event = CallEvent::from_json(json!({
///     "type": "call.responded", "requestId": "a", "timestamp": "2026-05-25T10:00:00Z",
///     "output": { "sum": 3 },
/// }))?;
/// assert_eq!(event.timestamp.to_string(), "2026-05-25T10:00:00.000Z");
/// # Ok::<(), alkhub_callgraph::GraphError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct CallEvent {
    /// The call.
    pub request_id: RequestId,
    /// When it happened.
    pub timestamp: Timestamp,
    /// What happened.
    pub kind: EventKind,
}

/// What an event tells.
#[derive(Debug, Clone, PartialEq)]
pub enum EventKind {
    /// `call.requested`.
    Requested(Box<Requested>),
    /// `call.responded`: the answer, or an item of a subscription.
    Responded {
        /// The data.
        output: Value,
        /// Number of the item, from 1; subscriptions only.
        seq: Option<u64>,
        /// Where the data came from; becomes the note `response`.
        meta: Option<Value>,
    },
    /// `call.completed`: the end of a subscription, or of a call.
    Completed {
        /// An answer, when the log has it here.
        output: Option<Value>,
    },
    /// `call.error`.
    Error {
        /// What went wrong.
        error: CallErrorInfo,
    },
    /// `call.aborted`.
    Aborted {
        /// Who called it off.
        by: Option<AbortBy>,
        /// Why.
        reason: Option<String>,
    },
}

/// What a request tells.
#[derive(Debug, Clone, PartialEq)]
pub struct Requested {
    /// What is called.
    pub operation_id: OperationId,
    /// As called.
    pub input: Option<Value>,
    /// The call that made this one.
    pub parent_request_id: Option<RequestId>,
    /// The caller.
    pub identity: Option<Identity>,
    /// When it must have ended.
    pub deadline: Option<Timestamp>,
    /// Query, mutation or subscription. Without it a call ends at its first answer.
    pub operation_type: Option<OperationType>,
}

impl CallEvent {
    /// An event.
    #[must_use]
    pub fn new(request_id: RequestId, timestamp: Timestamp, kind: EventKind) -> Self {
        Self {
            request_id,
            timestamp,
            kind,
        }
    }

    /// Its name, `call.requested` and so on.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self.kind {
            EventKind::Requested(_) => "call.requested",
            EventKind::Responded { .. } => "call.responded",
            EventKind::Completed { .. } => "call.completed",
            EventKind::Error { .. } => "call.error",
            EventKind::Aborted { .. } => "call.aborted",
        }
    }

    /// The event as JSON, which [`CallEvent::from_json`] reads.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut members = Map::new();
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                members.insert(name.to_owned(), value);
            }
        };
        put("type", Some(json!(self.name())));
        put("requestId", Some(json!(self.request_id)));
        put("timestamp", Some(json!(self.timestamp)));
        match &self.kind {
            EventKind::Requested(told) => {
                put("operationId", Some(json!(told.operation_id)));
                put("input", told.input.clone());
                put(
                    "parentRequestId",
                    told.parent_request_id.as_ref().map(|id| json!(id)),
                );
                put("identity", told.identity.as_ref().map(|who| json!(who)));
                put("deadline", told.deadline.map(|at| json!(at)));
                put("operationType", told.operation_type.map(|kind| json!(kind)));
            }
            EventKind::Responded { output, seq, meta } => {
                put("output", Some(output.clone()));
                put("seq", seq.map(Value::from));
                put("meta", meta.clone());
            }
            EventKind::Completed { output } => put("output", output.clone()),
            EventKind::Error { error } => put("error", Some(json!(error))),
            EventKind::Aborted { by, reason } => {
                put("by", by.map(|by| json!(by)));
                put("reason", reason.clone().map(Value::from));
            }
        }
        Value::Object(members)
    }
}

impl Requested {
    /// A request of which nothing else is known.
    #[must_use]
    pub fn new(operation_id: OperationId) -> Self {
        Self {
            operation_id,
            input: None,
            parent_request_id: None,
            identity: None,
            deadline: None,
            operation_type: None,
        }
    }
}
