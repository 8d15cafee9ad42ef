//! Table `roles`.

use sea_orm::entity::prelude::*;

use crate::enums::RoleMode;
use crate::ids::RoleId;
use crate::json::{Metadata, PermissionRules, RoleData, StringList, ToolMap};

/// How an agent behaves.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "roles")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub id: RoleId,
    /// Unique; sessions refer to it by text.
    #[sea_orm(column_type = "Text")]
    pub name: String,
    /// What it is for.
    #[sea_orm(column_type = "Text", nullable)]
    pub description: Option<String>,
    /// Who talks to it.
    pub mode: RoleMode,
    /// 0 to 2; none = the default of the mode.
    #[sea_orm(column_type = "Float", nullable)]
    pub temperature: Option<f32>,
    /// First match decides.
    #[sea_orm(column_type = "JsonBinary")]
    pub permissions: PermissionRules,
    /// Tool name or pattern to on or off.
    #[sea_orm(column_type = "JsonBinary")]
    pub tools: ToolMap,
    /// System prompt template.
    #[sea_orm(column_type = "Text", nullable)]
    pub prompt: Option<String>,
    /// The role it inherits from.
    #[sea_orm(column_type = "Text", nullable)]
    pub parent_id: Option<RoleId>,
    /// Scopes a key needs to run it.
    #[sea_orm(column_type = "JsonBinary")]
    pub scopes: StringList,
    /// Model, limits and more.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub data: Option<RoleData>,
    /// The hub's own notes; a missing object reads as an empty one.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub metadata: Metadata,
    /// Creation of the row; never changes.
    #[sea_orm(column_type = "TimestampWithTimeZone")]
    pub created_at: DateTimeUtc,
    /// Last change.
    #[sea_orm(column_type = "TimestampWithTimeZone")]
    pub updated_at: DateTimeUtc,
    /// Relation by `parent_id`.
    #[sea_orm(
        self_ref,
        relation_enum = "Parent",
        relation_reverse = "Children",
        from = "parent_id",
        to = "id"
    )]
    pub parent: BelongsTo<Option<Entity>>,
    /// Reverse of `Parent`.
    #[sea_orm(self_ref, relation_enum = "Children", relation_reverse = "Parent")]
    pub children: HasMany<Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
