//! `topo`, `cycles`, `parallel`, `critical`: the order of the work.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::process::ExitCode;

use alkhub_taskgraph::{TaskGraph, TaskInput, TaskgraphError};
use clap::Args;
use serde_json::{Value, json};

use super::set::{Set, refused, status_of};
use super::style::{bold, clean, joined, missing, status};
use crate::failure::Failure;
use crate::output::Output;

#[derive(Debug, Args)]
pub(super) struct Topo {
    /// Only tasks of this status; they keep their number in the whole order
    #[arg(long, short, value_name = "STATUS")]
    status: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Cycles {
    /// End with 1 when there is a cycle
    #[arg(long, short)]
    strict: bool,
}

impl Topo {
    pub(super) fn run(&self, set: &Set, output: &Output) -> Result<(), Failure> {
        let graph = set.graph()?;
        if set.has_cycles(&graph) {
            if output.json {
                return output.document(&json!({ "order": [], "has_cycles": true }));
            }
            return output.text(
                "Cannot compute topological order: cycle detected.\n\
                 Run 'alkhub graph cycles' to see the cycle.\n",
            );
        }
        let known = set.by_id();
        let order = graph.topological_order().map_err(|error| refused(&error))?;
        // A missing task has its place in the order too, since others wait for it.
        let rows = order.iter().enumerate().filter_map(|(place, id)| {
            let task = known.get(id).copied();
            let wanted = self
                .status
                .as_deref()
                .is_none_or(|wanted| task.is_some_and(|task| status_of(task).as_str() == wanted));
            wanted.then_some((place + 1, *id, task))
        });
        if output.json {
            let row = |(position, id, task): (usize, &str, Option<&TaskInput>)| {
                json!({
                    "position": position,
                    "id": id,
                    "name": task.map(|task| &task.name),
                    "status": task.map(status_of),
                })
            };
            let order: Value = rows.map(row).collect();
            return output.document(&json!({ "order": order, "has_cycles": false }));
        }
        let mut text = format!("{}\n", bold("Topological order:"));
        for (position, id, task) in rows {
            // Writing to a String does not fail.
            let _infallible = writeln!(text, "  {position}. {} ({})", clean(id), status_text(task));
        }
        output.text(&text)
    }
}

impl Cycles {
    pub(super) fn run(&self, set: &Set, output: &Output) -> Result<ExitCode, Failure> {
        let graph = set.graph()?;
        let cycles = set.cycles(&graph);
        if output.json {
            output.document(&json!({
                "has_cycles": !cycles.is_empty(),
                "cycle_count": cycles.len(),
                "cycles": cycles,
            }))?;
        } else if cycles.is_empty() {
            output.text("No cycles detected.\n")?;
        } else {
            let mut text = format!("Found {} cycle(s):\n", cycles.len());
            for (number, cycle) in cycles.iter().enumerate() {
                let _infallible = writeln!(text, "  {}. {}", number + 1, joined(cycle, " → "));
            }
            output.text(&text)?;
        }
        if self.strict && !cycles.is_empty() {
            return Err(Failure::Local(format!(
                "Graph error: Found {} cycle(s)",
                cycles.len()
            )));
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The text names the ids of a group sorted, the JSON in topological order.
pub(super) fn parallel(set: &Set, output: &Output) -> Result<(), Failure> {
    let graph = set.graph()?;
    if output.json {
        must_be_acyclic(set, &graph)?;
        let groups = graph.parallel_groups().map_err(|error| refused(&error))?;
        return output.document(&json!(groups));
    }
    let groups = groups_before_cycles(set, &graph).map_err(|error| refused(&error))?;
    if groups.is_empty() {
        return output.text("No tasks found.\n");
    }
    let known = set.by_id();
    let mut text = format!(
        "{}\n\n",
        bold("Parallel work groups (same group = can run concurrently):")
    );
    let mut tasks = 0;
    for (number, mut group) in groups.iter().cloned().enumerate() {
        group.sort_unstable();
        tasks += group.len();
        let _infallible = writeln!(text, "{}", bold(format!("Generation {}:", number + 1)));
        for id in group {
            let status = status_text(known.get(id).copied());
            let _infallible = writeln!(text, "  - {} ({status})", clean(id));
        }
        text.push('\n');
    }
    let _infallible = writeln!(text, "Total: {} generations, {tasks} tasks", groups.len());
    output.text(&text)?;
    if set.has_cycles(&graph) {
        output.warning("tasks on a cycle and after it are in no group")?;
    }
    Ok(())
}

pub(super) fn critical(set: &Set, output: &Output) -> Result<(), Failure> {
    let graph = set.graph()?;
    if output.json {
        must_be_acyclic(set, &graph)?;
        let path = graph.critical_path().map_err(|error| refused(&error))?;
        return output.document(&json!(path));
    }
    let path = if set.has_cycles(&graph) {
        Vec::new()
    } else {
        graph.critical_path().map_err(|error| refused(&error))?
    };
    if path.is_empty() {
        return output.text("No critical path found (empty graph or cycle).\n");
    }
    let known = set.by_id();
    let mut text = format!(
        "{}\n\n",
        bold("Critical path (longest path through graph):")
    );
    for (place, id) in path.iter().enumerate() {
        if place > 0 {
            text.push_str("  ↓\n");
        }
        let task = known.get(id).copied();
        let name = task.map_or(*id, |task| task.name.as_str());
        let _infallible = writeln!(
            text,
            "  {} - {} ({})",
            clean(id),
            clean(name),
            status_text(task)
        );
    }
    let _infallible = write!(text, "\nLength: {} tasks\n", path.len());
    output.text(&text)
}

/// Refuses a graph with cycles, with the cycles.
pub(super) fn must_be_acyclic(set: &Set, graph: &TaskGraph) -> Result<(), Failure> {
    if !set.has_cycles(graph) {
        return Ok(());
    }
    let shared = |cycle: Vec<String>| cycle.into_iter().map(Into::into).collect();
    let cycles = set.cycles(graph).into_iter().map(shared).collect();
    Err(refused(&TaskgraphError::CircularDependency { cycles }))
}

/// Groups of tasks that can run together, as far as no cycle stands before them.
fn groups_before_cycles<'g>(
    set: &Set,
    graph: &'g TaskGraph,
) -> Result<Vec<Vec<&'g str>>, TaskgraphError> {
    let own: HashSet<&str> = set.own_cycles().collect();
    let mut waiting_for: HashMap<&str, usize> = HashMap::new();
    let mut group: Vec<&str> = Vec::new();
    for id in graph.task_ids() {
        // Who waits for itself waits for ever.
        let count = graph.dependencies(id)?.len() + usize::from(own.contains(id));
        if count == 0 {
            group.push(id);
        }
        waiting_for.insert(id, count);
    }
    let mut groups = Vec::new();
    while !group.is_empty() {
        let mut next = Vec::new();
        for id in &group {
            for dependent in graph.dependents(id)? {
                if let Some(count) = waiting_for.get_mut(dependent) {
                    *count -= 1;
                    if *count == 0 {
                        next.push(dependent);
                    }
                }
            }
        }
        groups.push(std::mem::replace(&mut group, next));
    }
    Ok(groups)
}

fn status_text(task: Option<&TaskInput>) -> String {
    task.map_or_else(missing, |task| status(Some(status_of(task)), 0))
}
