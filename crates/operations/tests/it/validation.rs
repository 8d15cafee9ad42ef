//! Inputs, outputs and query strings against their schemas.

use std::time::{Duration, Instant};

use alkhub_operations::issue::issues_as_lines;
use alkhub_operations::schema::compare;
use alkhub_operations::{
    CallError, Compatibility, ErrorCode, Issue, Operation, OperationType, coerce_query,
    input_or_empty, operation,
};
use serde_json::{Value, json};

use crate::support::{
    anonymous, constant, issues, registry, schema, test_op, with_input, with_output,
};

/// Runs an operation with this input schema.
async fn check(input_schema: Value, input: impl Into<Option<Value>>) -> Result<Value, CallError> {
    let operation = with_input(constant("a.op", json!("fine")), input_schema);
    let answer = registry([operation])
        .execute("a.op", input, anonymous())
        .await;
    answer.map(|envelope| envelope.data)
}

async fn faults(input_schema: Value, input: Value) -> Vec<(String, String)> {
    let error = check(input_schema, input).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::VALIDATION_ERROR);
    issues(&error)
}

/// Runs an operation with this output schema that gives this data.
async fn output(operation: Operation, output_schema: Value) -> Result<Value, CallError> {
    let registry = registry([with_output(operation, output_schema)]);
    registry
        .execute("a.op", None, anonymous())
        .await
        .map(|envelope| envelope.data)
}

fn issue(path: &str, rule: &str) -> (String, String) {
    (path.to_owned(), rule.to_owned())
}

#[tokio::test]
async fn case_071_a_missing_property_is_told_at_its_own_pointer() {
    let registry = registry([test_op()]);
    let error = registry
        .execute("test.testOp", json!({ "wrong": "field" }), anonymous())
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::VALIDATION_ERROR);
    assert_eq!(issues(&error), [issue("/value", "required")]);
    assert_eq!(
        error.message,
        "Input of test.testOp is invalid: /value: is required"
    );
}

#[tokio::test]
async fn case_072_a_wrong_type_is_told() {
    let name = json!({ "type": "object", "properties": { "name": { "type": "string" } } });
    assert_eq!(
        faults(name, json!({ "name": 123 })).await,
        [issue("/name", "type")]
    );
}

#[tokio::test]
async fn case_073_extra_properties_are_as_the_schema_says() {
    let open = json!({ "type": "object", "properties": { "a": {} } });
    assert!(check(open, json!({ "a": 1, "c": 2 })).await.is_ok());
    let closed =
        json!({ "type": "object", "properties": { "a": {} }, "additionalProperties": false });
    let told = faults(closed, json!({ "a": 1, "c": 2, "d/e": 3 })).await;
    assert_eq!(told.len(), 2);
    assert!(told.contains(&issue("/c", "additionalProperties")));
    assert!(told.contains(&issue("/d~1e", "additionalProperties")));
}

#[tokio::test]
async fn case_074_all_faults_are_listed_and_no_value_is_quoted() {
    let strict = json!({
        "type": "object", "required": ["gone"],
        "properties": {
            "text": { "type": "string", "maxLength": 3 },
            "choice": { "enum": ["x", "y"] },
            "mail": { "format": "email" },
            "pattern": { "pattern": "^a+$" },
            "form": { "anyOf": [{ "type": "integer" }, { "type": "boolean" }] },
            "fixed": { "const": 5 },
        },
    });
    let secret = "hunter2-is-secret";
    let input = json!({
        "text": secret, "choice": secret, "mail": secret, "pattern": secret, "form": secret,
        "fixed": secret,
    });
    let error = check(strict, input).await.unwrap_err();
    let told = issues(&error);
    for expected in [
        issue("/gone", "required"),
        issue("/text", "maxLength"),
        issue("/choice", "enum"),
        issue("/mail", "format"),
        issue("/pattern", "pattern"),
        issue("/form", "anyOf"),
        issue("/fixed", "const"),
    ] {
        assert!(told.contains(&expected), "{expected:?} in {told:?}");
    }
    assert!(!serde_json::to_string(&error).unwrap().contains(secret));

    let numbers = json!({ "type": "array", "items": { "type": "number" } });
    let many = check(numbers, json!(vec!["x"; 500])).await.unwrap_err();
    assert_eq!(issues(&many).len(), 100);
}

