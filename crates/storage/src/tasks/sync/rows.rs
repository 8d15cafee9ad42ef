//! What a file makes of a row, and whether that is any change.

use serde_json::Value;

use super::TaskFile;
use crate::entity::tasks::Model;
use crate::enums::TaskStatus;
use crate::ids::{ProjectId, TaskId};
use crate::json::Metadata;
use crate::tasks::{NOTES_MARK, NewTask};
use crate::time::{self, DateTimeUtc};

/// Notes that come from the file; a sync replaces them.
const FROM_FILE: [&str; 2] = ["unparsed", "frontmatter"];
/// Note that names prerequisites that are no tasks.
const MISSING: &str = "missing";

pub(super) fn new_row(
    project: &ProjectId,
    id: Option<TaskId>,
    file: TaskFile,
    missing: Vec<String>,
    now: DateTimeUtc,
) -> NewTask {
    let status = file.status.unwrap_or(TaskStatus::Pending);
    let begun = file.file_modified_at.unwrap_or(now);
    let mut metadata = file.metadata;
    set_missing(&mut metadata, missing);
    NewTask {
        id,
        project_id: project.clone(),
        slug: file.slug,
        name: file.name,
        path: file.path,
        status,
        scope: file.scope,
        risk: file.risk,
        impact: file.impact,
        level: file.level,
        priority: file.priority,
        tags: file.tags,
        assignee: file.assignee,
        due_at: file.due_at,
        body: file.body,
        file_created_at: file.file_created_at,
        file_modified_at: file.file_modified_at,
        started_at: (status == TaskStatus::InProgress).then_some(begun),
        completed_at: (status == TaskStatus::Completed).then_some(begun),
        metadata,
    }
}

/// The row as the file wants it; what is no authored column is not written by the upsert.
pub(super) fn changed_row(
    project: &ProjectId,
    row: &Model,
    file: TaskFile,
    missing: Vec<String>,
) -> NewTask {
    let mut metadata = row.metadata.clone();
    for key in FROM_FILE {
        match file.metadata.get(key) {
            Some(value) => metadata.insert(key.to_owned(), value.clone()),
            None => metadata.remove(key),
        };
    }
    set_missing(&mut metadata, missing);
    let body = with_notes(row.body.as_deref(), file.body);
    NewTask {
        // A conflict keeps the row's own id; two unique keys in conflict at once are an error.
        id: None,
        project_id: project.clone(),
        slug: file.slug,
        name: file.name,
        path: file.path,
        status: row.status,
        scope: file.scope,
        risk: file.risk,
        impact: file.impact,
        level: file.level,
        priority: file.priority,
        tags: file.tags,
        assignee: file.assignee,
        due_at: file.due_at.map(time::whole_milliseconds),
        body,
        file_created_at: file.file_created_at.map(time::whole_milliseconds),
        file_modified_at: file.file_modified_at.map(time::whole_milliseconds),
        started_at: row.started_at,
        completed_at: row.completed_at,
        metadata,
    }
}

pub(super) fn differs(row: &Model, wanted: &NewTask) -> bool {
    row.name != wanted.name
        || row.path != wanted.path
        || row.scope != wanted.scope
        || row.risk != wanted.risk
        || row.impact != wanted.impact
        || row.level != wanted.level
        || row.priority != wanted.priority
        || row.tags != wanted.tags
        || row.assignee != wanted.assignee
        || row.due_at != wanted.due_at
        || row.body.as_deref().unwrap_or_default() != wanted.body.as_deref().unwrap_or_default()
        || row.file_created_at != wanted.file_created_at
        || row.file_modified_at != wanted.file_modified_at
        || row.metadata != wanted.metadata
}

pub(super) fn set_missing(metadata: &mut Metadata, missing: Vec<String>) {
    if missing.is_empty() {
        metadata.remove(MISSING);
    } else {
        let names: Vec<Value> = missing.into_iter().map(Value::from).collect();
        metadata.insert(MISSING.to_owned(), Value::from(names));
    }
}

/// The body of the file with the notes of the row, unless the file brings notes itself.
fn with_notes(stored: Option<&str>, authored: Option<String>) -> Option<String> {
    let notes = stored.map_or("", |stored| split(stored).1);
    if notes.is_empty() {
        return authored;
    }
    let authored = authored.unwrap_or_default();
    let authored = split(&authored).0;
    let needs_break = !notes.starts_with(['\n', '\r']) && !authored.is_empty();
    Some(format!(
        "{authored}{}{notes}",
        if needs_break { "\n" } else { "" }
    ))
}

/// What precedes the mark of the notes, and the rest from the line break before it on.
fn split(body: &str) -> (&str, &str) {
    let mut start = 0;
    for line in body.split_inclusive('\n') {
        if line.trim_end() == NOTES_MARK {
            let authored = &body[..start];
            let authored = authored.strip_suffix('\n').unwrap_or(authored);
            let authored = authored.strip_suffix('\r').unwrap_or(authored);
            return body.split_at(authored.len());
        }
        start += line.len();
    }
    (body, "")
}
