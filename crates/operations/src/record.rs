//! What of a call may be written down: secrets taken out, large values cut.
//!
//! Pure functions. Redaction comes first, so that sizes and hashes are of the redacted text.

mod redact;

pub use redact::{REDACTED, Secrets, redact, redact_text};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::canonical::{depth_up_to, sha256_hex, write_canonical_json};
use crate::schema::VALUE_DEPTH;

/// Largest recorded input or output, in bytes of JSON, unless a setting says otherwise.
pub const RECORD_CAP: usize = 64 * 1024;
/// Largest recorded error details, in bytes of JSON.
pub const RECORD_DETAILS_CAP: usize = 16 * 1024;
/// What is larger than this, in bytes of JSON, is never copied to be recorded: an import of a whole
/// directory would be in memory several times.
pub const LARGE_VALUE: usize = 4 * 1024 * 1024;
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
    let mut bytes = 0;
    write_canonical_json(value, &mut |piece| bytes += piece.len());
    json!({ "$omitted": true, "bytes": bytes })
}

/// True when the JSON of a value has more than [`LARGE_VALUE`] bytes, told by the lengths of its texts
/// without writing them.
#[must_use]
pub fn is_large(value: &Value) -> bool {
    fn add(value: &Value, size: &mut usize) {
        if *size > LARGE_VALUE {
            return;
        }
        match value {
            Value::String(text) => *size += text.len() + 2,
            Value::Array(items) => {
                *size += 2;
                items.iter().for_each(|item| add(item, size));
            }
            Value::Object(members) => {
                *size += 2;
                for (key, item) in members {
                    *size += key.len() + 4;
                    add(item, size);
                }
            }
            _ => *size += 4,
        }
    }
    let mut size = 0;
    add(value, &mut size);
    size > LARGE_VALUE
}

/// The marker of [`truncated`] for a value that is not worth a copy of itself: size and hash of its
/// canonical text as it is, and nothing of it to read.
fn large(value: &Value) -> Value {
    let mut bytes = 0;
    let mut hash = Sha256::new();
    write_canonical_json(value, &mut |piece| {
        bytes += piece.len();
        hash.update(piece.as_bytes());
    });
    let sha256: String = hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    json!({ "$truncated": true, "bytes": bytes, "sha256": sha256, "preview": "" })
}

/// True for one of the two markers, so that a reader need not know their form.
#[must_use]
pub fn is_marker(value: &Value) -> bool {
    ["$truncated", "$omitted"]
        .iter()
        .any(|name| value.get(name) == Some(&Value::Bool(true)))
}

/// A value ready to be recorded in full: redacted by its schema and by the secrets of the call, NUL
/// replaced, cut to `limit` bytes. A value nested deeper than 128 levels becomes a marker, and so does
/// one of more than [`LARGE_VALUE`] bytes, without being copied first.
#[must_use]
pub fn recordable(value: &Value, schema: Option<&Value>, secrets: &Secrets, limit: usize) -> Value {
    if depth_up_to(value, VALUE_DEPTH) > VALUE_DEPTH {
        return json!({ "$truncated": true, "reason": "depth" });
    }
    if limit <= LARGE_VALUE && is_large(value) {
        return large(value);
    }
    truncated(redact(value, schema, secrets), limit)
}
