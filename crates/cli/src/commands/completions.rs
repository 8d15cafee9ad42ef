//! `alkhub completions`.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::args::Cli;
use crate::failure::Failure;
use crate::output::Output;

/// Print a completion script for a shell
///
/// Put it where your shell looks for completions.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  alkhub completions bash > ~/.local/share/bash-completion/completions/alkhub"
)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(&self, output: &Output) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "alkhub", &mut script);
        output.text(&String::from_utf8_lossy(&script))
    }
}
