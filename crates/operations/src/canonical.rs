//! Canonical JSON: one text for one value, so that values can be hashed and compared.

use serde_json::Value;
use sha2::{Digest, Sha256};

/// The value as JSON text with sorted keys and without insignificant space.
///
/// Numbers are written as they came: `1` and `1.0` are two texts.
#[must_use]
pub fn canonical_json(value: &Value) -> String {
    let mut text = String::new();
    write_canonical_json(value, &mut |piece| text.push_str(piece));
    text
}

/// Gives the text of [`canonical_json`] piece by piece, for values too large to be held twice.
pub fn write_canonical_json(value: &Value, write: &mut impl FnMut(&str)) {
    match value {
        Value::Array(items) => {
            write("[");
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    write(",");
                }
                write_canonical_json(item, write);
            }
            write("]");
        }
        Value::Object(members) => {
            // Sorted here: whether the map keeps an order of its own is a feature another crate of
            // the build may switch on.
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by_key(|(key, _)| key.as_str());
            write("{");
            for (index, (key, item)) in members.into_iter().enumerate() {
                if index > 0 {
                    write(",");
                }
                write(&Value::from(key.as_str()).to_string());
                write(":");
                write_canonical_json(item, write);
            }
            write("}");
        }
        scalar => write(&scalar.to_string()),
    }
}

/// SHA-256 of a text, as 64 lower-case hexadecimal characters.
#[must_use]
pub fn sha256_hex(text: &str) -> String {
    use std::fmt::Write as _;

    let digest = Sha256::digest(text.as_bytes());
    digest
        .iter()
        .fold(String::with_capacity(64), |mut hex, byte| {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

/// The deepest nesting of a value, counting no further than `limit + 1`.
///
/// A scalar has depth 0, `[]` has 1, `[[]]` has 2. Counting stops at the limit so that a value made
/// to be deep cannot exhaust the stack here.
#[must_use]
pub fn depth_up_to(value: &Value, limit: usize) -> usize {
    fn visit(value: &Value, left: usize) -> usize {
        let deepest = |items: &mut dyn Iterator<Item = &Value>| {
            if left == 0 {
                return 0;
            }
            items.map(|item| visit(item, left - 1)).max().unwrap_or(0)
        };
        match value {
            Value::Array(items) => 1 + deepest(&mut items.iter()),
            Value::Object(members) => 1 + deepest(&mut members.values()),
            _ => 0,
        }
    }
    visit(value, limit)
}
