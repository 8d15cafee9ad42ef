//! The live catalogue of a freshly migrated database, on each engine, against the published facts of
//! the schema (`vectors/schema.json`) and the columns written down in [`columns`].

pub(crate) mod columns;
mod postgres;
mod sqlite;

use std::collections::{BTreeMap, BTreeSet};

use alkhub_storage::{Database, Engine};
use serde_json::Value;

use crate::support::on_each_engine;
use columns::{CHECKS, COLUMNS, Kind};

/// What a database says of itself, in words both engines share.
#[derive(Debug, Default)]
pub(crate) struct Catalogue {
    pub columns: BTreeMap<String, Vec<Column>>,
    pub foreign_keys: BTreeSet<ForeignKey>,
    pub indexes: BTreeMap<String, Index>,
    /// Text of each check by name.
    pub checks: BTreeMap<String, String>,
    /// (table, trigger)
    pub triggers: BTreeSet<(String, String)>,
    /// Everything else that has a name, as `kind name`.
    pub others: BTreeSet<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    pub name: String,
    pub type_name: String,
    pub required: bool,
    pub default: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ForeignKey {
    pub name: String,
    pub table: String,
    pub column: String,
    pub references: String,
    pub on_delete: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Index {
    pub table: String,
    pub unique: bool,
    pub method: String,
    pub columns: Vec<String>,
    /// Operator class where it is not the default one.
    pub operator_class: Option<String>,
    /// Without blanks, brackets and casts, in lower case.
    pub predicate: Option<String>,
}

/// Objects outside the 22 tables whose names do not start with `hub_`.
const ALLOWED: &[&str] = &["function set_updated_at"];

async fn read(db: &Database) -> Catalogue {
    match db.engine() {
        Engine::Postgres => postgres::read(db).await,
        Engine::Sqlite => sqlite::read(db).await,
    }
}

fn schema() -> Value {
    serde_json::from_str(include_str!("../vectors/schema.json")).expect("the vectors are JSON")
}

fn strings(value: &Value) -> Vec<String> {
    value
        .as_array()
        .expect("a list")
        .iter()
        .map(|item| item.as_str().expect("a text").to_owned())
        .collect()
}

/// Spelling that both engines' renderings of one predicate have in common.
pub(crate) fn plain_predicate(text: &str) -> String {
    let plain: String = text
        .to_lowercase()
        .replace("::text", "")
        .replace("= any", "in")
        .replace("array", "")
        .chars()
        .filter(|letter| !letter.is_whitespace() && !"()[]".contains(*letter))
        .collect();
    plain
}

#[tokio::test]
async fn tables_are_the_22_of_the_schema() {
    on_each_engine(async |db| {
        let listed: BTreeSet<String> = schema()["tables"]
            .as_object()
            .expect("groups of tables")
            .values()
            .flat_map(strings)
            .collect();
        assert_eq!(listed.len(), 22);
        let live: BTreeSet<String> = read(&db).await.columns.into_keys().collect();
        assert_eq!(live, listed);
    })
    .await;
}

#[tokio::test]
async fn columns_have_type_nullability_and_default_as_written_down() {
    on_each_engine(async |db| {
        let live = read(&db).await;
        assert_eq!(COLUMNS.len(), 22);
        for (table, text) in COLUMNS {
            let expected = columns::parse(text, db.engine());
            let found = &live.columns[*table];
            let mut found_sorted = found.clone();
            found_sorted.sort_by(|a, b| a.name.cmp(&b.name));
            let mut expected_sorted = expected;
            expected_sorted.sort_by(|a, b| a.name.cmp(&b.name));
            assert_eq!(found_sorted, expected_sorted, "columns of {table}");
        }
    })
    .await;
}

#[tokio::test]
async fn foreign_keys_are_the_37_of_the_schema() {
    on_each_engine(async |db| {
        let listed: BTreeSet<ForeignKey> = schema()["foreign_keys"]
            .as_array()
            .expect("a list of keys")
            .iter()
            .map(|key| {
                let field = |name: &str| key[name].as_str().expect("a text").to_owned();
                let (table, column) = (field("table"), field("column"));
                ForeignKey {
                    name: format!("fk_{table}_{column}"),
                    references: field("references"),
                    on_delete: field("on_delete"),
                    table,
                    column,
                }
            })
            .collect();
        assert_eq!(listed.len(), 37);
        assert_eq!(read(&db).await.foreign_keys, listed);
    })
    .await;
}

#[tokio::test]
async fn indexes_are_the_87_of_the_schema_less_gin_on_sqlite() {
    // Columns the schema leaves open; decided with the schema and written down with their reasons.
    let decided: BTreeMap<&str, &[&str]> = BTreeMap::from([
        (
            "unq_operation_registrations_active",
            ["operation_id", "provider_type", "provider_id"].as_slice(),
        ),
        ("idx_api_keys_active", &["owner_id"]),
        ("idx_spokes_active", &["id"]),
        ("idx_tasks_active", &["project_id", "status"]),
    ]);
    on_each_engine(async |db| {
        let on_postgres = db.engine() == Engine::Postgres;
        let mut listed = BTreeMap::new();
        for index in schema()["indexes"].as_array().expect("a list of indexes") {
            let name = index["name"].as_str().expect("a name").to_owned();
            let columns = if index["columns"].is_null() {
                decided[name.as_str()]
                    .iter()
                    .map(|column| (*column).to_owned())
                    .collect()
            } else {
                strings(&index["columns"])
            };
            let method = index["method"].as_str().expect("a method").to_owned();
            if method == "gin" && !on_postgres {
                continue;
            }
            let entry = Index {
                table: index["table"].as_str().expect("a table").to_owned(),
                unique: index["unique"].as_bool().expect("a flag"),
                method,
                columns,
                operator_class: index["opclass"]
                    .as_str()
                    .filter(|_| on_postgres)
                    .map(str::to_owned),
                predicate: index["where"].as_str().map(plain_predicate),
            };
            assert!(listed.insert(name, entry).is_none());
        }
        assert_eq!(listed.len(), if on_postgres { 87 } else { 86 });
        let unique = listed.values().filter(|index| index.unique).count();
        assert_eq!(unique, 15);
        assert_eq!(read(&db).await.indexes, listed);
    })
    .await;
}

#[tokio::test]
async fn checks_are_exactly_those_written_down() {
    on_each_engine(async |db| {
        let mut expected: BTreeSet<String> = CHECKS
            .iter()
            .map(|(table, column, _)| format!("chk_{table}_{column}"))
            .collect();
        for (table, text) in COLUMNS {
            expected.insert(format!("chk_{table}_metadata"));
            if db.engine() == Engine::Sqlite {
                for (column, kind) in columns::kinds(text) {
                    if matches!(kind, Kind::Json | Kind::Time | Kind::Flag) {
                        expected.insert(format!("chk_{table}_{column}"));
                    }
                }
            }
        }
        let live = read(&db).await;
        let found: BTreeSet<String> = live.checks.keys().cloned().collect();
        assert_eq!(found, expected);

        for (table, column, rule) in CHECKS {
            let text = &live.checks[&format!("chk_{table}_{column}")];
            if let columns::Rule::OneOf(values) = rule {
                assert_eq!(
                    quoted(text),
                    values.split(' ').collect::<Vec<_>>(),
                    "{text}"
                );
            }
        }
    })
    .await;
}

#[tokio::test]
async fn enums_of_the_schema_are_those_of_the_checks() {
    let enums = schema()["enums"].as_object().expect("enums").clone();
    assert_eq!(enums.len(), 10);
    for (place, values) in enums {
        let (table, column) = place.split_once('.').expect("table.column");
        let rule = CHECKS
            .iter()
            .find(|(t, c, _)| *t == table && *c == column)
            .map(|(_, _, rule)| rule);
        let Some(columns::Rule::OneOf(written)) = rule else {
            panic!("no enum is written down for {place}");
        };
        assert_eq!(strings(&values).join(" "), *written, "{place}");
    }
}

#[tokio::test]
async fn the_enums_of_the_code_are_those_of_the_checks() {
    use alkhub_storage::enums::*;
    macro_rules! written {
        ($($name:ident => $($place:literal),+;)+) => {
            [$($(($place, $name::ALL.iter().map(|word| word.as_str()).collect::<Vec<_>>()),)+)+]
        };
    }
    let code = written! {
        AccessLevel => "accounts.access_level";
        AccountStatus => "accounts.status";
        MembershipLevel => "organization_members.membership_level";
        WorkspaceType => "workspaces.type";
        SessionStatus => "sessions.status";
        MessageRole => "messages.role";
        PartType => "parts.type";
        SpokeStatus => "spokes.status";
        SpokeType => "spokes.spoke_type";
        OperationType => "operations.type";
        ProviderType => "operation_registrations.provider_type";
        RegistrationStatus => "operation_registrations.status";
        ClientType => "clients.type";
        RoleMode => "roles.mode";
        TaskStatus => "tasks.status";
        TaskScope => "tasks.scope";
        TaskRisk => "tasks.risk";
        TaskImpact => "tasks.impact";
        TaskLevel => "tasks.level";
        TaskPriority => "tasks.priority";
        MappingStatus => "mappings.status";
        Severity => "detections.severity";
        CallStatus => "call_graph_nodes.status";
        EdgeType => "call_graph_edges.edge_type";
    };
    let code: BTreeMap<String, Vec<&str>> = code
        .into_iter()
        .map(|(place, words)| (place.to_owned(), words))
        .collect();
    let checks: BTreeMap<String, Vec<&str>> = CHECKS
        .iter()
        .filter_map(|(table, column, rule)| match rule {
            columns::Rule::OneOf(values) => {
                Some((format!("{table}.{column}"), values.split(' ').collect()))
            }
            columns::Rule::Other => None,
        })
        .collect();
    assert_eq!(code, checks);
}

#[tokio::test]
async fn every_table_has_its_updated_at_trigger_and_guards() {
    on_each_engine(async |db| {
        let live = read(&db).await;
        for (table, _) in COLUMNS {
            for what in ["updated_at", "immutable"] {
                let trigger = ((*table).to_owned(), format!("trg_{table}_{what}"));
                assert!(live.triggers.contains(&trigger), "{trigger:?} is missing");
            }
        }
        let named = live
            .triggers
            .iter()
            .filter(|(_, name)| name.starts_with("trg_"))
            .count();
        assert_eq!(named, 57, "{:?}", live.triggers);
    })
    .await;
}

#[tokio::test]
async fn other_objects_carry_the_prefix_of_the_hub() {
    on_each_engine(async |db| {
        let live = read(&db).await;
        for (table, trigger) in &live.triggers {
            let fits = trigger.starts_with(&format!("trg_{table}_")) || trigger.starts_with("hub_");
            assert!(fits, "trigger {trigger} of {table}");
        }
        for object in &live.others {
            let (_, name) = object.split_once(' ').expect("kind name");
            let fits = name.starts_with("hub_") || ALLOWED.contains(&object.as_str());
            assert!(fits, "{object} is in no list");
        }
    })
    .await;
}

/// The texts in single quotes, in order.
fn quoted(text: &str) -> Vec<&str> {
    text.split('\'').skip(1).step_by(2).collect()
}
