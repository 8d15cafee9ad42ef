//! `cargo xtask ci`: all that a change must pass, in the order in which it fails soonest.

mod deny;

use std::fmt;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;

use crate::process::{self, ProcessError};
use crate::test::{self, TestArguments, TestError};
use crate::tidy::{self, TidyError};
use crate::workspace::Workspace;

/// Runs all that a change must pass: format, lints, tidy, dependencies, documentation, tests.
///
/// Stops at the first step that fails and ends with a summary of all steps and their times.
#[derive(Debug, Args)]
pub(crate) struct CiArguments {
    /// Go on after a failed step, so that one run tells all that is wrong
    #[arg(long)]
    keep_going: bool,
    /// Fail when the advisory database cannot be had, instead of a warning in the summary
    #[arg(long)]
    require_advisories: bool,
}

/// Why a step could not even be tried; a step that finds a fault is no error but a result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CiError {
    /// A program could not be run.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The tests could not be run.
    #[error(transparent)]
    Test(#[from] TestError),
    /// The files could not be read.
    #[error(transparent)]
    Tidy(#[from] TidyError),
    /// cargo-deny could not be had.
    #[error(transparent)]
    Deny(#[from] deny::DenyError),
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Format,
    Clippy,
    Tidy,
    Deny,
    Documentation,
    Test,
}

const STEPS: [Step; 6] = [
    Step::Format,
    Step::Tidy,
    Step::Deny,
    Step::Clippy,
    Step::Documentation,
    Step::Test,
];

/// How a step ended.
#[derive(Debug)]
enum Outcome {
    Passed,
    /// Passed as far as it went; the text says what was not checked.
    Partly(String),
    Failed,
}

/// Runs the steps; the exit code is a failure when one of them failed.
pub(crate) async fn run(
    workspace: &Workspace,
    arguments: &CiArguments,
) -> Result<ExitCode, CiError> {
    let mut results: Vec<(Step, Outcome, Duration)> = Vec::new();
    for step in STEPS {
        println!("\n==> {step}");
        let started = Instant::now();
        let outcome = match execute(step, workspace, arguments).await {
            Ok(outcome) => outcome,
            Err(error) => {
                eprintln!("xtask: {}", crate::with_sources(&error));
                Outcome::Failed
            }
        };
        let failed = matches!(outcome, Outcome::Failed);
        println!("<== {step}: {outcome} in {}", seconds(started.elapsed()));
        results.push((step, outcome, started.elapsed()));
        if failed && !arguments.keep_going {
            break;
        }
    }
    println!("\nsummary");
    for (step, outcome, time) in &results {
        println!(
            "  {:<13} {:>8}  {outcome}",
            step.to_string(),
            seconds(*time)
        );
    }
    for step in STEPS.iter().skip(results.len()) {
        println!("  {:<13} {:>8}  not run", step.to_string(), "-");
    }
    let total: Duration = results.iter().map(|(_, _, time)| *time).sum();
    println!("  {:<13} {:>8}", "all", seconds(total));
    let failed = results
        .iter()
        .any(|(_, outcome, _)| matches!(outcome, Outcome::Failed));
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

async fn execute(
    step: Step,
    workspace: &Workspace,
    arguments: &CiArguments,
) -> Result<Outcome, CiError> {
    let mut cargo = workspace.cargo();
    let command = match step {
        Step::Format => cargo.args(["fmt", "--all", "--check"]),
        Step::Clippy => cargo.args([
            "clippy",
            "--workspace",
            "--all-targets",
            "--locked",
            "--",
            "-D",
            "warnings",
        ]),
        Step::Documentation => {
            let arguments = [
                "doc",
                "--workspace",
                "--no-deps",
                "--document-private-items",
                "--locked",
            ];
            cargo.args(arguments).env("RUSTDOCFLAGS", "-D warnings")
        }
        Step::Tidy => return Ok(passed(tidy::run(workspace).await? == ExitCode::SUCCESS)),
        Step::Deny => return deny::check(workspace, arguments.require_advisories).await,
        Step::Test => {
            let code = test::run(workspace, &TestArguments::everything()).await?;
            return Ok(passed(code == ExitCode::SUCCESS));
        }
    };
    Ok(passed(process::status(command).await?.success()))
}

fn passed(passed: bool) -> Outcome {
    if passed {
        Outcome::Passed
    } else {
        Outcome::Failed
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Format => "format",
            Self::Clippy => "clippy",
            Self::Tidy => "tidy",
            Self::Deny => "deny",
            Self::Documentation => "documentation",
            Self::Test => "test",
        })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed => formatter.write_str("passed"),
            Self::Partly(missing) => write!(formatter, "passed, BUT {missing}"),
            Self::Failed => formatter.write_str("FAILED"),
        }
    }
}
