//! `alkhub`: starts the hub and talks to it.
//!
//! The commands are thin. `serve`, `migrate`, `config` and `admin` work on this machine; every
//! other one builds the input of one operation, calls it over HTTP and shows the answer. Which
//! operation, with what input and in what columns, stands beside the arguments of each command in
//! `commands/`.

mod args;
mod bridge;
mod client;
mod commands;
mod failure;
mod graph;
mod locate;
mod output;
mod plan;
mod progress;
mod view;

use std::process::ExitCode;

use clap::Parser;

use crate::args::Cli;
use crate::failure::Failure;
use crate::output::Output;

fn main() -> ExitCode {
    alkhub_hub::limit_heaps();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Help and version come this way too, with exit code 0.
        Err(error) => {
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            return match error.print() {
                Ok(()) => ExitCode::from(code),
                Err(problem) => Failure::from(problem).exit(None),
            };
        }
    };
    let output = Output::new(&cli.global);
    match commands::run(cli, &output) {
        Ok(code) => code,
        Err(failure) => failure.exit(Some(&output)),
    }
}
