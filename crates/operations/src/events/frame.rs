//! The frame around an event: `{ "type", "id", "payload" }`.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::CallEvent;
use super::read::Members;
use crate::request_id::RequestId;

/// One message of a connection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Frame {
    /// Name of the event.
    #[serde(rename = "type")]
    pub kind: String,
    /// The request id of a call event; empty for others, and from peers that leave it out.
    #[serde(default)]
    pub id: String,
    /// What the event says.
    #[serde(default)]
    pub payload: Value,
}

/// Why a frame carries no call event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameFault {
    /// No event of this protocol; newer peers may send such.
    #[error("unknown event {0}")]
    UnknownEvent(String),
    /// The frame's id and the payload's request id differ.
    #[error("the frame's id is not its payload's requestId")]
    IdMismatch {
        /// The payload's.
        request_id: RequestId,
    },
    /// The payload is not that of the event.
    #[error("the payload of {event} is invalid at {path}")]
    Payload {
        /// The event.
        event: String,
        /// JSON Pointer into the payload.
        path: String,
        /// The request, when it could be read; it can then be told of its fault.
        request_id: Option<RequestId>,
    },
}

impl CallEvent {
    /// The frame that carries the event.
    #[must_use]
    pub fn to_frame(&self) -> Frame {
        let payload = match self {
            Self::Requested(payload) => json!(payload),
            Self::Responded(payload) => json!(payload),
            Self::Completed(payload) => json!(payload),
            Self::Aborted(payload) => json!(payload),
            Self::Failed(payload) => json!(payload),
            Self::Credit(payload) => json!(payload),
            Self::Progress(payload) => json!(payload),
        };
        Frame {
            kind: self.name().to_owned(),
            id: self.request_id().to_string(),
            payload,
        }
    }

    /// Reads the event a frame carries. What counts is the payload's request id; the frame's own is
    /// empty or the same. Inputs and outputs are moved, never copied.
    ///
    /// # Errors
    /// [`FrameFault`], which never ends a connection by itself.
    pub fn from_frame(frame: Frame) -> Result<Self, FrameFault> {
        let Frame { kind, id, payload } = frame;
        if !is_event(&kind) {
            return Err(FrameFault::UnknownEvent(kind));
        }
        let event = Members::of(&kind, payload)?.event()?;
        if id.is_empty() || id == event.request_id().as_str() {
            Ok(event)
        } else {
            Err(FrameFault::IdMismatch {
                request_id: event.request_id().clone(),
            })
        }
    }
}

/// Is it the name of one of the events?
fn is_event(kind: &str) -> bool {
    matches!(
        kind,
        "call.requested"
            | "call.responded"
            | "call.completed"
            | "call.aborted"
            | "call.error"
            | "call.credit"
            | "call.progress"
    )
}
