//! The official client of the language, in both revisions.

use std::collections::HashSet;

use rmcp::model::{CallToolRequestParams, JsonObject, ProtocolVersion, ReadResourceRequestParams};
use rmcp::service::{ClientLifecycleMode, ClientServiceExt, RunningService};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{RoleClient, ServiceExt};
use serde_json::{Value, json};

use crate::support::Server;

fn transport(server: &Server) -> StreamableHttpClientTransport<reqwest::Client> {
    let config = StreamableHttpClientTransportConfig::with_uri(format!("{}/mcp", server.url))
        .auth_header(server.key.clone());
    StreamableHttpClientTransport::with_client(server.client.clone(), config)
}

fn arguments(value: Value) -> JsonObject {
    match value {
        Value::Object(members) => members,
        other => panic!("{other} is no object"),
    }
}

async fn walk(client: RunningService<RoleClient, ()>) {
    let tools = client.list_all_tools().await.unwrap();
    let names: HashSet<&str> = tools.iter().map(|tool| tool.name.as_ref()).collect();
    assert_eq!(names, HashSet::from(["list", "search", "schema", "call"]));

    let call = CallToolRequestParams::new("call").with_arguments(arguments(json!({
        "operation": "project.create",
        "input": { "name": "by client" }
    })));
    let made = client.call_tool(call).await.unwrap();
    let output = &made.structured_content.unwrap()["output"];
    assert_eq!(output["name"], "by client");

    let uri = format!("alkhub://project/{}", output["id"].as_str().unwrap());
    let read = client
        .read_resource(ReadResourceRequestParams::new(uri))
        .await
        .unwrap();
    assert_eq!(read.contents.len(), 1);
    client.cancel().await.unwrap();
}

#[tokio::test]
async fn client_walks_through_with_a_handshake() {
    let server = Server::start().await;
    walk(().serve(transport(&server)).await.unwrap()).await;
}

#[tokio::test]
async fn client_walks_through_without_a_handshake() {
    let server = Server::start().await;
    let lifecycle = ClientLifecycleMode::Discover {
        preferred_versions: vec![ProtocolVersion::V_2026_07_28],
    };
    let client = ().serve_with_lifecycle(transport(&server), lifecycle);
    walk(client.await.unwrap()).await;
}
