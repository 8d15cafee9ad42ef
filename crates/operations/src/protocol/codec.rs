//! Frames as text: what may arrive, and what is answered when it is not that.

use serde::Serialize;
use serde_json::Value;

use super::control::{Control, FaultReference, FrameError};
use super::strict;
use crate::error::{CallError, ErrorCode};
use crate::events::{CallEvent, CallFailed, Frame, FrameFault};
use crate::request_id::RequestId;

/// Bounds of what is read.
#[derive(Debug, Clone)]
pub struct FrameLimits {
    /// Bytes of a frame.
    pub bytes: usize,
    /// Levels of nesting, the frame itself counted.
    pub depth: usize,
    /// Members of one object.
    pub keys: usize,
    /// Bytes of one input or output, as JSON.
    pub value_bytes: usize,
}

impl Default for FrameLimits {
    fn default() -> Self {
        Self {
            bytes: 16 * 1024 * 1024,
            depth: 128,
            keys: 100_000,
            value_bytes: 8 * 1024 * 1024,
        }
    }
}

/// A frame that was read.
#[derive(Debug, Clone, PartialEq)]
pub enum Incoming {
    /// An event of a call.
    Call(CallEvent),
    /// One of the connection's own frames.
    Control(Control),
    /// `__subscribe` and other words of the transport that some clients are built on. Routing needs
    /// none of them.
    Transport {
        /// The word.
        kind: String,
        /// The topic it names, if it does.
        topic: Option<String>,
    },
}

impl Incoming {
    /// What to answer to a word of the transport: nothing, unless it asks for a topic that is none of
    /// the call events'.
    #[must_use]
    pub fn refusal(&self) -> Option<Control> {
        let Self::Transport { kind, topic } = self else {
            return None;
        };
        let of_calls = topic
            .as_ref()
            .is_some_and(|topic| topic.starts_with("call."));
        if of_calls || !matches!(kind.as_str(), "__subscribe" | "__unsubscribe") {
            return None;
        }
        Some(Control::Error(FrameError::new(
            ErrorCode::UNSUPPORTED,
            "only topics of calls can be named, and they need not be",
            FaultReference::of(kind, None),
        )))
    }
}

/// Why a frame could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecFault {
    /// More bytes than are taken; the connection is closed with 1009.
    #[error("a frame has at most {limit} bytes")]
    TooLarge {
        /// How many are.
        limit: usize,
    },
    /// No JSON object, or one with repeated keys, too deep, too wide.
    #[error("the frame is not one JSON object: {0}")]
    Malformed(String),
    /// An object that is no event.
    #[error(transparent)]
    Frame(#[from] FrameFault),
    /// A `hub.` frame with another payload than its own.
    #[error("the payload of {0} is invalid")]
    Control(String),
    /// An input or output over its limit.
    #[error("{member} of {event} has at most {limit} bytes")]
    Oversized {
        /// The event.
        event: &'static str,
        /// `input` or `output`.
        member: &'static str,
        /// The request.
        request_id: RequestId,
        /// How many bytes are taken.
        limit: usize,
    },
}

/// The answer to a frame that could not be read.
#[derive(Debug, Clone, PartialEq)]
pub enum FaultAnswer {
    /// The call it would have been is refused.
    Call(CallEvent),
    /// The frame is refused.
    Control(Control),
}

impl FaultAnswer {
    /// The answer as text.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::Call(event) => encode(event),
            Self::Control(control) => control.to_text(),
        }
    }
}

impl CodecFault {
    /// Does it count as a violation? What a newer peer may send does not.
    #[must_use]
    pub fn is_violation(&self) -> bool {
        !matches!(
            self,
            Self::Frame(FrameFault::UnknownEvent(_)) | Self::Oversized { .. }
        )
    }

    /// The request the frame was about, when that could be read.
    #[must_use]
    pub fn request_id(&self) -> Option<&RequestId> {
        match self {
            Self::Frame(FrameFault::Payload { request_id, .. }) => request_id.as_ref(),
            Self::Frame(FrameFault::IdMismatch { request_id })
            | Self::Oversized { request_id, .. } => Some(request_id),
            _ => None,
        }
    }

    /// What to tell the peer. A faulty request is answered as a call, everything else as a frame:
    /// an error of the call would end one that goes on here.
    #[must_use]
    pub fn answer(&self) -> FaultAnswer {
        let refused = |id: &RequestId, error| {
            FaultAnswer::Call(CallEvent::Failed(CallFailed::new(id.clone(), error)))
        };
        match self {
            Self::Frame(FrameFault::Payload {
                event,
                path,
                request_id: Some(id),
            }) if event == "call.requested" => refused(
                id,
                CallError::validation_field(path.clone(), "type", self.to_string()),
            ),
            Self::Oversized {
                event: "call.requested",
                request_id,
                limit,
                ..
            } => refused(
                request_id,
                CallError::new(ErrorCode::PAYLOAD_TOO_LARGE, self.to_string())
                    .with_detail("limit", *limit),
            ),
            _ => FaultAnswer::Control(Control::Error(self.frame_error())),
        }
    }

