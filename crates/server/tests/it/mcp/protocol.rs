//! Keys, revisions, headers and messages that are refused.

use reqwest::Method;
use serde_json::{Value, json};

use super::{NEW, OLD, answer, message, metadata, refused, result};
use crate::support::{self, Server};

#[tokio::test]
async fn case_h27_no_key_is_refused_before_any_message() {
    let server = Server::start().await;
    let ping = message("ping", json!({})).to_string();
    let requests = [
        server.mcp_bare().body(ping.clone()),
        server.mcp_bare().body("no json"),
        server
            .mcp_bare()
            .bearer_auth("alk_wrong")
            .body(ping.clone()),
        server
            .mcp_bare()
            .header("x-api-key", &server.key)
            .body(ping.clone()),
    ];
    for request in requests {
        let (status, body, headers) = support::refused(request).await;
        assert_eq!(status, 401);
        assert_eq!(body["code"], "UNAUTHENTICATED");
        let how = headers.header("www-authenticate");
        assert_eq!(how, Some("Bearer realm=\"alkhub\""));
    }
}

#[tokio::test]
async fn case_h27_foreign_origin_is_forbidden() {
    let server = Server::start().await;
    let foreign = server
        .mcp("ping", json!({}))
        .header("origin", "https://evil.example");
    let (status, body, _) = support::refused(foreign).await;
    assert_eq!(status, 403);
    assert_eq!(body["code"], "FORBIDDEN");
    let own = server.mcp("ping", json!({})).header("origin", &server.url);
    result(own).await;
    let rebound = server
        .mcp("ping", json!({}))
        .header("host", "rebound.example")
        .header("origin", "http://rebound.example");
    assert_eq!(support::refused(rebound).await.0, 403);
}

#[tokio::test]
async fn case_h27_nothing_to_get_and_no_session_to_delete() {
    let server = Server::start().await;
    for method in [Method::GET, Method::DELETE, Method::PUT, Method::OPTIONS] {
        let request = server
            .client
            .request(method.clone(), format!("{}/mcp", server.url))
            .bearer_auth(&server.key)
            .header("accept", "text/event-stream");
        let (status, _, headers) = support::refused(request).await;
        assert_eq!(status, 405, "{method}");
        assert_eq!(headers.header("allow"), Some("POST"));
    }
}

