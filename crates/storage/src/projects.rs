//! Projects and their workspaces.

mod counts;
mod workspaces;

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::ExprTrait;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::Serialize;

use crate::engine::Engine;
use crate::entity::projects::{ActiveModel, Column, Entity, Model};
use crate::error::StorageError;
use crate::ids::{OrganizationId, ProjectId};
use crate::json::Metadata;
use crate::page::{self, Page, PageRequest};
use crate::row::{self, set_if};
use crate::scope::{Scope, column};
use crate::time::{self, DateTimeUtc};

pub use counts::{
    ProjectCounts, ProjectStats, active_mappings, active_mappings_of_workspace, project_counts,
    project_stats,
};
pub use workspaces::{
    NewWorkspace, WorkspaceChanges, create_workspace, delete_workspace, update_workspace,
    workspace_by_id, workspace_in_directory, workspaces_of,
};

/// A project to be made.
#[derive(Debug, Clone)]
pub struct NewProject {
    /// The organization; none = personal, and then `metadata.ownerId` must say whose.
    pub org_id: Option<OrganizationId>,
    /// Shown name.
    pub name: String,
    /// Local path of the primary workspace.
    pub directory: Option<String>,
    /// Git remote.
    pub repo_url: Option<String>,
    /// Version control system.
    pub vcs: Option<String>,
    /// Address of an icon.
    pub icon_url: Option<String>,
    /// Colour of the icon.
    pub icon_color: Option<String>,
    /// Notes.
    pub metadata: Metadata,
}

/// What to change of a project; `None` leaves a field as it is, `Some(None)` empties it.
#[derive(Debug, Clone, Default)]
pub struct ProjectChanges {
    /// Shown name.
    pub name: Option<String>,
    /// The organization; see also [`move_project`].
    pub org_id: Option<Option<OrganizationId>>,
    /// Local path of the primary workspace.
    pub directory: Option<Option<String>>,
    /// Git remote.
    pub repo_url: Option<Option<String>>,
    /// Version control system.
    pub vcs: Option<Option<String>>,
    /// Address of an icon.
    pub icon_url: Option<Option<String>>,
    /// Colour of the icon.
    pub icon_color: Option<Option<String>>,
    /// Notes, as a whole.
    pub metadata: Option<Metadata>,
    /// `updated_at` the row must still have.
    pub if_updated_at: Option<DateTimeUtc>,
}

/// Which projects are wanted.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ProjectFilter {
    /// Of this organization.
    pub organization: Option<OrganizationId>,
    /// Part of the name, without regard to case.
    pub search: Option<String>,
    /// Archived ones too.
    pub include_archived: bool,
}

/// Makes a project.
///
/// Errors: `ForeignKey`.
pub async fn create_project(
    db: &impl ConnectionTrait,
    new: NewProject,
) -> Result<Model, StorageError> {
    let now = time::now();
    let row = ActiveModel {
        id: Set(ProjectId::random()),
        org_id: Set(new.org_id),
        name: Set(new.name),
        directory: Set(new.directory),
        repo_url: Set(new.repo_url),
        vcs: Set(new.vcs),
        icon_url: Set(new.icon_url),
        icon_color: Set(new.icon_color),
        metadata: Set(new.metadata),
        created_at: Set(now),
        updated_at: Set(now),
    };
    Ok(Entity::insert(row).exec_with_returning(db).await?)
}

/// The project with this id, if the asker may see it.
pub async fn project_by_id(
    db: &impl ConnectionTrait,
    scope: &Scope,
    id: &ProjectId,
) -> Result<Option<Model>, StorageError> {
    Ok(Entity::find_by_id(id.clone())
        .filter(scope.projects(Engine::of(db)))
        .one(db)
        .await?)
}

/// The projects with this name that the asker may see, oldest first. Names are not unique.
pub async fn projects_by_name(
    db: &impl ConnectionTrait,
    scope: &Scope,
    name: &str,
) -> Result<Vec<Model>, StorageError> {
    Ok(Entity::find()
        .filter(Column::Name.eq(name))
        .filter(scope.projects(Engine::of(db)))
        .order_by_asc(Column::CreatedAt)
        .order_by_asc(Column::Id)
        .all(db)
        .await?)
}

/// Like [`project_by_id`], locked to the end of the transaction. T
pub async fn lock_project(
    db: &impl ConnectionTrait,
    scope: &Scope,
    id: &ProjectId,
) -> Result<Option<Model>, StorageError> {
    Ok(Entity::find_by_id(id.clone())
        .filter(scope.projects(Engine::of(db)))
        .lock_exclusive()
        .one(db)
        .await?)
}

/// Projects the asker may see.
pub async fn list_projects(
    db: &impl ConnectionTrait,
    scope: &Scope,
    filter: &ProjectFilter,
    request: &PageRequest,
) -> Result<Page<Model>, StorageError> {
    let engine = Engine::of(db);
    let mut select = Entity::find().filter(scope.projects(engine));
    if let Some(organization) = &filter.organization {
        select = select.filter(Column::OrgId.eq(organization.clone()));
    }
    if let Some(text) = &filter.search {
        select = select.filter(engine.contains(column("projects", "name"), text));
    }
    if !filter.include_archived {
        select = select.filter(
            engine
                .json_text("projects", "metadata", "archivedAt")
                .is_null(),
        );
    }
    page::by_creation(db, select, "projects", filter, request, |row| {
        (row.created_at, row.id.to_string())
    })
    .await
}

/// Changes a project.
///
/// Errors: `NotFound`, `Stale`, `ForeignKey`.
pub async fn update_project(
    db: &impl ConnectionTrait,
    id: &ProjectId,
    changes: ProjectChanges,
) -> Result<Model, StorageError> {
    let unchanged_since = changes.if_updated_at;
    let changes = ActiveModel {
        org_id: set_if(changes.org_id),
        name: set_if(changes.name),
        directory: set_if(changes.directory),
        repo_url: set_if(changes.repo_url),
        vcs: set_if(changes.vcs),
        icon_url: set_if(changes.icon_url),
        icon_color: set_if(changes.icon_color),
        metadata: set_if(changes.metadata),
        ..ActiveModel::default()
    };
    row::update::<Entity, _>(db, id.clone(), changes, unchanged_since).await
}

/// Gives a project to an organization, or makes it personal to `owner`. T, with its audit entry
///
/// Errors: `NotFound`, `ForeignKey`.
pub async fn move_project(
    db: &impl ConnectionTrait,
    id: &ProjectId,
    to: Option<&OrganizationId>,
    owner: &crate::ids::AccountId,
) -> Result<Model, StorageError> {
    let project = lock_project(db, &Scope::All, id)
        .await?
        .ok_or(StorageError::NotFound)?;
    let mut metadata = project.metadata;
    match to {
        Some(_) => {
            metadata.remove("ownerId");
        }
        None => {
            metadata.insert("ownerId".to_owned(), owner.as_str().into());
        }
    }
    let changes = ActiveModel {
        org_id: Set(to.cloned()),
        metadata: Set(metadata),
        ..ActiveModel::default()
    };
    row::update::<Entity, _>(db, id.clone(), changes, None).await
}

/// Deletes a project with its workspaces, sessions and tasks. T
///
/// Errors: `NotFound`.
pub async fn delete_project(db: &impl ConnectionTrait, id: &ProjectId) -> Result<(), StorageError> {
    let deleted = Entity::delete_by_id(id.clone()).exec(db).await?;
    if deleted.rows_affected == 0 {
        Err(StorageError::NotFound)
    } else {
        Ok(())
    }
}
