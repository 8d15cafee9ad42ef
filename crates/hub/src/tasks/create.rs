//! `task.create`.

use std::sync::Arc;

use alkhub_operations::{CallError, Operation, OperationType, operation};
use alkhub_storage::enums::{TaskImpact, TaskLevel, TaskPriority, TaskRisk, TaskScope, TaskStatus};
use alkhub_storage::ids::{ProjectId, TaskId};
use alkhub_storage::tasks::{self as queries, NewDependency, NewTask};
use alkhub_storage::{ConnectionTrait, Scope, StorageResultExt as _, Task, time};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::view::TaskView;
use super::{about, file, lock_project, places, refuse_archived};
use crate::audit::{self, Action};
use crate::error::HubError;
use crate::events::TaskChange;
use crate::rules::{self, Issues};
use crate::state::{Call, handle};

/// Most prerequisites of one task, in one call.
const MAX_DEPENDENCIES: usize = 1_000;

/// Longest body, in characters: that of a file.
pub(super) const MAX_BODY: usize = 1_024 * 1_024;

/// Numbers tried behind a slug that was made from a name.
const MAX_NUMBERED: u32 = 100;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        operation::<TaskCreate, TaskView>("task.create", OperationType::Mutation)
            .description("Makes a task; without a slug one is made from the name.")
            .scopes(&["task:write"])
            .resource("project", "write")
            .error(
                "CONFLICT",
                "slug_taken: the project has a task of this slug; archived: the project was put away",
            )
            .error(
                "UNPROCESSABLE",
                "unknown_dependency: a prerequisite is no task of the project; self_dependency: the \
                 task names itself; unfinished_prerequisites: it cannot begin in progress",
            )
            .handler(handle(create)),
    ]
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TaskCreate {
    /// Id of the project.
    project_id: String,
    /// Short name, unique in the project, 1 to 200 characters; made from the name when absent.
    slug: Option<String>,
    /// Shown name, 1 to 200 characters.
    name: String,
    /// Path of its file without extension, relative to the root of the task directory.
    path: Option<String>,
    /// Where the work stands.
    #[serde(default = "pending")]
    status: TaskStatus,
    /// How much it touches.
    scope: Option<TaskScope>,
    /// How likely it is to fail.
    risk: Option<TaskRisk>,
    /// How far a failure reaches.
    impact: Option<TaskImpact>,
    /// Kind of work.
    level: Option<TaskLevel>,
    /// How soon it is wanted.
    priority: Option<TaskPriority>,
    /// Labels, at most 50 of 1 to 64 characters.
    tags: Option<Vec<String>>,
    /// Who does it: an account id, an e-mail address or a role name.
    assignee: Option<String>,
    /// When it is due, as RFC 3339 with an offset.
    due_at: Option<String>,
    /// Markdown.
    body: Option<String>,
    /// Slugs of the tasks that must be completed first.
    depends_on: Option<Vec<String>>,
    /// Notes, at most 16 KiB.
    metadata: Option<Map<String, Value>>,
}

fn pending() -> TaskStatus {
    TaskStatus::Pending
}

async fn create(call: Call, input: Arc<TaskCreate>) -> Result<TaskView, HubError> {
    let (new, depends_on) = checked(&input)?;
    let transaction = call.begin().await?;
    let project = lock_project(&transaction, &call.scope()?, &input.project_id).await?;
    refuse_archived(&project)?;
    let slug = match &input.slug {
        Some(slug) => slug.clone(),
        None => free_slug(&transaction, &project.id, &new.name).await?,
    };
    if depends_on.contains(&slug) {
        return Err(
            CallError::unprocessable("self_dependency", "a task cannot depend on itself").into(),
        );
    }
    let prerequisites = prerequisites(&transaction, &project.id, &depends_on).await?;
    if new.status == TaskStatus::InProgress {
        super::status::refuse_unfinished(&prerequisites)?;
    }
    let new = NewTask {
        project_id: project.id.clone(),
        slug,
        ..new
    };
    let taken = CallError::conflict("slug_taken", "the project has a task of this slug");
    let task = queries::create_task(&transaction, new)
        .await
        .on_unique("unq_tasks_project_slug", HubError::from(taken))?;
    let edges: Vec<NewDependency> = prerequisites
        .iter()
        .map(|prerequisite| NewDependency::new(prerequisite.id.clone(), task.id.clone()))
        .collect();
    queries::insert_dependencies(&transaction, edges).await?;
    let entry = about(&task, &project).changed(json!(null), json!({ "status": task.status }));
    audit::write(&transaction, &call.actor()?, Action::TaskCreated, entry).await?;
    transaction.commit().await?;
    call.state()
        .events
        .task(&project.id, Some(&task.id), TaskChange::Created);
    Ok(TaskView::whole(&task))
}

