//! `render`: the graph as a picture or for another tool.

use std::path::PathBuf;

use alkhub_taskgraph::render::{self, Options, RenderError};
use clap::Args;
use serde_json::json;

use super::input::Input;
use super::progress::while_working;
use super::{Format, Session};
use crate::failure::Failure;

#[derive(Debug, Args)]
pub(super) struct Render {
    /// A directory, a file of JSON or Markdown, or - for standard input [default: the directory]
    #[arg(value_name = "INPUT")]
    input: Option<PathBuf>,
    /// Write to this file; without --format its extension tells the form
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Heading of the SVG
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
}

impl Render {
    pub(super) fn run(&self, session: &Session) -> Result<(), Failure> {
        let input = Input::read(self.input.as_deref(), session)?;
        if let Input::Directory(set) = &input {
            set.tell_faults(&session.output)?;
        }
        let graph = input.graph()?;
        let format = session.format.unwrap_or_else(|| self.by_extension());
        let options = Options {
            title: self.title.clone(),
            ..Options::default()
        };
        let output = &session.output;
        let drawn = while_working(output, "drawing", || match format {
            Format::Svg => render::svg(&graph, &options),
            Format::Mermaid => render::mermaid(&graph, &options.unlimited()),
            Format::Json => render::json(&graph),
            Format::Dot | Format::Plain => render::dot(&graph, &options.unlimited()),
        });
        let text = drawn.map_err(|error| match error {
            RenderError::TooLarge { .. } => {
                Failure::Local(format!("{error} as SVG; use --format dot, mermaid or json"))
            }
            error @ RenderError::Json(_) => Failure::Local(error.to_string()),
        })?;
        let Some(file) = &self.output else {
            return match format {
                Format::Json => output.json_text(text),
                _ => output.text(&text),
            };
        };
        let text = match format {
            Format::Json => text + "\n",
            _ => text,
        };
        std::fs::write(file, text)
            .map_err(|problem| Failure::Local(format!("{}: {problem}", file.display())))?;
        if output.json {
            return output.document(&json!({ "path": file.display().to_string() }));
        }
        let mut said = format!("Graph written to: {}\n", file.display());
        if matches!(format, Format::Dot | Format::Plain) {
            let file = file.display();
            said.push_str(&format!("Render with: dot -Tpng {file} -o {file}.png\n"));
        }
        output.text(&said)
    }

    /// The form the output file asks for; DOT when nothing does.
    fn by_extension(&self) -> Format {
        let extension = self
            .output
            .as_ref()
            .and_then(|file| file.extension())
            .and_then(|extension| extension.to_str());
        match extension.map(str::to_ascii_lowercase).as_deref() {
            Some("svg") => Format::Svg,
            Some("mmd" | "mermaid") => Format::Mermaid,
            Some("json") => Format::Json,
            _ => Format::Dot,
        }
    }
}
