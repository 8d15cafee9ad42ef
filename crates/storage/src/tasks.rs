//! Tasks and what they depend on.

mod dependencies;
mod lists;
mod ready;
mod rows;
mod status;
mod sync;

use sea_orm::ActiveValue::Set;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect};

use crate::engine::Engine;
use crate::entity::tasks::{ActiveModel, Column, Entity, Model};
use crate::enums::{TaskImpact, TaskLevel, TaskPriority, TaskRisk, TaskScope, TaskStatus};
use crate::error::StorageError;
use crate::ids::{ProjectId, TaskId};
use crate::json::{Metadata, StringList};
use crate::row::{self, set_if};
use crate::scope::{Scope, column};
use crate::sql;
use crate::time::{self, DateTimeUtc};

pub use dependencies::{
    Linked, NewDependency, add_dependency, delete_dependencies, dependencies, dependents,
    edge_ends, insert_dependencies, load_dependencies, project_edges, remove_dependency,
};
pub use lists::{
    TaskFilter, TaskOutline, active_tasks, count_tasks_by_status, graph_rows, list_tasks,
    task_outlines, tasks_of_project, tasks_under, tasks_with_tags,
};
pub use ready::ready_tasks;
pub use rows::{delete_tasks, insert_tasks, set_task_metadata, upsert_tasks};
pub use status::{StatusChange, update_task_status};
pub use sync::{
    MissingDependency, SyncOptions, SyncReport, TaskFile, sync_tasks, sync_tasks_with_bodies,
};

/// The line behind which notes stand in a body; an import compares and replaces what precedes it.
pub const NOTES_MARK: &str = "<!-- notes -->";

/// A task to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct NewTask {
    /// Its id; none = a new one.
    pub id: Option<TaskId>,
    /// The project.
    pub project_id: ProjectId,
    /// Unique in the project.
    pub slug: String,
    /// Shown name.
    pub name: String,
    /// Relative path of its file, without extension.
    pub path: Option<String>,
    /// Where the work stands.
    pub status: TaskStatus,
    /// How much it touches.
    pub scope: Option<TaskScope>,
    /// How likely it goes wrong.
    pub risk: Option<TaskRisk>,
    /// How far a failure reaches.
    pub impact: Option<TaskImpact>,
    /// Sort of work.
    pub level: Option<TaskLevel>,
    /// What comes first.
    pub priority: Option<TaskPriority>,
    /// Labels.
    pub tags: StringList,
    /// Who does it.
    pub assignee: Option<String>,
    /// When it is due.
    pub due_at: Option<DateTimeUtc>,
    /// Markdown.
    pub body: Option<String>,
    /// `created` of the file.
    pub file_created_at: Option<DateTimeUtc>,
    /// `modified` of the file.
    pub file_modified_at: Option<DateTimeUtc>,
    /// First entry to in-progress.
    pub started_at: Option<DateTimeUtc>,
    /// Entry to completed.
    pub completed_at: Option<DateTimeUtc>,
    /// Notes.
    pub metadata: Metadata,
}

impl Default for NewTask {
    fn default() -> Self {
        Self {
            id: None,
            project_id: ProjectId::from(""),
            slug: String::new(),
            name: String::new(),
            path: None,
            status: TaskStatus::Pending,
            scope: None,
            risk: None,
            impact: None,
            level: None,
            priority: None,
            tags: StringList::default(),
            assignee: None,
            due_at: None,
            body: None,
            file_created_at: None,
            file_modified_at: None,
            started_at: None,
            completed_at: None,
            metadata: Metadata::new(),
        }
    }
}

