//! The file of a task: from its text to the columns it decides, and back.

use alkhub_storage::enums::TaskStatus;
use alkhub_storage::ids::{ProjectId, TaskId};
use alkhub_storage::json::{Metadata, StringList};
use alkhub_storage::tasks::TaskFile;
use alkhub_storage::{Task, time};
use alkhub_taskgraph::frontmatter::{Document, Options, UnknownKeys};
use alkhub_taskgraph::{Field, InvalidInput, InvalidReason, TaskInput};
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::labels::{ToFile, ToRow};
use super::places;
use crate::rules;

/// Longest assignee, in characters.
pub(super) const MAX_ASSIGNEE: usize = 200;

/// Keys of `metadata` that come from the file alone.
pub(super) const UNPARSED: &str = "unparsed";
const MISSING: &str = "missing";
const FRONTMATTER: &str = "frontmatter";

/// A file that was read as a task.
#[derive(Debug, Clone)]
pub(super) struct ReadFile {
    /// What it says, without its body.
    pub(super) task: TaskFile,
    /// Where the body begins in the text. The body itself is not copied yet: imports are large.
    pub(super) body_start: usize,
}

/// What is wrong with one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Fault {
    /// Path of the file.
    pub(super) path: String,
    /// Field of the front matter; empty when the file as a whole is at fault.
    pub(super) field: String,
    /// Line of the file, counted from 1, when it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) line: Option<usize>,
    /// What is wrong.
    pub(super) message: String,
}

impl Fault {
    pub(super) fn new(path: &str, field: &str, message: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            field: field.to_owned(),
            line: None,
            message: message.into(),
        }
    }
}

/// What a file turned out to be.
#[derive(Debug)]
pub(super) enum Read {
    /// A task.
    Task(Box<ReadFile>),
    /// No task file at all: it has no front matter.
    NoTask(String),
    /// A task file that cannot be taken.
    Faulty(Vec<Fault>),
}

/// Reads one file.
pub(super) fn read(path: &str, text: &str) -> Read {
    let place = match places::of_file(path) {
        Ok(place) => place,
        Err(why) => return Read::Faulty(vec![Fault::new(path, "", why)]),
    };
    if text.contains('\0') {
        return Read::Faulty(vec![Fault::new(path, "", "the file must not contain NUL")]);
    }
    match Document::parse(text, &Options::lenient()) {
        Ok(document) => check(path, place, text, document),
        Err(InvalidInput {
            reason: InvalidReason::NoFrontmatter,
            message,
            ..
        }) => Read::NoTask(message),
        Err(InvalidInput {
            field,
            message,
            line,
            ..
        }) => Read::Faulty(vec![Fault {
            path: path.to_owned(),
            field,
            line,
            message,
        }]),
    }
}

/// Holds what the format allows against what a row may hold.
fn check(path: &str, place: String, text: &str, document: Document) -> Read {
    let Document {
        task,
        unknown,
        body,
    } = document;
    let mut faults = Vec::new();
    let mut fault = |field: &str, message: String| faults.push(Fault::new(path, field, message));
    let slug = rules::task_slug("id", &task.id).unwrap_or_else(|issue| {
        fault("id", issue.message);
        String::new()
    });
    let name = rules::name("name", &task.name).unwrap_or_else(|issue| {
        fault("name", issue.message);
        String::new()
    });
    for issue in rules::tags("tags", task.tags.as_deref().unwrap_or_default())
        .err()
        .into_iter()
        .flatten()
    {
        fault(&issue.path, issue.message);
    }
    let assignee = task.assignee.into_value();
    if let Some(Err(issue)) = assignee
        .as_deref()
        .map(|text| rules::line("", text, MAX_ASSIGNEE))
    {
        fault("assignee", issue.message);
    }
    if let Some(index) = task.depends_on.iter().position(|other| *other == task.id) {
        fault(
            &format!("dependsOn/{index}"),
            "a task cannot depend on itself".to_owned(),
        );
    }
    if !faults.is_empty() {
        return Read::Faulty(faults);
    }
    let mut unparsed = Map::new();
    let mut moment = |field: &str, text: Field<String>| {
        let text = text.into_value()?;
        let parsed = date(&text);
        if parsed.is_none() {
            unparsed.insert(field.to_owned(), Value::String(text));
        }
        parsed
    };
    let due_at = moment("due", task.due);
    let file_created_at = moment("created", task.created);
    let file_modified_at = moment("modified", task.modified);
    let mut metadata = Metadata::new();
    if !unparsed.is_empty() {
        metadata.insert(UNPARSED.to_owned(), Value::Object(unparsed));
    }
    if !unknown.is_empty() {
        metadata.insert(FRONTMATTER.to_owned(), Value::from(unknown.as_str()));
    }
    let task = TaskFile {
        slug,
        name,
        path: Some(place),
        status: task.status.into_value().map(ToRow::to_row),
        scope: task.scope.into_value().map(ToRow::to_row),
        risk: task.risk.into_value().map(ToRow::to_row),
        impact: task.impact.into_value().map(ToRow::to_row),
        level: task.level.into_value().map(ToRow::to_row),
        priority: task.priority.into_value().map(ToRow::to_row),
        tags: task.tags.unwrap_or_default().into(),
        assignee,
        due_at,
        body: None,
        file_created_at,
        file_modified_at,
        depends_on: StringList::from(task.depends_on).into_vec(),
        metadata,
    };
    Read::Task(Box::new(ReadFile {
        task,
        body_start: text.len() - body.len(),
    }))
}

