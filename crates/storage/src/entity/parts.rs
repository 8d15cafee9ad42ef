//! Table `parts`.

use sea_orm::entity::prelude::*;

use crate::enums::PartType;
use crate::ids::{MessageId, PartId, SessionId};
use crate::json::{JsonObject, Metadata};

/// One piece of a message; ids sort in the order of creation.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "parts")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub id: PartId,
    /// The message; never changes.
    #[sea_orm(column_type = "Text")]
    pub message_id: MessageId,
    /// The message's session; never changes.
    #[sea_orm(column_type = "Text")]
    pub session_id: SessionId,
    /// Kind of part.
    #[sea_orm(column_name = "type")]
    pub kind: PartType,
    /// Content, without the kind.
    #[sea_orm(column_type = "JsonBinary")]
    pub data: JsonObject,
    /// The hub's own notes; a missing object reads as an empty one.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub metadata: Metadata,
    /// Creation of the row; never changes.
    #[sea_orm(column_type = "TimestampWithTimeZone")]
    pub created_at: DateTimeUtc,
    /// Last change.
    #[sea_orm(column_type = "TimestampWithTimeZone")]
    pub updated_at: DateTimeUtc,
    /// Relation by `message_id`.
    #[sea_orm(belongs_to, relation_enum = "Message", from = "message_id", to = "id")]
    pub message: BelongsTo<super::messages::Entity>,
    /// Relation by `session_id`.
    #[sea_orm(belongs_to, relation_enum = "Session", from = "session_id", to = "id")]
    pub session: BelongsTo<super::sessions::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
