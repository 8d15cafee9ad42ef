//! Table `api_keys`.

use sea_orm::entity::prelude::*;

use crate::ids::{AccountId, ApiKeyId};
use crate::json::{Metadata, ResourceMap, StringList};

/// A key the hub issued; only its hash is kept.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "api_keys")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub id: ApiKeyId,
    /// Whose key it is; never changes.
    #[sea_orm(column_type = "Text")]
    pub owner_id: AccountId,
    /// Label given by the owner.
    #[sea_orm(column_type = "Text", nullable)]
    pub name: Option<String>,
    /// Longer note of the owner.
    #[sea_orm(column_type = "Text", nullable)]
    pub description: Option<String>,
    /// SHA-256 of the whole key, 64 lower-case hex digits; unique, never changes.
    #[sea_orm(column_type = "Text")]
    pub key_hash: String,
    /// First 12 characters, so that a list of keys is recognisable.
    #[sea_orm(column_type = "Text")]
    pub key_prefix: String,
    /// What the key may do; `*` is everything.
    #[sea_orm(column_type = "JsonBinary")]
    pub scopes: StringList,
    /// Narrows the key to ids by type.
    #[sea_orm(column_type = "JsonBinary")]
    pub resources: ResourceMap,
    /// Temporary switch.
    pub enabled: bool,
    /// End of life; none = never.
    #[sea_orm(column_type = "TimestampWithTimeZone", nullable)]
    pub expires_at: Option<DateTimeUtc>,
    /// When it was revoked; set once, never cleared.
    #[sea_orm(column_type = "TimestampWithTimeZone", nullable)]
    pub revoked_at: Option<DateTimeUtc>,
    /// The successor.
    #[sea_orm(column_type = "Text", nullable)]
    pub rotated_to_id: Option<ApiKeyId>,
    /// Last use, written at most once a minute.
    #[sea_orm(column_type = "TimestampWithTimeZone", nullable)]
    pub last_used_at: Option<DateTimeUtc>,
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
    /// Relation by `rotated_to_id`.
    #[sea_orm(
        self_ref,
        relation_enum = "Successor",
        relation_reverse = "Predecessor",
        from = "rotated_to_id",
        to = "id"
    )]
    pub successor: BelongsTo<Option<Entity>>,
    /// The key it succeeds; at most one, which SeaORM cannot say of a table and itself.
    #[sea_orm(
        self_ref,
        relation_enum = "Predecessor",
        relation_reverse = "Successor"
    )]
    pub predecessor: HasMany<Entity>,
    /// Reverse of `audit_logs::Relation::Key`.
    #[sea_orm(has_many, relation_enum = "AuditLogs", via_rel = "Key")]
    pub audit_logs: HasMany<super::audit_logs::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
