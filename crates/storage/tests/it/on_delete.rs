//! Each of the 37 delete rules, tried with real rows. The numbers are those of the foreign keys in the
//! table reference, so that a failure names the rule.

use alkhub_storage::Database;
use sea_orm::{ConnectionTrait, DatabaseTransaction, Statement};

use crate::rows::{insert, world};
use crate::sql::run;
use crate::support::on_each_engine;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Restrict,
    Cascade,
    SetNull,
}
use Action::{Cascade, Restrict, SetNull};

/// Number, child table, column, parent table, what happens to the child.
const RULES: &[(u8, &str, &str, &str, Action)] = &[
    (1, "organizations", "owner_id", "accounts", Restrict),
    (
        2,
        "organization_members",
        "org_id",
        "organizations",
        Cascade,
    ),
    (3, "organization_members", "account_id", "accounts", Cascade),
    (4, "projects", "org_id", "organizations", SetNull),
    (5, "workspaces", "project_id", "projects", Cascade),
    (6, "sessions", "project_id", "projects", Cascade),
    (7, "sessions", "workspace_id", "workspaces", SetNull),
    (8, "sessions", "parent_id", "sessions", SetNull),
    (9, "messages", "session_id", "sessions", Cascade),
    (10, "parts", "message_id", "messages", Cascade),
    (11, "parts", "session_id", "sessions", Cascade),
    (
        12,
        "operation_registrations",
        "operation_id",
        "operations",
        Cascade,
    ),
    (13, "spokes", "project_id", "projects", SetNull),
    (14, "api_keys", "owner_id", "accounts", Cascade),
    (15, "audit_logs", "key_id", "api_keys", SetNull),
    (16, "audit_logs", "owner_id", "accounts", Restrict),
    (17, "audit_logs", "session_id", "sessions", SetNull),
    (18, "audit_logs", "org_id", "organizations", SetNull),
    (19, "clients", "owner_id", "accounts", Restrict),
    (20, "clients", "org_id", "organizations", SetNull),
    (21, "client_secrets", "client_id", "clients", Cascade),
    (22, "mappings", "session_id", "sessions", Cascade),
    (23, "mappings", "spoke_id", "spokes", SetNull),
    (24, "mappings", "parent_session_id", "sessions", SetNull),
    (25, "mappings", "task_id", "tasks", SetNull),
    (26, "mappings", "workspace_id", "workspaces", SetNull),
    (27, "detections", "session_id", "sessions", Cascade),
    (28, "detections", "resolved_by", "accounts", SetNull),
    (29, "roles", "parent_id", "roles", SetNull),
    (30, "sessions", "account_id", "accounts", SetNull),
    (31, "tasks", "project_id", "projects", Cascade),
    (
        32,
        "task_dependencies",
        "depends_on_task_id",
        "tasks",
        Cascade,
    ),
    (
        33,
        "task_dependencies",
        "dependent_task_id",
        "tasks",
        Cascade,
    ),
    (
        34,
        "call_graph_edges",
        "source_id",
        "call_graph_nodes",
        Cascade,
    ),
    (
        35,
        "call_graph_edges",
        "target_id",
        "call_graph_nodes",
        Cascade,
    ),
    (
        36,
        "call_graph_nodes",
        "operation_id",
        "operations",
        Restrict,
    ),
    (37, "api_keys", "rotated_to_id", "api_keys", SetNull),
];

#[tokio::test]
async fn each_of_the_37_rules_acts_on_real_rows() {
    assert_eq!(RULES.len(), 37);
    on_each_engine(async |db| {
        run(&db, &world()).await;
        let mut failures = Vec::new();
        for (number, table, column, parent, action) in RULES {
            if let Err(reason) = try_rule(&db, table, column, parent, *action).await {
                failures.push(format!(
                    "rule {number}, {table}.{column} {action:?}: {reason}"
                ));
            }
        }
        assert!(failures.is_empty(), "{}", failures.join("\n"));
    })
    .await;
}

#[tokio::test]
async fn rule_16_keeps_an_account_with_audit_rows_whatever_else_could_cascade() {
    on_each_engine(async |db| {
        run(&db, &world()).await;
        let refusal = crate::sql::refusal(&db, "delete from accounts where id = 'accounts'").await;
        assert!(refusal.to_lowercase().contains("foreign key"), "{refusal}");
        assert_eq!(crate::sql::count(&db, "api_keys", "true").await, 1);
        assert_eq!(
            crate::sql::count(&db, "organization_members", "true").await,
            1
        );
    })
    .await;
}

#[tokio::test]
async fn deleting_a_project_takes_everything_inside_it() {
    on_each_engine(async |db| {
        run(&db, &world()).await;
        run(&db, "delete from projects").await;
        for table in [
            "workspaces",
            "sessions",
            "messages",
            "parts",
            "tasks",
            "task_dependencies",
            "mappings",
            "detections",
        ] {
            assert_eq!(crate::sql::count(&db, table, "true").await, 0, "{table}");
        }
        assert_eq!(
            crate::sql::count(&db, "spokes", "project_id is null").await,
            1
        );
        assert_eq!(
            crate::sql::count(&db, "audit_logs", "session_id is null").await,
            1
        );
    })
    .await;
}

/// Makes a parent and a child that refers to it, deletes the parent, looks at the child, and undoes
/// all of it.
async fn try_rule(
    db: &Database,
    table: &str,
    column: &str,
    parent: &str,
    action: Action,
) -> Result<(), String> {
    let transaction = db.begin().await.map_err(|error| error.to_string())?;
    let outcome = act(&transaction, table, column, parent, action).await;
    transaction
        .rollback()
        .await
        .map_err(|error| error.to_string())?;
    outcome
}

async fn act(
    transaction: &DatabaseTransaction,
    table: &str,
    column: &str,
    parent: &str,
    action: Action,
) -> Result<(), String> {
    let mut sql = insert(parent, "parent", &[]);
    let mut fields = vec![(column, "parent")];
    if (table, column) == ("parts", "session_id") {
        // A part lies in the session of its message.
        sql += &insert("messages", "message", &[("session_id", "parent")]);
        fields.push(("message_id", "message"));
    }
    sql += &insert(table, "child", &fields);
    transaction
        .execute_unprepared(&sql)
        .await
        .map_err(|error| format!("could not be set up: {error}"))?;

    let deletion = transaction
        .execute_unprepared(&format!("delete from {parent} where id = 'parent'"))
        .await;
    if action == Restrict {
        return match deletion {
            Err(error) if error.to_string().to_lowercase().contains("foreign key") => Ok(()),
            Err(error) => Err(format!("refused for another reason: {error}")),
            Ok(_) => Err("was not refused".to_owned()),
        };
    }
    deletion.map_err(|error| format!("deletion failed: {error}"))?;

    let statement = Statement::from_string(
        transaction.get_database_backend(),
        format!("select {column} from {table} where id = 'child'"),
    );
    let row = transaction
        .query_one_raw(statement)
        .await
        .map_err(|error| error.to_string())?;
    let value: Option<Option<String>> = row
        .map(|row| row.try_get_by_index(0).map_err(|error| error.to_string()))
        .transpose()?;
    match (action, value) {
        (Cascade, None) | (SetNull, Some(None)) => Ok(()),
        (_, found) => Err(format!("the child is {found:?}")),
    }
}
