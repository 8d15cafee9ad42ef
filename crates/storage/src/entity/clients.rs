//! Table `clients`.

use sea_orm::entity::prelude::*;

use crate::enums::ClientType;
use crate::ids::{AccountId, ClientId, OrganizationId};
use crate::json::{JsonObject, Metadata};

/// A service the hub calls; never a credential.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "clients")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub id: ClientId,
    /// Unique over the hub.
    #[sea_orm(column_type = "Text")]
    pub name: String,
    /// What sort of service.
    #[sea_orm(column_name = "type")]
    pub kind: ClientType,
    /// Configuration of that type.
    #[sea_orm(column_type = "JsonBinary")]
    pub config: JsonObject,
    /// Off without deleting.
    pub enabled: bool,
    /// Who configured it.
    #[sea_orm(column_type = "Text")]
    pub owner_id: AccountId,
    /// The organization; none = personal.
    #[sea_orm(column_type = "Text", nullable)]
    pub org_id: Option<OrganizationId>,
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
    /// Relation by `org_id`.
    #[sea_orm(belongs_to, relation_enum = "Organization", from = "org_id", to = "id")]
    pub organization: BelongsTo<Option<super::organizations::Entity>>,
    /// Reverse of `client_secrets::Relation::Client`.
    #[sea_orm(has_many, relation_enum = "Secrets", via_rel = "Client")]
    pub secrets: HasMany<super::client_secrets::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
