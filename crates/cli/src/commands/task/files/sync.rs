//! `alkhub task sync`: a directory and a project brought together, both ways.
//!
//! The operation decides; here are only its two ends in the directory: the texts that go in, and
//! the files it answers, each of which is written only where the text is still the one that went in.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::baseline::{self, Baseline};
use super::{sentence, texts, write};
use crate::args::Global;
use crate::client::Client;
use crate::failure::Failure;
use crate::output::Output;
use crate::plan::{self, Plan, text_at};
use crate::progress::Steps;
use crate::view::View;

#[derive(Debug, Args)]
pub(crate) struct Sync {
    /// Directory with the task files
    directory: PathBuf,
    /// Name or id of the project
    #[arg(long, value_name = "PROJECT")]
    project: String,
    /// Only from the files to the project
    #[arg(long, conflicts_with = "pull")]
    push: bool,
    /// Only from the project to the files; the directory is made when missing
    #[arg(long)]
    pull: bool,
    /// Say what would happen, but change nothing on either side
    #[arg(long)]
    dry_run: bool,
}

/// Files that are not what was read any more, with the reason why nothing is written there.
type Kept = Vec<(String, String)>;

impl Sync {
    pub(in crate::commands::task) async fn run(
        &self,
        global: &Global,
        output: &Output,
    ) -> Result<(), Failure> {
        let read = self.read()?;
        let client = Client::new(global)?;
        let project = text_at(&plan::project(&client, &self.project, false).await?, "id")?;
        let before = Baseline::read(&self.directory)?.of(&project, &self.directory)?;
        let files: Vec<Value> = read
            .iter()
            .map(|(path, text)| json!({"path": path, "text": text}))
            .collect();
        let input = json!({
            "projectId": project,
            "direction": self.direction(),
            "baseline": before.files(),
            "dryRun": self.dry_run,
        });
        let plan = Plan::new("task.sync", &input, &REPORT)?.with("files", Value::Array(files));
        let (view, report) = plan.data(&client, output).await?;
        let mut open = conflicts(&report);
        if !self.dry_run {
            open.extend(self.write(&read, &before, &report, output)?);
        }
        view.show(&report, output)?;
        if open.is_empty() {
            return Ok(());
        }
        Err(Failure::Files {
            summary: "both sides changed; nothing was written of".to_owned(),
            files: open,
        })
    }

    fn direction(&self) -> &'static str {
        match (self.push, self.pull) {
            (true, _) => "toDb",
            (_, true) => "toFile",
            _ => "both",
        }
    }

    /// Texts by path. A directory that is not there is empty when files are only to be written.
    fn read(&self) -> Result<BTreeMap<String, String>, Failure> {
        if self.pull && !self.directory.exists() {
            return Ok(BTreeMap::new());
        }
        Ok(texts(&self.directory)?.into_iter().collect())
    }

    /// Writes the answered files, then what the next sync has to know.
    fn write(
        &self,
        read: &BTreeMap<String, String>,
        before: &Baseline,
        report: &Value,
        output: &Output,
    ) -> Result<Kept, Failure> {
        let mut after = before.with(report)?;
        let due = report.get("toFile").and_then(Value::as_array);
        let due = due.map(Vec::as_slice).unwrap_or_default();
        let mut kept = Kept::new();
        let mut steps = Steps::new(output, "writing", due.len());
        for file in due {
            let (path, text) = (text_at(file, "path")?, text_at(file, "text")?);
            let replaces = file.get("replaces").and_then(Value::as_str);
            match self.refuse(read, &path, replaces) {
                None => {
                    write::replace(&self.directory.join(&path), &text)?;
                    if let Some(old) = replaces {
                        write::remove(&self.directory.join(old))?;
                    }
                }
                Some(reason) => {
                    after.take_back(&path, replaces.unwrap_or(&path), before);
                    kept.push((path, reason));
                }
            }
            steps.step();
        }
        if after != *before {
            write::replace(&self.directory.join(baseline::NAME), &after.text()?)?;
        }
        Ok(kept)
    }

    /// Why the file must not be written: what stands there is not what the hub has seen.
    fn refuse(
        &self,
        read: &BTreeMap<String, String>,
        path: &str,
        replaces: Option<&str>,
    ) -> Option<String> {
        for path in [Some(path), replaces].into_iter().flatten() {
            let seen = read.get(path).map(String::as_bytes);
            match write::standing(&self.directory, path) {
                Ok(standing) if standing.as_deref() == seen => {}
                Ok(_) => return Some(format!("{path} was changed during the sync")),
                Err(reason) => return Some(reason),
            }
        }
        None
    }
}

/// What changed on both sides, by path.
fn conflicts(report: &Value) -> Vec<(String, String)> {
    let list = report.get("conflicts").and_then(Value::as_array);
    let text = |conflict: &Value, field: &str| {
        let text = conflict.get(field).and_then(Value::as_str);
        text.unwrap_or("(unknown)").to_owned()
    };
    list.into_iter()
        .flatten()
        .map(|conflict| (text(conflict, "path"), text(conflict, "reason")))
        .collect()
}

const REPORT: View = View::Sentence(report);

/// How much went which way, and which files.
fn report(data: &Value) -> String {
    let mut lines = Vec::new();
    if data.get("dryRun") == Some(&Value::Bool(true)) {
        lines.push("nothing was changed (dry run)".to_owned());
    }
    for (name, label) in [
        ("toDb", "to the project"),
        ("toFile", "to files"),
        ("conflicts", "conflicts"),
    ] {
        let items = data.get(name).and_then(Value::as_array);
        let items = items.map(Vec::as_slice).unwrap_or_default();
        lines.push(format!("{label}: {}", items.len()));
        if name == "conflicts" {
            // They are listed with their reasons by the failure that follows.
            continue;
        }
        for item in items {
            lines.push(format!(
                "  {}",
                sentence(item.get("path").unwrap_or(&Value::Null))
            ));
        }
    }
    let unchanged = data.get("unchanged").and_then(Value::as_u64);
    if let Some(unchanged) = unchanged {
        lines.push(format!("unchanged: {unchanged}"));
    }
    lines.join("\n")
}
