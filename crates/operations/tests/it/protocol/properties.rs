//! Any bytes, and events in any order.

use alkhub_operations::protocol::{
    CallMap, CloseReason, Delivered, FrameLimits, Incoming, MapLimits, RegistryService, Request,
    RequestState, ServerLimits, decode, deliver, encode,
};
use alkhub_operations::{AbortBy, CallError, CallEvent, ErrorCode, RequestId};
use futures::{FutureExt, StreamExt};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

use super::links::{Notes, aborted, completed, failed, responded};
use crate::support::{constant, registry};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
}

/// JSON that looks like a frame here and there.
fn frame_like() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("call.requested"),
        Just("call.responded"),
        Just("call.completed"),
        Just("call.aborted"),
        Just("call.error"),
        Just("call.credit"),
        Just("call.progress"),
        Just("hub.auth"),
        Just("hub.hello"),
        Just("hub.heartbeat"),
        Just("__subscribe"),
        Just("nothing"),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        "[ -~]{0,12}".prop_map(Value::from),
        Just(json!("r1")),
        Just(json!("test.one")),
        Just(json!("provider")),
        Just(
            json!({ "data": 1, "meta": { "source": "local", "operationId": "a.b", "timestamp": 1 } })
        ),
    ];
    let member = prop_oneof![
        Just("requestId"),
        Just("operationId"),
        Just("input"),
        Just("output"),
        Just("seq"),
        Just("count"),
        Just("add"),
        Just("by"),
        Just("code"),
        Just("message"),
        Just("deadline"),
        Just("timeoutMs"),
        Just("idleTimeout"),
        Just("resumeAfter"),
        Just("credit"),
        Just("metadata"),
        Just("identity"),
        Just("parentRequestId"),
        Just("key"),
        Just("topic"),
    ];
    let payload = proptest::collection::btree_map(member, leaf, 0..8);
    (word, payload, any::<bool>()).prop_map(|(kind, mut payload, named)| {
        if named {
            payload.insert("requestId", json!("r1"));
            payload.entry("operationId").or_insert(json!("test.one"));
        }
        json!({ "type": kind, "id": "", "payload": payload }).to_string()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn case_146_any_text_is_read_or_refused(text in "\\PC{0,200}") {
        super::hostile::frame(text.as_bytes());
    }

    #[test]
    fn case_146_any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        super::hostile::frame(&bytes);
    }

    #[test]
    fn case_146_what_looks_like_a_frame_is_read_or_refused(text in frame_like()) {
        super::hostile::frame(text.as_bytes());
    }

    #[test]
    fn case_146_frames_of_any_form_do_no_harm(texts in proptest::collection::vec(frame_like(), 1..20)) {
        runtime().block_on(async {
            let notes = Notes::new();
            let map = CallMap::new(notes.clone(), MapLimits::default());
            let service = RegistryService::new(registry([constant("test.one", json!(1))]));
            let server = alkhub_operations::protocol::CallServer::new(
                Arc::new(service), notes.clone(), ServerLimits::default());
            let call = map.call(Request::new("a.b", json!({})).with_id("r1".parse().unwrap()));
            for text in &texts {
                match decode(text, &FrameLimits::default()) {
                    Ok(Incoming::Call(event)) => {
                        // What can be read can be written and read again.
                        let again = decode(&encode(&event), &FrameLimits::default()).unwrap();
                        assert_eq!(again, Incoming::Call(event.clone()));
                        deliver(&map, &server, event);
                    }
                    Ok(incoming) => {
                        let _told_or_not = incoming.refusal();
                    }
                    Err(fault) => {
                        assert!(!fault.answer().to_text().is_empty());
                        map.refuse(&fault);
                    }
                }
            }
            drop(call);
            tokio::time::sleep(Duration::from_secs(10)).await;
            assert_eq!(map.pending(), 0);
            assert!(server.running().is_empty());
        });
    }
}

/// Something that can happen to a request.
#[derive(Debug, Clone, Copy)]
enum Happening {
    Answer,
    Complete,
    Fail,
    AbortByProvider,
    AbortByCaller,
    TimePasses,
    Detach,
    Attach,
    Close,
    GiveUp,
}

fn happening() -> impl Strategy<Value = Happening> {
    use Happening::*;
    prop_oneof![
        4 => Just(Answer),
        2 => Just(Complete),
        1 => Just(Fail),
        1 => Just(AbortByProvider),
        1 => Just(AbortByCaller),
        1 => Just(TimePasses),
        1 => Just(Detach),
        1 => Just(Attach),
        1 => Just(Close),
        1 => Just(GiveUp),
    ]
}

