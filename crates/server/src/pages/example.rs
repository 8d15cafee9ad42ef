//! A small value that fits a schema: what the example of an operation sends.

use serde_json::{Map, Value, json};

use super::types::resolve;

/// Deeper than this an example helps nobody.
const DEEPEST: usize = 4;

/// The smallest telling value: what is required, no more.
pub(super) fn example(document: &Value, schema: &Value) -> Value {
    build(document, schema, "", 0)
}

fn build(document: &Value, schema: &Value, name: &str, depth: usize) -> Value {
    let schema = resolve(document, schema);
    if let Some(Value::Array(examples)) = schema.get("examples")
        && let Some(first) = examples.first()
    {
        return first.clone();
    }
    if let Some(value) = schema.get("const") {
        return value.clone();
    }
    if let Some(Value::Array(values)) = schema.get("enum")
        && let Some(first) = values.first()
    {
        return first.clone();
    }
    if let Some(default) = schema.get("default")
        && !default.is_null()
    {
        return default.clone();
    }
    if depth > DEEPEST {
        return Value::Null;
    }
    for keyword in ["anyOf", "oneOf", "allOf"] {
        if let Some(Value::Array(forms)) = schema.get(keyword)
            && let Some(first) = forms.first()
        {
            return build(document, first, name, depth + 1);
        }
    }
    let kind = match schema.get("type") {
        Some(Value::String(kind)) => kind.as_str(),
        Some(Value::Array(kinds)) => kinds.first().and_then(Value::as_str).unwrap_or("null"),
        _ if schema.get("properties").is_some() => "object",
        _ => "null",
    };
    match kind {
        "object" => object(document, schema, depth),
        "array" => list(document, schema, name, depth),
        "string" => Value::String(text(schema, name)),
        "integer" | "number" => schema
            .get("minimum")
            .filter(|minimum| minimum.as_f64().is_some_and(|minimum| minimum > 0.0))
            .cloned()
            .unwrap_or_else(|| json!(1)),
        "boolean" => json!(true),
        _ => Value::Null,
    }
}

fn object(document: &Value, schema: &Value, depth: usize) -> Value {
    let mut members = Map::new();
    let required = match schema.get("required") {
        Some(Value::Array(names)) => names.as_slice(),
        _ => &[],
    };
    for name in required.iter().filter_map(Value::as_str) {
        if let Some(property) = schema.get("properties").and_then(|all| all.get(name)) {
            members.insert(name.to_owned(), build(document, property, name, depth + 1));
        }
    }
    Value::Object(members)
}

fn list(document: &Value, schema: &Value, name: &str, depth: usize) -> Value {
    match schema.get("items") {
        Some(items) if schema.get("minItems").is_some() || depth < 2 => {
            json!([build(document, items, name, depth + 1)])
        }
        _ => json!([]),
    }
}

fn text(schema: &Value, name: &str) -> String {
    match schema.get("format").and_then(Value::as_str) {
        Some("date-time") => "2026-11-24T08:10:53.120Z".to_owned(),
        Some("date") => "2026-11-24".to_owned(),
        Some("uuid") => "7d9f2a8e-3f0b-4c55-9c2e-0a4f3f1c1c11".to_owned(),
        Some("email") => "ada@example.org".to_owned(),
        Some("uri" | "uri-reference") => "https://example.org/".to_owned(),
        _ if name == "id" || name.ends_with("Id") => {
            "7d9f2a8e-3f0b-4c55-9c2e-0a4f3f1c1c11".to_owned()
        }
        _ if name.is_empty() => "text".to_owned(),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn example_holds_what_is_required_and_follows_references() {
        let document = json!({ "components": { "schemas": {
            "Priority": { "type": "string", "enum": ["low", "high"] },
        } } });
        let schema = json!({
            "type": "object",
            "required": ["projectId", "priority", "tags", "count"],
            "properties": {
                "projectId": { "type": "string" },
                "priority": { "$ref": "#/components/schemas/Priority" },
                "tags": { "type": "array", "items": { "type": "string" } },
                "count": { "type": "integer", "minimum": 3 },
                "note": { "type": "string" },
            },
        });
        assert_eq!(
            example(&document, &schema),
            json!({
                "projectId": "7d9f2a8e-3f0b-4c55-9c2e-0a4f3f1c1c11",
                "priority": "low",
                "tags": ["tags"],
                "count": 3,
            })
        );
    }

    #[test]
    fn a_type_that_holds_itself_ends() {
        let document = json!({ "components": { "schemas": {
            "Node": {
                "type": "object",
                "required": ["next"],
                "properties": { "next": { "$ref": "#/components/schemas/Node" } },
            },
        } } });
        let value = example(&document, &json!({ "$ref": "#/components/schemas/Node" }));
        assert!(value.is_object());
    }
}
