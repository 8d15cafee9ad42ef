//! Spokes and whether they are connected.

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::Serialize;

use crate::engine::Engine;
use crate::entity::operation_registrations as registrations;
use crate::entity::spokes::{ActiveModel, Column, Entity, Model};
use crate::enums::{ProviderType, RegistrationStatus, SpokeStatus, SpokeType};
use crate::error::StorageError;
use crate::ids::{AccountId, ProjectId, SpokeId};
use crate::json::{HostInfo, Metadata};
use crate::page::{self, Page, PageRequest};
use crate::row::{self, set_if};
use crate::scope::{Scope, column};
use crate::time::{self, DateTimeUtc};

/// Predicate of `idx_spokes_active`; as text, because neither planner proves it for parameters.
const CONNECTED: &str = "\"spokes\".\"status\" = 'connected'";

/// A spoke that connects.
#[derive(Debug, Clone)]
pub struct NewSpoke {
    /// The row of an earlier connection.
    pub id: Option<SpokeId>,
    /// The account whose key it shows (`metadata.accountId`).
    pub account_id: AccountId,
    /// The project it is bound to.
    pub project_id: Option<ProjectId>,
    /// Shown name.
    pub name: String,
    /// What sort of machine.
    pub spoke_type: SpokeType,
    /// What it says of its machine.
    pub host_info: Option<HostInfo>,
    /// Notes to merge: `instanceId`, `connectionId`, `labels`, `limits`.
    pub metadata: Metadata,
}

/// What to change of a spoke; `None` leaves a field as it is, `Some(None)` empties it.
#[derive(Debug, Clone, Default)]
pub struct SpokeChanges {
    /// Shown name.
    pub name: Option<String>,
    /// The project it is bound to.
    pub project_id: Option<Option<ProjectId>>,
    /// What it says of its machine.
    pub host_info: Option<Option<HostInfo>>,
    /// Notes, as a whole.
    pub metadata: Option<Metadata>,
    /// `updated_at` the row must still have.
    pub if_updated_at: Option<DateTimeUtc>,
}

/// Which spokes are wanted.
#[derive(Debug, Clone, Default, Serialize)]
pub struct SpokeFilter {
    /// Bound to this project.
    pub project: Option<ProjectId>,
    /// In this status.
    pub status: Option<SpokeStatus>,
    /// Of this sort.
    pub spoke_type: Option<SpokeType>,
    /// One of these.
    pub ids: Option<Vec<SpokeId>>,
}

