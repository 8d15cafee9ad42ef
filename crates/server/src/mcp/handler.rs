//! The protocol's requests, each handed to where it is answered.

use std::borrow::Cow;
use std::time::Duration;

use alkhub_operations::ErrorCode as Code;
use rmcp::model::{
    CacheScope, CallToolRequestParams, CallToolResponse, CallToolResult, CustomRequest,
    CustomResult, DiscoverResult, ErrorCode, ErrorData, Implementation, InitializeRequestParams,
    InitializeResult, JsonObject, ListResourceTemplatesResult, ListResourcesResult,
    ListToolsResult, MetaObject, PaginatedRequestParams, ProtocolVersion,
    ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult, ServerCapabilities,
    ServerConfig, ServerNotification, SubscriptionFilter, Tool, ToolListChangedNotification,
};
use rmcp::service::{RequestContext, SubscriptionContext};
use rmcp::{RoleServer, ServerHandler};
use serde_json::json;

use super::calls::{Asked, Bounds};
use super::tools::{self, Call, LONGEST_READ_MS, MOST_CALLS, MOST_TOOLS};
use super::{Caller, answer, message, own_tools, resources};

/// How long a client may keep a list, in ms.
const FRESH_MS: u64 = 60_000;
/// How long a subscription is read when the client does not say.
const READ: Duration = Duration::from_secs(10);
/// How often the list of tools is looked at for those who listen for its changes.
const LOOK: Duration = Duration::from_secs(2);
/// Requests we answer; one of them that does not parse has bad parameters.
const METHODS: [&str; 8] = [
    "initialize",
    "ping",
    "server/discover",
    "subscriptions/listen",
    "tools/call",
    "tools/list",
    "resources/read",
    "resources/list",
];
const INSTRUCTIONS: &str = "alkhub is one hub for a team of coding agents: tasks, projects and what \
     its members offer are operations. Find them with search, read what they take with schema, run \
     them with call.";
const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";

impl Caller {
    /// How much of a subscription is read: what is asked for, within the hub's limits.
    pub(super) fn bounds(&self, items: Option<usize>, ms: Option<u64>) -> Bounds {
        let most = self.hub.config().mcp.max_items;
        Bounds {
            items: items.unwrap_or(most).min(most),
            time: ms.map_or(READ, |ms| Duration::from_millis(ms.min(LONGEST_READ_MS))),
        }
    }

    fn tools(&self) -> Result<Vec<Tool>, ErrorData> {
        let mut all = Vec::with_capacity(MOST_TOOLS);
        all.extend(tools::four());
        let own = self.own_tools()?;
        all.extend(
            own.into_iter()
                .map(|(name, entry)| own_tools::tool(name, entry.spec())),
        );
        Ok(all)
    }

    async fn call(&self, call: Call) -> Result<CallToolResult, ErrorData> {
        if call.timeout_ms == Some(0) || call.max_ms == Some(0) || call.max_items == Some(0) {
            return Err(tools::bad_arguments(
                "timeoutMs, maxMs and maxItems are at least 1",
            ));
        }
        let timeout = call.timeout_ms.map(Duration::from_millis);
        let bounds = self.bounds(call.max_items, call.max_ms);
        match (call.operation, call.calls) {
            (Some(operation), None) => {
                let asked = Asked {
                    operation,
                    input: call.input.unwrap_or_else(tools::empty),
                    timeout,
                    idempotency_key: call.idempotency_key,
                    bounds,
                };
                Ok(self.run(asked).await.into_result())
            }
            (None, Some(calls)) => {
                if call.input.is_some() || call.idempotency_key.is_some() {
                    return Err(tools::bad_arguments(
                        "input and idempotencyKey belong to a single operation, not to calls",
                    ));
                }
                if !(1..=MOST_CALLS).contains(&calls.len()) {
                    return Err(tools::bad_arguments(format!(
                        "calls holds 1 to {MOST_CALLS} calls"
                    )));
                }
                let asked = calls
                    .into_iter()
                    .map(|one| Asked {
                        timeout,
                        ..Asked::plain(&one.operation, one.input, bounds)
                    })
                    .collect();
                let ended = self.run_all(asked).await;
                let results: Vec<_> = ended.into_iter().map(|ended| ended.into_value()).collect();
                Ok(answer::structured(json!({ "results": results })))
            }
            _ => Err(tools::bad_arguments("give either operation or calls")),
        }
    }

    async fn call_own(
        &self,
        tool: &str,
        arguments: Option<JsonObject>,
    ) -> Result<CallToolResult, ErrorData> {
        let own = self.own_tools()?;
        let Some(entry) = own.get(tool) else {
            return Err(tools::bad_arguments(format!("there is no tool {tool}")));
        };
        let input = json!(arguments.unwrap_or_default());
        let asked = Asked::plain(entry.id().as_str(), input, self.bounds(None, None));
        Ok(self.run(asked).await.into_own_result())
    }

