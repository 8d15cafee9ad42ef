//! The events of the call protocol, and the frame that carries one.
//!
//! A request event starts a call or a subscription; all that follows names it by its request id.
//! Members a peer sends beyond these are ignored, so either side may grow.

mod frame;
mod read;

pub use frame::{Frame, FrameFault};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::access::Identity;
use crate::envelope::Envelope;
use crate::error::{CallError, ErrorCode};
use crate::request_id::RequestId;
use crate::spec::JsonObject;

/// Longest reason of an abort, in characters.
pub const REASON_LENGTH: usize = 200;

/// One event of the protocol.
#[derive(Debug, Clone, PartialEq)]
pub enum CallEvent {
    /// Caller to provider: run this.
    Requested(CallRequested),
    /// Provider to caller: the answer, or one item of a subscription.
    Responded(CallResponded),
    /// Provider to caller: the subscription is over.
    Completed(CallCompleted),
    /// Either way: the request is off, or the provider has stopped it.
    Aborted(CallAborted),
    /// Provider to caller: it failed.
    Failed(CallFailed),
    /// Caller to provider: so many more items can be taken.
    Credit(CallCredit),
    /// Provider to caller: how far it is; never the end of anything, may be dropped.
    Progress(CallProgress),
}

/// Payload of `call.requested`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CallRequested {
    /// Made by the caller; ties everything else to this request.
    pub request_id: RequestId,
    /// The operation, unchecked.
    pub operation_id: String,
    /// Its input; absent means `{}`, `null` means `null`.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Value")]
    pub input: Option<Value>,
    /// The call that made this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_request_id: Option<RequestId>,
    /// For calls: when it must have ended, ms since 1970 by the sender's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<f64>,
    /// Time left, ms; wins over `deadline`, for it needs no equal clocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// For subscriptions: longest pause between two items, ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_timeout: Option<u64>,
    /// To providers: on whose behalf. Never believed from outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// What goes beside the input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<JsonObject>,
    /// For resumable subscriptions: begin behind this item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume_after: Option<u64>,
    /// For subscriptions: send at most so many items until more are asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credit: Option<u64>,
}

/// Payload of `call.responded`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CallResponded {
    /// The request.
    pub request_id: RequestId,
    /// The answer, whole.
    pub output: Envelope,
    /// Number of the item, from 1 without gaps; subscriptions only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
}

/// Payload of `call.completed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CallCompleted {
    /// The request.
    pub request_id: RequestId,
    /// How many items there were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
}

/// Payload of `call.aborted`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CallAborted {
    /// The request.
    pub request_id: RequestId,
    /// Who ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<AbortBy>,
    /// Why, at most 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Payload of `call.error`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CallFailed {
    /// The request.
    pub request_id: RequestId,
    /// What went wrong, for programs.
    pub code: ErrorCode,
    /// What went wrong, for a person.
    pub message: String,
    /// Data that belongs to the code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
}

/// Payload of `call.credit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CallCredit {
    /// The request.
    pub request_id: RequestId,
    /// How many items more.
    pub add: u64,
}

/// Payload of `call.progress`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CallProgress {
    /// The request.
    pub request_id: RequestId,
    /// Done so far, 0…1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fraction: Option<f64>,
    /// What is being done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Who ended a call.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum AbortBy {
    /// Whoever asked for it.
    Caller,
    /// The call it was made in.
    Parent,
    /// Its time.
    Deadline,
    /// The hub: a key revoked, a provider lost, a drain.
    Hub,
    /// Who ran it.
    Provider,
}

impl CallFailed {
    /// The event that tells a caller of an error.
    #[must_use]
    pub fn new(request_id: RequestId, error: CallError) -> Self {
        let CallError {
            code,
            message,
            details,
            ..
        } = error;
        Self {
            request_id,
            code,
            message,
            details,
        }
    }

    /// The error it tells of.
    #[must_use]
    pub fn into_error(self) -> CallError {
        let error = CallError::new(self.code, self.message);
        match self.details {
            Some(details) => error.with_details(details),
            None => error,
        }
    }
}

impl CallAborted {
    /// The event that ends a request; a longer reason is cut.
    #[must_use]
    pub fn new(request_id: RequestId, by: AbortBy, reason: Option<&str>) -> Self {
        let reason = reason.map(|reason| reason.chars().take(REASON_LENGTH).collect());
        Self {
            request_id,
            by: Some(by),
            reason,
        }
    }
}

impl CallEvent {
    /// The event's name on the wire.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Requested(_) => "call.requested",
            Self::Responded(_) => "call.responded",
            Self::Completed(_) => "call.completed",
            Self::Aborted(_) => "call.aborted",
            Self::Failed(_) => "call.error",
            Self::Credit(_) => "call.credit",
            Self::Progress(_) => "call.progress",
        }
    }

    /// The request the event is about.
    #[must_use]
    pub fn request_id(&self) -> &RequestId {
        match self {
            Self::Requested(payload) => &payload.request_id,
            Self::Responded(payload) => &payload.request_id,
            Self::Completed(payload) => &payload.request_id,
            Self::Aborted(payload) => &payload.request_id,
            Self::Failed(payload) => &payload.request_id,
            Self::Credit(payload) => &payload.request_id,
            Self::Progress(payload) => &payload.request_id,
        }
    }
}

/// Keeps an explicit `null` apart from an absent member.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}
