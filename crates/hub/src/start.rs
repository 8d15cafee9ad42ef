//! The start of the hub in numbered steps, each with the exit code and the remedy of its failure.

mod data_dir;
mod first_identity;
mod registry;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use alkhub_operations::CallError;
use alkhub_storage::{
    ConnectError, Database, DatabaseOptions, DbErr, MigrateError, SqliteSynchronous, StorageError,
    meta,
};
use chrono::Utc;
use secrecy::SecretString;
use serde_json::json;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

pub use data_dir::DataDirError;
pub(crate) use data_dir::Lock;
pub use first_identity::{RecoverError, recover_key};

use crate::audit::{self, Action, Actor, Entry};
use crate::auth::{Authenticator, CacheTimes, LastUsed, Origin};
use crate::clients::Services;
use crate::config::{self, LiveConfig};
use crate::connections::Sockets;
use crate::dispatch::Queue;
use crate::events::Events;
use crate::jobs::RunningJobs;
use crate::limits::Limits;
use crate::links::Links;
use crate::live::LiveCalls;
use crate::news::News;
use crate::notices::Notices;
use crate::operations::{KnownGraph, Overrides};
use crate::providers::Providers;
use crate::recorder::{Recorder, RecorderLimits};
use crate::repeats::Repeats;
use crate::state::{Instance, State};
use crate::system::SETTING_PREFIX;
use crate::{Hub, clients, jobs, mcp, recovery, spokes};

/// Pause between two attempts to reach the database.
const RETRY: Duration = Duration::from_millis(500);

/// What a hub is started with.
#[derive(Debug, Clone)]
pub struct HubOptions {
    /// The settings in force.
    pub config: Arc<LiveConfig>,
}

/// A started hub.
pub struct Started {
    /// The hub.
    pub hub: Arc<Hub>,
    /// The first admin key, made by this very start: shown once, then known to nobody.
    pub first_key: Option<SecretString>,
    /// Names of the migrations this start applied.
    pub migrations_applied: Vec<String>,
    /// Calls that a former run had left open and that are closed now.
    pub recovered_calls: u64,
}

/// Why the hub did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory cannot be used, or another hub uses it.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The database cannot be opened: its address, its version, its file system, or no answer.
    #[error("{}", chain(.0))]
    Connect(#[source] ConnectError),
    /// The database failed later in the start.
    #[error("the database failed: {}", chain(.0))]
    Database(#[from] StorageError),
    /// The schema cannot be brought up to date.
    #[error("the database schema cannot be brought up to date: {}", chain(.0))]
    Migration(#[from] MigrateError),
    /// The schema is old and `database.migrate` is false.
    #[error(
        "the database schema is not up to date and database.migrate is false; run \"alkhub migrate\" \
         and start again"
    )]
    OldSchema,
    /// The first account and key could not be made.
    #[error("the first account could not be made: {0}")]
    FirstIdentity(#[source] RecoverError),
    /// The key under which inputs are compared is not what this hub writes.
    #[error(
        "the row installationKey of hub_meta is damaged; restore it from a backup, or delete it: \
         repeated request ids of earlier calls are then no longer recognised"
    )]
    InstallationKey,
    /// What a former run left open could not be closed.
    #[error("the calls of the former run could not be closed: {0}")]
    Recovery(#[source] StorageError),
    /// `mcp.tools` chooses more operations than MCP clients are shown as tools.
    #[error(
        "mcp.tools chooses {found} operations; at most {} can be tools of their own, all others are \
         reached by the tool `call`",
        mcp::MOST_OWN_TOOLS
    )]
    TooManyTools {
        /// How many it chooses.
        found: usize,
    },
    /// The hub's own operations could not be registered.
    #[error("the operations could not be registered: {0}")]
    Registry(String),
}

impl StartError {
    /// Number and name of the step that failed.
    #[must_use]
    pub fn step(&self) -> (u8, &'static str) {
        match self {
            Self::DataDir(_) => (3, "data directory and lock"),
            Self::Connect(_) | Self::Database(_) => (5, "database"),
            Self::Migration(_) | Self::OldSchema => (6, "migrations"),
            Self::FirstIdentity(_) => (7, "first identity"),
            Self::Recovery(_) => (8, "recovery"),
            Self::InstallationKey => (10, "installation key"),
            Self::Registry(_) | Self::TooManyTools { .. } => (10, "registry"),
        }
    }

