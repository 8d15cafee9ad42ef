//! Table `accounts`.

use sea_orm::entity::prelude::*;

use crate::enums::{AccessLevel, AccountStatus};
use crate::ids::AccountId;
use crate::json::{AccountProfile, Metadata};

/// An identity of a person or of a machine.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "accounts")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub id: AccountId,
    /// Unique login name, trimmed and in lower case.
    #[sea_orm(column_type = "Text")]
    pub email: String,
    /// Shown name.
    #[sea_orm(column_type = "Text", nullable)]
    pub display_name: Option<String>,
    /// What the account may administer.
    pub access_level: AccessLevel,
    /// Whether the account may act.
    pub status: AccountStatus,
    /// Linked Gitea user, in lower case; not unique.
    #[sea_orm(column_type = "Text", nullable)]
    pub gitea_username: Option<String>,
    /// Preferences and avatar; never a credential.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub data: Option<AccountProfile>,
    /// The hub's own notes; a missing object reads as an empty one.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub metadata: Metadata,
    /// Creation of the row; never changes.
    #[sea_orm(column_type = "TimestampWithTimeZone")]
    pub created_at: DateTimeUtc,
    /// Last change.
    #[sea_orm(column_type = "TimestampWithTimeZone")]
    pub updated_at: DateTimeUtc,
    /// Reverse of `organizations::Relation::Owner`.
    #[sea_orm(has_many, relation_enum = "OwnedOrganizations", via_rel = "Owner")]
    pub owned_organizations: HasMany<super::organizations::Entity>,
    /// Reverse of `organization_members::Relation::Account`.
    #[sea_orm(has_many, relation_enum = "Memberships", via_rel = "Account")]
    pub memberships: HasMany<super::organization_members::Entity>,
    /// Reverse of `api_keys::Relation::Owner`.
    #[sea_orm(has_many, relation_enum = "ApiKeys", via_rel = "Owner")]
    pub api_keys: HasMany<super::api_keys::Entity>,
    /// Reverse of `audit_logs::Relation::Owner`.
    #[sea_orm(has_many, relation_enum = "AuditLogs", via_rel = "Owner")]
    pub audit_logs: HasMany<super::audit_logs::Entity>,
    /// Reverse of `clients::Relation::Owner`.
    #[sea_orm(has_many, relation_enum = "Clients", via_rel = "Owner")]
    pub clients: HasMany<super::clients::Entity>,
    /// Reverse of `sessions::Relation::Account`.
    #[sea_orm(has_many, relation_enum = "Sessions", via_rel = "Account")]
    pub sessions: HasMany<super::sessions::Entity>,
    /// Reverse of `detections::Relation::Resolver`.
    #[sea_orm(has_many, relation_enum = "ResolvedDetections", via_rel = "Resolver")]
    pub resolved_detections: HasMany<super::detections::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
