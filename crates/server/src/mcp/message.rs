//! What is looked at in a message before the protocol's own machinery sees it.
//!
//! rmcp answers a message that is no JSON-RPC with a bare HTTP error, takes every revision it knows,
//! and asks that `Accept` names two types although it sends one. Here such messages get errors of
//! JSON-RPC, other revisions are refused, and `Accept` is read as HTTP means it.

use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use rmcp::model::{ErrorCode, ErrorData};
use serde_json::{Map, Value, json};

use super::json_response;
use crate::http::body;

/// Revisions that are answered, oldest first. 2025-06-18 has the messages of 2025-11-25 as far as we
/// use them, and clients in the field still speak it.
pub(super) const ANSWERED: [&str; 3] = ["2025-06-18", "2025-11-25", "2026-07-28"];

const PROTOCOL_VERSION: &str = "mcp-protocol-version";
const BOTH: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");

/// The refusal of what is no single message of JSON-RPC, or names a revision that is not answered.
pub(super) fn fault(headers: &HeaderMap, bytes: &[u8]) -> Option<Response> {
    let message = match body::parse(bytes) {
        Ok(Value::Object(message)) => message,
        Ok(Value::Array(_)) => {
            return Some(refused(None, invalid("batches of messages are not taken")));
        }
        Ok(_) => return Some(refused(None, invalid("a message is an object"))),
        Err(error) => {
            let error = ErrorData::parse_error(error.message, None);
            return Some(refused(None, error));
        }
    };
    let id = message.get("id").filter(|id| is_id(id));
    check_shape(&message)
        .and_then(|()| check_revision(headers, &message))
        .err()
        .map(|error| refused(id, error))
}

/// Sets `Accept` to what rmcp asks for, when the sender takes a JSON answer.
pub(super) fn widen_accept(headers: &mut HeaderMap) {
    let mut values = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|part| part.trim().parse::<mime::Mime>().ok())
        .peekable();
    let takes_json = values.peek().is_none()
        || values.any(|kind| {
            let subtype = kind.subtype();
            match kind.type_() {
                mime::APPLICATION => subtype == mime::JSON || subtype == mime::STAR,
                mime::STAR => true,
                _ => false,
            }
        });
    if takes_json {
        headers.insert(ACCEPT, BOTH);
    }
}

fn check_shape(message: &Map<String, Value>) -> Result<(), ErrorData> {
    if message.get("jsonrpc") != Some(&json!("2.0")) {
        return Err(invalid("a message says \"jsonrpc\": \"2.0\""));
    }
    if message.get("id").is_some_and(|id| !is_id(id)) {
        return Err(invalid("an id is a text or a whole number"));
    }
    match message.get("method") {
        Some(Value::String(_)) => {}
        Some(_) => return Err(invalid("a method is a text")),
        None if message.contains_key("result") || message.contains_key("error") => {}
        None => return Err(invalid("a message has a method")),
    }
    match message.get("params") {
        None | Some(Value::Object(_)) => Ok(()),
        Some(_) => Err(ErrorData::invalid_params("params is an object", None)),
    }
}

/// The revision in the header; that in the body of a request is rmcp's to check.
fn check_revision(headers: &HeaderMap, message: &Map<String, Value>) -> Result<(), ErrorData> {
    let starts = message.get("method") == Some(&json!("initialize"));
    let in_body = message
        .get("params")
        .and_then(|params| params.get("_meta"))
        .and_then(|meta| meta.get("io.modelcontextprotocol/protocolVersion"));
    if starts || in_body.is_some() {
        return Ok(());
    }
    let Some(value) = headers.get(PROTOCOL_VERSION) else {
        return Ok(());
    };
    let requested = String::from_utf8_lossy(value.as_bytes());
    if ANSWERED.contains(&requested.as_ref()) {
        return Ok(());
    }
    Err(ErrorData::new(
        ErrorCode::UNSUPPORTED_PROTOCOL_VERSION,
        "Unsupported protocol version",
        Some(json!({ "requested": requested, "supported": ANSWERED })),
    ))
}

fn is_id(id: &Value) -> bool {
    id.is_string() || id.is_i64()
}

fn invalid(message: &'static str) -> ErrorData {
    ErrorData::invalid_request(message, None)
}

fn refused(id: Option<&Value>, error: ErrorData) -> Response {
    let mut answer = json!({ "jsonrpc": "2.0", "error": error });
    if let Some(id) = id {
        answer["id"] = id.clone();
    }
    json_response(StatusCode::BAD_REQUEST, answer.to_string().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn widened(accept: Option<&'static str>) -> Option<String> {
        let mut headers = HeaderMap::new();
        if let Some(accept) = accept {
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
        }
        widen_accept(&mut headers);
        let value = headers.get(ACCEPT)?;
        Some(value.to_str().unwrap().to_owned())
    }

    #[test]
    fn whoever_takes_json_is_answered() {
        let both = Some("application/json, text/event-stream".to_owned());
        for accept in [
            None,
            Some("*/*"),
            Some("application/json"),
            Some("application/*;q=0.5"),
            Some("text/event-stream, application/json"),
        ] {
            assert_eq!(widened(accept), both, "{accept:?}");
        }
        assert_eq!(widened(Some("text/html")).as_deref(), Some("text/html"));
    }

    #[test]
    fn only_single_messages_pass() {
        let headers = HeaderMap::new();
        let good = br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
        assert!(fault(&headers, good).is_none());
        let notice = br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        assert!(fault(&headers, notice).is_none());
        for bad in [
            "[]",
            "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}]",
            "1",
            "{",
            "",
            r#"{"id":1,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":1}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#,
        ] {
            let refused = fault(&headers, bad.as_bytes()).unwrap();
            assert_eq!(refused.status(), 400, "{bad}");
        }
    }
}
