//! The AsyncAPI document is whole and true.

use alkhub_operations::Schema;
use alkhub_operations::protocol::asyncapi::{About, document};
use alkhub_operations::protocol::{FrameLimits, decode};
use serde_json::{Value, json};

fn made() -> Value {
    document(&About {
        host: "127.0.0.1:4848",
        secure: false,
        path: "/ws",
        version: env!("CARGO_PKG_VERSION"),
    })
}

#[test]
fn every_event_and_frame_is_in_the_document() {
    let document = made();
    let messages = document["components"]["messages"].as_object().unwrap();
    let mut names: Vec<_> = messages
        .values()
        .map(|message| message["name"].as_str().unwrap())
        .collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "call.aborted",
            "call.completed",
            "call.credit",
            "call.error",
            "call.progress",
            "call.requested",
            "call.responded",
            "hub.auth",
            "hub.closing",
            "hub.error",
            "hub.heartbeat",
            "hub.hello",
        ]
    );
    let of = |operation: &str| {
        let messages = document["operations"][operation]["messages"].as_array();
        messages.unwrap().len()
    };
    assert_eq!((of("receive"), of("send")), (10, 11));
}

#[test]
fn every_reference_leads_somewhere() {
    fn check(node: &Value, document: &Value) {
        match node {
            Value::Object(members) => {
                if let Some(Value::String(reference)) = members.get("$ref") {
                    let pointer = reference.strip_prefix('#').unwrap();
                    assert!(document.pointer(pointer).is_some(), "{reference}");
                }
                members.values().for_each(|it| check(it, document));
            }
            Value::Array(elements) => elements.iter().for_each(|it| check(it, document)),
            _ => {}
        }
    }
    let document = made();
    check(&document, &document);
}

#[test]
fn every_example_fits_its_schema_and_can_be_read() {
    let document = made();
    for message in document["components"]["messages"]
        .as_object()
        .unwrap()
        .values()
    {
        let example = &message["examples"][0]["payload"];
        let schema = Schema::new(json!({
            "components": document["components"],
            "allOf": [message["payload"]],
        }))
        .unwrap();
        assert_eq!(schema.issues(example), [], "{example}");
        decode(&example.to_string(), &FrameLimits::default()).unwrap();
        let mut wrong = example.clone();
        wrong["payload"] = json!(1);
        assert!(!schema.issues(&wrong).is_empty(), "{wrong}");
    }
}

#[test]
fn the_page_in_the_docs_is_this_document() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/asyncapi.json");
    let page = std::fs::read_to_string(path).unwrap();
    let made = serde_json::to_string_pretty(&made()).unwrap() + "\n";
    if page != made {
        // Where it can be, it is brought up to date; the failure says to commit it.
        std::fs::write(path, made).unwrap();
        panic!("docs/asyncapi.json was out of date and has been written anew");
    }
}
