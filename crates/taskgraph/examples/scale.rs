//! Time and memory of every analysis on one large graph.
//!
//! ```text
//! cargo run --release -p alkhub-taskgraph --example scale -- 1000000 [shallow|deep|chain] [json]
//! ```
//!
//! Builds the given number of tasks with three dependencies each and prints, for each step, the
//! milliseconds it took and the peak memory of the process so far. Bottlenecks, which cost tasks
//! times edges, are left out above 50,000 tasks. With `json` each line is a JSON object.

#![expect(
    clippy::print_stdout,
    reason = "an example that reports on standard output"
)]

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use alkhub_taskgraph::{
    PropagationMode, TaskAttributes, TaskGraph, TaskImpact, TaskInput, TaskRisk, TaskScope,
    WorkflowCostOptions, cycles, resolve_defaults,
};

/// Most tasks for which bottlenecks are computed.
const BOTTLENECKS_UP_TO: usize = 50_000;

#[derive(Clone, Copy, PartialEq)]
enum Shape {
    /// Dependencies anywhere among the tasks before: some dozens of levels.
    Shallow,
    /// Dependencies among the ten tasks before: thousands of levels.
    Deep,
    /// Each task depends on the one before, and the two before that.
    Chain,
}

struct Report {
    json: bool,
}

impl Report {
    fn step<T>(&self, name: &str, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = black_box(work());
        let ms = start.elapsed().as_secs_f64() * 1_000.0;
        let peak = peak_memory().map_or_else(|| "null".to_owned(), |kib| (kib / 1024).to_string());
        if self.json {
            println!("{{\"step\":\"{name}\",\"ms\":{ms:.3},\"peakMiB\":{peak}}}");
        } else {
            println!("{name:<24} {ms:>12.3} ms   peak {peak:>6} MiB");
        }
        result
    }

    /// A step of whose result only the cost is of interest.
    fn measure<T>(&self, name: &str, work: impl FnOnce() -> T) {
        black_box(self.step(name, work));
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let count = arguments.first().map_or(Ok(10_000), |text| text.parse());
    let Ok(count) = count else {
        println!("usage: scale [TASKS] [shallow|deep|chain] [json]");
        return ExitCode::from(2);
    };
    let shape = match arguments.get(1).map(String::as_str) {
        Some("deep") => Shape::Deep,
        Some("chain") => Shape::Chain,
        _ => Shape::Shallow,
    };
    let report = Report {
        json: arguments.iter().any(|argument| argument == "json"),
    };
    let tasks = report.step("make tasks", || make_tasks(count, shape));
    let graph = report.step("fromTasks", || TaskGraph::from_tasks(&tasks));
    drop(tasks);
    match graph {
        Ok(graph) => {
            analyse(&graph, &report);
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("the graph could not be built: {error}");
            ExitCode::FAILURE
        }
    }
}

fn analyse(graph: &TaskGraph, report: &Report) {
    // The first analysis also lays out the graph in flat arrays.
    report.measure("hasCycles", || graph.has_cycles());
    report.measure("topologicalOrder", || {
        graph.topological_order().map(|order| order.len())
    });
    report.measure("cycles", || graph.find_cycles().len());
    report.measure("parallelGroups", || {
        graph.parallel_groups().map(|groups| groups.len())
    });
    report.measure("criticalPath", || {
        graph.critical_path().map(|path| path.len())
    });
    let cost = |_: &str, task: &TaskAttributes| resolve_defaults(task).cost_estimate;
    report.measure("weightedCriticalPath", || {
        graph.weighted_critical_path(cost).map(|p| p.len())
    });
    report.measure("riskPath", || graph.risk_path().map(|path| path.total_risk));
    report.measure("riskDistribution", || {
        graph.risk_distribution().unspecified.len()
    });
    report.measure("schedule", || graph.schedule().map(|tasks| tasks.len()));
    for (name, propagation_mode) in [
        ("workflowCost", PropagationMode::DagPropagate),
        ("workflowCost independent", PropagationMode::Independent),
    ] {
        let options = WorkflowCostOptions {
            propagation_mode,
            ..WorkflowCostOptions::default()
        };
        report.measure(name, || {
            graph.workflow_cost(&options).map(|cost| cost.total_ev)
        });
    }
    report.measure("validate", || graph.validate().len());
    report.measure("missingReferences", || graph.missing_references().len());
    report.measure("subgraph", || {
        graph.subgraph(|_, task| task.risk.is_some()).task_count()
    });
    report.measure("cycle of all edges", || {
        let edges: Vec<(u32, u32)> = (1..graph.task_count() as u32)
            .map(|number| (number - 1, number))
            .chain([(graph.task_count() as u32 - 1, 0)])
            .collect();
        cycles::find_cycles(&edges).len()
    });
    if graph.task_count() <= BOTTLENECKS_UP_TO {
        report.measure("bottlenecks", || graph.bottlenecks().len());
    }
}

/// Tasks with three dependencies each (fewer at the start), the same on every run.
fn make_tasks(count: usize, shape: Shape) -> Vec<TaskInput> {
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut below = move |limit: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % limit as u64) as usize
    };
    (0..count)
        .map(|number| {
            let mut depends_on: Vec<String> = Vec::with_capacity(3);
            for place in 1..=3.min(number) {
                let on = match shape {
                    Shape::Shallow => below(number),
                    Shape::Deep => number - 1 - below(10.min(number)),
                    Shape::Chain => number - place,
                };
                depends_on.push(format!("task-{on}"));
            }
            TaskInput {
                scope: Some(TaskScope::ALL[below(5)]).into(),
                risk: Some(TaskRisk::ALL[below(5)]).into(),
                impact: Some(TaskImpact::ALL[below(4)]).into(),
                ..TaskInput::new(format!("task-{number}"), format!("Task {number}"))
                    .depending_on(depends_on)
            }
        })
        .collect()
}

/// Largest resident memory of this process so far in KiB, where the system tells.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
