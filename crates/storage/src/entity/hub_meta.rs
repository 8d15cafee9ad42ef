//! Table `hub_meta`: one row a fact of the hub's own.

use sea_orm::entity::prelude::*;

/// A fact.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "hub_meta")]
pub struct Model {
    /// Its name, such as `setting:log.level`.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub key: String,
    /// What it says.
    #[sea_orm(column_type = "JsonBinary")]
    pub value: Json,
    /// Last change.
    #[sea_orm(column_type = "TimestampWithTimeZone")]
    pub updated_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