/// The row without its project and slug, and the slugs of its prerequisites, each once.
fn checked(input: &TaskCreate) -> Result<(NewTask, Vec<String>), HubError> {
    let mut issues = Issues::default();
    if let Some(slug) = &input.slug {
        issues.take(rules::task_slug("/slug", slug));
    }
    let name = issues
        .take(rules::name("/name", &input.name))
        .unwrap_or_default();
    if let Some(path) = &input.path {
        issues.take(path_rule("/path", path));
    }
    let tags = input.tags.as_deref().unwrap_or_default();
    issues.take_all(rules::tags("/tags", tags));
    if let Some(assignee) = &input.assignee {
        issues.take(assignee_rule("/assignee", assignee));
    }
    let due_at = input
        .due_at
        .as_deref()
        .and_then(|text| issues.take(rules::time("/dueAt", text)));
    if let Some(body) = &input.body {
        issues.take(rules::text("/body", body, MAX_BODY));
    }
    let depends_on = input.depends_on.clone().unwrap_or_default();
    if depends_on.len() > MAX_DEPENDENCIES {
        let message = format!("at most {MAX_DEPENDENCIES} prerequisites");
        issues.add(alkhub_operations::Issue::new(
            "/dependsOn",
            "maxItems",
            message,
        ));
    }
    for (index, slug) in depends_on.iter().enumerate() {
        issues.take(rules::task_slug(&format!("/dependsOn/{index}"), slug));
    }
    let none = Map::new();
    let given = input.metadata.as_ref().unwrap_or(&none);
    let metadata = issues
        .take_all(rules::metadata_patch("tasks", &none, given))
        .unwrap_or_default();
    issues.finish()?;
    let now = time::now();
    let depends_on = alkhub_storage::json::StringList::from(depends_on).into_vec();
    let new = NewTask {
        name,
        path: input.path.clone(),
        status: input.status,
        scope: input.scope,
        risk: input.risk,
        impact: input.impact,
        level: input.level,
        priority: input.priority,
        tags: tags.to_vec().into(),
        assignee: input.assignee.clone(),
        due_at,
        body: input.body.clone(),
        started_at: (input.status == TaskStatus::InProgress).then_some(now),
        completed_at: (input.status == TaskStatus::Completed).then_some(now),
        metadata: metadata.into(),
        ..NewTask::default()
    };
    Ok((new, depends_on))
}

/// A path as an import would make it.
pub(super) fn path_rule(field: &str, path: &str) -> Result<String, alkhub_operations::Issue> {
    match places::check(path) {
        Ok(()) => Ok(path.to_owned()),
        Err(why) => Err(alkhub_operations::Issue::new(field, "path", why)),
    }
}

/// An assignee: free text on one line.
pub(super) fn assignee_rule(field: &str, text: &str) -> Result<String, alkhub_operations::Issue> {
    if text.trim().is_empty() {
        return Err(alkhub_operations::Issue::new(
            field,
            "minLength",
            "must not be empty",
        ));
    }
    rules::line(field, text, file::MAX_ASSIGNEE)
}

/// A slug made from the name that no task of the project has; the project is locked.
async fn free_slug(
    transaction: &impl ConnectionTrait,
    project: &ProjectId,
    name: &str,
) -> Result<String, HubError> {
    let base = rules::slug_from_name(name);
    let free = async |slug: &str| -> Result<bool, HubError> {
        Ok(
            queries::task_by_slug(transaction, &Scope::All, project, slug)
                .await?
                .is_none(),
        )
    };
    if free(&base).await? {
        return Ok(base);
    }
    for number in 2..=MAX_NUMBERED {
        let slug = format!("{base}-{number}");
        if free(&slug).await? {
            return Ok(slug);
        }
    }
    // So many tasks of one name: counting on would look up all of them each time.
    let random = TaskId::random().into_string();
    Ok(format!("{base}-{}", random.get(..8).unwrap_or(&random)))
}

/// The tasks of these slugs.
async fn prerequisites(
    transaction: &impl ConnectionTrait,
    project: &ProjectId,
    slugs: &[String],
) -> Result<Vec<Task>, HubError> {
    if slugs.is_empty() {
        return Ok(Vec::new());
    }
    let found = queries::tasks_by_slugs(transaction, project, slugs).await?;
    let unknown: Vec<&String> = slugs
        .iter()
        .filter(|slug| !found.iter().any(|task| task.slug == **slug))
        .collect();
    if unknown.is_empty() {
        return Ok(found);
    }
    let names = unknown
        .iter()
        .map(|slug| slug.as_str())
        .collect::<Vec<_>>()
        .join(", ");
    let message = format!("no tasks of the project: {names}");
    Err(CallError::unprocessable("unknown_dependency", message)
        .with_detail("unknown", json!(unknown))
        .into())
}
