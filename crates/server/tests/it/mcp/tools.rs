//! The four tools, chosen operations as tools of their own, and what can be read.

use serde_json::{Value, json};

use super::{refused, result};
use crate::support::Server;

fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap()
}

fn names(operations: &Value) -> Vec<&str> {
    let operations = operations.as_array().unwrap();
    operations
        .iter()
        .map(|operation| operation["name"].as_str().unwrap())
        .collect()
}

async fn key(server: &Server, scopes: &[&str]) -> String {
    let made = server
        .call("key.create", json!({ "name": "narrow", "scopes": scopes }))
        .await;
    made["key"].as_str().unwrap().to_owned()
}

async fn project(server: &Server, name: &str) -> String {
    let project = server.call("project.create", json!({ "name": name })).await;
    project["id"].as_str().unwrap().to_owned()
}

async fn tools_of(server: &Server, chosen: &str) -> Value {
    let request = server
        .mcp("tools/list", json!({}))
        .header("x-alkhub-tools", chosen);
    result(request).await["tools"].take()
}

#[tokio::test]
async fn case_h28_lists_of_two_keys_differ_and_each_is_sorted_and_stable() {
    let server = Server::start().await;
    let narrow = key(&server, &["task:read"]).await;
    let list = async |key: &str| {
        let params = json!({ "name": "list", "arguments": { "limit": 200 } });
        result(server.mcp_with(key, "tools/call", params)).await["structuredContent"].take()
    };
    let (wide, few) = (list(&server.key).await, list(&narrow).await);
    let (all, some) = (names(&wide["operations"]), names(&few["operations"]));
    assert!(all.len() > some.len());
    assert!(some.contains(&"task.get") && !some.contains(&"task.create"));
    for names in [&all, &some] {
        assert!(names.is_sorted(), "{names:?}");
    }
    assert_eq!(list(&server.key).await, wide);
    let counted: u64 = few["namespaces"]
        .as_array()
        .unwrap()
        .iter()
        .map(|namespace| namespace["count"].as_u64().unwrap())
        .sum();
    assert_eq!(usize::try_from(counted).unwrap(), some.len());
}

#[tokio::test]
async fn list_has_pages_and_filters() {
    let server = Server::start().await;
    let first = server.tool("list", json!({ "limit": 3 })).await;
    let first = &first["structuredContent"];
    assert_eq!(names(&first["operations"]).len(), 3);
    let next = server
        .tool("list", json!({ "limit": 3, "cursor": first["nextCursor"] }))
        .await;
    let next = &next["structuredContent"];
    assert!(names(&next["operations"])[0] > names(&first["operations"])[2]);
    let tasks = server
        .tool("list", json!({ "namespace": "task", "type": "query" }))
        .await;
    let tasks = &tasks["structuredContent"]["operations"];
    for task in tasks.as_array().unwrap() {
        assert!(task["name"].as_str().unwrap().starts_with("task."));
        assert_eq!(task["type"], "query");
        assert!(!task["description"].as_str().unwrap().is_empty());
        assert!(task.get("version").is_none());
    }
    let (_, error) = refused(server.mcp(
        "tools/call",
        json!({ "name": "list", "arguments": { "limit": 201 } }),
    ))
    .await;
    assert_eq!(error["code"], -32602);
}

#[tokio::test]
async fn search_finds_by_words_best_first() {
    let server = Server::start().await;
    let found = server
        .tool("search", json!({ "query": "task ready", "limit": 3 }))
        .await;
    let found = &found["structuredContent"]["operations"];
    assert_eq!(found[0]["name"], "task.ready");
    assert_eq!(found.as_array().unwrap().len(), 3);
    let scores: Vec<f64> = found
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["score"].as_f64().unwrap())
        .collect();
    assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
    let keys = server
        .tool("search", json!({ "query": "create", "namespace": "key" }))
        .await;
    assert_eq!(
        names(&keys["structuredContent"]["operations"])[0],
        "key.create"
    );
}

