//! Table `tasks`.

use sea_orm::entity::prelude::*;

use crate::enums::{TaskImpact, TaskLevel, TaskPriority, TaskRisk, TaskScope, TaskStatus};
use crate::ids::{ProjectId, TaskId};
use crate::json::{Metadata, StringList};

/// A piece of work of a project.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "tasks")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub id: TaskId,
    /// The project.
    #[sea_orm(column_type = "Text")]
    pub project_id: ProjectId,
    /// Unique in the project.
    #[sea_orm(column_type = "Text")]
    pub slug: String,
    /// Shown name.
    #[sea_orm(column_type = "Text")]
    pub name: String,
    /// Relative path of its file, without extension.
    #[sea_orm(column_type = "Text", nullable)]
    pub path: Option<String>,
    /// Where the work stands.
    pub status: TaskStatus,
    /// How much it touches; none = not assessed.
    #[sea_orm(nullable)]
    pub scope: Option<TaskScope>,
    /// How likely it goes wrong; none = not assessed.
    #[sea_orm(nullable)]
    pub risk: Option<TaskRisk>,
    /// How far a failure reaches; none = not assessed.
    #[sea_orm(nullable)]
    pub impact: Option<TaskImpact>,
    /// Sort of work.
    #[sea_orm(nullable)]
    pub level: Option<TaskLevel>,
    /// Critical first, none last.
    #[sea_orm(nullable)]
    pub priority: Option<TaskPriority>,
    /// Labels.
    #[sea_orm(column_type = "JsonBinary")]
    pub tags: StringList,
    /// Account id, email or role name; free text.
    #[sea_orm(column_type = "Text", nullable)]
    pub assignee: Option<String>,
    /// When it is due.
    #[sea_orm(column_type = "TimestampWithTimeZone", nullable)]
    pub due_at: Option<DateTimeUtc>,
    /// Markdown; notes are appended at run time.
    #[sea_orm(column_type = "Text", nullable)]
    pub body: Option<String>,
    /// `created` of the file.
    #[sea_orm(column_type = "TimestampWithTimeZone", nullable)]
    pub file_created_at: Option<DateTimeUtc>,
    /// `modified` of the file.
    #[sea_orm(column_type = "TimestampWithTimeZone", nullable)]
    pub file_modified_at: Option<DateTimeUtc>,
    /// First entry to in-progress.
    #[sea_orm(column_type = "TimestampWithTimeZone", nullable)]
    pub started_at: Option<DateTimeUtc>,
    /// Entry to completed.
    #[sea_orm(column_type = "TimestampWithTimeZone", nullable)]
    pub completed_at: Option<DateTimeUtc>,
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
    /// Reverse of `task_dependencies::Relation::Prerequisite`.
    #[sea_orm(has_many, relation_enum = "Dependents", via_rel = "Prerequisite")]
    pub dependents: HasMany<super::task_dependencies::Entity>,
    /// Reverse of `task_dependencies::Relation::Dependent`.
    #[sea_orm(has_many, relation_enum = "Prerequisites", via_rel = "Dependent")]
    pub prerequisites: HasMany<super::task_dependencies::Entity>,
    /// Reverse of `mappings::Relation::Task`.
    #[sea_orm(has_many, relation_enum = "Mappings", via_rel = "Task")]
    pub mappings: HasMany<super::mappings::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
