//! `alkhub task`: the arguments of each verb and the operation behind it.

mod depend;
mod files;
mod view;

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Value, json};

use super::paging::Paging;
use super::project::is_false;
use super::values;
use crate::args::Global;
use crate::client::Client;
use crate::failure::Failure;
use crate::output::Output;
use crate::plan::Plan;

const STATUSES: [&str; 5] = ["pending", "in-progress", "completed", "failed", "blocked"];
const ANALYSES: [&str; 10] = [
    "criticalPath",
    "weightedCriticalPath",
    "parallelGroups",
    "bottlenecks",
    "riskPath",
    "riskDistribution",
    "workflowCost",
    "decompose",
    "cycles",
    "topologicalOrder",
];
const PRIORITIES: [&str; 4] = ["low", "medium", "high", "critical"];

/// Make, see and change tasks
///
/// A task is named by its slug together with --project, or by its id. What a task depends on must
/// be completed before the task is ready.
#[derive(Debug, Subcommand)]
#[command(
    after_help = "Example:\n  alkhub task import docs/tasks --project demo\n  alkhub task ready --project demo"
)]
pub(crate) enum Task {
    /// Bring the task files of a directory into a project
    ///
    /// Reads every .md file with front matter below the directory. Statuses in the hub are never
    /// overwritten. If one file is faulty, nothing is changed and all faulty files are listed.
    #[command(after_help = "Example:\n  alkhub task import docs/tasks --project demo --dry-run")]
    Import(files::Import),
    /// Write the tasks of a project as files
    ///
    /// One Markdown file a task. A file that was changed by hand since the last export is not
    /// overwritten unless --force is given.
    #[command(after_help = "Example:\n  alkhub task export docs/tasks --project demo")]
    Export(files::Export),
    /// List the tasks that can be started now
    ///
    /// Pending, with everything they depend on completed; the most urgent first.
    #[command(after_help = "Example:\n  alkhub task ready --project demo --limit 5")]
    Ready(Ready),
    /// Show what blocked tasks wait for
    ///
    /// For each task the unfinished ones before it, down to those that can start.
    #[command(after_help = "Example:\n  alkhub task blocked --project demo")]
    Blocked(Blocked),
    /// Tell each change of a project's tasks as it happens
    ///
    /// Runs until it is stopped with Ctrl-C; --json prints one document a line.
    #[command(after_help = "Example:\n  alkhub task watch --project demo")]
    Watch(Watch),
    /// Draw the tasks of a project and what they depend on
    ///
    /// As text for Graphviz (dot) or Mermaid, or as an SVG picture.
    #[command(after_help = "Example:\n  alkhub task graph --project demo --format svg > demo.svg")]
    Graph(Graph),
    /// Find out what the tasks of a project add up to
    ///
    /// The critical path, the risk, the cost and more, from the tasks as the hub has them now.
    #[command(after_help = "Example:\n  alkhub task analyze criticalPath riskPath --project demo")]
    Analyze(Analyze),
    /// Show what became of a task
    ///
    /// Changes of its status and the sessions that worked on it, newest first.
    #[command(after_help = "Example:\n  alkhub task history write-parser --project demo")]
    History(History),
    /// List tasks
    ///
    /// Newest first; all options narrow the list.
    #[command(
        after_help = "Example:\n  alkhub task list --project demo --status pending --status blocked"
    )]
    List(List),
    /// Show a task
    ///
    /// With what it depends on, what depends on it, and its text.
    #[command(after_help = "Example:\n  alkhub task show write-parser --project demo")]
    Show(One),
    /// Make a task
    ///
    /// Without --slug one is made from the name.
    #[command(
        after_help = "Example:\n  alkhub task create \"Write the parser\" --project demo --depends-on grammar --priority high"
    )]
    Create(Create),
    /// Change a task, all but its status
    ///
    /// Only what is named changes. --unset clears an optional field. The status has a command of
    /// its own.
    #[command(
        after_help = "Example:\n  alkhub task update write-parser --project demo --priority critical --unset dueAt"
    )]
    Update(Update),
    /// Move a task to another status
    ///
    /// Refuses moves that make no sense, such as completing a task nobody started.
    #[command(
        after_help = "Example:\n  alkhub task status write-parser in-progress --project demo --expected pending"
    )]
    Status(Status),
    /// Append a note to a task
    ///
    /// Notes of several writers at once are all kept.
    #[command(
        after_help = "Example:\n  alkhub task note write-parser \"Grammar is ambiguous\" --project demo"
    )]
    Note(Note),
    /// Say who works on a task
    ///
    /// Any name, e-mail address or id; --nobody takes the assignment back.
    #[command(
        after_help = "Example:\n  alkhub task assign write-parser ada@example.com --project demo"
    )]
    Assign(Assign),
    /// Delete a task
    ///
    /// Its dependencies go with it. While a session works on it, --force is needed.
    #[command(after_help = "Example:\n  alkhub task delete write-parser --project demo")]
    Delete(Delete),
    /// Change what a task depends on
    ///
    /// A dependency that would close a circle is refused.
    #[command(
        subcommand,
        after_help = "Example:\n  alkhub task depend add write-parser grammar --project demo"
    )]
    Depend(depend::Depend),
}

