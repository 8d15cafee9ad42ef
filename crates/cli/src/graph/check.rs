//! `validate`: everything that is wrong with a directory, in one report.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::set::Set;
use super::style::{bad, bold, clean, good, joined};
use crate::failure::Failure;
use crate::output::Output;

#[derive(Debug, Args)]
pub(super) struct Validate {
    /// End with 1 when there is anything wrong
    #[arg(long, short)]
    strict: bool,
}

impl Validate {
    /// Files without front matter are told but are no issue: a README may stand among tasks.
    pub(super) fn run(&self, set: &Set, output: &Output) -> Result<ExitCode, Failure> {
        let graph = set.graph()?;
        let cycles = set.cycles(&graph);
        let missing = missing(set);
        let issues = set.faults.len() + missing.len() + cycles.len();
        if output.json {
            let errors: Vec<Value> = set.faults.iter().map(|fault| fault.to_json()).collect();
            let by_task: BTreeMap<&str, &[String]> = missing
                .iter()
                .map(|(id, ids)| (*id, ids.as_slice()))
                .collect();
            output.document(&json!({
                "valid": issues == 0,
                "task_count": set.tasks.len(),
                "error_count": set.faults.len(),
                "errors": errors,
                "missing_dependencies": by_task,
                "cycles": cycles,
                "skipped": set.skipped,
            }))?;
        } else {
            output.text(&report(set, &missing, &cycles, issues))?;
        }
        if self.strict && issues > 0 {
            return Err(Failure::Local(format!(
                "Graph error: Validation failed with {issues} issues"
            )));
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Tasks with the ids they depend on that are no task, in task order.
fn missing(set: &Set) -> Vec<(&str, Vec<String>)> {
    let known = set.by_id();
    let of_task = |task: &alkhub_taskgraph::TaskInput| {
        let mut ids: Vec<String> = Vec::new();
        for id in &task.depends_on {
            if !known.contains_key(id.as_str()) && !ids.contains(id) {
                ids.push(id.clone());
            }
        }
        ids
    };
    set.tasks
        .iter()
        .map(|task| (task.id.as_str(), of_task(task)))
        .filter(|(_, ids)| !ids.is_empty())
        .collect()
}

fn report(
    set: &Set,
    missing: &[(&str, Vec<String>)],
    cycles: &[Vec<String>],
    issues: usize,
) -> String {
    // Writing to a String does not fail.
    let mut text = if issues == 0 {
        format!("{} Valid: {} tasks\n", good('✓'), set.tasks.len())
    } else {
        format!("{} Found {issues} issue(s)\n", bad('✗'))
    };
    if !set.faults.is_empty() {
        let _infallible = writeln!(text, "\n{}", bold("Errors:"));
        for fault in &set.faults {
            let _infallible = writeln!(text, "  - {}", clean(&fault.to_string()));
        }
    }
    if !missing.is_empty() {
        let _infallible = writeln!(text, "\n{}", bold("Missing dependencies:"));
        for (id, ids) in missing {
            let ids = joined(ids, ", ");
            let _infallible = writeln!(text, "  - {} depends on missing: {ids}", clean(id));
        }
    }
    if !cycles.is_empty() {
        let _infallible = writeln!(text, "\n{}", bold("Cycles:"));
        for cycle in cycles {
            let _infallible = writeln!(text, "  - {}", joined(cycle, " → "));
        }
    }
    if !set.skipped.is_empty() {
        let _infallible = writeln!(text, "\n{}", bold("Skipped, without front matter:"));
        for path in &set.skipped {
            let _infallible = writeln!(text, "  - {}", clean(path));
        }
    }
    text
}
