use std::collections::BTreeSet;

use alkhub_operations::{CallError, Context, Operation, OperationType, operation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::*;

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Note {
    /// Text of the note.
    text: String,
    #[serde(default)]
    tags: Vec<String>,
    replies: Vec<Note>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CreateNote {
    note: Note,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "read by its schema only")]
struct ListNotes {
    /// Most notes.
    limit: Option<u16>,
    tags: Option<Vec<String>>,
    filter: Option<Filter>,
    project: String,
}

#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "read by its schema only")]
struct Filter {
    text: String,
}

fn operations() -> Vec<Operation> {
    vec![
        operation::<CreateNote, Note>("note.create", OperationType::Mutation)
            .title("Create a note")
            .description("Creates a note.")
            .scopes(&["note:write"])
            .error("CONFLICT", "a note of this text exists")
            .error("NOTE_TOO_DULL", "the note says nothing")
            .handler(|_: Context, input: CreateNote| async move { Ok::<_, CallError>(input.note) }),
        operation::<ListNotes, Vec<Note>>("note.list", OperationType::Query)
            .description("Lists notes.")
            .open()
            .handler(|_: Context, _: ListNotes| async move { Ok::<_, CallError>(Vec::new()) }),
    ]
}

fn made() -> Value {
    let operations = operations();
    let described: Vec<_> = operations
        .iter()
        .map(|operation| Described {
            spec: &operation.spec,
            open: operation.open,
        })
        .collect();
    let about = About {
        server: "http://127.0.0.1:4848",
        version: "0.0.0",
    };
    document(&described, &about)
}

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get("$ref") {
                found.insert(reference.clone());
            }
            members.values().for_each(|inner| references(inner, found));
        }
        Value::Array(inner) => inner.iter().for_each(|inner| references(inner, found)),
        _ => {}
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = made();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.contains("#/components/schemas/Note"), "{found:?}");
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

#[test]
fn no_definitions_are_left_in_place() {
    assert!(!made().to_string().contains("$defs"));
}

#[test]
fn a_type_used_both_ways_has_both_forms() {
    let document = made();
    let required = |name: &str| {
        let pointer = format!("/components/schemas/{name}/required");
        document.pointer(&pointer).unwrap().clone()
    };
    assert_eq!(required("Note"), json!(["text", "tags", "replies"]));
    assert_eq!(required("NoteInput"), json!(["text", "replies"]));
}

#[test]
fn queries_are_also_gets_with_one_parameter_a_property() {
    let document = made();
    let paths = document["paths"].as_object().unwrap();
    assert!(paths["/v1/call/note.create"].get("get").is_none());
    let get = &paths["/v1/call/note.list"]["get"];
    let parameters: Vec<_> = get["parameters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|parameter| {
            (
                parameter["name"].as_str().unwrap(),
                parameter["required"].as_bool().unwrap(),
                parameter.get("content").is_some(),
            )
        })
        .collect();
    assert!(parameters.contains(&("project", true, false)));
    assert!(parameters.contains(&("limit", false, false)));
    assert!(parameters.contains(&("filter", false, true)));
}

#[test]
fn an_open_operation_needs_no_key() {
    let document = made();
    assert_eq!(
        document["paths"]["/v1/call/note.list"]["post"]["security"],
        json!([])
    );
    assert!(
        document["paths"]["/v1/call/note.create"]["post"]
            .get("security")
            .is_none()
    );
}

#[test]
fn declared_errors_stand_with_the_common_ones_of_their_status() {
    let document = made();
    let responses = &document["paths"]["/v1/call/note.create"]["post"]["responses"];
    let conflict = responses["409"]["description"].as_str().unwrap();
    assert!(conflict.contains("`CONFLICT`: a note of this text exists"));
    assert!(conflict.contains("`ABORTED`"));
    let dull = responses["422"]["description"].as_str().unwrap();
    assert!(dull.contains("`NOTE_TOO_DULL`: the note says nothing"));
    assert_eq!(responses["401"]["$ref"], "#/components/responses/Error401");
}

#[test]
fn operation_ids_are_unique_and_tagged_by_namespace() {
    let document = made();
    let create = &document["paths"]["/v1/call/note.create"]["post"];
    assert_eq!(create["operationId"], "note.create");
    assert_eq!(create["tags"], json!(["note"]));
    assert_eq!(create["x-alkhub-type"], "mutation");
    assert_eq!(create["x-alkhub-scopes"], json!(["note:write"]));
    assert_eq!(document["tags"], json!([{ "name": "note" }]));
    assert!(
        document["paths"]["/v1/call/note.list"]["get"]
            .get("operationId")
            .is_none()
    );
}

#[test]
fn two_documents_of_one_registry_are_equal() {
    assert_eq!(made().to_string(), made().to_string());
}
