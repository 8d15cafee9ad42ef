//! Operations on tasks: making and changing them, moving their status, what depends on what, what can
//! be started now, and the way between a project and a directory of task files.

mod analyze;
mod blocked;
mod create;
mod delete;
mod dependencies;
mod draw;
mod export;
mod file;
mod graph;
mod history;
mod import;
mod labels;
mod notes;
mod places;
mod read;
mod ready;
mod status;
mod sync;
mod update;
mod view;
mod watch;

use alkhub_operations::{CallError, Operation};
use alkhub_storage::ids::{ProjectId, TaskId};
use alkhub_storage::{ConnectionTrait, Project, Scope, Task, projects, tasks as queries};

use crate::audit::Entry;
use crate::error::{HubError, NOT_FOUND};
use crate::rules::{self, Issues};

pub(crate) fn operations() -> Vec<Operation> {
    let mut operations = Vec::new();
    operations.extend(create::operations());
    operations.extend(read::operations());
    operations.extend(update::operations());
    operations.extend(status::operations());
    operations.extend(delete::operations());
    operations.extend(dependencies::operations());
    operations.extend(import::operations());
    operations.extend(export::operations());
    operations.extend(ready::operations());
    operations.extend(blocked::operations());
    operations.extend(draw::operations());
    operations.extend(analyze::operations());
    operations.extend(watch::operations());
    operations.extend(sync::operations());
    operations.extend(history::operations());
    operations
}

/// The project, locked against other writers of its graph, if the caller may see it.
///
/// Two dependencies added at once could close a circle that neither sees; whoever adds some therefore
/// holds the project's row.
async fn lock_project(
    transaction: &impl ConnectionTrait,
    scope: &Scope,
    id: &str,
) -> Result<Project, HubError> {
    check_id("/projectId", id)?;
    projects::lock_project(transaction, scope, &ProjectId::from(id))
        .await?
        .ok_or_else(|| CallError::not_found(NOT_FOUND).into())
}

/// The project, if the caller may see it.
async fn visible_project(
    database: &impl ConnectionTrait,
    scope: &Scope,
    id: &str,
) -> Result<Project, HubError> {
    check_id("/projectId", id)?;
    projects::project_by_id(database, scope, &ProjectId::from(id))
        .await?
        .ok_or_else(|| CallError::not_found(NOT_FOUND).into())
}

/// The task that a field of the input names, if the caller may see it.
async fn visible_task(
    database: &impl ConnectionTrait,
    scope: &Scope,
    field: &str,
    id: &str,
) -> Result<Task, HubError> {
    check_id(field, id)?;
    queries::task_by_id(database, scope, &TaskId::from(id))
        .await?
        .ok_or_else(|| CallError::not_found(NOT_FOUND).into())
}

/// The task with its project, locked against other writers of the row, if the caller may see it.
async fn locked_task(
    transaction: &impl ConnectionTrait,
    scope: &Scope,
    id: &str,
) -> Result<(Task, Project), HubError> {
    check_id("/id", id)?;
    let task = queries::lock_task(transaction, scope, &TaskId::from(id))
        .await?
        .ok_or_else(|| CallError::not_found(NOT_FOUND))?;
    let project = projects::project_by_id(transaction, &Scope::All, &task.project_id)
        .await?
        .ok_or_else(|| CallError::not_found(NOT_FOUND))?;
    Ok((task, project))
}

/// Refuses what no id can look like, NUL above all, which a database would not even read.
fn check_id(field: &str, id: &str) -> Result<(), HubError> {
    let mut issues = Issues::default();
    issues.take(rules::id(field, id));
    Ok(issues.finish()?)
}

/// Refuses to bring tasks into a project that was put away.
fn refuse_archived(project: &Project) -> Result<(), HubError> {
    if project.metadata.contains_key("archivedAt") {
        let message = "the project is archived; unarchive it to add tasks";
        return Err(CallError::conflict("archived", message).into());
    }
    Ok(())
}

/// An audit entry about a task.
fn about(task: &Task, project: &Project) -> Entry {
    Entry::about("task", &task.id, &task.slug)
        .in_organization(project.org_id.as_ref())
        .in_project(Some(&project.id))
}
