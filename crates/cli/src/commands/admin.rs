//! `alkhub admin`: repairs that need the hub to be stopped.

use std::io::IsTerminal;

use clap::{Args, Subcommand};
use secrecy::ExposeSecret;
use serde_json::json;

use super::config;
use super::serve::DatabaseOptions;
use crate::args::Global;
use crate::failure::Failure;
use crate::output::Output;

/// Repair a hub that is stopped
///
/// For whoever owns the machine: no key is needed, the files are.
#[derive(Debug, Subcommand)]
#[command(after_help = "Example:\n  alkhub admin reset-key --data-dir ./data")]
pub(crate) enum Admin {
    /// Make a new admin key when all are lost
    ///
    /// The hub must be stopped. The key is written where the commands of this user find it, and
    /// printed on a terminal. The audit log tells of it.
    #[command(after_help = "Example:\n  alkhub admin reset-key")]
    ResetKey(ResetKey),
}

#[derive(Debug, Args)]
pub(crate) struct ResetKey {
    #[command(flatten)]
    database: DatabaseOptions,
}

impl Admin {
    pub(crate) fn run(&self, global: &Global, output: &Output) -> Result<(), Failure> {
        let Admin::ResetKey(reset) = self;
        let loaded = config::load(global, reset.database.settings())?;
        config::warn(&loaded, output)?;
        let live = loaded.config;
        let key =
            super::wait(alkhub_hub::recover_key(&live))?.map_err(|problem| Failure::Start {
                message: problem.to_string(),
                exit_code: 1,
            })?;
        let file = alkhub_hub::local_key_file(&live.current().data_dir);
        if output.json {
            return output.document(&json!({"file": file.display().to_string()}));
        }
        if std::io::stdout().is_terminal() {
            output.text(&format!("{}\n", key.expose_secret()))?;
        }
        output.text(&format!("the key is in {}\n", file.display()))
    }
}