#[tokio::test]
async fn schema_tells_what_is_there_and_what_is_missing() {
    let server = Server::start().await;
    let told = server
        .tool(
            "schema",
            json!({ "names": ["task.create", "no.such", "task.get"] }),
        )
        .await;
    let told = &told["structuredContent"];
    assert_eq!(told["missing"], json!(["no.such"]));
    assert_eq!(names(&told["operations"]), ["task.create", "task.get"]);
    let create = &told["operations"][0];
    assert_eq!(create["type"], "mutation");
    assert_eq!(create["idempotent"], false);
    assert!(create["inputSchema"]["properties"]["name"].is_object());
    assert!(create["outputSchema"].is_object());
    assert!(create["errors"].is_array());
    assert_eq!(told["operations"][1]["idempotent"], true);
    let none = server.tool("schema", json!({ "name": "no.such" })).await;
    assert_eq!(
        none["structuredContent"],
        json!({ "operations": [], "missing": ["no.such"] })
    );
    let (_, error) = refused(server.mcp("tools/call", json!({ "name": "schema" }))).await;
    assert_eq!(error["code"], -32602);
}

#[tokio::test]
async fn call_runs_an_operation_and_gives_its_output() {
    let server = Server::start().await;
    let made = server
        .tool(
            "call",
            json!({ "operation": "project.create", "input": { "name": "demo" } }),
        )
        .await;
    assert_eq!(made["isError"], false);
    let structured = &made["structuredContent"];
    assert_eq!(structured["output"]["name"], "demo");
    assert!(structured["requestId"].is_string());
    let as_text: Value = serde_json::from_str(text(&made)).unwrap();
    assert_eq!(&as_text, structured);
}

#[tokio::test]
async fn failures_say_code_message_and_request() {
    let server = Server::start().await;
    for (call, code) in [
        (
            json!({ "operation": "task.get", "input": { "id": "none" } }),
            "NOT_FOUND",
        ),
        (json!({ "operation": "no.such" }), "OPERATION_NOT_FOUND"),
        (
            json!({ "operation": "task.get", "input": { "nonsense": 1 } }),
            "VALIDATION_ERROR",
        ),
    ] {
        let failed = server.tool("call", call).await;
        assert_eq!(failed["isError"], true);
        let told = &failed["structuredContent"];
        assert_eq!(told["error"]["code"], code);
        assert!(told["requestId"].is_string());
        let message = told["error"]["message"].as_str().unwrap();
        assert_eq!(text(&failed), format!("{code}: {message}"));
    }
    let narrow = key(&server, &["task:read"]).await;
    let params = json!({
        "name": "call",
        "arguments": { "operation": "task.create", "input": {} }
    });
    let denied = result(server.mcp_with(&narrow, "tools/call", params)).await;
    assert_eq!(
        denied["structuredContent"]["error"]["code"],
        "ACCESS_DENIED"
    );
}

#[tokio::test]
async fn several_calls_run_at_once_and_are_answered_in_order() {
    let server = Server::start().await;
    let answered = server
        .tool(
            "call",
            json!({ "calls": [
                { "operation": "hub.info" },
                { "operation": "no.such", "input": {} },
                { "operation": "project.create", "input": { "name": "one" } }
            ] }),
        )
        .await;
    assert_eq!(answered["isError"], false);
    let results = &answered["structuredContent"]["results"];
    assert!(results[0]["output"]["version"].is_string());
    assert_eq!(results[1]["error"]["code"], "OPERATION_NOT_FOUND");
    assert!(results[1]["requestId"].is_string());
    assert_eq!(results[2]["output"]["name"], "one");
    for bad in [
        json!({ "calls": [] }),
        json!({ "calls": vec![json!({ "operation": "hub.info" }); 21] }),
        json!({ "calls": [{ "operation": "hub.info" }], "operation": "hub.info" }),
        json!({ "calls": [{ "operation": "hub.info" }], "idempotencyKey": "12345678" }),
        json!({}),
        json!({ "operation": "hub.info", "timeoutMs": 0 }),
    ] {
        let request = server.mcp("tools/call", json!({ "name": "call", "arguments": bad }));
        assert_eq!(refused(request).await.1["code"], -32602, "{bad}");
    }
}

