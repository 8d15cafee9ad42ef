//! What of a call may be written down: secrets taken out, large values cut.
//!
//! Pure functions. Redaction comes first, so that sizes and hashes are of the redacted text.

mod redact;

pub use redact::{REDACTED, Secrets, redact, redact_text};

use serde_json::{Value, json};

use crate::canonical::{depth_up_to, sha256_hex};
use crate::schema::VALUE_DEPTH;

/// Largest recorded input or output, in bytes of JSON, unless a setting says otherwise.
pub const RECORD_CAP: usize = 64 * 1024;
/// Largest recorded error details, in bytes of JSON.
pub const RECORD_DETAILS_CAP: usize = 16 * 1024;
/// How much of a cut value is kept readable, in characters.
const PREVIEW_LENGTH: usize = 1024;

/// The value itself when its JSON has at most `limit` bytes, else the marker
/// `{"$truncated": true, "bytes", "sha256", "preview"}`.
#[must_use]
pub fn truncated(value: Value, limit: usize) -> Value {
    let text = value.to_string();
    if text.len() <= limit {
        return value;
    }
    let preview: String = text.chars().take(PREVIEW_LENGTH).collect();
    json!({
        "$truncated": true,
        "bytes": text.len(),
        "sha256": sha256_hex(&text),
        "preview": preview,
    })
}

/// The marker `{"$omitted": true, "bytes"}`, which stands for a value that is not recorded.
#[must_use]
pub fn omitted(value: &Value) -> Value {
    json!({ "$omitted": true, "bytes": value.to_string().len() })
}

/// True for one of the two markers, so that a reader need not know their form.
#[must_use]
pub fn is_marker(value: &Value) -> bool {
    ["$truncated", "$omitted"]
        .iter()
        .any(|name| value.get(name) == Some(&Value::Bool(true)))
}

/// A value ready to be recorded in full: redacted by its schema and by the secrets of the call, NUL
/// replaced, cut to `limit` bytes. A value nested deeper than 128 levels becomes a marker.
#[must_use]
pub fn recordable(value: &Value, schema: Option<&Value>, secrets: &Secrets, limit: usize) -> Value {
    if depth_up_to(value, VALUE_DEPTH) > VALUE_DEPTH {
        return json!({ "$truncated": true, "reason": "depth" });
    }
    truncated(redact(value, schema, secrets), limit)
}
