//! `alkhub project`.

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Value, json};

use super::paging::Paging;
use super::values;
use crate::failure::Failure;
use crate::plan::Plan;
use crate::view::{Column, View, column, time};

/// Make, see and change projects
///
/// A project holds tasks, workspaces and sessions. Wherever a command wants one it takes the
/// project's name or its id.
#[derive(Debug, Subcommand)]
#[command(after_help = "Example:\n  alkhub project create demo --directory ~/src/demo")]
pub(crate) enum Project {
    /// Make a project
    ///
    /// Without --org it is personal: yours and the admins'.
    #[command(
        after_help = "Example:\n  alkhub project create demo --repo-url https://git.example/demo.git"
    )]
    Create(Create),
    /// List the projects you can see
    ///
    /// Newest first; archived ones only with --include-archived.
    #[command(after_help = "Example:\n  alkhub project list --search web --json")]
    List(List),
    /// Show a project
    ///
    /// With the numbers of its tasks, workspaces and sessions.
    #[command(after_help = "Example:\n  alkhub project show demo")]
    Show(One),
    /// Change a project
    ///
    /// Only what is named changes. --unset clears an optional field.
    #[command(after_help = "Example:\n  alkhub project update demo --name web --unset repoUrl")]
    Update(Update),
    /// Put a project aside
    ///
    /// Its data stay readable; imports and new sessions are refused until it is unarchived.
    #[command(after_help = "Example:\n  alkhub project archive demo")]
    Archive(One),
    /// Take an archived project up again
    ///
    /// Imports and new sessions are allowed again.
    #[command(after_help = "Example:\n  alkhub project unarchive demo")]
    Unarchive(One),
    /// Delete a project with its tasks, workspaces and sessions
    ///
    /// Asks for the project's name; --yes deletes without asking.
    #[command(after_help = "Example:\n  alkhub project delete demo --yes")]
    Delete(Delete),
    /// Show what happened in a project
    ///
    /// Tasks and sessions by status, calls, tokens.
    #[command(after_help = "Example:\n  alkhub project stats demo --window 24h")]
    Stats(Stats),
}

/// A project and nothing else.
#[derive(Debug, Args)]
pub(crate) struct One {
    /// Name or id of the project
    project: String,
}

#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Create {
    /// Name of the project
    name: String,
    #[command(flatten)]
    #[serde(flatten)]
    fields: Fields,
}

/// What `create` and `update` both take.
#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
struct Fields {
    /// Id of the organization it belongs to
    #[arg(long = "org", value_name = "ID")]
    org_id: Option<String>,
    /// Directory of the project on the machines that work on it
    #[arg(long, value_name = "DIR")]
    directory: Option<String>,
    /// Address of its repository
    #[arg(long, value_name = "URL")]
    repo_url: Option<String>,
    /// Version control [default: git]
    #[arg(long, value_name = "NAME")]
    vcs: Option<String>,
    /// Address of its icon
    #[arg(long, value_name = "URL")]
    icon_url: Option<String>,
    /// Colour of its icon
    #[arg(long, value_name = "COLOUR")]
    icon_color: Option<String>,
    /// Further data: a JSON object, @FILE, or - for stdin
    #[arg(long, value_name = "JSON", value_parser = values::object)]
    metadata: Option<Value>,
}

#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct List {
    /// Only those of this organization
    #[arg(long = "org", value_name = "ID")]
    org_id: Option<String>,
    /// Only those whose name holds this text
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Archived ones too
    #[arg(long)]
    #[serde(skip_serializing_if = "is_false")]
    include_archived: bool,
    #[command(flatten)]
    #[serde(flatten)]
    paging: Paging,
}

#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Update {
    /// Name or id of the project
    #[serde(skip)]
    project: String,
    /// New name
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    #[serde(flatten)]
    fields: Fields,
    /// Clear this field (may repeat)
    #[arg(long, value_name = "FIELD", value_parser = ["orgId", "directory", "repoUrl", "iconUrl", "iconColor"])]
    #[serde(skip)]
    unset: Vec<String>,
    /// Refuse when the project was changed since this time (its updatedAt)
    #[arg(long, value_name = "TIME")]
    if_updated_at: Option<String>,
}

#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Delete {
    /// Name or id of the project
    #[serde(skip)]
    project: String,
    /// Do not ask
    #[arg(long, short)]
    #[serde(skip)]
    yes: bool,
    /// Even while sessions work on it
    #[arg(long)]
    #[serde(skip_serializing_if = "is_false")]
    force: bool,
}

#[derive(Debug, Args, Serialize)]
pub(crate) struct Stats {
    /// Name or id of the project
    #[serde(skip)]
    project: String,
    /// How far back to look [default: 7d]
    #[arg(long, value_name = "DURATION")]
    window: Option<String>,
}

const COLUMNS: &[Column] = &[
    column("NAME", "/name"),
    column("ID", "/id"),
    column("DIRECTORY", "/directory"),
    column("REPOSITORY", "/repoUrl"),
    time("CREATED", "/createdAt"),
];
const LIST: View = View::Rows {
    at: "/items",
    columns: COLUMNS,
    empty: "no projects; make one with `alkhub project create NAME`",
};
const RECORD: View = View::Record {
    at: "",
    fields: &[
        column("Name", "/name"),
        column("Id", "/id"),
        column("Organization", "/orgId"),
        column("Directory", "/directory"),
        column("Repository", "/repoUrl"),
        column("Version control", "/vcs"),
        column("Icon", "/iconUrl"),
        column("Icon colour", "/iconColor"),
        column("Tasks", "/counts/tasks"),
        column("Workspaces", "/counts/workspaces"),
        column("Sessions", "/counts/sessions"),
        time("Archived", "/metadata/archivedAt"),
        column("Metadata", "/metadata"),
        time("Created", "/createdAt"),
        time("Updated", "/updatedAt"),
    ],
};
const DELETED: View = View::Sentence(|data| {
    let counts = data
        .get("counts")
        .and_then(Value::as_object)
        .into_iter()
        .flatten();
    let gone: Vec<String> = counts
        .filter_map(|(what, count)| Some(format!("{} {what}", count.as_u64()?)))
        .collect();
    if gone.is_empty() {
        "deleted".to_owned()
    } else {
        format!("deleted, with {}", gone.join(", "))
    }
});

impl Project {
    pub(crate) fn plan(&self) -> Result<Plan, Failure> {
        let one = |operation, one: &One| {
            Ok(Plan::new(operation, &json!({}), &RECORD)?.project(&one.project, "id"))
        };
        match self {
            Project::Create(create) => Plan::new("project.create", create, &RECORD),
            Project::List(list) => Plan::new("project.list", list, &LIST),
            Project::Show(project) => one("project.get", project),
            Project::Update(update) => Ok(Plan::new("project.update", update, &RECORD)?
                .unset(&update.unset)
                .project(&update.project, "id")),
            Project::Archive(project) => one("project.archive", project),
            Project::Unarchive(project) => one("project.unarchive", project),
            Project::Delete(delete) => Ok(Plan::new("project.delete", delete, &DELETED)?
                .project(&delete.project, "id")
                .confirmed_by_name(delete.yes)),
            Project::Stats(stats) => {
                Ok(Plan::new("project.stats", stats, &View::Whole)?.project(&stats.project, "id"))
            }
        }
    }
}

/// For flags that stand for a field only when given.
pub(super) fn is_false(flag: &bool) -> bool {
    !flag
}