/// A time of RFC 3339, or a plain date, which means midnight UTC.
fn date(text: &str) -> Option<DateTime<Utc>> {
    let plain = text.len() == 10
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'-');
    if plain && let Ok(day) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        return rules::time("", &time::format(day.and_time(NaiveTime::MIN).and_utc())).ok();
    }
    rules::time("", text).ok()
}

/// The text of a time in a file: a plain date at midnight UTC, else RFC 3339.
fn date_text(moment: DateTime<Utc>) -> String {
    if moment.time() == NaiveTime::MIN {
        moment.format("%Y-%m-%d").to_string()
    } else {
        time::format(moment)
    }
}

/// The text of a row's file, and what of the row does not fit into it.
///
/// `depends_on` are the slugs of the prerequisites; those that are no task of the project are in the
/// row itself.
pub(super) fn write(row: &Task, depends_on: &[String]) -> (String, Option<&'static str>) {
    let mut depends_on = depends_on.to_vec();
    depends_on.extend(missing(&row.metadata));
    depends_on.sort();
    depends_on.dedup();
    let moment = |at: Option<DateTime<Utc>>, field: &str| -> Field<String> {
        at.map(date_text)
            .or_else(|| unparsed(&row.metadata, field).map(str::to_owned))
            .into()
    };
    let task = TaskInput {
        id: row.slug.clone(),
        name: row.name.clone(),
        depends_on,
        status: Field::Value(row.status.to_file()),
        scope: row.scope.map(ToFile::to_file).into(),
        risk: row.risk.map(ToFile::to_file).into(),
        impact: row.impact.map(ToFile::to_file).into(),
        level: row.level.map(ToFile::to_file).into(),
        priority: row.priority.map(ToFile::to_file).into(),
        tags: (!row.tags.is_empty()).then(|| row.tags.to_vec()),
        assignee: row.assignee.clone().into(),
        due: moment(row.due_at, "due"),
        created: moment(row.file_created_at, "created"),
        modified: moment(row.file_modified_at, "modified"),
    };
    let kept = row.metadata.text(FRONTMATTER).unwrap_or_default();
    let (unknown, lost) = match UnknownKeys::parse(kept, &Options::lenient()) {
        Ok(unknown) => (unknown, None),
        Err(_changed_by_hand) => (
            UnknownKeys::default(),
            Some("its metadata.frontmatter is no front matter"),
        ),
    };
    let body = row.body.clone().unwrap_or_default();
    (
        Document {
            task,
            unknown,
            body,
        }
        .to_text(),
        lost,
    )
}

/// The text the export would write for a task that is as its file says: what files are compared by, so
/// that quotes, comments on known keys and the order of keys make no difference.
pub(super) fn canonical(file: &ReadFile, body: &str) -> String {
    let ReadFile { task, .. } = file;
    let row = Task {
        id: TaskId::from(""),
        project_id: ProjectId::from(""),
        slug: task.slug.clone(),
        name: task.name.clone(),
        path: task.path.clone(),
        status: task.status.unwrap_or(TaskStatus::Pending),
        scope: task.scope,
        risk: task.risk,
        impact: task.impact,
        level: task.level,
        priority: task.priority,
        tags: task.tags.clone(),
        assignee: task.assignee.clone(),
        due_at: task.due_at,
        body: Some(body.to_owned()),
        file_created_at: task.file_created_at,
        file_modified_at: task.file_modified_at,
        started_at: None,
        completed_at: None,
        metadata: task.metadata.clone(),
        created_at: DateTime::UNIX_EPOCH,
        updated_at: DateTime::UNIX_EPOCH,
    };
    write(&row, &task.depends_on).0
}

