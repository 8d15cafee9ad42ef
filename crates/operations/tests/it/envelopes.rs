//! Envelopes: made, recognised, read and cleaned.

use std::collections::BTreeMap;

use alkhub_operations::envelope::{
    SOURCES, from_provider, looks_like_envelope, now_ms, structured_content, visible_headers,
};
use alkhub_operations::{Block, Envelope, ErrorCode, OperationId, Source};
use serde_json::{Value, json};

fn id() -> OperationId {
    "test.op".parse().unwrap()
}

fn text(text: &str) -> Block {
    Block::Text {
        text: text.into(),
        annotations: None,
    }
}

fn headers(headers: &[(&str, &str)]) -> BTreeMap<String, String> {
    headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

/// Reads JSON as an envelope and writes it again.
fn round_trip(json: &Value) -> Value {
    Envelope::from_json(json.clone()).unwrap().to_json()
}

fn mcp(content: Value) -> Value {
    json!({ "data": 1, "meta": { "source": "mcp", "isError": false, "content": content } })
}

#[test]
fn case_166_a_local_envelope_names_operation_and_time() {
    for data in [json!({ "a": 1 }), json!("x"), Value::Null] {
        let envelope = Envelope::local(data.clone(), &id());
        assert_eq!(envelope.data, data);
        match envelope.meta.source {
            Source::Local {
                operation_id,
                timestamp,
            } => {
                assert_eq!(operation_id, "test.op");
                assert!((now_ms() - timestamp).abs() < 1_000);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn case_167_an_http_envelope_keeps_its_meta() {
    let created = Envelope::http(json!({}), 201, headers(&[("x-a", "1")]), "application/json");
    assert_eq!(
        created.to_json()["meta"],
        json!({
            "source": "http", "statusCode": 201, "headers": { "x-a": "1" },
            "contentType": "application/json",
        })
    );
    let missing = Envelope::http(json!("nothing"), 404, headers(&[]), "text/plain");
    assert_eq!(round_trip(&missing.to_json()), missing.to_json());
}

#[test]
fn case_168_optional_members_of_mcp_are_absent_or_kept() {
    let minimal = Envelope::mcp(json!([]), false, vec![]);
    assert_eq!(
        minimal.to_json()["meta"],
        json!({ "source": "mcp", "isError": false, "content": [] })
    );
    let mut whole = mcp(json!([{ "type": "text", "text": "a" }]));
    whole["meta"]["isError"] = json!(true);
    whole["meta"]["structuredContent"] = json!({ "a": 1 });
    whole["meta"]["_meta"] = json!({ "b": 2 });
    assert_eq!(round_trip(&whole), whole);
}

#[test]
fn case_169_what_is_no_envelope() {
    for json in [
        Value::Null,
        json!(42),
        json!("x"),
        json!([]),
        json!({}),
        json!({ "data": 1 }),
        json!({ "meta": { "source": "local", "operationId": "a.b", "timestamp": 1 } }),
        json!({ "data": 1, "meta": null }),
        json!({ "data": 1, "meta": 42 }),
        json!({ "data": 1, "meta": { "source": "websocket" } }),
    ] {
        assert!(!looks_like_envelope(&json), "{json}");
    }
    assert_eq!(SOURCES, ["local", "http", "mcp"]);
}

#[test]
fn case_170_a_local_envelope_needs_operation_and_time() {
    let local = |meta: Value| {
        let mut json = json!({ "data": null, "meta": meta });
        json["meta"]["source"] = json!("local");
        json
    };
    assert!(looks_like_envelope(&local(
        json!({ "operationId": "a.b", "timestamp": 1.5 })
    )));
    for meta in [
        json!({ "timestamp": 1 }),
        json!({ "operationId": "a.b" }),
        json!({ "operationId": 1, "timestamp": 1 }),
        json!({ "operationId": "a.b", "timestamp": "1" }),
    ] {
        assert!(!looks_like_envelope(&local(meta.clone())), "{meta}");
        assert!(Envelope::from_json(local(meta)).is_err());
    }
}

#[test]
fn case_171_an_http_envelope_needs_a_status() {
    let http = |meta: Value| json!({ "data": 1, "meta": meta });
    assert!(looks_like_envelope(&http(
        json!({ "source": "http", "statusCode": 200 })
    )));
    assert!(!looks_like_envelope(&http(
        json!({ "source": "http", "statusCode": "200" })
    )));
    assert!(!looks_like_envelope(&http(json!({ "source": "http" }))));
    // On the wire the whole of it is needed.
    assert!(Envelope::from_json(http(json!({ "source": "http", "statusCode": 200 }))).is_err());
}

#[test]
fn case_172_an_mcp_envelope_needs_flag_and_content() {
    for (member, value) in [("isError", json!("true")), ("content", json!("x"))] {
        let mut json = mcp(json!([]));
        json["meta"][member] = value;
        assert!(!looks_like_envelope(&json));
        json["meta"].as_object_mut().unwrap().remove(member);
        assert!(!looks_like_envelope(&json));
    }
    assert!(looks_like_envelope(&mcp(json!([]))));
    // On the wire each block must be one.
    assert!(Envelope::from_json(mcp(json!([{ "type": "smell" }]))).is_err());
}

#[test]
fn case_173_unwrap_gives_the_data() {
    for data in [json!({ "a": 1 }), Value::Null] {
        assert_eq!(Envelope::local(data.clone(), &id()).unwrap(), data);
        assert_eq!(
            Envelope::http(data.clone(), 200, headers(&[]), "x").unwrap(),
            data
        );
        assert_eq!(Envelope::mcp(data.clone(), false, vec![]).unwrap(), data);
    }
    let absent = json!({ "meta": { "source": "local", "operationId": "a.b", "timestamp": 1 } });
    assert_eq!(Envelope::from_json(absent).unwrap().data, Value::Null);
}

#[test]
fn case_174_every_block_survives_with_and_without_annotations() {
    let blocks = [
        json!({ "type": "text", "text": "a" }),
        json!({ "type": "image", "data": "AA==", "mimeType": "image/png" }),
        json!({ "type": "audio", "data": "AA==", "mimeType": "audio/wav" }),
        json!({ "type": "resource", "resource": { "uri": "file:///a", "mimeType": "text/plain", "text": "x" } }),
        json!({ "type": "resource", "resource": { "uri": "file:///a", "blob": "AA==" } }),
        json!({ "type": "resource_link", "uri": "file:///a", "name": "a", "description": "d", "mimeType": "x/y" }),
    ];
    for plain in blocks {
        let mut annotated = plain.clone();
        annotated["annotations"] = json!({
            "audience": ["user", "assistant"], "priority": 0.5, "lastModified": "2026-01-01",
        });
        let both = mcp(json!([plain, annotated]));
        assert_eq!(round_trip(&both), both);
    }
}

#[test]
fn case_175_a_providers_claim_of_another_operation_is_corrected() {
    let claimed = |timestamp| {
        Envelope::of(
            json!(1),
            Source::Local {
                operation_id: "bank.pay".into(),
                timestamp,
            },
        )
    };
    let now = 1_800_000_000_000;
    for (sent, kept) in [
        (now - 5_000, now - 5_000),
        (now - 4_000_000, now),
        (i64::MIN, now),
    ] {
        let envelope = from_provider(claimed(sent), &id(), None, now).unwrap();
        let expected = Source::Local {
            operation_id: "test.op".into(),
            timestamp: kept,
        };
        assert_eq!(envelope.meta.source, expected);
    }
}

#[test]
fn case_176_secrets_among_headers_are_gone() {
    let sent = headers(&[
        ("Set-Cookie", "a=1"),
        ("Authorization", "Bearer x"),
        ("Proxy-Authenticate", "x"),
        ("WWW-Authenticate", "x"),
        ("X-Api-Key", "x"),
        ("X-Kept", "yes"),
        ("X-Long", &"x".repeat(5_000)),
    ]);
    let envelope = Envelope::http(json!(1), 200, sent, "text/plain");
    let envelope = from_provider(envelope, &id(), Some("x-api-key"), 0).unwrap();
    match envelope.meta.source {
        Source::Http { headers: left, .. } => assert_eq!(left, headers(&[("x-kept", "yes")])),
        other => panic!("{other:?}"),
    }
    let many = (0..100).map(|index| (format!("x-{index}"), String::new()));
    assert_eq!(visible_headers(many, None).len(), 64);
}

#[test]
fn case_177_scalar_data_is_wrapped_for_mcp() {
    assert_eq!(structured_content(&json!(5)), json!({ "value": 5 }));
    assert_eq!(structured_content(&json!([1])), json!({ "value": [1] }));
    assert_eq!(structured_content(&json!({ "a": 1 })), json!({ "a": 1 }));
}

#[test]
fn an_mcp_error_in_the_guise_of_an_answer_is_an_error() {
    let link = Block::ResourceLink {
        uri: "file:///a".into(),
        name: "a".into(),
        description: None,
        mime_type: None,
        annotations: None,
    };
    let envelope = Envelope::mcp(json!(1), true, vec![text("no"), text("never"), link]);
    let error = from_provider(envelope, &id(), None, 0).unwrap_err();
    assert_eq!(error.code, ErrorCode::EXECUTION_ERROR);
    assert!(
        error
            .message
            .starts_with("MCP tool test.op returned error: no; never; {")
    );
}

#[test]
fn what_the_hub_adds_is_not_taken_from_a_provider() {
    let mut json = Envelope::local(json!(1), &id()).to_json();
    json["meta"]["requestId"] = json!("forged");
    json["meta"]["provider"] = json!({ "type": "hub", "id": "forged" });
    json["meta"]["colour"] = json!("red");
    let read = Envelope::from_json(json).unwrap();
    assert_eq!((&read.meta.request_id, &read.meta.provider), (&None, &None));

    let mut answer = read;
    answer.meta.request_id = Some("r1".parse().unwrap());
    answer.meta.duration = Some(std::time::Duration::from_millis(12));
    answer.meta.provider = Some(alkhub_operations::Provider {
        kind: "spoke".parse().unwrap(),
        id: "b".into(),
    });
    let json = answer.to_json();
    assert_eq!(json["meta"]["requestId"], "r1");
    assert_eq!(json["meta"]["durationMs"], 12);
    assert_eq!(
        json["meta"]["provider"],
        json!({ "type": "spoke", "id": "b" })
    );
}