#[tokio::test]
async fn case_h27_older_revision_by_handshake() {
    let server = Server::start().await;
    let start = |version: &str| {
        let params = json!({
            "protocolVersion": version,
            "capabilities": {},
            "clientInfo": { "name": "test", "version": "1" }
        });
        server
            .mcp_bare()
            .bearer_auth(&server.key)
            .body(message("initialize", params).to_string())
    };
    let answered = result(start(OLD)).await;
    assert_eq!(answered["protocolVersion"], OLD);
    assert_eq!(answered["serverInfo"]["name"], "alkhub");
    assert_eq!(answered["capabilities"]["tools"], json!({}));
    assert!(answered["capabilities"]["resources"].is_object());
    assert!(answered.get("resultType").is_none());
    // Clients that still speak the revision before are understood, all others are offered ours.
    assert_eq!(
        result(start("2025-06-18")).await["protocolVersion"],
        "2025-06-18"
    );
    assert_eq!(result(start("1999-01-01")).await["protocolVersion"], OLD);
    assert_eq!(result(start(NEW)).await["protocolVersion"], OLD);

    let notice = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    let told = server
        .mcp_bare()
        .bearer_auth(&server.key)
        .header("mcp-protocol-version", OLD)
        .body(notice.to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(told.status(), 202);
    assert_eq!(result(server.mcp("ping", json!({}))).await, json!({}));
    let listed = result(server.mcp("tools/list", json!({}))).await;
    assert!(listed.get("resultType").is_none(), "{listed}");
    assert_eq!(names(&listed), ["list", "search", "schema", "call"]);
}

#[tokio::test]
async fn case_h27_newer_revision_by_each_request() {
    let server = Server::start().await;
    let found = result(server.mcp_new("server/discover", json!({}))).await;
    assert_eq!(found["resultType"], "complete");
    assert_eq!(found["ttlMs"], 60_000);
    assert_eq!(found["cacheScope"], "private");
    let versions = found["supportedVersions"].as_array().unwrap();
    assert!(versions.contains(&json!(OLD)) && versions.contains(&json!(NEW)));
    assert_eq!(found["capabilities"]["tools"]["listChanged"], true);

    let listed = result(server.mcp_new("tools/list", json!({}))).await;
    assert_eq!(names(&listed), ["list", "search", "schema", "call"]);
    assert_eq!(listed["resultType"], "complete");
    assert_eq!(listed["ttlMs"], 60_000);
    assert_eq!(listed["cacheScope"], "private");

    let called = json!({ "name": "search", "arguments": { "query": "task" } });
    let called = result(server.mcp_new("tools/call", called)).await;
    assert_eq!(called["resultType"], "complete");
    for answered in [&found, &listed, &called] {
        let server = &answered["_meta"]["io.modelcontextprotocol/serverInfo"];
        assert_eq!(server["name"], "alkhub", "{answered}");
    }
    let (status, error) = refused(server.mcp_new("ping", json!({}))).await;
    assert_eq!((status, &error["code"]), (404, &json!(-32601)));
}

#[tokio::test]
async fn case_h27_unsupported_revisions_are_named() {
    let server = Server::start().await;
    for version in ["2024-11-05", "2025-03-26", "1999-01-01", "x"] {
        let old = server
            .mcp_bare()
            .bearer_auth(&server.key)
            .header("mcp-protocol-version", version)
            .body(message("tools/list", json!({})).to_string());
        let (status, error) = refused(old).await;
        assert_eq!(status, 400, "{version}");
        assert_eq!(error["data"]["requested"], version);
    }
    let mut params = json!({ "_meta": metadata() });
    params["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2031-01-01");
    let new = server
        .mcp_bare()
        .bearer_auth(&server.key)
        .header("mcp-protocol-version", "2031-01-01")
        .header("mcp-method", "tools/list")
        .body(message("tools/list", params).to_string());
    let (status, error) = refused(new).await;
    assert_eq!((status, &error["code"]), (400, &json!(-32022)));
    assert_eq!(error["data"]["requested"], "2031-01-01");
    let supported = error["data"]["supported"].as_array().unwrap();
    assert!(supported.contains(&json!(OLD)) && supported.contains(&json!(NEW)));
}

#[tokio::test]
async fn case_h27_headers_that_contradict_the_body_are_refused() {
    let server = Server::start().await;
    let params = json!({ "name": "list", "arguments": {}, "_meta": metadata() });
    let body = message("tools/call", params).to_string();
    let headers: [&[(&str, &str)]; 5] = [
        &[("mcp-method", "tools/list"), ("mcp-name", "list")],
        &[("mcp-method", "tools/call"), ("mcp-name", "call")],
        &[("mcp-method", "tools/call")],
        &[("mcp-name", "list")],
        &[],
    ];
    for pairs in headers {
        let mut request = server
            .mcp_bare()
            .bearer_auth(&server.key)
            .header("mcp-protocol-version", NEW)
            .body(body.clone());
        for (name, value) in pairs {
            request = request.header(*name, *value);
        }
        let (status, error) = refused(request).await;
        assert_eq!((status, &error["code"]), (400, &json!(-32020)), "{pairs:?}");
    }
    let other_version = server
        .mcp_bare()
        .bearer_auth(&server.key)
        .header("mcp-protocol-version", OLD)
        .header("mcp-method", "tools/call")
        .header("mcp-name", "list")
        .body(body);
    let (status, error) = refused(other_version).await;
    assert_eq!((status, &error["code"]), (400, &json!(-32020)));
}

#[tokio::test]
async fn metadata_that_is_missing_is_a_bad_parameter() {
    let server = Server::start().await;
    let mut params = json!({ "_meta": metadata() });
    let meta = params["_meta"].as_object_mut().unwrap();
    meta.remove("io.modelcontextprotocol/clientCapabilities");
    let request = server
        .mcp_bare()
        .bearer_auth(&server.key)
        .header("mcp-protocol-version", NEW)
        .header("mcp-method", "tools/list")
        .body(message("tools/list", params).to_string());
    let (status, error) = refused(request).await;
    assert_eq!((status, &error["code"]), (400, &json!(-32602)));
}

#[tokio::test]
async fn messages_that_are_none_are_refused() {
    let server = Server::start().await;
    let send = |body: &str| {
        server
            .mcp_bare()
            .bearer_auth(&server.key)
            .body(body.to_owned())
    };
    let ping = message("ping", json!({}));
    let batch = json!([ping, ping]).to_string();
    for (body, code) in [
        ("{", -32700),
        ("[]", -32600),
        (batch.as_str(), -32600),
        ("{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"ping\"}", -32600),
        (
            "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":3}",
            -32602,
        ),
    ] {
        let (status, error) = refused(send(body)).await;
        assert_eq!((status, &error["code"]), (400, &json!(code)), "{body}");
    }
    let (_, error) = refused(server.mcp("no/such", json!({}))).await;
    assert_eq!(error["code"], -32601);
    let (_, error) = refused(server.mcp("tools/call", json!({ "arguments": {} }))).await;
    assert_eq!(error["code"], -32602);
    let (_, error) = refused(server.mcp("tools/call", json!({ "name": "none" }))).await;
    assert_eq!(error["code"], -32602);
}

