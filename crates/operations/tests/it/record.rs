//! What of a call may be written down.

use alkhub_operations::record::{
    LARGE_VALUE, Secrets, is_large, is_marker, omitted, recordable, redact, redact_text, truncated,
};
use serde_json::{Value, json};

/// Of the form of the hub's keys.
const KEY: &str = "alk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA123456";
const SESSION_KEY: &str = "alks_AAAAAAAAAAAAAAAAAAAAA-AAAAAAAAAAA_AAAAAAAAA123456";

fn clean(value: Value, schema: Value) -> Value {
    redact(&value, Some(&schema), &Secrets::none())
}

#[test]
fn the_schema_says_what_is_secret() {
    let schema = json!({
        "type": "object",
        "properties": {
            "value": { "type": "string", "x-secret": true },
            "write": { "writeOnly": true },
            "pin": { "format": "password" },
            "list": { "items": { "$ref": "#/$defs/entry" } },
            "maybe": { "anyOf": [{ "$ref": "#/$defs/entry" }, { "type": "null" }] },
            "open": { "type": "string" },
            "map": { "additionalProperties": { "x-secret": true } },
            "pair": { "prefixItems": [{}, { "x-secret": true }] },
        },
        "$defs": { "entry": { "properties": { "inner": { "x-secret": true }, "next": { "$ref": "#/$defs/entry" } } } },
    });
    let value = json!({
        "value": "v", "write": { "deep": 1 }, "pin": 1234,
        "list": [{ "inner": "x", "next": { "inner": "y" } }], "maybe": { "inner": ["z"] },
        "open": "stays", "map": { "a": 1 }, "pair": ["open", "shut"],
    });
    assert_eq!(
        clean(value, schema.clone()),
        json!({
            "value": "[redacted]", "write": "[redacted]", "pin": "[redacted]",
            "list": [{ "inner": "[redacted]", "next": { "inner": "[redacted]" } }],
            "maybe": { "inner": "[redacted]" }, "open": "stays", "map": { "a": "[redacted]" },
            "pair": ["open", "[redacted]"],
        })
    );
    // That nothing was given is no secret.
    assert_eq!(
        clean(json!({ "value": null }), schema),
        json!({ "value": null })
    );
}

#[test]
fn names_say_what_is_secret() {
    for name in [
        "password",
        "Client-Secret",
        "API_KEY",
        "authorization",
        "setCookie",
        "credentials",
    ] {
        assert_eq!(
            clean(json!({ name: { "a": 1 } }), json!(true)),
            json!({ name: "[redacted]" })
        );
    }
    let harmless = json!({ "tokenCount": 5, "secretary": "ada", "passwordless": true });
    assert_eq!(clean(harmless.clone(), json!(true)), harmless);
}

#[test]
fn values_that_hold_a_secret_are_redacted() {
    let secrets = Secrets::new(["s3cr3t-of-the-call".to_owned(), "abc".to_owned()]);
    let value = json!({
        "a": "with s3cr3t-of-the-call inside", "b": format!("key {KEY}!"), "c": SESSION_KEY,
        "d": "alk_short", "e": "abc", KEY: 1,
    });
    assert_eq!(
        redact(&value, None, &secrets),
        json!({
            "a": "[redacted]", "b": "[redacted]", "c": "[redacted]", "d": "alk_short",
            // Three characters are no secret: hiding them would hide everything.
            "e": "abc", "[redacted]": 1,
        })
    );
    assert!(!format!("{secrets:?}").contains("s3cr3t"));
}

#[test]
fn messages_stay_readable_around_a_secret() {
    let secrets = Secrets::new(["s3cr3t".to_owned()]);
    let message = format!("login with s3cr3t as {KEY} and {SESSION_KEY} failed\0");
    assert_eq!(
        redact_text(&message, &secrets),
        "login with [redacted] as [redacted] and [redacted] failed\u{fffd}"
    );
}

#[test]
fn nul_is_replaced() {
    assert_eq!(clean(json!(["a\0b"]), json!(true)), json!(["a\u{fffd}b"]));
}

#[test]
fn large_values_are_cut_after_redaction() {
    let value = json!({ "text": "é".repeat(2_000), "password": "hunter2" });
    let marker = recordable(&value, None, &Secrets::none(), 1_000);
    assert!(is_marker(&marker));
    let redacted = redact(&value, None, &Secrets::none());
    assert_eq!(marker, truncated(redacted.clone(), 1_000));
    assert_eq!(marker["bytes"], redacted.to_string().len());
    assert_eq!(
        marker["sha256"],
        alkhub_operations::sha256_hex(&redacted.to_string())
    );
    assert_eq!(marker["preview"].as_str().unwrap().chars().count(), 1_024);
    assert!(!marker.to_string().contains("hunter2"));
    assert_eq!(
        recordable(&json!([1]), None, &Secrets::none(), 1_000),
        json!([1])
    );
}

#[test]
fn omitted_values_leave_their_size() {
    let marker = omitted(&json!({ "a": 1 }));
    assert_eq!(marker, json!({ "$omitted": true, "bytes": 7 }));
    assert!(is_marker(&marker) && !is_marker(&json!({ "a": 1 })) && !is_marker(&json!(1)));
}

#[test]
fn values_nested_too_deep_are_a_marker() {
    let deep = (0..200).fold(json!(1), |inner, _| Value::Array(vec![inner]));
    assert!(is_marker(&recordable(
        &deep,
        None,
        &Secrets::none(),
        1_000_000
    )));
}

#[test]
fn a_value_of_megabytes_leaves_size_and_hash_and_nothing_to_read() {
    let large = json!({ "password": "hunter2", "files": ["x".repeat(LARGE_VALUE)] });
    assert!(is_large(&large) && !is_large(&json!(["x", 1, null])));
    let marker = recordable(&large, None, &Secrets::none(), 1_000);
    let text = alkhub_operations::canonical_json(&large);
    assert_eq!(marker["bytes"], text.len());
    assert_eq!(marker["sha256"], alkhub_operations::sha256_hex(&text));
    assert_eq!(marker["preview"], "");
    assert!(is_marker(&marker));
}
