//! `alkhub migrate`: brings a database up to date without serving.

use std::path::Path;

use alkhub_storage::Database;
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
        let settings = loaded.config.current();
        if settings.database.url.is_none() {
            make_private(&settings.data_dir)?;
        }
        let options = alkhub_hub::database_options(&settings);
        let (applied, version) = super::wait(async {
            let work = async {
                let database = Database::connect(&options).await?;
                let applied = database.migrate().await?.applied;
                let version = database.schema_version().await?;
                database.close().await;
                Ok((applied, version))
            };
            progress::while_waiting(output, "migrating", work).await
        })?
        .map_err(|problem: alkhub_storage::StorageError| Failure::Start {
            message: format!("the database cannot be brought up to date: {problem}"),
            exit_code: 6,
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

/// Makes the data directory as the hub does: for its owner only.
fn make_private(directory: &Path) -> Result<(), Failure> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(directory).map_err(|problem| {
        Failure::Local(format!("cannot make {}: {problem}", directory.display()))
    })
}