    /// The exit code of the process.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::DataDir(DataDirError::InUse { .. }) => 3,
            Self::TooManyTools { .. } => 2,
            Self::Connect(_) | Self::Database(_) => 5,
            Self::Migration(_) | Self::OldSchema => 6,
            _ => 1,
        }
    }
}

impl From<DbErr> for StartError {
    fn from(error: DbErr) -> Self {
        Self::Database(error.into())
    }
}

/// An error with its causes, for people.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

impl Hub {
    /// Starts a hub: data directory, database, migrations, first identity, recovery, registry, jobs.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running.
    pub async fn start(options: HubOptions) -> Result<Started, StartError> {
        crate::tls::install_provider();
        let live = options.config;
        let config = live.current();
        let data_dir = config.data_dir.clone();
        let lock = data_dir::take(&data_dir)?;

        let database = connect(&config).await?;
        let migrations_applied = migrate(&database, config.database.migrate).await?;
        apply_stored_settings(&database, &live).await?;

        let identity = first_identity::ensure(&database, &data_dir)
            .await
            .map_err(StartError::FirstIdentity)?;
        let instance = next_instance(&database, &data_dir, &config).await?;
        spokes::start_clean(&database, &instance)
            .await
            .map_err(StartError::Recovery)?;
        let (recovered_calls, recovery) = recovery::close_open_calls(&database, &instance)
            .await
            .map_err(StartError::Recovery)?;
        let registry =
            registry::register().map_err(|error| StartError::Registry(error.to_string()))?;
        let found = mcp::count(&registry.list(), &config.mcp.tools);
        if found > mcp::MOST_OWN_TOOLS {
            return Err(StartError::TooManyTools { found });
        }
        let overrides = Overrides::default();
        let rows = registry::store_operations(&database, &registry, &overrides).await?;
        let providers = Providers::new(rows, overrides);
        registry::know_offered_operations(&database, &registry, &providers).await?;
        let installation_key = installation_key(&database).await?;
        let services = Services::new(Arc::clone(&live));

        let state = Arc::new(State {
            authenticator: Authenticator::new(
                database.clone(),
                CacheTimes {
                    hit: config.auth.cache_ttl,
                    miss: config.auth.miss_ttl,
                    size: config.auth.cache_size,
                },
            ),
            last_used: LastUsed::default(),
            limits: Limits::new(),
            notices: Notices::start(database.clone()),
            events: Events::new(),
            news: News::default(),
            running_jobs: RunningJobs::default(),
            recorder: Recorder::start(
                database.clone(),
                RecorderLimits {
                    queue: config.recorder.queue,
                    queue_bytes: config.recorder.queue_bytes,
                    max_batch: config.recorder.max_batch,
                    deadline: config.recorder.deadline,
                },
            ),
            repeats: Repeats::default(),
            registry,
            providers,
            services: Arc::new(services),
            operation_graph: KnownGraph::default(),
            live: LiveCalls::default(),
            queue: Queue::default(),
            sockets: Sockets::default(),
            links: Links::default(),
            registering: tokio::sync::Mutex::new(()),
            recovery,
            hub_account: identity.hub_account,
            instance,
            installation_key,
            started_at: Utc::now(),
            draining: AtomicBool::new(false),
            running: TaskTracker::new(),
            database,
            config: live,
        });
        clients::restore(&state)
            .await
            .map_err(|error| StartError::Registry(CallError::from(error).to_string()))?;
        audit_start(&state, &migrations_applied).await?;
        let jobs = jobs::start(&state);
        Ok(Started {
            hub: Arc::new(Hub {
                state,
                jobs,
                _lock: lock,
            }),
            first_key: identity.first_key,
            migrations_applied,
            recovered_calls,
        })
    }
}

/// Brings the database up to date without starting a hub. Returns the names of the migrations it
/// applied and the number of the schema.
///
/// # Errors
/// [`StartError`]; an embedded database must not be in use by a running hub.
pub async fn migrate_database(live: &LiveConfig) -> Result<(Vec<String>, i32), StartError> {
    let config = live.current();
    let _lock = match config.database.url {
        Some(_) => None,
        None => Some(data_dir::take(&config.data_dir)?),
    };
    let database = connect(&config).await?;
    let applied = migrate(&database, true).await?;
    let version = database.schema_version().await?;
    database.close().await?;
    Ok((applied, version))
}

