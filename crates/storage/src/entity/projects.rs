//! Table `projects`.

use sea_orm::entity::prelude::*;

use crate::ids::{OrganizationId, ProjectId};
use crate::json::Metadata;

/// A project; personal when it has no organization.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "projects")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub id: ProjectId,
    /// The organization; none = personal, `metadata.ownerId` says whose.
    #[sea_orm(column_type = "Text", nullable)]
    pub org_id: Option<OrganizationId>,
    /// Shown name, not unique.
    #[sea_orm(column_type = "Text")]
    pub name: String,
    /// Local path of the primary workspace.
    #[sea_orm(column_type = "Text", nullable)]
    pub directory: Option<String>,
    /// Git remote, without credentials.
    #[sea_orm(column_type = "Text", nullable)]
    pub repo_url: Option<String>,
    /// Version control system, `git` by default.
    #[sea_orm(column_type = "Text", nullable)]
    pub vcs: Option<String>,
    /// Address of an icon.
    #[sea_orm(column_type = "Text", nullable)]
    pub icon_url: Option<String>,
    /// Colour of the icon.
    #[sea_orm(column_type = "Text", nullable)]
    pub icon_color: Option<String>,
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
    pub organization: BelongsTo<Option<super::organizations::Entity>>,
    /// Reverse of `workspaces::Relation::Project`.
    #[sea_orm(has_many, relation_enum = "Workspaces", via_rel = "Project")]
    pub workspaces: HasMany<super::workspaces::Entity>,
    /// Reverse of `sessions::Relation::Project`.
    #[sea_orm(has_many, relation_enum = "Sessions", via_rel = "Project")]
    pub sessions: HasMany<super::sessions::Entity>,
    /// Reverse of `spokes::Relation::Project`.
    #[sea_orm(has_many, relation_enum = "Spokes", via_rel = "Project")]
    pub spokes: HasMany<super::spokes::Entity>,
    /// Reverse of `tasks::Relation::Project`.
    #[sea_orm(has_many, relation_enum = "Tasks", via_rel = "Project")]
    pub tasks: HasMany<super::tasks::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
