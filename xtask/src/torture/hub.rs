//! The hub that is killed and started again on the same data.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Command;

use super::TortureError;
use crate::process::Group;

/// How long a start may take, recovery included.
const START: Duration = Duration::from_secs(60);

/// Where the hub runs; the same for all rounds.
#[derive(Debug)]
pub(super) struct Place {
    binary: PathBuf,
    data: PathBuf,
    configuration: PathBuf,
    log: PathBuf,
    database: Option<String>,
    /// Host and port, the same after each restart, so that a spoke finds the hub again.
    pub(super) address: String,
    client: reqwest::Client,
}

/// A running hub.
#[derive(Debug)]
pub(super) struct Hub {
    group: Group,
    /// The key of its first account.
    pub(super) key: String,
}

impl Place {
    /// Prepares a directory; `database` is the address of a PostgreSQL database, else SQLite is used.
    pub(super) fn prepare(
        binary: PathBuf,
        directory: &Path,
        database: Option<String>,
        grace: Duration,
    ) -> Result<Self, TortureError> {
        let configuration = directory.join("torture.toml");
        let settings = format!(
            "[limits]\nrate = 0\nburst = 0\nconcurrency = 0\naccountConcurrency = 0\n\n\
             [calls]\nrecoveryGrace = \"{}ms\"\n",
            grace.as_millis()
        );
        let data = directory.join("data");
        let file = |path: &Path| {
            let path = path.to_path_buf();
            move |source| TortureError::File { path, source }
        };
        fs::create_dir_all(&data).map_err(file(&data))?;
        fs::write(&configuration, settings).map_err(file(&configuration))?;
        let port = TcpListener::bind(("127.0.0.1", 0))
            .and_then(|listener| listener.local_addr())
            .map_err(file(Path::new("127.0.0.1")))?
            .port();
        Ok(Self {
            binary,
            log: directory.join("hub.log"),
            configuration,
            data,
            database,
            address: format!("127.0.0.1:{port}"),
            client: reqwest::Client::builder()
                .pool_max_idle_per_host(0)
                .timeout(Duration::from_secs(1))
                .build()?,
        })
    }

    /// The address of the database, to look into it.
    pub(super) fn database(&self) -> String {
        self.database.clone().unwrap_or_else(|| {
            format!("sqlite://{}?mode=ro", self.data.join("alkhub.db").display())
        })
    }

    /// Starts the hub and waits until it is ready.
    pub(super) async fn start(&self) -> Result<Hub, TortureError> {
        let file = |source| TortureError::File {
            path: self.log.clone(),
            source,
        };
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(&self.log)
            .map_err(file)?;
        let mut command = Command::new(&self.binary);
        command
            .arg("serve")
            .current_dir(&self.data)
            .env("ALKHUB_DATA_DIR", &self.data)
            .env("ALKHUB_CONFIG", &self.configuration)
            .env("ALKHUB_SERVER_LISTEN", &self.address)
            .stdout(log.try_clone().map_err(file)?)
            .stderr(log);
        if let Some(database) = &self.database {
            command.env("ALKHUB_DATABASE_URL", database);
        }
        let mut group = Group::spawn(&mut command)?.stop_by(Signal::TERM, Duration::from_secs(20));
        let ready = format!("http://{}/readyz", self.address);
        let deadline = Instant::now() + START;
        // Refused or not ready yet is what is waited out here.
        while !self
            .client
            .get(&ready)
            .send()
            .await
            .is_ok_and(|answer| answer.status().is_success())
        {
            if let Ok(Some(status)) = group.ended() {
                return Err(self.failed(&format!("ended while it started ({status})")));
            }
            if Instant::now() > deadline {
                return Err(self.failed(&format!("was not ready after {START:?}")));
            }
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        let key = self.data.join("local-key");
        let key = fs::read_to_string(&key)
            .map_err(|source| TortureError::File { path: key, source })?
            .trim()
            .to_owned();
        Ok(Hub { group, key })
    }

    fn failed(&self, what: &str) -> TortureError {
        TortureError::Hub(format!("{what}; its log is {}", self.log.display()))
    }
}

impl Hub {
    /// Kills it without warning and waits until it is gone.
    pub(super) async fn kill(mut self) -> Result<(), TortureError> {
        let id = self
            .group
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw)
            .ok_or_else(|| TortureError::Hub("ended by itself before it was killed".to_owned()))?;
        kill_process(id, Signal::KILL)
            .map_err(|error| TortureError::Hub(format!("cannot be killed: {error}")))?;
        let waited = self.group.wait().await;
        waited
            .map(drop)
            .map_err(|error| TortureError::Hub(format!("cannot be waited for: {error}")))
    }
}