#[tokio::test]
async fn an_idempotency_key_never_runs_twice() {
    let server = Server::start().await;
    let call = json!({
        "operation": "project.create",
        "input": { "name": "once" },
        "idempotencyKey": "once-only-1"
    });
    let (first, second) = (
        server.tool("call", call.clone()).await,
        server.tool("call", call).await,
    );
    assert_eq!(first["structuredContent"], second["structuredContent"]);
}

#[tokio::test]
async fn of_a_subscription_the_first_items_are_read() {
    let server = Server::with(&[("mcp.maxItems", "2")]).await;
    let project = project(&server, "watched").await;
    let started = std::time::Instant::now();
    let nothing = server
        .tool(
            "call",
            json!({
                "operation": "task.watch",
                "input": { "projectId": project },
                "maxMs": 200
            }),
        )
        .await;
    let nothing = &nothing["structuredContent"];
    assert_eq!(
        (&nothing["items"], &nothing["ended"]),
        (&json!([]), &json!(false))
    );
    assert!(nothing["requestId"].is_string());
    assert!(started.elapsed() < std::time::Duration::from_secs(5));

    let watch = server.tool(
        "call",
        json!({
            "operation": "task.watch",
            "input": { "projectId": project },
            "maxItems": 10
        }),
    );
    let make = async {
        for number in 0..20 {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            let input = json!({ "projectId": project, "name": format!("task {number}") });
            server.call("task.create", input).await;
        }
    };
    let read = tokio::select! {
        read = watch => read,
        () = make => panic!("the subscription gave nothing"),
    };
    let items = read["structuredContent"]["items"].as_array().unwrap();
    assert_eq!(items.len(), 2, "the setting is the most there is");
    assert_eq!(items[0]["change"], "created");
}

#[tokio::test]
async fn chosen_operations_are_tools_with_their_own_schemas() {
    let server = Server::with(&[("mcp.tools", "task.get,task.delete,task.ready")]).await;
    let listed = result(server.mcp("tools/list", json!({}))).await;
    let tools = listed["tools"].as_array().unwrap();
    let names = names(&listed["tools"]);
    assert_eq!(
        names,
        [
            "list",
            "search",
            "schema",
            "call",
            "task_delete",
            "task_get",
            "task_ready"
        ]
    );
    let (delete, get) = (&tools[4], &tools[5]);
    assert_eq!(get["annotations"], json!({ "readOnlyHint": true }));
    assert_eq!(delete["annotations"]["destructiveHint"], true);
    assert_eq!(get["inputSchema"]["type"], "object");
    assert!(get["inputSchema"]["properties"]["id"].is_object());
    assert_eq!(get["outputSchema"]["type"], "object");

    let project = project(&server, "demo").await;
    let made = server
        .call(
            "task.create",
            json!({ "projectId": project, "name": "own" }),
        )
        .await;
    let got = server.tool("task_get", json!({ "id": made["id"] })).await;
    assert_eq!(got["structuredContent"]["name"], "own");
    assert_eq!(got["_meta"]["operationId"], "task.get");
    assert!(got["_meta"]["requestId"].is_string(), "{got}");
    let failed = server.tool("task_get", json!({ "id": "none" })).await;
    assert_eq!(failed["isError"], true);
    assert!(text(&failed).starts_with("NOT_FOUND: "));
    assert_eq!(failed["_meta"]["error"]["code"], "NOT_FOUND");
    assert!(failed.get("structuredContent").is_none());
}

#[tokio::test]
async fn case_177_output_that_is_no_object_is_wrapped_as_its_schema_says() {
    let server = Server::start().await;
    let tools = tools_of(&server, "operation.search").await;
    let schema = &tools[4]["outputSchema"];
    assert_eq!(schema["properties"]["value"]["type"], "array", "{schema}");
    let request = server
        .mcp(
            "tools/call",
            json!({ "name": "operation_search", "arguments": { "query": "task" } }),
        )
        .header("x-alkhub-tools", "operation.search");
    let found = result(request).await;
    assert!(found["structuredContent"]["value"].is_array());
}

