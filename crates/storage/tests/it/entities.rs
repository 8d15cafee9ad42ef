//! The entities are what the migrations make: same tables, same columns, same types, same null.

use std::collections::BTreeMap;

use alkhub_storage::{Engine, entity};
use sea_orm::sea_query::ColumnType;
use sea_orm::{ColumnTrait, EntityName, EntityTrait, IdenStatic, Iterable};

use crate::sql::json_rows;
use crate::support::on_each_engine;

/// (type as the engine names it, whether null is allowed) by column.
type Columns = BTreeMap<String, (String, bool)>;

#[tokio::test]
async fn the_migrated_schema_is_what_the_entities_say() {
    on_each_engine(async |db| {
        let engine = db.engine();
        let entities = entities(engine);
        assert_eq!(entities.len(), 27, "22 tables and 5 of the hub's own");
        for (table, columns) in entities {
            let live = json_rows(&db, &columns_of(engine, &table)).await;
            let live: Columns = live
                .into_iter()
                .map(|row| {
                    (
                        row["name"].as_str().unwrap().to_owned(),
                        (
                            row["type"].as_str().unwrap().to_lowercase(),
                            row["null"].as_i64() == Some(1),
                        ),
                    )
                })
                .collect();
            assert_eq!(columns, live, "{table}");
        }
    })
    .await;
}

fn columns_of(engine: Engine, table: &str) -> String {
    match engine {
        Engine::Sqlite => format!(
            "select json_object('name', name, 'type', type, 'null', 1 - \"notnull\")
             from pragma_table_info('{table}')"
        ),
        Engine::Postgres => format!(
            "select cast(json_build_object('name', column_name, 'type', data_type,
                'null', case is_nullable when 'YES' then 1 else 0 end) as text)
             from information_schema.columns where table_name = '{table}'"
        ),
    }
}

macro_rules! entities {
    ($($module:ident),+ $(,)?) => {
        fn entities(engine: Engine) -> BTreeMap<String, Columns> {
            let mut found = BTreeMap::new();
            $(
                found.insert(
                    entity::$module::Entity.table_name().to_owned(),
                    describe::<entity::$module::Entity>(engine),
                );
            )+
            found
        }
    };
}

entities!(
    accounts,
    organizations,
    organization_members,
    api_keys,
    audit_logs,
    projects,
    workspaces,
    sessions,
    messages,
    parts,
    spokes,
    operations,
    operation_registrations,
    clients,
    client_secrets,
    roles,
    tasks,
    task_dependencies,
    mappings,
    detections,
    call_graph_nodes,
    call_graph_edges,
    hub_migrations,
    hub_meta,
    hub_usage,
    hub_budgets,
    hub_blobs,
);

fn describe<E: EntityTrait>(engine: Engine) -> Columns {
    E::Column::iter()
        .map(|column| {
            let definition = column.def();
            let name = type_name(engine, definition.get_column_type());
            (
                column.as_str().to_owned(),
                (name.to_owned(), definition.is_null()),
            )
        })
        .collect()
}

/// The type map of the design: what each engine calls a type.
fn type_name(engine: Engine, kind: &ColumnType) -> &'static str {
    let (postgres, sqlite) = match kind {
        ColumnType::Text | ColumnType::String(_) => ("text", "text"),
        ColumnType::JsonBinary => ("jsonb", "text"),
        ColumnType::TimestampWithTimeZone => ("timestamp with time zone", "text"),
        ColumnType::Boolean => ("boolean", "boolean"),
        ColumnType::Integer => ("integer", "integer"),
        ColumnType::BigInteger => ("bigint", "integer"),
        ColumnType::Float => ("real", "real"),
        ColumnType::Double => ("double precision", "real"),
        ColumnType::Date => ("date", "text"),
        ColumnType::VarBinary(_) | ColumnType::Blob | ColumnType::Binary(_) => ("bytea", "blob"),
        other => panic!("no column has the type {other:?}"),
    };
    match engine {
        Engine::Postgres => postgres,
        Engine::Sqlite => sqlite,
    }
}
