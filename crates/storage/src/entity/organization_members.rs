//! Table `organization_members`.

use sea_orm::entity::prelude::*;

use crate::enums::MembershipLevel;
use crate::ids::{AccountId, OrganizationId, OrganizationMemberId};
use crate::json::Metadata;

/// A membership of an account in an organization.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "organization_members")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub id: OrganizationMemberId,
    /// The organization.
    #[sea_orm(column_type = "Text")]
    pub org_id: OrganizationId,
    /// The member; one membership an organization.
    #[sea_orm(column_type = "Text")]
    pub account_id: AccountId,
    /// What the member may do there.
    pub membership_level: MembershipLevel,
    /// The hub's own notes; a missing object reads as an empty one.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub metadata: Metadata,
    /// Creation of the row; never changes.
    #[sea_orm(column_type = "TimestampWithTimeZone")]
    pub created_at: DateTimeUtc,
    /// Last change.
    #[sea_orm(column_type = "TimestampWithTimeZone")]
    pub updated_at: DateTimeUtc,
    /// Relation by `org_id`.
    #[sea_orm(belongs_to, relation_enum = "Organization", from = "org_id", to = "id")]
    pub organization: BelongsTo<super::organizations::Entity>,
    /// Relation by `account_id`.
    #[sea_orm(belongs_to, relation_enum = "Account", from = "account_id", to = "id")]
    pub account: BelongsTo<super::accounts::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
