//! The types of services, what the configuration of each holds, and its rules.

mod credentials;

pub(super) use credentials::credential_in;

use std::collections::BTreeMap;
use std::time::Duration;

use alkhub_operations::{CallError, Issue, Namespace, Schema};
use alkhub_storage::enums::ClientType;
use alkhub_storage::json::JsonObject;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

use crate::error::HubError;
use crate::scopes;
use crate::spokes::reserved;

/// Largest configuration as JSON text, in bytes.
const MAX_CONFIG: usize = 256 * 1024;

/// A checked configuration of any type.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ClientConfig {
    Llm(LlmProvider),
    Vcs(Vcs),
    Compute(Compute),
    Mcp(McpServer),
    Custom(Custom),
}

/// An address of models.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct LlmProvider {
    /// Address of its interface, such as `https://api.openai.com/v1`.
    pub(crate) base_url: String,
    /// Which interface it speaks.
    pub(crate) dialect: Dialect,
    /// Models it offers.
    pub(crate) models: Vec<Model>,
    /// Headers sent with each request; never a credential.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) headers: BTreeMap<String, String>,
    /// Longest time for one request, in ms.
    #[serde(default = "ten_minutes")]
    #[schemars(range(min = 1))]
    pub(crate) timeout_ms: u64,
    /// How often a request that failed is sent again.
    #[serde(default = "two")]
    pub(crate) max_retries: u32,
    /// Lower ones are asked first.
    #[serde(default = "hundred")]
    pub(crate) priority: u32,
    /// Share among those of equal priority.
    #[serde(default = "one")]
    pub(crate) weight: u32,
    /// What the provider allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rate_limit: Option<RateLimit>,
}

/// The interfaces of model providers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Dialect {
    Openai,
    Anthropic,
    OpenaiCompatible,
}

/// A model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Model {
    /// The provider's name of it.
    pub(crate) id: String,
    /// Another name it is asked for by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) alias: Option<String>,
    /// Tokens it can look at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) context_window: Option<u64>,
    /// Tokens it can answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max_output: Option<u64>,
    /// Prices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) price: Option<Price>,
}

/// Dollars a million tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Price {
    /// Of tokens sent.
    #[schemars(range(min = 0))]
    pub(crate) input: f64,
    /// Of tokens answered.
    #[schemars(range(min = 0))]
    pub(crate) output: f64,
    /// Of tokens sent that the provider had kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub(crate) cached_input: Option<f64>,
}

/// Limits of a provider, a minute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RateLimit {
    /// Requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rpm: Option<u64>,
    /// Tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tpm: Option<u64>,
}

/// A server of repositories.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Vcs {
    /// Which software it runs.
    pub(crate) kind: VcsKind,
    /// Its address.
    pub(crate) base_url: String,
    /// Account or organization at the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<String>,
    /// Do not check its certificate.
    #[serde(default)]
    pub(crate) insecure: bool,
}

/// Software of repository servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum VcsKind {
    Gitea,
    Github,
    Gitlab,
    Git,
}

/// A provider of machines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Compute {
    /// Which provider.
    pub(crate) kind: ComputeKind,
    /// Its address.
    pub(crate) base_url: String,
    /// What new machines are asked with.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub(crate) defaults: Map<String, Value>,
}

/// Providers of machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ComputeKind {
    VastAi,
    Custom,
}

/// A server of the Model Context Protocol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct McpServer {
    /// How it is reached.
    pub(crate) transport: Transport,
    /// Its address (`http`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<String>,
    /// Headers sent with each request; never a credential.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) headers: BTreeMap<String, String>,
    /// The program that is the server (`stdio`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) command: Option<String>,
    /// Its arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) args: Vec<String>,
    /// Variables of its environment; it inherits only a few others.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) env: BTreeMap<String, String>,
    /// Namespace of its operations.
    pub(crate) namespace: String,
    /// Names or patterns with `*` of the tools that are imported; all without it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) include: Vec<String>,
    /// Names or patterns with `*` of the tools that are left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) exclude: Vec<String>,
    /// Scopes its operations ask beside `client:call`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) required_scopes: Vec<String>,
    /// Revision of the protocol it speaks; without it the newest is tried first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) revision: Option<String>,
}

/// How an MCP server is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Transport {
    /// Streamable HTTP.
    Http,
    /// A program the hub starts, by its standard input and output.
    Stdio,
}

