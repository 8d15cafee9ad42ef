//! Start to first healthy answer, and memory when idle, on existing data.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::process::Command;

use super::figures::{Bar, Contestant, Kind, Measure, Round, interleave};
use super::hub::{self, HubServer};
use super::lab::Lab;
use super::peers::NpmPeer;
use super::{About, Bench, BenchError, calls, machine};
use crate::process::Group;

/// Tasks in the hub before it is measured: nobody starts an empty one twice.
const TASKS: usize = 1_000;

const RESTATE: NpmPeer = NpmPeer {
    package: "@restatedev/restate-server",
    version: "1.7.12",
    file: "@restatedev/restate-server-linux-{arch}/bin/restate-server",
};

const OPENCODE: NpmPeer = NpmPeer {
    package: "opencode-ai",
    version: "1.18.33",
    file: "opencode-linux-{arch}/bin/opencode",
};

pub(super) struct Start;

#[async_trait]
impl Bench for Start {
    fn about(&self) -> About {
        About {
            name: "start",
            work: "Start to first healthy answer and idle memory (SQLite, existing data)",
            bar: "P11: start at most half of the quickest rival's, memory at most a quarter of the smallest",
        }
    }

    async fn run(&self, lab: &mut Lab) -> Result<Vec<Measure>, BenchError> {
        let settle = Duration::from_secs(if lab.quick { 1 } else { 5 });
        let mut contestants: Vec<Box<dyn Contestant>> = vec![Box::new(ours(lab, settle).await?)];
        if let Some(program) = lab.npm(&RESTATE).await? {
            let directory = lab.directory("restate")?;
            contestants.push(Box::new(Server {
                kind: Rival::Restate,
                program,
                directory,
                settle,
            }));
        }
        if let Some(program) = lab.npm(&OPENCODE).await? {
            let directory = lab.directory("opencode")?;
            contestants.push(Box::new(Server {
                kind: Rival::Opencode,
                program,
                directory,
                settle,
            }));
        }
        let kind = |title: &str, unit: &str, bound| Kind {
            title: title.to_owned(),
            unit: unit.to_owned(),
            bar: Some(Bar::AtMost(bound)),
        };
        let kinds = [
            kind("start to first healthy answer", "ms", 0.5),
            kind("memory when idle", "MiB", 0.25),
        ];
        interleave(&mut contestants, lab.rounds(10), &kinds).await
    }
}

/// Fills a hub with tasks and stops it.
async fn ours(lab: &Lab, settle: Duration) -> Result<Server, BenchError> {
    let directory = lab.directory("alkhub")?;
    let server = HubServer::start(lab, &directory).await?;
    calls::project_with_tasks(&server, "bench", TASKS).await?;
    drop(server);
    Ok(Server {
        kind: Rival::Ours,
        program: lab.binary.clone(),
        directory,
        settle,
    })
}

#[derive(Debug, Clone, Copy)]
enum Rival {
    Ours,
    Restate,
    Opencode,
}

/// A server that is started, asked, left alone, weighed and stopped.
struct Server {
    kind: Rival,
    program: PathBuf,
    directory: PathBuf,
    settle: Duration,
}

#[async_trait]
impl Contestant for Server {
    fn who(&self) -> String {
        match self.kind {
            Rival::Ours => "alkhub",
            Rival::Restate => "Restate",
            Rival::Opencode => "opencode",
        }
        .to_owned()
    }

    async fn round(&mut self) -> Result<Vec<Round>, BenchError> {
        let (mut command, health) = self.command()?;
        let (standard, errors) = hub::output(&self.directory.with_extension("log"))?;
        command
            .stdout(standard)
            .stderr(errors)
            .current_dir(&self.directory);
        let started = Instant::now();
        let group = Group::spawn(&mut command)?
            .stop_by(rustix::process::Signal::TERM, Duration::from_secs(30));
        let group = hub::healthy(group, &self.who(), &health).await?;
        let start = started.elapsed().as_secs_f64() * 1_000.0;
        tokio::time::sleep(self.settle).await;
        let memory =
            group
                .id()
                .and_then(machine::group_memory)
                .ok_or_else(|| BenchError::Contestant {
                    who: self.who(),
                    what: "does not tell its memory (no /proc, or it has ended)".to_owned(),
                })?;
        Ok([start, memory]
            .map(|figure| Round {
                figure,
                samples: vec![figure],
            })
            .into())
    }
}

impl Server {
    /// The command that starts it, and where it says that it is healthy.
    fn command(&self) -> Result<(Command, String), BenchError> {
        let mut command = Command::new(&self.program);
        let port = hub::free_port()?;
        let address = format!("127.0.0.1:{port}");
        let health = match self.kind {
            Rival::Ours => {
                command.arg("serve").env("ALKHUB_DATA_DIR", &self.directory);
                command.env("ALKHUB_SERVER_LISTEN", &address);
                "readyz"
            }
            Rival::Restate => {
                let node = format!("127.0.0.1:{}", hub::free_port()?);
                command
                    .env("RESTATE_BASE_DIR", &self.directory)
                    .env("RESTATE_NODE_NAME", "bench");
                command.env("RESTATE_INGRESS__BIND_ADDRESS", &address);
                command.env(
                    "RESTATE_ADMIN__BIND_ADDRESS",
                    format!("127.0.0.1:{}", hub::free_port()?),
                );
                command.env("RESTATE_BIND_ADDRESS", &node);
                command.env("RESTATE_ADVERTISED_ADDRESS", format!("http://{node}"));
                "restate/health"
            }
            Rival::Opencode => {
                command.args([
                    "serve",
                    "--hostname",
                    "127.0.0.1",
                    "--port",
                    &port.to_string(),
                ]);
                command
                    .env("HOME", &self.directory)
                    .env("OPENCODE_DISABLE_AUTOUPDATE", "1");
                for name in [
                    "XDG_DATA_HOME",
                    "XDG_CONFIG_HOME",
                    "XDG_CACHE_HOME",
                    "XDG_STATE_HOME",
                ] {
                    command.env(name, self.directory.join(name));
                }
                "global/health"
            }
        };
        Ok((command, format!("http://{address}/{health}")))
    }
}
