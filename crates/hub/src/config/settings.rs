//! The table of settings. A setting stands here when some code obeys it.

use super::kind::{Kind, Rule};

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Dotted name as in the file, `server.bodyLimit`.
    pub key: &'static str,
    /// What values it takes.
    pub kind: Kind,
    /// Default in the text form of `kind`; `None` = no value.
    pub default: Option<&'static str>,
    /// Says where the value comes from when there is no default.
    pub without: &'static str,
    /// May be changed while the hub runs.
    pub live: bool,
    /// May be set by an environment variable.
    pub env: bool,
    /// May carry a secret, so it is shown without it.
    pub secret: bool,
    /// What it does, one or two sentences.
    pub meaning: &'static str,
}

impl Setting {
    /// Name of the environment variable: upper case, `_` for each dot and before each capital.
    pub fn variable(&self) -> String {
        let mut name = String::from("ALKHUB_");
        for letter in self.key.chars() {
            match letter {
                '.' => name.push('_'),
                upper if upper.is_ascii_uppercase() => {
                    name.push('_');
                    name.push(upper);
                }
                lower => name.push(lower.to_ascii_uppercase()),
            }
        }
        name
    }

    const fn live(self) -> Self {
        Setting { live: true, ..self }
    }

    const fn env(self) -> Self {
        Setting { env: true, ..self }
    }

    const fn secret(self) -> Self {
        Setting {
            secret: true,
            ..self
        }
    }
}

const fn setting(
    key: &'static str,
    kind: Kind,
    default: &'static str,
    meaning: &'static str,
) -> Setting {
    Setting {
        key,
        kind,
        default: Some(default),
        without: "",
        live: false,
        env: false,
        secret: false,
        meaning,
    }
}

const fn optional(
    key: &'static str,
    kind: Kind,
    without: &'static str,
    meaning: &'static str,
) -> Setting {
    Setting {
        default: None,
        without,
        ..setting(key, kind, "", meaning)
    }
}

const SECOND: u64 = 1_000;
const HOUR: u64 = 3_600 * SECOND;
const DAY: u64 = 24 * HOUR;
/// As a person counts them, so that the range reads well.
const TEN_YEARS: u64 = 315_576_000_000;
const KIB: u64 = 1_024;
const MIB: u64 = 1_024 * KIB;
const GIB: u64 = 1_024 * MIB;

const fn duration(min: u64, max: u64) -> Kind {
    Kind::Duration { min, max }
}

const fn size(min: u64, max: u64) -> Kind {
    Kind::Size { min, max }
}

const fn integer(min: u64, max: u64) -> Kind {
    Kind::Integer { min, max }
}

