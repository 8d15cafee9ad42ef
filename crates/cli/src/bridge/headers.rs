//! The headers that a message needs over HTTP and has no room for on a line.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");
const TOOLS: HeaderName = HeaderName::from_static("x-alkhub-tools");

/// The headers of a message, given the revision agreed on in a handshake, if there was one.
pub(super) fn of(message: &Value, agreed: Option<&str>, tools: Option<&str>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut put = |name: HeaderName, value: Option<&str>| {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(&encoded(value)).ok()) {
            headers.insert(name, value);
        }
    };
    put(TOOLS, tools);
    let method = message["method"].as_str();
    let params = &message["params"];
    let own = params["_meta"]["io.modelcontextprotocol/protocolVersion"].as_str();
    match own {
        Some(revision) => {
            put(PROTOCOL_VERSION, Some(revision));
            put(METHOD, method);
            put(NAME, params["name"].as_str().or(params["uri"].as_str()));
        }
        None if method != Some("initialize") => put(PROTOCOL_VERSION, agreed),
        None => {}
    }
    headers
}

/// What would not survive as a header travels as base64, as the protocol says.
fn encoded(value: &str) -> String {
    let plain = value
        .bytes()
        .all(|byte| byte.is_ascii_graphic() || byte == b' ')
        && value.trim() == value
        && !value.starts_with("=?base64?");
    if plain {
        value.to_owned()
    } else {
        format!("=?base64?{}?=", STANDARD.encode(value))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pairs(message: &Value, agreed: Option<&str>) -> Vec<(String, String)> {
        let mut pairs: Vec<_> = of(message, agreed, None)
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        pairs.sort();
        pairs
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn after_a_handshake_its_revision_is_named() {
        let list = json!({ "method": "tools/list", "params": {} });
        assert_eq!(
            pairs(&list, Some("2025-11-25")),
            [pair("mcp-protocol-version", "2025-11-25")]
        );
        let start = json!({ "method": "initialize", "params": {} });
        assert!(pairs(&start, Some("2025-11-25")).is_empty());
        assert!(pairs(&list, None).is_empty());
    }

    #[test]
    fn a_request_that_stands_alone_says_method_and_name() {
        let call = json!({
            "method": "tools/call",
            "params": {
                "name": "aufgabe über",
                "_meta": { "io.modelcontextprotocol/protocolVersion": "2026-07-28" }
            }
        });
        assert_eq!(
            pairs(&call, None),
            [
                pair("mcp-method", "tools/call"),
                pair("mcp-name", "=?base64?YXVmZ2FiZSDDvGJlcg==?="),
                pair("mcp-protocol-version", "2026-07-28"),
            ]
        );
    }

    #[test]
    fn chosen_tools_go_with_every_message() {
        let headers = of(&json!({ "method": "ping" }), None, Some("task.*"));
        assert_eq!(headers.get(TOOLS).unwrap(), "task.*");
    }
}
