//! `risk`, `risk-path`, `bottleneck`, `decompose`: where a plan may fail.

use std::fmt::Write as _;

use alkhub_taskgraph::{TaskAttributes, should_decompose_task};
use serde_json::{Value, json};

use super::order::must_be_acyclic;
use super::progress::while_working;
use super::set::{Set, refused};
use super::style::{bold, clean, risk, rule};
use crate::failure::Failure;
use crate::output::Output;

/// Rows of the table of bottlenecks.
const ROWS: usize = 10;

pub(super) fn distribution(set: &Set, output: &Output) -> Result<(), Failure> {
    let graph = set.graph()?;
    let distribution = graph.risk_distribution();
    if output.json {
        return output.document(&json!(distribution));
    }
    let total = graph.task_count();
    if total == 0 {
        return output.text("No tasks found.\n");
    }
    let mut text = format!(
        "{}\n\n",
        bold(format!("Risk Distribution ({total} tasks):"))
    );
    let mut level = |label: &str, ids: &[&str]| {
        // Writing to a String does not fail.
        if ids.is_empty() {
            let _infallible = writeln!(text, "{label}: 0");
            return;
        }
        let percent = ids.len() as f64 / total as f64 * 100.0;
        let _infallible = writeln!(
            text,
            "{}",
            bold(format!("{label}: {} ({percent:.0}%)", ids.len()))
        );
        for id in ids {
            let name = graph.get_task(id).map_or("", |task| task.name.as_str());
            let _infallible = writeln!(text, "  - {} ({})", clean(id), clean(name));
        }
    };
    level("CRITICAL", &distribution.critical);
    level("HIGH", &distribution.high);
    level("MEDIUM", &distribution.medium);
    level("LOW", &distribution.low);
    level("TRIVIAL", &distribution.trivial);
    if !distribution.unspecified.is_empty() {
        level("\nUNSPECIFIED", &distribution.unspecified);
    }
    output.text(&text)
}

pub(super) fn path(set: &Set, output: &Output) -> Result<(), Failure> {
    let graph = set.graph()?;
    if output.json {
        must_be_acyclic(set, &graph)?;
        let path = graph.risk_path().map_err(|error| refused(&error))?;
        return output.document(&json!(path));
    }
    if graph.is_empty() {
        return output.text("No tasks found.\n");
    }
    if set.has_cycles(&graph) {
        return output.text("No risk path found (graph may have cycles).\n");
    }
    let path = graph.risk_path().map_err(|error| refused(&error))?;
    let head = format!("{:<20} {:<10} {:<10} NAME", "ID", "RISK", "IMPACT");
    let mut text = format!(
        "{}\n\n{}\n{}\n",
        bold(format!("Highest Risk Path ({} tasks):", path.path.len())),
        bold(head),
        rule(70)
    );
    let unknown = TaskAttributes::default();
    for id in &path.path {
        let task = graph.get_task(id).unwrap_or(&unknown);
        let impact = task.impact.map_or("-", |impact| impact.as_str());
        let _infallible = writeln!(
            text,
            "{:<20} {} {impact:<10} {}",
            clean(id),
            risk(task.risk, 10),
            clean(&task.name)
        );
    }
    let _infallible = write!(
        text,
        "{}\nTotal risk score: {:.2}\n\n\
         A failure on this path costs more than anywhere else in the graph.\n\
         Look first at its tasks of high risk: split them, or find a way around them.\n",
        rule(70),
        path.total_risk
    );
    output.text(&text)
}

pub(super) fn bottleneck(set: &Set, output: &Output) -> Result<(), Failure> {
    let graph = set.graph()?;
    let bottlenecks = while_working(output, "counting shortest paths", || graph.bottlenecks());
    if output.json {
        return output.document(&json!(bottlenecks));
    }
    if bottlenecks.is_empty() {
        return output.text("No tasks found.\n");
    }
    let head = format!("{:<20} {:>10} NAME", "ID", "SCORE");
    let mut text = format!("{}\n{}\n", bold(head), rule(60));
    for bottleneck in bottlenecks.iter().take(ROWS) {
        let task = graph.get_task(bottleneck.task_id);
        let _infallible = writeln!(
            text,
            "{:<20} {:>10.4} {}",
            clean(bottleneck.task_id),
            bottleneck.score,
            clean(task.map_or("", |task| &task.name))
        );
    }
    if bottlenecks.len() > ROWS {
        let _infallible = writeln!(text, "... and {} more", bottlenecks.len() - ROWS);
    }
    output.text(&text)
}

/// The text gives the reasons in short, the JSON with their numbers.
pub(super) fn decompose(set: &Set, output: &Output) -> Result<(), Failure> {
    let flagged: Vec<(&str, Vec<String>)> = set
        .tasks
        .iter()
        .map(|task| {
            (
                task.id.as_str(),
                should_decompose_task(&task.into()).reasons,
            )
        })
        .filter(|(_, reasons)| !reasons.is_empty())
        .collect();
    if output.json {
        let row = |(id, reasons): &(&str, Vec<String>)| json!({ "id": id, "reasons": reasons });
        return output.document(&flagged.iter().map(row).collect::<Value>());
    }
    if flagged.is_empty() {
        return output.text(
            "No tasks need decomposition.\n\
             All tasks have risk <= medium and scope <= moderate.\n",
        );
    }
    let mut text = format!(
        "{}\n\n{}\n{}\n",
        bold(format!(
            "Tasks that should be decomposed ({}):",
            flagged.len()
        )),
        bold(format!("{:<20} REASONS", "ID")),
        rule(60)
    );
    for (id, reasons) in &flagged {
        let short: Vec<&str> = reasons
            .iter()
            .map(|reason| reason.split(" — ").next().unwrap_or(reason))
            .collect();
        let _infallible = writeln!(text, "{:<20} {}", clean(id), short.join(", "));
    }
    text.push_str("\nRecommendation: Split these tasks into smaller, lower-risk tasks.\n");
    output.text(&text)
}