/// A task and nothing else.
#[derive(Debug, Args)]
pub(crate) struct One {
    /// Slug (with --project) or id of the task
    task: String,
    /// Name or id of its project
    #[arg(long, value_name = "PROJECT")]
    project: Option<String>,
}

#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Ready {
    /// Name or id of the project
    #[arg(long, value_name = "PROJECT")]
    #[serde(skip)]
    project: String,
    /// At most this many [default: 50]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=500))]
    limit: Option<u16>,
    /// What comes first
    #[arg(long, value_name = "ORDER", value_parser = ["priority", "critical"])]
    order: Option<String>,
    /// Tasks too that a session already works on
    #[arg(long)]
    #[serde(skip)]
    include_mapped: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Blocked {
    /// Slug (with --project) or id of one task
    task: Option<String>,
    /// Name or id of the project
    #[arg(long, value_name = "PROJECT", required_unless_present = "task")]
    project: Option<String>,
    /// Show at most this many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=500))]
    limit: Option<u16>,
}

#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// Name or id of the project
    #[arg(long, value_name = "PROJECT")]
    project: String,
}

#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Graph {
    /// Name or id of the project
    #[arg(long, value_name = "PROJECT")]
    #[serde(skip)]
    project: String,
    /// Form of the drawing; graph is plain lists
    #[arg(long, value_name = "FORMAT", value_parser = ["dot", "mermaid", "svg", "graph"], default_value = "dot")]
    format: String,
    /// Only tasks of this path or below it
    #[arg(long, value_name = "PATH")]
    path_prefix: Option<String>,
    /// Only tasks of this status (may repeat)
    #[arg(long, value_name = "STATUS", value_parser = STATUSES)]
    status: Vec<String>,
}

#[derive(Debug, Args, Serialize)]
pub(crate) struct Analyze {
    /// What to find out
    #[arg(required = true, value_name = "ANALYSIS", value_parser = ANALYSES)]
    analyses: Vec<String>,
    /// Name or id of the project
    #[arg(long, value_name = "PROJECT")]
    #[serde(skip)]
    project: String,
}

#[derive(Debug, Args, Serialize)]
pub(crate) struct History {
    #[command(flatten)]
    #[serde(skip)]
    one: One,
    #[command(flatten)]
    #[serde(flatten)]
    paging: Paging,
}

#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct List {
    /// Name or id of the project
    #[arg(long, value_name = "PROJECT")]
    #[serde(skip)]
    project: Option<String>,
    /// Only those of this status (may repeat)
    #[arg(long, value_name = "STATUS", value_parser = STATUSES)]
    status: Vec<String>,
    /// Only those whose path begins with this text
    #[arg(long, value_name = "PATH")]
    path_prefix: Option<String>,
    /// Only those with this tag (may repeat: with all of them)
    #[arg(long = "tag", value_name = "TAG")]
    tags_all: Vec<String>,
    /// Only those with one of these tags (may repeat)
    #[arg(long = "any-tag", value_name = "TAG")]
    tags_any: Vec<String>,
    /// Only those of this assignee
    #[arg(long, value_name = "WHO")]
    assignee: Option<String>,
    /// Only those of this priority
    #[arg(long, value_name = "PRIORITY", value_parser = PRIORITIES)]
    priority: Option<String>,
    /// Only those due before this time, day or duration from now
    #[arg(long, value_name = "WHEN", value_parser = values::moment)]
    due_before: Option<String>,
    /// Only those whose name or slug holds this text
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    #[command(flatten)]
    #[serde(flatten)]
    paging: Paging,
}

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