/// Slugs a file named as prerequisites that were no task of the project then.
fn missing(metadata: &Metadata) -> impl Iterator<Item = String> {
    let list = metadata.get(MISSING).and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(|slug| slug.as_str().map(str::to_owned))
}

fn unparsed<'a>(metadata: &'a Metadata, field: &str) -> Option<&'a str> {
    metadata.get(UNPARSED)?.get(field)?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(text: &str) -> ReadFile {
        match read("a.md", text) {
            Read::Task(task) => *task,
            other => panic!("no task: {other:?}"),
        }
    }

    fn faults(path: &str, text: &str) -> Vec<(String, Option<usize>)> {
        match read(path, text) {
            Read::Faulty(faults) => faults.into_iter().map(|f| (f.field, f.line)).collect(),
            other => panic!("not faulty: {other:?}"),
        }
    }

    #[test]
    fn dates_are_plain_or_rfc_3339_and_other_text_is_kept() {
        for (text, expected) in [
            ("2026-03-23", Some("2026-03-23")),
            ("2026-03-23T00:00:00Z", Some("2026-03-23")),
            (
                "2026-03-23T10:00:00.1234+02:00",
                Some("2026-03-23T08:00:00.123Z"),
            ),
            ("2026-02-30", None),
            ("2026-3-1", None),
            ("2026-03-23T10:00:00", None),
            ("next week", None),
            ("", None),
        ] {
            assert_eq!(date(text).map(date_text).as_deref(), expected, "{text}");
        }
        let read = task("---\nid: a\nname: A\ndue: soon\ncreated: 2026-03-23\n---\n");
        assert_eq!(
            read.task.metadata.get("unparsed"),
            Some(&serde_json::json!({"due": "soon"}))
        );
        assert!(read.task.due_at.is_none() && read.task.file_created_at.is_some());
    }

    #[test]
    fn carriage_returns_a_byte_order_mark_and_both_spellings_are_read() {
        let text = "\u{feff}---\r\nid: ü\r\nname: A\r\ndependsOn: [b, b, c]\r\n---\r\nBody\r\n";
        let read = task(text);
        assert_eq!(read.task.slug, "ü");
        assert_eq!(read.task.depends_on, ["b", "c"]);
        assert_eq!(&text[read.body_start..], "Body\r\n");
    }

    #[test]
    fn unknown_keys_are_kept_as_text() {
        let read = task("---\nid: \"12\"\nowner:  me # x\nname: A\nx: [1,\n  2]\n---\n");
        let kept = read.task.metadata.text("frontmatter");
        assert_eq!(kept, Some("owner:  me # x\nx: [1,\n  2]\n"));
        assert_eq!(read.task.slug, "12");
    }

    #[test]
    fn a_file_without_front_matter_is_no_task() {
        assert!(matches!(read("README.md", "# Title\n"), Read::NoTask(_)));
    }

    #[test]
    fn faults_name_field_and_line() {
        let long = "x".repeat(65);
        for (text, field) in [
            ("---\nid: 12\nname: A\n---\n".to_owned(), "id"),
            ("---\nid: \"\"\nname: A\n---\n".to_owned(), "id"),
            ("---\nid: a\nname: \" \"\n---\n".to_owned(), "name"),
            (
                "---\nid: a\nname: A\nstatus: done\n---\n".to_owned(),
                "status",
            ),
            (
                format!("---\nid: a\nname: A\ntags: [{long}]\n---\n"),
                "tags/0",
            ),
            (
                "---\nid: a\nname: A\ndepends_on: [b, a]\n---\n".to_owned(),
                "dependsOn/1",
            ),
            ("---\nid: a\nname: A\n---\n\0".to_owned(), ""),
            (
                format!("---\nid: a\nname: A\n---\n{}", "x".repeat(1 << 20)),
                "",
            ),
        ] {
            assert_eq!(faults("a.md", &text)[0].0, field, "{:.60}", text);
        }
        assert_eq!(faults("a.md", "---\nid: a\nname: [\n---\n")[0].0, "");
        assert!(
            faults("a.md", "---\nid: a\nname: A\nstatus: done\n---\n")[0]
                .1
                .is_some()
        );
        assert_eq!(
            faults("../a.md", "---\nid: a\nname: A\n---\n"),
            [(String::new(), None)]
        );
    }
}
