//! Requests to an HTTP service made from inputs, and its responses made into answers; all as plain
//! data.

mod encode;
mod response;

pub use response::{
    BODY_SHOWN, Fault, HttpResponse, RESPONSE_BYTES, invalid_json, item_of, stream_refused,
};
pub(crate) use response::{essence, is_json};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::CallError;

/// How the input of one operation becomes a request, and what its responses mean. Made from a
/// document once; kept as JSON beside the operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpPlan {
    /// The method.
    pub method: Method,
    /// The path below the service's base address, with `{name}` for parameters.
    pub path: String,
    /// What goes where.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<Parameter>,
    /// Media type of the body; none = no body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Statuses of failure with a declared error `HTTP_{status}`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub declared: Vec<u16>,
    /// True when the answer is a stream of events.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stream: bool,
}

/// The methods that are imported.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    strum::Display,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[serde(rename_all = "UPPERCASE")]
#[strum(serialize_all = "UPPERCASE")]
pub enum Method {
    /// Reads.
    Get,
    /// Makes.
    Post,
    /// Replaces.
    Put,
    /// Changes a part.
    Patch,
    /// Removes.
    Delete,
    /// Reads headers only.
    Head,
}

/// Where one member of the input goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Parameter {
    /// Its name in the input.
    pub input: String,
    /// Its name in the request.
    pub name: String,
    /// Where it goes.
    #[serde(rename = "in")]
    pub location: Location,
    /// How lists and objects are written.
    pub style: Style,
    /// Whether lists and objects are taken apart.
    pub explode: bool,
    /// Written as JSON text, whatever its style.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub json: bool,
    /// Reserved characters stay as they are (query only).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_reserved: bool,
}

/// The parts of a request that carry parameters.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Location {
    /// The path.
    Path,
    /// The query string.
    Query,
    /// A header of its own.
    Header,
    /// The header `Cookie`.
    Cookie,
}

/// How a list or an object is written into a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::EnumString)]
#[serde(rename_all = "camelCase")]
#[strum(serialize_all = "camelCase")]
pub enum Style {
    /// `a,b`.
    Simple,
    /// `.a.b`.
    Label,
    /// `;name=a;name=b`.
    Matrix,
    /// `name=a&name=b`.
    Form,
    /// `name=a%20b`.
    SpaceDelimited,
    /// `name=a%7Cb`.
    PipeDelimited,
    /// `name[key]=value`.
    DeepObject,
}

/// A request as plain data. The host puts the service's base address in front and its credentials in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// The method.
    pub method: Method,
    /// The path below the base address, encoded, beginning with a slash.
    pub path: String,
    /// The query string, encoded; none when there is nothing in it.
    pub query: Option<String>,
    /// Headers; with a body its content type is among them.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Option<Vec<u8>>,
}

impl HttpPlan {
    /// Makes the request of one call. The input has passed the operation's schema.
    ///
    /// # Errors
    /// `VALIDATION_ERROR` for a value that cannot stand where it must: an empty one, `.` or `..` in
    /// the path, a line end in a header, or no value for a part of the path.
    pub fn request(&self, input: &Value) -> Result<HttpRequest, CallError> {
        encode::request(self, input)
    }
}

/// Header names no parameter may set: who is asked, with which credentials, and how the message is
/// framed is the host's word.
pub const RESERVED_HEADERS: [&str; 12] = [
    "accept",
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "host",
    "proxy-authorization",
    "te",
    "transfer-encoding",
    "upgrade",
];