#[tokio::test]
async fn content_type_size_and_accept_are_looked_at() {
    let server = Server::start().await;
    let ping = message("ping", json!({})).to_string();
    let bare = || {
        server
            .client
            .post(format!("{}/mcp", server.url))
            .bearer_auth(&server.key)
    };
    let (status, ..) = support::refused(bare().body(ping.clone())).await;
    assert_eq!(status, 415);
    let html = bare()
        .header("content-type", "application/json")
        .header("accept", "text/html")
        .body(ping.clone());
    assert_eq!(support::refused(html).await.0, 406);
    let any = bare()
        .header("content-type", "application/json")
        .header("accept", "*/*")
        .body(ping);
    assert_eq!(answer(any).await.0, 200);
    let long = message("ping", json!({ "x": "a".repeat(4 << 20) })).to_string();
    let (status, body, _) =
        support::refused(server.mcp_bare().bearer_auth(&server.key).body(long)).await;
    assert_eq!(status, 413);
    assert_eq!(body["details"]["limit"], 4 << 20);
}

#[tokio::test]
async fn switched_off_it_is_not_there() {
    let server = Server::with(&[("mcp.enabled", "false")]).await;
    let (status, ..) = support::refused(server.mcp("ping", json!({}))).await;
    assert_eq!(status, 404);
    let get = server.get("/mcp");
    assert_eq!(support::refused(get).await.0, 404);
    let info = server.call("hub.info", json!({})).await;
    assert_eq!(info["protocol"]["mcp"], json!([]));
}

#[tokio::test]
async fn hub_info_names_both_revisions() {
    let server = Server::start().await;
    let info = server.call("hub.info", json!({})).await;
    assert_eq!(info["protocol"]["mcp"], json!([OLD, NEW]));
    assert!(info["features"].as_array().unwrap().contains(&json!("mcp")));
}

fn names(listed: &Value) -> Vec<&str> {
    let tools = listed["tools"].as_array().unwrap();
    tools
        .iter()
        .map(|tool| tool["name"].as_str().unwrap())
        .collect()
}
