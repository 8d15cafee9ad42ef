//! Times the analyses of a graph read from graphology JSON, for the bench beside other libraries.
//!
//! ```text
//! cargo run --release -p alkhub-taskgraph --example analyses -- graph.json [bottlenecks]
//! ```
//!
//! Prints one JSON object: by analysis the milliseconds of each run, and a `check` of the results
//! that another library must reproduce. Laying out the graph for the analyses is part of `build`.

#![expect(
    clippy::print_stdout,
    reason = "an example that reports on standard output"
)]

use std::error::Error;
use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use alkhub_taskgraph::{TaskGraph, graph_from_json_str};
use serde_json::{Map, Value, json};

fn main() -> ExitCode {
    match report() {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn report() -> Result<Value, Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments
        .next()
        .ok_or("usage: analyses GRAPH.json [bottlenecks]")?;
    let with_bottlenecks = arguments.next().is_some();
    let text = std::fs::read_to_string(path)?;
    let build = || -> Result<TaskGraph, Box<dyn Error>> {
        let graph = graph_from_json_str(&text)?;
        black_box(graph.has_cycles());
        Ok(graph)
    };
    let graph = build()?;
    let mut times = Map::new();
    let mut time = |name: &str, work: &mut dyn FnMut()| {
        times.insert(name.to_owned(), json!(measure(work)));
    };
    time("build", &mut || keep(build()));
    time("hasCycles", &mut || keep(graph.has_cycles()));
    time("topologicalOrder", &mut || keep(graph.topological_order()));
    time("parallelGroups", &mut || keep(graph.parallel_groups()));
    time("criticalPath", &mut || keep(graph.critical_path()));
    time("riskPath", &mut || keep(graph.risk_path()));
    let mut check = json!({
        "groups": graph.parallel_groups()?.len(),
        "order": graph.topological_order()?.len(),
        "criticalPath": graph.critical_path()?,
        "totalRisk": graph.risk_path()?.total_risk,
    });
    if with_bottlenecks {
        let mut found = Vec::new();
        let started = Instant::now();
        found.extend(graph.bottlenecks().into_iter().take(10));
        let ms = started.elapsed().as_secs_f64() * 1_000.0;
        times.insert("bottlenecks".to_owned(), json!([ms]));
        check["bottlenecks"] = json!(found);
    }
    Ok(json!({ "times": times, "check": check }))
}

/// Makes the compiler believe that a result is used.
fn keep<T>(result: T) {
    drop(black_box(result));
}

/// Milliseconds of each run: at least five runs, as many as fit into a quarter of a second.
fn measure(work: &mut dyn FnMut()) -> Vec<f64> {
    let begun = Instant::now();
    let mut runs = Vec::new();
    while runs.len() < 5 || (begun.elapsed() < Duration::from_millis(250) && runs.len() < 200) {
        let started = Instant::now();
        work();
        runs.push(started.elapsed().as_secs_f64() * 1_000.0);
    }
    runs
}
