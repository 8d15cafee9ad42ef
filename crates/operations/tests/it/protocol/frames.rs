//! Frames as text.

use alkhub_operations::protocol::{
    CallMap, CodecFault, Control, FaultAnswer, FrameLimits, Incoming, MapLimits, Request, decode,
    encode,
};
use alkhub_operations::{CallEvent, ErrorCode};
use serde_json::{Value, json};

use super::links::{Notes, local, responded};

fn text(json: Value) -> String {
    json.to_string()
}

fn fault(text: &str) -> CodecFault {
    decode(text, &FrameLimits::default()).unwrap_err()
}

/// The code of the `hub.error` that answers.
fn refused(fault: &CodecFault) -> ErrorCode {
    match fault.answer() {
        FaultAnswer::Control(Control::Error(error)) => error.code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_encoded_is_decoded() {
    let event = responded(
        &"r".parse().unwrap(),
        json!({ "ä": [1, 2.5, null] }),
        Some(3),
    );
    let text = encode(&event);
    assert!(text.starts_with(r#"{"type":"call.responded","id":"r","payload":{"#));
    assert_eq!(
        decode(&text, &FrameLimits::default()).unwrap(),
        Incoming::Call(event)
    );
}

#[test]
fn numbers_arrive_to_their_last_digit() {
    for number in [
        "31.245270191439438",
        "5e-324",
        "18446744073709551615",
        "-0.1",
    ] {
        let text = format!(
            r#"{{"type":"call.requested","payload":{{"requestId":"r","operationId":"a.b","input":{number}}}}}"#
        );
        let Ok(Incoming::Call(event)) = decode(&text, &FrameLimits::default()) else {
            panic!("{number} is not read");
        };
        assert!(
            encode(&event).contains(&format!(r#""input":{number}"#)),
            "{number}"
        );
    }
}

#[test]
fn case_121_an_http_envelope_without_headers_ends_its_call() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let map = CallMap::new(Notes::new(), MapLimits::default());
        let call = map.call(Request::new("a.b", json!({})));
        let sent = json!({ "type": "call.responded", "payload": {
            "requestId": call.request_id(),
            "output": { "data": 1, "meta": { "source": "http", "statusCode": 200 } },
        } });
        let fault = fault(&text(sent));
        assert!(fault.is_violation());
        map.refuse(&fault).unwrap();
        assert_eq!(call.await.unwrap_err().code, ErrorCode::OUTPUT_INVALID);
    });
}

#[test]
fn case_119_what_is_no_envelope_ends_its_call() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        for output in [json!({ "result": 1 }), Value::Null, json!("text")] {
            let map = CallMap::new(Notes::new(), MapLimits::default());
            let call = map.call(Request::new("a.b", json!({})));
            let sent = json!({ "type": "call.responded", "payload": {
                "requestId": call.request_id(), "output": output,
            } });
            map.refuse(&fault(&text(sent))).unwrap();
            assert_eq!(call.await.unwrap_err().code, ErrorCode::OUTPUT_INVALID);
            assert_eq!(map.pending(), 0);
        }
    });
}

#[test]
fn case_137_two_ids_in_one_frame_are_a_violation() {
    let sent = json!({ "type": "call.completed", "id": "x", "payload": { "requestId": "y" } });
    let fault = fault(&text(sent));
    assert!(fault.is_violation());
    assert_eq!(refused(&fault), ErrorCode::VALIDATION_ERROR);
}

#[test]
fn case_138_a_frame_with_an_empty_id_works() {
    let sent = json!({ "type": "call.completed", "id": "", "payload": { "requestId": "y" } });
    let read = decode(&text(sent), &FrameLimits::default()).unwrap();
    assert!(matches!(read, Incoming::Call(CallEvent::Completed(_))));
}

#[test]
fn case_139_topics_of_calls_are_accepted_and_others_refused() {
    let read = |topic: &str| {
        let sent = json!({ "type": "__subscribe", "id": "", "payload": { "topic": topic } });
        decode(&text(sent), &FrameLimits::default()).unwrap()
    };
    assert_eq!(read("call.responded:").refusal(), None);
    let Some(Control::Error(error)) = read("tasks:").refusal() else {
        panic!("not refused");
    };
    assert_eq!(error.code, ErrorCode::UNSUPPORTED);
    let other = decode(
        r#"{"type":"__ping","payload":null}"#,
        &FrameLimits::default(),
    )
    .unwrap();
    assert_eq!(other.refusal(), None);
}

#[test]
fn case_140_what_is_no_single_object_is_a_violation() {
    let deep = |levels: usize| {
        let payload = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        format!(
            r#"{{"type":"call.requested","payload":{{"requestId":"r","operationId":"a.b","input":{payload}}}}}"#
        )
    };
    for bad in [
        "[]",
        "[{}]",
        "1",
        "",
        "{",
        "{}",
        "null",
        r#"{"type":"call.completed","payload":{"requestId":"r"}} {}"#,
        r#"{"type":"call.completed","type":"call.error","payload":{"requestId":"r"}}"#,
        r#"{"type":"call.requested","payload":{"requestId":"r","operationId":"a.b","input":{"a":1,"a":2}}}"#,
        r#"{"type":1}"#,
        r#"{"type":"call.completed","id":7,"payload":{"requestId":"r"}}"#,
        &deep(200),
        // The frame and its payload are two levels.
        &deep(127),
    ] {
        let fault = fault(bad);
        assert!(matches!(fault, CodecFault::Malformed(_)), "{bad}: {fault}");
        assert!(fault.is_violation());
        assert_eq!(refused(&fault), ErrorCode::VALIDATION_ERROR);
    }
    decode(&deep(126), &FrameLimits::default()).unwrap();
}

