//! Table `organizations`.

use sea_orm::entity::prelude::*;

use crate::ids::{AccountId, OrganizationId};
use crate::json::{Metadata, OrganizationSettings};

/// A tenant: people who share projects.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "organizations")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub id: OrganizationId,
    /// Unique shown name.
    #[sea_orm(column_type = "Text")]
    pub name: String,
    /// Unique name in addresses: lower-case letters, digits, hyphens.
    #[sea_orm(column_type = "Text")]
    pub slug: String,
    /// The administrative owner; changes only by a transfer.
    #[sea_orm(column_type = "Text")]
    pub owner_id: AccountId,
    /// Linked Gitea organization.
    #[sea_orm(column_type = "Text", nullable)]
    pub gitea_org_name: Option<String>,
    /// Settings and billing contact.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub data: Option<OrganizationSettings>,
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
    /// Reverse of `organization_members::Relation::Organization`.
    #[sea_orm(has_many, relation_enum = "Members", via_rel = "Organization")]
    pub members: HasMany<super::organization_members::Entity>,
    /// Reverse of `projects::Relation::Organization`.
    #[sea_orm(has_many, relation_enum = "Projects", via_rel = "Organization")]
    pub projects: HasMany<super::projects::Entity>,
    /// Reverse of `clients::Relation::Organization`.
    #[sea_orm(has_many, relation_enum = "Clients", via_rel = "Organization")]
    pub clients: HasMany<super::clients::Entity>,
    /// Reverse of `audit_logs::Relation::Organization`.
    #[sea_orm(has_many, relation_enum = "AuditLogs", via_rel = "Organization")]
    pub audit_logs: HasMany<super::audit_logs::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
