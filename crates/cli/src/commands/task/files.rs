//! `alkhub task import` and `alkhub task export`: tasks between a directory and a project.

mod manifest;
mod write;

use std::path::PathBuf;

use alkhub_taskgraph::directory::{SourceFile, read_texts};
use clap::Args;
use serde_json::{Value, json};

use crate::args::Global;
use crate::client::Client;
use crate::failure::Failure;
use crate::output::Output;
use crate::plan::Plan;
use crate::view::View;

/// The hub takes no larger task file.
const LARGEST_FILE: usize = 1 << 20;

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// Directory with the task files
    directory: PathBuf,
    /// Name or id of the project
    #[arg(long, value_name = "PROJECT")]
    project: String,
    /// Check everything and report, but change nothing
    #[arg(long)]
    dry_run: bool,
    /// Delete pending tasks whose file is gone
    #[arg(long)]
    prune: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// Directory to write the files to; it is made when missing
    directory: PathBuf,
    /// Name or id of the project
    #[arg(long, value_name = "PROJECT")]
    project: String,
    /// Only tasks whose path begins with this text
    #[arg(long, value_name = "PATH")]
    path_prefix: Option<String>,
    /// Overwrite files that were changed by hand
    #[arg(long)]
    force: bool,
    /// Say what would be written, but write nothing
    #[arg(long)]
    dry_run: bool,
}

impl Import {
    pub(super) async fn run(&self, global: &Global, output: &Output) -> Result<(), Failure> {
        let files = self.read()?;
        let client = Client::new(global)?;
        let mut input = json!({"dryRun": self.dry_run, "prune": self.prune});
        input["files"] = Value::Array(files);
        let plan = Plan::new("task.import", &input, &REPORT)?.project(&self.project, "projectId");
        let (view, report) = plan.data(&client, output).await?;
        view.show(&report, output)
    }

    /// All files, or all reasons why some cannot be read.
    fn read(&self) -> Result<Vec<Value>, Failure> {
        let read = read_texts(&self.directory, LARGEST_FILE).map_err(|problem| {
            Failure::Local(format!(
                "cannot read {}: {problem}",
                self.directory.display()
            ))
        })?;
        if read.is_empty() {
            return Err(Failure::Local(format!(
                "{} has no .md file in it",
                self.directory.display()
            )));
        }
        let mut files = Vec::with_capacity(read.len());
        let mut unreadable = Vec::new();
        for SourceFile { path, text } in read {
            match text {
                Ok(text) => files.push(json!({"path": path, "text": text})),
                Err(problem) => unreadable.push((path, problem.to_string())),
            }
        }
        if unreadable.is_empty() {
            return Ok(files);
        }
        Err(Failure::Files {
            summary: "nothing was sent, because some files cannot be read".to_owned(),
            files: unreadable,
        })
    }
}

impl Export {
    pub(super) async fn run(&self, global: &Global, output: &Output) -> Result<(), Failure> {
        let client = Client::new(global)?;
        let input = json!({"pathPrefix": self.path_prefix});
        let plan =
            Plan::new("task.export", &input, &View::Whole)?.project(&self.project, "projectId");
        let (_, data) = plan.data(&client, output).await?;
        let files = exported(&data)?;
        let options = write::Options {
            force: self.force,
            dry_run: self.dry_run,
        };
        let written = write::write(&self.directory, &files, options, output)?;
        if output.json {
            return output.document(&data);
        }
        let mut text = format!(
            "{} {}, {} unchanged\n",
            if self.dry_run { "would write" } else { "wrote" },
            count(written.written, "file"),
            written.unchanged
        );
        for note in data
            .get("lossy")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            text.push_str(&format!("  not in the files: {}\n", sentence(note)));
        }
        output.text(&text)
    }
}

/// Paths and texts of the answer of `task.export`.
fn exported(data: &Value) -> Result<Vec<(String, String)>, Failure> {
    let files = data.get("files").and_then(Value::as_array);
    let files = files.ok_or_else(|| Failure::Local("the hub's answer has no files".to_owned()))?;
    files
        .iter()
        .map(|file| {
            let path = crate::plan::text_at(file, "path")?;
            let text = crate::plan::text_at(file, "text")?;
            Ok((path, text))
        })
        .collect()
}

const REPORT: View = View::Sentence(report);

/// The report of an import: numbers first, then what needs a look.
fn report(data: &Value) -> String {
    let mut lines = Vec::new();
    if data.get("dryRun") == Some(&Value::Bool(true)) {
        lines.push("nothing was changed (dry run)".to_owned());
    }
    for (name, label) in [
        ("inserted", "inserted"),
        ("updated", "updated"),
        ("unchanged", "unchanged"),
        ("pruned", "pruned"),
        ("gone", "without a file"),
        ("skipped", "skipped"),
        ("missing", "missing references"),
    ] {
        let Some(value) = data.get(name) else {
            continue;
        };
        let number = match value {
            Value::Array(items) => items.len() as u64,
            other => other.as_u64().unwrap_or(0),
        };
        lines.push(format!("{label}: {number}"));
        let tells = matches!(name, "pruned" | "gone" | "skipped" | "missing");
        for item in value.as_array().into_iter().flatten().filter(|_| tells) {
            lines.push(format!("  {}", sentence(item)));
        }
    }
    lines.join("\n")
}

/// One entry of a report: a text, or an object whose values say it.
fn sentence(item: &Value) -> String {
    match item {
        Value::String(text) => text.clone(),
        Value::Object(fields) => fields
            .values()
            .map(|value| {
                value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned)
            })
            .collect::<Vec<_>>()
            .join(": "),
        other => other.to_string(),
    }
}

fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
