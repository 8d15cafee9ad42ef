//! `fs.list`

use alkhub_operations::{CallError, Operation, OperationType, operation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::walk::{Sight, walk};
use super::{EntryType, mtime};
use crate::devenv::environment::Environment;
use crate::devenv::errors::{Declare, NOT_A_DIRECTORY, PATHS};
use crate::devenv::paths::filter_glob;
use crate::devenv::work::{Work, blocking};

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Input {
    /// The directory.
    #[serde(default = "here")]
    #[schemars(length(min = 1, max = 4096))]
    path: String,
    /// Levels to go down; 1 is the directory itself.
    #[serde(default = "default_depth")]
    #[schemars(range(min = 1, max = 64))]
    depth: usize,
    /// Only entries that match; without a slash it is matched against names at any depth.
    #[schemars(length(min = 1, max = 1000))]
    glob: Option<String>,
    /// Names that begin with a dot too.
    #[serde(default)]
    hidden: bool,
    /// Leave out what git ignores.
    #[serde(default = "yes")]
    gitignore: bool,
    /// Most entries.
    #[serde(default = "default_limit")]
    #[schemars(range(min = 1, max = 10_000))]
    limit: usize,
}

fn here() -> String {
    ".".to_owned()
}

fn default_depth() -> usize {
    1
}

fn yes() -> bool {
    true
}

fn default_limit() -> usize {
    1_000
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Output {
    /// What is there, in the order of names.
    entries: Vec<Listed>,
    /// True when there is more than the limit.
    truncated: bool,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Listed {
    /// Its path, as other operations take it.
    path: String,
    /// What it is.
    #[serde(rename = "type")]
    kind: EntryType,
    /// Its size.
    bytes: u64,
    /// When it was last changed.
    mtime: String,
}

pub(super) fn define(environment: &Environment) -> Operation {
    let builder = operation::<Input, Output>("fs.list", OperationType::Query)
        .title("List a directory")
        .description("Lists a directory, by default without hidden entries and what git ignores.")
        .tags(&["files"])
        .fails_with(&[PATHS, &[NOT_A_DIRECTORY]]);
    blocking(builder, environment, run)
}

fn run(work: &Work, input: Input) -> Result<Output, CallError> {
    let located = work.locate(&input.path)?;
    located.require_directory()?;
    let start = located.absolute();
    let wanted = filter_glob(input.glob.as_deref())?;
    let sight = Sight {
        depth: Some(input.depth),
        hidden: input.hidden,
        gitignore: input.gitignore,
    };
    let mut output = Output {
        entries: Vec::new(),
        truncated: false,
    };
    for entry in walk(work, &start, sight) {
        work.still_wanted()?;
        // What cannot be read, or is gone already, is no part of the listing.
        let Ok(entry) = entry else { continue };
        if entry.depth() == 0 {
            continue;
        }
        let below = entry.path().strip_prefix(&start).unwrap_or(entry.path());
        if wanted.as_ref().is_some_and(|glob| !glob.is_match(below)) {
            continue;
        }
        let Ok(metadata) = entry.metadata() else {
            continue;
        };
        if output.entries.len() == input.limit {
            output.truncated = true;
            break;
        }
        output.entries.push(Listed {
            path: work.shown(entry.path()),
            kind: metadata.file_type().into(),
            bytes: metadata.len(),
            mtime: mtime(&metadata),
        });
    }
    Ok(output)
}