#[tokio::test]
async fn case_075_a_default_does_not_stand_in_for_a_required_property() {
    let count = json!({
        "type": "object", "required": ["count"],
        "properties": { "count": { "type": "integer", "default": 5 } },
    });
    assert_eq!(
        faults(count, json!({})).await,
        [issue("/count", "required")]
    );
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Listing {
    #[serde(default = "fifty")]
    page_size: u32,
    /// Marked so that records leave it out.
    #[serde(default)]
    #[schemars(extend("x-secret" = true))]
    pass_word: Option<String>,
}

fn fifty() -> u32 {
    50
}

fn listing() -> Operation {
    operation::<Listing, u32>("a.list", OperationType::Query)
        .handler(|_, input| async move { Ok(input.page_size + input.pass_word.map_or(0, |_| 1)) })
}

#[tokio::test]
async fn case_076_a_typed_handler_fills_its_defaults() {
    let registry = registry([listing()]);
    let size = registry.execute("a.list", None, anonymous()).await.unwrap();
    assert_eq!(size.data, 50);
    let unknown = registry
        .execute("a.list", json!({ "pagesize": 1 }), anonymous())
        .await;
    assert_eq!(
        issues(&unknown.unwrap_err()),
        [issue("/pagesize", "additionalProperties")]
    );
    let negative = registry
        .execute("a.list", json!({ "pageSize": -1 }), anonymous())
        .await;
    assert_eq!(
        issues(&negative.unwrap_err()),
        [issue("/pageSize", "minimum")]
    );
}

#[test]
fn a_property_can_be_marked_as_secret() {
    let spec = listing().spec;
    assert_eq!(
        spec.input_schema.property("passWord").unwrap()["x-secret"],
        true
    );
}

#[tokio::test]
async fn case_077_absent_input_is_an_empty_object() {
    assert_eq!(input_or_empty(None), json!({}));
    assert_eq!(input_or_empty(Some(Value::Null)), Value::Null);
    let object = json!({ "type": "object" });
    assert!(check(object.clone(), None).await.is_ok());
    assert_eq!(
        faults(object.clone(), Value::Null).await,
        [issue("", "type")]
    );
    assert_eq!(faults(object, json!([])).await, [issue("", "type")]);
}

#[tokio::test]
async fn case_078_text_is_no_number_in_a_body_but_in_a_query_string() {
    let number = json!({ "type": "object", "properties": { "n": { "type": "number" } } });
    assert_eq!(
        faults(number.clone(), json!({ "n": "5" })).await,
        [issue("/n", "type")]
    );
    let coerced = coerce_query(&schema(number), &pairs(&[("n", "5")]));
    assert_eq!(coerced, json!({ "n": 5 }));
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn case_079_query_strings_take_the_declared_types() {
    let schema = schema(json!({
        "type": "object", "additionalProperties": false,
        "properties": {
            "a": { "type": "boolean" },
            "b": { "type": "array", "items": { "type": "integer" } },
            "o": { "type": "object" },
            "n": { "type": ["string", "null"] },
            "i": { "anyOf": [{ "$ref": "#/$defs/count" }, { "type": "null" }] },
            "s": { "type": "string" },
            "f": { "type": "number" },
            "one": { "anyOf": [{ "type": "array", "items": { "type": "string" } }, { "type": "null" }] },
        },
        "$defs": { "count": { "type": "integer" } },
    }));
    let coerced = coerce_query(
        &schema,
        &pairs(&[
            ("a", "true"),
            ("b", "1"),
            ("b", "2"),
            ("o", r#"{"x":1}"#),
            ("n", ""),
            ("i", "-7"),
            ("s", "5"),
            ("f", "1.5"),
            ("one", "x"),
        ]),
    );
    assert_eq!(
        coerced,
        json!({
            "a": true, "b": [1, 2], "o": { "x": 1 }, "n": null, "i": -7, "s": "5", "f": 1.5,
            "one": ["x"],
        })
    );
    assert!(schema.issues(&coerced).is_empty());

    let odd = coerce_query(
        &schema,
        &pairs(&[
            ("what", "1"),
            ("a", "TRUE"),
            ("i", "x"),
            ("s", "1"),
            ("s", "2"),
        ]),
    );
    let told: Vec<_> = schema
        .issues(&odd)
        .into_iter()
        .map(|issue| issue.path)
        .collect();
    for path in ["/what", "/a", "/i", "/s"] {
        assert!(told.contains(&path.to_owned()), "{path} in {told:?}");
    }
}

#[tokio::test]
async fn case_080_formats_are_asserted_and_unknown_ones_ignored() {
    let format = |format: &str| json!({ "type": "string", "format": format });
    assert!(check(format("email"), json!("nobody")).await.is_err());
    assert!(
        check(format("email"), json!("ada@example.com"))
            .await
            .is_ok()
    );
    for (name, good, bad) in [
        (
            "date-time",
            "2026-11-24T08:10:53.120Z",
            "2026-11-24T08:10:53",
        ),
        ("date", "2026-11-24", "24.11.2026"),
        ("time", "08:10:53Z", "8 o'clock"),
        ("duration", "PT5S", "5 s"),
        ("uri", "https://example.com/a", "/a"),
        ("uri-reference", "/a?b", "\\a"),
        ("uuid", "6f9c1f6e-0d2b-4f0f-8f4a-000000000000", "6f9c"),
        ("ipv4", "10.0.0.1", "10.0.0"),
        ("ipv6", "::1", "::z"),
        ("hostname", "example.com", "-.-"),
        ("json-pointer", "/a/b", "a"),
        ("regex", "^a+$", "("),
    ] {
        assert!(
            check(format(name), json!(good)).await.is_ok(),
            "{name} {good}"
        );
        assert!(
            check(format(name), json!(bad)).await.is_err(),
            "{name} {bad}"
        );
    }
    for unknown in ["foo", "uri-template", "idn-email", "uint32"] {
        assert!(
            check(format(unknown), json!("{not one")).await.is_ok(),
            "{unknown}"
        );
    }
}

#[tokio::test]
async fn case_081_recursive_schemas_tell_the_full_pointer() {
    let tree = json!({
        "$ref": "#/$defs/node",
        "$defs": { "node": {
            "type": "object", "required": ["value"],
            "properties": {
                "value": { "type": "integer" },
                "children": { "type": "array", "items": { "$ref": "#/$defs/node" } },
                "next": { "anyOf": [{ "$ref": "#/$defs/node" }, { "type": "null" }] },
            },
        } },
    });
    let good = json!({ "value": 1, "children": [{ "value": 2, "next": null }] });
    assert!(check(tree.clone(), good).await.is_ok());
    let bad = json!({ "value": 1, "children": [{ "value": 2 }, { "value": 3, "children": [{ "value": "x" }] }] });
    assert_eq!(
        faults(tree.clone(), bad).await,
        [issue("/children/1/children/0/value", "type")]
    );
    let through_option = json!({ "value": 1, "next": { "value": 1, "next": {} } });
    assert_eq!(
        faults(tree, through_option).await,
        [issue("/next/next/value", "required")]
    );
}

#[tokio::test]
async fn case_082_input_nested_too_deep_is_refused_before_validation() {
    let nested = |levels: usize| (0..levels).fold(json!(1), |inner, _| Value::Array(vec![inner]));
    // An accept-all schema would let anything through, were it asked.
    assert!(check(json!({}), nested(128)).await.is_ok());
    assert_eq!(faults(json!({}), nested(129)).await, [issue("", "depth")]);
    assert_eq!(
        faults(json!({ "type": "object" }), nested(2_000)).await,
        [issue("", "depth")]
    );
}

#[tokio::test]
async fn case_083_no_pattern_takes_long() {
    let text = format!("{}!", "a".repeat(50_000));
    let schema = schema(json!({ "pattern": "^(a+)+$" }));
    let begun = Instant::now();
    assert!(!schema.is_valid(&json!(text)));
    // The bound of the specification is for a release build.
    let bound = if cfg!(debug_assertions) { 5_000 } else { 100 };
    assert!(
        begun.elapsed() < Duration::from_millis(bound),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn case_084_output_without_a_required_property_is_invalid() {
    let demanded = json!({ "type": "object", "required": ["result"] });
    let error = output(constant("a.op", json!({ "other": "sesame" })), demanded)
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::OUTPUT_INVALID);
    assert_eq!(error.http_status(), 502);
    assert_eq!(issues(&error), [issue("/result", "required")]);
    assert!(!serde_json::to_string(&error).unwrap().contains("sesame"));
}

#[tokio::test]
async fn case_085_output_is_not_bent_to_its_type() {
    let number = json!({ "type": "object", "properties": { "n": { "type": "number" } } });
    let error = output(constant("a.op", json!({ "n": "5" })), number)
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::OUTPUT_INVALID);
}

#[tokio::test]
async fn case_086_extra_output_is_delivered() {
    let silent = json!({ "type": "object", "properties": { "a": {} } });
    let data = json!({ "a": 1, "extra": { "b": 2 } });
    assert_eq!(
        output(constant("a.op", data.clone()), silent)
            .await
            .unwrap(),
        data
    );
}

#[tokio::test]
async fn case_087_an_unknown_output_schema_takes_anything() {
    for schema in [json!({}), json!(true)] {
        for data in [Value::Null, json!(5), json!({ "a": [1] })] {
            let given = output(constant("a.op", data.clone()), schema.clone())
                .await
                .unwrap();
            assert_eq!(given, data);
        }
    }
}

#[tokio::test]
async fn case_088_defaults_of_an_output_are_filled_only_when_asked_for() {
    let schema = json!({
        "type": "object", "required": ["must"],
        "properties": {
            "name": { "type": "string" },
            "count": { "type": "integer", "default": 0 },
            "must": { "default": 1 },
            "inner": { "$ref": "#/$defs/inner" },
        },
        "$defs": { "inner": { "properties": { "flag": { "default": true } } } },
    });
    let data = json!({ "name": "test", "must": 2, "inner": {} });
    let plain = constant("a.op", data.clone());
    assert_eq!(output(plain.clone(), schema.clone()).await.unwrap(), data);
    let mut filling = plain;
    filling.spec.meta = json!({ "fillDefaults": true }).as_object().cloned();
    assert_eq!(
        output(filling, schema).await.unwrap(),
        json!({ "name": "test", "must": 2, "count": 0, "inner": { "flag": true } })
    );
}

#[tokio::test]
async fn case_089_draft_07_is_honoured() {
    let old = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {
            "a": { "$ref": "#/definitions/short" },
            "pair": { "type": "array", "items": [{ "type": "string" }, { "type": "integer" }] },
        },
        "definitions": { "short": { "type": "string", "maxLength": 2 } },
    });
    assert!(
        check(old.clone(), json!({ "a": "xy", "pair": ["x", 1] }))
            .await
            .is_ok()
    );
    assert_eq!(
        faults(old.clone(), json!({ "a": "xyz" })).await,
        [issue("/a", "maxLength")]
    );
    assert_eq!(
        faults(old, json!({ "pair": ["x", "y"] })).await,
        [issue("/pair/1", "type")]
    );
}

#[test]
fn case_090_issues_are_told_in_lines() {
    let issues = [
        Issue::new("/a", "x", "Error 1"),
        Issue::new("/b", "x", "Error 2"),
    ];
    assert_eq!(issues_as_lines(&issues), "  - /a: Error 1\n  - /b: Error 2");
}

#[test]
fn case_091_a_new_required_property_is_incompatible() {
    let old = json!({ "type": "object", "properties": { "a": { "type": "string" } } });
    let mut new = old.clone();
    new["required"] = json!(["b"]);
    match compare(&schema(old), &schema(new)) {
        Compatibility::Incompatible(reasons) => assert_eq!(reasons, ["/b: is required now"]),
        other => panic!("{other:?}"),
    }
}

/// How it is sorted.
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Order {
    /// Oldest first.
    Asc,
    /// Newest first.
    Desc,
}

#[derive(serde::Deserialize)]
#[serde(try_from = "String")]
struct Slug(String);

impl TryFrom<String> for Slug {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.contains(' ') {
            Err(format!("{text} has a space"))
        } else {
            Ok(Self(text))
        }
    }
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Sorting {
    order: Option<Order>,
    #[schemars(with = "Option<String>")]
    slug: Option<Slug>,
    #[serde(default)]
    #[schemars(with = "Option<serde_json::Value>")]
    number: Option<u32>,
}

fn sorting() -> Operation {
    operation::<Sorting, String>("a.sort", OperationType::Query).handler(|_, input| async move {
        let order = input.order.map_or("none", |order| match order {
            Order::Asc => "asc",
            Order::Desc => "desc",
        });
        Ok(format!(
            "{order} {:?} {:?}",
            input.slug.map(|slug| slug.0),
            input.number
        ))
    })
}

#[tokio::test]
async fn the_values_of_a_documented_enum_are_told() {
    let registry = registry([sorting()]);
    let error = registry
        .execute("a.sort", json!({ "order": "up" }), anonymous())
        .await
        .unwrap_err();
    assert_eq!(issues(&error), [issue("/order", "enum")]);
    assert_eq!(
        error.message,
        r#"Input of a.sort is invalid: /order: must be one of ["asc","desc"]"#
    );
}

#[tokio::test]
async fn a_type_stricter_than_its_schema_tells_where_and_quotes_nothing() {
    let registry = registry([sorting()]);
    for (input, path, told) in [
        (json!({ "slug": "se cret" }), "/slug", "does not fit"),
        (json!({ "number": "se cret" }), "/number", "must be u32"),
    ] {
        let error = registry
            .execute("a.sort", input, anonymous())
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::VALIDATION_ERROR);
        assert_eq!(issues(&error), [issue(path, "invalid")]);
        assert!(error.message.contains(told), "{}", error.message);
        assert!(!serde_json::to_string(&error).unwrap().contains("se cret"));
    }
    let fine = json!({ "order": "asc", "slug": "x", "number": 1 });
    assert!(registry.execute("a.sort", fine, anonymous()).await.is_ok());
}
