//! The relations of the entities are the foreign keys of the schema, and lead both ways.

use std::collections::BTreeSet;

use alkhub_storage::entity::{self, operation_registrations as registrations};
use sea_orm::{
    EntityLoaderTrait, EntityTrait, Identity, Iterable, ModelTrait, RelationDef, RelationTrait,
};
use serde_json::Value;

use crate::rows::{insert, world};
use crate::sql::run;
use crate::support::on_each_engine;

/// `child.column -> parent`
type Keys = BTreeSet<String>;

macro_rules! relations {
    ($($module:ident),+ $(,)?) => {
        fn relations() -> Vec<RelationDef> {
            let mut found = Vec::new();
            $(found.extend(entity::$module::Relation::iter().map(|relation| relation.def()));)+
            found
        }
    };
}

relations!(
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
);

fn column(identity: &Identity) -> String {
    match identity {
        Identity::Unary(column) => column.to_string(),
        other => panic!("a key of several columns: {other:?}"),
    }
}

#[test]
fn relations_are_the_foreign_keys_of_the_schema_both_ways() {
    let schema: Value = serde_json::from_str(include_str!("../vectors/schema.json")).unwrap();
    let expected: Keys = schema["foreign_keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| {
            let text = |name: &str| key[name].as_str().unwrap();
            format!(
                "{}.{} -> {}",
                text("table"),
                text("column"),
                text("references")
            )
        })
        .collect();
    assert_eq!(expected.len(), 37);
    let (mut forward, mut backward) = (Keys::new(), Keys::new());
    for relation in relations() {
        let from = relation.from_tbl.sea_orm_table().to_string();
        let to = relation.to_tbl.sea_orm_table().to_string();
        let (from_col, to_col) = (column(&relation.from_col), column(&relation.to_col));
        if relation.is_owner {
            backward.insert(format!("{to}.{to_col} -> {from}.{from_col}"));
        } else {
            forward.insert(format!("{from}.{from_col} -> {to}.{to_col}"));
        }
    }
    // A relation of a table to itself is one definition, read from either side.
    let own = |key: &&String| {
        let (child, parent) = key.split_once(" -> ").unwrap();
        child.split('.').next() == parent.split('.').next()
    };
    assert_eq!(forward, expected);
    let expected: Keys = expected.iter().filter(|key| !own(key)).cloned().collect();
    let backward: Keys = backward.iter().filter(|key| !own(key)).cloned().collect();
    assert_eq!(backward, expected);
}

#[tokio::test]
async fn registrations_are_linked_to_the_provider_of_their_type() {
    on_each_engine(async |db| {
        run(&db, &world()).await;
        // A client with the id of the spoke: only the type tells them apart.
        run(&db, &insert("clients", "spokes", &[])).await;
        run(
            &db,
            &insert(
                "operation_registrations",
                "by-client",
                &[
                    ("provider_type", "client"),
                    ("provider_id", "spokes"),
                    ("status", "inactive"),
                ],
            ),
        )
        .await;
        let reader = db.reader();
        let spoke = entity::spokes::Entity::find_by_id("spokes")
            .one(reader)
            .await
            .unwrap()
            .unwrap();
        let client = entity::clients::Entity::find_by_id("spokes")
            .one(reader)
            .await
            .unwrap()
            .unwrap();
        let of_spoke = spoke
            .find_linked(registrations::OfSpoke)
            .all(reader)
            .await
            .unwrap();
        let of_client = client
            .find_linked(registrations::OfClient)
            .all(reader)
            .await
            .unwrap();
        let ids = |rows: &[registrations::Model]| -> Vec<String> {
            rows.iter().map(|row| row.id.to_string()).collect()
        };
        assert_eq!(ids(&of_spoke), ["operation-registrations"]);
        assert_eq!(ids(&of_client), ["by-client"]);
        let back = of_spoke[0]
            .find_linked(registrations::BySpoke)
            .one(reader)
            .await
            .unwrap();
        assert_eq!(back, Some(spoke));
        let none = of_spoke[0]
            .find_linked(registrations::ByClient)
            .one(reader)
            .await
            .unwrap();
        assert_eq!(none, None);
        let back = of_client[0]
            .find_linked(registrations::ByClient)
            .one(reader)
            .await
            .unwrap();
        assert_eq!(back, Some(client));
    })
    .await;
}

#[tokio::test]
async fn rows_are_loaded_with_what_belongs_to_them() {
    on_each_engine(async |db| {
        run(&db, &world()).await;
        let session = entity::sessions::Entity::load()
            .filter_by_id("sessions")
            .with(entity::messages::Entity)
            .with(entity::projects::Entity)
            .one(db.reader())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(session.messages.len(), 1);
        assert_eq!(session.project.unwrap().id.as_str(), "projects");
    })
    .await;
}
