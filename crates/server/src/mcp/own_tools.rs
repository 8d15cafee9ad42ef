//! Chosen operations as tools of their own: which, under what names, and with what schemas.

use std::collections::BTreeMap;
use std::sync::Arc;

use alkhub_hub::mcp::MOST_OWN_TOOLS;
use alkhub_operations::{CallError, Entry, OperationSpec, OperationType, sha256_hex};
use axum::http::HeaderMap;
use rmcp::model::{ErrorData, JsonObject, Tool, ToolAnnotations};
use serde_json::{Map, Value, json};

use super::Caller;
use super::answer::object;

/// Names and patterns, separated by commas; in the place of the setting `mcp.tools`.
const HEADER: &str = "x-alkhub-tools";
/// Longest name of a tool.
const NAME_LENGTH: usize = 64;
/// Digits of the hash that tell two tools apart.
const SUFFIX_LENGTH: usize = 6;
/// Formats that clients may know. Others, such as the widths of numbers, they warn about.
const FORMATS: [&str; 13] = [
    "date-time",
    "date",
    "time",
    "duration",
    "email",
    "uri",
    "uri-reference",
    "uuid",
    "ipv4",
    "ipv6",
    "hostname",
    "json-pointer",
    "regex",
];
/// Keywords that hold data and no schemas.
const DATA: [&str; 4] = ["default", "const", "enum", "examples"];
/// Words in the name of an operation that takes something away.
const DESTRUCTIVE: [&str; 3] = ["delete", "remove", "abort"];

/// What a request chooses: its header, else the setting. Errors: 400 `VALIDATION_ERROR`.
pub(super) fn asked_for(headers: &HeaderMap, setting: &[String]) -> Result<Vec<String>, CallError> {
    let mut values = headers.get_all(HEADER).iter().peekable();
    if values.peek().is_none() {
        return Ok(setting.to_vec());
    }
    let mut patterns = Vec::new();
    for value in values {
        let text = value.to_str().map_err(|_| faulty("visible characters"))?;
        let parts = text.split(',').map(str::trim);
        patterns.extend(parts.filter(|part| !part.is_empty()).map(str::to_owned));
    }
    if patterns.len() > MOST_OWN_TOOLS {
        return Err(faulty("at most 40 names and patterns"));
    }
    let good = |pattern: &String| {
        pattern
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'*'))
    };
    if !patterns.iter().all(good) {
        return Err(faulty("names of operations, or patterns such as task.*"));
    }
    Ok(patterns)
}

fn faulty(wanted: &str) -> CallError {
    CallError::validation_rule("header", format!("the header {HEADER} holds {wanted}"))
        .with_detail("header", HEADER)
}

impl Caller {
    /// The operations that are tools of their own, under their tools' names.
    ///
    /// Errors: −32602 rule `too_many_tools` when more are chosen than are shown.
    pub(super) fn own_tools(&self) -> Result<BTreeMap<String, Arc<Entry>>, ErrorData> {
        let mut entries = self.hub.own_tools(&self.principal, &self.chosen);
        // A tool takes an object and nothing else.
        entries.retain(|entry| takes_object(entry.spec()));
        if entries.len() > MOST_OWN_TOOLS {
            let found = entries.len();
            return Err(ErrorData::invalid_params(
                format!(
                    "configuration error: {found} operations are chosen as tools of their own \
                     (setting mcp.tools or header {HEADER}); at most {MOST_OWN_TOOLS} can be"
                ),
                Some(json!({ "rule": "too_many_tools", "found": found, "limit": MOST_OWN_TOOLS })),
            ));
        }
        Ok(named(entries))
    }
}

/// Gives each operation the name of its tool.
fn named(entries: Vec<Arc<Entry>>) -> BTreeMap<String, Arc<Entry>> {
    let mut plain = BTreeMap::<String, Vec<Arc<Entry>>>::new();
    for entry in entries {
        let name = entry.id().as_str().replace('.', "_");
        plain.entry(name).or_default().push(entry);
    }
    let mut named = BTreeMap::new();
    for (name, entries) in plain {
        let alone = entries.len() == 1;
        for entry in entries {
            let name = if alone && name.len() <= NAME_LENGTH {
                name.clone()
            } else {
                with_suffix(&name, entry.id().as_str())
            };
            named.insert(name, entry);
        }
    }
    named
}

