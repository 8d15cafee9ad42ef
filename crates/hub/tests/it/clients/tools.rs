//! An MCP server that does what tests need.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rmcp::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ErrorData, Implementation,
    ListToolsResult, PaginatedRequestParams, ProgressNotificationParam, ServerCapabilities,
    ServerConfig,
};
use rmcp::service::{Peer, RequestContext, RoleServer};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde_json::{Value, json};

/// A running server; it ends with the test.
pub(super) struct Tools {
    pub(super) url: String,
    pub(super) shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

/// What the server offers and what it notes.
#[derive(Default)]
pub(super) struct Shared {
    /// Tools in the order of the list, two a page.
    pub(super) tools: Mutex<Vec<Value>>,
    /// Parameters of the calls.
    pub(super) calls: Mutex<Vec<Value>>,
    /// Calls that were cancelled.
    pub(super) cancelled: AtomicUsize,
    /// Connections that asked for the tools.
    pub(super) peers: Mutex<Vec<Peer<RoleServer>>>,
}

#[derive(Clone)]
struct Handler(Arc<Shared>);

impl Tools {
    pub(super) async fn start(tools: Vec<Value>) -> Self {
        let shared = Arc::new(Shared::default());
        *shared.tools.lock().unwrap() = tools;
        let handler = Handler(Arc::clone(&shared));
        let service = StreamableHttpService::new(
            move || Ok(handler.clone()),
            Arc::new(LocalSessionManager::default()),
            StreamableHttpServerConfig::default(),
        );
        let router = axum::Router::new().fallback_service(service);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, shared, task }
    }

    /// Tells every connection that the tools changed.
    pub(super) async fn say_changed(&self) {
        let peers = self.shared.peers.lock().unwrap().clone();
        for peer in peers {
            // A connection that is over hears nothing.
            let told = peer.notify_tool_list_changed();
            let _ = tokio::time::timeout(Duration::from_secs(1), told).await;
        }
    }
}

impl Drop for Tools {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A tool with a description.
pub(super) fn tool(name: &str, description: &str) -> Value {
    json!({
        "name": name, "description": description,
        "inputSchema": { "type": "object", "properties": { "text": { "type": "string" } } },
    })
}

impl ServerHandler for Handler {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_tool_list_changed()
            .build();
        ServerConfig::new(capabilities).with_server_info(Implementation::new("files", "2.0.0"))
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        self.0.peers.lock().unwrap().push(context.peer);
        let tools = self.0.tools.lock().unwrap().clone();
        let from: usize = request
            .and_then(|request| request.cursor)
            .map_or(0, |cursor| cursor.parse().unwrap());
        let page: Vec<Value> = tools.iter().skip(from).take(2).cloned().collect();
        let mut result = json!({ "tools": page });
        if from + 2 < tools.len() {
            result["nextCursor"] = json!((from + 2).to_string());
        }
        Ok(serde_json::from_value(result).unwrap())
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let mut noted = json!(request);
        noted["_meta"] = json!(context.meta);
        self.0.calls.lock().unwrap().push(noted);
        let result = match request.name.as_ref() {
            "structured" => json!({
                "content": [{ "type": "text", "text": "{\"n\":1}" }], "structuredContent": { "n": 1 } }),
            "fail" => json!({ "isError": true, "content": [
                { "type": "text", "text": "one" }, { "type": "text", "text": "two" }] }),
            "bad" => return Err(ErrorData::invalid_params("text must be short", None)),
            "slow" => {
                if let Some(token) = context.meta.get_progress_token() {
                    let progress = ProgressNotificationParam::new(token, 1.0)
                        .with_total(2.0)
                        .with_message("half");
                    let _ = context.peer.notify_progress(progress).await;
                }
                tokio::select! {
                    () = context.ct.cancelled() => {
                        self.0.cancelled.fetch_add(1, Ordering::SeqCst);
                    }
                    () = tokio::time::sleep(Duration::from_secs(30)) => {}
                }
                json!({ "content": [] })
            }
            name if self
                .0
                .tools
                .lock()
                .unwrap()
                .iter()
                .any(|tool| tool["name"] == name) =>
            {
                let text = json!(request.arguments)["text"].clone();
                json!({ "content": [{ "type": "text", "text": text.as_str().unwrap_or_default() }] })
            }
            name => {
                return Err(ErrorData::invalid_params(
                    format!("Unknown tool: {name}"),
                    None,
                ));
            }
        };
        let result: CallToolResult = serde_json::from_value(result).unwrap();
        Ok(CallToolResponse::Complete(result))
    }
}
