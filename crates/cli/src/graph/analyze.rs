//! `analyze`: every analysis of an input as one document.

use std::fmt::Write as _;
use std::path::PathBuf;

use alkhub_taskgraph::analyze;
use clap::Args;
use serde_json::Value;

use super::Session;
use super::input::{Input, invalid};
use super::progress::while_working;
use super::style::{bad, bold, clean};
use crate::failure::Failure;

#[derive(Debug, Args)]
pub(super) struct Analyze {
    /// A directory, a file of JSON or Markdown, or - for standard input [default: the directory]
    #[arg(value_name = "INPUT")]
    input: Option<PathBuf>,
}

impl Analyze {
    /// What is wrong with tasks or texts is part of the result; only an input that is none of the
    /// known forms is a failure.
    pub(super) fn run(&self, session: &Session) -> Result<(), Failure> {
        let input = Input::read(self.input.as_deref(), session)?;
        let output = &session.output;
        let place = match &input {
            Input::Directory(set) => {
                set.tell_faults(output)?;
                set.root.display().to_string()
            }
            Input::Document(_, place) => place.clone(),
        };
        let document = input.into_document();
        let result = while_working(output, "analysing", || analyze(&document))
            .map_err(|error| invalid(&place, &error))?;
        if output.json {
            return output.document(&result);
        }
        output.text(&summary(&result))
    }
}

/// The results a person looks for first; all of them are in the JSON form.
fn summary(result: &Value) -> String {
    let mut text = String::new();
    // Writing to a String does not fail.
    let mut line = |label: &str, value: &str| {
        let _infallible = writeln!(text, "{} {value}", bold(format!("{label}:")));
    };
    if let Some(task) = result.get("task") {
        line("Task", &clean(&word(task, "id")));
        line("Name", &clean(&word(task, "name")));
    }
    if let Some(error) = result.get("error") {
        line("Error", &error_text(error));
    }
    if let Some(construction) = result.get("construction") {
        if let Some(error) = construction.get("error") {
            line("Error", &error_text(error));
        } else {
            let count = |key: &str| {
                construction
                    .get(key)
                    .map_or_else(String::new, Value::to_string)
            };
            line("Tasks", &count("taskCount"));
            line("Dependencies", &count("edgeCount"));
            let outcome = |key: &str| path_text(result.get(key).unwrap_or(&Value::Null));
            let cycles = result.get("cycles").and_then(Value::as_array);
            for cycle in cycles.into_iter().flatten() {
                line("Cycle", &path_text(cycle));
            }
            let groups = result.get("parallelGroups").and_then(Value::as_array);
            if let Some(groups) = groups {
                line("Generations", &groups.len().to_string());
            }
            line("Critical path", &outcome("criticalPath"));
            if let Some(risk) = result.get("riskPath") {
                let path = risk.get("path").unwrap_or(risk);
                let total = risk.get("totalRisk").and_then(Value::as_f64);
                let total = total.map_or_else(String::new, |total| format!(" ({total:.2})"));
                line("Risk path", &format!("{}{total}", path_text(path)));
            }
            let split = result.get("decompose").and_then(Value::as_array);
            let split: Vec<Value> = split
                .into_iter()
                .flatten()
                .filter(|task| task.get("shouldDecompose") == Some(&Value::Bool(true)))
                .filter_map(|task| task.get("taskId").cloned())
                .collect();
            if !split.is_empty() {
                line("To be split", &words(&split, ", "));
            }
            let total = result
                .pointer("/workflowCost/dagPropagate/totalEv")
                .and_then(Value::as_f64);
            if let Some(total) = total {
                line("Cost of what is left", &format!("{total:.2}"));
            }
        }
    }
    if let Some(evs) = result.get("taskEv").and_then(Value::as_array) {
        for ev in evs {
            line("Expected value", &ev.to_string());
        }
    }
    text
}

/// `a → b → c`, or the error in its place.
fn path_text(path: &Value) -> String {
    match (path.as_array(), path.get("error")) {
        (_, Some(error)) => error_text(error),
        (Some(ids), _) if !ids.is_empty() => words(ids, " → "),
        _ => "none".to_owned(),
    }
}

fn words(ids: &[Value], between: &str) -> String {
    let ids: Vec<_> = ids.iter().filter_map(Value::as_str).map(clean).collect();
    ids.join(between)
}

fn error_text(error: &Value) -> String {
    let field = word(error, "field");
    let field = if field.is_empty() {
        String::new()
    } else {
        format!("{}: ", clean(&field))
    };
    let message = word(error, "message");
    format!("{} {field}{}", bad(word(error, "class")), clean(&message))
}

fn word(value: &Value, key: &str) -> String {
    let word = value.get(key).and_then(Value::as_str);
    word.unwrap_or_default().to_owned()
}