/// All settings, by section.
pub const SETTINGS: &[Setting] = &[
    optional(
        "dataDir",
        Kind::Text(Rule::Path),
        "`alkhub` in the user's data directory",
        "Directory of the database and the local key; made with mode 0700. A relative path in the file starts at the file's directory.",
    )
    .env(),
    setting(
        "server.listen",
        Kind::List(Rule::Address),
        "127.0.0.1:4848",
        "Addresses to listen on. Port 0 takes any free port. An address other machines can reach is refused unless `server.allowInsecure` is set, because the hub speaks plain HTTP.",
    )
    .env(),
    setting(
        "server.listenFallback",
        Kind::Bool,
        "false",
        "When a port is taken, use the next free one instead of ending.",
    ),
    setting(
        "server.allowInsecure",
        Kind::Bool,
        "false",
        "Allow addresses other machines can reach; right behind a proxy that speaks TLS.",
    ),
    optional(
        "server.publicUrl",
        Kind::Text(Rule::WebUrl),
        "the first listening address",
        "Address under which users reach the hub: links, the server of the OpenAPI document, an allowed host.",
    )
    .env(),
    setting(
        "server.allowedHosts",
        Kind::List(Rule::Host),
        "",
        "Further values of the Host header that are answered.",
    )
    .live(),
    setting(
        "server.corsOrigins",
        Kind::List(Rule::Origin),
        "",
        "Origins whose pages may call the hub from a browser; empty = none.",
    )
    .live(),
    setting(
        "server.trustedProxies",
        Kind::List(Rule::Network),
        "",
        "Networks whose X-Forwarded-For header is believed.",
    ),
    setting(
        "server.bodyLimit",
        size(KIB, GIB),
        "4MiB",
        "Largest request body.",
    ),
    setting(
        "server.importLimit",
        size(KIB, 4 * GIB),
        "64MiB",
        "Largest request body of the imports, such as `task.import`.",
    ),
    setting(
        "server.requestTimeout",
        duration(SECOND, HOUR),
        "65s",
        "Longest time for a request that is not a call; calls end by their own deadline.",
    ),
    setting(
        "server.maxConnections",
        integer(1, 1_000_000),
        "10000",
        "Open connections at one time; further ones wait.",
    ),
    setting(
        "server.drain",
        duration(0, HOUR),
        "30s",
        "How long running calls may go on when the hub is told to stop.",
    ),
    optional(
        "database.url",
        Kind::Text(Rule::DatabaseUrl),
        "`sqlite:<dataDir>/alkhub.db`",
        "Database: `sqlite:PATH` or `postgres://…`. A password stands in the file named by `database.urlFile`, never here or in the environment.",
    )
    .env()
    .secret(),
    optional(
        "database.urlFile",
        Kind::Text(Rule::Path),
        "not used",
        "File that holds the database URL, readable by its owner only (mode 0600).",
    )
    .env(),
    optional(
        "database.maxConnections",
        integer(1, 10_000),
        "16 with PostgreSQL, 8 readers and 1 writer with SQLite",
        "Connections of the pool.",
    ),
    setting(
        "database.statementTimeout",
        duration(100, DAY),
        "30s",
        "Longest time for one statement.",
    ),
    setting(
        "database.startWait",
        duration(0, HOUR),
        "30s",
        "How long a start waits for the database to answer; 0 = fail at once.",
    ),
    setting(
        "database.migrate",
        Kind::Bool,
        "true",
        "Bring an old schema up to date on start; false = refuse to start on one.",
    ),
    setting(
        "database.sqlite.synchronous",
        Kind::Text(Rule::Choice(&["full", "normal"])),
        "full",
        "`normal` is faster and may lose the last commits in a power cut.",
    ),
    optional(
        "hub.instanceName",
        Kind::Text(Rule::Name),
        "the host's name",
        "Name of this hub process in logs and in `hub.info`.",
    )
    .env(),
    setting(
        "auth.cacheTtl",
        duration(0, HOUR),
        "60s",
        "How long a key that was found is remembered.",
    ),
    setting(
        "auth.missTtl",
        duration(0, HOUR),
        "10s",
        "How long a key that was not found is remembered.",
    ),
    setting(
        "auth.cacheSize",
        integer(1, 10_000_000),
        "10000",
        "Keys remembered at one time.",
    ),
    setting(
        "auth.maxKeyDays",
        integer(0, 36_500),
        "0",
        "Longest life of a new key in days; 0 = no limit.",
    )
    .live(),
    setting(
        "auth.adminSeesAll",
        Kind::Bool,
        "true",
        "Admins see the rows of all organizations; false = only of those they are members of.",
    ),
    setting(
        "limits.rate",
        integer(0, 1_000_000),
        "200",
        "Calls a second a key; 0 = no limit. A lower limit of the key itself wins.",
    )
    .live(),
    setting(
        "limits.burst",
        integer(0, 1_000_000),
        "400",
        "Calls a key may make at once before `limits.rate` holds; 0 = as many as the rate.",
    )
    .live(),
    setting(
        "limits.concurrency",
        integer(0, 1_000_000),
        "64",
        "Running calls a key; 0 = no limit.",
    )
    .live(),
    setting(
        "limits.accountConcurrency",
        integer(0, 1_000_000),
        "256",
        "Running calls an account; 0 = no limit.",
    )
    .live(),
    setting(
        "limits.sockets",
        integer(0, 1_000_000),
        "16",
        "WebSocket connections of a key at once. 0 = no limit.",
    )
    .live(),
    setting(
        "limits.subscriptions",
        integer(0, 1_000_000),
        "64",
        "Subscriptions of a WebSocket connection at once. 0 = no limit.",
    )
    .live(),
    setting(
        "calls.deadline",
        duration(1, DAY),
        "60s",
        "Time a call has when neither the caller nor the operation says otherwise.",
    )
    .live(),
    setting(
        "calls.maxDeadline",
        duration(1, 30 * DAY),
        "1h",
        "Longest time a caller may ask for.",
    )
    .live(),
    setting(
        "calls.recordCap",
        size(KIB, 16 * MIB),
        "64KiB",
        "Largest input or output that is recorded whole; of larger ones the beginning, the size and the SHA-256 are.",
    ),
    setting(
        "calls.maxDepth",
        integer(1, 256),
        "32",
        "Deepest nesting of calls that call others; a deeper call is refused.",
    ),
    setting(
        "calls.recoveryGrace",
        duration(0, HOUR),
        "60s",
        "After a restart, how long calls that ran on a spoke wait for it to come back before they count as interrupted.",
    ),
    setting(
        "calls.abortWait",
        duration(0, 10 * 60 * SECOND),
        "5s",
        "How long an abort waits for spokes to confirm that they stopped.",
    ),
    setting(
        "calls.maxAge",
        duration(0, TEN_YEARS),
        "30d",
        "Recorded calls older than this are removed, a tree at a time. 0 = kept for ever.",
    )
    .live(),
    setting(
        "calls.failedMaxAge",
        duration(0, TEN_YEARS),
        "90d",
        "Trees of calls in which one failed are kept this long instead. 0 = kept for ever.",
    )
    .live(),
    setting(
        "calls.maxRows",
        integer(0, 1_000_000_000_000),
        "0",
        "Recorded calls that are kept at most; the oldest trees are removed first. 0 = no limit.",
    )
    .live(),
    setting(
        "dispatch.queuePerOperation",
        integer(0, 1_000_000),
        "1000",
        "Calls of one operation that wait for a busy provider; further ones are refused.",
    ),
    setting(
        "spokes.heartbeat",
        duration(SECOND, HOUR),
        "15s",
        "How often a connection is asked for a sign of life; two unanswered and it is gone.",
    ),
    setting(
        "spokes.resumeGrace",
        duration(0, HOUR),
        "10s",
        "How long calls wait for a spoke that lost its connection to come back with them.",
    ),
    setting(
        "spokes.maxInFlight",
        integer(1, 10_000),
        "256",
        "Calls a spoke runs at once at most, whatever it asks for.",
    ),
    setting(
        "spokes.maxOperations",
        integer(1, 10_000),
        "2000",
        "Operations one spoke may offer.",
    ),
    optional(
        "operations.offerScope",
        Kind::Text(Rule::Name),
        "none is needed",
        "Scope an account needs to offer operations.",
    )
    .live(),
    setting(
        "ws.maxFrameBytes",
        size(64 * KIB, GIB),
        "16MiB",
        "Largest frame of a WebSocket connection; a larger one closes it.",
    ),
    setting(
        "ws.sendQueue",
        integer(16, 1_000_000),
        "1024",
        "Frames that may wait for a peer that does not read; full for 10 s, the connection is closed.",
    ),
    setting(
        "recorder.queue",
        integer(1, 1_000_000),
        "8192",
        "Records that may wait to be written; when full, calls wait.",
    ),
    setting(
        "recorder.queueBytes",
        size(64 * KIB, 64 * GIB),
        "64MiB",
        "Bytes that may wait to be written; when full, calls wait.",
    ),
    setting(
        "recorder.maxBatch",
        integer(1, 10_000),
        "1000",
        "Records written in one transaction.",
    ),
    setting(
        "recorder.deadline",
        duration(100, 10 * 60 * SECOND),
        "10s",
        "How long a call waits for its record to be written before it is answered with `UNAVAILABLE`.",
    ),
    setting(
        "recorder.ahead",
        Kind::Text(Rule::Choice(&["mutations", "all"])),
        "mutations",
        "Which calls are recorded before they run: mutations only, or queries too.",
    ),
    setting(
        "projects.repoUrlSchemes",
        Kind::List(Rule::Scheme),
        "https,ssh,git",
        "Schemes a project's repository address may have; add `file` for repositories on this machine.",
    ),
    setting(
        "clients.allowNetworks",
        Kind::List(Rule::Network),
        "",
        "Networks that are not public in which external services may be reached all the same, such as `10.1.0.0/16`.",
    )
    .live(),
    setting(
        "clients.allowStdio",
        Kind::Bool,
        "false",
        "Start programs that administrators configure as MCP servers. They run on the hub's machine with its rights; a server on a spoke does not.",
    ),
    setting(
        "mcp.enabled",
        Kind::Bool,
        "true",
        "Serve the Model Context Protocol at `/mcp`.",
    ),
    setting(
        "mcp.tools",
        Kind::List(Rule::Operations),
        "",
        "Operations that MCP clients see as tools of their own beside list, search, schema and call: full names, or patterns such as `task.*`; at most 40 operations in all.",
    ),
    setting(
        "mcp.maxItems",
        integer(1, 1_000),
        "50",
        "Items of a subscription that one call over MCP reads at most.",
    ),
    setting(
        "log.level",
        Kind::Text(Rule::LogFilter),
        "info",
        "Least level that is logged: `error`, `warn`, `info`, `debug`, `trace` or `off`; by target as in `info,alkhub_hub=debug`.",
    )
    .live()
    .env(),
    setting(
        "log.format",
        Kind::Text(Rule::Choice(&["auto", "pretty", "json"])),
        "auto",
        "`auto` is `pretty` on a terminal and `json` elsewhere.",
    )
    .live()
    .env(),
];

/// The setting of that key.
pub fn find(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}

/// The known key that looks most like `key`, for a hint; `None` when none is near.
pub fn nearest(key: &str) -> Option<&'static str> {
    let last = last_segment(key);
    SETTINGS
        .iter()
        .map(|setting| {
            let whole = strsim::normalized_damerau_levenshtein(
                &key.to_lowercase(),
                &setting.key.to_lowercase(),
            );
            // A right name in the wrong section counts nearly as much.
            let name = strsim::normalized_damerau_levenshtein(
                &last.to_lowercase(),
                &last_segment(setting.key).to_lowercase(),
            ) * 0.9;
            (whole.max(name), setting.key)
        })
        .filter(|(likeness, _)| *likeness >= 0.6)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, key)| key)
}

fn last_segment(key: &str) -> &str {
    key.rsplit_once('.').map_or(key, |(_, last)| last)
}