/// Any HTTP service described by OpenAPI.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Custom {
    /// Address its paths are below.
    pub(crate) base_url: String,
    /// Address of its OpenAPI document; an import may bring the text instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) openapi: Option<String>,
    /// How the hub shows who it is.
    #[serde(default)]
    pub(crate) auth: Auth,
    /// Headers sent with each request; never a credential.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) headers: BTreeMap<String, String>,
    /// Namespace of its operations.
    pub(crate) namespace: String,
    /// Names or patterns with `*` of the operations that are imported; all without it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) include: Vec<String>,
    /// Names or patterns with `*` of the operations that are left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) exclude: Vec<String>,
    /// Scopes its operations ask beside `client:call`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) required_scopes: Vec<String>,
    /// Deadline of a call that asks for none, in ms.
    #[serde(default = "half_a_minute")]
    #[schemars(range(min = 1))]
    pub(crate) timeout_ms: u64,
}

/// How the hub shows a service who it is. The credential itself is a secret of the client.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Auth {
    /// The way.
    pub(crate) kind: AuthKind,
    /// Name of the header or parameter; `X-API-Key` without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    /// Text before the credential in the header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) prefix: Option<String>,
}

/// Ways of showing who one is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AuthKind {
    /// Not at all.
    #[default]
    None,
    /// `Authorization: Bearer` with the secret `token`.
    Bearer,
    /// `Authorization: Basic` with the secrets `username` and `password`.
    Basic,
    /// A header with the secret `token`.
    Header,
    /// A query parameter with the secret `token`.
    Query,
}

fn ten_minutes() -> u64 {
    600_000
}

fn half_a_minute() -> u64 {
    30_000
}

fn one() -> u32 {
    1
}

fn two() -> u32 {
    2
}

fn hundred() -> u32 {
    100
}

/// The types in the order they are told.
pub(crate) const TYPES: [ClientType; 5] = [
    ClientType::LlmProvider,
    ClientType::Vcs,
    ClientType::Compute,
    ClientType::McpServer,
    ClientType::Custom,
];

/// The schema of a type's configuration.
pub(crate) fn schema(kind: ClientType) -> Result<Schema, HubError> {
    let schema = match kind {
        ClientType::LlmProvider => Schema::of_input::<LlmProvider>(),
        ClientType::Vcs => Schema::of_input::<Vcs>(),
        ClientType::Compute => Schema::of_input::<Compute>(),
        ClientType::McpServer => Schema::of_input::<McpServer>(),
        ClientType::Custom => Schema::of_input::<Custom>(),
    };
    schema.map_err(|fault| CallError::internal(&fault).into())
}

/// Names of the secrets a type has; `env.<NAME>` stands for one of each variable.
pub(crate) fn secret_keys(kind: ClientType) -> &'static [&'static str] {
    match kind {
        ClientType::LlmProvider | ClientType::Compute => &["apiKey"],
        ClientType::Vcs => &["token", "sshKey", "webhookSecret"],
        ClientType::McpServer => &["bearer", "env.<NAME>"],
        ClientType::Custom => &["token", "username", "password"],
    }
}

/// Reads a configuration and checks what its schema cannot say. Addresses are looked at by the guard.
///
/// # Errors
/// `VALIDATION_ERROR` with issues below `/config`, `UNPROCESSABLE` `secret_in_config`, `FORBIDDEN` for a
/// namespace of the hub.
pub(crate) fn checked(
    name: &str,
    kind: ClientType,
    config: &Map<String, Value>,
) -> Result<ClientConfig, HubError> {
    let value = Value::Object(config.clone());
    if value.to_string().len() > MAX_CONFIG {
        let message = format!("must be at most {MAX_CONFIG} bytes as JSON");
        return Err(CallError::validation_field("/config", "maxBytes", message).into());
    }
    if let Some(path) = credential_in(&value) {
        let message = format!(
            "/config{path} looks like a credential; those are kept encrypted, as secrets of the client"
        );
        return Err(CallError::unprocessable("secret_in_config", message)
            .with_detail("path", format!("/config{path}"))
            .into());
    }
    let mut issues = schema(kind)?.issues(&value);
    if issues.is_empty() {
        let config = read(kind, value)?;
        config.check(name, &mut issues)?;
        if issues.is_empty() {
            return Ok(config);
        }
    } else {
        for issue in &mut issues {
            issue.path = format!("/config{}", issue.path);
        }
    }
    let message = match issues.first() {
        Some(issue) if issue.rule == "mcp_server" => issue.message.clone(),
        Some(issue) => format!("the configuration is invalid: {issue}"),
        None => "the configuration is invalid".to_owned(),
    };
    Err(CallError::validation(issues, message).into())
}

/// The configuration in a row; none when it no longer fits.
pub(crate) fn of_row(kind: ClientType, config: &JsonObject) -> Option<ClientConfig> {
    read(kind, Value::Object(config.0.clone())).ok()
}

