//! `workflow-cost`: what the tasks are expected to cost.

use std::fmt::Write as _;

use alkhub_taskgraph::{
    PropagationMode, TaskInput, TaskStatus, WorkflowCostOptions, resolve_defaults,
};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::order::must_be_acyclic;
use super::set::{Set, refused, status_of};
use super::style::{bold, clean, rule};
use crate::failure::Failure;
use crate::output::Output;

/// Rows unless told.
const ROWS: usize = 15;

#[derive(Debug, Args)]
pub(super) struct WorkflowCost {
    /// Count completed tasks too
    #[arg(long)]
    include_completed: bool,
    /// Most tasks to show [default: 15; all with --mode]
    #[arg(long, short, value_name = "N")]
    limit: Option<usize>,
    /// Count by the task graph's own rule, failures spreading along dependencies or not
    #[arg(long, value_enum, value_name = "MODE")]
    mode: Option<Mode>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Mode {
    DagPropagate,
    Independent,
}

impl WorkflowCost {
    pub(super) fn run(&self, set: &Set, output: &Output) -> Result<(), Failure> {
        match self.mode {
            None => self.by_retries(set, output),
            Some(mode) => self.by_graph(mode, set, output),
        }
    }

    /// Each task alone, retried twice and then done some other way; the dearest first.
    fn by_retries(&self, set: &Set, output: &Output) -> Result<(), Failure> {
        let counted =
            |task: &&TaskInput| self.include_completed || status_of(task) != TaskStatus::Completed;
        let mut tasks: Vec<(&TaskInput, f64)> = set
            .tasks
            .iter()
            .filter(counted)
            .map(|task| (task, expected_cost(task)))
            .collect();
        // Stable: equal costs keep the order of the files.
        tasks.sort_by(|a, b| b.1.total_cmp(&a.1));
        let total: f64 = tasks.iter().fold(0.0, |sum, (_, cost)| sum + cost);
        let average = total / tasks.len().max(1) as f64;
        let shown = &tasks[..self.limit.unwrap_or(ROWS).min(tasks.len())];
        if tasks.is_empty() {
            return match (output.json, set.tasks.is_empty()) {
                (true, _) => output.document(&json!([])),
                (false, true) => output.text("No tasks found.\n"),
                (false, false) => output.text("All tasks completed.\n"),
            };
        }
        if output.json {
            let row = |(task, cost): &(&TaskInput, f64)| json!({ "id": task.id, "name": task.name, "cost": cost });
            return output.document(&json!({
                "tasks": shown.iter().map(row).collect::<Value>(),
                "total": total,
                "count": shown.len(),
                "average": average,
            }));
        }
        let which = if self.include_completed {
            ""
        } else {
            " (pending only)"
        };
        let mut text = format!(
            "{}\n\n{}\n{}\n",
            bold(format!(
                "Workflow Cost Analysis ({} tasks){which}:",
                tasks.len()
            )),
            bold(format!("{:<20} {:>10} NAME", "ID", "COST")),
            rule(60)
        );
        for (task, cost) in shown {
            // Writing to a String does not fail.
            let _infallible = writeln!(
                text,
                "{:<20} {cost:>10.2} {}",
                clean(&task.id),
                clean(&task.name)
            );
        }
        if tasks.len() > shown.len() {
            let _infallible = writeln!(text, "... and {} more", tasks.len() - shown.len());
        }
        let _infallible = write!(
            text,
            "{}\n{:<20} {total:>10.2} (relative units)\n\nAverage per task: {average:.2}\n\n\
             Note: costs compare tasks with each other; they are no amounts of money.\n",
            rule(60),
            "TOTAL"
        );
        output.text(&text)
    }

