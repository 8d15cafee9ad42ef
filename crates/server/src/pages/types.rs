//! JSON Schemas in words and tables.

use maud::{Markup, html};
use serde_json::Value;

/// Prefix of a reference to one of the document's schemas.
const SCHEMAS: &str = "#/components/schemas/";

/// The schema a reference leads to, or the schema itself.
pub(super) fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let mut found = schema;
    // References to references are rare; eight of them are a circle.
    for _ in 0..8 {
        let next = found
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|reference| reference.strip_prefix('#'))
            .and_then(|pointer| document.pointer(pointer));
        match next {
            Some(next) => found = next,
            None => break,
        }
    }
    found
}

/// Text with what stands between backticks as code.
pub(super) fn prose(text: &str) -> Markup {
    html! {
        @for (index, part) in text.split('`').enumerate() {
            @if index % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

/// Whose hands the fields of a table are in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// The caller's, who must know which are required.
    ByCaller,
    /// The hub's: what is there is there.
    ByHub,
}

/// The fields of an object as a table; `None` when the schema has none.
pub(super) fn fields(document: &Value, schema: &Value, written: Written) -> Option<Markup> {
    let schema = resolve(document, schema);
    let properties = schema.get("properties")?.as_object()?;
    if properties.is_empty() {
        return None;
    }
    let required: Vec<&str> = names(schema.get("required"));
    Some(html! {
        div.table {
            table {
                thead { tr { th { "Field" } th { "Type" } th { "Meaning" } } }
                tbody {
                    @for (name, property) in properties {
                        tr {
                            td {
                                code { (name) }
                                @if written == Written::ByCaller && required.contains(&name.as_str()) { " " span.required { "required" } }
                            }
                            td { (type_of(property)) }
                            td { (meaning(property)) }
                        }
                    }
                }
            }
        }
    })
}

/// The type of a value in a few words, with links to the types of the document.
pub(super) fn type_of(schema: &Value) -> Markup {
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        return match reference.strip_prefix(SCHEMAS) {
            Some(name) if !name.contains('/') => html! { a href={ "#type-" (name) } { (name) } },
            _ => html! { "value" },
        };
    }
    if let Some(value) = schema.get("const") {
        return html! { code { (value.to_string()) } };
    }
    if let Some(Value::Array(values)) = schema.get("enum") {
        return html! {
            @for (index, value) in values.iter().enumerate() {
                @if index > 0 { ", " }
                code { (value.to_string()) }
            }
        };
    }
    for keyword in ["anyOf", "oneOf"] {
        if let Some(Value::Array(forms)) = schema.get(keyword) {
            return html! {
                @for (index, form) in forms.iter().enumerate() {
                    @if index > 0 { " or " }
                    (type_of(form))
                }
            };
        }
    }
    if let Some(Value::Array(parts)) = schema.get("allOf")
        && let [only] = parts.as_slice()
    {
        return type_of(only);
    }
    match schema.get("type") {
        Some(Value::String(name)) => named_type(name, schema),
        Some(Value::Array(kinds)) => html! {
            @for (index, kind) in kinds.iter().filter_map(Value::as_str).enumerate() {
                @if index > 0 { " or " }
                (named_type(kind, schema))
            }
        },
        _ => html! { "any" },
    }
}

fn named_type(name: &str, schema: &Value) -> Markup {
    match name {
        "array" => match schema.get("items") {
            Some(items) => html! { "list of " (type_of(items)) },
            None => html! { "list" },
        },
        "object" => match schema.get("additionalProperties") {
            Some(values @ Value::Object(members)) if !members.is_empty() => {
                html! { "object of " (type_of(values)) }
            }
            _ => html! { "object" },
        },
        "string" => match schema.get("format").and_then(Value::as_str) {
            Some(format) => html! { "string (" (format) ")" },
            None => html! { "string" },
        },
        other => html! { (other) },
    }
}

fn meaning(schema: &Value) -> Markup {
    let description = schema.get("description").and_then(Value::as_str);
    let mut notes: Vec<String> = Vec::new();
    if let Some(default) = schema.get("default")
        && !default.is_null()
    {
        notes.push(format!("default {default}"));
    }
    for (keyword, words) in [
        ("minimum", "at least"),
        ("maximum", "at most"),
        ("minLength", "characters, at least"),
        ("maxLength", "characters, at most"),
        ("minItems", "entries, at least"),
        ("maxItems", "entries, at most"),
    ] {
        if let Some(bound) = schema.get(keyword).filter(|bound| bound.is_number()) {
            notes.push(format!("{words} {bound}"));
        }
    }
    html! {
        @if let Some(description) = description { (prose(description)) }
        @if !notes.is_empty() {
            @if description.is_some() { " " }
            span.facts { "(" (notes.join("; ")) ")" }
        }
    }
}

fn names(list: Option<&Value>) -> Vec<&str> {
    match list {
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}
