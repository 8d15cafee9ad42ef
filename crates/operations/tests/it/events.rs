//! Events and frames as JSON.

use alkhub_operations::events::{
    CallAborted, CallCompleted, CallCredit, CallEvent, CallFailed, CallProgress, FrameFault,
};
use alkhub_operations::{AbortBy, CallError, ErrorCode, Frame};
use serde_json::{Value, json};

fn frame(json: Value) -> Frame {
    serde_json::from_value(json).unwrap()
}

fn read(json: Value) -> Result<CallEvent, FrameFault> {
    CallEvent::from_frame(frame(json))
}

#[test]
fn frames_of_the_specification_survive() {
    for json in [
        json!({
            "type": "call.requested", "id": "6f9c", "payload": {
                "requestId": "6f9c", "operationId": "fs.read", "input": { "path": "a.md" },
                "deadline": 1_789_990_000_000.0, "timeoutMs": 60_000,
                "identity": { "id": "acc-1", "scopes": ["spoke:call"] },
            },
        }),
        json!({
            "type": "call.responded", "id": "6f9c", "payload": {
                "requestId": "6f9c", "seq": 1,
                "output": {
                    "data": { "content": "…" },
                    "meta": {
                        "source": "local", "operationId": "fs.read",
                        "timestamp": 1_789_989_999_100_i64,
                    },
                },
            },
        }),
        json!({
            "type": "call.error", "id": "6f9c", "payload": {
                "requestId": "6f9c", "code": "FILE_NOT_FOUND", "message": "no such file: a.md",
                "details": { "path": "a.md" },
            },
        }),
        json!({
            "type": "call.aborted", "id": "6f9c",
            "payload": { "requestId": "6f9c", "by": "caller", "reason": "enough" },
        }),
        json!({
            "type": "call.completed", "id": "6f9c", "payload": { "requestId": "6f9c", "count": 1 },
        }),
    ] {
        let event = read(json.clone()).unwrap();
        assert_eq!(serde_json::to_value(event.to_frame()).unwrap(), json);
        assert_eq!(event.request_id().as_str(), "6f9c");
    }
}

#[test]
fn case_119_an_answer_that_is_no_envelope_is_refused() {
    for output in [json!({ "result": 1 }), Value::Null, json!("x")] {
        let sent = json!({
            "type": "call.responded", "payload": { "requestId": "r", "output": output },
        });
        match read(sent).unwrap_err() {
            FrameFault::Payload {
                path, request_id, ..
            } => {
                assert_eq!(path, "/output");
                assert_eq!(request_id.unwrap().as_str(), "r");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn case_137_the_frames_id_must_not_differ_and_case_138_may_be_empty() {
    let sent =
        |id: &str| json!({ "type": "call.completed", "id": id, "payload": { "requestId": "r" } });
    assert!(matches!(
        read(sent("x")),
        Err(FrameFault::IdMismatch { .. })
    ));
    assert!(read(sent("")).is_ok());
    let without = json!({ "type": "call.completed", "payload": { "requestId": "r" } });
    assert!(read(without).is_ok());
}

#[test]
fn case_142_unknown_events_and_members_are_told_apart() {
    let newer = read(json!({ "type": "call.paused", "payload": { "requestId": "r" } }));
    assert_eq!(
        newer.unwrap_err(),
        FrameFault::UnknownEvent("call.paused".into())
    );
    let more = json!({
        "type": "call.completed", "colour": "red", "payload": { "requestId": "r", "colour": "red" },
    });
    assert!(read(more).is_ok());
}

#[test]
fn case_143_a_bad_payload_names_its_request_when_it_can() {
    let bad = json!({ "type": "call.credit", "payload": { "requestId": "r", "add": "many" } });
    match read(bad).unwrap_err() {
        FrameFault::Payload {
            event,
            path,
            request_id,
        } => {
            assert_eq!((event.as_str(), path.as_str()), ("call.credit", "/add"));
            assert_eq!(request_id.unwrap().as_str(), "r");
        }
        other => panic!("{other:?}"),
    }
    let nameless = read(json!({ "type": "call.credit", "payload": { "requestId": "ü" } }));
    assert!(matches!(
        nameless,
        Err(FrameFault::Payload {
            request_id: None,
            ..
        })
    ));
}

#[test]
fn absent_input_and_null_are_two_things() {
    let sent = |payload: Value| match read(json!({ "type": "call.requested", "payload": payload }))
        .unwrap()
    {
        CallEvent::Requested(requested) => requested.input,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        sent(json!({ "requestId": "r", "operationId": "a.b" })),
        None
    );
    let null = json!({ "requestId": "r", "operationId": "a.b", "input": null });
    assert_eq!(sent(null), Some(Value::Null));
}

#[test]
fn every_event_has_its_name() {
    let id = || "r".parse().unwrap();
    let error = CallError::conflict("x", "no");
    let failed = CallFailed::new(id(), error.clone());
    assert_eq!(failed.clone().into_error(), error);
    let long = "é".repeat(300);
    let aborted = CallAborted::new(id(), AbortBy::Hub, Some(&long));
    assert_eq!(aborted.reason.as_ref().unwrap().chars().count(), 200);
    for (event, name) in [
        (CallEvent::Failed(failed), "call.error"),
        (CallEvent::Aborted(aborted), "call.aborted"),
        (
            CallEvent::Completed(CallCompleted {
                request_id: id(),
                count: None,
            }),
            "call.completed",
        ),
        (
            CallEvent::Credit(CallCredit {
                request_id: id(),
                add: 5,
            }),
            "call.credit",
        ),
        (
            CallEvent::Progress(CallProgress {
                request_id: id(),
                fraction: Some(0.5),
                message: None,
            }),
            "call.progress",
        ),
    ] {
        let frame = event.to_frame();
        assert_eq!(frame.kind, name);
        assert_eq!(CallEvent::from_frame(frame).unwrap(), event);
    }
    assert_eq!(ErrorCode::ABORTED.as_str(), "ABORTED");
}
