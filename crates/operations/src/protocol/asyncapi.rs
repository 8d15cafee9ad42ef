//! The AsyncAPI 3.0 document of the call protocol over a WebSocket, made from its types.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::{
    Auth, Closing, ClosingReason, Control, FaultReference, FrameError, Heartbeat, Hello,
    HelloLimits, encode,
};
use crate::access::Identity;
use crate::envelope::{Envelope, Source};
use crate::error::{CallError, ErrorCode};
use crate::events::{
    AbortBy, CallAborted, CallCompleted, CallCredit, CallEvent, CallFailed, CallProgress,
    CallRequested, CallResponded,
};
use crate::request_id::RequestId;

/// What the document says about the hub itself.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// Host and port, such as `127.0.0.1:4848`.
    pub host: &'a str,
    /// True when the socket is reached over TLS.
    pub secure: bool,
    /// Path of the socket.
    pub path: &'a str,
    /// Version of the hub.
    pub version: &'a str,
}

/// Who sends a message.
#[derive(Clone, Copy, PartialEq, Eq)]
enum From {
    Either,
    Client,
    Hub,
}

struct MessageSpec {
    kind: &'static str,
    from: From,
    summary: &'static str,
    payload: Value,
    example: Value,
}

/// The document.
#[must_use]
pub fn document(about: &About<'_>) -> Value {
    let settings = SchemaSettings::draft07()
        .with(|settings| settings.definitions_path = "/components/schemas".into());
    let mut generator = settings.into_generator();
    let specs: Vec<_> = calls(&mut generator)
        .into_iter()
        .chain(controls(&mut generator))
        .collect();

    let mut messages = Map::new();
    let mut in_channel = Map::new();
    for spec in &specs {
        let name = message_name(spec.kind);
        in_channel.insert(name.clone(), reference("components/messages", &name));
        messages.insert(name, message(spec));
    }
    let sent_by = |from: From| -> Vec<Value> {
        specs
            .iter()
            .filter(|spec| spec.from == from || spec.from == From::Either)
            .map(|spec| reference("channels/socket/messages", &message_name(spec.kind)))
            .collect()
    };
    let protocol = if about.secure { "wss" } else { "ws" };
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "alkhub call protocol",
            "version": about.version,
            "description": INTRODUCTION,
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "defaultContentType": "application/json",
        "servers": { "hub": {
            "host": about.host,
            "protocol": protocol,
            "pathname": about.path,
            "security": [{ "$ref": "#/components/securitySchemes/bearer" }],
        } },
        "channels": { "socket": {
            "address": about.path,
            "title": "The one socket",
            "description": "Text messages, each one JSON object. Subprotocol alkhub.v1.",
            "messages": in_channel,
        } },
        "operations": {
            "receive": {
                "action": "receive",
                "channel": { "$ref": "#/channels/socket" },
                "summary": "What a client sends to the hub.",
                "messages": sent_by(From::Client),
            },
            "send": {
                "action": "send",
                "channel": { "$ref": "#/channels/socket" },
                "summary": "What the hub sends to a client.",
                "messages": sent_by(From::Hub),
            },
        },
        "components": {
            "messages": messages,
            "schemas": generator.take_definitions(true),
            "securitySchemes": { "bearer": {
                "type": "http",
                "scheme": "bearer",
                "description": "An alkhub key in the header of the upgrade: Authorization: Bearer alk_…. \
                    Clients that cannot set headers send hub.auth as their first message.",
            } },
        },
    })
}

const INTRODUCTION: &str = "One mechanism for calls and streams, both ways over one socket. \
call.requested starts a request; all that follows names it by its requestId. A call takes one answer, a subscription takes answers until \
call.completed. Either side may be the caller. What an operation takes and gives is in the OpenAPI document of the hub, /v1/openapi.json; \
a client that offers operations registers them by calling the operation hub.register.";

