//! Table `client_secrets`.

use sea_orm::entity::prelude::*;

use crate::ids::{ClientId, ClientSecretId};
use crate::json::{EncryptedValue, Metadata};

/// An encrypted credential of a client.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "client_secrets")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub id: ClientSecretId,
    /// The client.
    #[sea_orm(column_type = "Text")]
    pub client_id: ClientId,
    /// Name of the secret within the client.
    #[sea_orm(column_type = "Text")]
    pub key: String,
    /// The encrypted value.
    #[sea_orm(column_type = "JsonBinary")]
    pub value: EncryptedValue,
    /// Known end; none = unknown.
    #[sea_orm(column_type = "TimestampWithTimeZone", nullable)]
    pub expires_at: Option<DateTimeUtc>,
    /// The hub's own notes; a missing object reads as an empty one.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub metadata: Metadata,
    /// Creation of the row; never changes.
    #[sea_orm(column_type = "TimestampWithTimeZone")]
    pub created_at: DateTimeUtc,
    /// Last change.
    #[sea_orm(column_type = "TimestampWithTimeZone")]
    pub updated_at: DateTimeUtc,
    /// Relation by `client_id`.
    #[sea_orm(belongs_to, relation_enum = "Client", from = "client_id", to = "id")]
    pub client: BelongsTo<super::clients::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
