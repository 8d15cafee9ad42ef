//! One call: what a node of the graph holds, and what may be changed about it.

use std::time::Duration;

use alkhub_operations::{
    AbortBy, CallError, ErrorCode, Identity, JsonObject, OperationId, OperationType, RecordPolicy,
    RequestId,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::status::CallStatus;
use crate::time::Timestamp;

/// A call. Which fields a node may have follows from its status; [`crate::CallGraph::validate`] tells
/// where they do not fit.
#[derive(Debug, Clone, PartialEq)]
pub struct CallNode {
    /// Ties together everything that is said about the call; key of the node.
    pub request_id: RequestId,
    /// What is called.
    pub operation_id: OperationId,
    /// Where it stands.
    pub status: CallStatus,
    /// The call that made this one; none = top level.
    pub parent_request_id: Option<RequestId>,
    /// As called. JSON `null` and nothing are the same here and in `output`.
    pub input: Option<Value>,
    /// As answered; of a subscription the latest item.
    pub output: Option<Value>,
    /// Why it failed or was called off.
    pub error: Option<CallErrorInfo>,
    /// The caller at call time.
    pub identity: Option<Identity>,
    /// When it was asked for.
    pub requested_at: Option<Timestamp>,
    /// When it was given to whoever runs it.
    pub started_at: Option<Timestamp>,
    /// When it ended, in whichever way.
    pub completed_at: Option<Timestamp>,
    /// Notes beside the call, such as `response`, `attempt`, `abort`.
    pub metadata: JsonObject,
    /// Attributes that came with an import and are not ours; written back as they were.
    pub unknown: JsonObject,
    /// Query, mutation or subscription, if known. Not exported, like all that follow.
    pub operation_type: Option<OperationType>,
    /// When it must have ended.
    pub deadline: Option<Timestamp>,
    /// What becomes of it when the call that made it is aborted.
    pub abort_policy: AbortPolicy,
    /// How much of it is recorded; items of a subscription are kept under `full` only.
    pub record: RecordPolicy,
    /// Items of a subscription so far.
    pub items: u64,
    /// Id of the row that holds it, if there is one.
    pub row_id: Option<String>,
}

/// What becomes of a running call when the one that made it is aborted.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Default,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum AbortPolicy {
    /// It is aborted too.
    #[default]
    AbortDependents,
    /// It goes on.
    ContinueRunning,
}

/// Why a call failed or was called off: `{ code, message, details? }`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallErrorInfo {
    /// For programs.
    pub code: ErrorCode,
    /// One sentence for a person.
    pub message: String,
    /// Data that belongs to the code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
}

/// What goes with a step of [`crate::CallGraph::update_status`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StatusExtra {
    /// The answer; only with `completed`.
    pub output: Option<Value>,
    /// The reason; only with `failed` and `aborted`.
    pub error: Option<CallErrorInfo>,
    /// Notes: each replaces the note of its name.
    pub metadata: JsonObject,
}

/// What a step of the state machine did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// Status before.
    pub from: CallStatus,
    /// Status now.
    pub to: CallStatus,
    /// False when it had the status already.
    pub changed: bool,
}

/// What [`crate::CallGraph::update_call`] fills in.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CallPatch {
    /// As called.
    pub input: Option<Value>,
    /// As answered; only for completed calls and running subscriptions.
    pub output: Option<Value>,
    /// Why; only for failed and aborted calls.
    pub error: Option<CallErrorInfo>,
    /// The caller.
    pub identity: Option<Identity>,
    /// When it was asked for.
    pub requested_at: Option<Timestamp>,
    /// When it was started; not for pending calls.
    pub started_at: Option<Timestamp>,
    /// When it ended; only for calls that have.
    pub completed_at: Option<Timestamp>,
    /// Notes: each replaces the note of its name, `null` changes nothing.
    pub metadata: JsonObject,
}

impl CallNode {
    /// A pending call of which nothing else is known.
    #[must_use]
    pub fn new(request_id: RequestId, operation_id: OperationId) -> Self {
        Self {
            request_id,
            operation_id,
            status: CallStatus::Pending,
            parent_request_id: None,
            input: None,
            output: None,
            error: None,
            identity: None,
            requested_at: None,
            started_at: None,
            completed_at: None,
            metadata: JsonObject::new(),
            unknown: JsonObject::new(),
            operation_type: None,
            deadline: None,
            abort_policy: AbortPolicy::default(),
            record: RecordPolicy::Full,
            items: 0,
            row_id: None,
        }
    }

    /// The same call made by another one.
    #[must_use]
    pub fn with_parent(mut self, parent: RequestId) -> Self {
        self.parent_request_id = Some(parent);
        self
    }

    /// The same call asked for at this time.
    #[must_use]
    pub fn with_requested_at(mut self, moment: Timestamp) -> Self {
        self.requested_at = Some(moment);
        self
    }

    /// Time from start to end; none while it lacks one of them.
    #[must_use]
    pub fn duration(&self) -> Option<Duration> {
        Some(self.completed_at?.since(self.started_at?))
    }

    /// True for subscriptions that are known to be such.
    #[must_use]
    pub fn is_subscription(&self) -> bool {
        self.operation_type == Some(OperationType::Subscription)
    }

    /// The moment, but not before the call was asked for and started: clocks may step back.
    pub(crate) fn raised(&self, moment: Timestamp) -> Timestamp {
        let least = self.requested_at.max(self.started_at);
        least.map_or(moment, |least| least.max(moment))
    }

    pub(crate) fn note(&mut self, notes: JsonObject) {
        for (name, value) in notes {
            if !value.is_null() {
                self.metadata.insert(name, value);
            }
        }
    }

    /// Makes `null` and nothing one thing.
    pub(crate) fn without_nulls(mut self) -> Self {
        self.input = present(self.input);
        self.output = present(self.output);
        if let Some(error) = &mut self.error {
            error.details = present(error.details.take());
        }
        self.unknown.retain(|_, value| !value.is_null());
        self
    }

    /// Equal in everything that is exported.
    pub(crate) fn same_exported(&self, other: &Self) -> bool {
        self.request_id == other.request_id
            && self.operation_id == other.operation_id
            && self.status == other.status
            && self.parent_request_id == other.parent_request_id
            && self.input == other.input
            && self.output == other.output
            && self.error == other.error
            && self.identity == other.identity
            && self.requested_at == other.requested_at
            && self.started_at == other.started_at
            && self.completed_at == other.completed_at
            && self.metadata == other.metadata
            && self.unknown == other.unknown
    }
}

impl CallErrorInfo {
    /// An error without details.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            details: None,
        }
    }

    /// What is said of a call that was called off.
    #[must_use]
    pub fn aborted(by: Option<AbortBy>, reason: Option<&str>) -> Self {
        let mut details = JsonObject::new();
        if let Some(by) = by {
            details.insert("by".to_owned(), json!(by));
        }
        if let Some(reason) = reason {
            details.insert("reason".to_owned(), json!(reason));
        }
        Self {
            code: ErrorCode::ABORTED,
            message: "the call was aborted".to_owned(),
            details: (!details.is_empty()).then_some(Value::Object(details)),
        }
    }
}

impl From<CallError> for CallErrorInfo {
    fn from(error: CallError) -> Self {
        let CallError {
            code,
            message,
            details,
            ..
        } = error;
        Self {
            code,
            message,
            details,
        }
    }
}

/// JSON `null` is nothing.
pub(crate) fn present(value: Option<Value>) -> Option<Value> {
    value.filter(|value| !value.is_null())
}
