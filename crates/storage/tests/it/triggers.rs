//! What triggers keep, tried by direct SQL: columns that never change, the audit log, rules between
//! tables, `updated_at`.

use crate::rows::{id_of, insert, tables, world};
use crate::sql::{count, refusal, run, text};
use crate::support::on_each_engine;

/// Columns that never change, beside `id` and `created_at`.
const FROZEN: &[(&str, &str)] = &[
    ("messages", "session_id"),
    ("parts", "session_id"),
    ("parts", "message_id"),
    ("api_keys", "key_hash"),
    ("api_keys", "owner_id"),
    ("call_graph_nodes", "request_id"),
    ("call_graph_nodes", "operation_id"),
    ("call_graph_edges", "source_id"),
    ("call_graph_edges", "target_id"),
    ("call_graph_edges", "edge_type"),
    ("task_dependencies", "depends_on_task_id"),
    ("task_dependencies", "dependent_task_id"),
    ("operation_registrations", "operation_id"),
    ("operation_registrations", "provider_type"),
    ("operation_registrations", "provider_id"),
];

#[tokio::test]
async fn frozen_columns_refuse_every_change() {
    on_each_engine(async |db| {
        run(&db, &world()).await;
        let common = tables().flat_map(|table| [(table, "id"), (table, "created_at")]);
        for (table, column) in common.chain(FROZEN.iter().copied()) {
            let value = if column == "created_at" {
                "2020-01-02T03:04:05+00:00"
            } else {
                "other"
            };
            let message = refusal(
                &db,
                &format!(
                    "update {table} set {column} = '{value}' where id = '{}'",
                    id_of(table)
                ),
            )
            .await;
            let expected = format!("alkhub:immutable:{table}.{column}");
            assert!(message.contains(&expected), "{expected}: {message}");
        }
    })
    .await;
}

