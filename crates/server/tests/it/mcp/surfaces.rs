//! The same call over HTTP and over MCP.

use alkhub_storage::entity::call_graph_nodes::Model;
use alkhub_storage::{Database, DatabaseOptions, calls};
use serde_json::{Value, json};

use crate::support::{Server, refused};

#[tokio::test]
async fn case_222_one_call_over_http_and_mcp_is_the_same_call() {
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

    let database = database(&server).await;
    let good = [&by_http["meta"]["requestId"], &by_mcp["requestId"]];
    let bad = [
        &json!(headers.header("x-request-id")),
        &failed_mcp["requestId"],
    ];
    for ids in [good, bad] {
        let [http, mcp] = [node(&database, ids[0]).await, node(&database, ids[1]).await];
        assert_eq!(shape(&http), shape(&mcp));
    }
}

async fn database(server: &Server) -> Database {
    let file = server.data_dir.path().join("alkhub.db");
    let options = DatabaseOptions::new(format!("sqlite:{}", file.display()));
    Database::connect(&options).await.unwrap()
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
