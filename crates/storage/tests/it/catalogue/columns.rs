//! Every column and every check of the 22 tables, written down once more, apart from the migrations.

use alkhub_storage::Engine;

use super::Column;

/// What a column holds; each engine has its own type for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Json,
    Time,
    Flag,
    Real,
    Double,
}

/// What a check asks.
pub(crate) enum Rule {
    /// These values, separated by blanks.
    OneOf(&'static str),
    /// Anything else; status tests try these by value.
    Other,
}

/// A table's columns beside the four common ones: name, kind, null or required, default.
pub(crate) const COLUMNS: &[(&str, &str)] = &[
    (
        "accounts",
        "
        email           text    required
        display_name    text    null
        access_level    text    required  user
        status          text    required  active
        gitea_username  text    null
        data            json    null
    ",
    ),
    (
        "organizations",
        "
        name            text    required
        slug            text    required
        owner_id        text    required
        gitea_org_name  text    null
        data            json    null
    ",
    ),
    (
        "organization_members",
        "
        org_id            text    required
        account_id        text    required
        membership_level  text    required  member
    ",
    ),
    (
        "api_keys",
        "
        owner_id       text    required
        name           text    null
        description    text    null
        key_hash       text    required
        key_prefix     text    required
        scopes         json    required  []
        resources      json    required  {}
        enabled        flag    required  true
        expires_at     time    null
        revoked_at     time    null
        rotated_to_id  text    null
        last_used_at   time    null
    ",
    ),
    (
        "projects",
        "
        org_id      text    null
        name        text    required
        directory   text    null
        repo_url    text    null
        vcs         text    null      git
        icon_url    text    null
        icon_color  text    null
    ",
    ),
    (
        "workspaces",
        "
        project_id  text    required
        type        text    required  local
        branch      text    null
        name        text    null
        directory   text    null
        extra       json    null
    ",
    ),
    (
        "sessions",
        "
        account_id    text    null
        project_id    text    required
        workspace_id  text    null
        parent_id     text    null
        slug          text    required
        title         text    required
        status        text    required  idle
        version       text    required  1
        role_name     text    null
        data          json    null
        archived_at   time    null
    ",
    ),
    (
        "messages",
        "
        session_id  text    required
        role        text    required
        data        json    required
    ",
    ),
    (
        "parts",
        "
        message_id  text    required
        session_id  text    required
        type        text    required
        data        json    required
    ",
    ),
    (
        "spokes",
        "
        name             text    required
        status           text    required  connected
        spoke_type       text    required  custom
        project_id       text    null
        last_heartbeat   time    null
        host_info        json    null
        connected_at     time    null
        disconnected_at  time    null
    ",
    ),
    (
        "operations",
        "
        namespace       text    required
        name            text    required
        version         text    required
        type            text    required
        title           text    null
        description     text    required
        tags            json    required  []
        input_schema    json    required
        output_schema   json    required
        error_schemas   json    required  []
        access_control  json    required
        _meta           json    null
    ",
    ),
    (
        "operation_registrations",
        "
        operation_id         text    required
        provider_type        text    required
        provider_id          text    required
        status               text    required  active
        pre_remap_namespace  text    null
        pre_remap_name       text    null
        registered_at        time    required  now()
    ",
    ),
    (
        "clients",
        "
        name      text    required
        type      text    required
        config    json    required
        enabled   flag    required  true
        owner_id  text    required
        org_id    text    null
    ",
    ),
    (
        "client_secrets",
        "
        client_id   text    required
        key         text    required
        value       json    required
        expires_at  time    null
    ",
    ),
    (
        "roles",
        "
        name         text    required
        description  text    null
        mode         text    required
        temperature  real    null
        permissions  json    required  []
        tools        json    required  {}
        prompt       text    null
        parent_id    text    null
        scopes       json    required  []
        data         json    null
    ",
    ),
    (
        "tasks",
        "
        project_id        text    required
        slug              text    required
        name              text    required
        path              text    null
        status            text    required  pending
        scope             text    null
        risk              text    null
        impact            text    null
        level             text    null
        priority          text    null
        tags              json    required  []
        assignee          text    null
        due_at            time    null
        body              text    null
        file_created_at   time    null
        file_modified_at  time    null
        started_at        time    null
        completed_at      time    null
    ",
    ),
    (
        "task_dependencies",
        "
        depends_on_task_id  text    required
        dependent_task_id   text    required
        quality_retention   double  null
    ",
    ),
    (
        "mappings",
        "
        session_id         text    required
        spoke_id           text    null
        workspace_id       text    null
        parent_session_id  text    null
        task_id            text    null
        task               text    null
        status             text    required  active
    ",
    ),
    (
        "detections",
        "
        session_id    text    required
        anomaly_type  text    required
        severity      text    required  medium
        details       json    required  {}
        dedup_key     text    null
        resolved_at   time    null
        resolved_by   text    null
    ",
    ),
    (
        "call_graph_nodes",
        "
        request_id         text    required
        operation_id       text    required
        parent_request_id  text    null
        identity           json    null
        caller_account_id  text    null
        status             text    required  pending
        input              json    null
        output             json    null
        error              json    null
        started_at         time    null
        completed_at       time    null
    ",
    ),
    (
        "call_graph_edges",
        "
        source_id  text    required
        target_id  text    required
        edge_type  text    required
    ",
    ),
    (
        "audit_logs",
        "
        owner_id    text    required
        key_id      text    null
        session_id  text    null
        org_id      text    null
        action      text    required
        details     json    required  {}
    ",
    ),
];

/// The columns every table has.
const COMMON: &str = "
    id          text  required
    metadata    json  null      {}
    created_at  time  required  now()
    updated_at  time  required  now()
";

/// Checks both engines have, beside those of `metadata`.
pub(crate) const CHECKS: &[(&str, &str, Rule)] = &[
    ("accounts", "email", Rule::Other),
    (
        "accounts",
        "access_level",
        Rule::OneOf("admin user service"),
    ),
    (
        "accounts",
        "status",
        Rule::OneOf("active suspended deactivated"),
    ),
    ("organizations", "name", Rule::Other),
    ("organizations", "slug", Rule::Other),
    (
        "organization_members",
        "membership_level",
        Rule::OneOf("owner admin member"),
    ),
    ("api_keys", "name", Rule::Other),
    ("projects", "name", Rule::Other),
    ("workspaces", "type", Rule::OneOf("local remote container")),
    ("workspaces", "name", Rule::Other),
    ("sessions", "slug", Rule::Other),
    (
        "sessions",
        "status",
        Rule::OneOf("idle busy retry archived"),
    ),
    ("messages", "role", Rule::OneOf("user assistant system")),
    (
        "parts",
        "type",
        Rule::OneOf(
            "text reasoning file tool-call step-start step-finish snapshot patch agent compaction retry source notice",
        ),
    ),
    ("spokes", "name", Rule::Other),
    ("spokes", "status", Rule::OneOf("connected disconnected")),
    (
        "spokes",
        "spoke_type",
        Rule::OneOf("dev-env client compute custom"),
    ),
    ("operations", "name", Rule::Other),
    (
        "operations",
        "type",
        Rule::OneOf("query mutation subscription"),
    ),
    (
        "operation_registrations",
        "provider_type",
        Rule::OneOf("spoke client"),
    ),
    (
        "operation_registrations",
        "status",
        Rule::OneOf("active inactive"),
    ),
    ("clients", "name", Rule::Other),
    (
        "clients",
        "type",
        Rule::OneOf("llm-provider vcs compute mcp-server custom"),
    ),
    ("client_secrets", "key", Rule::Other),
    ("roles", "name", Rule::Other),
    ("roles", "mode", Rule::OneOf("primary subagent")),
    ("roles", "temperature", Rule::Other),
    ("tasks", "slug", Rule::Other),
    ("tasks", "name", Rule::Other),
    (
        "tasks",
        "status",
        Rule::OneOf("pending in-progress completed failed blocked"),
    ),
    (
        "tasks",
        "scope",
        Rule::OneOf("single narrow moderate broad system"),
    ),
    (
        "tasks",
        "risk",
        Rule::OneOf("trivial low medium high critical"),
    ),
    (
        "tasks",
        "impact",
        Rule::OneOf("isolated component phase project"),
    ),
    (
        "tasks",
        "level",
        Rule::OneOf("planning decomposition implementation review research"),
    ),
    ("tasks", "priority", Rule::OneOf("low medium high critical")),
    ("task_dependencies", "dependent_task_id", Rule::Other),
    ("task_dependencies", "quality_retention", Rule::Other),
    (
        "mappings",
        "status",
        Rule::OneOf("active completed aborted failed"),
    ),
    ("detections", "severity", Rule::OneOf("low medium high")),
    (
        "call_graph_nodes",
        "status",
        Rule::OneOf("pending running completed failed aborted"),
    ),
    ("call_graph_edges", "target_id", Rule::Other),
    (
        "call_graph_edges",
        "edge_type",
        Rule::OneOf("triggered depends_on"),
    ),
];

/// The columns of a table as an engine's catalogue spells them.
pub(crate) fn parse(text: &str, engine: Engine) -> Vec<Column> {
    lines(text)
        .map(|line| {
            let mut words = line.split_whitespace();
            let name = words.next().expect("a name").to_owned();
            let kind = kind(words.next().expect("a kind"));
            let required = words.next().expect("null or required") == "required";
            Column {
                name,
                type_name: type_name(kind, engine).to_owned(),
                required,
                default: words.next().map(str::to_owned),
            }
        })
        .collect()
}

/// Name and kind of every column of a table.
pub(crate) fn kinds(text: &str) -> Vec<(String, Kind)> {
    lines(text)
        .map(|line| {
            let mut words = line.split_whitespace();
            let name = words.next().expect("a name").to_owned();
            (name, kind(words.next().expect("a kind")))
        })
        .collect()
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .chain(COMMON.lines())
        .filter(|line| !line.trim().is_empty())
}

fn kind(word: &str) -> Kind {
    match word {
        "text" => Kind::Text,
        "json" => Kind::Json,
        "time" => Kind::Time,
        "flag" => Kind::Flag,
        "real" => Kind::Real,
        "double" => Kind::Double,
        other => panic!("no such kind of column: {other}"),
    }
}

fn type_name(kind: Kind, engine: Engine) -> &'static str {
    match (engine, kind) {
        (Engine::Postgres, Kind::Text) => "text",
        (Engine::Postgres, Kind::Json) => "jsonb",
        (Engine::Postgres, Kind::Time) => "timestamp with time zone",
        (Engine::Postgres, Kind::Flag) => "boolean",
        (Engine::Postgres, Kind::Real) => "real",
        (Engine::Postgres, Kind::Double) => "double precision",
        (Engine::Sqlite, Kind::Text | Kind::Json | Kind::Time) => "TEXT",
        (Engine::Sqlite, Kind::Flag) => "BOOLEAN",
        (Engine::Sqlite, Kind::Real | Kind::Double) => "REAL",
    }
}
