//! Table `operations`.

use sea_orm::entity::prelude::*;

use crate::enums::OperationType;
use crate::ids::OperationId;
use crate::json::{AccessControl, ErrorDefinitions, JsonObject, Metadata, StringList};

/// A definition of an operation, whoever provides it.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "operations")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub id: OperationId,
    /// First part of the full name; dots allowed.
    #[sea_orm(column_type = "Text")]
    pub namespace: String,
    /// Last part of the full name.
    #[sea_orm(column_type = "Text")]
    pub name: String,
    /// Semantic version of the definition.
    #[sea_orm(column_type = "Text")]
    pub version: String,
    /// Query, mutation or subscription.
    #[sea_orm(column_name = "type")]
    pub kind: OperationType,
    /// Shown title.
    #[sea_orm(column_type = "Text", nullable)]
    pub title: Option<String>,
    /// What it does.
    #[sea_orm(column_type = "Text")]
    pub description: String,
    /// Labels.
    #[sea_orm(column_type = "JsonBinary")]
    pub tags: StringList,
    /// JSON Schema of the input.
    #[sea_orm(column_type = "JsonBinary")]
    pub input_schema: Json,
    /// JSON Schema of the output.
    #[sea_orm(column_type = "JsonBinary")]
    pub output_schema: Json,
    /// Errors it declares.
    #[sea_orm(column_type = "JsonBinary")]
    pub error_schemas: ErrorDefinitions,
    /// Who may call it.
    #[sea_orm(column_type = "JsonBinary")]
    pub access_control: AccessControl,
    /// Protocol metadata, passed on as it came; not `metadata`.
    #[sea_orm(column_name = "_meta", column_type = "JsonBinary", nullable)]
    pub protocol_meta: Option<JsonObject>,
    /// The hub's own notes; a missing object reads as an empty one.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub metadata: Metadata,
    /// Creation of the row; never changes.
    #[sea_orm(column_type = "TimestampWithTimeZone")]
    pub created_at: DateTimeUtc,
    /// Last change.
    #[sea_orm(column_type = "TimestampWithTimeZone")]
    pub updated_at: DateTimeUtc,
    /// Reverse of `operation_registrations::Relation::Operation`.
    #[sea_orm(has_many, relation_enum = "Registrations", via_rel = "Operation")]
    pub registrations: HasMany<super::operation_registrations::Entity>,
    /// Reverse of `call_graph_nodes::Relation::Operation`.
    #[sea_orm(has_many, relation_enum = "Calls", via_rel = "Operation")]
    pub calls: HasMany<super::call_graph_nodes::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
