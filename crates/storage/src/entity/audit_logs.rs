//! Table `audit_logs`.

use sea_orm::entity::prelude::*;

use crate::ids::{AccountId, ApiKeyId, AuditLogId, OrganizationId, SessionId};
use crate::json::{AuditDetails, Metadata};

/// One thing that was done; append-only.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_logs")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub id: AuditLogId,
    /// Who did it.
    #[sea_orm(column_type = "Text")]
    pub owner_id: AccountId,
    /// With which key.
    #[sea_orm(column_type = "Text", nullable)]
    pub key_id: Option<ApiKeyId>,
    /// In which agent session.
    #[sea_orm(column_type = "Text", nullable)]
    pub session_id: Option<SessionId>,
    /// In whose organization.
    #[sea_orm(column_type = "Text", nullable)]
    pub org_id: Option<OrganizationId>,
    /// Dotted verb, such as `task.created`.
    #[sea_orm(column_type = "Text")]
    pub action: String,
    /// What exactly; never a secret.
    #[sea_orm(column_type = "JsonBinary")]
    pub details: AuditDetails,
    /// The hub's own notes; a missing object reads as an empty one.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub metadata: Metadata,
    /// Creation of the row; never changes.
    #[sea_orm(column_type = "TimestampWithTimeZone")]
    pub created_at: DateTimeUtc,
    /// Last change.
    #[sea_orm(column_type = "TimestampWithTimeZone")]
    pub updated_at: DateTimeUtc,
    /// Relation by `owner_id`.
    #[sea_orm(belongs_to, relation_enum = "Owner", from = "owner_id", to = "id")]
    pub owner: BelongsTo<super::accounts::Entity>,
    /// Relation by `key_id`.
    #[sea_orm(belongs_to, relation_enum = "Key", from = "key_id", to = "id")]
    pub key: BelongsTo<Option<super::api_keys::Entity>>,
    /// Relation by `session_id`.
    #[sea_orm(belongs_to, relation_enum = "Session", from = "session_id", to = "id")]
    pub session: BelongsTo<Option<super::sessions::Entity>>,
    /// Relation by `org_id`.
    #[sea_orm(belongs_to, relation_enum = "Organization", from = "org_id", to = "id")]
    pub organization: BelongsTo<Option<super::organizations::Entity>>,
}

impl ActiveModelBehavior for ActiveModel {}
