//! MCP servers as the hub's providers: one connection a server, made when it is needed.

mod listener;

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use alkhub_operations::adapters::http::{Fault, RESPONSE_BYTES};
use alkhub_operations::adapters::mcp::{MOST_TOOLS, ServerInfo, rpc_failure, tool_answer};
use alkhub_operations::{
    AnyHandler, CallError, Context, ErrorCode, Handler, JsonObject, OperationId, Reply,
};
use alkhub_storage::ids::ClientId;
use async_trait::async_trait;
use ipnet::IpNet;
use reqwest::header::{HeaderName, HeaderValue};
use rmcp::ServiceError;
use rmcp::model::{
    CallToolRequest, CallToolRequestParams, CancelledNotificationParam, ClientRequest,
    ListToolsRequest, PaginatedRequestParams, ProtocolVersion, RequestId, RequestMetaObject,
};
use rmcp::service::{
    ClientInitializeError, ClientLifecycleMode, ClientServiceExt as _, Peer, PeerRequestOptions,
    RoleClient, RunningService,
};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use serde_json::{Value, json};
use tokio::process::{Child, Command};
use tokio::sync::Mutex;

use super::secrets::secret_of;
use super::services::{Services, blocked_error, failed};
use super::types::{McpServer, Transport, service_url};
use listener::{Listener, listen_to_changes};

/// Longest time until a server is ready.
const READY: Duration = Duration::from_secs(30);
/// Most pages of a list of tools.
const MOST_PAGES: usize = 500;
/// Variables a server that is a program inherits; everything else it is given by its configuration.
const INHERITED: [&str; 9] = [
    "PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "USER", "SHELL",
];

/// An MCP server and the connection to it.
pub(crate) struct Server {
    pub(super) client: ClientId,
    /// Name of the client.
    pub(super) name: String,
    pub(super) config: McpServer,
    services: Weak<Services>,
    connected: Mutex<Option<Connected>>,
    /// True while the tools are read anew because the server said that they changed.
    refreshing: AtomicBool,
}

struct Connected {
    service: RunningService<RoleClient, Listener>,
    listener: Listener,
    info: ServerInfo,
    /// What was allowed when the connection was made.
    networks: Vec<IpNet>,
    /// The server's program, ended when this is dropped.
    _program: Option<Child>,
}

/// A connection that can be used now.
struct Line {
    peer: Peer<RoleClient>,
    listener: Listener,
    info: ServerInfo,
}

impl Server {
    pub(super) fn new(
        client: ClientId,
        name: String,
        config: McpServer,
        services: &Arc<Services>,
    ) -> Self {
        Self {
            client,
            name,
            config,
            services: Arc::downgrade(services),
            connected: Mutex::new(None),
            refreshing: AtomicBool::new(false),
        }
    }

    /// All tools of the server as they stand in its lists, and what it says of itself.
    ///
    /// # Errors
    /// `EXECUTION_ERROR` when it cannot be reached or has more than 2,000 tools.
    pub(super) async fn tools(self: &Arc<Self>) -> Result<(ServerInfo, Vec<Value>), CallError> {
        let line = self.line().await?;
        let mut tools: Vec<Value> = Vec::new();
        let mut cursor = None;
        for _ in 0..MOST_PAGES {
            let params = PaginatedRequestParams::default().with_cursor(cursor);
            let request = ClientRequest::ListToolsRequest(ListToolsRequest::with_param(params));
            let page = line.peer.send_request(request).await;
            let page = json!(page.map_err(|error| service_failure(&error))?);
            if let Some(more) = page.get("tools").and_then(Value::as_array) {
                tools.extend(more.iter().cloned());
            }
            if tools.len() > MOST_TOOLS {
                let message = format!("the server has more than {MOST_TOOLS} tools");
                return Err(Fault::TooLarge.error(message));
            }
            cursor = page
                .get("nextCursor")
                .and_then(Value::as_str)
                .map(str::to_owned);
            if cursor.is_none() {
                return Ok((line.info, tools));
            }
        }
        Err(Fault::TooLarge.error(format!(
            "the list of tools has more than {MOST_PAGES} pages"
        )))
    }

