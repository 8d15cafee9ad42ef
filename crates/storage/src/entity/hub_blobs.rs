//! Table `hub_blobs`: pieces of contents that are too big for a row.

use sea_orm::entity::prelude::*;

/// A piece of 256 KiB at most.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "hub_blobs")]
pub struct Model {
    /// SHA-256 of the whole, in hex.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub sha256: String,
    /// Number of the piece, from 0.
    #[sea_orm(primary_key, auto_increment = false)]
    pub piece: i32,
    /// The bytes.
    #[sea_orm(column_type = "VarBinary(StringLen::None)")]
    pub data: Vec<u8>,
}

impl ActiveModelBehavior for ActiveModel {}
