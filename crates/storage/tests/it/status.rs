//! Closed sets of values: each engine refuses a foreign value by itself, and the repositories refuse
//! each transition that is not listed.

mod machines;

use crate::catalogue::columns::{CHECKS, Rule};
use crate::rows::{insert, tables, world};
use crate::sql::{execute, refusal, run};
use crate::support::on_each_engine;

/// Values a check beside the enums must refuse.
const BAD_VALUES: &[(&str, &str, &[&str])] = &[
    ("accounts", "email", &[""]),
    ("organizations", "name", &[""]),
    (
        "organizations",
        "slug",
        &["", "Upper", "a_b", "a b", "ä", "a.b"],
    ),
    ("api_keys", "name", &[""]),
    ("projects", "name", &[""]),
    ("workspaces", "name", &[""]),
    ("sessions", "slug", &[""]),
    ("spokes", "name", &[""]),
    ("operations", "name", &[""]),
    ("clients", "name", &[""]),
    ("client_secrets", "key", &[""]),
    ("roles", "name", &[""]),
    ("roles", "temperature", &["-0.1", "2.1"]),
    ("tasks", "slug", &[""]),
    ("tasks", "name", &[""]),
    ("task_dependencies", "dependent_task_id", &["tasks"]),
    ("task_dependencies", "quality_retention", &["-0.01", "1.01"]),
    ("call_graph_edges", "target_id", &["call-graph-nodes"]),
];

#[tokio::test]
async fn each_enum_column_takes_its_values_and_no_other() {
    on_each_engine(async |db| {
        run(&db, &world()).await;
        for (table, column, rule) in CHECKS {
            let Rule::OneOf(values) = rule else { continue };
            for value in ["", "bogus", "Active", "PENDING", " active"] {
                let message = refusal(&db, &with_value(table, column, value)).await;
                let check = format!("chk_{table}_{column}");
                assert!(
                    message.contains(&check),
                    "{table}.{column} = {value:?}: {message}"
                );
            }
            for value in values.split(' ') {
                let sql = with_value(table, column, value);
                execute(&db, &sql)
                    .await
                    .unwrap_or_else(|error| panic!("{table}.{column} = {value}: {error}"));
                run(&db, &format!("delete from {table} where id = 'tried'")).await;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn checks_beside_the_enums_refuse_bad_values() {
    let listed = CHECKS
        .iter()
        .filter(|(_, _, rule)| matches!(rule, Rule::Other))
        .count();
    assert_eq!(listed, BAD_VALUES.len(), "every check has its bad values");
    on_each_engine(async |db| {
        run(&db, &world()).await;
        for (table, column, values) in BAD_VALUES {
            for value in *values {
                let message = refusal(&db, &with_value(table, column, value)).await;
                let check = format!("chk_{table}_{column}");
                assert!(
                    message.contains(&check),
                    "{table}.{column} = {value:?}: {message}"
                );
            }
        }
    })
    .await;
}

#[tokio::test]
async fn no_table_takes_a_row_without_its_required_columns() {
    on_each_engine(async |db| {
        for table in tables() {
            let message = refusal(&db, &format!("insert into {table} (id) values ('x')")).await;
            let message = message.to_lowercase();
            assert!(
                message.contains("not null") || message.contains("not-null"),
                "{message}"
            );
            refusal(
                &db,
                &format!("insert into {table} (metadata) values ('{{}}')"),
            )
            .await;
        }
    })
    .await;
}

/// A row that fits but for one column. Rows with a unique key take fresh parents.
fn with_value(table: &str, column: &str, value: &str) -> String {
    let mut sql = String::new();
    let mut fields = vec![(column, value)];
    match table {
        "organization_members" => {
            sql += &insert("accounts", &format!("member {value}"), &[]);
            let owner = format!("member {value}");
            fields.push(("account_id", &owner));
            return sql + &insert(table, "tried", &fields);
        }
        "operation_registrations" => {
            if value == "client" {
                fields.push(("provider_id", "clients"));
            }
            let operation = format!("operation {column} {value}");
            sql += &insert("operations", &operation, &[]);
            fields.push(("operation_id", &operation));
            return sql + &insert(table, "tried", &fields);
        }
        "call_graph_edges" if column == "edge_type" => {
            let target = format!("target {value}");
            sql += &insert("call_graph_nodes", &target, &[]);
            fields.push(("target_id", &target));
            return sql + &insert(table, "tried", &fields);
        }
        "task_dependencies" if column == "quality_retention" => {
            sql += &insert("tasks", "third task", &[]);
            fields.push(("dependent_task_id", "third task"));
        }
        _ => {}
    }
    sql + &insert(table, "tried", &fields)
}
