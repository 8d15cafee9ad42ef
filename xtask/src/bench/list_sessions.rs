//! A page of sessions does not get slower as sessions pile up.

use std::path::PathBuf;

use async_trait::async_trait;
use tokio::process::Command;

use super::figures::{Bar, Contestant, Kind, Measure, Round, interleave};
use super::lab::Lab;
use super::{About, Bench, BenchError};
use crate::process;

pub(super) struct ListSessions;

#[async_trait]
impl Bench for ListSessions {
    fn about(&self) -> About {
        About {
            name: "list-sessions",
            work: "First page of a project's sessions with 100,000 stored against 1,000: the query of the store, on SQLite, as a plain user asks it",
            bar: "P9: at most 1.5 times",
        }
    }

    async fn run(&self, lab: &mut Lab) -> Result<Vec<Measure>, BenchError> {
        let program = build(lab).await?;
        let sizes = if lab.quick {
            [10_000, 1_000]
        } else {
            [100_000, 1_000]
        };
        let directory = lab.directory("sessions")?;
        let mut contestants: Vec<Box<dyn Contestant>> = Vec::new();
        for sessions in sizes {
            contestants.push(Box::new(Pages {
                program: program.clone(),
                file: directory.join(format!("{sessions}.db")),
                sessions,
            }));
        }
        let kind = Kind {
            title: "first page".to_owned(),
            unit: "ms".to_owned(),
            bar: Some(Bar::AtMost(1.5)),
        };
        interleave(&mut contestants, lab.rounds(10), &[kind]).await
    }
}

/// The program that reads the pages: an example of the storage crate, because the hub has no operation
/// on sessions yet.
async fn build(lab: &Lab) -> Result<PathBuf, BenchError> {
    let arguments = [
        "build",
        "--release",
        "--locked",
        "--package",
        "alkhub-storage",
        "--example",
        "session_pages",
    ];
    process::run(lab.workspace.cargo().args(arguments)).await?;
    Ok(lab.workspace.target.join("release/examples/session_pages"))
}

/// Pages of one database; the first round fills it.
struct Pages {
    program: PathBuf,
    file: PathBuf,
    sessions: usize,
}

#[async_trait]
impl Contestant for Pages {
    fn who(&self) -> String {
        format!("{} sessions", self.sessions)
    }

    async fn round(&mut self) -> Result<Vec<Round>, BenchError> {
        let mut command = Command::new(&self.program);
        command.arg(&self.file).arg(self.sessions.to_string());
        let printed = process::read(&mut command).await?;
        let times: Vec<f64> =
            serde_json::from_str(&printed).map_err(|error| BenchError::Contestant {
                who: self.who(),
                what: format!("printed no figures: {error}"),
            })?;
        Ok(vec![Round::median(times)])
    }
}
