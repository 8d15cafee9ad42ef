//! Memory that a large import takes, and whether it is given back.

use std::time::Duration;

use async_trait::async_trait;

use super::calls;
use super::figures::{Bar, Contestant, Kind, Measure, Round, interleave};
use super::hub::HubServer;
use super::lab::Lab;
use super::{About, Bench, BenchError, machine};
use crate::demo_data::{self, TaskFile};

/// How long after the import the memory must be back.
const GIVEN_BACK: Duration = Duration::from_secs(6);

pub(super) struct ImportMemory;

#[async_trait]
impl Bench for ImportMemory {
    fn about(&self) -> About {
        About {
            name: "import-memory",
            work: "The hub's whole memory at its largest during an import of 20,000 files, and what it keeps beyond \
                   its memory before 6 seconds later, against the size of the files (SQLite)",
            bar: "at most 8 times the files; at most 1 time the files is kept",
        }
    }

    async fn run(&self, lab: &mut Lab) -> Result<Vec<Measure>, BenchError> {
        let files = demo_data::generate(if lab.quick { 2_000 } else { 20_000 }, 1);
        let size = files.iter().map(|file| file.text.len()).sum::<usize>() as f64 / 1_048_576.0;
        let rounds = lab.rounds(5);
        let mut turns = Vec::new();
        for turn in 0..=rounds {
            let data = lab.directory(&format!("turn-{turn}"))?;
            turns.push(HubServer::start(lab, &data).await?);
        }
        let mut contestants: [Box<dyn Contestant>; 2] = [
            Box::new(Hub {
                fresh: turns,
                files,
            }),
            Box::new(Files { size }),
        ];
        let kind = |title: &str, bar| Kind {
            title: title.to_owned(),
            unit: "MiB".to_owned(),
            bar: Some(Bar::AtMost(bar)),
        };
        let kinds = [kind("memory at most", 8.0), kind("memory kept", 1.0)];
        interleave(&mut contestants, rounds, &kinds).await
    }
}

/// A hub that was not used before, since a process keeps its largest memory for ever.
struct Hub {
    fresh: Vec<HubServer>,
    files: Vec<TaskFile>,
}

#[async_trait]
impl Contestant for Hub {
    fn who(&self) -> String {
        "alkhub".to_owned()
    }

    async fn round(&mut self) -> Result<Vec<Round>, BenchError> {
        let next = self.fresh.pop();
        let failed = |what: &str| BenchError::Contestant {
            who: self.who(),
            what: what.to_owned(),
        };
        let hub = next.ok_or_else(|| failed("has no fresh process left"))?;
        let project = calls::project(&hub, "bench").await?;
        let process = hub.group.id();
        let before = process.and_then(machine::group_memory);
        hub.call("task.import", &calls::import_input(&project, &self.files))
            .await?;
        let largest = process.and_then(machine::largest_memory);
        tokio::time::sleep(GIVEN_BACK).await;
        let after = process.and_then(machine::group_memory);
        match (before, largest, after) {
            (Some(before), Some(largest), Some(after)) => Ok(vec![
                Round::median(vec![largest]),
                Round::median(vec![(after - before).max(0.0)]),
            ]),
            _ => Err(failed("does not tell its memory (no /proc)")),
        }
    }
}

/// What was imported.
struct Files {
    size: f64,
}

#[async_trait]
impl Contestant for Files {
    fn who(&self) -> String {
        "the files themselves".to_owned()
    }

    async fn round(&mut self) -> Result<Vec<Round>, BenchError> {
        let size = || Round::median(vec![self.size]);
        Ok(vec![size(), size()])
    }
}
