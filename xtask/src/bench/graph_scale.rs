//! How the time a task grows with the number of tasks.

use std::path::PathBuf;

use async_trait::async_trait;
use serde_json::Value;
use tokio::process::Command;

use super::figures::{Bar, Contestant, Kind, Measure, Round, interleave};
use super::lab::Lab;
use super::{About, Bench, BenchError};
use crate::process;

/// Largest memory of a process with the large graph, in MiB.
const MEMORY: f64 = 2_048.0;

/// Steps of the example that are not the graph's work.
const LEFT_OUT: [&str; 3] = ["make tasks", "cycle of all edges", "bottlenecks"];
const BUILD: &str = "fromTasks";

pub(super) struct GraphScale;

#[async_trait]
impl Bench for GraphScale {
    fn about(&self) -> About {
        About {
            name: "graph-scale",
            work: "Time a task of building a random graph with 3 dependencies a task and of every analysis but \
                   bottlenecks, each once in a process of its own: 1,000,000 tasks against 10,000, with dependencies \
                   anywhere among the tasks before (shallow) and among the ten before (deep)",
            bar: "at most 2 times, and at most 2 GiB of memory, the tasks themselves included",
        }
    }

    fn needs_binary(&self) -> bool {
        false
    }

    async fn run(&self, lab: &mut Lab) -> Result<Vec<Measure>, BenchError> {
        let program = build(lab).await?;
        let (large, small) = if lab.quick {
            (100_000, 10_000)
        } else {
            (1_000_000, 10_000)
        };
        let mut measures = Vec::new();
        for shape in ["shallow", "deep"] {
            let contestant = |tasks: usize, runs: usize| -> Box<dyn Contestant> {
                Box::new(Scale {
                    program: program.clone(),
                    shape,
                    tasks,
                    runs,
                })
            };
            let mut contestants = [contestant(large, 1), contestant(small, 20)];
            let kind = |what: &str, unit: &str, bar| Kind {
                title: format!("{shape}: {what}"),
                unit: unit.to_owned(),
                bar,
            };
            let kinds = [
                kind("build and analyses", "ns a task", Some(Bar::AtMost(2.0))),
                kind("build alone", "ns a task", None),
                kind("analyses alone", "ns a task", None),
                kind("memory", "bytes a task", None),
            ];
            measures.extend(interleave(&mut contestants, lab.rounds(7), &kinds).await?);
        }
        Ok(measures)
    }
}

/// Our program: an example of the task graph crate.
async fn build(lab: &Lab) -> Result<PathBuf, BenchError> {
    let arguments = [
        "build",
        "--release",
        "--locked",
        "--package",
        "alkhub-taskgraph",
        "--example",
        "scale",
    ];
    process::run(lab.workspace.cargo().args(arguments)).await?;
    Ok(lab.workspace.target.join("release/examples/scale"))
}

/// The example with one size of graph.
struct Scale {
    program: PathBuf,
    shape: &'static str,
    tasks: usize,
    /// Processes a round: a short one says little alone.
    runs: usize,
}

#[async_trait]
impl Contestant for Scale {
    fn who(&self) -> String {
        format!("{} tasks", self.tasks)
    }

    async fn round(&mut self) -> Result<Vec<Round>, BenchError> {
        let mut samples: [Vec<f64>; 4] = Default::default();
        for _ in 0..self.runs {
            let Cost {
                build,
                analyses,
                peak,
            } = self.once().await?;
            let a_task = |ms: f64| ms * 1e6 / self.tasks as f64;
            samples[0].push(a_task(build + analyses));
            samples[1].push(a_task(build));
            samples[2].push(a_task(analyses));
            samples[3].push(peak * 1024.0 * 1024.0 / self.tasks as f64);
        }
        Ok(samples.map(Round::median).into())
    }
}

/// What one process took: milliseconds and MiB.
struct Cost {
    build: f64,
    analyses: f64,
    peak: f64,
}

impl Scale {
    async fn once(&self) -> Result<Cost, BenchError> {
        let failed = |what: String| BenchError::Contestant {
            who: self.who(),
            what,
        };
        let mut command = Command::new(&self.program);
        command.args([&self.tasks.to_string(), self.shape, "json"]);
        let printed = process::read(&mut command).await?;
        let mut cost = Cost {
            build: 0.0,
            analyses: 0.0,
            peak: 0.0,
        };
        for line in printed.lines() {
            let step: Value = serde_json::from_str(line)
                .map_err(|error| failed(format!("printed no report: {error}")))?;
            let (name, ms) = (step["step"].as_str(), step["ms"].as_f64());
            let (Some(name), Some(ms)) = (name, ms) else {
                return Err(failed(format!("printed {line}")));
            };
            cost.peak = cost.peak.max(step["peakMiB"].as_f64().unwrap_or(0.0));
            match name {
                BUILD => cost.build += ms,
                name if LEFT_OUT.contains(&name) => {}
                _ => cost.analyses += ms,
            }
        }
        if cost.peak > MEMORY {
            let what = format!("took {} MiB, more than {MEMORY}", cost.peak);
            return Err(failed(what));
        }
        Ok(cost)
    }
}
