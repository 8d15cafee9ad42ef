//! `alkhub graph`: a directory of task files, looked at without a hub.
//!
//! Every verb reads the files, asks the task graph crate and prints the answer as text or as one
//! JSON document. Options, wording and JSON follow the older `taskgraph` command, so that scripts
//! written for it go on working; what differs says so where it does.

mod analyze;
mod check;
mod cost;
mod init;
mod input;
mod listing;
mod order;
mod place;
mod progress;
mod render;
mod risk;
mod set;
mod style;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};

use crate::failure::Failure;
use crate::output::Output;
use set::Set;

/// Look at a directory of task files, without a hub
///
/// Reads every .md file with front matter below the directory. The directory is --path, else the
/// `tasks_dir` of the nearest .taskgraph.toml from here upward, else ./tasks.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  alkhub graph validate --strict\n  alkhub graph render --path docs/tasks -o plan.svg"
)]
pub(crate) struct Graph {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    verb: Verb,
}

/// Options of every verb, before or after its name.
#[derive(Debug, Args)]
struct Options {
    /// Directory of the task files
    #[arg(long, short, global = true, value_name = "DIR")]
    path: Option<PathBuf>,
    /// Form of the output; dot, mermaid and svg are for `render`
    #[arg(long, short, global = true, value_enum, value_name = "FORMAT")]
    format: Option<Format>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Plain,
    Json,
    Dot,
    Mermaid,
    Svg,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Look for faults in the task files
    ///
    /// Names faulty and skipped files, missing dependencies and cycles, all of them at once.
    #[command(after_help = "Example:\n  alkhub graph validate --strict")]
    Validate(check::Validate),
    /// List the tasks
    ///
    /// In the order of their files.
    #[command(after_help = "Example:\n  alkhub graph list --status pending --tag backend")]
    List(listing::List),
    /// Show a task with its text
    #[command(after_help = "Example:\n  alkhub graph show write-parser")]
    Show(listing::One),
    /// List what a task depends on
    #[command(after_help = "Example:\n  alkhub graph deps write-parser")]
    Deps(listing::One),
    /// List the tasks that depend on a task
    #[command(after_help = "Example:\n  alkhub graph dependents write-parser")]
    Dependents(listing::One),
    /// List the tasks so that each comes after what it depends on
    #[command(after_help = "Example:\n  alkhub graph topo --status pending")]
    Topo(order::Topo),
    /// Find dependencies that run in a circle
    #[command(after_help = "Example:\n  alkhub graph cycles --strict")]
    Cycles(order::Cycles),
    /// Group the tasks that can be worked on side by side
    #[command(after_help = "Example:\n  alkhub graph parallel")]
    Parallel,
    /// Show the longest chain of dependencies
    #[command(after_help = "Example:\n  alkhub graph critical")]
    Critical,
    /// Show the tasks most others wait for
    ///
    /// By betweenness: the part of all shortest paths that lead through a task.
    #[command(after_help = "Example:\n  alkhub graph bottleneck")]
    Bottleneck,
    /// Show how risk is distributed
    #[command(after_help = "Example:\n  alkhub graph risk")]
    Risk,
    /// Show the path that carries the most risk
    #[command(after_help = "Example:\n  alkhub graph risk-path")]
    RiskPath,
    /// List the tasks that should be split
    ///
    /// Those of high risk or wide scope.
    #[command(after_help = "Example:\n  alkhub graph decompose")]
    Decompose,
    /// Estimate what the tasks cost, failures included
    #[command(after_help = "Example:\n  alkhub graph workflow-cost --limit 5")]
    WorkflowCost(cost::WorkflowCost),
    /// Write a new task file
    #[command(
        after_help = "Example:\n  alkhub graph init write-parser --name \"Write the parser\" --risk low"
    )]
    Init(init::Init),
    /// Draw the graph
    ///
    /// As SVG, for Graphviz (dot, the default), for Mermaid or as graphology JSON. Reads a
    /// directory, a file of JSON or Markdown, or - for standard input.
    #[command(
        visible_alias = "graph",
        after_help = "Example:\n  alkhub graph render --format svg -o plan.svg"
    )]
    Render(render::Render),
    /// Print every analysis at once
    ///
    /// Reads a directory, a file of JSON or Markdown, or - for standard input.
    #[command(after_help = "Example:\n  alkhub graph analyze --format json tasks")]
    Analyze(analyze::Analyze),
}

impl Graph {
    /// Runs the verb. Failures are told in the form the output has.
    pub(crate) fn run(self, output: &Output) -> Result<ExitCode, Failure> {
        let Options { path, format } = self.options;
        let output = Output {
            json: output.json || format == Some(Format::Json),
            ..*output
        };
        let session = Session {
            output,
            path,
            format,
        };
        match self.verb.run(&session) {
            Ok(code) => Ok(code),
            // The main program knows only of --json, not of --format json.
            Err(failure) => Ok(failure.exit(Some(&output))),
        }
    }
}

/// What every verb works with.
struct Session {
    output: Output,
    path: Option<PathBuf>,
    format: Option<Format>,
}

impl Verb {
    fn run(self, session: &Session) -> Result<ExitCode, Failure> {
        if !matches!(self, Verb::Render(_))
            && let Some(format @ (Format::Dot | Format::Mermaid | Format::Svg)) = session.format
        {
            let name = format.to_possible_value();
            let name = name.as_ref().map_or("", |value| value.get_name());
            return Err(Failure::Usage(format!(
                "--format {name} is for `alkhub graph render`; here it is plain or json"
            )));
        }
        let output = &session.output;
        match self {
            Verb::Init(init) => init.run(session)?,
            Verb::Render(render) => render.run(session)?,
            Verb::Analyze(analyze) => analyze.run(session)?,
            Verb::Validate(validate) => return validate.run(&Set::load(session)?, output),
            Verb::Cycles(cycles) => return cycles.run(&session.usable()?, output),
            Verb::List(list) => list.run(&session.usable()?, output)?,
            Verb::Show(one) => one.show(&session.usable()?, output)?,
            Verb::Deps(one) => one.dependencies(&session.usable()?, output)?,
            Verb::Dependents(one) => one.dependents(&session.usable()?, output)?,
            Verb::Topo(topo) => topo.run(&session.usable()?, output)?,
            Verb::Parallel => order::parallel(&session.usable()?, output)?,
            Verb::Critical => order::critical(&session.usable()?, output)?,
            Verb::Bottleneck => risk::bottleneck(&session.usable()?, output)?,
            Verb::Risk => risk::distribution(&session.usable()?, output)?,
            Verb::RiskPath => risk::path(&session.usable()?, output)?,
            Verb::Decompose => risk::decompose(&session.usable()?, output)?,
            Verb::WorkflowCost(cost) => cost.run(&session.usable()?, output)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Session {
    /// The tasks of the directory; tells when files had to be left out.
    fn usable(&self) -> Result<Set, Failure> {
        let set = Set::load(self)?;
        set.tell_faults(&self.output)?;
        Ok(set)
    }
}