fn calls(generator: &mut SchemaGenerator) -> Vec<MessageSpec> {
    fn spec<T: JsonSchema>(
        generator: &mut SchemaGenerator,
        summary: &'static str,
        example: CallEvent,
    ) -> MessageSpec {
        MessageSpec {
            kind: example.name(),
            from: From::Either,
            summary,
            payload: generator.subschema_for::<T>().to_value(),
            example: parsed(&encode(&example)),
        }
    }
    vec![
        spec::<CallRequested>(
            generator,
            "Caller to provider: run this operation.",
            CallEvent::Requested(CallRequested {
                request_id: example_id(),
                operation_id: "fs.read".to_owned(),
                input: Some(json!({ "path": "README.md" })),
                parent_request_id: None,
                deadline: None,
                timeout_ms: Some(60_000),
                idle_timeout: None,
                identity: Some(Identity {
                    id: "acc_1".to_owned(),
                    scopes: vec!["spoke:call".to_owned()],
                    ..Identity::default()
                }),
                metadata: None,
                resume_after: None,
                credit: None,
            }),
        ),
        spec::<CallResponded>(
            generator,
            "Provider to caller: the answer of a call, or one item of a subscription.",
            CallEvent::Responded(CallResponded {
                request_id: example_id(),
                output: Envelope::of(
                    json!({ "content": "# Read me" }),
                    Source::Local {
                        operation_id: "fs.read".to_owned(),
                        timestamp: 1_795_508_999_100,
                    },
                ),
                seq: None,
            }),
        ),
        spec::<CallCompleted>(
            generator,
            "Provider to caller: the subscription is over.",
            CallEvent::Completed(CallCompleted {
                request_id: example_id(),
                count: Some(3),
            }),
        ),
        spec::<CallFailed>(
            generator,
            "Provider to caller: it failed.",
            CallEvent::Failed(CallFailed::new(
                example_id(),
                CallError::new(ErrorCode::other("FILE_NOT_FOUND"), "no such file: a.md")
                    .with_detail("path", "a.md"),
            )),
        ),
        spec::<CallAborted>(
            generator,
            "Caller to provider: stop it. Provider to caller: it has stopped.",
            CallEvent::Aborted(CallAborted::new(
                example_id(),
                AbortBy::Caller,
                Some("no longer needed"),
            )),
        ),
        spec::<CallCredit>(
            generator,
            "Caller to provider: so many more items of the subscription can be taken.",
            CallEvent::Credit(CallCredit {
                request_id: example_id(),
                add: 16,
            }),
        ),
        spec::<CallProgress>(
            generator,
            "Provider to caller: how far it is. Never the end of anything.",
            CallEvent::Progress(CallProgress {
                request_id: example_id(),
                fraction: Some(0.5),
                message: Some("half of the files are read".to_owned()),
            }),
        ),
    ]
}

fn controls(generator: &mut SchemaGenerator) -> Vec<MessageSpec> {
    fn spec<T: JsonSchema>(
        generator: &mut SchemaGenerator,
        from: From,
        summary: &'static str,
        example: Control,
    ) -> MessageSpec {
        MessageSpec {
            kind: example.name(),
            from,
            summary,
            payload: generator.subschema_for::<T>().to_value(),
            example: parsed(&example.to_text()),
        }
    }
    vec![
        spec::<Auth>(
            generator,
            From::Client,
            "The key, from clients that cannot set headers; the first frame, within 5 s.",
            Control::Auth(Auth {
                key: "alk_…".to_owned(),
            }),
        ),
        spec::<Hello>(
            generator,
            From::Hub,
            "The hub's first frame.",
            Control::Hello(Hello {
                instance_id: "hub-1".to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                protocol: "alkhub.v1".to_owned(),
                now: EXAMPLE_TIME.to_owned(),
                heartbeat_ms: 15_000,
                max_frame_bytes: 16 * 1024 * 1024,
                limits: HelloLimits {
                    subscriptions: Some(64),
                    ..HelloLimits::default()
                },
            }),
        ),
        spec::<FrameError>(
            generator,
            From::Either,
            "A frame could not be read. No call ends by it.",
            Control::Error(FrameError::new(
                ErrorCode::UNSUPPORTED,
                "unknown event call.paused",
                FaultReference::of("call.paused", None),
            )),
        ),
        spec::<Heartbeat>(
            generator,
            From::Either,
            "From a client: it is alive, and how busy. From the hub: the answer, with its time.",
            Control::Heartbeat(Heartbeat {
                in_flight: Some(2),
                ..Heartbeat::default()
            }),
        ),
        spec::<Closing>(
            generator,
            From::Hub,
            "The hub is about to close the connection.",
            Control::Closing(Closing {
                reason: ClosingReason::Shutdown,
                reconnect_after_ms: Some(5000),
            }),
        ),
    ]
}

const EXAMPLE_TIME: &str = "2026-11-24T08:10:53.120Z";

fn message(spec: &MessageSpec) -> Value {
    let id = if spec.kind.starts_with("call.") {
        json!({ "type": "string", "description": "The request id again, or empty." })
    } else {
        json!({ "type": "string", "const": "" })
    };
    json!({
        "name": spec.kind,
        "title": spec.kind,
        "summary": spec.summary,
        "payload": {
            "type": "object",
            "required": ["type", "payload"],
            "properties": {
                "type": { "const": spec.kind },
                "id": id,
                "payload": spec.payload,
            },
        },
        "examples": [{ "name": "example", "payload": spec.example }],
    })
}

/// `call.requested` as a name of a component: `callRequested`.
fn message_name(kind: &str) -> String {
    let mut name = String::new();
    for (index, part) in kind.split('.').enumerate() {
        let (first, rest) = part.split_at(part.len().min(1));
        if index == 0 {
            name.push_str(part);
        } else {
            name.push_str(&first.to_ascii_uppercase());
            name.push_str(rest);
        }
    }
    name
}

fn reference(place: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/{place}/{name}") })
}

fn example_id() -> RequestId {
    // The same in every document, so that two of them are equal.
    RequestId::from(uuid::Uuid::from_u128(
        0x6f9c_2d0e_1b3a_4c5d_8e7f_0123_4567_89ab,
    ))
}

#[expect(
    clippy::expect_used,
    reason = "what these types write is JSON; there is no failure"
)]
fn parsed(text: &str) -> Value {
    serde_json::from_str(text).expect("frames are JSON")
}
