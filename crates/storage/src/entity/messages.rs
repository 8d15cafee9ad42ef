//! Table `messages`.

use sea_orm::entity::prelude::*;

use crate::enums::MessageRole;
use crate::ids::{MessageId, SessionId};
use crate::json::{MessageData, Metadata};

/// One turn of a session.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "messages")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub id: MessageId,
    /// The session; never changes.
    #[sea_orm(column_type = "Text")]
    pub session_id: SessionId,
    /// Who speaks.
    pub role: MessageRole,
    /// What belongs to the turn as a whole.
    #[sea_orm(column_type = "JsonBinary")]
    pub data: MessageData,
    /// The hub's own notes; a missing object reads as an empty one.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub metadata: Metadata,
    /// Creation of the row; never changes.
    #[sea_orm(column_type = "TimestampWithTimeZone")]
    pub created_at: DateTimeUtc,
    /// Last change.
    #[sea_orm(column_type = "TimestampWithTimeZone")]
    pub updated_at: DateTimeUtc,
    /// Relation by `session_id`.
    #[sea_orm(belongs_to, relation_enum = "Session", from = "session_id", to = "id")]
    pub session: BelongsTo<super::sessions::Entity>,
    /// Reverse of `parts::Relation::Message`.
    #[sea_orm(has_many, relation_enum = "Parts", via_rel = "Message")]
    pub parts: HasMany<super::parts::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
