//! Memory that a large import takes.

use async_trait::async_trait;

use super::calls;
use super::figures::{Bar, Contestant, Kind, Measure, Round, interleave};
use super::hub::HubServer;
use super::lab::Lab;
use super::{About, Bench, BenchError, machine};
use crate::demo_data::{self, TaskFile};

pub(super) struct ImportMemory;

#[async_trait]
impl Bench for ImportMemory {
    fn about(&self) -> About {
        About {
            name: "import-memory",
            work: "What an import of 20,000 files takes beyond the hub's memory before it, at its largest, against the size of the files (SQLite)",
            bar: "at most 8 times",
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
        let kind = Kind {
            title: "memory".to_owned(),
            unit: "MiB".to_owned(),
            bar: Some(Bar::AtMost(8.0)),
        };
        interleave(&mut contestants, rounds, &[kind]).await
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
        "alkhub, at most".to_owned()
    }

    async fn round(&mut self) -> Result<Vec<Round>, BenchError> {
        let next = self.fresh.pop();
        let failed = |what: &str| BenchError::Contestant {
            who: self.who(),
            what: what.to_owned(),
        };
        let hub = next.ok_or_else(|| failed("has no fresh process left"))?;
        let project = calls::project(&hub, "bench").await?;
        // The largest so far: what an import needs is what comes on top.
        let before = hub.group.id().and_then(machine::largest_memory);
        hub.call("task.import", &calls::import_input(&project, &self.files))
            .await?;
        let after = hub.group.id().and_then(machine::largest_memory);
        match (before, after) {
            (Some(before), Some(after)) => Ok(vec![Round::median(vec![after - before])]),
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
        Ok(vec![Round::median(vec![self.size])])
    }
}
