//! Table `detections`.

use sea_orm::entity::prelude::*;

use crate::enums::Severity;
use crate::ids::{AccountId, DetectionId, SessionId};
use crate::json::{DetectionDetails, Metadata};

/// An anomaly seen in a session.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "detections")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub id: DetectionId,
    /// The session.
    #[sea_orm(column_type = "Text")]
    pub session_id: SessionId,
    /// Kind of anomaly; the kinds grow.
    #[sea_orm(column_type = "Text")]
    pub anomaly_type: String,
    /// How bad it is.
    pub severity: Severity,
    /// What was measured.
    #[sea_orm(column_type = "JsonBinary")]
    pub details: DetectionDetails,
    /// Equal key while unresolved = the same anomaly.
    #[sea_orm(column_type = "Text", nullable)]
    pub dedup_key: Option<String>,
    /// When it was resolved; none = open.
    #[sea_orm(column_type = "TimestampWithTimeZone", nullable)]
    pub resolved_at: Option<DateTimeUtc>,
    /// Who resolved it; none also for the hub itself.
    #[sea_orm(column_type = "Text", nullable)]
    pub resolved_by: Option<AccountId>,
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
    /// Relation by `resolved_by`.
    #[sea_orm(
        belongs_to,
        relation_enum = "Resolver",
        from = "resolved_by",
        to = "id"
    )]
    pub resolver: BelongsTo<Option<super::accounts::Entity>>,
}

impl ActiveModelBehavior for ActiveModel {}