/// What to change of the authored part of a task; `None` leaves a field as it is, `Some(None)`
/// empties it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TaskChanges {
    /// Unique in the project.
    pub slug: Option<String>,
    /// Shown name.
    pub name: Option<String>,
    /// Relative path of its file.
    pub path: Option<Option<String>>,
    /// How much it touches.
    pub scope: Option<Option<TaskScope>>,
    /// How likely it goes wrong.
    pub risk: Option<Option<TaskRisk>>,
    /// How far a failure reaches.
    pub impact: Option<Option<TaskImpact>>,
    /// Sort of work.
    pub level: Option<Option<TaskLevel>>,
    /// What comes first.
    pub priority: Option<Option<TaskPriority>>,
    /// Labels.
    pub tags: Option<StringList>,
    /// Who does it.
    pub assignee: Option<Option<String>>,
    /// When it is due.
    pub due_at: Option<Option<DateTimeUtc>>,
    /// Markdown.
    pub body: Option<Option<String>>,
    /// `created` of the file.
    pub file_created_at: Option<Option<DateTimeUtc>>,
    /// `modified` of the file.
    pub file_modified_at: Option<Option<DateTimeUtc>>,
    /// Notes, as a whole.
    pub metadata: Option<Metadata>,
    /// `updated_at` the row must still have.
    pub if_updated_at: Option<DateTimeUtc>,
}

/// Makes a task. T, with its dependencies
///
/// Errors: `Unique` of `unq_tasks_project_slug`, `ForeignKey`.
pub async fn create_task(db: &impl ConnectionTrait, new: NewTask) -> Result<Model, StorageError> {
    let row = active(new, time::now());
    Ok(Entity::insert(row).exec_with_returning(db).await?)
}

/// The task with this id, if the asker may see its project.
pub async fn task_by_id(
    db: &impl ConnectionTrait,
    scope: &Scope,
    id: &TaskId,
) -> Result<Option<Model>, StorageError> {
    Ok(Entity::find_by_id(id.clone())
        .filter(scope.within_projects(Engine::of(db), column("tasks", "project_id")))
        .one(db)
        .await?)
}

/// Like [`task_by_id`], locked to the end of the transaction. T
pub async fn lock_task(
    db: &impl ConnectionTrait,
    scope: &Scope,
    id: &TaskId,
) -> Result<Option<Model>, StorageError> {
    Ok(Entity::find_by_id(id.clone())
        .filter(scope.within_projects(Engine::of(db), column("tasks", "project_id")))
        .lock_exclusive()
        .one(db)
        .await?)
}

/// The task of a project with this slug, if the asker may see the project.
pub async fn task_by_slug(
    db: &impl ConnectionTrait,
    scope: &Scope,
    project: &ProjectId,
    slug: &str,
) -> Result<Option<Model>, StorageError> {
    Ok(Entity::find()
        .filter(Column::ProjectId.eq(project.clone()))
        .filter(Column::Slug.eq(slug))
        .filter(scope.within_projects(Engine::of(db), column("tasks", "project_id")))
        .one(db)
        .await?)
}

/// The tasks with these ids, in no order.
pub async fn tasks_by_ids(
    db: &impl ConnectionTrait,
    ids: &[TaskId],
) -> Result<Vec<Model>, StorageError> {
    let mine = Engine::of(db).one_of(column("tasks", "id"), ids);
    Ok(Entity::find().filter(mine).all(db).await?)
}

/// The tasks of a project with these slugs, in no order.
pub async fn tasks_by_slugs(
    db: &impl ConnectionTrait,
    project: &ProjectId,
    slugs: &[String],
) -> Result<Vec<Model>, StorageError> {
    let mine = Engine::of(db).one_of(column("tasks", "slug"), slugs);
    Ok(Entity::find()
        .filter(Column::ProjectId.eq(project.clone()))
        .filter(mine)
        .all(db)
        .await?)
}

