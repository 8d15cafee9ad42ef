//! Workspaces: branches, directories and places of a project.

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::ExprTrait;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};

use crate::engine::Engine;
use crate::entity::workspaces::{ActiveModel, Column, Entity, Model};
use crate::enums::WorkspaceType;
use crate::error::StorageError;
use crate::ids::{ProjectId, WorkspaceId};
use crate::json::{Metadata, WorkspaceExtra};
use crate::page::{self, Page, PageRequest};
use crate::row::{self, set_if};
use crate::scope::{Scope, column};
use crate::time::{self, DateTimeUtc};

/// A workspace to be made.
#[derive(Debug, Clone)]
pub struct NewWorkspace {
    /// The project.
    pub project_id: ProjectId,
    /// Where it is.
    pub kind: WorkspaceType,
    /// Git branch.
    pub branch: Option<String>,
    /// Shown name.
    pub name: Option<String>,
    /// Absolute path; no two workspaces of a project share one.
    pub directory: Option<String>,
    /// What the type needs.
    pub extra: Option<WorkspaceExtra>,
    /// Notes.
    pub metadata: Metadata,
}

/// What to change of a workspace; `None` leaves a field as it is, `Some(None)` empties it.
#[derive(Debug, Clone, Default)]
pub struct WorkspaceChanges {
    /// Shown name.
    pub name: Option<Option<String>>,
    /// Git branch.
    pub branch: Option<Option<String>>,
    /// Absolute path.
    pub directory: Option<Option<String>>,
    /// What the type needs.
    pub extra: Option<Option<WorkspaceExtra>>,
    /// Notes, as a whole.
    pub metadata: Option<Metadata>,
    /// `updated_at` the row must still have.
    pub if_updated_at: Option<DateTimeUtc>,
}

/// Makes a workspace. T, with the project locked: directories are compared under that lock
///
/// Errors: `ForeignKey`; `Rule` of `directory_taken`.
pub async fn create_workspace(
    db: &impl ConnectionTrait,
    new: NewWorkspace,
) -> Result<Model, StorageError> {
    refuse_taken_directory(db, &new.project_id, new.directory.as_deref(), None).await?;
    let now = time::now();
    let row = ActiveModel {
        id: Set(WorkspaceId::random()),
        project_id: Set(new.project_id),
        kind: Set(new.kind),
        branch: Set(new.branch),
        name: Set(new.name),
        directory: Set(new.directory),
        extra: Set(new.extra),
        metadata: Set(new.metadata),
        created_at: Set(now),
        updated_at: Set(now),
    };
    Ok(Entity::insert(row).exec_with_returning(db).await?)
}

/// The workspace with this id, if the asker may see its project.
pub async fn workspace_by_id(
    db: &impl ConnectionTrait,
    scope: &Scope,
    id: &WorkspaceId,
) -> Result<Option<Model>, StorageError> {
    Ok(Entity::find_by_id(id.clone())
        .filter(scope.within_projects(Engine::of(db), column("workspaces", "project_id")))
        .one(db)
        .await?)
}

/// The workspaces of a project, all or those of a branch.
pub async fn workspaces_of(
    db: &impl ConnectionTrait,
    project: &ProjectId,
    branch: Option<&str>,
    request: &PageRequest,
) -> Result<Page<Model>, StorageError> {
    let mut select = Entity::find().filter(Column::ProjectId.eq(project.clone()));
    if let Some(branch) = branch {
        select = select.filter(Column::Branch.eq(branch));
    }
    page::by_creation(
        db,
        select,
        "workspaces",
        &(project, branch),
        request,
        |row| (row.created_at, row.id.to_string()),
    )
    .await
}

/// The workspace of a project that lies in a directory.
pub async fn workspace_in_directory(
    db: &impl ConnectionTrait,
    project: &ProjectId,
    directory: &str,
) -> Result<Option<Model>, StorageError> {
    Ok(Entity::find()
        .filter(Column::ProjectId.eq(project.clone()))
        .filter(Column::Directory.eq(directory))
        .order_by_asc(Column::CreatedAt)
        .order_by_asc(Column::Id)
        .one(db)
        .await?)
}

/// Changes a workspace. T, with the project locked
///
/// Errors: `NotFound`, `Stale`; `Rule` of `directory_taken`.
pub async fn update_workspace(
    db: &impl ConnectionTrait,
    id: &WorkspaceId,
    changes: WorkspaceChanges,
) -> Result<Model, StorageError> {
    if let Some(Some(directory)) = &changes.directory {
        let workspace = Entity::find_by_id(id.clone())
            .one(db)
            .await?
            .ok_or(StorageError::NotFound)?;
        refuse_taken_directory(db, &workspace.project_id, Some(directory), Some(id)).await?;
    }
    let unchanged_since = changes.if_updated_at;
    let changes = ActiveModel {
        branch: set_if(changes.branch),
        name: set_if(changes.name),
        directory: set_if(changes.directory),
        extra: set_if(changes.extra),
        metadata: set_if(changes.metadata),
        ..ActiveModel::default()
    };
    row::update::<Entity, _>(db, id.clone(), changes, unchanged_since).await
}

/// Deletes a workspace; its sessions and mappings stay, without one.
///
/// Errors: `NotFound`.
pub async fn delete_workspace(
    db: &impl ConnectionTrait,
    id: &WorkspaceId,
) -> Result<(), StorageError> {
    let deleted = Entity::delete_by_id(id.clone()).exec(db).await?;
    if deleted.rows_affected == 0 {
        Err(StorageError::NotFound)
    } else {
        Ok(())
    }
}

async fn refuse_taken_directory(
    db: &impl ConnectionTrait,
    project: &ProjectId,
    directory: Option<&str>,
    except: Option<&WorkspaceId>,
) -> Result<(), StorageError> {
    let Some(directory) = directory else {
        return Ok(());
    };
    let mut select = Entity::find()
        .filter(Column::ProjectId.eq(project.clone()))
        .filter(Column::Directory.eq(directory));
    if let Some(id) = except {
        select = select.filter(column("workspaces", "id").ne(id.as_str()));
    }
    match select.one(db).await? {
        None => Ok(()),
        Some(_) => Err(StorageError::Rule {
            name: "directory_taken".to_owned(),
        }),
    }
}
