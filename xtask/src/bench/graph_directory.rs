//! Verbs of `alkhub graph` on a large directory, against reading the same files.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Instant;

use async_trait::async_trait;
use tokio::process::Command;

use super::figures::{Bar, Contestant, Kind, Measure, Round, interleave};
use super::lab::Lab;
use super::{About, Bench, BenchError};
use crate::demo_data;
use crate::process::ProcessError;

const VERBS: [&str; 3] = ["list", "validate", "topo"];

pub(super) struct GraphDirectory;

#[async_trait]
impl Bench for GraphDirectory {
    fn about(&self) -> About {
        About {
            name: "graph-directory",
            work: "`alkhub graph list`, `validate` and `topo` on a directory of 5,000 task files, against one `cat` \
                   of the same files, start of the process included",
            bar: "at most 3 times the time of `cat`, each (P13)",
        }
    }

    async fn run(&self, lab: &mut Lab) -> Result<Vec<Measure>, BenchError> {
        let files = demo_data::generate(if lab.quick { 500 } else { 5_000 }, 1);
        let directory = lab.directory("tasks")?;
        demo_data::write(&directory, &files)?;
        let paths = files
            .iter()
            .map(|file| directory.join(&file.path))
            .collect();
        let runs = if lab.quick { 3 } else { 10 };
        let mut contestants: [Box<dyn Contestant>; 2] = [
            Box::new(Ours {
                binary: lab.binary.clone(),
                directory,
                runs,
            }),
            Box::new(Cat { paths, runs }),
        ];
        let kinds = VERBS.map(|verb| Kind {
            title: verb.to_owned(),
            unit: "ms".to_owned(),
            bar: Some(Bar::AtMost(3.0)),
        });
        interleave(&mut contestants, lab.rounds(10), &kinds).await
    }
}

struct Ours {
    binary: PathBuf,
    directory: PathBuf,
    runs: usize,
}

#[async_trait]
impl Contestant for Ours {
    fn who(&self) -> String {
        "alkhub graph".to_owned()
    }

    async fn round(&mut self) -> Result<Vec<Round>, BenchError> {
        let mut rounds = Vec::new();
        for verb in VERBS {
            let mut command = Command::new(&self.binary);
            command.args(["graph", verb, "--path"]).arg(&self.directory);
            rounds.push(Round::median(times(&mut command, self.runs).await?));
        }
        Ok(rounds)
    }
}

/// The floor of reading: it measures the same thing for each of the verbs.
struct Cat {
    paths: Vec<PathBuf>,
    runs: usize,
}

#[async_trait]
impl Contestant for Cat {
    fn who(&self) -> String {
        "cat".to_owned()
    }

    async fn round(&mut self) -> Result<Vec<Round>, BenchError> {
        let mut rounds = Vec::new();
        for _ in VERBS {
            let mut command = Command::new("cat");
            command.args(&self.paths);
            rounds.push(Round::median(times(&mut command, self.runs).await?));
        }
        Ok(rounds)
    }
}

/// Milliseconds of each run from start to end, the output thrown away.
async fn times(command: &mut Command, runs: usize) -> Result<Vec<f64>, BenchError> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut times = Vec::with_capacity(runs);
    for _ in 0..runs {
        let program = command
            .as_std()
            .get_program()
            .to_string_lossy()
            .into_owned();
        let started = Instant::now();
        let status = command.status().await;
        let ms = started.elapsed().as_secs_f64() * 1_000.0;
        match status {
            Ok(status) if status.success() => times.push(ms),
            Ok(status) => {
                return Err(BenchError::Contestant {
                    who: program,
                    what: format!("failed ({status})"),
                });
            }
            Err(source) => return Err(ProcessError::Start { program, source }.into()),
        }
    }
    Ok(times)
}
