//! The same call over HTTP, over MCP and over a socket.

use alkhub_storage::entity::call_graph_nodes::Model;
use alkhub_storage::{Database, calls};
use serde_json::{Value, json};

use crate::socket::peer::Peer;
use crate::support::{Server, refused};

#[tokio::test]
async fn case_222_one_call_over_http_mcp_and_a_socket_is_the_same_call() {
    let server = Server::start().await;
    let project = server
        .call("project.create", json!({ "name": "same" }))
        .await;
    let input = json!({ "id": project["id"] });

    let response = server.post("project.get", &input).send().await.unwrap();
    let by_http: Value = response.json().await.unwrap();
    let by_mcp = server
        .tool(
            "call",
            json!({ "operation": "project.get", "input": input }),
        )
        .await;
    let by_mcp = &by_mcp["structuredContent"];
    assert_eq!(by_http["data"], by_mcp["output"]);
    let mut peer = Peer::connect(&server).await;
    let by_socket = peer.request("project.get", input).await;
    assert_eq!(peer.end_of(&by_socket).await.unwrap(), by_http["data"]);

    let wrong = json!({ "id": "none" });
    let (_, failed_http, headers) = refused(server.post("project.get", &wrong)).await;
    let failed_mcp = server
        .tool(
            "call",
            json!({ "operation": "project.get", "input": wrong }),
        )
        .await;
    let failed_mcp = &failed_mcp["structuredContent"];
    assert_eq!(failed_http, failed_mcp["error"]);
    let failed_socket = peer.request("project.get", wrong).await;
    let mut error = peer.end_of(&failed_socket).await.unwrap_err();
    error.as_object_mut().unwrap().remove("requestId");
    assert_eq!(error, failed_http);

    let database = server.database().await;
    let good = [
        &by_http["meta"]["requestId"],
        &by_mcp["requestId"],
        &json!(by_socket),
    ];
    let bad = [
        &json!(headers.header("x-request-id")),
        &failed_mcp["requestId"],
        &json!(failed_socket),
    ];
    for [http, mcp, socket] in [good, bad] {
        let http = shape(&node(&database, http).await);
        assert_eq!(http, shape(&node(&database, mcp).await));
        assert_eq!(http, shape(&node(&database, socket).await));
    }
}

async fn node(database: &Database, request_id: &Value) -> Model {
    let id = request_id.as_str().unwrap();
    calls::recorded_call(database.reader(), id)
        .await
        .unwrap()
        .unwrap_or_else(|| panic!("no record of {id}"))
}

/// What two records of the same call have in common.
fn shape(node: &Model) -> Value {
    let notes: Vec<&String> = node.metadata.0.keys().collect();
    json!({
        "operation": node.operation_id,
        "parent": node.parent_request_id,
        "identity": node.identity,
        "account": node.caller_account_id,
        "status": node.status,
        "input": node.input,
        "output": node.output,
        "error": node.error,
        "started": node.started_at.is_some(),
        "completed": node.completed_at.is_some(),
        "notes": notes,
    })
}
