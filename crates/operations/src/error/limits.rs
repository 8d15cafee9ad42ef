//! How large and how clean an error may be when it leaves.

use serde_json::Value;

use super::CallError;
use crate::record::truncated;

/// Longest message, in bytes.
pub const MESSAGE_LIMIT: usize = 4 * 1024;
/// Largest details, in bytes of JSON.
pub const DETAILS_LIMIT: usize = 64 * 1024;
/// Largest details of the hub's own imports, which list every fault, in bytes of JSON.
pub const IMPORT_DETAILS_LIMIT: usize = 4 * 1024 * 1024;

impl CallError {
    /// The same error fit to be sent: control characters removed, a message over 4 KiB cut, and
    /// details over `details_limit` bytes replaced by the truncation marker.
    #[must_use]
    pub fn limited(mut self, details_limit: usize) -> Self {
        self.message = clean_message(&self.message);
        self.details = self.details.map(|mut details| {
            clean_details(&mut details);
            truncated(details, details_limit)
        });
        self
    }
}

/// One line without control characters, at most [`MESSAGE_LIMIT`] bytes.
fn clean_message(message: &str) -> String {
    let mut clean = String::with_capacity(message.len().min(MESSAGE_LIMIT));
    for character in message.chars() {
        let character = match character {
            '\n' | '\t' => ' ',
            other if other.is_control() => continue,
            other => other,
        };
        if clean.len() + character.len_utf8() > MESSAGE_LIMIT {
            break;
        }
        clean.push(character);
    }
    clean
}

/// Removes control characters from every text; line ends and tabs stay, for details may be text of
/// several lines.
fn clean_details(details: &mut Value) {
    match details {
        Value::String(text) => {
            let unwanted = |character: char| {
                character.is_control() && !matches!(character, '\n' | '\r' | '\t')
            };
            if text.contains(unwanted) {
                text.retain(|character| !unwanted(character));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(clean_details),
        Value::Object(members) => members.values_mut().for_each(clean_details),
        _ => {}
    }
}