#[tokio::test]
async fn writing_the_same_value_to_a_frozen_column_is_no_change() {
    on_each_engine(async |db| {
        run(&db, &world()).await;
        run(
            &db,
            "update messages set session_id = session_id, role = 'assistant'",
        )
        .await;
        assert_eq!(count(&db, "messages", "role = 'assistant'").await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_record_moves_to_the_removed_operation_only() {
    on_each_engine(async |db| {
        run(&db, &world()).await;
        run(&db, &insert("operations", "other", &[])).await;
        let message = refusal(&db, "update call_graph_nodes set operation_id = 'other'").await;
        assert!(
            message.contains("alkhub:immutable:call_graph_nodes.operation_id"),
            "{message}"
        );
        run(
            &db,
            "update call_graph_nodes set operation_id = '__removed__'",
        )
        .await;
        let message = refusal(
            &db,
            "update call_graph_nodes set operation_id = 'operations'",
        )
        .await;
        assert!(
            message.contains("alkhub:immutable:call_graph_nodes.operation_id"),
            "{message}"
        );
    })
    .await;
}

#[tokio::test]
async fn audit_rows_change_in_no_column() {
    on_each_engine(async |db| {
        run(&db, &world()).await;
        run(&db, &insert("accounts", "other", &[])).await;
        for (column, value) in [
            ("owner_id", "other"),
            ("action", "other.done"),
            ("details", "{\"x\": 1}"),
            ("metadata", "{\"x\": 1}"),
            ("key_id", "api-keys"),
            ("session_id", "sessions"),
            ("org_id", "organizations"),
        ] {
            let message =
                refusal(&db, &format!("update audit_logs set {column} = '{value}'")).await;
            let expected = format!("alkhub:immutable:audit_logs.{column}");
            assert!(message.contains(&expected), "{expected}: {message}");
        }
    })
    .await;
}

#[tokio::test]
async fn audit_links_may_go_to_null_but_never_to_another_row() {
    on_each_engine(async |db| {
        run(&db, &world()).await;
        let links = [
            ("key_id", "api_keys"),
            ("session_id", "sessions"),
            ("org_id", "organizations"),
        ];
        for (column, parent) in links {
            run(&db, &insert(parent, "other", &[])).await;
            let id = format!("audit-{column}");
            run(&db, &insert("audit_logs", &id, &[(column, &id_of(parent))])).await;
            let message = refusal(
                &db,
                &format!("update audit_logs set {column} = 'other' where id = '{id}'"),
            )
            .await;
            assert!(
                message.contains(&format!("alkhub:immutable:audit_logs.{column}")),
                "{message}"
            );
            run(
                &db,
                &format!("update audit_logs set {column} = null where id = '{id}'"),
            )
            .await;
        }
    })
    .await;
}

#[tokio::test]
async fn audit_rows_are_sealed_once() {
    on_each_engine(async |db| {
        run(&db, &world()).await;
        run(
            &db,
            "update audit_logs set metadata = '{\"chain\": {\"seq\": 1, \"hash\": \"a\"}}'",
        )
        .await;
        for metadata in [
            "{\"chain\": {\"seq\": 1, \"hash\": \"b\"}}",
            "{}",
            "{\"chain\": null}",
        ] {
            let message = refusal(
                &db,
                &format!("update audit_logs set metadata = '{metadata}'"),
            )
            .await;
            assert!(
                message.contains("alkhub:immutable:audit_logs.metadata"),
                "{message}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn audit_rows_go_only_while_the_prune_switch_stands() {
    on_each_engine(async |db| {
        run(&db, &world()).await;
        let message = refusal(&db, "delete from audit_logs").await;
        assert!(
            message.contains("alkhub:immutable:audit_logs.*"),
            "{message}"
        );
        assert_eq!(count(&db, "audit_logs", "true").await, 1);
        run(
            &db,
            "insert into hub_meta (\"key\", \"value\") values ('audit.prune', 'true');
             delete from audit_logs;
             delete from hub_meta where \"key\" = 'audit.prune';",
        )
        .await;
        assert_eq!(count(&db, "audit_logs", "true").await, 0);
    })
    .await;
}

#[tokio::test]
async fn the_owner_of_an_organization_stays_its_owner_member() {
    on_each_engine(async |db| {
        run(&db, &world()).await;
        for sql in [
            "delete from organization_members",
            "update organization_members set membership_level = 'admin'",
            "update organization_members set membership_level = 'member'",
        ] {
            let message = refusal(&db, sql).await;
            assert!(
                message.contains("alkhub:rule:last_owner"),
                "{sql}: {message}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn ownership_passes_only_to_an_owner_member() {
    on_each_engine(async |db| {
        run(&db, &world()).await;
        run(&db, &insert("accounts", "heir", &[])).await;
        let transfer = "update organizations set owner_id = 'heir'";
        let message = refusal(&db, transfer).await;
        assert!(
            message.contains("alkhub:rule:owner_not_member"),
            "{message}"
        );
        let member = [("account_id", "heir"), ("membership_level", "member")];
        run(&db, &insert("organization_members", "heir", &member)).await;
        let message = refusal(&db, transfer).await;
        assert!(
            message.contains("alkhub:rule:owner_not_member"),
            "{message}"
        );

        run(
            &db,
            "update organization_members set membership_level = 'owner' where id = 'heir'",
        )
        .await;
        run(&db, transfer).await;
        run(
            &db,
            "update organization_members set membership_level = 'admin'
             where id = 'organization-members'",
        )
        .await;
        run(
            &db,
            "delete from organization_members where id = 'organization-members'",
        )
        .await;
    })
    .await;
}

#[tokio::test]
async fn an_organization_goes_with_its_owner_membership() {
    on_each_engine(async |db| {
        run(&db, &world()).await;
        run(&db, "delete from organizations").await;
        assert_eq!(count(&db, "organization_members", "true").await, 0);
    })
    .await;
}

#[tokio::test]
async fn a_part_lies_in_the_session_of_its_message() {
    on_each_engine(async |db| {
        run(&db, &world()).await;
        run(&db, &insert("sessions", "other", &[])).await;
        let message = refusal(&db, &insert("parts", "stray", &[("session_id", "other")])).await;
        assert!(message.contains("alkhub:rule:foreign_message"), "{message}");
        let message = refusal(&db, &insert("parts", "stray", &[("message_id", "none")])).await;
        assert!(message.to_lowercase().contains("foreign key"), "{message}");
    })
    .await;
}

#[tokio::test]
async fn the_removed_operation_can_be_neither_changed_nor_deleted() {
    on_each_engine(async |db| {
        for sql in [
            "update operations set description = 'x' where id = '__removed__'",
            "delete from operations where id = '__removed__'",
        ] {
            let message = refusal(&db, sql).await;
            assert!(message.contains("alkhub:rule:sentinel"), "{sql}: {message}");
        }
        assert_eq!(
            text(
                &db,
                "select namespace || '.' || name || ' ' || version from operations
                 where id = '__removed__'"
            )
            .await
            .as_deref(),
            Some("system.removed 0.0.0")
        );
    })
    .await;
}

#[tokio::test]
async fn a_registration_names_a_provider_of_its_type() {
    on_each_engine(async |db| {
        run(&db, &world()).await;
        for fields in [
            [("provider_type", "spoke"), ("provider_id", "none")],
            [("provider_type", "spoke"), ("provider_id", "clients")],
            [("provider_type", "client"), ("provider_id", "spokes")],
        ] {
            let message = refusal(&db, &insert("operation_registrations", "stray", &fields)).await;
            assert!(
                message.contains("alkhub:rule:unknown_provider"),
                "{fields:?}: {message}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn registrations_go_with_their_provider_and_no_other() {
    on_each_engine(async |db| {
        run(&db, &world()).await;
        // The same id in both tables: only the type tells whose registration it is.
        run(&db, &insert("clients", "spokes", &[])).await;
        let of_client = [("provider_type", "client"), ("provider_id", "spokes")];
        run(
            &db,
            &insert("operation_registrations", "of client", &of_client),
        )
        .await;
        run(&db, "delete from spokes").await;
        assert_eq!(count(&db, "operation_registrations", "true").await, 1);
        run(&db, "delete from clients where id = 'spokes'").await;
        assert_eq!(count(&db, "operation_registrations", "true").await, 0);
    })
    .await;
}

#[tokio::test]
async fn a_mapping_forgets_the_text_of_a_deleted_task() {
    on_each_engine(async |db| {
        run(&db, &world()).await;
        run(&db, "update mappings set task_id = 'tasks', task = 'tasks'").await;
        run(&db, "delete from tasks where id = 'tasks'").await;
        assert_eq!(
            count(&db, "mappings", "task_id is null and task is null").await,
            1
        );
    })
    .await;
}

#[tokio::test]
async fn a_mapping_forgets_the_text_of_a_task_that_goes_with_its_project() {
    on_each_engine(async |db| {
        run(&db, &world()).await;
        run(&db, &insert("projects", "other", &[])).await;
        run(&db, &insert("tasks", "theirs", &[("project_id", "other")])).await;
        run(
            &db,
            "update mappings set task_id = 'theirs', task = 'theirs'",
        )
        .await;
        run(&db, "delete from projects where id = 'other'").await;
        assert_eq!(
            count(&db, "mappings", "task_id is null and task is null").await,
            1
        );
    })
    .await;
}

#[tokio::test]
async fn dependencies_join_tasks_of_one_project() {
    on_each_engine(async |db| {
        run(&db, &world()).await;
        run(&db, &insert("projects", "other", &[])).await;
        run(&db, &insert("tasks", "theirs", &[("project_id", "other")])).await;
        let fields = [
            ("depends_on_task_id", "tasks"),
            ("dependent_task_id", "theirs"),
        ];
        let message = refusal(&db, &insert("task_dependencies", "stray", &fields)).await;
        assert!(message.contains("alkhub:rule:other_project"), "{message}");
    })
    .await;
}

#[tokio::test]
async fn a_task_with_dependencies_stays_in_its_project() {
    on_each_engine(async |db| {
        run(&db, &world()).await;
        run(&db, &insert("projects", "other", &[])).await;
        for id in ["tasks", "second task"] {
            let sql = format!("update tasks set project_id = 'other' where id = '{id}'");
            let message = refusal(&db, &sql).await;
            assert!(
                message.contains("alkhub:immutable:tasks.project_id"),
                "{message}"
            );
        }
        run(&db, "delete from task_dependencies").await;
        run(&db, "update tasks set project_id = 'other'").await;
    })
    .await;
}

#[tokio::test]
async fn updated_at_moves_with_every_change_by_hand() {
    on_each_engine(async |db| {
        run(&db, &world()).await;
        for table in tables().filter(|table| *table != "audit_logs") {
            let id = id_of(table);
            let stamp = format!("select cast(updated_at as text) from {table} where id = '{id}'");
            let before = text(&db, &stamp).await;
            run(
                &db,
                &format!("update {table} set metadata = '{{\"x\": 1}}' where id = '{id}'"),
            )
            .await;
            let after = text(&db, &stamp).await;
            assert!(after > before, "{table}: {before:?} then {after:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn an_explicit_updated_at_wins() {
    on_each_engine(async |db| {
        run(&db, &world()).await;
        run(
            &db,
            "update projects set updated_at = '2001-02-03T04:05:06.789+00:00'",
        )
        .await;
        let stamp = text(&db, "select cast(updated_at as text) from projects").await;
        assert!(
            stamp
                .as_deref()
                .is_some_and(|stamp| stamp.starts_with("2001-02-03")),
            "{stamp:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn metadata_is_an_object_or_null() {
    on_each_engine(async |db| {
        run(&db, &world()).await;
        for table in tables().filter(|table| *table != "audit_logs") {
            let row = format!("where id = '{}'", id_of(table));
            for value in ["[]", "3", "\"x\"", "null"] {
                let sql = format!("update {table} set metadata = '{value}' {row}");
                let message = refusal(&db, &sql).await;
                assert!(
                    message.contains(&format!("chk_{table}_metadata")),
                    "{message}"
                );
            }
            run(&db, &format!("update {table} set metadata = null {row}")).await;
        }
    })
    .await;
}
