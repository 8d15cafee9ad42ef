//! The failures of an operation, by HTTP status.

use std::collections::BTreeMap;

use alkhub_operations::{ErrorCode, OperationSpec, OperationType};
use serde_json::{Map, Value, json};

use super::schemas::{Components, ERROR, Side};

/// Status of a subscription asked for by somebody who cannot read a stream.
const NOT_ACCEPTABLE: u16 = 406;

/// The responses of an operation other than success. A status only the common failures have is a
/// reference; one the operation declares a failure for is written out.
pub(super) fn responses(spec: &OperationSpec, components: &mut Components) -> Map<String, Value> {
    let owner = spec.id().to_string();
    let mut declared: BTreeMap<u16, Vec<Failure>> = BTreeMap::new();
    for error in &spec.error_schemas {
        let status = error
            .http_status
            .unwrap_or_else(|| error.code.http_status());
        let details = components.adopt(
            error.schema.json(),
            &format!("{owner}.{}", error.code),
            Side::Output,
        );
        declared.entry(status).or_default().push(Failure {
            code: error.code.to_string(),
            description: error.description.clone(),
            details: says_something(&details).then_some(details),
        });
    }
    let mut common = common();
    if spec.kind != OperationType::Subscription {
        common.remove(&NOT_ACCEPTABLE);
    }
    let mut responses = Map::new();
    let statuses: std::collections::BTreeSet<u16> =
        common.keys().chain(declared.keys()).copied().collect();
    for status in statuses {
        let response = match declared.remove(&status) {
            None => json!({ "$ref": format!("#/components/responses/Error{status}") }),
            Some(mut failures) => {
                let others = common.remove(&status).unwrap_or_default();
                for other in others {
                    if failures.iter().all(|failure| failure.code != other.code) {
                        failures.push(other);
                    }
                }
                response(status, &failures)
            }
        };
        responses.insert(status.to_string(), response);
    }
    responses
}

/// The failures every operation can end with, as `components/responses`.
pub(super) fn common_responses() -> Value {
    common()
        .into_iter()
        .map(|(status, failures)| (format!("Error{status}"), response(status, &failures)))
        .collect::<Map<_, _>>()
        .into()
}

struct Failure {
    code: String,
    description: String,
    details: Option<Value>,
}

fn common() -> BTreeMap<u16, Vec<Failure>> {
    let codes = [
        (
            ErrorCode::VALIDATION_ERROR,
            "the input breaks the schema or a stated rule; `details.issues` names each place",
        ),
        (
            ErrorCode::UNAUTHENTICATED,
            "no key, or one that is not valid",
        ),
        (
            ErrorCode::ACCESS_DENIED,
            "the key lacks a scope or a resource; `details.missing`",
        ),
        (
            ErrorCode::ACCOUNT_INACTIVE,
            "the key's account is suspended or deactivated",
        ),
        (
            ErrorCode::OPERATION_NOT_FOUND,
            "no such operation, or none the caller may know of",
        ),
        (ErrorCode::ABORTED, "the call was aborted"),
        (
            ErrorCode::CONFLICT,
            "the request id belongs to another call, or its answer was not kept",
        ),
        (
            ErrorCode::PAYLOAD_TOO_LARGE,
            "the body is over its limit; `details.limit` in bytes",
        ),
        (
            ErrorCode::UNPROCESSABLE,
            "the request id was used with another input, or calls nest too deep",
        ),
        (
            ErrorCode::RATE_LIMITED,
            "a limit of rate or concurrency is reached; `details.retryAfterMs`",
        ),
        (
            ErrorCode::UNKNOWN_ERROR,
            "something unforeseen; `details.errorId` finds the log line",
        ),
        (
            ErrorCode::INTERRUPTED,
            "the hub ended while the call ran; its outcome is not known",
        ),
        (
            ErrorCode::RECORD_FAILED,
            "the call ran, its record could not be written",
        ),
        (
            ErrorCode::OUTPUT_INVALID,
            "the provider's output breaks its own schema",
        ),
        (
            ErrorCode::NO_PROVIDER,
            "no live provider offers the operation",
        ),
        (
            ErrorCode::UNAVAILABLE,
            "the hub cannot serve now: database away, disk full, or stopping",
        ),
        (ErrorCode::TIMEOUT, "the call's deadline passed"),
    ];
    let mut by_status: BTreeMap<u16, Vec<Failure>> = BTreeMap::new();
    for (code, description) in codes {
        by_status
            .entry(code.http_status())
            .or_default()
            .push(Failure {
                code: code.to_string(),
                description: description.to_owned(),
                details: None,
            });
    }
    // Refused by HTTP itself; the code is the one of bad input.
    for (status, description) in [
        (
            NOT_ACCEPTABLE,
            "a subscription was asked for without `Accept: text/event-stream`",
        ),
        (415, "the body is not `application/json`"),
    ] {
        by_status.entry(status).or_default().push(Failure {
            code: ErrorCode::VALIDATION_ERROR.to_string(),
            description: description.to_owned(),
            details: None,
        });
    }
    by_status
}

fn response(status: u16, failures: &[Failure]) -> Value {
    let description = failures
        .iter()
        .map(|failure| format!("`{}`: {}", failure.code, failure.description))
        .collect::<Vec<_>>()
        .join("\n\n");
    let plain: Vec<&str> = failures
        .iter()
        .filter(|failure| failure.details.is_none())
        .map(|failure| failure.code.as_str())
        .collect();
    let mut forms: Vec<Value> = failures
        .iter()
        .filter_map(|failure| {
            let details = failure.details.as_ref()?;
            Some(shape(json!({ "const": failure.code }), Some(details)))
        })
        .collect();
    if !plain.is_empty() {
        forms.push(shape(json!({ "enum": plain }), None));
    }
    let schema = match forms.len() {
        1 => forms.remove(0),
        _ => json!({ "anyOf": forms }),
    };
    let mut headers = json!({ "X-Request-Id": { "$ref": "#/components/headers/RequestId" } });
    if matches!(status, 429 | 503) {
        headers["Retry-After"] = json!({ "$ref": "#/components/headers/RetryAfter" });
    }
    json!({
        "description": description,
        "headers": headers,
        "content": { "application/json": { "schema": schema } },
    })
}

fn shape(code: Value, details: Option<&Value>) -> Value {
    let mut properties = json!({ "code": code });
    if let Some(details) = details {
        properties["details"] = details.clone();
    }
    json!({
        "allOf": [{ "$ref": format!("#/components/schemas/{ERROR}") }],
        "properties": properties,
    })
}

fn says_something(schema: &Value) -> bool {
    match schema {
        Value::Bool(accepts) => !accepts,
        Value::Object(members) => members.keys().any(|keyword| keyword != "title"),
        _ => false,
    }
}
