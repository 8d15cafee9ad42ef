//! Table `task_dependencies`.

use sea_orm::entity::prelude::*;

use crate::ids::{TaskDependencyId, TaskId};
use crate::json::Metadata;

/// An edge from a prerequisite to its dependent.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "task_dependencies")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub id: TaskDependencyId,
    /// The prerequisite.
    #[sea_orm(column_type = "Text")]
    pub depends_on_task_id: TaskId,
    /// The dependent.
    #[sea_orm(column_type = "Text")]
    pub dependent_task_id: TaskId,
    /// 0 to 1; none = 0.9.
    #[sea_orm(column_type = "Double", nullable)]
    pub quality_retention: Option<f64>,
    /// The hub's own notes; a missing object reads as an empty one.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub metadata: Metadata,
    /// Creation of the row; never changes.
    #[sea_orm(column_type = "TimestampWithTimeZone")]
    pub created_at: DateTimeUtc,
    /// Last change.
    #[sea_orm(column_type = "TimestampWithTimeZone")]
    pub updated_at: DateTimeUtc,
    /// Relation by `depends_on_task_id`.
    #[sea_orm(
        belongs_to,
        relation_enum = "Prerequisite",
        from = "depends_on_task_id",
        to = "id"
    )]
    pub prerequisite: BelongsTo<super::tasks::Entity>,
    /// Relation by `dependent_task_id`.
    #[sea_orm(
        belongs_to,
        relation_enum = "Dependent",
        from = "dependent_task_id",
        to = "id"
    )]
    pub dependent: BelongsTo<super::tasks::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