    fn frame_error(&self) -> FrameError {
        let (code, kind) = match self {
            Self::TooLarge { .. } => (ErrorCode::PAYLOAD_TOO_LARGE, None),
            Self::Malformed(_) => (ErrorCode::VALIDATION_ERROR, None),
            Self::Frame(FrameFault::UnknownEvent(kind)) => {
                (ErrorCode::UNSUPPORTED, Some(kind.as_str()))
            }
            Self::Frame(FrameFault::Payload { event, .. }) => {
                (ErrorCode::VALIDATION_ERROR, Some(event.as_str()))
            }
            Self::Frame(FrameFault::IdMismatch { .. }) => (ErrorCode::VALIDATION_ERROR, None),
            Self::Control(kind) => (ErrorCode::VALIDATION_ERROR, Some(kind.as_str())),
            Self::Oversized { event, .. } => (ErrorCode::PAYLOAD_TOO_LARGE, Some(*event)),
        };
        let reference = match (kind, self.request_id()) {
            (None, None) => None,
            (kind, id) => FaultReference::of(kind.unwrap_or_default(), id),
        };
        FrameError::new(code, self.to_string(), reference)
    }
}

/// Reads a frame. One pass and one tree: inputs and outputs are not copied again.
///
/// # Errors
/// [`CodecFault`]; [`CodecFault::answer`] says what the peer is told.
pub fn decode(text: &str, limits: &FrameLimits) -> Result<Incoming, CodecFault> {
    if text.len() > limits.bytes {
        return Err(CodecFault::TooLarge {
            limit: limits.bytes,
        });
    }
    let value =
        strict::read(text, limits).map_err(|error| CodecFault::Malformed(error.to_string()))?;
    let Value::Object(mut members) = value else {
        return Err(CodecFault::Malformed("it is no object".to_owned()));
    };
    let Some(Value::String(kind)) = members.remove("type") else {
        return Err(CodecFault::Malformed("it has no type".to_owned()));
    };
    let id = match members.remove("id") {
        Some(Value::String(id)) => id,
        None | Some(Value::Null) => String::new(),
        Some(_) => return Err(CodecFault::Malformed("its id is no text".to_owned())),
    };
    let payload = members.remove("payload").unwrap_or(Value::Null);
    if kind.starts_with("__") {
        let topic = payload.get("topic").and_then(Value::as_str);
        let topic = topic.map(str::to_owned);
        return Ok(Incoming::Transport { kind, topic });
    }
    if kind.starts_with("hub.") {
        return Control::read(kind, payload).map(Incoming::Control);
    }
    let event = CallEvent::from_frame(Frame { kind, id, payload })?;
    if text.len() > limits.value_bytes {
        measure(&event, limits.value_bytes)?;
    }
    Ok(Incoming::Call(event))
}

/// The frame of an event, as text.
#[must_use]
pub fn encode(event: &CallEvent) -> String {
    #[derive(Serialize)]
    struct Borrowed<'a, P> {
        #[serde(rename = "type")]
        kind: &'static str,
        id: &'a str,
        payload: &'a P,
    }
    let kind = event.name();
    let id = event.request_id().as_str();
    match event {
        CallEvent::Requested(payload) => to_text(&Borrowed { kind, id, payload }),
        CallEvent::Responded(payload) => to_text(&Borrowed { kind, id, payload }),
        CallEvent::Completed(payload) => to_text(&Borrowed { kind, id, payload }),
        CallEvent::Aborted(payload) => to_text(&Borrowed { kind, id, payload }),
        CallEvent::Failed(payload) => to_text(&Borrowed { kind, id, payload }),
        CallEvent::Credit(payload) => to_text(&Borrowed { kind, id, payload }),
        CallEvent::Progress(payload) => to_text(&Borrowed { kind, id, payload }),
    }
}

/// JSON of a type of this module.
pub(super) fn to_text(value: &impl Serialize) -> String {
    #[expect(
        clippy::expect_used,
        reason = "keys are texts and no serializer of these types refuses, so there is no failure"
    )]
    serde_json::to_string(value).expect("events can be written as JSON")
}

/// Is the input or output within its limit? Asked only of frames that could hold one over it.
fn measure(event: &CallEvent, limit: usize) -> Result<(), CodecFault> {
    let (member, length) = match event {
        CallEvent::Requested(requested) => ("input", to_text(&requested.input).len()),
        CallEvent::Responded(responded) => ("output", to_text(&responded.output.data).len()),
        _ => return Ok(()),
    };
    if length <= limit {
        return Ok(());
    }
    Err(CodecFault::Oversized {
        event: event.name(),
        member,
        request_id: event.request_id().clone(),
        limit,
    })
}
