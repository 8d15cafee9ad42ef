//! `alkhub task`: the arguments of each verb and the operation behind it.

mod depend;
mod edit;
mod files;
mod look;
mod view;

use clap::{Args, Subcommand};
use serde_json::json;

use crate::args::Global;
use crate::failure::Failure;
use crate::output::Output;
use crate::plan::Plan;

const STATUSES: [&str; 5] = ["pending", "in-progress", "completed", "failed", "blocked"];
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
    /// Bring a directory of task files and a project together
    ///
    /// What changed on one side since the last sync is brought to the other; what changed on both is
    /// told and left alone. What both sides were is kept in .alkhub-sync.json in the directory. A
    /// file of a task that is in the project too is a conflict before the first sync, unless both
    /// are the same.
    #[command(after_help = "Example:\n  alkhub task sync docs/tasks --project demo --dry-run")]
    Sync(files::Sync),
    /// List the tasks that can be started now
    ///
    /// Pending, with everything they depend on completed; the most urgent first.
    #[command(after_help = "Example:\n  alkhub task ready --project demo --limit 5")]
    Ready(look::Ready),
    /// Show what blocked tasks wait for
    ///
    /// For each task the unfinished ones before it, down to those that can start.
    #[command(after_help = "Example:\n  alkhub task blocked --project demo")]
    Blocked(look::Blocked),
    /// Tell each change of a project's tasks as it happens
    ///
    /// Runs until it is stopped with Ctrl-C; --json prints one document a line.
    #[command(after_help = "Example:\n  alkhub task watch --project demo")]
    Watch(look::Watch),
    /// Draw the tasks of a project and what they depend on
    ///
    /// As text for Graphviz (dot) or Mermaid, or as an SVG picture.
    #[command(after_help = "Example:\n  alkhub task graph --project demo --format svg > demo.svg")]
    Graph(look::Graph),
    /// Find out what the tasks of a project add up to
    ///
    /// The critical path, the risk, the cost and more, from the tasks as the hub has them now.
    #[command(after_help = "Example:\n  alkhub task analyze criticalPath riskPath --project demo")]
    Analyze(look::Analyze),
    /// Show what became of a task
    ///
    /// Changes of its status and the sessions that worked on it, newest first.
    #[command(after_help = "Example:\n  alkhub task history write-parser --project demo")]
    History(look::History),
    /// List tasks
    ///
    /// Newest first; all options narrow the list.
    #[command(
        after_help = "Example:\n  alkhub task list --project demo --status pending --status blocked"
    )]
    List(look::List),
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
    Create(edit::Create),
    /// Change a task, all but its status
    ///
    /// Only what is named changes. --unset clears an optional field. The status has a command of
    /// its own.
    #[command(
        after_help = "Example:\n  alkhub task update write-parser --project demo --priority critical --unset dueAt"
    )]
    Update(edit::Update),
    /// Move a task to another status
    ///
    /// Refuses moves that make no sense, such as completing a task nobody started.
    #[command(
        after_help = "Example:\n  alkhub task status write-parser in-progress --project demo --expected pending"
    )]
    Status(edit::Status),
    /// Append a note to a task
    ///
    /// Notes of several writers at once are all kept.
    #[command(
        after_help = "Example:\n  alkhub task note write-parser \"Grammar is ambiguous\" --project demo"
    )]
    Note(edit::Note),
    /// Say who works on a task
    ///
    /// Any name, e-mail address or id; --nobody takes the assignment back.
    #[command(
        after_help = "Example:\n  alkhub task assign write-parser ada@example.com --project demo"
    )]
    Assign(edit::Assign),
    /// Delete a task
    ///
    /// Its dependencies go with it. While a session works on it, --force is needed.
    #[command(after_help = "Example:\n  alkhub task delete write-parser --project demo")]
    Delete(edit::Delete),
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

impl Task {
    pub(crate) fn run(&self, global: &Global, output: &Output) -> Result<(), Failure> {
        let plan = match self {
            Task::Import(import) => return super::wait(import.run(global, output))?,
            Task::Export(export) => return super::wait(export.run(global, output))?,
            Task::Sync(sync) => return super::wait(sync.run(global, output))?,
            Task::Blocked(blocked) => return super::wait(blocked.run(global, output))?,
            Task::Watch(watch) => return super::wait(watch.plan()?.follow(global, output))?,
            Task::Ready(ready) => ready.plan()?,
            Task::Graph(graph) => graph.plan()?,
            Task::Analyze(analyze) => analyze.plan()?,
            Task::History(history) => history.plan()?,
            Task::List(list) => list.plan()?,
            Task::Show(one) => {
                let include = json!({"include": ["dependencies", "dependents", "body"]});
                Plan::new("task.get", &include, &view::RECORD)?.one(one)
            }
            Task::Create(create) => create.plan()?,
            Task::Update(update) => update.plan()?,
            Task::Status(status) => status.plan()?,
            Task::Note(note) => note.plan()?,
            Task::Assign(assign) => assign.plan()?,
            Task::Delete(delete) => delete.plan()?,
            Task::Depend(depend) => depend.plan()?,
        };
        super::call(plan, global, output)
    }
}

impl Plan {
    fn one(self, one: &One) -> Plan {
        self.task(&one.task, one.project.as_deref(), "id")
    }
}