#[test]
fn an_object_with_too_many_keys_is_a_violation() {
    let limits = FrameLimits {
        keys: 5,
        ..FrameLimits::default()
    };
    let sent = |count: usize| {
        let input: serde_json::Map<_, _> =
            (0..count).map(|key| (key.to_string(), json!(1))).collect();
        text(json!({ "type": "call.requested",
            "payload": { "requestId": "r", "operationId": "a.b", "input": input } }))
    };
    decode(&sent(5), &limits).unwrap();
    assert!(matches!(
        decode(&sent(6), &limits),
        Err(CodecFault::Malformed(_))
    ));
}

#[test]
fn case_141_a_frame_over_the_limit_is_not_read() {
    let long = format!(r#"{{"type":"x","payload":"{}"}}"#, "x".repeat(17 << 20));
    let fault = fault(&long);
    assert_eq!(fault, CodecFault::TooLarge { limit: 16 << 20 });
    assert_eq!(refused(&fault), ErrorCode::PAYLOAD_TOO_LARGE);
}

#[test]
fn an_input_or_output_over_its_limit_ends_its_call_only() {
    let limits = FrameLimits {
        value_bytes: 100,
        ..FrameLimits::default()
    };
    let sent = |input: &str| {
        text(json!({ "type": "call.requested",
            "payload": { "requestId": "r", "operationId": "a.b", "input": input } }))
    };
    decode(&sent(&"x".repeat(98)), &limits).unwrap();
    let fault = decode(&sent(&"x".repeat(99)), &limits).unwrap_err();
    assert!(!fault.is_violation());
    let FaultAnswer::Call(CallEvent::Failed(failed)) = fault.answer() else {
        panic!("no answer of the call");
    };
    assert_eq!(failed.code, ErrorCode::PAYLOAD_TOO_LARGE);

    let output = local(json!("x".repeat(200)));
    let answer = text(json!({ "type": "call.responded",
        "payload": { "requestId": "r", "output": output } }));
    let fault = decode(&answer, &limits).unwrap_err();
    assert_eq!(refused(&fault), ErrorCode::PAYLOAD_TOO_LARGE);
}

#[test]
fn case_142_unknown_types_are_told_and_unknown_members_ignored() {
    for kind in ["call.paused", "hub.dance", "other"] {
        let fault = fault(&text(json!({ "type": kind, "payload": {} })));
        assert!(!fault.is_violation(), "{kind}");
        assert_eq!(refused(&fault), ErrorCode::UNSUPPORTED);
    }
    let more = json!({ "type": "call.aborted", "colour": 1,
        "payload": { "requestId": "r", "by": "a newer word", "colour": 2 } });
    let read = decode(&text(more), &FrameLimits::default()).unwrap();
    let Incoming::Call(CallEvent::Aborted(aborted)) = read else {
        panic!("not aborted");
    };
    assert_eq!(aborted.by, None);
}

#[test]
fn case_143_a_bad_request_that_can_be_named_is_answered_as_a_call() {
    for payload in [
        json!({ "requestId": "r" }),
        json!({ "requestId": "r", "operationId": 1 }),
        json!({ "requestId": "r", "operationId": "a.b", "timeoutMs": -1 }),
        json!({ "requestId": "r", "operationId": "a.b", "parentRequestId": "" }),
        json!({ "requestId": "r", "operationId": "a.b", "metadata": [] }),
        json!({ "requestId": "r", "operationId": "a.b", "identity": "me" }),
    ] {
        let fault = fault(&text(
            json!({ "type": "call.requested", "payload": payload }),
        ));
        let FaultAnswer::Call(CallEvent::Failed(failed)) = fault.answer() else {
            panic!("{payload}: no answer of the call");
        };
        assert_eq!(failed.request_id.as_str(), "r");
        assert_eq!(failed.code, ErrorCode::VALIDATION_ERROR);
    }
    let nameless = fault(&text(
        json!({ "type": "call.requested", "payload": { "requestId": "" } }),
    ));
    assert_eq!(refused(&nameless), ErrorCode::VALIDATION_ERROR);
}

#[test]
fn the_connections_own_frames_survive() {
    for (sent, secret) in [
        (
            json!({ "type": "hub.auth", "id": "", "payload": { "key": "alk_x" } }),
            true,
        ),
        (
            json!({ "type": "hub.hello", "id": "", "payload": {
                "instanceId": "i", "version": "0.1.0", "protocol": "alkhub.v1",
                "now": "2026-11-24T08:10:53.120Z", "heartbeatMs": 15000,
                "maxFrameBytes": 16777216, "limits": { "subscriptions": 64 } } }),
            false,
        ),
        (
            json!({ "type": "hub.error", "id": "", "payload": { "code": "UNSUPPORTED",
                "message": "no", "ref": { "type": "x", "requestId": "r" } } }),
            false,
        ),
        (
            json!({ "type": "hub.heartbeat", "id": "", "payload": { "inFlight": 2 } }),
            false,
        ),
        (
            json!({ "type": "hub.closing", "id": "", "payload": { "reason": "key_revoked" } }),
            false,
        ),
    ] {
        let read = decode(&text(sent.clone()), &FrameLimits::default()).unwrap();
        let Incoming::Control(control) = read else {
            panic!("{sent} was read as {read:?}");
        };
        assert_eq!(
            serde_json::from_str::<Value>(&control.to_text()).unwrap(),
            sent
        );
        assert!(!format!("{control:?}").contains("alk_x"), "{secret}");
    }
    let newer = text(json!({ "type": "hub.closing", "payload": { "reason": "tea" } }));
    decode(&newer, &FrameLimits::default()).unwrap();
    let bad = fault(&text(json!({ "type": "hub.closing", "payload": 1 })));
    assert!(bad.is_violation());
}