/// The name with six digits of the hash of the operation's id behind it.
fn with_suffix(name: &str, id: &str) -> String {
    let hash = sha256_hex(id);
    let room = NAME_LENGTH - SUFFIX_LENGTH - 1;
    let start: String = name.chars().take(room).collect();
    format!("{start}_{}", &hash[..SUFFIX_LENGTH])
}

/// The operation as a tool.
pub(super) fn tool(name: String, spec: &OperationSpec) -> Tool {
    let mut tool = Tool::new(
        name,
        spec.description.clone(),
        Arc::new(input_schema(spec.input_schema.json())),
    )
    .with_annotations(hints(spec));
    if let Some(title) = &spec.title {
        tool = tool.with_title(title.clone());
    }
    // What a subscription's schema says of one item holds for none of its answers here.
    if spec.kind != OperationType::Subscription
        && let Some(schema) = output_schema(spec.output_schema.json())
    {
        tool = tool.with_raw_output_schema(Arc::new(schema));
    }
    tool
}

fn hints(spec: &OperationSpec) -> ToolAnnotations {
    match spec.kind {
        OperationType::Query | OperationType::Subscription => {
            ToolAnnotations::new().read_only(true)
        }
        OperationType::Mutation => {
            let name = spec.name.as_str().to_lowercase();
            ToolAnnotations::new()
                .read_only(false)
                .destructive(DESTRUCTIVE.iter().any(|word| name.contains(word)))
                .idempotent(spec.idempotent())
        }
    }
}

fn takes_object(spec: &OperationSpec) -> bool {
    let schema = spec.input_schema.json();
    match root_types(schema) {
        Some(types) => types.contains(&"object"),
        None => true,
    }
}

/// The schema with the type that a tool's input has, and without the name of a dialect: clients that
/// know another one refuse what they could read.
fn input_schema(schema: &Value) -> JsonObject {
    let mut schema = match schema {
        Value::Object(members) => members.clone(),
        _ => Map::new(),
    };
    tidy(&mut schema);
    schema.insert("type".to_owned(), json!("object"));
    schema
}

/// Takes out the name of the dialect and formats that clients need not know.
fn tidy(schema: &mut JsonObject) {
    schema.remove("$schema");
    let known = |format: &Value| format.as_str().is_none_or(|name| FORMATS.contains(&name));
    if schema.get("format").is_some_and(|format| !known(format)) {
        schema.remove("format");
    }
    for (key, value) in schema {
        if !DATA.contains(&key.as_str()) {
            tidy_inside(value);
        }
    }
}

fn tidy_inside(value: &mut Value) {
    match value {
        Value::Object(members) => tidy(members),
        Value::Array(items) => items.iter_mut().for_each(tidy_inside),
        _ => {}
    }
}

/// The schema of the structured content; `None` when it cannot be said whether data is an object.
fn output_schema(schema: &Value) -> Option<JsonObject> {
    let types = root_types(schema)?;
    let mut members = schema.as_object()?.clone();
    tidy(&mut members);
    if types == ["object"] {
        members.insert("type".to_owned(), json!("object"));
        return Some(members);
    }
    if types.contains(&"object") {
        return None;
    }
    // References count from the root, so what they lead to moves there.
    let mut wrapped = object(json!({
        "type": "object",
        "properties": {},
        "required": ["value"],
    }));
    for key in ["$defs", "definitions"] {
        if let Some(defined) = members.remove(key) {
            wrapped.insert(key.to_owned(), defined);
        }
    }
    wrapped.insert("properties".to_owned(), json!({ "value": members }));
    Some(wrapped)
}

