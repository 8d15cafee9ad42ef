//! `cargo xtask bench`: the only way figures of speed and memory come about.
//!
//! A [`Bench`] sets up contestants (ours and rivals) and hands them to [`figures::interleave`], which
//! lets them take turns (A B A B …), so that a machine that gets slower meanwhile hurts all alike.
//! The [`report`] goes to `docs/performance/NAME.json`; `docs/performance.md` is made from all of
//! them. One file a bench beside this one; [`all`] lists them.

mod call_history;
mod calls;
mod database;
mod figures;
mod graph_analyses;
mod graph_directory;
mod graph_scale;
mod hub;
mod import;
mod import_memory;
mod lab;
mod list_sessions;
mod load;
mod machine;
mod peers;
mod ready;
mod recorded_call;
mod recorder_rows;
mod report;
mod routed_call;
mod sqlite;
mod start;
mod task_page;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use async_trait::async_trait;
use clap::Args;
use tokio::process::Command;

use crate::demo_data::DemoDataError;
use crate::process::{self, ProcessError};
use crate::workspace::Workspace;
use figures::Measure;
use lab::Lab;
use report::Report;

/// Measures speed and memory, ours and rivals', and writes docs/performance.
///
/// Builds the hub in release mode, starts private servers, warms up, lets ours and the rivals take
/// turns, and prints the median of the rounds, p50 and p99 of single measurements, and the ratio
/// ours / rival. Without names all benches run.
#[derive(Debug, Args)]
pub(crate) struct BenchArguments {
    /// Which benches to run; `--list` tells their names
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Install the rivals by name (npm, Debian, PyPI) into bench/peers/installed and measure them too
    #[arg(long)]
    peers: bool,
    /// Few and short rounds, to try a bench out; writes nothing below docs/
    #[arg(long)]
    quick: bool,
    /// List the benches and what each has to reach
    #[arg(long)]
    list: bool,
    /// Only make docs/performance.md anew from docs/performance/*.json
    #[arg(long)]
    table: bool,
    /// Measure this hub binary instead of building one; writes nothing below docs/
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    /// No bench of that name.
    #[error("there is no bench {name}; there are: {known}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// A program could not be run.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// Files for the bench could not be written.
    #[error(transparent)]
    DemoData(#[from] DemoDataError),
    /// A file could not be read or written.
    #[error("cannot read or write {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system answered.
        #[source]
        source: io::Error,
    },
    /// A report on disk is none.
    #[error("{path} is no report of a bench")]
    Report {
        /// The file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// A server could not be asked.
    #[error("{who} does not answer")]
    Request {
        /// The contestant.
        who: String,
        /// What went wrong on the way.
        #[source]
        source: reqwest::Error,
    },
    /// A contestant did something else than its work.
    #[error("{who} {what}")]
    Contestant {
        /// The contestant.
        who: String,
        /// What it did.
        what: String,
    },
}

/// What a bench measures and what it has to reach.
#[derive(Debug, Clone, Copy)]
struct About {
    /// The name on the command line and of the report's file.
    name: &'static str,
    /// What is measured, in one sentence.
    work: &'static str,
    /// The bar in words, with its number in the quality page.
    bar: &'static str,
}

/// A bench: sets up its contestants and measures them.
#[async_trait]
trait Bench {
    /// Its name, work and bar.
    fn about(&self) -> About;

    /// Whether it needs the binary `alkhub`, or ourselves, in release mode: that takes minutes to build.
    fn needs_binary(&self) -> bool {
        true
    }

    /// Runs it. A rival that cannot be had is told to the lab, not an error.
    async fn run(&self, lab: &mut Lab) -> Result<Vec<Measure>, BenchError>;
}

/// All benches, in the order of the table.
fn all() -> Vec<Box<dyn Bench>> {
    vec![
        Box::new(start::Start),
        Box::new(recorded_call::RecordedCall),
        Box::new(call_history::CallHistory),
        Box::new(routed_call::RoutedCall),
        Box::new(recorder_rows::RecorderRows),
        Box::new(task_page::TaskPage),
        Box::new(import::Import),
        Box::new(import_memory::ImportMemory),
        Box::new(ready::Ready),
        Box::new(list_sessions::ListSessions),
        Box::new(graph_analyses::GraphAnalyses),
        Box::new(graph_directory::GraphDirectory),
        Box::new(graph_scale::GraphScale),
    ]
}

/// Runs the named benches. The exit code is a failure when a bar is missed.
pub(crate) async fn run(
    workspace: &Workspace,
    arguments: &BenchArguments,
) -> Result<ExitCode, BenchError> {
    if arguments.list {
        for about in all().iter().map(|bench| bench.about()) {
            println!("{}: {}\n    {}", about.name, about.work, about.bar);
        }
        return Ok(ExitCode::SUCCESS);
    }
    if arguments.table {
        report::write_table(&workspace.root)?;
        return Ok(ExitCode::SUCCESS);
    }
    let benches = chosen(&arguments.names)?;
    let needs_binary = benches.iter().any(|bench| bench.needs_binary());
    if cfg!(debug_assertions) && arguments.binary.is_none() && needs_binary {
        return in_release(workspace).await;
    }
    let binary = match &arguments.binary {
        Some(binary) => binary.clone(),
        None => workspace.binary("release"),
    };
    let publish = !arguments.quick && arguments.binary.is_none();
    let mut met = true;
    for bench in benches {
        let about = bench.about();
        println!("==> {}: {}", about.name, about.work);
        let mut lab = Lab::new(workspace, &binary, arguments.peers, arguments.quick)?;
        let measures = bench.run(&mut lab).await?;
        let report = Report::new(about, lab, measures).await?;
        print!("{report}");
        met &= report.is_met();
        if publish {
            report.write(&workspace.root)?;
        }
    }
    if publish {
        report::write_table(&workspace.root)?;
    }
    Ok(if met {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn chosen(names: &[String]) -> Result<Vec<Box<dyn Bench>>, BenchError> {
    let known = all()
        .iter()
        .map(|bench| bench.about().name)
        .collect::<Vec<_>>();
    if let Some(name) = names.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(BenchError::Unknown {
            name: name.clone(),
            known: known.join(", "),
        });
    }
    let wanted =
        |bench: &dyn Bench| names.is_empty() || names.iter().any(|name| name == bench.about().name);
    Ok(all()
        .into_iter()
        .filter(|bench| wanted(bench.as_ref()))
        .collect())
}

/// Builds the hub and this program in release mode and lets the latter do the work: callers that were
/// not optimized would be what is measured.
async fn in_release(workspace: &Workspace) -> Result<ExitCode, BenchError> {
    let arguments = [
        "build",
        "--release",
        "--locked",
        "--package",
        "alkhub",
        "--bin",
        "alkhub",
        "--package",
        "xtask",
        "--bin",
        "xtask",
    ];
    process::run(workspace.cargo().args(arguments)).await?;
    let mut again = Command::new(workspace.target.join("release/xtask"));
    // Where cargo is, the second process finds by the same variable.
    again
        .args(std::env::args_os().skip(1))
        .current_dir(&workspace.root);
    let status = process::status(&mut again).await?;
    Ok(status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .map_or(ExitCode::FAILURE, ExitCode::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_bench_is_told_with_the_known_ones() {
        let error = chosen(&["nothing".to_owned()]).err().unwrap();
        assert!(error.to_string().contains("there are: start"), "{error}");
    }

    #[test]
    fn without_names_all_benches_are_chosen() {
        assert_eq!(chosen(&[]).unwrap().len(), all().len());
    }
}