    /// False once the key is no longer good, or the hub stops.
    async fn may_listen(&mut self) -> bool {
        if self.hub.is_draining() {
            return false;
        }
        match self.hub.authenticate(&self.credential, &self.origin).await {
            Ok(principal) => {
                self.principal = principal;
                true
            }
            // The database is away for a moment; the next look decides.
            Err(error) => error.code == Code::UNAVAILABLE || error.code == Code::RATE_LIMITED,
        }
    }

    fn tool_names(&self) -> Vec<String> {
        match self.own_tools() {
            Ok(own) => own.into_keys().collect(),
            Err(_too_many) => Vec::new(),
        }
    }
}

impl ServerHandler for Caller {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_tool_list_changed()
            .enable_resources()
            .build();
        ServerConfig::new(capabilities)
            .with_server_info(implementation())
            .with_instructions(INSTRUCTIONS)
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        let all = ProtocolVersion::KNOWN_VERSIONS.iter();
        Cow::Owned(
            all.filter(|version| message::ANSWERED.contains(&version.as_str()))
                .cloned()
                .collect(),
        )
    }

    async fn initialize(
        &self,
        request: InitializeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<InitializeResult, ErrorData> {
        context.peer.set_peer_info(request.clone());
        let mut result = self.negotiate_initialize(&request)?;
        // Revisions with a handshake have no way of telling: nothing is pushed.
        if let Some(tools) = &mut result.capabilities.tools {
            tools.list_changed = None;
        }
        Ok(result)
    }

    async fn discover(
        &self,
        _context: RequestContext<RoleServer>,
    ) -> Result<DiscoverResult, ErrorData> {
        let versions = self.supported_protocol_versions().into_owned();
        Ok(DiscoverResult::from_server_info(versions, self.get_info())
            .with_ttl_ms(FRESH_MS)
            .with_cache_scope(CacheScope::Private))
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        one_page(request)?;
        let mut result = ListToolsResult::with_all_items(self.tools()?);
        if names_server(&context) {
            result = result
                .with_ttl_ms(FRESH_MS)
                .with_cache_scope(CacheScope::Private);
            name_server(&mut result.meta);
        }
        Ok(result)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = request.arguments;
        let mut result = match request.name.as_ref() {
            "list" => self.list(tools::read("list", arguments)?).await?,
            "search" => self.search(tools::read("search", arguments)?).await?,
            "schema" => self.schema(tools::read("schema", arguments)?).await?,
            "call" => self.call(tools::read("call", arguments)?).await?,
            other => self.call_own(other, arguments).await?,
        };
        if names_server(&context) {
            name_server(&mut result.meta);
        }
        Ok(CallToolResponse::from(result))
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let cursor = request.and_then(|request| request.cursor);
        let mut result = self.resources(cursor).await?;
        if names_server(&context) {
            name_server(&mut result.meta);
        }
        Ok(result)
    }

    async fn list_resource_templates(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        one_page(request)?;
        let mut result = resources::templates();
        if names_server(&context) {
            result = result
                .with_ttl_ms(FRESH_MS)
                .with_cache_scope(CacheScope::Private);
            name_server(&mut result.meta);
        }
        Ok(result)
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let contents = self.resource(&request.uri).await?;
        let mut result = ReadResourceResult::new(vec![contents]);
        if names_server(&context) {
            name_server(&mut result.meta);
        }
        Ok(ReadResourceResponse::from(result))
    }

    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        let mut accepted = SubscriptionFilter::new();
        accepted.tools_list_changed = requested.tools_list_changed;
        Some(accepted)
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let mut caller = self.clone();
        let mut known = caller.tool_names();
        loop {
            tokio::select! {
                () = context.cancelled() => return Ok(()),
                () = tokio::time::sleep(LOOK) => {}
            }
            if !caller.may_listen().await {
                return Ok(());
            }
            if context.accepted().tools_list_changed != Some(true) {
                continue;
            }
            let found = caller.tool_names();
            if found != known {
                known = found;
                let change = ToolListChangedNotification::default();
                let told = context
                    .sink()
                    .send(ServerNotification::ToolListChangedNotification(change))
                    .await;
                if told.is_err() {
                    return Ok(());
                }
            }
        }
    }

    /// Whatever did not parse as a request of the protocol comes here.
    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        let method = request.method;
        if METHODS.contains(&method.as_str()) {
            let message = format!("the parameters of {method} do not fit");
            return Err(ErrorData::invalid_params(message, None));
        }
        Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, method, None))
    }
}

/// Lists that have one page take no cursor.
fn one_page(request: Option<PaginatedRequestParams>) -> Result<(), ErrorData> {
    match request.and_then(|request| request.cursor) {
        None => Ok(()),
        Some(_) => Err(ErrorData::invalid_params("there is no such page", None)),
    }
}

fn implementation() -> Implementation {
    Implementation::new("alkhub", env!("CARGO_PKG_VERSION")).with_title("alkhub")
}

/// Without a handshake, results say whose they are.
fn names_server(context: &RequestContext<RoleServer>) -> bool {
    context
        .protocol_version()
        .is_some_and(|version| !version.has_initialize())
}

fn name_server(meta: &mut Option<MetaObject>) {
    let meta = meta.get_or_insert_default();
    meta.0
        .insert(SERVER_INFO.to_owned(), json!(implementation()));
}