/// Changes the authored part of a task; never its status.
///
/// Errors: `NotFound`, `Stale`, `Unique` of `unq_tasks_project_slug`.
pub async fn update_task(
    db: &impl ConnectionTrait,
    id: &TaskId,
    changes: TaskChanges,
) -> Result<Model, StorageError> {
    let unchanged_since = changes.if_updated_at;
    let whole = |moment: Option<DateTimeUtc>| moment.map(time::whole_milliseconds);
    let changes = ActiveModel {
        slug: set_if(changes.slug),
        name: set_if(changes.name),
        path: set_if(changes.path),
        scope: set_if(changes.scope),
        risk: set_if(changes.risk),
        impact: set_if(changes.impact),
        level: set_if(changes.level),
        priority: set_if(changes.priority),
        tags: set_if(changes.tags),
        assignee: set_if(changes.assignee),
        due_at: set_if(changes.due_at.map(whole)),
        body: set_if(changes.body),
        file_created_at: set_if(changes.file_created_at.map(whole)),
        file_modified_at: set_if(changes.file_modified_at.map(whole)),
        metadata: set_if(changes.metadata),
        ..ActiveModel::default()
    };
    row::update::<Entity, _>(db, id.clone(), changes, unchanged_since).await
}

/// Deletes a task; answers how many dependencies went with it. T
///
/// Errors: `NotFound`.
pub async fn delete_task(db: &impl ConnectionTrait, id: &TaskId) -> Result<u64, StorageError> {
    let edges = sql::count(
        db,
        "select count(*) from task_dependencies
         where depends_on_task_id = $1 or dependent_task_id = $1",
        [id.as_str().into()],
    )
    .await?;
    let deleted = Entity::delete_by_id(id.clone()).exec(db).await?;
    if deleted.rows_affected == 0 {
        Err(StorageError::NotFound)
    } else {
        Ok(edges)
    }
}

/// Appends a note behind the mark of the notes, which is added when it is missing. The line break
/// before the mark belongs to the mark, so the text above it stays as it was, break at its end or not.
///
/// One statement: two notes at once are both kept.
/// Errors: `NotFound`.
pub async fn append_task_note(
    db: &impl ConnectionTrait,
    id: &TaskId,
    note: &str,
) -> Result<Model, StorageError> {
    let engine = Engine::of(db);
    let next = engine.next_moment_sql("tasks.updated_at");
    let text = format!(
        "update tasks set
             body = coalesce(body, '')
                 || case when coalesce(body, '') = '' then $3 || $2
                      when $2 || body || $2 not like '%' || $2 || $3 || $2 || '%'
                      then $2 || $3 || $2
                      when body like '%' || $2 then '' else $2 end
                 || $4 || case when $4 like '%' || $2 then '' else $2 end,
             updated_at = {}($5, {next})
         where id = $1 returning *",
        engine.greatest()
    );
    let values = [
        id.as_str().into(),
        "\n".into(),
        NOTES_MARK.into(),
        note.into(),
        time::now().into(),
    ];
    sql::one(db, &text, values)
        .await?
        .ok_or(StorageError::NotFound)
}

/// The row as it is written first.
fn active(new: NewTask, now: DateTimeUtc) -> ActiveModel {
    let whole = |moment: Option<DateTimeUtc>| moment.map(time::whole_milliseconds);
    ActiveModel {
        id: Set(new.id.unwrap_or_else(TaskId::random)),
        project_id: Set(new.project_id),
        slug: Set(new.slug),
        name: Set(new.name),
        path: Set(new.path),
        status: Set(new.status),
        scope: Set(new.scope),
        risk: Set(new.risk),
        impact: Set(new.impact),
        level: Set(new.level),
        priority: Set(new.priority),
        tags: Set(new.tags),
        assignee: Set(new.assignee),
        due_at: Set(whole(new.due_at)),
        body: Set(new.body),
        file_created_at: Set(whole(new.file_created_at)),
        file_modified_at: Set(whole(new.file_modified_at)),
        started_at: Set(whole(new.started_at)),
        completed_at: Set(whole(new.completed_at)),
        metadata: Set(new.metadata),
        created_at: Set(now),
        updated_at: Set(now),
    }
}
