//! The Model Context Protocol: message by message, and as rmcp's client speaks it.

mod client;
mod listening;
mod protocol;
mod surfaces;
mod tools;

use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};

use crate::support::{Headers, Server};

/// The newest revision with a handshake.
const OLD: &str = "2025-11-25";
/// The revision whose requests stand alone.
const NEW: &str = "2026-07-28";

impl Server {
    /// `POST /mcp` without key, headers and body.
    fn mcp_bare(&self) -> RequestBuilder {
        self.client
            .post(format!("{}/mcp", self.url))
            .header("accept", "application/json, text/event-stream")
            .header("content-type", "application/json")
    }

    /// A request of the older revision.
    fn mcp(&self, method: &str, params: Value) -> RequestBuilder {
        self.mcp_with(&self.key, method, params)
    }

    fn mcp_with(&self, key: &str, method: &str, params: Value) -> RequestBuilder {
        self.mcp_bare()
            .bearer_auth(key)
            .header("mcp-protocol-version", OLD)
            .body(message(method, params).to_string())
    }

    /// A request of the newer revision, with its metadata and headers.
    fn mcp_new(&self, method: &str, mut params: Value) -> RequestBuilder {
        let name = params["name"].as_str().or(params["uri"].as_str());
        let mut request = self
            .mcp_bare()
            .bearer_auth(&self.key)
            .header("mcp-protocol-version", NEW)
            .header("mcp-method", method);
        if let Some(name) = name {
            request = request.header("mcp-name", name);
        }
        params["_meta"] = metadata();
        request.body(message(method, params).to_string())
    }

    /// The result of a tool.
    async fn tool(&self, name: &str, arguments: Value) -> Value {
        let request = self.mcp(
            "tools/call",
            json!({ "name": name, "arguments": arguments }),
        );
        result(request).await
    }
}

fn message(method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params })
}

/// What each request of the newer revision carries.
fn metadata() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": NEW,
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
    })
}

/// The result of a request that must succeed.
async fn result(request: RequestBuilder) -> Value {
    let (status, mut body, headers) = answer(request).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(headers.header("mcp-session-id"), None);
    assert_eq!(body["jsonrpc"], "2.0");
    assert_eq!(body["id"], 7, "{body}");
    assert!(body["result"].is_object(), "{body}");
    body["result"].take()
}

/// Status and error of a request that the protocol refuses.
async fn refused(request: RequestBuilder) -> (u16, Value) {
    let (status, mut body, _) = answer(request).await;
    assert!(body["error"]["code"].is_i64(), "{status} {body}");
    (status, body["error"].take())
}

async fn answer(request: RequestBuilder) -> (u16, Value, Headers) {
    let response: Response = request.send().await.unwrap();
    let headers = Headers::of(&response);
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    let body = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status} {text}"));
    (status, body, headers)
}
