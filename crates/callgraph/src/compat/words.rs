//! Schemas in short words, for messages.

use serde_json::{Map, Value};

use super::{accepts_all, list, resolved};

/// Deepest union that is spelt out.
const DEPTH: usize = 4;

/// `string`, `string or null`, `enum`, `object`, `any`.
pub(super) fn words(root: &Value, schema: &Value) -> String {
    let mut found = Vec::new();
    collect(root, schema, &mut found, DEPTH);
    if found.is_empty() {
        return "any".to_owned();
    }
    found.join(" or ")
}

fn collect(root: &Value, schema: &Value, found: &mut Vec<String>, depth: usize) {
    let mut add = |word: &str| {
        if !found.iter().any(|known| known == word) {
            found.push(word.to_owned());
        }
    };
    let Some(schema) = resolved(root, schema) else {
        return add("unknown");
    };
    let Value::Object(members) = schema else {
        return add(if accepts_all(schema) {
            "any"
        } else {
            "nothing"
        });
    };
    if members.contains_key("const") || members.contains_key("enum") {
        return add("enum");
    }
    match members.get("type") {
        Some(Value::String(name)) => return add(name),
        Some(Value::Array(names)) => {
            return names.iter().filter_map(Value::as_str).for_each(add);
        }
        _ => {}
    }
    if let Some(word) = by_keywords(members) {
        return add(word);
    }
    let branches = ["anyOf", "oneOf", "allOf"]
        .into_iter()
        .flat_map(|keyword| list(members, keyword));
    if depth == 0 {
        return add("union");
    }
    let before = found.len();
    for branch in branches {
        collect(root, branch, found, depth - 1);
    }
    if found.len() == before && !found.iter().any(|known| known == "any") {
        found.push("any".to_owned());
    }
}

fn by_keywords(members: &Map<String, Value>) -> Option<&'static str> {
    let has = |keywords: &[&str]| {
        keywords
            .iter()
            .any(|keyword| members.contains_key(*keyword))
    };
    if has(&["properties", "required", "additionalProperties"]) {
        Some("object")
    } else if has(&["items", "prefixItems"]) {
        Some("array")
    } else {
        None
    }
}
