//! Table `workspaces`.

use sea_orm::entity::prelude::*;

use crate::enums::WorkspaceType;
use crate::ids::{ProjectId, WorkspaceId};
use crate::json::{Metadata, WorkspaceExtra};

/// A branch, directory or execution place of a project.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "workspaces")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub id: WorkspaceId,
    /// The project.
    #[sea_orm(column_type = "Text")]
    pub project_id: ProjectId,
    /// Where it is.
    #[sea_orm(column_name = "type")]
    pub kind: WorkspaceType,
    /// Git branch.
    #[sea_orm(column_type = "Text", nullable)]
    pub branch: Option<String>,
    /// Shown name; none = the branch.
    #[sea_orm(column_type = "Text", nullable)]
    pub name: Option<String>,
    /// Absolute path where it runs.
    #[sea_orm(column_type = "Text", nullable)]
    pub directory: Option<String>,
    /// What the type needs.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub extra: Option<WorkspaceExtra>,
    /// The hub's own notes; a missing object reads as an empty one.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub metadata: Metadata,
    /// Creation of the row; never changes.
    #[sea_orm(column_type = "TimestampWithTimeZone")]
    pub created_at: DateTimeUtc,
    /// Last change.
    #[sea_orm(column_type = "TimestampWithTimeZone")]
    pub updated_at: DateTimeUtc,
    /// Relation by `project_id`.
    #[sea_orm(belongs_to, relation_enum = "Project", from = "project_id", to = "id")]
    pub project: BelongsTo<super::projects::Entity>,
    /// Reverse of `sessions::Relation::Workspace`.
    #[sea_orm(has_many, relation_enum = "Sessions", via_rel = "Workspace")]
    pub sessions: HasMany<super::sessions::Entity>,
    /// Reverse of `mappings::Relation::Workspace`.
    #[sea_orm(has_many, relation_enum = "Mappings", via_rel = "Workspace")]
    pub mappings: HasMany<super::mappings::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
