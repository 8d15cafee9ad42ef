//! Defaults filled into an output, for providers that ask for it.

use serde_json::Value;

use super::{Schema, local_target};

/// How deep defaults are looked for; a recursive schema ends with the value, this ends with both.
const DEPTH: usize = 64;

/// Sets absent optional properties that have a `default`; nothing else is touched.
pub fn fill_defaults(schema: &Schema, value: &mut Value) {
    fill(schema.json(), schema.json(), value, DEPTH);
}

fn fill(root: &Value, schema: &Value, value: &mut Value, depth: usize) {
    let Some(schema) = local_target(root, schema).filter(|_| depth > 0) else {
        return;
    };
    if let Some(Value::Array(parts)) = schema.get("allOf") {
        parts
            .iter()
            .for_each(|part| fill(root, part, value, depth - 1));
    }
    match value {
        Value::Object(members) => {
            let required = schema.get("required").and_then(Value::as_array);
            let is_required =
                |name: &str| required.is_some_and(|names| names.iter().any(|one| one == name));
            let named = schema.get("properties").and_then(Value::as_object);
            for (name, property) in named.into_iter().flatten() {
                if let Some(member) = members.get_mut(name) {
                    fill(root, property, member, depth - 1);
                } else if !is_required(name)
                    && let Some(default) = default_of(root, property)
                {
                    members.insert(name.clone(), default.clone());
                }
            }
        }
        Value::Array(items) => {
            if let Some(schema) = schema.get("items") {
                items
                    .iter_mut()
                    .for_each(|item| fill(root, schema, item, depth - 1));
            }
        }
        _ => {}
    }
}

fn default_of<'a>(root: &'a Value, property: &'a Value) -> Option<&'a Value> {
    // Beside a reference the nearer word counts.
    property
        .get("default")
        .or_else(|| local_target(root, property)?.get("default"))
}
