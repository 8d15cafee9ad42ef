//! The settings as Rust values, one struct a section.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::kind::redact_url;

/// All settings in force. Field by field the table of settings (`config::SETTINGS`).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// Directory of the database and the local key.
    pub data_dir: PathBuf,
    /// Listening and HTTP.
    pub server: ServerConfig,
    /// The database.
    pub database: DatabaseConfig,
    /// This hub process.
    #[serde(default)]
    pub hub: HubConfig,
    /// Keys and their cache.
    pub auth: AuthConfig,
    /// Limits of rate and concurrency.
    pub limits: LimitsConfig,
    /// Deadlines and recording of calls.
    pub calls: CallsConfig,
    /// The recorder of calls.
    pub recorder: RecorderConfig,
    /// Choosing a provider.
    pub dispatch: DispatchConfig,
    /// Spokes and their connections.
    pub spokes: SpokesConfig,
    /// Operations that others offer.
    #[serde(default)]
    pub operations: OperationsConfig,
    /// WebSocket connections.
    pub ws: WsConfig,
    /// Projects.
    pub projects: ProjectsConfig,
    /// External services.
    pub clients: ClientsConfig,
    /// The Model Context Protocol.
    pub mcp: McpConfig,
    /// Logging.
    pub log: LogConfig,
}

/// Section `server`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServerConfig {
    /// Addresses to listen on, at least one; port 0 = any free port.
    pub listen: Vec<SocketAddr>,
    /// Port taken: use the next free one.
    pub listen_fallback: bool,
    /// Allow addresses other machines can reach.
    pub allow_insecure: bool,
    /// Address under which users reach the hub, without a slash at the end.
    pub public_url: Option<String>,
    /// Further values of the Host header, lower case.
    pub allowed_hosts: Vec<String>,
    /// Origins allowed to call from a browser.
    pub cors_origins: Vec<String>,
    /// Networks whose X-Forwarded-For is believed.
    pub trusted_proxies: Vec<ipnet::IpNet>,
    /// Largest body in bytes.
    pub body_limit: usize,
    /// Largest body of an import in bytes.
    pub import_limit: usize,
    /// Longest time of a request that is not a call.
    #[serde(deserialize_with = "millis")]
    pub request_timeout: Duration,
    /// Open connections at one time.
    pub max_connections: usize,
    /// How long running calls may go on at shutdown.
    #[serde(deserialize_with = "millis")]
    pub drain: Duration,
}

/// Section `database`.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DatabaseConfig {
    /// Database URL, from `database.url` or the content of `database.urlFile`;
    /// `None` = `sqlite:<dataDir>/alkhub.db`. May hold a password: `Debug` leaves it out.
    #[serde(default)]
    pub url: Option<String>,
    /// The file the URL was read from.
    #[serde(default)]
    pub url_file: Option<PathBuf>,
    /// Connections of the pool; `None` = the engine's default.
    #[serde(default)]
    pub max_connections: Option<u32>,
    /// Longest time for one statement.
    #[serde(deserialize_with = "millis")]
    pub statement_timeout: Duration,
    /// How long a start waits for the database.
    #[serde(deserialize_with = "millis")]
    pub start_wait: Duration,
    /// Bring an old schema up to date on start.
    pub migrate: bool,
    /// When SQLite waits for the disk.
    #[serde(rename = "sqlite.synchronous")]
    pub sqlite_synchronous: SqliteSynchronous,
}

/// `database.sqlite.synchronous`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SqliteSynchronous {
    /// Each commit is on the disk before it is answered.
    Full,
    /// A power cut may lose the last commits.
    Normal,
}

/// Section `hub`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HubConfig {
    /// Name of this process; `None` = the host's name.
    #[serde(default)]
    pub instance_name: Option<String>,
}

/// Section `auth`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AuthConfig {
    /// How long a found key is remembered.
    #[serde(deserialize_with = "millis")]
    pub cache_ttl: Duration,
    /// How long an unknown key is remembered.
    #[serde(deserialize_with = "millis")]
    pub miss_ttl: Duration,
    /// Keys remembered at one time.
    pub cache_size: u64,
    /// Longest life of a new key in days; 0 = no limit.
    pub max_key_days: u32,
    /// Admins see the rows of all organizations.
    pub admin_sees_all: bool,
}

/// Section `limits`; 0 = no limit.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LimitsConfig {
    /// Calls a second a key.
    pub rate: u32,
    /// Calls a key may make at once.
    pub burst: u32,
    /// Running calls a key.
    pub concurrency: u32,
    /// Running calls an account.
    pub account_concurrency: u32,
    /// WebSocket connections a key.
    pub sockets: u32,
    /// Subscriptions a WebSocket connection.
    pub subscriptions: u32,
}

