//! Table `sessions`.

use sea_orm::entity::prelude::*;

use crate::enums::SessionStatus;
use crate::ids::{AccountId, ProjectId, SessionId, WorkspaceId};
use crate::json::{Metadata, SessionData};

/// A conversation with an agent.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "sessions")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub id: SessionId,
    /// Whose session; none after the account went.
    #[sea_orm(column_type = "Text", nullable)]
    pub account_id: Option<AccountId>,
    /// The project.
    #[sea_orm(column_type = "Text")]
    pub project_id: ProjectId,
    /// Where it runs, inside the project.
    #[sea_orm(column_type = "Text", nullable)]
    pub workspace_id: Option<WorkspaceId>,
    /// The coordinator's session.
    #[sea_orm(column_type = "Text", nullable)]
    pub parent_id: Option<SessionId>,
    /// Unique over all sessions.
    #[sea_orm(column_type = "Text")]
    pub slug: String,
    /// Shown title.
    #[sea_orm(column_type = "Text")]
    pub title: String,
    /// What it does now.
    pub status: SessionStatus,
    /// Version of the shape of `data`.
    #[sea_orm(column_type = "Text")]
    pub version: String,
    /// Behavioural role, free text on purpose.
    #[sea_orm(column_type = "Text", nullable)]
    pub role_name: Option<String>,
    /// Model, usage, directory and more.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub data: Option<SessionData>,
    /// When it was archived; cleared on restore.
    #[sea_orm(column_type = "TimestampWithTimeZone", nullable)]
    pub archived_at: Option<DateTimeUtc>,
    /// The hub's own notes; a missing object reads as an empty one.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub metadata: Metadata,
    /// Creation of the row; never changes.
    #[sea_orm(column_type = "TimestampWithTimeZone")]
    pub created_at: DateTimeUtc,
    /// Last change.
    #[sea_orm(column_type = "TimestampWithTimeZone")]
    pub updated_at: DateTimeUtc,
    /// Relation by `account_id`.
    #[sea_orm(belongs_to, relation_enum = "Account", from = "account_id", to = "id")]
    pub account: BelongsTo<Option<super::accounts::Entity>>,
    /// Relation by `project_id`.
    #[sea_orm(belongs_to, relation_enum = "Project", from = "project_id", to = "id")]
    pub project: BelongsTo<super::projects::Entity>,
    /// Relation by `workspace_id`.
    #[sea_orm(
        belongs_to,
        relation_enum = "Workspace",
        from = "workspace_id",
        to = "id"
    )]
    pub workspace: BelongsTo<Option<super::workspaces::Entity>>,
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
    /// Reverse of `messages::Relation::Session`.
    #[sea_orm(has_many, relation_enum = "Messages", via_rel = "Session")]
    pub messages: HasMany<super::messages::Entity>,
    /// Reverse of `parts::Relation::Session`.
    #[sea_orm(has_many, relation_enum = "Parts", via_rel = "Session")]
    pub parts: HasMany<super::parts::Entity>,
    /// Reverse of `mappings::Relation::Session`.
    #[sea_orm(has_many, relation_enum = "Mappings", via_rel = "Session")]
    pub mappings: HasMany<super::mappings::Entity>,
    /// Reverse of `mappings::Relation::Coordinator`.
    #[sea_orm(has_many, relation_enum = "Spawned", via_rel = "Coordinator")]
    pub spawned: HasMany<super::mappings::Entity>,
    /// Reverse of `detections::Relation::Session`.
    #[sea_orm(has_many, relation_enum = "Detections", via_rel = "Session")]
    pub detections: HasMany<super::detections::Entity>,
    /// Reverse of `audit_logs::Relation::Session`.
    #[sea_orm(has_many, relation_enum = "AuditLogs", via_rel = "Session")]
    pub audit_logs: HasMany<super::audit_logs::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
