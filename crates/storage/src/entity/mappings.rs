//! Table `mappings`.

use sea_orm::entity::prelude::*;

use crate::enums::MappingStatus;
use crate::ids::{MappingId, SessionId, SpokeId, TaskId, WorkspaceId};
use crate::json::Metadata;

/// A spawned session: who spawned it, where it runs, for which task.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "mappings")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub id: MappingId,
    /// The spawned session.
    #[sea_orm(column_type = "Text")]
    pub session_id: SessionId,
    /// Where it runs; none = in the hub.
    #[sea_orm(column_type = "Text", nullable)]
    pub spoke_id: Option<SpokeId>,
    /// In which workspace.
    #[sea_orm(column_type = "Text", nullable)]
    pub workspace_id: Option<WorkspaceId>,
    /// The coordinator.
    #[sea_orm(column_type = "Text", nullable)]
    pub parent_session_id: Option<SessionId>,
    /// For which task.
    #[sea_orm(column_type = "Text", nullable)]
    pub task_id: Option<TaskId>,
    /// The task's slug when the row was made; for display.
    #[sea_orm(column_name = "task", column_type = "Text", nullable)]
    pub task_slug: Option<String>,
    /// How the try ended.
    pub status: MappingStatus,
    /// The hub's own notes; a missing object reads as an empty one.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub metadata: Metadata,
    /// Creation of the row; never changes.
    #[sea_orm(column_type = "TimestampWithTimeZone")]
    pub created_at: DateTimeUtc,
    /// Last change.
    #[sea_orm(column_type = "TimestampWithTimeZone")]
    pub updated_at: DateTimeUtc,
    /// Relation by `session_id`.
    #[sea_orm(belongs_to, relation_enum = "Session", from = "session_id", to = "id")]
    pub session: BelongsTo<super::sessions::Entity>,
    /// Relation by `spoke_id`.
    #[sea_orm(belongs_to, relation_enum = "Spoke", from = "spoke_id", to = "id")]
    pub spoke: BelongsTo<Option<super::spokes::Entity>>,
    /// Relation by `workspace_id`.
    #[sea_orm(
        belongs_to,
        relation_enum = "Workspace",
        from = "workspace_id",
        to = "id"
    )]
    pub workspace: BelongsTo<Option<super::workspaces::Entity>>,
    /// Relation by `parent_session_id`.
    #[sea_orm(
        belongs_to,
        relation_enum = "Coordinator",
        from = "parent_session_id",
        to = "id"
    )]
    pub coordinator: BelongsTo<Option<super::sessions::Entity>>,
    /// Relation by `task_id`.
    #[sea_orm(belongs_to, relation_enum = "Task", from = "task_id", to = "id")]
    pub task: BelongsTo<Option<super::tasks::Entity>>,
}

impl ActiveModelBehavior for ActiveModel {}
