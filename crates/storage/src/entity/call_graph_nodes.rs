//! Table `call_graph_nodes`.

use sea_orm::entity::prelude::*;

use crate::enums::CallStatus;
use crate::ids::{AccountId, CallGraphNodeId, OperationId};
use crate::json::{CallFailure, CallIdentity, Metadata};

/// One recorded call.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "call_graph_nodes")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub id: CallGraphNodeId,
    /// Unique; correlates the protocol's events.
    #[sea_orm(column_type = "Text")]
    pub request_id: String,
    /// What was called.
    #[sea_orm(column_type = "Text")]
    pub operation_id: OperationId,
    /// The parent's request id; none = top level.
    #[sea_orm(column_type = "Text", nullable)]
    pub parent_request_id: Option<String>,
    /// The caller at call time.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub identity: Option<CallIdentity>,
    /// The calling account; no foreign key.
    #[sea_orm(column_type = "Text", nullable)]
    pub caller_account_id: Option<AccountId>,
    /// Where the call stands.
    pub status: CallStatus,
    /// As called, capped.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub input: Option<Json>,
    /// As answered, capped.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub output: Option<Json>,
    /// Why it failed.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub error: Option<CallFailure>,
    /// When it was dispatched.
    #[sea_orm(column_type = "TimestampWithTimeZone", nullable)]
    pub started_at: Option<DateTimeUtc>,
    /// When it became terminal.
    #[sea_orm(column_type = "TimestampWithTimeZone", nullable)]
    pub completed_at: Option<DateTimeUtc>,
    /// The hub's own notes; a missing object reads as an empty one.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub metadata: Metadata,
    /// Creation of the row; never changes.
    #[sea_orm(column_type = "TimestampWithTimeZone")]
    pub created_at: DateTimeUtc,
    /// Last change.
    #[sea_orm(column_type = "TimestampWithTimeZone")]
    pub updated_at: DateTimeUtc,
    /// Relation by `operation_id`.
    #[sea_orm(
        belongs_to,
        relation_enum = "Operation",
        from = "operation_id",
        to = "id"
    )]
    pub operation: BelongsTo<super::operations::Entity>,
    /// Reverse of `call_graph_edges::Relation::Source`.
    #[sea_orm(has_many, relation_enum = "Outgoing", via_rel = "Source")]
    pub outgoing: HasMany<super::call_graph_edges::Entity>,
    /// Reverse of `call_graph_edges::Relation::Target`.
    #[sea_orm(has_many, relation_enum = "Incoming", via_rel = "Target")]
    pub incoming: HasMany<super::call_graph_edges::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
