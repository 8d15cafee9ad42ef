//! How much memory things take, about. Bounds of buffers are in these numbers.

use serde_json::Value;

use super::Envelope;

/// About how much memory an item takes.
pub(super) fn weight(envelope: &Envelope) -> usize {
    128 + weight_of(&envelope.data)
}

fn weight_of(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 32,
        Value::String(text) => 32 + text.len(),
        Value::Array(elements) => 32 + elements.iter().map(weight_of).sum::<usize>(),
        Value::Object(members) => {
            let each = |(name, value): (&String, &Value)| 32 + name.len() + weight_of(value);
            32 + members.iter().map(each).sum::<usize>()
        }
    }
}
