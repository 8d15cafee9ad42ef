//! Tests of the task graph, one module a topic. The numbered cases of the specification keep
//! their number in the name of their test.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod analyses;
mod construction;
mod costs;
mod directory;
mod files;
mod frontmatter;
mod hostile;
mod mutation;
mod properties;
mod queries;
mod render;
mod shapes;
mod vectors;

use alkhub_taskgraph::{TaskGraph, TaskInput};

/// A task with the given prerequisites.
fn task(id: &str, depends_on: &[&str]) -> TaskInput {
    TaskInput::new(id, id).depending_on(depends_on.iter().copied())
}

/// A graph of tasks, each given as `id: prerequisite prerequisite`.
fn graph(tasks: &[&str]) -> TaskGraph {
    let tasks: Vec<TaskInput> = tasks
        .iter()
        .map(|line| {
            let (id, depends_on) = line.split_once(':').unwrap_or((line, ""));
            task(id, &depends_on.split_whitespace().collect::<Vec<_>>())
        })
        .collect();
    TaskGraph::from_tasks(&tasks).unwrap()
}

fn diamond() -> TaskGraph {
    graph(&["A", "B: A", "C: A", "D: B C"])
}

fn chain() -> TaskGraph {
    graph(&["A", "B: A", "C: B", "D: C"])
}

fn circle() -> TaskGraph {
    graph(&["A: C", "B: A", "C: B"])
}

fn ids(graph: &TaskGraph) -> Vec<&str> {
    graph.task_ids().collect()
}

/// Edges as (prerequisite, dependent).
fn edges(graph: &TaskGraph) -> Vec<(String, String)> {
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let json = graph.to_json();
    let edges = json["edges"].as_array().unwrap().iter();
    edges
        .map(|edge| (text(&edge["source"]), text(&edge["target"])))
        .collect()
}
