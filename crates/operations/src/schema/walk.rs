//! Walking over a schema's own positions: which parts of it are schemas, and where references go.

use serde_json::{Map, Value};

use super::{SCHEMA_SUBSCHEMAS, SchemaError};
use crate::issue::pointer_join;

/// Keywords whose value is a schema (or, in old drafts, a list of schemas).
const ONE: [&str; 13] = [
    "additionalItems",
    "additionalProperties",
    "contains",
    "contentSchema",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
    "extends",
];
/// Keywords whose value is a list of schemas.
const LIST: [&str; 4] = ["allOf", "anyOf", "oneOf", "prefixItems"];
/// Keywords whose value is a map of schemas.
const MAP: [&str; 6] = [
    "$defs",
    "definitions",
    "dependencies",
    "dependentSchemas",
    "patternProperties",
    "properties",
];
/// Keywords that refer to another schema.
const REFERENCES: [&str; 3] = ["$ref", "$dynamicRef", "$recursiveRef"];

/// How many references in a row are followed before giving up on a circle.
const REFERENCE_HOPS: usize = 16;

/// The schemas directly inside a schema, each with its JSON Pointer from there.
pub(crate) fn subschemas_of(schema: &Value) -> Vec<(String, &Value)> {
    let Value::Object(members) = schema else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (keyword, value) in members {
        let here = pointer_join("", keyword);
        let keyword = keyword.as_str();
        match value {
            Value::Array(items) if LIST.contains(&keyword) || keyword == "items" => {
                for (index, item) in items.iter().enumerate() {
                    found.push((pointer_join(&here, &index.to_string()), item));
                }
            }
            Value::Object(named) if MAP.contains(&keyword) => {
                for (name, item) in named.iter().filter(|(_, item)| is_schema(item)) {
                    found.push((pointer_join(&here, name), item));
                }
            }
            value if ONE.contains(&keyword) && is_schema(value) => found.push((here, value)),
            _ => {}
        }
    }
    found
}

/// Counts subschemas and refuses references that leave the schema.
pub(super) fn check(root: &Value) -> Result<(), SchemaError> {
    let mut left = vec![(String::new(), root)];
    let mut count = 0;
    while let Some((path, schema)) = left.pop() {
        count += 1;
        if count > SCHEMA_SUBSCHEMAS {
            return Err(SchemaError::TooManySubschemas);
        }
        for keyword in REFERENCES {
            if let Some(Value::String(reference)) = schema.get(keyword)
                && !reference.starts_with('#')
            {
                return Err(SchemaError::RemoteReference {
                    path: pointer_join(&path, keyword),
                    reference: reference.chars().take(200).collect(),
                });
            }
        }
        left.extend(
            subschemas_of(schema)
                .into_iter()
                .map(|(below, part)| (format!("{path}{below}"), part)),
        );
    }
    Ok(())
}

/// The schema itself, or what its `#/…` reference leads to; `None` for a circle or a broken one.
///
/// References by `$anchor` are left to the validator.
pub(crate) fn local_target<'a>(root: &'a Value, schema: &'a Value) -> Option<&'a Value> {
    let mut schema = schema;
    for _ in 0..REFERENCE_HOPS {
        let Some(Value::String(reference)) = schema.get("$ref") else {
            return Some(schema);
        };
        schema = root.pointer(reference.strip_prefix('#')?)?;
    }
    None
}

/// The subschema of a property, looked for in `properties` and in every part of `allOf`.
pub(super) fn property<'a>(root: &'a Value, schema: &'a Value, name: &str) -> Option<&'a Value> {
    parts(root, schema)
        .into_iter()
        .find_map(|part| object_member(part, "properties").and_then(|named| named.get(name)))
        .map(|found| local_target(root, found).unwrap_or(found))
}

/// True when `required` of the schema or of a part of its `allOf` names the property.
pub(super) fn requires(root: &Value, schema: &Value, name: &str) -> bool {
    parts(root, schema)
        .into_iter()
        .any(|part| match part.get("required") {
            Some(Value::Array(names)) => names.iter().any(|required| required == name),
            _ => false,
        })
}

/// Everything that counts for the same value as the schema: itself, what it refers to, and the
/// parts of `allOf`, each once.
fn parts<'a>(root: &'a Value, schema: &'a Value) -> Vec<&'a Value> {
    let mut found: Vec<&Value> = Vec::new();
    let mut left = vec![schema];
    while let Some(schema) = left.pop() {
        // Parts may refer back to one another.
        if found.iter().any(|seen| std::ptr::eq(*seen, schema)) {
            continue;
        }
        found.push(schema);
        left.extend(local_target(root, schema));
        if let Some(Value::Array(parts)) = schema.get("allOf") {
            left.extend(parts);
        }
    }
    found
}

fn object_member<'a>(schema: &'a Value, keyword: &str) -> Option<&'a Map<String, Value>> {
    schema.get(keyword).and_then(Value::as_object)
}

fn is_schema(value: &Value) -> bool {
    matches!(value, Value::Object(_) | Value::Bool(_))
}
