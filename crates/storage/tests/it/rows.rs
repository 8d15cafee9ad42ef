//! Rows written by direct SQL, for tests of the database's own rules.

/// The columns a row needs beside its id. A value `@table` is the id of that table's row in [`world`],
/// `$` the row's own id.
const REQUIRED: &[(&str, &[(&str, &str)])] = &[
    ("accounts", &[("email", "$@example.com")]),
    (
        "organizations",
        &[("name", "$"), ("slug", "$"), ("owner_id", "@accounts")],
    ),
    (
        "organization_members",
        &[
            ("org_id", "@organizations"),
            ("account_id", "@accounts"),
            ("membership_level", "owner"),
        ],
    ),
    (
        "api_keys",
        &[
            ("owner_id", "@accounts"),
            ("key_hash", "hash of $"),
            ("key_prefix", "alk_$"),
        ],
    ),
    ("projects", &[("name", "$")]),
    ("workspaces", &[("project_id", "@projects")]),
    (
        "sessions",
        &[("project_id", "@projects"), ("slug", "$"), ("title", "$")],
    ),
    (
        "messages",
        &[
            ("session_id", "@sessions"),
            ("role", "user"),
            ("data", "{}"),
        ],
    ),
    (
        "parts",
        &[
            ("message_id", "@messages"),
            ("session_id", "@sessions"),
            ("type", "text"),
            ("data", "{\"text\": \"words of $\"}"),
        ],
    ),
    ("spokes", &[("name", "$")]),
    (
        "operations",
        &[
            ("namespace", "space"),
            ("name", "$"),
            ("version", "1.0.0"),
            ("type", "query"),
            ("description", "does $"),
            ("input_schema", "{}"),
            ("output_schema", "{}"),
            ("access_control", "{}"),
        ],
    ),
    (
        "operation_registrations",
        &[
            ("operation_id", "@operations"),
            ("provider_type", "spoke"),
            ("provider_id", "@spokes"),
        ],
    ),
    (
        "clients",
        &[
            ("name", "$"),
            ("type", "custom"),
            ("config", "{}"),
            ("owner_id", "@accounts"),
        ],
    ),
    (
        "client_secrets",
        &[
            ("client_id", "@clients"),
            ("key", "$"),
            (
                "value",
                "{\"keyVersion\": 1, \"salt\": \"\", \"iv\": \"\", \"data\": \"\"}",
            ),
        ],
    ),
    ("roles", &[("name", "$"), ("mode", "primary")]),
    (
        "tasks",
        &[("project_id", "@projects"), ("slug", "$"), ("name", "$")],
    ),
    (
        "task_dependencies",
        &[
            ("depends_on_task_id", "@tasks"),
            ("dependent_task_id", "second task"),
        ],
    ),
    ("mappings", &[("session_id", "@sessions")]),
    (
        "detections",
        &[
            ("session_id", "@sessions"),
            ("anomaly_type", "SESSION_STALL"),
        ],
    ),
    (
        "call_graph_nodes",
        &[("request_id", "request $"), ("operation_id", "@operations")],
    ),
    (
        "call_graph_edges",
        &[
            ("source_id", "@call_graph_nodes"),
            ("target_id", "second call"),
            ("edge_type", "triggered"),
        ],
    ),
    (
        "audit_logs",
        &[("owner_id", "@accounts"), ("action", "test.done")],
    ),
];

/// The names of the 22 tables in an order in which their rows can be made.
pub(crate) fn tables() -> impl Iterator<Item = &'static str> {
    REQUIRED.iter().map(|(table, _)| *table)
}

/// Id of the row of a table in [`world`].
pub(crate) fn id_of(table: &str) -> String {
    table.replace('_', "-")
}

/// An insert of one row; `fields` replace or complete the required ones.
pub(crate) fn insert(table: &str, id: &str, fields: &[(&str, &str)]) -> String {
    let required = REQUIRED
        .iter()
        .find(|(name, _)| *name == table)
        .unwrap_or_else(|| panic!("no table {table}"))
        .1;
    let mut columns = vec!["id".to_owned()];
    let mut values = vec![format!("'{id}'")];
    let given = |column: &str| fields.iter().any(|(name, _)| *name == column);
    let kept = required.iter().filter(|(column, _)| !given(column));
    for (column, value) in kept.chain(fields) {
        columns.push(format!("\"{column}\""));
        let value = match value.strip_prefix('@') {
            Some(table) => id_of(table),
            None => value.replace('$', id),
        };
        values.push(format!("'{}'", value.replace('\'', "''")));
    }
    format!(
        "insert into {table} ({}) values ({});\n",
        columns.join(", "),
        values.join(", ")
    )
}

/// One row in each table, each referring to the others where it must.
pub(crate) fn world() -> String {
    let mut sql = String::new();
    for table in tables() {
        if table == "task_dependencies" {
            sql += &insert("tasks", "second task", &[]);
        }
        if table == "call_graph_edges" {
            sql += &insert("call_graph_nodes", "second call", &[]);
        }
        sql += &insert(table, &id_of(table), &[]);
    }
    sql
}