/// Section `calls`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CallsConfig {
    /// Time a call has by default.
    #[serde(deserialize_with = "millis")]
    pub deadline: Duration,
    /// Longest time a caller may ask for; at least `deadline`.
    #[serde(deserialize_with = "millis")]
    pub max_deadline: Duration,
    /// Largest input or output recorded whole, in bytes.
    pub record_cap: usize,
    /// Deepest nesting of calls.
    pub max_depth: u32,
    /// How long calls on spokes wait for them after a restart.
    #[serde(deserialize_with = "millis")]
    pub recovery_grace: Duration,
    /// How long an abort waits for confirmations.
    #[serde(deserialize_with = "millis")]
    pub abort_wait: Duration,
    /// Age at which recorded calls are removed; zero = never.
    #[serde(deserialize_with = "millis")]
    pub max_age: Duration,
    /// The same for trees in which a call failed.
    #[serde(deserialize_with = "millis")]
    pub failed_max_age: Duration,
    /// Recorded calls that are kept at most; zero = all.
    pub max_rows: u64,
}

/// Section `dispatch`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DispatchConfig {
    /// Calls of one operation that wait for a busy provider.
    pub queue_per_operation: usize,
}

/// Section `spokes`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SpokesConfig {
    /// Pause between two pings.
    #[serde(deserialize_with = "millis")]
    pub heartbeat: Duration,
    /// How long calls wait for a spoke that lost its connection.
    #[serde(deserialize_with = "millis")]
    pub resume_grace: Duration,
    /// Calls a spoke runs at once at most.
    pub max_in_flight: u32,
    /// Operations one spoke may offer.
    pub max_operations: usize,
}

/// Section `operations`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OperationsConfig {
    /// Scope needed to offer operations; `None` = none.
    #[serde(default)]
    pub offer_scope: Option<String>,
}

/// Section `ws`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WsConfig {
    /// Largest frame in bytes.
    pub max_frame_bytes: usize,
    /// Frames that may wait for a slow peer.
    pub send_queue: usize,
}

/// Section `recorder`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecorderConfig {
    /// Records that may wait.
    pub queue: usize,
    /// Bytes that may wait.
    pub queue_bytes: usize,
    /// Records of one transaction.
    pub max_batch: usize,
    /// How long a call waits for its record.
    #[serde(deserialize_with = "millis")]
    pub deadline: Duration,
    /// Which calls are recorded before they run.
    pub ahead: RecordAhead,
}

/// `recorder.ahead`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordAhead {
    /// Mutations only.
    Mutations,
    /// Queries too.
    All,
}

/// Section `projects`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProjectsConfig {
    /// Schemes a repository address may have.
    pub repo_url_schemes: Vec<String>,
}

/// Section `clients`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClientsConfig {
    /// Networks that may be reached although they are not public.
    pub allow_networks: Vec<ipnet::IpNet>,
    /// Start programs that are MCP servers.
    pub allow_stdio: bool,
}

/// Section `mcp`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct McpConfig {
    /// Serve it at all.
    pub enabled: bool,
    /// Names and patterns of the operations that are tools of their own.
    pub tools: Vec<String>,
    /// Items of a subscription one call reads at most.
    pub max_items: usize,
}

/// Section `log`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LogConfig {
    /// Level, or filters by target: `info,alkhub_hub=debug`.
    pub level: String,
    /// Form of a line.
    pub format: LogFormat,
}

/// `log.format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// `Pretty` on a terminal, else `Json`.
    Auto,
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

impl Config {
    /// The database URL in force; it may hold a password.
    pub fn database_url(&self) -> String {
        self.database
            .url
            .clone()
            .unwrap_or_else(|| format!("sqlite:{}", self.data_dir.join("alkhub.db").display()))
    }
}

impl fmt::Debug for DatabaseConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("DatabaseConfig")
            .field("url", &self.url.as_deref().map(redact_url))
            .field("url_file", &self.url_file)
            .field("max_connections", &self.max_connections)
            .field("statement_timeout", &self.statement_timeout)
            .field("start_wait", &self.start_wait)
            .field("migrate", &self.migrate)
            .field("sqlite_synchronous", &self.sqlite_synchronous)
            .finish()
    }
}

fn millis<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    u64::deserialize(deserializer).map(Duration::from_millis)
}
