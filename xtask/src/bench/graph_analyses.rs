//! Analyses of task graphs, against the libraries the reference is built on.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use fastrand::Rng;
use serde_json::{Value, json};
use tokio::process::Command;

use super::figures::{Bar, Contestant, Kind, Measure, Round, interleave};
use super::lab::Lab;
use super::peers::NpmPeer;
use super::{About, Bench, BenchError};
use crate::process;

/// The files of the rival, in the order in which its driver takes them.
const PEERS: [NpmPeer; 3] = [
    NpmPeer {
        package: "graphology",
        version: "0.26.0",
        file: "graphology/dist/graphology.cjs.js",
    },
    NpmPeer {
        package: "graphology-dag",
        version: "0.4.1",
        file: "graphology-dag/index.js",
    },
    NpmPeer {
        package: "graphology-metrics",
        version: "2.4.0",
        file: "graphology-metrics/centrality/betweenness.js",
    },
];

/// Analyses with the ratio of their times that must not be exceeded. Reading the JSON has none:
/// half of it is the parser of the platform.
const ANALYSES: [(&str, Option<Bar>); 6] = [
    ("build", None),
    ("hasCycles", Some(Bar::AtMost(1.0 / 20.0))),
    ("topologicalOrder", Some(Bar::AtMost(1.0 / 20.0))),
    ("parallelGroups", Some(Bar::AtMost(1.0 / 20.0))),
    ("criticalPath", Some(Bar::AtMost(1.0 / 20.0))),
    ("riskPath", Some(Bar::AtMost(1.0 / 20.0))),
];
const BOTTLENECKS: (&str, Option<Bar>) = ("bottlenecks", Some(Bar::AtMost(1.0 / 30.0)));

pub(super) struct GraphAnalyses;

#[async_trait]
impl Bench for GraphAnalyses {
    fn about(&self) -> About {
        About {
            name: "graph-analyses",
            work: "Analyses of random graphs of 10,000 and 50,000 tasks with 3 dependencies each, shallow and deep, \
                   against graphology with graphology-dag and graphology-metrics in Node. The results must agree, \
                   but for bottlenecks of deep graphs: there the rival's 32-bit counts of paths overflow. At \
                   50,000 deep, where it takes many minutes, they are left out",
            bar: "at least 20 times as fast, bottlenecks 30 times (P12)",
        }
    }

    fn needs_binary(&self) -> bool {
        false
    }

    async fn run(&self, lab: &mut Lab) -> Result<Vec<Measure>, BenchError> {
        let ours = build(lab).await?;
        let rival = rival(lab).await?;
        let sizes: &[usize] = if lab.quick {
            &[2_000]
        } else {
            &[10_000, 50_000]
        };
        let directory = lab.directory("graphs")?;
        let mut measures = Vec::new();
        for &size in sizes {
            for shape in [Shape::Shallow, Shape::Deep] {
                let path = directory.join(format!("{size}-{shape:?}.json"));
                let graph = graph(size, shape).to_string();
                std::fs::write(&path, graph).map_err(|source| BenchError::File {
                    path: path.clone(),
                    source,
                })?;
                let bottlenecks = size <= 10_000 || shape == Shape::Shallow;
                let mut analyses = ANALYSES.to_vec();
                analyses.extend(bottlenecks.then_some(BOTTLENECKS));
                let agreed = Arc::default();
                let contestant = |who: &str, program: &[PathBuf]| -> Box<dyn Contestant> {
                    Box::new(Analyses {
                        who: who.to_owned(),
                        program: program.to_vec(),
                        graph: path.clone(),
                        analyses: analyses.iter().map(|(name, _)| *name).collect(),
                        bottlenecks,
                        overflowing: shape == Shape::Deep,
                        agreed: Arc::clone(&agreed),
                    })
                };
                let mut contestants = vec![contestant("alkhub-taskgraph", &ours)];
                contestants.extend(rival.as_ref().map(|rival| contestant("graphology", rival)));
                let kinds: Vec<Kind> = analyses
                    .iter()
                    .map(|(name, bar)| Kind {
                        title: format!("{size} {}: {name}", shape.name()),
                        unit: "ms".to_owned(),
                        bar: *bar,
                    })
                    .collect();
                measures.extend(interleave(&mut contestants, lab.rounds(5), &kinds).await?);
            }
        }
        Ok(measures)
    }
}

/// Our program: an example of the task graph crate.
async fn build(lab: &Lab) -> Result<Vec<PathBuf>, BenchError> {
    let arguments = [
        "build",
        "--release",
        "--locked",
        "--package",
        "alkhub-taskgraph",
        "--example",
        "analyses",
    ];
    process::run(lab.workspace.cargo().args(arguments)).await?;
    Ok(vec![lab.workspace.target.join("release/examples/analyses")])
}

/// The rival's program with its driver and packages, or none when it cannot be had.
async fn rival(lab: &mut Lab) -> Result<Option<Vec<PathBuf>>, BenchError> {
    let driver = lab.workspace.root.join("bench/peers/graphology.mjs");
    let mut program = vec![PathBuf::from("node"), driver];
    for peer in &PEERS {
        match lab.npm(peer).await? {
            Some(file) => program.push(file),
            None => return Ok(None),
        }
    }
    let Some(node) = process::find("node") else {
        lab.miss("graphology", "node is not installed");
        return Ok(None);
    };
    program[0] = node;
    Ok(Some(program))
}

