//! Verbs that change one task.

use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};

use super::{One, PRIORITIES, STATUSES, view};
use crate::commands::project::is_false;
use crate::commands::values;
use crate::failure::Failure;
use crate::plan::Plan;

#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Create {
    /// Name of the task
    name: String,
    /// Name or id of the project
    #[arg(long, value_name = "PROJECT")]
    #[serde(skip)]
    project: String,
    /// Status to begin with [default: pending]
    #[arg(long, value_name = "STATUS", value_parser = STATUSES)]
    status: Option<String>,
    /// Slug of a task this one depends on (may repeat)
    #[arg(long, value_name = "SLUG")]
    depends_on: Vec<String>,
    #[command(flatten)]
    #[serde(flatten)]
    fields: Fields,
}

/// What an author may say about a task.
#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
#[command(next_help_heading = "Fields of the task")]
struct Fields {
    /// Short name, unique in the project
    #[arg(long)]
    slug: Option<String>,
    /// Path of its file, without the extension
    #[arg(long)]
    path: Option<String>,
    /// How much it touches
    #[arg(long, value_name = "SCOPE", value_parser = ["single", "narrow", "moderate", "broad", "system"])]
    scope: Option<String>,
    /// How likely it fails
    #[arg(long, value_name = "RISK", value_parser = ["trivial", "low", "medium", "high", "critical"])]
    risk: Option<String>,
    /// How much depends on it
    #[arg(long, value_name = "IMPACT", value_parser = ["isolated", "component", "phase", "project"])]
    impact: Option<String>,
    /// What kind of work it is
    #[arg(long, value_name = "LEVEL", value_parser = ["planning", "decomposition", "implementation", "review", "research"])]
    level: Option<String>,
    /// How urgent it is
    #[arg(long, value_name = "PRIORITY", value_parser = PRIORITIES)]
    priority: Option<String>,
    /// A tag (may repeat)
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// Who works on it
    #[arg(long, value_name = "WHO")]
    assignee: Option<String>,
    /// When it is due: a time, a day, or a duration from now
    #[arg(long = "due", value_name = "WHEN", value_parser = values::moment)]
    due_at: Option<String>,
    /// Its text: as it is, @FILE, or - for stdin
    #[arg(long, value_name = "TEXT", value_parser = values::text)]
    body: Option<String>,
    /// Further data: a JSON object, @FILE, or - for stdin
    #[arg(long, value_name = "JSON", value_parser = values::object)]
    metadata: Option<Value>,
}

#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Update {
    #[command(flatten)]
    #[serde(skip)]
    one: One,
    /// New name
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    #[serde(flatten)]
    fields: Fields,
    /// Clear this field (may repeat)
    #[arg(long, value_name = "FIELD", value_parser = ["path", "scope", "risk", "impact", "level", "priority", "assignee", "dueAt", "body"])]
    #[serde(skip)]
    unset: Vec<String>,
    /// Refuse when the task was changed since this time (its updatedAt)
    #[arg(long, value_name = "TIME")]
    if_updated_at: Option<String>,
}

#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Status {
    /// Slug (with --project) or id of the task
    #[serde(skip)]
    task: String,
    /// The status it gets
    #[arg(value_parser = STATUSES)]
    status: String,
    /// Name or id of its project
    #[arg(long, value_name = "PROJECT")]
    #[serde(skip)]
    project: Option<String>,
    /// Refuse when it has another status than this one now
    #[arg(long, value_name = "STATUS", value_parser = STATUSES)]
    expected: Option<String>,
    /// Start it although something it depends on is unfinished
    #[arg(long)]
    #[serde(skip_serializing_if = "is_false")]
    force: bool,
    /// Open a completed task again
    #[arg(long)]
    #[serde(skip_serializing_if = "is_false")]
    reopen: bool,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

#[derive(Debug, Args, Serialize)]
pub(crate) struct Note {
    /// Slug (with --project) or id of the task
    #[serde(skip)]
    task: String,
    /// The note: as it is, @FILE, or - for stdin
    #[arg(value_parser = values::text)]
    text: String,
    /// Name or id of its project
    #[arg(long, value_name = "PROJECT")]
    #[serde(skip)]
    project: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Assign {
    /// Slug (with --project) or id of the task
    task: String,
    /// Who works on it
    #[arg(required_unless_present = "nobody")]
    who: Option<String>,
    /// Nobody works on it
    #[arg(long, conflicts_with = "who")]
    nobody: bool,
    /// Name or id of its project
    #[arg(long, value_name = "PROJECT")]
    project: Option<String>,
}

#[derive(Debug, Args, Serialize)]
pub(crate) struct Delete {
    #[command(flatten)]
    #[serde(skip)]
    one: One,
    /// Even while a session works on it, which is aborted then
    #[arg(long)]
    #[serde(skip_serializing_if = "is_false")]
    force: bool,
}

impl Create {
    pub(super) fn plan(&self) -> Result<Plan, Failure> {
        Ok(Plan::new("task.create", self, &view::RECORD)?.project(&self.project, "projectId"))
    }
}

impl Update {
    pub(super) fn plan(&self) -> Result<Plan, Failure> {
        Ok(Plan::new("task.update", self, &view::RECORD)?
            .unset(&self.unset)
            .one(&self.one))
    }
}

impl Status {
    pub(super) fn plan(&self) -> Result<Plan, Failure> {
        Ok(Plan::new("task.updateStatus", self, &view::MOVED)?.task(
            &self.task,
            self.project.as_deref(),
            "id",
        ))
    }
}

impl Note {
    pub(super) fn plan(&self) -> Result<Plan, Failure> {
        Ok(Plan::new("task.addNote", self, &view::SHORT)?.task(
            &self.task,
            self.project.as_deref(),
            "id",
        ))
    }
}

impl Assign {
    pub(super) fn plan(&self) -> Result<Plan, Failure> {
        Ok(Plan::new("task.assign", &json!({}), &view::SHORT)?
            .with("assignee", json!(self.who))
            .task(&self.task, self.project.as_deref(), "id"))
    }
}

impl Delete {
    pub(super) fn plan(&self) -> Result<Plan, Failure> {
        Ok(Plan::new("task.delete", self, &view::DELETED)?.one(&self.one))
    }
}
