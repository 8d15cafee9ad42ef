//! `task.export`: the tasks of a project as files.

use std::collections::HashMap;
use std::sync::Arc;

use alkhub_operations::{Operation, OperationType, operation};
use alkhub_storage::Task;
use alkhub_storage::ids::TaskId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::import::plan::Stored;
use super::import::{SourceText, off_runtime};
use super::places::{Wanted, places};
use super::view::DEFAULT_RETENTION;
use super::{file, visible_project};
use crate::error::HubError;
use crate::rules::{self, Issues};
use crate::state::{Call, handle};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        operation::<ExportInput, Exported>("task.export", OperationType::Query)
            .description("The tasks of a project as files, ready to be imported again.")
            .scopes(&["task:read"])
            .resource("project", "read")
            .handler(handle(export)),
    ]
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ExportInput {
    /// Id of the project.
    project_id: String,
    /// Only tasks whose path begins with this text.
    path_prefix: Option<String>,
}

/// Task files.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Exported {
    /// The files, by path.
    pub(super) files: Vec<SourceText>,
    /// What the files do not say.
    pub(super) lossy: Vec<Lossy>,
}

/// Something of a task that its file does not say.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Lossy {
    /// Slug of the task.
    pub(super) task: String,
    /// What it is.
    pub(super) what: String,
}

async fn export(call: Call, input: Arc<ExportInput>) -> Result<Exported, HubError> {
    let mut issues = Issues::default();
    if let Some(prefix) = &input.path_prefix {
        issues.take(rules::text("/pathPrefix", prefix, super::places::MAX_PATH));
    }
    issues.finish()?;
    let transaction = call.database().begin_read().await?;
    let project = visible_project(&transaction, &call.scope()?, &input.project_id).await?;
    let stored = Stored::load(&transaction, &project.id).await?;
    transaction.rollback().await?;
    off_runtime(move || files(&stored, input.path_prefix.as_deref())).await
}

/// The files of all tasks, or of those whose path begins with the prefix.
pub(super) fn files(stored: &Stored, path_prefix: Option<&str>) -> Exported {
    let tasks = &stored.tasks;
    let slugs: HashMap<&TaskId, &str> = tasks.iter().map(|row| (&row.id, row.slug.as_str())).collect();
    let mut depends_on: HashMap<&TaskId, Vec<String>> = HashMap::new();
    let mut lossy = Vec::new();
    let chosen = |row: &Task| {
        path_prefix.is_none_or(|prefix| row.path.as_ref().is_some_and(|path| path.starts_with(prefix)))
    };
    let chosen: HashMap<&TaskId, bool> = tasks.iter().map(|row| (&row.id, chosen(row))).collect();
    for edge in &stored.edges {
        let ends = (slugs.get(&edge.depends_on_task_id), slugs.get(&edge.dependent_task_id));
        let (Some(prerequisite), Some(dependent)) = ends else { continue };
        depends_on.entry(&edge.dependent_task_id).or_default().push((*prerequisite).to_owned());
        let retention = edge.quality_retention.unwrap_or(DEFAULT_RETENTION);
        if retention != DEFAULT_RETENTION && chosen.get(&edge.dependent_task_id) == Some(&true) {
            let what = format!("keeps {retention} of the quality of \"{prerequisite}\"");
            lossy.push(Lossy { task: (*dependent).to_owned(), what });
        }
    }
    // Places are given out among all tasks, so that a part of them is written where the whole would be.
    let wanted: Vec<Wanted<'_>> = tasks
        .iter()
        .map(|row| Wanted { id: row.id.as_str(), slug: &row.slug, path: row.path.as_deref() })
        .collect();
    let mut files = Vec::new();
    for (row, place) in tasks.iter().zip(places(&wanted)) {
        if chosen.get(&row.id) != Some(&true) {
            continue;
        }
        let path = format!("{}.md", place.path);
        if let Some(why) = place.why {
            let name = row.path.as_deref().unwrap_or(&row.slug);
            let what = format!("is written as {path}, because \"{name}\" {why}");
            lossy.push(Lossy { task: row.slug.clone(), what });
        }
        let none = Vec::new();
        let (text, lost) = file::write(row, depends_on.get(&row.id).unwrap_or(&none));
        if let Some(lost) = lost {
            lossy.push(Lossy { task: row.slug.clone(), what: lost.to_owned() });
        }
        files.push(SourceText { path, text });
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    lossy.sort_by(|a, b| (&a.task, &a.what).cmp(&(&b.task, &b.what)));
    Exported { files, lossy }
}
