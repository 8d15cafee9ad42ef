//! Content blocks as they come, made whole.

use serde_json::{Map, Value};

use crate::envelope::{Annotations, Block, ResourceContents};

/// The blocks of a result. What a block lacks is filled in; a kind nobody knows, and what is no object,
/// becomes a text block that holds its JSON.
#[must_use]
pub fn blocks(content: &Value) -> Vec<Block> {
    match content {
        Value::Array(items) => items.iter().map(block).collect(),
        _ => Vec::new(),
    }
}

fn block(item: &Value) -> Block {
    let Value::Object(members) = item else {
        return as_text(item);
    };
    let text = |key: &str| text(members, key);
    let or = |key: &str, default: &str| text(key).unwrap_or_else(|| default.to_owned());
    let annotations = members.get("annotations").and_then(annotations);
    match members.get("type").and_then(Value::as_str) {
        Some("text") => Block::Text {
            text: or("text", ""),
            annotations,
        },
        Some("image") => Block::Image {
            data: or("data", ""),
            mime_type: or("mimeType", "application/octet-stream"),
            annotations,
        },
        Some("audio") => Block::Audio {
            data: or("data", ""),
            mime_type: or("mimeType", "audio/octet-stream"),
            annotations,
        },
        Some("resource") => Block::Resource {
            resource: resource(members.get("resource")),
            annotations,
        },
        Some("resource_link") => Block::ResourceLink {
            uri: or("uri", ""),
            name: or("name", ""),
            description: text("description"),
            mime_type: text("mimeType"),
            annotations,
        },
        _ => as_text(item),
    }
}

fn as_text(item: &Value) -> Block {
    Block::Text {
        text: item.to_string(),
        annotations: None,
    }
}

fn resource(value: Option<&Value>) -> ResourceContents {
    let none = Map::new();
    let members = value.and_then(Value::as_object).unwrap_or(&none);
    ResourceContents {
        uri: text(members, "uri").unwrap_or_default(),
        mime_type: text(members, "mimeType"),
        text: text(members, "text"),
        blob: text(members, "blob"),
    }
}

/// Hints that do not read as hints are left out, each for itself.
fn annotations(value: &Value) -> Option<Annotations> {
    let members = value.as_object()?;
    let audience = members.get("audience").cloned();
    Some(Annotations {
        audience: audience.and_then(|audience| serde_json::from_value(audience).ok()),
        priority: members.get("priority").and_then(Value::as_f64),
        last_modified: text(members, "lastModified"),
    })
}

fn text(members: &Map<String, Value>, key: &str) -> Option<String> {
    members.get(key).and_then(Value::as_str).map(str::to_owned)
}
