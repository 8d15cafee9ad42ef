//! From a response, or from what went wrong before there was one, to the answer of a call.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::HttpPlan;
use crate::adapters::events::Event;
use crate::envelope::{Envelope, Source, visible_headers};
use crate::error::{CallError, ErrorCode};

/// Largest response, in bytes.
pub const RESPONSE_BYTES: usize = 8 * 1024 * 1024;
/// How much of a failure's body is told, in bytes.
pub const BODY_SHOWN: usize = 8 * 1024;
/// Longest wait a service may ask for that is handed on, in ms: a day.
const LONGEST_WAIT_MS: u64 = 24 * 60 * 60 * 1000;

/// A response as plain data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpResponse {
    /// The status.
    pub status: u16,
    /// The headers; names in any case.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

/// Why there is no response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Fault {
    /// The name cannot be resolved.
    Dns,
    /// Nobody takes the connection.
    Connect,
    /// No secure connection can be made.
    Tls,
    /// The connection ended before the response did.
    Closed,
    /// The response is over [`RESPONSE_BYTES`].
    TooLarge,
    /// The address may not be reached.
    BlockedAddress,
    /// The service leads elsewhere, or in a circle.
    Redirect,
}

impl Fault {
    /// `EXECUTION_ERROR` with `details.reason`.
    #[must_use]
    pub fn error(self, message: impl Into<String>) -> CallError {
        CallError::new(ErrorCode::EXECUTION_ERROR, message)
            .with_details(json!({ "reason": self.to_string() }))
    }
}

impl HttpPlan {
    /// What a whole response means. `credential_header` is the header that carries the service's
    /// credential; it is never handed on.
    ///
    /// # Errors
    /// `EXECUTION_ERROR` `HTTP {status}: {text}` for a status outside 200…299, or `HTTP_{status}` when
    /// the operation declares it; `EXECUTION_ERROR` for JSON that does not read.
    pub fn answer(
        &self,
        response: HttpResponse,
        credential_header: Option<&str>,
    ) -> Result<Envelope, CallError> {
        if !(200..300).contains(&response.status) {
            return Err(self.failure(&response));
        }
        let content_type = response.content_type();
        let data = data(&response, &content_type)?;
        let headers = visible_headers(response.headers, credential_header);
        Ok(Envelope::http(data, response.status, headers, content_type))
    }

    /// The error of a response with a status of failure.
    #[must_use]
    pub fn failure(&self, response: &HttpResponse) -> CallError {
        let status = response.status;
        let code = match self.declared.contains(&status) {
            true => ErrorCode::other(format!("HTTP_{status}")),
            false => ErrorCode::EXECUTION_ERROR,
        };
        let message = match reason(status) {
            Some(reason) => format!("HTTP {status}: {reason}"),
            None => format!("HTTP {status}"),
        };
        let content_type = response.content_type();
        let mut details = json!({
            "statusCode": status,
            "contentType": content_type,
            "body": shown(&response.body, &content_type),
        });
        if matches!(status, 429 | 503)
            && let Some(wait) = response.retry_after_ms()
        {
            details["retryAfterMs"] = json!(wait);
        }
        CallError::new(code, message).with_details(details)
    }
}

impl HttpResponse {
    /// The first header of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The content type as the service writes it; empty when it does not.
    #[must_use]
    pub fn content_type(&self) -> String {
        self.header("content-type").unwrap_or_default().to_owned()
    }

    /// `Retry-After` in ms, if it is a number of seconds.
    fn retry_after_ms(&self) -> Option<u64> {
        let seconds: u64 = self.header("retry-after")?.trim().parse().ok()?;
        Some(seconds.saturating_mul(1_000).min(LONGEST_WAIT_MS))
    }
}

/// An event of a stream as an item; none for one whose data is blank. `head` is the response without
/// its body.
#[must_use]
pub fn item_of(
    event: &Event,
    head: &HttpResponse,
    credential_header: Option<&str>,
) -> Option<Envelope> {
    let data = event.value()?;
    let headers = visible_headers(head.headers.clone(), credential_header);
    let mut envelope = Envelope::http(data, head.status, headers, "text/event-stream");
    if let Source::Http {
        event: kind,
        event_id,
        ..
    } = &mut envelope.meta.source
    {
        *kind = Some(event.kind.clone());
        event_id.clone_from(&event.id);
    }
    Some(envelope)
}

/// The error of a successful response that is no stream of events where one was asked for.
#[must_use]
pub fn stream_refused(content_type: &str) -> CallError {
    let message = "the service answered with something else than a stream of events";
    CallError::new(ErrorCode::EXECUTION_ERROR, message)
        .with_details(json!({ "contentType": content_type }))
}

/// The error of a body that says it is JSON and is not.
#[must_use]
pub fn invalid_json(status: u16, content_type: &str) -> CallError {
    let message = "the service's answer says it is JSON and does not read as JSON";
    CallError::new(ErrorCode::EXECUTION_ERROR, message)
        .with_details(json!({ "statusCode": status, "contentType": content_type }))
}

fn data(response: &HttpResponse, content_type: &str) -> Result<Value, CallError> {
    if matches!(response.status, 204 | 205) || response.body.is_empty() {
        return Ok(Value::Null);
    }
    if is_json(content_type) {
        return serde_json::from_slice(&response.body)
            .map_err(|_unreadable| invalid_json(response.status, content_type));
    }
    if essence(content_type).starts_with("text/") {
        return Ok(Value::from(String::from_utf8_lossy(&response.body)));
    }
    Ok(json!({
        "$base64": STANDARD.encode(&response.body),
        "contentType": content_type,
    }))
}

/// The beginning of a failure's body: as JSON when it is whole and JSON, else as text.
fn shown(body: &[u8], content_type: &str) -> Value {
    if body.is_empty() {
        return Value::Null;
    }
    if body.len() <= BODY_SHOWN
        && is_json(content_type)
        && let Ok(json) = serde_json::from_slice(body)
    {
        return json;
    }
    let text = String::from_utf8_lossy(&body[..body.len().min(BODY_SHOWN)]);
    Value::from(text.trim_end_matches('\u{FFFD}'))
}

pub(crate) fn is_json(content_type: &str) -> bool {
    let essence = essence(content_type);
    essence == "application/json" || essence == "text/json" || essence.ends_with("+json")
}

/// The media type without its parameters, in lower case.
pub(crate) fn essence(content_type: &str) -> String {
    let essence = content_type.split(';').next().unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}

/// The usual text of a status.
fn reason(status: u16) -> Option<&'static str> {
    Some(match status {
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Payload Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        418 => "I'm a teapot",
        421 => "Misdirected Request",
        422 => "Unprocessable Entity",
        423 => "Locked",
        424 => "Failed Dependency",
        425 => "Too Early",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        507 => "Insufficient Storage",
        508 => "Loop Detected",
        511 => "Network Authentication Required",
        _ => return None,
    })
}