impl Task {
    pub(crate) fn run(&self, global: &Global, output: &Output) -> Result<(), Failure> {
        let plan = match self {
            Task::Import(import) => return super::wait(import.run(global, output))?,
            Task::Export(export) => return super::wait(export.run(global, output))?,
            Task::Ready(ready) => Plan::new("task.ready", ready, &view::READY)?
                .when(ready.include_mapped, "excludeMapped", json!(false))
                .project(&ready.project, "projectId"),
            Task::Blocked(blocked) => return super::wait(blocked.run(global, output))?,
            Task::Watch(watch) => {
                let plan = Plan::new("task.watch", &json!({}), &view::CHANGE)?
                    .project(&watch.project, "projectId");
                return super::wait(plan.follow(global, output))?;
            }
            Task::Graph(graph) => {
                Plan::new("task.graph", graph, &view::GRAPH)?.project(&graph.project, "projectId")
            }
            Task::Analyze(analyze) => Plan::new("task.analyze", analyze, &view::ANALYSES)?
                .project(&analyze.project, "projectId"),
            Task::History(history) => {
                Plan::new("task.history", history, &view::HISTORY)?.one(&history.one)
            }
            Task::List(list) => Plan::new("task.list", list, &view::LIST)?
                .maybe_project(list.project.as_deref(), "projectId"),
            Task::Show(one) => {
                let include = json!({"include": ["dependencies", "dependents", "body"]});
                Plan::new("task.get", &include, &view::RECORD)?.one(one)
            }
            Task::Create(create) => Plan::new("task.create", create, &view::RECORD)?
                .project(&create.project, "projectId"),
            Task::Update(update) => Plan::new("task.update", update, &view::RECORD)?
                .unset(&update.unset)
                .one(&update.one),
            Task::Status(status) => {
                let Status { task, project, .. } = status;
                Plan::new("task.updateStatus", status, &view::MOVED)?.task(
                    task,
                    project.as_deref(),
                    "id",
                )
            }
            Task::Note(note) => {
                let Note { task, project, .. } = note;
                Plan::new("task.addNote", note, &view::SHORT)?.task(task, project.as_deref(), "id")
            }
            Task::Assign(assign) => {
                let Assign {
                    task, project, who, ..
                } = assign;
                Plan::new("task.assign", &json!({}), &view::SHORT)?
                    .with("assignee", json!(who))
                    .task(task, project.as_deref(), "id")
            }
            Task::Delete(delete) => {
                Plan::new("task.delete", delete, &view::DELETED)?.one(&delete.one)
            }
            Task::Depend(depend) => depend.plan()?,
        };
        super::call(plan, global, output)
    }
}

impl Blocked {
    async fn run(&self, global: &Global, output: &Output) -> Result<(), Failure> {
        let plan = Plan::new("task.blocked", &json!({}), &view::BLOCKED)?;
        let project = self.project.as_deref();
        let plan = match &self.task {
            Some(task) => plan.task(task, project, "id"),
            None => plan.maybe_project(project, "projectId"),
        };
        let (view, mut data) = plan.data(&Client::new(global)?, output).await?;
        // The operation has no limit of its own.
        if let (Some(limit), Some(Value::Array(items))) = (self.limit, data.get_mut("items")) {
            items.truncate(usize::from(limit));
        }
        view.show(&data, output)
    }
}

impl Plan {
    fn one(self, one: &One) -> Plan {
        self.task(&one.task, one.project.as_deref(), "id")
    }
}
