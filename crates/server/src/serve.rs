//! The running server: starts the hub, listens, announces itself, and stops in order.

mod addresses;
mod connections;
mod hub_file;
mod reload;
mod signals;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use alkhub_hub::config::{Config, LiveConfig};
use alkhub_hub::{Hub, HubOptions, StartError, Started};
use secrecy::SecretString;

use crate::logging::LoggingError;
use crate::{http, logging};
use addresses::Listeners;
use connections::Connections;
use hub_file::HubFile;
pub use reload::reload_on_hangup;
use signals::Signals;

/// Time for answers under way to leave once the hub has stopped.
const LAST_ANSWERS: Duration = Duration::from_secs(5);
/// How often live settings of the log are looked at.
const LOG_SETTINGS: Duration = Duration::from_secs(1);

/// What a server is started with.
pub struct ServeOptions {
    /// The settings in force.
    pub config: Arc<LiveConfig>,
    /// Called once, when the hub answers.
    pub announce: Box<dyn FnOnce(Announcement) + Send>,
}

/// What the person who starts the server is told.
pub struct Announcement {
    /// Address of the hub: the public one if it is set, else the first one listened on.
    pub url: String,
    /// Address of the dashboard, if it is served.
    pub dashboard: Option<String>,
    /// Address of the reference page.
    pub docs: String,
    /// The first admin key, if this start made it: shown once, then known to nobody.
    pub first_key: Option<SecretString>,
    /// Where the data lies.
    pub data_dir: PathBuf,
    /// Name of the database engine.
    pub engine: &'static str,
    /// Id of this process.
    pub pid: u32,
}

/// Why the server ended otherwise than by a wish.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The log cannot be set up.
    #[error(transparent)]
    Logging(LoggingError),
    /// The process cannot be told to stop.
    #[error("signals cannot be received: {0}")]
    Signals(#[source] std::io::Error),
    /// The hub did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// An address cannot be listened on.
    #[error(
        "cannot listen on {address}: {source}; set server.listen to another address, or server.listenFallback to take the next free port"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file by which the command line finds the hub cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    HubFile {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Told to stop a second time: ended at once, running calls cut off.
    #[error("ended at once by a second signal; running calls were cut off")]
    Interrupted,
}

impl ServeError {
    /// Exit code of the process: 2 configuration, 3 already running, 4 key, 5 database,
    /// 6 migration, 7 port, 1 other.
    pub fn exit_code(&self) -> u8 {
        match self {
            ServeError::Logging(_) => 2,
            ServeError::Start(error) => error.exit_code(),
            ServeError::Listen { .. } => 7,
            ServeError::Signals(_) | ServeError::HubFile { .. } | ServeError::Interrupted => 1,
        }
    }

    /// Number and name of the step of the start that failed; `None` once the server was running.
    pub fn step(&self) -> Option<(u8, &'static str)> {
        match self {
            ServeError::Signals(_) => Some((1, "arguments and configuration")),
            ServeError::Logging(_) => Some((2, "logging")),
            ServeError::Start(error) => Some(error.step()),
            ServeError::Listen { .. } | ServeError::HubFile { .. } => Some((12, "listeners")),
            ServeError::Interrupted => None,
        }
    }
}

/// Starts the hub and serves it until the process is told to stop (SIGTERM or Ctrl-C), then waits
/// for running calls up to `server.drain`.
///
/// # Errors
/// See [`ServeError`]. After [`ServeError::Interrupted`] tasks may still run: the caller ends the
/// process without waiting for them.
pub async fn run(options: ServeOptions) -> Result<(), ServeError> {
    let config = options.config.current();
    set_up_logging(&config)?;
    addresses::warn_of_public_ones(&config.server);
    let mut signals = Signals::receive().map_err(ServeError::Signals)?;

    let starting = Hub::start(HubOptions {
        config: Arc::clone(&options.config),
    });
    let started = tokio::select! {
        started = starting => started?,
        () = signals.stop() => return Ok(()),
    };
    let Started { hub, first_key, .. } = started;
    let served = serve(&hub, first_key, options, &mut signals).await;
    if let Err(ServeError::Listen { .. } | ServeError::HubFile { .. }) = &served {
        hub.shutdown(Duration::ZERO).await;
    }
    served
}

/// A program that has set up logging of its own keeps it.
fn set_up_logging(config: &Config) -> Result<(), ServeError> {
    match logging::init_logging(&config.log.level, config.log.format) {
        Ok(()) | Err(LoggingError::Installed) => Ok(()),
        Err(error) => Err(ServeError::Logging(error)),
    }
}

async fn serve(
    hub: &Arc<Hub>,
    first_key: Option<SecretString>,
    options: ServeOptions,
    signals: &mut Signals,
) -> Result<(), ServeError> {
    let config = hub.config();
    let listeners = Listeners::bind(&config.server).await?;
    let local_url = listeners.url();
    logging::name_instance(&instance_name(&config));
    // Held to the end: dropping it takes the file away, however this function ends.
    let _file = HubFile::write(&config.data_dir, &local_url)?;

    let router = http::router_at(Arc::clone(hub), local_url.clone());
    let connections = Connections::accept(listeners, router, config.server.max_connections);
    let log_settings = tokio::spawn(follow_log_settings(Arc::clone(&options.config)));

    let url = config.server.public_url.clone().unwrap_or(local_url);
    tracing::info!(url, engine = hub.engine(), "the hub answers at {url}");
    (options.announce)(Announcement {
        docs: format!("{url}/v1/docs"),
        url,
        dashboard: None,
        first_key,
        data_dir: config.data_dir.clone(),
        engine: hub.engine(),
        pid: std::process::id(),
    });

    signals.stop().await;
    tracing::info!(
        drain_ms = config.server.drain.as_millis(),
        "stopping: no new calls; running ones have until the end of the drain time"
    );
    hub.begin_drain();
    let stopped = tokio::select! {
        () = stop(hub, connections, config.server.drain) => Ok(()),
        () = signals.stop() => Err(ServeError::Interrupted),
    };
    log_settings.abort();
    if stopped.is_ok() {
        tracing::info!("stopped");
    }
    stopped
}

/// The configured name, else that of the machine.
fn instance_name(config: &Config) -> String {
    #[cfg(unix)]
    let machine = || {
        rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned()
    };
    #[cfg(not(unix))]
    let machine = || "hub".to_owned();
    config.hub.instance_name.clone().unwrap_or_else(machine)
}

/// Health is answered until the hub has stopped, so that whoever asks learns of it.
async fn stop(hub: &Hub, connections: Connections, drain: Duration) {
    hub.shutdown(drain).await;
    connections.close(LAST_ANSWERS).await;
}

async fn follow_log_settings(live: Arc<LiveConfig>) {
    let mut known = live.current().log.clone();
    loop {
        tokio::time::sleep(LOG_SETTINGS).await;
        let new = live.current().log.clone();
        if new != known {
            match logging::change(&new.level, new.format) {
                Ok(()) => tracing::info!(level = new.level, "the log level changed"),
                Err(error) => tracing::warn!(error = %error, "the log level did not change"),
            }
            known = new;
        }
    }
}
