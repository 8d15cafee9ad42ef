//! `alkhub task import`: the task files of a directory into a project.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::{sentence, texts};
use crate::args::Global;
use crate::client::Client;
use crate::failure::Failure;
use crate::output::Output;
use crate::plan::Plan;
use crate::view::View;

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

impl Import {
    pub(in crate::commands::task) async fn run(
        &self,
        global: &Global,
        output: &Output,
    ) -> Result<(), Failure> {
        let files = self.read()?;
        let client = Client::new(global)?;
        let mut input = json!({"dryRun": self.dry_run, "prune": self.prune});
        input["files"] = Value::Array(files);
        let plan = Plan::new("task.import", &input, &REPORT)?.project(&self.project, "projectId");
        let (view, report) = plan.data(&client, output).await?;
        view.show(&report, output)
    }

    /// All files; a directory without any is a mistake.
    fn read(&self) -> Result<Vec<Value>, Failure> {
        let read = texts(&self.directory)?;
        if read.is_empty() {
            return Err(Failure::Local(format!(
                "{} has no .md file in it",
                self.directory.display()
            )));
        }
        let file = |(path, text)| json!({"path": path, "text": text});
        Ok(read.into_iter().map(file).collect())
    }
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
