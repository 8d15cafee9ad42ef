//! Table `hub_migrations`: which frozen files were applied.

use sea_orm::entity::prelude::*;

/// An applied migration.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "hub_migrations")]
pub struct Model {
    /// Number of the file.
    #[sea_orm(primary_key, auto_increment = false)]
    pub version: i32,
    /// Name of the file.
    #[sea_orm(column_type = "Text")]
    pub name: String,
    /// SHA-256 of its text, in hex.
    #[sea_orm(column_type = "Text")]
    pub sha256: String,
    /// When it was applied.
    #[sea_orm(column_type = "TimestampWithTimeZone")]
    pub applied_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
