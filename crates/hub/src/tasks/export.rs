//! `task.export`: the tasks of a project as files.

use std::collections::HashMap;
use std::sync::Arc;

use alkhub_operations::{Operation, OperationType, operation};
use alkhub_storage::ids::{ProjectId, TaskId};
use alkhub_storage::tasks::{self as queries, TaskOutline};
use alkhub_storage::{ConnectionTrait, Task, TaskDependency};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::import::SourceText;
use super::places::{self, Place};
use super::view::DEFAULT_RETENTION;
use super::{file, visible_project};
use crate::error::HubError;
use crate::rules::{self, Issues};
use crate::state::{Call, handle};

/// Rows read at a time.
const CHUNK: usize = 500;

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
    /// Only tasks whose path is this one or lies below it.
    path_prefix: Option<String>,
}

/// Task files.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Exported {
    /// The files, by path.
    files: Vec<SourceText>,
    /// What the files do not say.
    lossy: Vec<Lossy>,
}

/// Something of a task that its file does not say.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Lossy {
    /// Slug of the task.
    task: String,
    /// What it is.
    what: String,
}

async fn export(call: Call, input: Arc<ExportInput>) -> Result<Exported, HubError> {
    let mut issues = Issues::default();
    if let Some(prefix) = &input.path_prefix {
        issues.take(rules::text("/pathPrefix", prefix, places::MAX_PATH));
    }
    issues.finish()?;
    let transaction = call.database().begin_read().await?;
    let project = visible_project(&transaction, &call.scope()?, &input.project_id).await?;
    let written = written(&transaction, &project.id, input.path_prefix.as_deref()).await?;
    transaction.rollback().await?;
    let file = |file: TaskText| SourceText {
        path: file.path,
        text: file.text,
    };
    Ok(Exported {
        files: written.files.into_iter().map(file).collect(),
        lossy: written.lossy,
    })
}

/// What an export writes.
pub(super) struct Written {
    /// The files, by path.
    pub(super) files: Vec<TaskText>,
    lossy: Vec<Lossy>,
}

/// The file of one task.
pub(super) struct TaskText {
    pub(super) slug: String,
    pub(super) path: String,
    pub(super) text: String,
}

/// The files of all tasks of a project, or of those whose path is the prefix or lies below it.
pub(super) async fn written(
    reader: &impl ConnectionTrait,
    project: &ProjectId,
    path_prefix: Option<&str>,
) -> Result<Written, HubError> {
    let rows = queries::task_outlines(reader, project).await?;
    let edges = queries::project_edges(reader, project).await?;
    // Places are given out among all tasks, so that a part of them is written where the whole would be.
    let mut places: HashMap<TaskId, Place> = rows
        .iter()
        .map(|row| row.id.clone())
        .zip(places::of_rows(&rows))
        .collect();
    let chosen: Vec<TaskId> = rows
        .iter()
        .filter(|row| {
            let under = |prefix| {
                row.path
                    .as_ref()
                    .is_some_and(|path| places::is_under(path, prefix))
            };
            path_prefix.is_none_or(under)
        })
        .map(|row| row.id.clone())
        .collect();
    let links = Links::new(&rows, &edges);
    let mut exported = Written {
        files: Vec::with_capacity(chosen.len()),
        lossy: Vec::new(),
    };
    // Some at a time: the rows with their bodies are as large as the files.
    for chunk in chosen.chunks(CHUNK) {
        for row in queries::tasks_by_ids(reader, chunk).await? {
            if let Some(place) = places.remove(&row.id) {
                exported.add(&row, place, &links);
            }
        }
    }
    exported.files.sort_by(|a, b| a.path.cmp(&b.path));
    exported
        .lossy
        .sort_by(|a, b| (&a.task, &a.what).cmp(&(&b.task, &b.what)));
    Ok(exported)
}

/// What each task depends on.
struct Links<'a> {
    /// By dependent: slug of the prerequisite and what survives of its quality.
    by_dependent: HashMap<&'a TaskId, Vec<(&'a str, f64)>>,
}

impl<'a> Links<'a> {
    fn new(rows: &'a [TaskOutline], edges: &'a [TaskDependency]) -> Self {
        let slugs: HashMap<&TaskId, &str> = rows
            .iter()
            .map(|row| (&row.id, row.slug.as_str()))
            .collect();
        let mut by_dependent: HashMap<&TaskId, Vec<(&str, f64)>> = HashMap::new();
        for edge in edges {
            if let Some(slug) = slugs.get(&edge.depends_on_task_id) {
                let retention = edge.quality_retention.unwrap_or(DEFAULT_RETENTION);
                by_dependent
                    .entry(&edge.dependent_task_id)
                    .or_default()
                    .push((slug, retention));
            }
        }
        Self { by_dependent }
    }

    fn of(&self, task: &TaskId) -> &[(&'a str, f64)] {
        self.by_dependent.get(task).map_or(&[], Vec::as_slice)
    }
}

impl Written {
    fn add(&mut self, row: &Task, place: Place, links: &Links<'_>) {
        let path = format!("{}.md", place.path);
        let mut lossy = |what: String| {
            self.lossy.push(Lossy {
                task: row.slug.clone(),
                what,
            });
        };
        let links = links.of(&row.id);
        for (prerequisite, retention) in links {
            if *retention != DEFAULT_RETENTION {
                lossy(format!(
                    "keeps {retention} of the quality of \"{prerequisite}\""
                ));
            }
        }
        if let Some(why) = place.why {
            let name = row.path.as_deref().unwrap_or(&row.slug);
            lossy(format!("is written as {path}, because \"{name}\" {why}"));
        }
        let depends_on: Vec<String> = links.iter().map(|(slug, _)| (*slug).to_owned()).collect();
        let (text, lost) = file::write(row, &depends_on);
        if let Some(lost) = lost {
            lossy(lost.to_owned());
        }
        self.files.push(TaskText {
            slug: row.slug.clone(),
            path,
            text,
        });
    }
}
