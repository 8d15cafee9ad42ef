//! The developers' own commands: `cargo xtask --help` lists them.
//!
//! Whatever a command starts (servers, cargo itself) belongs to a guard that stops it when the
//! command ends, fails, panics or is interrupted: see [`process`] and [`postgres`].
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a developer's command speaks on the terminal it was called from"
)]

mod bench;
mod ci;
mod demo_data;
mod fuzz;
mod postgres;
mod process;
mod test;
mod tidy;
mod torture;
mod workspace;

use std::error::Error;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use crate::workspace::Workspace;

/// The developers' own commands.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    disable_help_subcommand = true
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs every test on SQLite and on a private PostgreSQL that it starts and stops itself
    Test(test::TestArguments),
    /// Runs all that a change must pass: format, lints, tidy, dependencies, documentation, tests
    Ci(ci::CiArguments),
    /// Checks what no compiler checks: dependency list, module docs, forbidden marks and paths
    Tidy,
    /// Measures speed and memory, ours and rivals', and writes docs/performance
    Bench(bench::BenchArguments),
    /// Looks for inputs that make a reader of files fail, with libFuzzer
    Fuzz(fuzz::FuzzArguments),
    /// Kills the hub under load, again and again, and checks that nothing it answered is lost
    Torture(torture::TortureArguments),
    /// Writes a directory of realistic task files, the same ones for the same seed
    DemoData(demo_data::DemoDataArguments),
}

/// What ended a command early; each module says more about its own.
#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error(transparent)]
    Workspace(#[from] workspace::WorkspaceError),
    #[error(transparent)]
    Test(#[from] test::TestError),
    #[error(transparent)]
    Ci(#[from] ci::CiError),
    #[error(transparent)]
    Tidy(#[from] tidy::TidyError),
    #[error(transparent)]
    Bench(#[from] bench::BenchError),
    #[error(transparent)]
    Fuzz(#[from] fuzz::FuzzError),
    #[error(transparent)]
    Torture(#[from] torture::TortureError),
    #[error(transparent)]
    DemoData(#[from] demo_data::DemoDataError),
    #[error("cannot watch for signals")]
    Signals(#[source] std::io::Error),
}

/// The exit code of a command that a signal ended, as shells count: 128 + SIGINT.
const INTERRUPTED: u8 = 130;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Built with the whole workspace, reqwest is one that wants to be told its TLS; alone it has none.
    // Refused only when there is one already.
    drop(rustls::crypto::ring::default_provider().install_default());
    // An interrupt drops the command where it stands; its guards then stop what it started.
    let outcome = tokio::select! {
        outcome = run(arguments.command) => outcome,
        name = interrupt() => match name {
            Ok(name) => {
                eprintln!("xtask: stopped by {name}");
                Ok(ExitCode::from(INTERRUPTED))
            }
            Err(error) => Err(CommandError::Signals(error)),
        },
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("xtask: {}", with_sources(&error));
        ExitCode::FAILURE
    })
}

async fn run(command: Command) -> Result<ExitCode, CommandError> {
    let workspace = Workspace::find()?;
    Ok(match command {
        Command::Test(arguments) => test::run(&workspace, &arguments).await?,
        Command::Ci(arguments) => ci::run(&workspace, &arguments).await?,
        Command::Tidy => tidy::run(&workspace).await?,
        Command::Bench(arguments) => bench::run(&workspace, &arguments).await?,
        Command::Fuzz(arguments) => fuzz::run(&workspace, &arguments).await?,
        Command::Torture(arguments) => torture::run(&workspace, &arguments).await?,
        Command::DemoData(arguments) => demo_data::run(&arguments)?,
    })
}

async fn interrupt() -> std::io::Result<&'static str> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    Ok(tokio::select! {
        _ = interrupt.recv() => "SIGINT",
        _ = terminate.recv() => "SIGTERM",
        _ = hang_up.recv() => "SIGHUP",
    })
}

/// An error and all that caused it, in one line.
fn with_sources(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn command_line_definition_is_sound() {
        Arguments::command().debug_assert();
    }
}