/// The types a schema allows at its root, as far as it says; follows one reference.
fn root_types(schema: &Value) -> Option<Vec<&str>> {
    let own = |schema: &'_ Value| schema.get("type").is_some();
    let target = if own(schema) {
        schema
    } else {
        let reference = schema.get("$ref")?.as_str()?.strip_prefix('#')?;
        schema.pointer(reference).filter(|target| own(target))?
    };
    match target.get("type")? {
        Value::String(one) => Some(vec![one.as_str()]),
        Value::Array(several) => several.iter().map(Value::as_str).collect(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use alkhub_operations::{Registry, operation};
    use axum::http::HeaderValue;

    use super::*;

    fn entries(ids: &[&str]) -> Vec<Arc<Entry>> {
        let registry = Registry::new();
        let operations = ids.iter().map(|id| {
            operation::<Value, Value>(id, OperationType::Mutation)
                .description("Does it.")
                .handler(|_context, _input: Value| async { Ok(Value::Null) })
        });
        registry.register_all(operations).unwrap();
        registry.list()
    }

    #[test]
    fn dots_become_underscores() {
        let named = named(entries(&["task.ready", "org.member.add"]));
        let names: Vec<&String> = named.keys().collect();
        assert_eq!(names, ["org_member_add", "task_ready"]);
    }

    #[test]
    fn case_h29_names_that_clash_get_a_suffix_each() {
        let named = named(entries(&["a.b_c", "a.b.c", "d.e"]));
        assert_eq!(named.len(), 3);
        for (name, entry) in &named {
            let id = entry.id().as_str();
            if id == "d.e" {
                assert_eq!(name, "d_e");
            } else {
                assert_eq!(*name, format!("a_b_c_{}", &sha256_hex(id)[..6]));
            }
        }
    }

    #[test]
    fn long_names_are_cut_and_get_a_suffix() {
        let id = format!("a.{}", "b".repeat(64));
        let named = named(entries(&[&id]));
        let name = named.keys().next().unwrap();
        assert_eq!(name.len(), 64);
        assert!(name.ends_with(&sha256_hex(&id)[..6]), "{name}");
    }

    #[test]
    fn hints_follow_from_kind_and_name() {
        let hints_of = |id: &str, kind, idempotent| {
            let made = operation::<Value, Value>(id, kind)
                .description("Does it.")
                .idempotent(idempotent)
                .handler(|_context, _input: Value| async { Ok(Value::Null) });
            json!(hints(&made.spec))
        };
        let query = hints_of("task.get", OperationType::Query, true);
        assert_eq!(query, json!({ "readOnlyHint": true }));
        let delete = hints_of("task.delete", OperationType::Mutation, true);
        assert_eq!(delete["destructiveHint"], true);
        assert_eq!(delete["idempotentHint"], true);
        let create = hints_of("task.create", OperationType::Mutation, false);
        assert_eq!(create["destructiveHint"], false);
        assert_eq!(create["idempotentHint"], false);
    }

    #[test]
    fn output_that_is_no_object_is_wrapped_with_its_definitions() {
        let list = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "array",
            "items": { "$ref": "#/$defs/Row" },
            "$defs": { "Row": { "type": "object" } }
        });
        let wrapped = Value::Object(output_schema(&list).unwrap());
        assert_eq!(wrapped["type"], "object");
        assert_eq!(wrapped["properties"]["value"]["type"], "array");
        assert_eq!(wrapped["$defs"]["Row"]["type"], "object");
        let referred = json!({
            "$ref": "#/$defs/Row",
            "$defs": { "Row": { "type": "object" } }
        });
        assert_eq!(output_schema(&referred).unwrap()["type"], "object");
        assert!(output_schema(&json!({ "type": ["object", "null"] })).is_none());
        assert!(output_schema(&json!({})).is_none());
        assert!(output_schema(&json!(true)).is_none());
    }

    #[test]
    fn what_clients_warn_about_is_left_out() {
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "properties": {
                "format": { "type": "string" },
                "count": { "type": "integer", "format": "uint32" },
                "at": { "type": "string", "format": "date-time", "default": { "format": "x" } }
            }
        });
        let tidied = Value::Object(input_schema(&schema));
        assert_eq!(
            tidied,
            json!({
                "type": "object",
                "properties": {
                    "format": { "type": "string" },
                    "count": { "type": "integer" },
                    "at": { "type": "string", "format": "date-time", "default": { "format": "x" } }
                }
            })
        );
    }

    #[test]
    fn the_header_takes_the_place_of_the_setting() {
        let setting = ["task.ready".to_owned()];
        let mut headers = HeaderMap::new();
        assert_eq!(asked_for(&headers, &setting).unwrap(), setting);
        headers.insert(HEADER, HeaderValue::from_static("coord.*, task.get"));
        assert_eq!(
            asked_for(&headers, &setting).unwrap(),
            ["coord.*", "task.get"]
        );
        headers.insert(HEADER, HeaderValue::from_static(""));
        assert!(asked_for(&headers, &setting).unwrap().is_empty());
        headers.insert(HEADER, HeaderValue::from_static("task ready"));
        assert!(asked_for(&headers, &setting).is_err());
    }
}