    /// The handler of one of its tools.
    pub(super) fn handler(
        self: &Arc<Self>,
        operation: OperationId,
        tool: String,
        has_output_schema: bool,
    ) -> AnyHandler {
        AnyHandler::Call(Arc::new(Tool {
            server: Arc::clone(self),
            operation,
            tool,
            has_output_schema,
        }))
    }

    /// Reads the tools anew, once however often the server says that they changed.
    fn changed(self: &Arc<Self>) {
        let Some(state) = self.services.upgrade().and_then(|services| services.hub()) else {
            return;
        };
        if self.refreshing.swap(true, Ordering::AcqRel) {
            return;
        }
        let server = Arc::clone(self);
        tokio::spawn(async move {
            // Several changes of one moment are read once.
            tokio::time::sleep(Duration::from_millis(200)).await;
            server.refreshing.store(false, Ordering::Release);
            super::import::refresh(&state, &server.client).await;
        });
    }

    /// The connection, made anew when there is none.
    async fn line(self: &Arc<Self>) -> Result<Line, CallError> {
        let services = self
            .services
            .upgrade()
            .ok_or_else(|| Fault::Closed.error("the hub is ending"))?;
        self.check_way(&services)?;
        let mut connected = self.connected.lock().await;
        let networks = services.guard().networks();
        if connected
            .as_ref()
            .is_some_and(|old| old.service.is_closed() || old.networks != networks)
        {
            *connected = None;
        }
        if connected.is_none() {
            let made = tokio::time::timeout(READY, self.connect(&services)).await;
            *connected = Some(
                made.map_err(|_late| Fault::Connect.error("the server was not ready in time"))??,
            );
        }
        let Some(connected) = connected.as_ref() else {
            return Err(Fault::Closed.error("the connection to the server ended"));
        };
        Ok(Line {
            peer: connected.service.peer().clone(),
            listener: connected.listener.clone(),
            info: connected.info.clone(),
        })
    }

    /// What the settings allow now, whatever they allowed when the connection was made.
    fn check_way(&self, services: &Services) -> Result<(), CallError> {
        match self.config.transport {
            Transport::Http => {
                let url = self.url()?;
                services
                    .guard()
                    .check_literal(&url)
                    .map_err(|blocked| blocked_error(&blocked))
            }
            Transport::Stdio if services.config.current().clients.allow_stdio => Ok(()),
            Transport::Stdio => Err(stdio_refused()),
        }
    }

    fn url(&self) -> Result<url::Url, CallError> {
        let text = self.config.url.as_deref().unwrap_or_default();
        service_url(text).map_err(|why| {
            CallError::new(
                ErrorCode::EXECUTION_ERROR,
                format!("the server's address {why}"),
            )
        })
    }

