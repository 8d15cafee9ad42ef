//! `alkhub workspace`.

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Value, json};

use super::paging::Paging;
use super::project::is_false;
use super::values;
use crate::failure::Failure;
use crate::plan::Plan;
use crate::view::{Column, View, column, time};

/// Make, see and change workspaces
///
/// A workspace is a place where work on a project happens: a directory, a worktree, a branch.
#[derive(Debug, Subcommand)]
#[command(
    after_help = "Example:\n  alkhub workspace create --project demo --name main --directory ~/src/demo"
)]
pub(crate) enum Workspace {
    /// Make a workspace
    ///
    /// A directory belongs to one workspace of a project at most.
    #[command(
        after_help = "Example:\n  alkhub workspace create --project demo --branch parser --directory ~/src/parser"
    )]
    Create(Create),
    /// List the workspaces of a project
    ///
    /// Newest first.
    #[command(after_help = "Example:\n  alkhub workspace list --project demo")]
    List(List),
    /// Show a workspace
    ///
    /// Everything the hub keeps of it.
    #[command(
        after_help = "Example:\n  alkhub workspace show 7d3b6f0e-7c3c-4c55-9d2c-0a8f4f1c2b3d"
    )]
    Show(Show),
    /// Change a workspace
    ///
    /// Only what is named changes.
    #[command(
        after_help = "Example:\n  alkhub workspace update 7d3b6f0e-7c3c-4c55-9d2c-0a8f4f1c2b3d --name trunk"
    )]
    Update(Update),
    /// Delete a workspace
    ///
    /// Sessions that used it stay and lose the link.
    #[command(
        after_help = "Example:\n  alkhub workspace delete 7d3b6f0e-7c3c-4c55-9d2c-0a8f4f1c2b3d"
    )]
    Delete(Delete),
}

#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Create {
    /// Name or id of the project
    #[arg(long, value_name = "PROJECT")]
    #[serde(skip)]
    project: String,
    /// Name of the workspace
    #[arg(long)]
    name: Option<String>,
    /// Where it is [default: local]
    #[arg(long = "type", value_name = "TYPE", value_parser = ["local", "remote", "container"])]
    r#type: Option<String>,
    /// Its branch
    #[arg(long)]
    branch: Option<String>,
    /// Its directory
    #[arg(long, value_name = "DIR")]
    directory: Option<String>,
    /// What kind of place it is: a JSON object such as {"kind": "worktree"}
    #[arg(long, value_name = "JSON", value_parser = values::object)]
    extra: Option<Value>,
}

#[derive(Debug, Args, Serialize)]
pub(crate) struct List {
    /// Name or id of the project
    #[arg(long, value_name = "PROJECT")]
    #[serde(skip)]
    project: String,
    /// Only those of this branch
    #[arg(long)]
    branch: Option<String>,
    #[command(flatten)]
    #[serde(flatten)]
    paging: Paging,
}

#[derive(Debug, Args, Serialize)]
pub(crate) struct Show {
    /// Id of the workspace
    id: String,
}

#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Update {
    /// Id of the workspace
    id: String,
    /// New name
    #[arg(long)]
    name: Option<String>,
    /// New branch
    #[arg(long)]
    branch: Option<String>,
    /// New directory
    #[arg(long, value_name = "DIR")]
    directory: Option<String>,
    /// Further data, merged key by key: a JSON object, @FILE, or - for stdin
    #[arg(long, value_name = "JSON", value_parser = values::object)]
    metadata: Option<Value>,
    /// Clear this field (may repeat)
    #[arg(long, value_name = "FIELD", value_parser = ["name", "branch", "directory"])]
    #[serde(skip)]
    unset: Vec<String>,
    /// Refuse when the workspace was changed since this time (its updatedAt)
    #[arg(long, value_name = "TIME")]
    if_updated_at: Option<String>,
}

#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Delete {
    /// Id of the workspace
    id: String,
    /// Remove its worktree too
    #[arg(long)]
    #[serde(skip_serializing_if = "is_false")]
    remove_worktree: bool,
}

const COLUMNS: &[Column] = &[
    column("NAME", "/name"),
    column("ID", "/id"),
    column("TYPE", "/type"),
    column("BRANCH", "/branch"),
    column("DIRECTORY", "/directory"),
    time("CREATED", "/createdAt"),
];
const LIST: View = View::Rows {
    at: "/items",
    columns: COLUMNS,
    empty: "no workspaces",
};
const RECORD: View = View::Record {
    at: "",
    fields: &[
        column("Name", "/name"),
        column("Id", "/id"),
        column("Project", "/projectId"),
        column("Type", "/type"),
        column("Branch", "/branch"),
        column("Directory", "/directory"),
        column("Extra", "/extra"),
        column("Metadata", "/metadata"),
        time("Created", "/createdAt"),
        time("Updated", "/updatedAt"),
    ],
};
const DELETED: View = View::Sentence(|data| {
    if data.get("worktreeRemoved") == Some(&json!(true)) {
        "deleted, with its worktree".to_owned()
    } else {
        "deleted".to_owned()
    }
});

impl Workspace {
    pub(crate) fn plan(&self) -> Result<Plan, Failure> {
        match self {
            Workspace::Create(create) => Ok(Plan::new("workspace.create", create, &RECORD)?
                .project(&create.project, "projectId")),
            Workspace::List(list) => {
                Ok(Plan::new("workspace.list", list, &LIST)?.project(&list.project, "projectId"))
            }
            Workspace::Show(show) => Plan::new("workspace.get", show, &RECORD),
            Workspace::Update(update) => {
                Ok(Plan::new("workspace.update", update, &RECORD)?.unset(&update.unset))
            }
            Workspace::Delete(delete) => Plan::new("workspace.delete", delete, &DELETED),
        }
    }
}
