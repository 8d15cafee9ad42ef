//! Our own server as a contestant: a private hub on a free port.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use rustix::process::Signal;
use serde_json::Value;
use tokio::process::Command;

use super::BenchError;
use super::lab::Lab;
use crate::process::Group;

/// How long a server may take to its first healthy answer.
const START: Duration = Duration::from_secs(60);

/// The brakes are off: the path is measured, not the limits.
const CONFIGURATION: &str =
    "[limits]\nrate = 0\nburst = 0\nconcurrency = 0\naccountConcurrency = 0\nsockets = 0\n";

/// A running hub with its own data directory.
#[derive(Debug)]
pub(super) struct HubServer {
    /// Its processes.
    pub(super) group: Group,
    address: String,
    key: String,
    client: reqwest::Client,
}

impl HubServer {
    /// Starts a hub on that data directory and waits until it is ready.
    pub(super) async fn start(lab: &Lab, data: &Path) -> Result<Self, BenchError> {
        Self::start_with(lab, data, "").await
    }

    /// As [`HubServer::start`], with further tables of the configuration file.
    pub(super) async fn start_with(
        lab: &Lab,
        data: &Path,
        configuration: &str,
    ) -> Result<Self, BenchError> {
        let port = free_port()?;
        let mut server = Self::spawn(lab, data, port, configuration)?;
        server.group = healthy(
            server.group,
            "alkhub",
            &format!("{}/readyz", server.address),
        )
        .await?;
        let key = data.join("local-key");
        server.key = fs::read_to_string(&key)
            .map_err(|source| BenchError::File { path: key, source })?
            .trim()
            .to_owned();
        Ok(server)
    }

    /// Host and port.
    pub(super) fn host(&self) -> &str {
        self.address.trim_start_matches("http://")
    }

    /// The key of the hub's first account.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// Calls an operation and gives its output, the `data` of the envelope.
    pub(super) async fn call(&self, operation: &str, input: &Value) -> Result<Value, BenchError> {
        let failed = |what: String| BenchError::Contestant {
            who: "alkhub".to_owned(),
            what,
        };
        let (status, body) = self.post(operation, input).await?;
        if !status.is_success() {
            return Err(failed(format!(
                "answered {operation} with {status}: {body}"
            )));
        }
        match serde_json::from_str::<Value>(&body).map(|envelope| envelope.get("data").cloned()) {
            Ok(Some(output)) => Ok(output),
            Ok(None) | Err(_) => Err(failed(format!(
                "answered {operation} with no envelope: {body}"
            ))),
        }
    }

    async fn post(
        &self,
        operation: &str,
        input: &Value,
    ) -> Result<(StatusCode, String), BenchError> {
        let request = |source| BenchError::Request {
            who: "alkhub".to_owned(),
            source,
        };
        let address = format!("{}/v1/call/{operation}", self.address);
        let answer = self
            .client
            .post(address)
            .bearer_auth(&self.key)
            .json(input)
            .send()
            .await
            .map_err(request)?;
        Ok((answer.status(), answer.text().await.map_err(request)?))
    }

    /// Starts the process and does not wait for it.
    fn spawn(lab: &Lab, data: &Path, port: u16, more: &str) -> Result<Self, BenchError> {
        let configuration = lab_file(data, "bench.toml");
        fs::create_dir_all(data)
            .and_then(|()| fs::write(&configuration, format!("{CONFIGURATION}{more}")))
            .map_err(|source| BenchError::File {
                path: configuration.clone(),
                source,
            })?;
        let mut command = Command::new(&lab.binary);
        command.arg("serve").current_dir(data);
        command
            .env("ALKHUB_DATA_DIR", data)
            .env("ALKHUB_CONFIG", &configuration);
        command.env("ALKHUB_SERVER_LISTEN", format!("127.0.0.1:{port}"));
        let log = output(&lab_file(data, "bench.log"))?;
        command.stdout(log.0).stderr(log.1);
        Ok(Self {
            group: Group::spawn(&mut command)?.stop_by(Signal::TERM, Duration::from_secs(20)),
            address: format!("http://127.0.0.1:{port}"),
            key: String::new(),
            client: reqwest::Client::new(),
        })
    }
}

/// A port that nobody listens on now.
pub(super) fn free_port() -> Result<u16, BenchError> {
    TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|source| BenchError::File {
            path: "127.0.0.1".into(),
            source,
        })
}

/// Waits until the address answers 200. Errors: the process ended, or took too long.
pub(super) async fn healthy(
    mut group: Group,
    who: &str,
    address: &str,
) -> Result<Group, BenchError> {
    let failed = |what: String| BenchError::Contestant {
        who: who.to_owned(),
        what,
    };
    // A fresh connection each time, given up soon: some servers accept before they can answer and
    // never answer what came too early.
    let client = reqwest::Client::builder()
        .pool_max_idle_per_host(0)
        .timeout(Duration::from_millis(100))
        .build()
        .map_err(|source| BenchError::Request {
            who: who.to_owned(),
            source,
        })?;
    let deadline = Instant::now() + START;
    loop {
        // Refused or not ready yet is what is waited out here.
        if client
            .get(address)
            .send()
            .await
            .is_ok_and(|answer| answer.status().is_success())
        {
            return Ok(group);
        }
        match group.ended() {
            Ok(Some(status)) => return Err(failed(format!("ended while it started ({status})"))),
            Err(error) => return Err(failed(format!("cannot be watched ({error})"))),
            Ok(None) if Instant::now() > deadline => {
                return Err(failed(format!("was not healthy after {START:?}")));
            }
            Ok(None) => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    }
}

/// One log file twice, for standard output and standard error.
pub(super) fn output(path: &Path) -> Result<(fs::File, fs::File), BenchError> {
    let both = || {
        let file = fs::File::create(path)?;
        Ok((file.try_clone()?, file))
    };
    both().map_err(|source| BenchError::File {
        path: path.to_path_buf(),
        source,
    })
}

/// Beside the data directory, so that the hub does not find strange files in it.
fn lab_file(data: &Path, name: &str) -> PathBuf {
    data.with_extension(name)
}