fn read(kind: ClientType, value: Value) -> Result<ClientConfig, CallError> {
    fn typed<T: DeserializeOwned>(value: Value) -> Result<T, CallError> {
        alkhub_operations::read_input(value)
    }
    Ok(match kind {
        ClientType::LlmProvider => ClientConfig::Llm(typed(value)?),
        ClientType::Vcs => ClientConfig::Vcs(typed(value)?),
        ClientType::Compute => ClientConfig::Compute(typed(value)?),
        ClientType::McpServer => ClientConfig::Mcp(typed(value)?),
        ClientType::Custom => ClientConfig::Custom(typed(value)?),
    })
}

impl ClientConfig {
    /// The addresses it names, each with the field that does.
    pub(crate) fn addresses(&self) -> Vec<(&'static str, &str)> {
        match self {
            Self::Llm(config) => vec![("/config/baseUrl", config.base_url.as_str())],
            Self::Vcs(config) => vec![("/config/baseUrl", config.base_url.as_str())],
            Self::Compute(config) => vec![("/config/baseUrl", config.base_url.as_str())],
            Self::Mcp(config) => config
                .url
                .iter()
                .map(|url| ("/config/url", url.as_str()))
                .collect(),
            Self::Custom(config) => [("/config/baseUrl", Some(&config.base_url))]
                .into_iter()
                .chain([("/config/openapi", config.openapi.as_ref())])
                .filter_map(|(field, url)| Some((field, url?.as_str())))
                .collect(),
        }
    }

    /// True when the hub would start a program for it.
    pub(crate) fn starts_program(&self) -> bool {
        matches!(self, Self::Mcp(config) if config.transport == Transport::Stdio)
    }

    fn check(&self, name: &str, issues: &mut Vec<Issue>) -> Result<(), CallError> {
        for (field, url) in self.addresses() {
            if let Err(why) = service_url(url) {
                issues.push(Issue::new(field, "url", why));
            }
        }
        let (namespace, headers, required) = match self {
            Self::Llm(config) => return headers_of(&config.headers, issues),
            Self::Vcs(_) | Self::Compute(_) => return Ok(()),
            Self::Mcp(config) => {
                let given = match config.transport {
                    Transport::Http => config.url.is_some(),
                    Transport::Stdio => config
                        .command
                        .as_deref()
                        .is_some_and(|text| !text.is_empty()),
                };
                if !given {
                    let message = format!(
                        "Invalid MCP server config for {name}: must have either 'url' or 'command'"
                    );
                    issues.push(Issue::new("/config/transport", "mcp_server", message));
                }
                (&config.namespace, &config.headers, &config.required_scopes)
            }
            Self::Custom(config) => {
                let name = config.auth.name.as_deref();
                if name.is_some_and(|name| name.is_empty() || name.chars().any(char::is_control)) {
                    let message = "must be the name of a header or parameter";
                    issues.push(Issue::new("/config/auth/name", "header", message));
                }
                (&config.namespace, &config.headers, &config.required_scopes)
            }
        };
        headers_of(headers, issues)?;
        for (index, scope) in required.iter().enumerate() {
            if scopes::check(scope).is_err() {
                let path = format!("/config/requiredScopes/{index}");
                issues.push(Issue::new(path, "scope", "is no scope of the hub"));
            }
        }
        free_namespace(namespace, "/config/namespace", issues)
    }
}

/// A namespace that may be given to a service.
///
/// # Errors
/// `FORBIDDEN` for one of the hub's own.
pub(crate) fn free_namespace(
    namespace: &str,
    field: &str,
    issues: &mut Vec<Issue>,
) -> Result<(), CallError> {
    if reserved(namespace) {
        let message = format!("the namespace {namespace} is the hub's own");
        return Err(CallError::forbidden(message));
    }
    if let Err(why) = Namespace::new(namespace) {
        issues.push(Issue::new(field, "namespace", why.to_string()));
    }
    Ok(())
}

/// An address of a service: http or https, with a host, without credentials and fragment.
pub(crate) fn service_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|bad| format!("must be an address: {bad}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("must begin with http:// or https://".to_owned());
    }
    if url.host().is_none() {
        return Err("must name a host".to_owned());
    }
    if url.fragment().is_some() {
        return Err("must not have a fragment".to_owned());
    }
    Ok(url)
}

fn headers_of(
    headers: &BTreeMap<String, String>,
    issues: &mut Vec<Issue>,
) -> Result<(), CallError> {
    use reqwest::header::{HeaderName, HeaderValue};
    for (name, value) in headers {
        let legal = name.parse::<HeaderName>().is_ok() && HeaderValue::from_str(value).is_ok();
        let framing = ["host", "content-length", "transfer-encoding", "connection"]
            .iter()
            .any(|reserved| name.eq_ignore_ascii_case(reserved));
        if !legal || framing {
            let path = alkhub_operations::issue::pointer_join("/config/headers", name);
            issues.push(Issue::new(path, "header", "is no header that may be set"));
        }
    }
    Ok(())
}

impl Custom {
    /// Deadline of a call that asks for none.
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}
