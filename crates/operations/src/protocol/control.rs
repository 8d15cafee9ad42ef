//! The connection's own frames. All their names begin with `hub.`; none of them is about one call.

use std::fmt;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::codec::{CodecFault, to_text};
use crate::error::ErrorCode;
use crate::request_id::RequestId;

/// A frame of the connection itself.
#[derive(Debug, Clone, PartialEq)]
pub enum Control {
    /// `hub.auth`: the key, from clients that cannot set headers; the first frame.
    Auth(Auth),
    /// `hub.hello`: the hub's first frame.
    Hello(Hello),
    /// `hub.error`: the fault of a frame.
    Error(FrameError),
    /// `hub.heartbeat`, and its answer.
    Heartbeat(Heartbeat),
    /// `hub.closing`: the hub will close the connection.
    Closing(Closing),
}

/// Payload of `hub.auth`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Auth {
    /// The key, as in the header `Authorization: Bearer`.
    pub key: String,
}

/// Payload of `hub.hello`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Hello {
    /// Which hub it is.
    pub instance_id: String,
    /// Its version.
    pub version: String,
    /// The protocol it speaks, `alkhub.v1`.
    pub protocol: String,
    /// Its time, RFC 3339.
    pub now: String,
    /// How often it pings, ms.
    pub heartbeat_ms: u64,
    /// Largest frame it takes, bytes.
    pub max_frame_bytes: u64,
    /// What else it bounds.
    #[serde(default)]
    pub limits: HelloLimits,
}

/// Bounds of a connection, told in `hub.hello`; absent ones do not exist.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HelloLimits {
    /// Open calls of a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u64>,
    /// Open subscriptions of this connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscriptions: Option<u64>,
    /// Frames a second, sustained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frames_per_second: Option<u64>,
    /// Bytes of one input or output, as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_bytes: Option<u64>,
}

/// Payload of `hub.error`: what was wrong with a frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FrameError {
    /// What, for programs.
    pub code: ErrorCode,
    /// What, for a person.
    pub message: String,
    /// The frame, as far as it could be read.
    #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<FaultReference>,
}

/// Which frame was at fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FaultReference {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// The request it was about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
}

/// Payload of `hub.heartbeat`: from a client its load, from the hub its time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Heartbeat {
    /// How busy the sender is, 0…1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<f64>,
    /// Calls it is running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_flight: Option<u64>,
    /// The hub's time, RFC 3339; in answers only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<String>,
}

/// Payload of `hub.closing`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Closing {
    /// Why.
    pub reason: ClosingReason,
    /// When to try again, ms from now; absent where that would not help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reconnect_after_ms: Option<u64>,
}

/// Why the hub closes a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, strum::Display)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ClosingReason {
    /// The hub is stopping.
    Shutdown,
    /// The key has run out.
    KeyExpired,
    /// The key was taken back.
    KeyRevoked,
    /// Another connection took this one's place.
    Replaced,
    /// The client reads too slowly.
    Slow,
    /// A reason that this version does not know.
    #[serde(other)]
    Other,
}

impl Control {
    /// The frame's type.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Auth(_) => "hub.auth",
            Self::Hello(_) => "hub.hello",
            Self::Error(_) => "hub.error",
            Self::Heartbeat(_) => "hub.heartbeat",
            Self::Closing(_) => "hub.closing",
        }
    }

    /// The frame as text.
    #[must_use]
    pub fn to_text(&self) -> String {
        #[derive(Serialize)]
        struct Borrowed<'a, P> {
            #[serde(rename = "type")]
            kind: &'static str,
            id: &'static str,
            payload: &'a P,
        }
        let (kind, id) = (self.name(), "");
        match self {
            Self::Auth(payload) => to_text(&Borrowed { kind, id, payload }),
            Self::Hello(payload) => to_text(&Borrowed { kind, id, payload }),
            Self::Error(payload) => to_text(&Borrowed { kind, id, payload }),
            Self::Heartbeat(payload) => to_text(&Borrowed { kind, id, payload }),
            Self::Closing(payload) => to_text(&Borrowed { kind, id, payload }),
        }
    }

    /// Reads the payload of a frame of this type.
    pub(super) fn read(kind: String, payload: Value) -> Result<Self, CodecFault> {
        match kind.as_str() {
            "hub.auth" => payload_of(&kind, payload).map(Self::Auth),
            "hub.hello" => payload_of(&kind, payload).map(Self::Hello),
            "hub.error" => payload_of(&kind, payload).map(Self::Error),
            // A heartbeat may be empty altogether.
            "hub.heartbeat" if payload.is_null() => Ok(Self::Heartbeat(Heartbeat::default())),
            "hub.heartbeat" => payload_of(&kind, payload).map(Self::Heartbeat),
            "hub.closing" => payload_of(&kind, payload).map(Self::Closing),
            _ => Err(crate::events::FrameFault::UnknownEvent(kind).into()),
        }
    }
}

impl FrameError {
    /// The fault of a frame.
    #[must_use]
    pub fn new(
        code: ErrorCode,
        message: impl Into<String>,
        reference: Option<FaultReference>,
    ) -> Self {
        Self {
            code,
            message: message.into(),
            reference,
        }
    }
}

impl FaultReference {
    /// The frame of this type about this request.
    #[must_use]
    pub fn of(kind: &str, request_id: Option<&RequestId>) -> Option<Self> {
        Some(Self {
            kind: kind.to_owned(),
            request_id: request_id.cloned(),
        })
    }
}

/// Without the key.
impl fmt::Debug for Auth {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Auth").finish_non_exhaustive()
    }
}

fn payload_of<T: DeserializeOwned>(kind: &str, payload: Value) -> Result<T, CodecFault> {
    serde_json::from_value(payload).map_err(|_| CodecFault::Control(kind.to_owned()))
}