/// One program that times all analyses of one graph.
struct Analyses {
    who: String,
    program: Vec<PathBuf>,
    graph: PathBuf,
    analyses: Vec<&'static str>,
    bottlenecks: bool,
    /// Whether there are more paths between two tasks than the rival can count.
    overflowing: bool,
    /// What the first contestant found.
    agreed: Arc<Mutex<Option<Value>>>,
}

#[async_trait]
impl Contestant for Analyses {
    fn who(&self) -> String {
        self.who.clone()
    }

    async fn round(&mut self) -> Result<Vec<Round>, BenchError> {
        let failed = |what: String| BenchError::Contestant {
            who: self.who.clone(),
            what,
        };
        let mut command = Command::new(&self.program[0]);
        command.args(&self.program[1..]).arg(&self.graph);
        if self.bottlenecks {
            command.arg("bottlenecks");
        }
        let printed = process::read(&mut command).await?;
        let mut report: Value = serde_json::from_str(&printed)
            .map_err(|error| failed(format!("printed no report: {error}")))?;
        if self.overflowing
            && let Some(check) = report["check"].as_object_mut()
        {
            check.remove("bottlenecks");
        }
        {
            let mut agreed = self.agreed.lock().unwrap_or_else(PoisonError::into_inner);
            let agreed = agreed.get_or_insert_with(|| report["check"].clone());
            if !alike(agreed, &report["check"]) {
                return Err(failed("found something else than the others".to_owned()));
            }
        }
        let times = |name: &&str| {
            let times = report["times"][*name].as_array();
            let times = times.ok_or_else(|| failed(format!("did not time {name}")))?;
            Ok(Round::median(
                times.iter().filter_map(Value::as_f64).collect(),
            ))
        };
        self.analyses.iter().map(times).collect()
    }
}

/// Equal, numbers to nine digits. Tasks of equal scores may stand in another order.
fn alike(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Number(a), Value::Number(b)) => match (a.as_f64(), b.as_f64()) {
            (Some(a), Some(b)) => (a - b).abs() <= 1e-9 * a.abs().max(1e-12),
            _ => false,
        },
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, a)| key == "taskId" || b.get(key).is_some_and(|b| alike(a, b)))
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| alike(a, b))
        }
        (a, b) => a == b,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// Dependencies anywhere among the tasks before.
    Shallow,
    /// Dependencies among the ten tasks before.
    Deep,
}

impl Shape {
    fn name(self) -> &'static str {
        match self {
            Self::Shallow => "shallow",
            Self::Deep => "deep",
        }
    }
}

/// Graphology JSON of tasks with three different dependencies each.
fn graph(tasks: usize, shape: Shape) -> Value {
    const RISKS: [&str; 5] = ["trivial", "low", "medium", "high", "critical"];
    const IMPACTS: [&str; 4] = ["isolated", "component", "phase", "project"];
    let mut random = Rng::with_seed(12);
    let mut nodes = Vec::with_capacity(tasks);
    let mut edges = Vec::with_capacity(tasks * 3);
    let id = |number: usize| format!("task-{number}");
    for number in 0..tasks {
        let (risk, impact) = (random.usize(0..5), random.usize(0..4));
        nodes.push(json!({ "key": id(number), "attributes": {
            "name": format!("Task {number}"), "risk": RISKS[risk], "impact": IMPACTS[impact],
        }}));
        let reach = match shape {
            Shape::Shallow => number,
            Shape::Deep => number.min(10),
        };
        let mut before = Vec::new();
        while before.len() < reach.min(3) {
            let other = number - 1 - random.usize(0..reach);
            if !before.contains(&other) {
                before.push(other);
            }
        }
        for other in before {
            let (from, to) = (id(other), id(number));
            edges.push(json!({
                "key": format!("{from}->{to}"), "source": from, "target": to,
                "attributes": { "qualityRetention": 0.9 },
            }));
        }
    }
    json!({
        "options": { "type": "directed", "multi": false, "allowSelfLoops": false },
        "attributes": {},
        "nodes": nodes,
        "edges": edges,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invented_graphs_have_three_dependencies_a_task_and_no_cycle() {
        for shape in [Shape::Shallow, Shape::Deep] {
            let graph = alkhub_taskgraph::TaskGraph::from_json(&graph(500, shape)).unwrap();
            assert_eq!(graph.task_count(), 500);
            assert_eq!(graph.edge_count(), 497 * 3 + 3);
            assert!(!graph.has_cycles());
        }
    }

    #[test]
    fn results_agree_to_nine_digits() {
        assert!(alike(
            &json!({ "a": [1.0, "x"] }),
            &json!({ "a": [1.000_000_000_01, "x"] })
        ));
        assert!(!alike(&json!([1.0]), &json!([1.001])));
        assert!(!alike(&json!(["a"]), &json!(["b"])));
    }
}
