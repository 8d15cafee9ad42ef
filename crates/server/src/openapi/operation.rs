//! The path of one operation: how it is called, by `POST` and, for queries, by `GET`.

use alkhub_operations::OperationType;
use serde_json::{Map, Value, json};

use super::Described;
use super::schemas::{Components, META};

/// What a subscription answers.
const STREAM: &str = "A stream of events: `item` with an envelope as its data (`x-alkhub-item`) and its number as its id, \
then one of `end` with `{count}` and `error` with `{code, message, details?}`. The request says `Accept: text/event-stream`.";

/// Levels of alternatives looked into; a type that is an alternative of itself has no end.
const FORMS: u8 = 4;

/// The path item of an operation whose schemas are already at home in the document.
pub(super) fn path_item(
    operation: &Described<'_>,
    input: Value,
    data: Value,
    errors: Map<String, Value>,
    components: &Components,
) -> Value {
    let mut responses = Map::new();
    responses.insert("200".to_owned(), success(operation, data));
    responses.extend(errors);

    let mut item = Map::new();
    if operation.spec.kind != OperationType::Mutation {
        let mut get = common(operation);
        // The id of an operation in the document must be unique, so only `POST` carries it.
        get.insert(
            "parameters".to_owned(),
            query_parameters(&input, components).into(),
        );
        get.insert("responses".to_owned(), responses.clone().into());
        item.insert("get".to_owned(), get.into());
    }

    let mut post = common(operation);
    post.insert(
        "operationId".to_owned(),
        operation.spec.id().to_string().into(),
    );
    post.insert(
        "parameters".to_owned(),
        header_references(operation.spec.kind).into(),
    );
    post.insert(
        "requestBody".to_owned(),
        json!({
            "required": needs_input(&input, components),
            "content": { "application/json": { "schema": input } },
        }),
    );
    post.insert("responses".to_owned(), responses.into());
    item.insert("post".to_owned(), post.into());
    item.into()
}

/// The headers a call may carry, as `components/parameters`.
pub(super) fn header_parameters() -> Value {
    json!({
        "IdempotencyKey": {
            "name": "Idempotency-Key",
            "in": "header",
            "description": "8 to 128 visible ASCII characters. A call repeated with the same key and input is answered from the record and never runs twice.",
            "schema": { "type": "string", "minLength": 8, "maxLength": 128, "pattern": "^[\\x21-\\x7e]+$" },
        },
        "RequestId": {
            "name": "X-Request-Id",
            "in": "header",
            "description": "Id of the call. With `Idempotency-Key` it is not used.",
            "schema": { "type": "string", "format": "uuid" },
        },
        "Timeout": {
            "name": "X-Alkhub-Timeout-Ms",
            "in": "header",
            "description": "Milliseconds the call may take.",
            "schema": { "type": "integer", "minimum": 1 },
        },
    })
}

/// The headers of answers, as `components/headers`.
pub(super) fn answer_headers() -> Value {
    json!({
        "RequestId": {
            "description": "Id of the call; names it in the call records and the log.",
            "schema": { "type": "string" },
        },
        "Replayed": {
            "description": "`true` when the call had run before and this is its recorded answer.",
            "schema": { "type": "string", "enum": ["true"] },
        },
        "RetryAfter": {
            "description": "Seconds to wait before asking again.",
            "schema": { "type": "integer", "minimum": 1 },
        },
        "KeyRotated": {
            "description": "Id of the key that replaces the one this call was made with.",
            "schema": { "type": "string" },
        },
    })
}

fn common(operation: &Described<'_>) -> Map<String, Value> {
    let spec = operation.spec;
    let mut members = Map::new();
    if let Some(title) = &spec.title {
        members.insert("summary".to_owned(), title.clone().into());
    }
    members.insert("description".to_owned(), spec.description.clone().into());
    members.insert("tags".to_owned(), json!([spec.namespace.to_string()]));
    if operation.open {
        members.insert("security".to_owned(), json!([]));
    }
    members.insert("x-alkhub-type".to_owned(), json!(spec.kind));
    members.insert(
        "x-alkhub-scopes".to_owned(),
        json!(spec.access_control.required_scopes),
    );
    if !spec.access_control.required_scopes_any.is_empty() {
        members.insert(
            "x-alkhub-scopes-any".to_owned(),
            json!(spec.access_control.required_scopes_any),
        );
    }
    members.insert(
        "x-alkhub-version".to_owned(),
        spec.version.to_string().into(),
    );
    members
}

fn header_references(kind: OperationType) -> Vec<Value> {
    let mut names = vec!["RequestId", "Timeout"];
    if kind == OperationType::Mutation {
        names.insert(0, "IdempotencyKey");
    }
    names
        .into_iter()
        .map(|name| json!({ "$ref": format!("#/components/parameters/{name}") }))
        .collect()
}

/// One query parameter a top-level property: repeated for lists, JSON text for objects.
fn query_parameters(input: &Value, components: &Components) -> Vec<Value> {
    let schema = components.resolve(input);
    let required = required_names(schema);
    let Some(Value::Object(properties)) = schema.get("properties") else {
        return Vec::new();
    };
    properties
        .iter()
        .map(|(name, property)| {
            let mut parameter = json!({
                "name": name,
                "in": "query",
                "required": required.contains(&name.as_str()),
            });
            if let Some(description) = property.get("description") {
                parameter["description"] = description.clone();
            }
            if takes_object(property, components, FORMS) {
                parameter["content"] = json!({ "application/json": { "schema": property } });
            } else {
                parameter["schema"] = property.clone();
            }
            parameter
        })
        .collect()
}

/// Whether some form of the value is an object.
fn takes_object(schema: &Value, components: &Components, levels: u8) -> bool {
    let schema = components.resolve(schema);
    let named = match schema.get("type") {
        Some(Value::String(name)) => name == "object",
        Some(Value::Array(names)) => names.iter().any(|name| name == "object"),
        _ => false,
    };
    if named || levels == 0 {
        return named;
    }
    ["anyOf", "oneOf"].iter().any(|keyword| {
        matches!(schema.get(*keyword), Some(Value::Array(forms))
                if forms.iter().any(|form| takes_object(form, components, levels - 1)))
    })
}

fn needs_input(input: &Value, components: &Components) -> bool {
    !required_names(components.resolve(input)).is_empty()
}

fn required_names(schema: &Value) -> Vec<&str> {
    match schema.get("required") {
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn success(operation: &Described<'_>, data: Value) -> Value {
    let mut headers = json!({
        "X-Request-Id": { "$ref": "#/components/headers/RequestId" },
        "X-Alkhub-Key-Rotated": { "$ref": "#/components/headers/KeyRotated" },
    });
    if operation.spec.kind == OperationType::Mutation {
        headers["Idempotency-Replayed"] = json!({ "$ref": "#/components/headers/Replayed" });
    }
    let envelope = json!({
        "type": "object",
        "required": ["data", "meta"],
        "properties": {
            "data": data,
            "meta": { "$ref": format!("#/components/schemas/{META}") },
        },
    });
    if operation.spec.kind == OperationType::Subscription {
        return json!({
            "description": STREAM,
            "headers": headers,
            "content": {
                "text/event-stream": { "schema": { "type": "string" }, "x-alkhub-item": envelope },
            },
        });
    }
    json!({
        "description": "The call succeeded.",
        "headers": headers,
        "content": { "application/json": { "schema": envelope } },
    })
}
