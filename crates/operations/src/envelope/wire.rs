//! Envelopes as JSON: the strict form for the wire, and the loose detector.

use std::collections::BTreeMap;

use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::{Block, Envelope, Meta, Source};

/// The JSON is no envelope.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// No object with an object `meta`.
    #[error("an envelope is an object with a member meta that is an object")]
    Shape,
    /// `meta.source` is none of the three.
    #[error("meta.source must be one of local, http, mcp")]
    Source,
    /// `meta` lacks what its source asks for.
    #[error("meta does not fit its source")]
    Meta(#[source] serde_json::Error),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LocalMeta {
    operation_id: String,
    timestamp: serde_json::Number,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct HttpMeta {
    status_code: u16,
    headers: BTreeMap<String, String>,
    content_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    event: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    event_id: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct McpMeta {
    is_error: bool,
    content: Vec<Block>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    structured_content: Option<Value>,
    #[serde(rename = "_meta", default, skip_serializing_if = "Option::is_none")]
    meta: Option<Value>,
}

impl Envelope {
    /// Reads an envelope as it came over the wire. Absent data is `null`; members of `meta` that its
    /// source does not have are dropped.
    ///
    /// # Errors
    /// [`EnvelopeError`] when it is not whole: `headers` and `contentType` of `http` are needed, and
    /// every block of `mcp` must be one.
    pub fn from_json(json: Value) -> Result<Self, EnvelopeError> {
        let Value::Object(mut members) = json else {
            return Err(EnvelopeError::Shape);
        };
        let data = members.remove("data").unwrap_or(Value::Null);
        let Some(meta @ Value::Object(_)) = members.remove("meta") else {
            return Err(EnvelopeError::Shape);
        };
        let source = match meta.get("source").and_then(Value::as_str) {
            Some("local") => {
                let meta = LocalMeta::deserialize(meta).map_err(EnvelopeError::Meta)?;
                Source::Local {
                    operation_id: meta.operation_id,
                    timestamp: whole_ms(&meta.timestamp),
                }
            }
            Some("http") => {
                let meta = HttpMeta::deserialize(meta).map_err(EnvelopeError::Meta)?;
                Source::Http {
                    status_code: meta.status_code,
                    headers: meta.headers,
                    content_type: meta.content_type,
                    event: meta.event,
                    event_id: meta.event_id,
                }
            }
            Some("mcp") => {
                let meta = McpMeta::deserialize(meta).map_err(EnvelopeError::Meta)?;
                Source::Mcp {
                    is_error: meta.is_error,
                    content: meta.content,
                    structured_content: meta.structured_content,
                    meta: meta.meta,
                }
            }
            _ => return Err(EnvelopeError::Source),
        };
        Ok(Self::of(data, source))
    }

    /// The envelope as JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        serde_json::json!(self)
    }
}

/// Does the JSON look like an envelope, as peers of the reference library would take it? Looser than
/// [`Envelope::from_json`]; in process nothing is decided by it.
#[must_use]
pub fn looks_like_envelope(json: &Value) -> bool {
    let Some(meta) = json.get("meta").filter(|_| json.get("data").is_some()) else {
        return false;
    };
    let is = |name: &str, test: fn(&Value) -> bool| meta.get(name).is_some_and(test);
    match meta.get("source").and_then(Value::as_str) {
        Some("local") => is("operationId", Value::is_string) && is("timestamp", Value::is_number),
        Some("http") => is("statusCode", Value::is_number),
        Some("mcp") => is("isError", Value::is_boolean) && is("content", Value::is_array),
        _ => false,
    }
}

impl Serialize for Envelope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_map(Some(2))?;
        members.serialize_entry("data", &self.data)?;
        members.serialize_entry("meta", &self.meta)?;
        members.end()
    }
}

impl<'de> Deserialize<'de> for Envelope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_json(Value::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl Serialize for Meta {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_map(None)?;
        match &self.source {
            Source::Local {
                operation_id,
                timestamp,
            } => {
                members.serialize_entry("source", "local")?;
                members.serialize_entry("operationId", operation_id)?;
                members.serialize_entry("timestamp", timestamp)?;
            }
            Source::Http {
                status_code,
                headers,
                content_type,
                event,
                event_id,
            } => {
                members.serialize_entry("source", "http")?;
                members.serialize_entry("statusCode", status_code)?;
                members.serialize_entry("headers", headers)?;
                members.serialize_entry("contentType", content_type)?;
                if let Some(event) = event {
                    members.serialize_entry("event", event)?;
                }
                if let Some(event_id) = event_id {
                    members.serialize_entry("eventId", event_id)?;
                }
            }
            Source::Mcp {
                is_error,
                content,
                structured_content,
                meta,
            } => {
                members.serialize_entry("source", "mcp")?;
                members.serialize_entry("isError", is_error)?;
                members.serialize_entry("content", content)?;
                if let Some(structured) = structured_content {
                    members.serialize_entry("structuredContent", structured)?;
                }
                if let Some(meta) = meta {
                    members.serialize_entry("_meta", meta)?;
                }
            }
        }
        if let Some(request_id) = &self.request_id {
            members.serialize_entry("requestId", request_id)?;
        }
        if let Some(duration) = self.duration {
            let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
            members.serialize_entry("durationMs", &duration_ms)?;
        }
        if let Some(provider) = &self.provider {
            members.serialize_entry("provider", provider)?;
        }
        members.end()
    }
}

/// Peers may send fractions of a millisecond; they are cut off.
fn whole_ms(number: &serde_json::Number) -> i64 {
    number.as_i64().unwrap_or_else(|| {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "out of range saturates, which is far off anyway"
        )]
        let cut = number.as_f64().unwrap_or_default() as i64;
        cut
    })
}
