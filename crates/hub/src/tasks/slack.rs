//! How urgent each unfinished task is: slack, critical path and risk.
//!
//! With the cost of a task as its weight, `head` is the heaviest path that ends just before it, `tail`
//! the heaviest that starts with it, and slack what is left to the heaviest path of all. Weights are
//! small whole numbers, so the sums are exact.

use std::collections::HashMap;

use alkhub_storage::enums::{TaskImpact, TaskRisk, TaskScope};
use alkhub_storage::ids::TaskId;
use alkhub_taskgraph as graph;

use super::labels::ToFile;

/// An unfinished task as far as its urgency goes.
#[derive(Debug, Clone)]
pub(super) struct Open {
    pub(super) id: TaskId,
    pub(super) scope: Option<TaskScope>,
    pub(super) risk: Option<TaskRisk>,
    pub(super) impact: Option<TaskImpact>,
}

/// How urgent a task is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Urgency {
    /// Cost that may be added to the task before the whole takes longer, 0 on the critical path.
    pub(super) slack: f64,
    /// Chance of failure times reach of a failure.
    pub(super) risk_score: f64,
}

/// The urgency of each task; `edges` are (prerequisite, dependent) among them, others are ignored.
pub(super) fn urgencies(tasks: &[Open], edges: &[(TaskId, TaskId)]) -> HashMap<TaskId, Urgency> {
    let numbers: HashMap<&TaskId, usize> =
        tasks.iter().enumerate().map(|(number, task)| (&task.id, number)).collect();
    let mut dependents: Vec<Vec<usize>> = vec![Vec::new(); tasks.len()];
    let mut waiting = vec![0_usize; tasks.len()];
    for (prerequisite, dependent) in edges {
        if let (Some(&from), Some(&to)) = (numbers.get(prerequisite), numbers.get(dependent)) {
            dependents[from].push(to);
            waiting[to] += 1;
        }
    }
    let weights: Vec<f64> = tasks.iter().map(|task| weight(task.scope)).collect();
    let mut head = vec![0.0_f64; tasks.len()];
    let mut order: Vec<usize> = (0..tasks.len()).filter(|number| waiting[*number] == 0).collect();
    let mut next = 0;
    while let Some(&number) = order.get(next) {
        next += 1;
        for &dependent in &dependents[number] {
            head[dependent] = head[dependent].max(head[number] + weights[number]);
            waiting[dependent] -= 1;
            if waiting[dependent] == 0 {
                order.push(dependent);
            }
        }
    }
    let mut tail = weights;
    for &number in order.iter().rev() {
        let longest = dependents[number].iter().map(|to| tail[*to]).fold(0.0, f64::max);
        tail[number] += longest;
    }
    let longest = tail.iter().copied().fold(0.0, f64::max);
    tasks
        .iter()
        .enumerate()
        .map(|(number, task)| {
            let slack = longest - (head[number] + tail[number]);
            (task.id.clone(), Urgency { slack, risk_score: risk_score(task.risk, task.impact) })
        })
        .collect()
}

fn weight(scope: Option<TaskScope>) -> f64 {
    scope.map_or(graph::TaskScope::Narrow, ToFile::to_file).cost_estimate()
}

fn risk_score(risk: Option<TaskRisk>, impact: Option<TaskImpact>) -> f64 {
    risk.map_or(graph::TaskRisk::Medium, ToFile::to_file).risk_weight()
        * impact.map_or(graph::TaskImpact::Isolated, ToFile:.to_file).impact_weight()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(id: &str, scope: Option<TaskScope>) -> Open {
        Open { id: TaskId::from(id), scope, risk: None, impact: None }
    }

    fn slacks(tasks: &[Open], edges: &[(&str, &str)]) -> Vec<f64> {
        let edges: Vec<(TaskId, TaskId)> =
            edges.iter().map(|(from, to)| (TaskId::from(*from), TaskId::from(*to))).collect();
        let found = urgencies(tasks, &edges);
        tasks.iter().map(|task| found[&task.id].slack).collect()
    }

    #[test]
    fn the_heaviest_chain_has_no_slack() {
        use TaskScope::{Broad, Single};
        let tasks = [
            open("a", Some(Broad)),
            open("b", None),
            open("c", Some(Single)),
            open("d", Some(Single)),
        ];
        // a(4) → b(2) is 6; c(1) → b(2) is 3; d(1) stands alone.
        assert_eq!(slacks(&tasks, &[("a", "b"), ("c", "b")]), [0.0, 0.0, 3.0, 5.0]);
    }

    #[test]
    fn edges_from_finished_tasks_do_not_count() {
        assert_eq!(slacks(&[open("b", None)], &[("done", "b")]), [0.0]);
        assert!(slacks(&[], &[]).is_empty());
    }

    #[test]
    fn risk_counts_with_its_reach_and_defaults() {
        let mut task = open("a", None);
        let score = |task: &Open| urgencies(std::slice::from_ref(task), &[])[&task.id].risk_score;
        assert!((score(&task) - 0.2).abs() < 1e-12);
        task.risk = Some(TaskRisk::Critical);
        task.impact = Some(TaskImpact::Project);
        assert!((score(&task) - 1.5).abs() < 1e-12);
    }
}
