//! What an operation answers with: its output, whether it streams, and its declared errors.

use serde_json::{Value, json};

use super::schemas::Schemas;
use super::{Part, cut, members};
use crate::adapters::http::{essence, is_json};
use crate::error::ErrorCode;
use crate::spec::ErrorDefinition;

/// Most declared errors of an operation.
const MOST_ERRORS: usize = 50;

/// The answers of an operation.
pub(super) struct Output {
    /// Schema of the output, converted, without definitions.
    pub(super) schema: Value,
    /// True when a successful answer is a stream of events.
    pub(super) streams: bool,
    /// Errors `HTTP_{status}`.
    pub(super) errors: Vec<ErrorDefinition>,
    /// Their statuses.
    pub(super) declared: Vec<u16>,
}

pub(super) fn read(part: &Part<'_>, schemas: &mut Schemas<'_>) -> Result<Output, String> {
    let mut output = Output {
        schema: json!({}),
        streams: false,
        errors: Vec::new(),
        declared: Vec::new(),
    };
    let mut successes = Vec::new();
    for (status, response) in members(part.operation.get("responses")) {
        let success = status.starts_with('2') && status.len() == 3;
        let failure: Option<u16> = status
            .parse()
            .ok()
            .filter(|status| (400..600).contains(status));
        if !success && failure.is_none() {
            continue;
        }
        let response = part.document.resolved(response)?;
        if success {
            let streams = stream_of(response).is_some();
            successes.push((response, streams));
        } else if let Some(status) = failure.filter(|_| output.errors.len() < MOST_ERRORS)
            && let Some(error) = error_of(status, response, schemas)?
        {
            output.errors.push(error);
            output.declared.push(status);
        }
    }
    output.streams = successes.iter().any(|(_, streams)| *streams);
    // Each declared success may come, so each must pass; of streams only the stream is read.
    let mut alternatives: Vec<Value> = Vec::new();
    let single = successes.len() == 1;
    for (response, streams) in successes {
        if output.streams && !streams {
            continue;
        }
        let schema = match members(response.get("content")).is_empty() {
            // Some services answer with a body all the same.
            true if single => json!({}),
            true => json!({ "type": "null" }),
            false => success_schema(response, streams, schemas)?,
        };
        if !alternatives.contains(&schema) {
            alternatives.push(schema);
        }
    }
    output.schema = match alternatives.len() {
        0 => json!({}),
        1 => alternatives.remove(0),
        _ if alternatives.contains(&json!({})) => json!({}),
        _ => json!({ "anyOf": alternatives }),
    };
    Ok(output)
}

fn success_schema(
    response: &Value,
    streams: bool,
    schemas: &mut Schemas<'_>,
) -> Result<Value, String> {
    let content = members(response.get("content"));
    let media = match streams {
        true => stream_of(response),
        // Of several types the service chooses; only JSON alone can be checked.
        false if content.keys().all(|media_type| is_json(media_type)) => content
            .get("application/json")
            .or_else(|| content.values().next())
            .copied(),
        false => None,
    };
    match media.and_then(|media| media.get("schema")) {
        Some(schema) => schemas.convert(schema),
        None => Ok(json!({})),
    }
}

fn stream_of(response: &Value) -> Option<&Value> {
    members(response.get("content"))
        .into_iter()
        .find(|(media_type, _)| essence(media_type) == "text/event-stream")
        .map(|(_, media)| media)
}

/// The declaration of a failure whose body has a schema.
fn error_of(
    status: u16,
    response: &Value,
    schemas: &mut Schemas<'_>,
) -> Result<Option<ErrorDefinition>, String> {
    let body = members(response.get("content"))
        .into_iter()
        .find(|(media_type, _)| is_json(media_type))
        .and_then(|(_, media)| media.get("schema"));
    let Some(body) = body else {
        return Ok(None);
    };
    let body = schemas.convert(body)?;
    // A body over the limit, or no JSON after all, is told as text.
    let details = json!({
        "type": "object",
        "properties": {
            "statusCode": { "const": status },
            "contentType": { "type": "string" },
            "body": { "anyOf": [body, { "type": ["string", "null"] }] },
            "retryAfterMs": { "type": "integer" },
        },
        "required": ["statusCode"],
    });
    let schema = schemas
        .with_definitions(details)
        .and_then(|schema| schemas.compiled(schema));
    let Ok(schema) = schema else {
        // Told as any other failure then, with its body.
        return Ok(None);
    };
    let text = response.get("description").and_then(Value::as_str);
    Ok(Some(ErrorDefinition {
        code: ErrorCode::other(format!("HTTP_{status}")),
        description: cut(text.unwrap_or_default(), 500),
        schema,
        http_status: Some(status),
    }))
}
