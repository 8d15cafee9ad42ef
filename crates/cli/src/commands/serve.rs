//! `alkhub serve`: starts the hub in this process.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use alkhub_server::{Announcement, ServeOptions};
use clap::Args;
use secrecy::ExposeSecret;
use serde_json::json;

use super::config;
use crate::args::Global;
use crate::failure::Failure;
use crate::output::Output;

/// Start the hub
///
/// Makes the data directory and the database when they are missing, brings an older database up to
/// date, and serves until it is told to stop (Ctrl-C or SIGTERM). The first start prints an admin
/// key once and keeps it for the commands of this user.
///
/// Exit codes: 0 stopped, 1 other, 2 settings, 3 a hub runs on the directory already, 4 key,
/// 5 database, 6 migration, 7 the port is taken.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  alkhub serve\n  alkhub serve --listen 127.0.0.1:0 --data-dir ./data\n  alkhub serve --database-url postgres://alkhub@db.example/alkhub --set limits.rate=500"
)]
pub(crate) struct Serve {
    /// Address to listen on (may repeat) [default: 127.0.0.1:4848]
    #[arg(long, value_name = "ADDRESS")]
    listen: Vec<String>,
    /// Take the next free port when the port is taken
    #[arg(long)]
    listen_fallback: bool,
    /// Address under which users reach the hub
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Allow addresses that other machines can reach, without TLS
    #[arg(long)]
    allow_insecure: bool,
    #[command(flatten)]
    database: DatabaseOptions,
    /// What is logged: a level, or target=level separated by commas [default: info]
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
    /// How a log line looks [default: pretty on a terminal, else json]
    #[arg(long, value_name = "FORMAT", value_parser = ["auto", "pretty", "json"])]
    log_format: Option<String>,
    /// Any setting (may repeat); `alkhub config show` lists them
    #[arg(long, value_name = "KEY=VALUE", value_parser = assignment)]
    set: Vec<(String, String)>,
}

/// Which database: taken by every command that opens it.
#[derive(Debug, Args)]
pub(super) struct DatabaseOptions {
    /// Database: sqlite:PATH or postgres://… [default: SQLite in the data directory]
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// File that holds the database URL with its password, mode 0600
    #[arg(long, value_name = "FILE", conflicts_with = "database_url")]
    database_url_file: Option<PathBuf>,
}

impl DatabaseOptions {
    /// The options as settings.
    pub(super) fn settings(&self) -> Vec<(String, String)> {
        let url = self.database_url.clone().map(|url| ("database.url", url));
        let file = self.database_url_file.as_ref();
        let file = file.map(|path| ("database.urlFile", path.display().to_string()));
        named(url.into_iter().chain(file))
    }
}

impl Serve {
    pub(crate) fn run(&self, global: &Global, output: &Output) -> Result<(), Failure> {
        let loaded = config::load(global, self.settings())?;
        config::warn(&loaded, output)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(|problem| Failure::Local(format!("cannot start: {problem}")))?;
        let told = *output;
        let live = Arc::new(loaded.config);
        let options = ServeOptions {
            config: Arc::clone(&live),
            announce: Box::new(move |announcement| announce(&announcement, &told)),
        };
        let (global, settings) = (global.clone(), self.settings());
        let read_again =
            move || config::load(&global, settings.clone()).map_err(|problem| problem.sentence());
        let served = runtime.block_on(async {
            alkhub_server::reload_on_hangup(live, read_again)
                .map_err(alkhub_server::ServeError::Signals)?;
            alkhub_server::run(options).await
        });
        // Told to stop twice, the server leaves tasks behind that nobody shall wait for.
        runtime.shutdown_background();
        served.map_err(|problem| {
            let message = match problem.step() {
                Some((number, name)) => format!("step {number} of the start ({name}): {problem}"),
                None => problem.to_string(),
            };
            Failure::Start {
                message,
                exit_code: problem.exit_code(),
            }
        })
    }

