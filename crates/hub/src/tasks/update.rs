//! `task.update` and `task.assign`.

use std::sync::Arc;

use alkhub_operations::{CallError, Operation, OperationType, operation};
use alkhub_storage::enums::{TaskImpact, TaskLevel, TaskPriority, TaskRisk, TaskScope};
use alkhub_storage::json::Metadata;
use alkhub_storage::tasks::{self as queries, TaskChanges};
use alkhub_storage::{StorageResultExt as _, Task};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::create::{MAX_BODY, assignee_rule, path_rule};
use super::file::UNPARSED;
use super::view::TaskView;
use super::{about, locked_task, notes};
use crate::audit::{self, Action};
use crate::error::HubError;
use crate::events::TaskChange;
use crate::rules::{self, Issues};
use crate::state::{Call, handle};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        operation::<TaskUpdate, TaskView>("task.update", OperationType::Mutation)
            .description("Changes fields of a task. The status has an operation of its own.")
            .scopes(&["task:write"])
            .error(
                "CONFLICT",
                "slug_taken: the project has a task of this slug",
            )
            .handler(handle(update)),
        operation::<TaskAssign, TaskView>("task.assign", OperationType::Mutation)
            .description("Says who does a task, or that nobody does.")
            .scopes(&["task:write"])
            .handler(handle(assign)),
    ]
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TaskUpdate {
    /// Id of the task.
    id: String,
    /// New slug.
    slug: Option<String>,
    /// New name.
    name: Option<String>,
    /// New path of its file; null removes it.
    #[serde(default, deserialize_with = "rules::present")]
    path: Option<Option<String>>,
    /// How much it touches; null = not assessed.
    #[serde(default, deserialize_with = "rules::present")]
    scope: Option<Option<TaskScope>>,
    /// How likely it is to fail; null = not assessed.
    #[serde(default, deserialize_with = "rules::present")]
    risk: Option<Option<TaskRisk>>,
    /// How far a failure reaches; null = not assessed.
    #[serde(default, deserialize_with = "rules::present")]
    impact: Option<Option<TaskImpact>>,
    /// Kind of work; null removes it.
    #[serde(default, deserialize_with = "rules::present")]
    level: Option<Option<TaskLevel>>,
    /// How soon it is wanted; null removes it.
    #[serde(default, deserialize_with = "rules::present")]
    priority: Option<Option<TaskPriority>>,
    /// All its labels; null removes them.
    #[serde(default, deserialize_with = "rules::present")]
    tags: Option<Option<Vec<String>>>,
    /// Who does it; null = nobody.
    #[serde(default, deserialize_with = "rules::present")]
    assignee: Option<Option<String>>,
    /// When it is due, as RFC 3339 with an offset; null removes it.
    #[serde(default, deserialize_with = "rules::present")]
    due_at: Option<Option<String>>,
    /// Markdown; null removes it. Notes behind their mark stay unless the text brings a mark itself.
    #[serde(default, deserialize_with = "rules::present")]
    body: Option<Option<String>>,
    /// Notes to merge; null removes a key.
    metadata: Option<Map<String, Value>>,
    /// Refused: the status is moved by `task.updateStatus`.
    status: Option<Value>,
    /// Only if the task was not changed since.
    if_updated_at: Option<String>,
}