/// What the table of states says of a request.
#[derive(Debug, Clone, PartialEq)]
enum Expected {
    Open { items: usize },
    Ended { items: usize, end: End },
}

#[derive(Debug, Clone, PartialEq)]
enum End {
    Complete,
    Error(ErrorCode),
}

fn step(expected: &mut Expected, happening: Happening, stream: bool, closed: &mut bool) -> bool {
    let Expected::Open { items } = *expected else {
        *closed |= matches!(happening, Happening::Close);
        return false;
    };
    let end = match happening {
        Happening::Answer if stream => {
            *expected = Expected::Open { items: items + 1 };
            return true;
        }
        Happening::Answer => {
            *expected = Expected::Ended {
                items: 1,
                end: End::Complete,
            };
            return true;
        }
        Happening::Complete if stream => End::Complete,
        Happening::Complete | Happening::AbortByProvider | Happening::AbortByCaller => {
            End::Error(ErrorCode::ABORTED)
        }
        Happening::Fail => End::Error(ErrorCode::other("BROKEN")),
        Happening::TimePasses => End::Error(ErrorCode::TIMEOUT),
        Happening::GiveUp => End::Error(ErrorCode::UNAVAILABLE),
        Happening::Close => {
            *closed = true;
            End::Error(ErrorCode::PROVIDER_LOST)
        }
        Happening::Detach | Happening::Attach => return true,
    };
    // Whoever aborts takes nothing more.
    let items = if matches!(happening, Happening::AbortByCaller) {
        0
    } else {
        items
    };
    *expected = Expected::Ended { items, end };
    true
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn case_147_no_order_of_events_leaves_the_table_of_states(
        happenings in proptest::collection::vec(happening(), 0..12),
        stream: bool,
    ) {
        runtime().block_on(async {
            let notes = Notes::new();
            let map = CallMap::new(notes.clone(), MapLimits::default());
            let id: RequestId = "r".parse().unwrap();
            let request = Request::new("a.b", json!({}))
                .with_id(id.clone())
                .with_timeout(Duration::from_secs(60));
            let heard = if stream {
                map.subscribe(request).boxed()
            } else {
                map.call(request).into_stream().boxed()
            };
            let mut expected = Expected::Open { items: 0 };
            let (mut attached, mut closed, mut told) = (true, false, 0);
            let mut seq = 0;
            for happening in happenings {
                let was_open = step(&mut expected, happening, stream, &mut closed);
                let delivered = |event: CallEvent| {
                    let delivered = map.deliver(event);
                    assert_eq!(delivered == Delivered::Accepted, was_open, "{delivered:?}");
                    assert!(was_open || delivered == Delivered::Late);
                };
                match happening {
                    Happening::Answer => {
                        seq += 1;
                        delivered(responded(&id, json!(seq), stream.then_some(seq)));
                    }
                    Happening::Complete => delivered(completed(&id)),
                    Happening::Fail => {
                        delivered(failed(&id, CallError::new(ErrorCode::other("BROKEN"), "x")));
                    }
                    Happening::AbortByProvider => delivered(aborted(&id, AbortBy::Provider)),
                    Happening::AbortByCaller => {
                        assert_eq!(map.abort(&id, AbortBy::Caller, None), was_open);
                        told += usize::from(was_open && attached);
                    }
                    Happening::TimePasses => {
                        tokio::time::sleep(Duration::from_secs(61)).await;
                        told += usize::from(was_open && attached);
                    }
                    Happening::Detach => {
                        map.detach();
                        attached = false;
                    }
                    Happening::Attach => {
                        map.attach(notes.clone());
                        attached = true;
                    }
                    Happening::Close => map.close(CloseReason::ProviderLost),
                    Happening::GiveUp => {
                        assert_eq!(map.fail(&id, CallError::unavailable("x")), was_open);
                    }
                }
                let open = matches!(expected, Expected::Open { .. });
                assert_eq!(map.pending(), usize::from(open));
                assert_eq!(map.state(&id) == RequestState::Open, open);
            }
            assert_eq!(notes.aborted().len(), told);
            if let Expected::Ended { items, end } = expected {
                let heard: Vec<_> = heard.collect().await;
                let good = heard.iter().filter(|it| it.is_ok()).count();
                assert_eq!(good, items);
                match end {
                    End::Complete => assert_eq!(heard.len(), items),
                    End::Error(code) => {
                        assert_eq!(heard.len(), items + 1);
                        assert_eq!(heard[items].as_ref().unwrap_err().code, code);
                    }
                }
            } else {
                drop(heard);
                assert_eq!(map.pending(), 0);
            }
        });
    }
}