    fn settings(&self) -> Vec<(String, String)> {
        let mut settings = named(
            self.listen
                .iter()
                .map(|address| ("server.listen", address.clone()))
                .chain(flag("server.listenFallback", self.listen_fallback))
                .chain(self.public_url.clone().map(|url| ("server.publicUrl", url)))
                .chain(flag("server.allowInsecure", self.allow_insecure))
                .chain(self.log_level.clone().map(|level| ("log.level", level)))
                .chain(self.log_format.clone().map(|format| ("log.format", format))),
        );
        settings.extend(self.database.settings());
        settings.extend(self.set.iter().cloned());
        settings
    }
}

fn flag(key: &'static str, given: bool) -> Option<(&'static str, String)> {
    given.then(|| (key, "true".to_owned()))
}

fn named(settings: impl Iterator<Item = (&'static str, String)>) -> Vec<(String, String)> {
    settings
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

fn assignment(argument: &str) -> Result<(String, String), String> {
    match argument.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}

/// Tells that the hub is ready. A hub whose standard output is closed runs on all the same.
fn announce(announcement: &Announcement, output: &Output) {
    let told = if output.json {
        output.document(&json!({
            "url": announcement.url,
            "dashboard": announcement.dashboard,
            "docs": announcement.docs,
            "dataDir": announcement.data_dir.display().to_string(),
            "engine": announcement.engine,
            "pid": announcement.pid,
        }))
    } else if output.quiet {
        Ok(())
    } else {
        output.text(&text(announcement, std::io::stdout().is_terminal()))
    };
    if let Err(problem) = told {
        tracing::warn!(error = %problem, "the announcement could not be printed");
    }
}

fn text(announcement: &Announcement, on_terminal: bool) -> String {
    let mut text = format!(
        "alkhub {} is ready\n\n  Address     {}\n",
        env!("CARGO_PKG_VERSION"),
        announcement.url
    );
    if let Some(dashboard) = &announcement.dashboard {
        text.push_str(&format!("  Dashboard   {dashboard}\n"));
    }
    text.push_str(&format!(
        "  Reference   {}\n  Data        {}\n  Database    {}\n",
        announcement.docs,
        announcement.data_dir.display(),
        announcement.engine
    ));
    if let Some(key) = &announcement.first_key {
        let file = announcement.data_dir.join("local-key");
        // What is no terminal may be a log that others read.
        if on_terminal {
            text.push_str(&format!("  Admin key   {}\n", key.expose_secret()));
            text.push_str(&format!(
                "\nThe key is shown this once; {} keeps it for your own commands.\n",
                file.display()
            ));
        } else {
            text.push_str(&format!("  Admin key   in {}\n", file.display()));
        }
        text.push_str(&format!(
            "Next, in another terminal: alkhub project create demo{}\n\n",
            data_dir_option(&announcement.data_dir)
        ));
    }
    text
}

/// What other commands must be told to find this hub.
fn data_dir_option(data_dir: &Path) -> String {
    if alkhub_hub::config::user_data_dir().as_deref() == Some(data_dir) {
        String::new()
    } else {
        format!(" --data-dir {}", data_dir.display())
    }
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;

    fn announcement(first_key: Option<&str>) -> Announcement {
        Announcement {
            url: "http://127.0.0.1:4848".to_owned(),
            dashboard: None,
            docs: "http://127.0.0.1:4848/v1/docs".to_owned(),
            first_key: first_key.map(SecretString::from),
            data_dir: PathBuf::from("data"),
            engine: "sqlite",
            pid: 7,
        }
    }

    #[test]
    fn first_key_is_printed_on_a_terminal_only() {
        let first = announcement(Some("alk_first"));
        assert!(text(&first, true).contains("alk_first"));
        assert!(!text(&first, false).contains("alk_first"));
        assert!(text(&first, false).contains("data/local-key"));
    }

    #[test]
    fn later_starts_are_silent_about_keys() {
        assert!(!text(&announcement(None), true).contains("key"));
    }
}
