//! The frame around an event: `{ "type", "id", "payload" }`.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::CallEvent;
use crate::request_id::RequestId;
use crate::spec::wire::pointer;

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
    /// empty or the same.
    ///
    /// # Errors
    /// [`FrameFault`], which never ends a connection by itself.
    pub fn from_frame(frame: Frame) -> Result<Self, FrameFault> {
        let Frame { kind, id, payload } = frame;
        let event = match kind.as_str() {
            "call.requested" => read(&kind, payload).map(Self::Requested),
            "call.responded" => read(&kind, payload).map(Self::Responded),
            "call.completed" => read(&kind, payload).map(Self::Completed),
            "call.aborted" => read(&kind, payload).map(Self::Aborted),
            "call.error" => read(&kind, payload).map(Self::Failed),
            "call.credit" => read(&kind, payload).map(Self::Credit),
            "call.progress" => read(&kind, payload).map(Self::Progress),
            _ => return Err(FrameFault::UnknownEvent(kind)),
        }?;
        if id.is_empty() || id == event.request_id().as_str() {
            Ok(event)
        } else {
            Err(FrameFault::IdMismatch {
                request_id: event.request_id().clone(),
            })
        }
    }
}

fn read<T: DeserializeOwned>(event: &str, payload: Value) -> Result<T, FrameFault> {
    let request_id = payload
        .get("requestId")
        .and_then(Value::as_str)
        .and_then(|text| RequestId::new(text).ok());
    serde_path_to_error::deserialize(payload).map_err(|error| FrameFault::Payload {
        event: event.to_owned(),
        path: pointer(error.path()),
        request_id,
    })
}