    async fn connect(self: &Arc<Self>, services: &Services) -> Result<Connected, CallError> {
        let listener = Listener::new(self, self.revision());
        let lifecycle = self.lifecycle();
        let (service, program) = match self.config.transport {
            Transport::Http => {
                let mut config =
                    StreamableHttpClientTransportConfig::with_uri(self.url()?.as_str());
                config.max_json_response_size = RESPONSE_BYTES;
                config.max_sse_event_size = RESPONSE_BYTES;
                config.custom_headers = headers(&self.config.headers);
                if let Some(bearer) = secret_of(&self.client, "bearer").await {
                    use secrecy::ExposeSecret as _;
                    config.auth_header = Some(bearer.expose_secret().to_owned());
                }
                let transport =
                    StreamableHttpClientTransport::with_client(services.client()?, config);
                let service = listener
                    .clone()
                    .serve_with_lifecycle(transport, lifecycle)
                    .await;
                (service, None)
            }
            Transport::Stdio => {
                let mut program = self.start_program().await?;
                let pipes = program.stdout.take().zip(program.stdin.take());
                let pipes =
                    pipes.ok_or_else(|| Fault::Connect.error("the program has no pipes"))?;
                let service = listener
                    .clone()
                    .serve_with_lifecycle(pipes, lifecycle)
                    .await;
                (service, Some(program))
            }
        };
        let service = service.map_err(|error| initialize_failure(&error))?;
        let peer = service.peer_info();
        let info = peer.as_ref().and_then(|peer| peer.server_info.as_ref());
        let info = info.map_or_else(ServerInfo::default, |info| ServerInfo {
            name: info.name.clone(),
            version: info.version.clone(),
        });
        // Newer revisions tell of changes only to whoever listens.
        if peer.is_some_and(|peer| !peer.protocol_version.has_initialize()) {
            tokio::spawn(listen_to_changes(service.peer().clone(), listener.clone()));
        }
        Ok(Connected {
            service,
            listener,
            info,
            networks: services.guard().networks(),
            _program: program,
        })
    }

    async fn start_program(&self) -> Result<Child, CallError> {
        let command = self.config.command.as_deref().unwrap_or_default();
        let mut program = Command::new(command);
        program.args(&self.config.args).env_clear();
        for name in INHERITED {
            if let Some(value) = std::env::var_os(name) {
                program.env(name, value);
            }
        }
        program.envs(&self.config.env);
        program
            .current_dir(std::env::temp_dir())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        program
            .spawn()
            .map_err(|error| Fault::Connect.error(format!("the program does not start: {error}")))
    }

    fn revision(&self) -> Option<ProtocolVersion> {
        let named = self.config.revision.as_deref()?;
        ProtocolVersion::KNOWN_VERSIONS
            .iter()
            .find(|version| version.as_str() == named)
            .cloned()
    }

    fn lifecycle(&self) -> ClientLifecycleMode {
        match self.revision() {
            Some(revision) if revision.has_initialize() => ClientLifecycleMode::Initialize,
            Some(revision) => ClientLifecycleMode::Discover {
                preferred_versions: vec![revision],
            },
            None => ClientLifecycleMode::Auto {
                preferred_versions: vec![ProtocolVersion::LATEST],
                legacy_version: None,
            },
        }
    }
}

/// A tool as an operation.
struct Tool {
    server: Arc<Server>,
    operation: OperationId,
    tool: String,
    has_output_schema: bool,
}

#[async_trait]
impl Handler for Tool {
    async fn call(&self, input: Value, ctx: Context) -> Result<Reply, CallError> {
        let line = self.server.line().await?;
        let arguments = match input {
            Value::Object(arguments) => arguments,
            _ => JsonObject::new(),
        };
        let mut meta = RequestMetaObject::new();
        meta.0
            .0
            .insert("requestId".to_owned(), json!(ctx.request_id()));
        let params = CallToolRequestParams::new(self.tool.clone()).with_arguments(arguments);
        let request = ClientRequest::CallToolRequest(CallToolRequest::new(params));
        let options = PeerRequestOptions::no_options().with_meta(meta);
        let sent = line.peer.send_cancellable_request(request, options).await;
        let sent = sent.map_err(|error| service_failure(&error))?;
        let _progress = line.listener.report_to(sent.progress_token.clone(), ctx);
        let mut abandoned = Abandoned {
            peer: line.peer.clone(),
            id: Some(sent.id.clone()),
        };
        let result = sent.await_response().await;
        abandoned.id = None;
        let result = match result {
            Ok(result) => json!(result),
            Err(ServiceError::McpError(error)) => {
                return Err(self.refused(rpc_failure(
                    &self.operation,
                    i64::from(error.code.0),
                    &error.message,
                )));
            }
            Err(error) => return Err(service_failure(&error)),
        };
        if result.get("content").is_none() && result.get("structuredContent").is_none() {
            let message = "the tool asks for something more; the hub has nobody to ask";
            return Err(CallError::new(ErrorCode::EXECUTION_ERROR, message));
        }
        let server = match line.info.name.as_str() {
            "" => &self.server.name,
            name => name,
        };
        tool_answer(
            &self.operation,
            &self.tool,
            server,
            self.has_output_schema,
            &result,
        )
        .map(Reply::Envelope)
    }
}

