//! The commands. Each file holds the arguments of a noun and the operation behind each verb.

pub(crate) mod account;
pub(crate) mod admin;
pub(crate) mod call;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod hub;
pub(crate) mod key;
pub(crate) mod mcp;
pub(crate) mod migrate;
pub(crate) mod operations;
pub(crate) mod paging;
pub(crate) mod project;
pub(crate) mod serve;
pub(crate) mod spoke;
pub(crate) mod task;
pub(crate) mod values;
pub(crate) mod workspace;

use std::future::Future;
use std::process::ExitCode;

use crate::args::{Cli, Command, Global};
use crate::failure::Failure;
use crate::locate;
use crate::output::Output;
use crate::plan::Plan;

/// Runs the command of this process.
pub(crate) fn run(cli: Cli, output: &Output) -> Result<ExitCode, Failure> {
    let global = &cli.global;
    let plan = match cli.command {
        Command::Completions(completions) => {
            completions.run(output)?;
            return Ok(ExitCode::SUCCESS);
        }
        // Works on files alone and knows no key.
        Command::Graph(graph) => return graph.run(output),
        command => {
            locate::refuse_key_in_environment()?;
            command
        }
    };
    match plan {
        Command::Serve(serve) => serve.run(global, output)?,
        Command::Migrate(migrate) => migrate.run(global, output)?,
        Command::Config(config) => config.run(global, output)?,
        Command::Admin(admin) => admin.run(global, output)?,
        Command::Project(project) => call(project.plan()?, global, output)?,
        Command::Workspace(workspace) => call(workspace.plan()?, global, output)?,
        Command::Task(task) => task.run(global, output)?,
        Command::Account(account) => call(account.plan()?, global, output)?,
        Command::Key(key) => key.run(global, output)?,
        Command::Ops(operations) => call(operations.plan()?, global, output)?,
        Command::Call(call) => call.run(global, output)?,
        Command::Spoke(spoke) => spoke.run(global, output)?,
        Command::Mcp(mcp) => mcp.run(global, output)?,
        Command::Whoami(whoami) => call(whoami.plan()?, global, output)?,
        Command::Info(info) => call(info.plan()?, global, output)?,
        Command::Health(health) => return health.run(global, output),
        Command::Graph(graph) => return graph.run(output),
        Command::Completions(completions) => completions.run(output)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Carries out a plan.
fn call(plan: Plan, global: &Global, output: &Output) -> Result<(), Failure> {
    wait(plan.run(global, output))?
}

/// Runs one piece of client work to its end; one thread is enough for it.
fn wait<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|problem| Failure::Local(format!("cannot start: {problem}")))?;
    Ok(runtime.block_on(work))
}
