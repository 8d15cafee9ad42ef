//! Definitions of operations, whoever provides them.

use std::collections::HashMap;

use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter,
};
use serde::Serialize;

use crate::engine::{Engine, json_array, text_array};
use crate::entity::operations::{ActiveModel, Column, Entity, Model};
use crate::enums::OperationType;
use crate::error::StorageError;
use crate::ids::{OperationId, REMOVED_OPERATION};
use crate::json::{AccessControl, ErrorDefinitions, JsonObject, Metadata, StringList};
use crate::page::{Key, KeyKind, Keyset, Order, Page, PageRequest};
use crate::row;
use crate::scope::column;
use crate::time;

/// A definition to be stored; its full name is the key.
#[derive(Debug, Clone, PartialEq)]
pub struct NewOperation {
    /// First part of the full name.
    pub namespace: String,
    /// Last part of the full name.
    pub name: String,
    /// Semantic version.
    pub version: String,
    /// Query, mutation or subscription.
    pub kind: OperationType,
    /// Shown title.
    pub title: Option<String>,
    /// What it does.
    pub description: String,
    /// Labels.
    pub tags: StringList,
    /// JSON Schema of the input.
    pub input_schema: serde_json::Value,
    /// JSON Schema of the output.
    pub output_schema: serde_json::Value,
    /// Errors it declares.
    pub error_schemas: ErrorDefinitions,
    /// Who may call it.
    pub access_control: AccessControl,
    /// Protocol metadata.
    pub protocol_meta: Option<JsonObject>,
    /// Notes of the hub to merge into those of the row.
    pub metadata: Metadata,
}

/// What [`upsert_operations`] did with a definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upserted {
    /// It is new.
    Inserted,
    /// It replaced another one.
    Changed,
    /// It was there already.
    Same,
}

/// Which definitions are wanted.
#[derive(Debug, Clone, Default, Serialize)]
pub struct OperationFilter {
    /// Of this namespace.
    pub namespace: Option<String>,
    /// Of this type.
    pub kind: Option<OperationType>,
    /// With all of these labels.
    pub tags: Vec<String>,
}

/// Stores definitions by their full names, in the order given. T
///
/// Which version may replace which is the caller's question.
pub async fn upsert_operations(
    db: &impl ConnectionTrait,
    operations: Vec<NewOperation>,
) -> Result<Vec<(Model, Upserted)>, StorageError> {
    let namespaces: Vec<&str> = operations
        .iter()
        .map(|new| new.namespace.as_str())
        .collect();
    let known: HashMap<(String, String), Model> = Entity::find()
        .filter(Engine::of(db).one_of(column("operations", "namespace"), &namespaces))
        .all(db)
        .await?
        .into_iter()
        .map(|row| ((row.namespace.clone(), row.name.clone()), row))
        .collect();
    let mut stored = Vec::with_capacity(operations.len());
    for new in operations {
        let found = known.get(&(new.namespace.clone(), new.name.clone()));
        stored.push(match found {
            None => (insert(db, new).await?, Upserted::Inserted),
            Some(row) => update(db, row, new).await?,
        });
    }
    Ok(stored)
}

/// The definition with this full name.
pub async fn operation_by_name(
    db: &impl ConnectionTrait,
    namespace: &str,
    name: &str,
) -> Result<Option<Model>, StorageError> {
    Ok(Entity::find()
        .filter(Column::Namespace.eq(namespace))
        .filter(Column::Name.eq(name))
        .one(db)
        .await?)
}

/// The definition with this id.
pub async fn operation_by_id(
    db: &impl ConnectionTrait,
    id: &OperationId,
) -> Result<Option<Model>, StorageError> {
    Ok(Entity::find_by_id(id.clone()).one(db).await?)
}

/// The definitions with these ids.
pub async fn operations_by_ids(
    db: &impl ConnectionTrait,
    ids: &[OperationId],
) -> Result<Vec<Model>, StorageError> {
    Ok(Entity::find()
        .filter(Engine::of(db).one_of(column("operations", "id"), ids))
        .all(db)
        .await?)
}

/// Every definition of a namespace.
pub async fn operations_of_namespace(
    db: &impl ConnectionTrait,
    namespace: &str,
) -> Result<Vec<Model>, StorageError> {
    Ok(Entity::find()
        .filter(Column::Namespace.eq(namespace))
        .all(db)
        .await?)
}

