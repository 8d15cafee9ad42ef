//! Tasks between a directory and a project: `alkhub task import`, `export` and `sync`.

mod baseline;
mod export;
mod import;
mod manifest;
mod sync;
mod write;

use std::path::Path;

use alkhub_taskgraph::directory::{SourceFile, read_texts};
use serde_json::Value;

use crate::failure::Failure;

pub(crate) use export::Export;
pub(crate) use import::Import;
pub(crate) use sync::Sync;

/// The hub takes no larger task file.
const LARGEST_FILE: usize = 1 << 20;

/// Paths and texts of all files of a directory, or all reasons why some cannot be read.
fn texts(directory: &Path) -> Result<Vec<(String, String)>, Failure> {
    let read = read_texts(directory, LARGEST_FILE).map_err(|problem| {
        Failure::Local(format!("cannot read {}: {problem}", directory.display()))
    })?;
    let mut files = Vec::with_capacity(read.len());
    let mut unreadable = Vec::new();
    for SourceFile { path, text } in read {
        match text {
            Ok(text) => files.push((path, text)),
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
