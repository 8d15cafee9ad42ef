//! Table `spokes`.

use sea_orm::entity::prelude::*;

use crate::enums::{SpokeStatus, SpokeType};
use crate::ids::{ProjectId, SpokeId};
use crate::json::{HostInfo, Metadata};

/// A machine that offers operations.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "spokes")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub id: SpokeId,
    /// Shown name, not unique.
    #[sea_orm(column_type = "Text")]
    pub name: String,
    /// Whether its socket is open.
    pub status: SpokeStatus,
    /// What sort of machine.
    pub spoke_type: SpokeType,
    /// Bound to a project; none = to none.
    #[sea_orm(column_type = "Text", nullable)]
    pub project_id: Option<ProjectId>,
    /// Last sign of life, written at most once a minute.
    #[sea_orm(column_type = "TimestampWithTimeZone", nullable)]
    pub last_heartbeat: Option<DateTimeUtc>,
    /// What the machine says of itself.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub host_info: Option<HostInfo>,
    /// Last connect.
    #[sea_orm(column_type = "TimestampWithTimeZone", nullable)]
    pub connected_at: Option<DateTimeUtc>,
    /// Last disconnect; none while connected.
    #[sea_orm(column_type = "TimestampWithTimeZone", nullable)]
    pub disconnected_at: Option<DateTimeUtc>,
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
    pub project: BelongsTo<Option<super::projects::Entity>>,
    /// Reverse of `mappings::Relation::Spoke`.
    #[sea_orm(has_many, relation_enum = "Mappings", via_rel = "Spoke")]
    pub mappings: HasMany<super::mappings::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
