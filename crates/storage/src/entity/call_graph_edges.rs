//! Table `call_graph_edges`.

use sea_orm::entity::prelude::*;

use crate::enums::EdgeType;
use crate::ids::{CallGraphEdgeId, CallGraphNodeId};
use crate::json::Metadata;

/// An edge between two recorded calls.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "call_graph_edges")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub id: CallGraphEdgeId,
    /// The caller, or what had to be done before.
    #[sea_orm(column_type = "Text")]
    pub source_id: CallGraphNodeId,
    /// The called, or what waited.
    #[sea_orm(column_type = "Text")]
    pub target_id: CallGraphNodeId,
    /// What the edge means.
    pub edge_type: EdgeType,
    /// The hub's own notes; a missing object reads as an empty one.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub metadata: Metadata,
    /// Creation of the row; never changes.
    #[sea_orm(column_type = "TimestampWithTimeZone")]
    pub created_at: DateTimeUtc,
    /// Last change.
    #[sea_orm(column_type = "TimestampWithTimeZone")]
    pub updated_at: DateTimeUtc,
    /// Relation by `source_id`.
    #[sea_orm(belongs_to, relation_enum = "Source", from = "source_id", to = "id")]
    pub source: BelongsTo<super::call_graph_nodes::Entity>,
    /// Relation by `target_id`.
    #[sea_orm(belongs_to, relation_enum = "Target", from = "target_id", to = "id")]
    pub target: BelongsTo<super::call_graph_nodes::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