    /// All tasks in topological order, by the rule of the task graph.
    fn by_graph(&self, mode: Mode, set: &Set, output: &Output) -> Result<(), Failure> {
        let graph = set.graph()?;
        must_be_acyclic(set, &graph)?;
        let options = WorkflowCostOptions {
            include_completed: self.include_completed,
            limit: self.limit,
            propagation_mode: match mode {
                Mode::DagPropagate => PropagationMode::DagPropagate,
                Mode::Independent => PropagationMode::Independent,
            },
            ..WorkflowCostOptions::default()
        };
        let cost = graph
            .workflow_cost(&options)
            .map_err(|error| refused(&error))?;
        if output.json {
            return output.document(&json!(cost));
        }
        if cost.tasks.is_empty() {
            return output.text(if graph.is_empty() {
                "No tasks found.\n"
            } else {
                "All tasks completed.\n"
            });
        }
        let mut text = format!(
            "{}\n\n{}\n{}\n",
            bold(format!(
                "Workflow Cost Analysis ({} tasks, {}):",
                cost.tasks.len(),
                cost.propagation_mode
            )),
            bold(format!(
                "{:<20} {:>10} {:>10} NAME",
                "ID", "COST", "SUCCESS"
            )),
            rule(60)
        );
        for task in &cost.tasks {
            let _infallible = writeln!(
                text,
                "{:<20} {:>10.2} {:>10.4} {}",
                clean(task.task_id),
                task.ev,
                task.p_effective,
                clean(task.name)
            );
        }
        let _infallible = write!(
            text,
            "{}\n{:<20} {:>10.2} (relative units)\n\nAverage per task: {:.2}\n",
            rule(60),
            "TOTAL",
            cost.total_ev,
            cost.average_ev
        );
        output.text(&text)
    }
}

/// Expected cost of a task that is tried three times at most and then costs a fallback, time lost
/// included. The numbers are those of the older command.
fn expected_cost(task: &TaskInput) -> f64 {
    const RETRIES: i32 = 2;
    const FALLBACK: f64 = 20.0;
    const TIME_LOST: f64 = 0.5;
    const VALUE_RATE: f64 = 100.0;
    let attributes = task.into();
    let task = resolve_defaults(&attributes);
    let (p, cost) = (task.success_probability, task.cost_estimate);
    let q = 1.0 - p;
    let success = 1.0 - q.powi(RETRIES + 1);
    let retries = if p < 1.0 {
        (q / p) * (1.0 - q.powi(RETRIES + 1) - f64::from(RETRIES + 1) * p * q.powi(RETRIES))
            / success
    } else {
        0.0
    };
    let done = success * (cost + cost * retries);
    let given_up =
        (1.0 - success) * (cost + f64::from(RETRIES) * cost + FALLBACK + TIME_LOST * VALUE_RATE);
    (done + given_up) * task.impact_weight
}

#[cfg(test)]
mod tests {
    use alkhub_taskgraph::{TaskRisk, TaskScope};

    use super::*;

    #[test]
    fn costs_are_those_of_the_table_of_the_older_command() {
        let table = [
            (TaskScope::Single, [1.0210, 1.1800, 1.8000, 4.4737, 10.5000]),
            (TaskScope::Narrow, [2.0414, 2.2900, 3.0400, 5.9463, 12.2500]),
            (
                TaskScope::Moderate,
                [3.0618, 3.4000, 4.2800, 7.4187, 14.0000],
            ),
            (TaskScope::Broad, [4.0822, 4.5100, 5.5200, 8.8912, 15.7500]),
            (
                TaskScope::System,
                [5.1026, 5.6200, 6.7600, 10.3637, 17.5000],
            ),
        ];
        for (scope, costs) in table {
            for (risk, cost) in TaskRisk::ALL.iter().zip(costs) {
                let task = TaskInput {
                    scope: Some(scope).into(),
                    risk: Some(*risk).into(),
                    ..TaskInput::new("x", "x")
                };
                let ours = expected_cost(&task);
                assert!(
                    (ours - cost).abs() < 5e-5,
                    "{scope} {risk}: {ours}, not {cost}"
                );
            }
        }
    }
}
