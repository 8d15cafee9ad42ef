//! `alkhub migrate`: brings a database up to date without serving.

use clap::Args;
use serde_json::json;

use super::config;
use super::serve::DatabaseOptions;
use crate::args::Global;
use crate::failure::Failure;
use crate::output::Output;
use crate::progress;

/// Bring the database up to date
///
/// Makes the tables in an empty database, or applies what an older one lacks, and says what was
/// applied. `alkhub serve` does the same when it starts; this is for when `database.migrate` is
/// off. Several of them at once wait for each other.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  alkhub migrate --database-url postgres://alkhub@db.example/alkhub"
)]
pub(crate) struct Migrate {
    #[command(flatten)]
    database: DatabaseOptions,
}

impl Migrate {
    pub(crate) fn run(&self, global: &Global, output: &Output) -> Result<(), Failure> {
        let loaded = config::load(global, self.database.settings())?;
        config::warn(&loaded, output)?;
        let work = alkhub_hub::migrate_database(&loaded.config);
        let (applied, version) = super::wait(progress::while_waiting(output, "migrating", work))?
            .map_err(|problem| Failure::Start {
            message: problem.to_string(),
            exit_code: problem.exit_code(),
        })?;
        if output.json {
            return output.document(&json!({"applied": applied, "schemaVersion": version}));
        }
        if applied.is_empty() {
            return output.text("nothing to do: the database is up to date\n");
        }
        let lines: Vec<String> = applied
            .iter()
            .map(|name| format!("applied {name}\n"))
            .collect();
        output.text(&lines.concat())
    }
}
