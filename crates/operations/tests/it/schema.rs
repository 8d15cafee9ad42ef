//! Limits, and the comparison of two versions of a schema.

use alkhub_operations::schema::compare;
use alkhub_operations::{Compatibility, Schema, SchemaError, canonical_json};
use serde_json::{Value, json};

use crate::support::schema;

fn verdict(old: Value, new: Value) -> &'static str {
    match compare(&schema(old), &schema(new)) {
        Compatibility::Compatible => "compatible",
        Compatibility::Incompatible(_) => "incompatible",
        Compatibility::Unknown => "unknown",
    }
}

fn object(properties: Value) -> Value {
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

#[test]
fn wider_inputs_are_compatible() {
    let text = json!({ "type": "string" });
    for (old, new) in [
        (text.clone(), text.clone()),
        (text.clone(), json!({})),
        (text.clone(), json!({ "type": ["string", "null"] })),
        (json!({ "type": "integer" }), json!({ "type": "number" })),
        (json!({ "enum": ["a"] }), json!({ "enum": ["a", "b"] })),
        (json!({ "const": 1 }), json!({ "enum": [1, 2] })),
        (
            json!({ "minimum": 5, "maxLength": 3 }),
            json!({ "minimum": 1, "maxLength": 9 }),
        ),
        (
            object(json!({ "a": text })),
            object(json!({ "a": text, "b": text })),
        ),
        (
            json!({ "properties": { "a": text } }),
            json!({ "properties": { "a": text, "b": text } }),
        ),
        (
            json!({ "type": "object", "required": ["a", "b"] }),
            json!({ "type": "object", "required": ["a"] }),
        ),
        (
            json!({ "items": { "$ref": "#/$defs/x" }, "$defs": { "x": { "type": "integer" } } }),
            json!({ "items": { "$ref": "#/$defs/y" }, "$defs": { "y": { "type": "number" } } }),
        ),
        (
            json!({ "title": "Old", "anyOf": [text, { "type": "null" }] }),
            json!({ "title": "New", "anyOf": [text, { "type": "null" }] }),
        ),
    ] {
        assert_eq!(
            verdict(old.clone(), new.clone()),
            "compatible",
            "{old} → {new}"
        );
    }
}

#[test]
fn narrower_inputs_are_incompatible() {
    let text = json!({ "type": "string" });
    for (old, new) in [
        (json!({}), text.clone()),
        (json!({ "type": ["string", "null"] }), text.clone()),
        (json!({ "type": "number" }), json!({ "type": "integer" })),
        (json!({ "enum": ["a", "b"] }), json!({ "enum": ["a"] })),
        (text.clone(), json!({ "type": "string", "enum": ["a"] })),
        (text.clone(), json!({ "type": "string", "maxLength": 5 })),
        (text.clone(), json!({ "type": "string", "pattern": "^a" })),
        (json!({ "minimum": 1 }), json!({ "minimum": 5 })),
        (
            object(json!({ "a": text, "b": text })),
            object(json!({ "a": text })),
        ),
        (
            json!({ "type": "object", "properties": {} }),
            object(json!({})),
        ),
        (
            json!({ "type": "object", "properties": { "a": { "properties": { "b": text } } } }),
            json!({ "type": "object", "properties": { "a": { "properties": { "b": { "type": "null" } } } } }),
        ),
        (
            json!({ "type": "array" }),
            json!({ "type": "array", "items": text }),
        ),
        (text, json!(false)),
    ] {
        assert_eq!(
            verdict(old.clone(), new.clone()),
            "incompatible",
            "{old} → {new}"
        );
    }
}

#[test]
fn what_cannot_be_compared_is_unknown() {
    let (one, two) = (
        json!({ "oneOf": [{ "type": "string" }] }),
        json!({ "not": { "const": 1 } }),
    );
    assert_eq!(verdict(one, two), "unknown");
    let recursive = |title: &str| {
        json!({
            "$ref": "#/$defs/n", "title": title,
            "$defs": { "n": { "properties": { "next": { "$ref": "#/$defs/n" } } }, title: {} },
        })
    };
    // A recursive type is followed to a depth, not for ever.
    assert_eq!(verdict(recursive("a"), recursive("b")), "unknown");
    assert_eq!(verdict(recursive("a"), recursive("a")), "compatible");
}

#[test]
fn limits_hold() {
    let nested = |levels: usize| (0..levels).fold(json!({}), |inner, _| json!({ "not": inner }));
    assert!(Schema::new(nested(63)).is_ok());
    assert_eq!(Schema::new(nested(64)).unwrap_err(), SchemaError::TooDeep);
    let many = |count: usize| {
        let named: serde_json::Map<_, _> = (0..count)
            .map(|index| (format!("p{index}"), json!(true)))
            .collect();
        json!({ "properties": named })
    };
    assert!(Schema::new(many(9_999)).is_ok());
    assert_eq!(
        Schema::new(many(10_000)).unwrap_err(),
        SchemaError::TooManySubschemas
    );
}

#[test]
fn a_property_called_like_a_keyword_is_a_property() {
    let odd = schema(json!({
        "type": "object",
        "properties": { "$ref": { "type": "string" }, "properties": { "type": "integer" } },
    }));
    assert!(odd.is_valid(&json!({ "$ref": "https://example.com", "properties": 1 })));
    assert!(!odd.is_valid(&json!({ "properties": "x" })));
}

#[test]
fn properties_are_found_through_references_and_all_of() {
    let schema = schema(json!({
        "allOf": [{ "$ref": "#/$defs/base" }, { "properties": { "b": { "type": "integer" } } }],
        "$defs": { "base": {
            "required": ["a"], "properties": { "a": { "$ref": "#/$defs/text" } },
            "allOf": [{ "$ref": "#/$defs/base" }],
        }, "text": { "type": "string" } },
    }));
    assert_eq!(schema.property("a"), Some(&json!({ "type": "string" })));
    assert_eq!(schema.property("b"), Some(&json!({ "type": "integer" })));
    assert_eq!(schema.property("c"), None);
    assert!(schema.requires("a") && !schema.requires("b"));
}

#[test]
fn canonical_json_has_sorted_keys_and_no_space() {
    let value = json!({ "b": [1, { "d": null, "c": "\u{e9}\n" }], "a": 1.5 });
    assert_eq!(
        canonical_json(&value),
        r#"{"a":1.5,"b":[1,{"c":"é\n","d":null}]}"#
    );
}