/// Definitions by full name, without the one that stands for removed ones.
pub async fn operations(
    db: &impl ConnectionTrait,
    filter: &OperationFilter,
    request: &PageRequest,
) -> Result<Page<Model>, StorageError> {
    let engine = Engine::of(db);
    let keyset = Keyset::new(
        vec![
            (engine.bytewise("operations", "namespace"), KeyKind::Text),
            (engine.bytewise("operations", "name"), KeyKind::Text),
        ],
        Order::Asc,
        &("operations", filter),
    )?;
    let mut select = Entity::find().filter(column("operations", "id").ne(REMOVED_OPERATION));
    if let Some(namespace) = &filter.namespace {
        select = select.filter(Column::Namespace.eq(namespace.as_str()));
    }
    if let Some(kind) = filter.kind {
        select = select.filter(Column::Kind.eq(kind));
    }
    if !filter.tags.is_empty() {
        select = select.filter(has_tags(engine, &filter.tags));
    }
    let rows = keyset.apply(select, request)?.all(db).await?;
    Ok(keyset.page(rows, request, |row| {
        vec![
            Key::Text(row.namespace.clone()),
            Key::Text(row.name.clone()),
        ]
    }))
}

/// Replaces the notes of a definition.
///
/// Errors: `NotFound`.
pub async fn set_operation_metadata(
    db: &impl ConnectionTrait,
    id: &OperationId,
    metadata: Metadata,
) -> Result<Model, StorageError> {
    let changes = ActiveModel {
        metadata: Set(metadata),
        ..<ActiveModel as Default>::default()
    };
    row::update::<Entity, _>(db, id.clone(), changes, None).await
}

async fn insert(db: &impl ConnectionTrait, new: NewOperation) -> Result<Model, StorageError> {
    let now = time::now();
    let row = ActiveModel {
        id: Set(OperationId::random()),
        namespace: Set(new.namespace),
        name: Set(new.name),
        version: Set(new.version),
        kind: Set(new.kind),
        title: Set(new.title),
        description: Set(new.description),
        tags: Set(new.tags),
        input_schema: Set(new.input_schema),
        output_schema: Set(new.output_schema),
        error_schemas: Set(new.error_schemas),
        access_control: Set(new.access_control),
        protocol_meta: Set(new.protocol_meta),
        metadata: Set(new.metadata),
        created_at: Set(now),
        updated_at: Set(now),
    };
    Ok(Entity::insert(row).exec_with_returning(db).await?)
}

async fn update(
    db: &impl ConnectionTrait,
    row: &Model,
    new: NewOperation,
) -> Result<(Model, Upserted), StorageError> {
    let mut metadata = row.metadata.clone();
    metadata.merge(new.metadata.0);
    let wanted = Model {
        version: new.version,
        kind: new.kind,
        title: new.title,
        description: new.description,
        tags: new.tags,
        input_schema: new.input_schema,
        output_schema: new.output_schema,
        error_schemas: new.error_schemas,
        access_control: new.access_control,
        protocol_meta: new.protocol_meta,
        metadata,
        ..row.clone()
    };
    if wanted == *row {
        return Ok((wanted, Upserted::Same));
    }
    let updated_at = time::after(row.updated_at);
    let changed = ActiveModel {
        created_at: NotSet,
        ..Model {
            updated_at,
            ..wanted
        }
        .into_active_model()
        .reset_all()
    };
    Ok((Entity::update(changed).exec(db).await?, Upserted::Changed))
}

/// Whether a definition has all of some labels.
fn has_tags(engine: Engine, tags: &[String]) -> sea_orm::sea_query::SimpleExpr {
    match engine {
        Engine::Postgres => {
            let held =
                Expr::cust("array(select jsonb_array_elements_text(\"operations\".\"tags\"))");
            held.binary(
                sea_orm::sea_query::BinOper::Custom("@>"),
                Expr::val(text_array(tags)),
            )
        }
        Engine::Sqlite => Expr::cust_with_values(
            "not exists (select 1 from json_each(?) as wanted where wanted.value not in \
             (select value from json_each(\"operations\".\"tags\")))",
            [json_array(tags)],
        ),
    }
}