/// Waits for the database up to `database.startWait`: a compose file starts both at once.
async fn connect(config: &config::Config) -> Result<Database, StartError> {
    let options = database_options(config);
    let until = Instant::now() + config.database.start_wait;
    loop {
        match Database::connect(&options).await {
            Ok(database) => return Ok(database),
            Err(error @ ConnectError::Storage(StorageError::Unavailable(_)))
                if Instant::now() + RETRY < until =>
            {
                tracing::warn!(error = chain(&error), "waiting for the database");
                tokio::time::sleep(RETRY).await;
            }
            Err(error) => return Err(StartError::Connect(error)),
        }
    }
}

/// How the settings say that the database is reached.
fn database_options(config: &config::Config) -> DatabaseOptions {
    DatabaseOptions {
        url: config.database_url(),
        max_connections: config.database.max_connections,
        statement_timeout: config.database.statement_timeout,
        synchronous: match config.database.sqlite_synchronous {
            config::SqliteSynchronous::Full => SqliteSynchronous::Full,
            config::SqliteSynchronous::Normal => SqliteSynchronous::Normal,
        },
    }
}

async fn migrate(database: &Database, allowed: bool) -> Result<Vec<String>, StartError> {
    if !allowed {
        let pending = database.pending_migrations().await?;
        return if pending.is_empty() {
            Ok(Vec::new())
        } else {
            Err(StartError::OldSchema)
        };
    }
    Ok(database.migrate().await?.applied)
}

async fn apply_stored_settings(database: &Database, live: &LiveConfig) -> Result<(), StartError> {
    let stored = meta::list_prefix(database.reader(), SETTING_PREFIX)
        .await?
        .into_iter()
        .map(|(key, value)| (key.trim_start_matches(SETTING_PREFIX).to_owned(), value))
        .collect();
    for warning in live.apply_stored(stored) {
        tracing::warn!(warning, "a stored setting is not applied");
    }
    Ok(())
}

/// The id of this process, kept in the data directory, joined by a number that grows at each start.
async fn next_instance(
    database: &Database,
    data_dir: &std::path::Path,
    config: &config::Config,
) -> Result<Instance, StartError> {
    let id = data_dir::instance_id(data_dir)?;
    let key = format!("instance:{id}");
    let former = meta::get(database.reader(), &key).await?;
    let start = former
        .as_ref()
        .and_then(|row| row["start"].as_u64())
        .unwrap_or(0)
        + 1;
    let now = alkhub_storage::time::format(alkhub_storage::time::now());
    let row = json!({
        "start": start, "name": config.hub.instance_name, "pid": std::process::id(),
        "version": env!("CARGO_PKG_VERSION"), "startedAt": now,
    });
    let transaction = database.begin().await?;
    meta::put(&transaction, &key, &row).await?;
    transaction.commit().await?;
    Ok(Instance { id, start })
}

/// The secret under which inputs are compared without being kept; made once.
async fn installation_key(database: &Database) -> Result<Vec<u8>, StartError> {
    let made: Vec<u8> = [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat();
    let key = "installationKey";
    let transaction = database.begin().await?;
    meta::put_if(
        &transaction,
        key,
        None,
        &json!({ "hex": crate::keys::hex(&made) }),
    )
    .await?;
    let stored = meta::get(&transaction, key).await?;
    transaction.commit().await?;
    let text = stored.as_ref().and_then(|value| value["hex"].as_str());
    // Never an empty key in its place: everybody could then compute what inputs are compared by.
    text.filter(|text| text.len() == 2 * made.len())
        .map(|text| text.as_bytes().to_vec())
        .ok_or(StartError::InstallationKey)
}

async fn audit_start(state: &State, migrations: &[String]) -> Result<(), StartError> {
    let actor = hub_actor(state);
    let transaction = state.database.begin().await?;
    if !migrations.is_empty() {
        let entry = Entry::default().counted(json!({ "applied": migrations }));
        audit::write(&transaction, &actor, Action::HubMigrated, entry).await?;
    }
    let entry = Entry::about("instance", &state.instance.id, "")
        .counted(json!({ "start": state.instance.start }));
    audit::write(&transaction, &actor, Action::HubStarted, entry).await?;
    transaction.commit().await?;
    Ok(())
}

/// The hub itself as the one who did it.
pub(crate) fn hub_actor(state: &State) -> Actor {
    Actor {
        account: state.hub_account.clone(),
        key: None,
        key_prefix: None,
        operation: None,
        request_id: None,
        origin: Origin::internal(),
    }
}

/// Where the local command line finds its key.
#[must_use]
pub fn local_key_file(data_dir: &std::path::Path) -> PathBuf {
    data_dir.join("local-key")
}