/// Whose sockets are closed.
#[derive(Debug, Clone)]
pub enum Disconnect<'a> {
    /// Those of these spokes.
    Spokes(&'a [SpokeId]),
    /// Those a hub process held (`metadata.instanceId`).
    Instance(&'a str),
    /// All: there is one hub process, and it starts.
    All,
}

/// Connects a spoke: its row of an earlier connection is used again, by id, else by account, project
/// and name. T
///
/// Errors: `ForeignKey` when the project is gone.
pub async fn connect_spoke(
    db: &impl ConnectionTrait,
    new: NewSpoke,
) -> Result<Model, StorageError> {
    let known = known(db, &new).await?;
    let now = time::now();
    let mut metadata = known
        .as_ref()
        .map(|row| row.metadata.clone())
        .unwrap_or_default();
    metadata.merge(new.metadata.0);
    metadata.insert("accountId".to_owned(), new.account_id.as_str().into());
    let row = ActiveModel {
        name: Set(new.name),
        status: Set(SpokeStatus::Connected),
        spoke_type: Set(new.spoke_type),
        project_id: Set(new.project_id),
        last_heartbeat: Set(Some(now)),
        host_info: Set(new.host_info),
        connected_at: Set(Some(now)),
        disconnected_at: Set(None),
        metadata: Set(metadata),
        ..ActiveModel::default()
    };
    match known {
        Some(known) => row::update::<Entity, _>(db, known.id, row, None).await,
        None => {
            let row = ActiveModel {
                id: Set(SpokeId::random()),
                created_at: Set(now),
                updated_at: Set(now),
                ..row
            };
            Ok(Entity::insert(row).exec_with_returning(db).await?)
        }
    }
}

/// Marks connected spokes as disconnected and what they offer as inactive; answers those spokes. T
pub async fn disconnect_spokes(
    db: &impl ConnectionTrait,
    whose: Disconnect<'_>,
) -> Result<Vec<Model>, StorageError> {
    let engine = Engine::of(db);
    let now = time::now();
    let mut update = Entity::update_many()
        .set(ActiveModel {
            status: Set(SpokeStatus::Disconnected),
            disconnected_at: Set(Some(now)),
            ..ActiveModel::default()
        })
        .col_expr(Column::UpdatedAt, engine.touched("spokes", now))
        .filter(Expr::cust(CONNECTED));
    update = match whose {
        Disconnect::Spokes(ids) => update.filter(engine.one_of(column("spokes", "id"), ids)),
        Disconnect::Instance(id) => {
            update.filter(engine.json_text("spokes", "metadata", "instanceId").eq(id))
        }
        Disconnect::All => update,
    };
    let spokes = update.exec_with_returning(db).await?;
    let ids: Vec<&str> = spokes.iter().map(|spoke| spoke.id.as_str()).collect();
    registrations::Entity::update_many()
        .set(registrations::ActiveModel {
            status: Set(RegistrationStatus::Inactive),
            ..<registrations::ActiveModel as Default>::default()
        })
        .col_expr(
            registrations::Column::UpdatedAt,
            engine.touched("operation_registrations", now),
        )
        .filter(engine.one_of(column("operation_registrations", "provider_id"), &ids))
        .filter(registrations::Column::ProviderType.eq(ProviderType::Spoke))
        .filter(registrations::Column::Status.eq(RegistrationStatus::Active))
        .exec(db)
        .await?;
    Ok(spokes)
}

/// Writes when spokes last gave a sign of life, as one statement; answers how many rows changed.
pub async fn touch_spokes(
    db: &impl ConnectionTrait,
    seen: &[(SpokeId, DateTimeUtc)],
) -> Result<u64, StorageError> {
    row::write_moments(db, "spokes", "last_heartbeat", seen).await
}

/// Changes a spoke.
///
/// Errors: `NotFound`, `Stale`, `ForeignKey`.
pub async fn update_spoke(
    db: &impl ConnectionTrait,
    id: &SpokeId,
    changes: SpokeChanges,
) -> Result<Model, StorageError> {
    let unchanged_since = changes.if_updated_at;
    let changes = ActiveModel {
        name: set_if(changes.name),
        project_id: set_if(changes.project_id),
        host_info: set_if(changes.host_info),
        metadata: set_if(changes.metadata),
        ..ActiveModel::default()
    };
    row::update::<Entity, _>(db, id.clone(), changes, unchanged_since).await
}

/// Spokes the asker may see.
pub async fn spokes(
    db: &impl ConnectionTrait,
    scope: &Scope,
    filter: &SpokeFilter,
    request: &PageRequest,
) -> Result<Page<Model>, StorageError> {
    let mut select = Entity::find().filter(scope.spokes(Engine::of(db)));
    if let Some(project) = &filter.project {
        select = select.filter(Column::ProjectId.eq(project.clone()));
    }
    if let Some(status) = filter.status {
        select = select.filter(Column::Status.eq(status));
    }
    if let Some(kind) = filter.spoke_type {
        select = select.filter(Column::SpokeType.eq(kind));
    }
    if let Some(ids) = &filter.ids {
        select = select.filter(Engine::of(db).one_of(column("spokes", "id"), ids));
    }
    page::by_creation(db, select, "spokes", filter, request, |row| {
        (row.created_at, row.id.to_string())
    })
    .await
}

/// Connected spokes the asker may see, by id.
pub async fn connected_spokes(
    db: &impl ConnectionTrait,
    scope: &Scope,
) -> Result<Vec<Model>, StorageError> {
    Ok(Entity::find()
        .filter(Expr::cust(CONNECTED))
        .filter(scope.spokes(Engine::of(db)))
        .order_by_asc(Column::Id)
        .all(db)
        .await?)
}

/// The spoke with this id, if the asker may see it.
pub async fn spoke_by_id(
    db: &impl ConnectionTrait,
    scope: &Scope,
    id: &SpokeId,
) -> Result<Option<Model>, StorageError> {
    Ok(Entity::find_by_id(id.clone())
        .filter(scope.spokes(Engine::of(db)))
        .one(db)
        .await?)
}

/// Spokes of this name that the asker may see, oldest first. Names are not unique.
pub async fn spoke_by_name(
    db: &impl ConnectionTrait,
    scope: &Scope,
    name: &str,
) -> Result<Vec<Model>, StorageError> {
    Ok(Entity::find()
        .filter(Column::Name.eq(name))
        .filter(scope.spokes(Engine::of(db)))
        .order_by_asc(Column::CreatedAt)
        .order_by_asc(Column::Id)
        .all(db)
        .await?)
}

/// Deletes a spoke and what it offered. T
///
/// Errors: `NotFound`.
pub async fn delete_spoke(db: &impl ConnectionTrait, id: &SpokeId) -> Result<(), StorageError> {
    let deleted = Entity::delete_by_id(id.clone()).exec(db).await?;
    if deleted.rows_affected == 0 {
        Err(StorageError::NotFound)
    } else {
        Ok(())
    }
}

/// How many spokes have each status.
pub async fn count_spokes_by_status(
    db: &impl ConnectionTrait,
) -> Result<Vec<(SpokeStatus, u64)>, StorageError> {
    row::count_by(db, "spokes", "status", "1 = 1", []).await
}

/// The row of an earlier connection of the same account.
async fn known(db: &impl ConnectionTrait, new: &NewSpoke) -> Result<Option<Model>, StorageError> {
    let mine = Engine::of(db)
        .json_text("spokes", "metadata", "accountId")
        .eq(new.account_id.as_str());
    if let Some(id) = &new.id {
        let found = Entity::find_by_id(id.clone())
            .filter(mine.clone())
            .lock_exclusive()
            .one(db)
            .await?;
        if found.is_some() {
            return Ok(found);
        }
    }
    let select = Entity::find()
        .filter(Column::Name.eq(new.name.as_str()))
        .filter(mine);
    let select = match &new.project_id {
        Some(project) => select.filter(Column::ProjectId.eq(project.clone())),
        None => select.filter(Column::ProjectId.is_null()),
    };
    Ok(select
        .order_by_desc(Column::CreatedAt)
        .order_by_desc(Column::Id)
        .lock_exclusive()
        .one(db)
        .await?)
}