impl Tool {
    /// A tool the server no longer has is no longer offered.
    fn refused(&self, error: CallError) -> CallError {
        if error.code == ErrorCode::OPERATION_NOT_FOUND
            && let Some(state) = self
                .server
                .services
                .upgrade()
                .and_then(|services| services.hub())
        {
            let client = self.server.client.clone();
            let operation = self.operation.clone();
            tokio::spawn(async move {
                super::offers::lost(&state, &client, &operation).await;
            });
        }
        error
    }
}

/// Tells a server that nobody waits for an answer any more.
struct Abandoned {
    peer: Peer<RoleClient>,
    /// None once the answer is there.
    id: Option<RequestId>,
}

impl Drop for Abandoned {
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        let peer = self.peer.clone();
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        runtime.spawn(async move {
            let reason = Some("the call was aborted or is overdue".to_owned());
            let cancelled = CancelledNotificationParam::new(Some(id), reason);
            if let Err(error) = peer.notify_cancelled(cancelled).await {
                tracing::debug!(%error, "an MCP server could not be told that a call was aborted");
            }
        });
    }
}

/// The error of a program that the settings do not let the hub start.
pub(super) fn stdio_refused() -> CallError {
    CallError::new(
        ErrorCode::UNSUPPORTED,
        "this hub starts no programs for MCP servers; clients.allowStdio can allow it",
    )
}

fn headers(given: &BTreeMap<String, String>) -> std::collections::HashMap<HeaderName, HeaderValue> {
    given
        .iter()
        .filter_map(|(name, value)| {
            let name = name.parse::<HeaderName>().ok()?;
            Some((name, HeaderValue::from_str(value).ok()?))
        })
        .collect()
}

/// Why a server was not ready.
fn initialize_failure(error: &ClientInitializeError) -> CallError {
    match error {
        ClientInitializeError::JsonRpcError(error) => {
            let message = format!("the MCP server refuses the connection: {}", error.message);
            CallError::new(ErrorCode::EXECUTION_ERROR, message)
                .with_details(json!({ "rpcCode": error.code.0 }))
        }
        ClientInitializeError::LegacyFallbackFailed { fallback, .. } => {
            initialize_failure(fallback)
        }
        ClientInitializeError::TransportError { error, .. } => {
            fault(error.error.as_ref(), "the MCP server cannot be reached")
        }
        other => Fault::Connect.error(format!("the MCP server cannot be reached: {other}")),
    }
}

/// Why a request to a server that was ready had no answer.
fn service_failure(error: &ServiceError) -> CallError {
    match error {
        ServiceError::McpError(error) => {
            CallError::new(ErrorCode::EXECUTION_ERROR, error.message.to_string())
                .with_details(json!({ "rpcCode": error.code.0 }))
        }
        ServiceError::TransportSend(error) => fault(
            error.error.as_ref(),
            "the request did not reach the MCP server",
        ),
        ServiceError::Timeout { .. } => {
            CallError::new(ErrorCode::TIMEOUT, "the MCP server did not answer in time")
        }
        other => Fault::Closed.error(format!("the MCP server did not answer: {other}")),
    }
}

/// What lies beneath an error of the transport.
fn fault(error: &(dyn std::error::Error + 'static), message: &str) -> CallError {
    let mut cause = Some(error);
    while let Some(one) = cause {
        if let Some(error) = one.downcast_ref::<reqwest::Error>() {
            return failed(error);
        }
        cause = one.source();
    }
    Fault::Connect.error(format!("{message}: {error}"))
}