#[tokio::test]
async fn the_header_chooses_in_the_place_of_the_setting_and_within_the_key() {
    let server = Server::with(&[("mcp.tools", "task.get")]).await;
    assert_eq!(names(&tools_of(&server, "").await).len(), 4);
    let chosen = tools_of(&server, "key.*, no.such").await;
    let chosen = names(&chosen);
    assert!(chosen.contains(&"key_create") && !chosen.contains(&"task_get"));
    let narrow = key(&server, &["task:read"]).await;
    let request = server
        .mcp_with(&narrow, "tools/list", json!({}))
        .header("x-alkhub-tools", "key.*,task.*");
    let seen = result(request).await;
    let seen = names(&seen["tools"]);
    assert!(seen.contains(&"task_get") && !seen.contains(&"task_delete"));
    let faulty = server
        .mcp("tools/list", json!({}))
        .header("x-alkhub-tools", "task ready");
    assert_eq!(crate::support::refused(faulty).await.0, 400);
}

#[tokio::test]
async fn case_h29_more_than_40_chosen_operations_are_a_configuration_error() {
    let server = Server::start().await;
    let request = server
        .mcp("tools/list", json!({}))
        .header("x-alkhub-tools", "*.*,*.*.*");
    let (_, error) = refused(request).await;
    assert_eq!(error["code"], -32602);
    assert_eq!(error["data"]["rule"], "too_many_tools");
    assert!(error["data"]["found"].as_u64().unwrap() > 40);

    let data_dir = tempfile::tempdir().unwrap();
    let config = crate::support::settings_for(data_dir.path(), &[("mcp.tools", "*")]);
    let ended = alkhub_server::run(alkhub_server::ServeOptions {
        config: std::sync::Arc::new(config),
        announce: Box::new(|_| panic!("it must not start")),
    })
    .await
    .unwrap_err();
    assert_eq!(ended.exit_code(), 2);
    assert!(ended.to_string().contains("mcp.tools"), "{ended}");
}

#[tokio::test]
async fn tasks_and_projects_are_read_as_markdown() {
    let server = Server::start().await;
    let project = project(&server, "readable").await;
    let input = json!({ "projectId": project, "name": "Write it", "body": "All of it." });
    let task = server.call("task.create", input).await;
    let templates = result(server.mcp("resources/templates/list", json!({}))).await;
    let templates = templates["resourceTemplates"].as_array().unwrap();
    assert_eq!(templates[0]["uriTemplate"], "alkhub://task/{id}");
    let listed = result(server.mcp("resources/list", json!({}))).await;
    let uri = format!("alkhub://project/{project}");
    assert_eq!(listed["resources"][0]["uri"], uri);
    assert_eq!(listed["resources"][0]["name"], "readable");

    let page = result(server.mcp("resources/read", json!({ "uri": uri }))).await;
    let page = page["contents"][0]["text"].as_str().unwrap();
    assert!(
        page.starts_with("# readable\n") && page.contains("- Tasks: 1\n"),
        "{page}"
    );
    let uri = format!("alkhub://task/{}", task["id"].as_str().unwrap());
    let read = result(server.mcp_new("resources/read", json!({ "uri": uri }))).await;
    assert_eq!(read["contents"][0]["mimeType"], "text/markdown");
    assert_eq!(read["cacheScope"], "private");
    let page = read["contents"][0]["text"].as_str().unwrap();
    assert!(
        page.starts_with("# Write it\n") && page.ends_with("\nAll of it.\n"),
        "{page}"
    );

    let none = json!({ "uri": "alkhub://task/none" });
    let (_, error) = refused(server.mcp("resources/read", none.clone())).await;
    assert_eq!(error["code"], -32002);
    let (_, error) = refused(server.mcp_new("resources/read", none)).await;
    assert_eq!(error["code"], -32602);
}