async fn update(call: Call, input: Arc<TaskUpdate>) -> Result<TaskView, HubError> {
    if input.status.is_some() {
        let message = "the status is not changed here; use task.updateStatus";
        return Err(CallError::validation_field("/status", "use_update_status", message).into());
    }
    let scope = call.scope()?;
    let transaction = call.begin().await?;
    let (task, project) = locked_task(&transaction, &scope, &input.id).await?;
    let (changes, unchanged_since) = checked(&input, &task)?;
    rules::unchanged(unchanged_since, task.updated_at)?;
    if changes == TaskChanges::default() {
        return Ok(TaskView::whole(&task));
    }
    let taken = CallError::conflict("slug_taken", "the project has a task of this slug");
    let after = queries::update_task(&transaction, &task.id, changes)
        .await
        .on_unique("unq_tasks_project_slug", HubError::from(taken))?;
    audit_changes(&transaction, &call, &task, &after, &project).await?;
    transaction.commit().await?;
    call.state()
        .events
        .task(&project.id, Some(&task.id), TaskChange::Updated);
    Ok(TaskView::whole(&after))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TaskAssign {
    /// Id of the task.
    id: String,
    /// An account id, an e-mail address or a role name; null = nobody.
    #[serde(deserialize_with = "Option::deserialize")]
    assignee: Option<String>,
    /// Only if the task was not changed since.
    if_updated_at: Option<String>,
}

async fn assign(call: Call, input: Arc<TaskAssign>) -> Result<TaskView, HubError> {
    let mut issues = Issues::default();
    let assignee = input
        .assignee
        .as_deref()
        .and_then(|text| issues.take(assignee_rule("/assignee", text)));
    let unchanged_since = issues.moment("/ifUpdatedAt", input.if_updated_at.as_deref());
    issues.finish()?;
    let transaction = call.begin().await?;
    let (task, project) = locked_task(&transaction, &call.scope()?, &input.id).await?;
    rules::unchanged(unchanged_since, task.updated_at)?;
    if task.assignee == assignee {
        return Ok(TaskView::whole(&task));
    }
    let changes = TaskChanges {
        assignee: Some(assignee),
        ..TaskChanges::default()
    };
    let after = queries::update_task(&transaction, &task.id, changes).await?;
    audit_changes(&transaction, &call, &task, &after, &project).await?;
    transaction.commit().await?;
    call.state()
        .events
        .task(&project.id, Some(&task.id), TaskChange::Updated);
    Ok(TaskView::whole(&after))
}

/// The changes that are any, and the time the caller last saw the row changed.
fn checked(
    input: &TaskUpdate,
    task: &Task,
) -> Result<(TaskChanges, Option<DateTime<Utc>>), HubError> {
    let mut issues = Issues::default();
    let slug = input
        .slug
        .as_deref()
        .and_then(|slug| issues.take(rules::task_slug("/slug", slug)));
    let name = input
        .name
        .as_deref()
        .and_then(|name| issues.take(rules::name("/name", name)));
    if let Some(Some(path)) = &input.path {
        issues.take(path_rule("/path", path));
    }
    let tags = input.tags.as_ref().map(|tags| {
        let tags = tags.as_deref().unwrap_or_default();
        issues
            .take_all(rules::tags("/tags", tags))
            .unwrap_or_default()
    });
    if let Some(Some(assignee)) = &input.assignee {
        issues.take(assignee_rule("/assignee", assignee));
    }
    let due_at = input.due_at.as_ref().map(|text| {
        text.as_deref()
            .and_then(|text| issues.take(rules::time("/dueAt", text)))
    });
    if let Some(Some(body)) = &input.body {
        issues.take(rules::text("/body", body, MAX_BODY));
    }
    let none = Map::new();
    let patch = input.metadata.as_ref().unwrap_or(&none);
    let metadata = issues
        .take_all(rules::metadata_patch("tasks", &task.metadata, patch))
        .unwrap_or_default();
    let unchanged_since = issues.moment("/ifUpdatedAt", input.if_updated_at.as_deref());
    issues.finish()?;
    let metadata = without_unparsed_due(Metadata(metadata), due_at.is_some());
    let body = input.body.clone().map(|body| new_body(task, body));
    let changes = TaskChanges {
        slug: slug.filter(|slug| *slug != task.slug),
        name: name.filter(|name| *name != task.name),
        path: input.path.clone().filter(|path| *path != task.path),
        scope: input.scope.filter(|scope| *scope != task.scope),
        risk: input.risk.filter(|risk| *risk != task.risk),
        impact: input.impact.filter(|impact| *impact != task.impact),
        level: input.level.filter(|level| *level != task.level),
        priority: input.priority.filter(|priority| *priority != task.priority),
        tags: tags.map(Into::into).filter(|tags| *tags != task.tags),
        assignee: input
            .assignee
            .clone()
            .filter(|assignee| *assignee != task.assignee),
        due_at: due_at.filter(|due_at| *due_at != task.due_at),
        body: body.filter(|body| *body != task.body),
        metadata: Some(metadata).filter(|metadata| *metadata != task.metadata),
        ..TaskChanges::default()
    };
    Ok((changes, unchanged_since))
}

/// A date set here takes the place of a text that its file had for one.
fn without_unparsed_due(mut metadata: Metadata, due_is_set: bool) -> Metadata {
    if due_is_set && let Some(Value::Object(unparsed)) = metadata.get_mut(UNPARSED) {
        unparsed.remove("due");
        if unparsed.is_empty() {
            metadata.remove(UNPARSED);
        }
    }
    metadata
}

fn new_body(task: &Task, body: Option<String>) -> Option<String> {
    let stored = task.body.as_deref().unwrap_or_default();
    let body = body.unwrap_or_default();
    let brings_notes = !notes::split(&body).1.is_empty();
    let body = if brings_notes {
        body
    } else {
        notes::replace_authored(stored, &body)
    };
    (!body.is_empty()).then_some(body)
}

/// The entry names the fields that changed; of a body only that it did.
pub(super) async fn audit_changes(
    transaction: &impl alkhub_storage::ConnectionTrait,
    call: &Call,
    before: &Task,
    after: &Task,
    project: &alkhub_storage::Project,
) -> Result<(), HubError> {
    let (mut old, mut new) = rules::changed_fields(
        &json!(TaskView::brief(before)),
        &json!(TaskView::brief(after)),
    );
    // What a file holds that nobody here understands is text of the file.
    for fields in [&mut old, &mut new] {
        fields.remove("metadata");
    }
    if before.metadata != after.metadata {
        new.insert("metadataChanged".to_owned(), json!(true));
    }
    if before.body != after.body {
        new.insert("bodyChanged".to_owned(), json!(true));
    }
    let entry = about(after, project).changed(Value::Object(old), Value::Object(new));
    audit::write(transaction, &call.actor()?, Action::TaskUpdated, entry).await?;
    Ok(())
}
