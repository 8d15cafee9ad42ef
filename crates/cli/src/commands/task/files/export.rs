//! `alkhub task export`: the tasks of a project as files.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::{sentence, write};
use crate::args::Global;
use crate::client::Client;
use crate::failure::Failure;
use crate::output::Output;
use crate::plan::{Plan, text_at};
use crate::view::View;

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

impl Export {
    pub(in crate::commands::task) async fn run(
        &self,
        global: &Global,
        output: &Output,
    ) -> Result<(), Failure> {
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
            let path = text_at(file, "path")?;
            let text = text_at(file, "text")?;
            Ok((path, text))
        })
        .collect()
}

fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
