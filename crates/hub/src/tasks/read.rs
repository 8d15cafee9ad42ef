//! `task.get` and `task.list`.

use std::sync::Arc;

use alkhub_operations::{CallError, Issue, Operation, OperationType, operation};
use alkhub_storage::enums::{TaskPriority, TaskStatus};
use alkhub_storage::ids::ProjectId;
use alkhub_storage::tasks::{self as queries, TaskFilter};
use alkhub_storage::{ConnectionTrait, Order, coordination};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::view::{DEFAULT_RETENTION, MappingView, Neighbour, TaskView};
use super::visible_task;
use crate::error::{HubError, NOT_FOUND};
use crate::page::{PageView, list_input};
use crate::rules::{self, Issues};
use crate::state::{Call, handle};

/// Most statuses, tags or words of a filter.
const MAX_FILTER: usize = 50;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        operation::<TaskGet, TaskDetails>("task.get", OperationType::Query)
            .description("One task, by id or by project and slug.")
            .scopes(&["task:read"])
            .resource("project", "read")
            .handler(handle(get)),
        operation::<TaskList, PageView<TaskView>>("task.list", OperationType::Query)
            .description("The visible tasks, newest first, without their bodies.")
            .scopes(&["task:read"])
            .resource("project", "read")
            .handler(handle(list)),
    ]
}

/// What may be added to a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum Include {
    /// The tasks it depends on.
    Dependencies,
    /// The tasks that depend on it.
    Dependents,
    /// The session that works on it, or worked on it last.
    Mapping,
    /// Its text.
    Body,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TaskGet {
    /// Id of the task.
    id: Option<String>,
    /// Id of the project, together with a slug in the place of an id.
    project_id: Option<String>,
    /// Slug of the task in that project.
    slug: Option<String>,
    /// What to add to the task.
    include: Option<Vec<Include>>,
}

/// A task with what was asked for beside it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct TaskDetails {
    #[serde(flatten)]
    task: TaskView,
    /// The tasks it depends on, by slug.
    #[serde(skip_serializing_if = "Option::is_none")]
    dependencies: Option<Vec<Neighbour>>,
    /// The tasks that depend on it, by slug.
    #[serde(skip_serializing_if = "Option::is_none")]
    dependents: Option<Vec<Neighbour>>,
    /// The session that works on it, else the one that did last; null without any.
    #[serde(skip_serializing_if = "Option::is_none")]
    mapping: Option<Option<MappingView>>,
}

async fn get(call: Call, input: Arc<TaskGet>) -> Result<TaskDetails, HubError> {
    let scope = call.scope()?;
    let reader = call.database().reader();
    let task = match (&input.id, &input.project_id, &input.slug) {
        (Some(id), None, None) => visible_task(reader, &scope, "/id", id).await?,
        (None, Some(project), Some(slug)) => {
            let mut issues = Issues::default();
            issues.take(rules::id("/projectId", project));
            issues.take(rules::task_slug("/slug", slug));
            issues.finish()?;
            queries::task_by_slug(reader, &scope, &ProjectId::from(project.clone()), slug)
                .await?
                .ok_or_else(|| CallError::not_found(NOT_FOUND))?
        }
        _ => {
            let message = "give either id, or projectId and slug";
            return Err(CallError::validation_field("/id", "one_of", message).into());
        }
    };
    let asked = |part: Include| {
        input
            .include
            .as_ref()
            .is_some_and(|parts| parts.contains(&part))
    };
    let mut details = TaskDetails {
        task: if asked(Include::Body) {
            TaskView::whole(&task)
        } else {
            TaskView::brief(&task)
        },
        dependencies: None,
        dependents: None,
        mapping: None,
    };
    let id = std::slice::from_ref(&task.id);
    if asked(Include::Dependencies) {
        details.dependencies = Some(neighbours(queries::dependencies(reader, id).await?));
    }
    if asked(Include::Dependents) {
        details.dependents = Some(neighbours(queries::dependents(reader, id).await?));
    }
    if asked(Include::Mapping) {
        details.mapping = Some(mapping(reader, &task).await?);
    }
    Ok(details)
}

fn neighbours(linked: Vec<queries::Linked>) -> Vec<Neighbour> {
    linked
        .into_iter()
        .map(|linked| Neighbour {
            quality_retention: linked.edge.quality_retention.unwrap_or(DEFAULT_RETENTION),
            id: linked.task.id,
            slug: linked.task.slug,
            name: linked.task.name,
            status: linked.task.status,
        })
        .collect()
}

async fn mapping(
    reader: &impl ConnectionTrait,
    task: &alkhub_storage::Task,
) -> Result<Option<MappingView>, HubError> {
    if let Some(active) = coordination::active_mapping_of_task(reader, &task.id).await? {
        return Ok(Some(MappingView::from(&active)));
    }
    let tries = coordination::mappings_of_task(reader, &task.id).await?;
    Ok(tries.first().map(MappingView::from))
}

list_input! {
    struct TaskList {
        /// Only tasks of this project.
        project_id: Option<String>,
        /// Only tasks that stand so.
        status: Option<Vec<TaskStatus>>,
        /// Only tasks whose path is this one or lies below it.
        path_prefix: Option<String>,
        /// Only tasks that have all of these labels.
        tags_all: Option<Vec<String>>,
        /// Only tasks that have one of these labels.
        tags_any: Option<Vec<String>>,
        /// Only tasks of this assignee.
        assignee: Option<String>,
        /// Only tasks of this priority.
        priority: Option<TaskPriority>,
        /// Only tasks due before this time, soonest first unless `order` says otherwise.
        due_before: Option<String>,
        /// A part of the name or slug, in any case.
        search: Option<String>,
    }
}

async fn list(call: Call, input: Arc<TaskList>) -> Result<PageView<TaskView>, HubError> {
    let mut issues = Issues::default();
    if let Some(project) = &input.project_id {
        issues.take(rules::id("/projectId", project));
    }
    let due_before = input
        .due_before
        .as_deref()
        .and_then(|text| issues.take(rules::time("/dueBefore", text)));
    for (field, text) in [
        ("/pathPrefix", &input.path_prefix),
        ("/assignee", &input.assignee),
        ("/search", &input.search),
    ] {
        if let Some(text) = text {
            issues.take(rules::text(field, text, super::places::MAX_PATH));
        }
    }
    for (field, list) in [("/tagsAll", &input.tags_all), ("/tagsAny", &input.tags_any)] {
        let list = list.as_deref().unwrap_or_default();
        if list.len() > MAX_FILTER {
            issues.add(Issue::new(
                field,
                "maxItems",
                format!("at most {MAX_FILTER} labels"),
            ));
        }
        for (index, tag) in list.iter().enumerate() {
            issues.take(rules::line(&format!("{field}/{index}"), tag, 64));
        }
    }
    issues.finish()?;
    let filter = TaskFilter {
        project: input.project_id.clone().map(ProjectId::from),
        status: input.status.clone().unwrap_or_default(),
        path_prefix: input.path_prefix.clone(),
        tags_all: input.tags_all.clone().unwrap_or_default(),
        tags_any: input.tags_any.clone().unwrap_or_default(),
        assignee: input.assignee.clone(),
        priority: input.priority,
        due_before,
        search: input.search.clone(),
    };
    let mut page = input.page();
    if due_before.is_some() && input.order.is_none() {
        page.order = Order::Asc;
    }
    let reader = call.database().reader();
    let page = queries::list_tasks(reader, &call.scope()?, &filter, &page).await?;
    Ok(PageView::of(page, |row| TaskView::brief(&row)))
}
