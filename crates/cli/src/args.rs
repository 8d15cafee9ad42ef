//! The command line as a whole: global options and the list of commands.

use std::path::PathBuf;

use clap::{Args, ColorChoice, Parser, Subcommand};

use crate::commands::{
    account, admin, call, completions, config, hub, key, mcp, migrate, operations, project, serve,
    spoke, task, workspace,
};

/// One hub for a team of AI coding agents.
///
/// `alkhub serve` starts the hub; it needs nothing else. All other commands talk to a running hub,
/// which they find by themselves on the machine it runs on.
#[derive(Debug, Parser)]
#[command(
    name = "alkhub",
    version,
    arg_required_else_help = true,
    after_help = "Example:\n  \
        alkhub serve\n  \
        alkhub project create demo\n  \
        alkhub task create \"Write the parser\" --project demo\n  \
        alkhub task ready --project demo\n\n\
        Exit codes: 0 done, 1 failed, 2 wrong use or bad settings; `serve` has more of them, see \
        its help."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options every command takes, before or after its name.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Directory of the hub's data [default: `alkhub` in the user's data directory]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Address of the hub [default: the one that runs on the data directory]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// File that holds the key, mode 0600 [default: `local-key` in the data directory]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// Configuration file [default: the first of ./alkhub.toml, the user's and the system's]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Print one JSON document instead of text; errors too, on stderr
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print results only: no hints, no progress
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// When to use colours
    #[arg(long, global = true, value_enum, default_value_t = ColorChoice::Auto, value_name = "WHEN")]
    pub(crate) color: ColorChoice,
}

/// The commands, in the order of the help.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Serve(serve::Serve),
    #[command(subcommand)]
    Project(project::Project),
    #[command(subcommand)]
    Workspace(workspace::Workspace),
    #[command(subcommand)]
    Task(task::Task),
    Graph(crate::graph::Graph),
    #[command(subcommand)]
    Account(account::Account),
    #[command(subcommand)]
    Key(key::Key),
    #[command(subcommand)]
    Ops(operations::Operations),
    Call(call::Call),
    #[command(subcommand)]
    Spoke(spoke::Spoke),
    Mcp(mcp::Mcp),
    Whoami(hub::Whoami),
    Info(hub::Info),
    Health(hub::Health),
    #[command(subcommand)]
    Config(config::Config),
    Migrate(migrate::Migrate),
    #[command(subcommand)]
    Admin(admin::Admin),
    Completions(completions::Completions),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn each(command: &clap::Command, path: &str, check: &mut impl FnMut(&str, &clap::Command)) {
        check(path, command);
        for inner in command.get_subcommands() {
            each(inner, &format!("{path} {}", inner.get_name()), check);
        }
    }

    #[test]
    fn the_command_line_has_no_contradictions() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_says_what_it_does_and_shows_an_example() {
        each(&Cli::command(), "alkhub", &mut |path, command| {
            assert!(command.get_about().is_some(), "{path} has no description");
            let after = command.get_after_help().map(ToString::to_string);
            let after = after.unwrap_or_default();
            assert!(after.contains("Example"), "{path} shows no example");
            assert!(
                after.contains("alkhub "),
                "{path}: the example does not name the program"
            );
        });
    }

    #[test]
    fn every_option_says_what_it_is() {
        each(&Cli::command(), "alkhub", &mut |path, command| {
            for argument in command.get_arguments() {
                assert!(
                    argument.get_help().is_some(),
                    "{path} {}",
                    argument.get_id()
                );
            }
        });
    }
}
