//! Documents made to hurt: every one ends in an answer, soon and without much memory.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use alkhub_operations::adapters::openapi::{DocumentError, import};
use proptest::prelude::*;
use serde_json::json;

use super::{document, options};

#[test]
fn aliases_that_multiply_are_bounded() {
    let mut text = String::from("openapi: 3.1.0\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let below = format!("*a{}, ", level - 1).repeat(10);
        writeln!(
            text,
            "a{level}: &a{level} [{}]",
            below.trim_end_matches(", ")
        )
        .unwrap();
    }
    text.push_str("paths: {}\n");
    let begun = Instant::now();
    assert!(matches!(
        import(&text, &options()),
        Err(DocumentError::Syntax { .. })
    ));
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[test]
fn deep_nesting_is_refused() {
    let deep = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
    let json = format!(r#"{{"openapi":"3.1.0","paths":{{}},"x":{deep}}}"#);
    assert!(matches!(
        import(&json, &options()),
        Err(DocumentError::Syntax { .. })
    ));
    let yaml = format!("openapi: 3.1.0\npaths: {{}}\nx: {deep}\n");
    assert!(matches!(
        import(&yaml, &options()),
        Err(DocumentError::Syntax { .. })
    ));
    let mut schema = json!({ "type": "string" });
    for _ in 0..100 {
        schema = json!({ "items": schema });
    }
    let text = document(json!({ "/x": { "get": {
        "parameters": [{ "name": "p", "in": "query", "schema": schema }] } } }));
    // Either the parser or the schema's own limit refuses it.
    if let Ok(found) = import(&text, &options()) {
        assert_eq!(found.refused.len(), 1);
    }
}

#[test]
fn references_in_circles_outwards_and_to_nowhere_are_refused() {
    let text = json!({
        "openapi": "3.1.0",
        "components": { "parameters": { "a": { "$ref": "#/components/parameters/a" } },
            "schemas": { "Loop": { "$ref": "#/components/schemas/Loop" } } },
        "paths": {
            "/a": { "get": { "operationId": "circle", "parameters": [{ "$ref": "#/components/parameters/a" }] } },
            "/b": { "get": { "operationId": "outwards", "parameters": [{ "$ref": "other.yaml#/x" }] } },
            "/c": { "get": { "operationId": "file", "parameters": [
                { "name": "p", "in": "query", "schema": { "$ref": "file:///etc/passwd" } }] } },
            "/d": { "get": { "operationId": "nowhere", "parameters": [
                { "name": "p", "in": "query", "schema": { "$ref": "#/components/schemas/None" } }] } },
            "/e?x=1": { "get": { "operationId": "query" } },
            "/f/../g": { "get": { "operationId": "upwards" } },
            "/h/%2E%2e/g": { "get": { "operationId": "encoded" } },
        },
    });
    let found = import(&text.to_string(), &options()).unwrap();
    assert_eq!(found.operations, []);
    let names: Vec<_> = found
        .refused
        .iter()
        .map(|refused| refused.name.as_str())
        .collect();
    assert_eq!(names.len(), 7, "{names:?}");
}

#[test]
fn a_schema_that_only_refers_to_itself_does_not_overflow_the_stack() {
    let text = json!({
        "openapi": "3.1.0",
        "components": { "schemas": {
            "Loop": { "$ref": "#/components/schemas/Loop" },
            "Ping": { "allOf": [{ "$ref": "#/components/schemas/Pong" }] },
            "Pong": { "anyOf": [{ "$ref": "#/components/schemas/Ping" }] },
        } },
        "paths": {
            "/a": { "get": { "operationId": "a", "parameters": [
                { "name": "p", "in": "query", "schema": { "$ref": "#/components/schemas/Loop" } }] } },
            "/b": { "get": { "operationId": "b", "parameters": [
                { "name": "p", "in": "query", "schema": { "$ref": "#/components/schemas/Ping" } }] } },
        },
    });
    let found = import(&text.to_string(), &options()).unwrap();
    // What was taken must be able to check a value.
    for operation in found.operations {
        let _ = operation.spec.input_schema.is_valid(&json!({ "p": 1 }));
    }
}

#[test]
fn oversized_document_is_refused_unread() {
    let text = " ".repeat(20 * 1024 * 1024 + 1);
    assert!(matches!(
        import(&text, &options()),
        Err(DocumentError::TooLarge { .. })
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_text_panics(text in ".{0,400}") {
        let _ = import(&text, &options());
        let _ = import(&format!("openapi: 3.1.0\npaths:\n  /x:\n    get: {text}"), &options());
    }
}
