//! `fs.edit`

use std::time::Duration;

use alkhub_operations::{CallError, Operation, OperationType, operation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use similar::TextDiff;

use super::{MOST_FILE_BYTES, sha256, store};
use crate::devenv::environment::Environment;
use crate::devenv::errors::{
    AMBIGUOUS, Declare, DevError, FILE_TOO_LARGE, NO_MATCH, NOT_A_FILE, NOT_TEXT, PATHS,
};
use crate::devenv::work::{Work, blocking};

/// Longest diff in an answer, bytes.
const MOST_DIFF: usize = 256 * 1024;
/// How long the smallest diff is looked for; after that a larger one is given.
const DIFF_TIME: Duration = Duration::from_secs(2);

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Input {
    /// The file.
    #[schemars(length(min = 1, max = 4096))]
    path: String,
    /// What to replace, one after the other; all of it or nothing.
    #[schemars(length(min = 1, max = 1000))]
    edits: Vec<Edit>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Edit {
    /// The text to replace, exactly as it stands. It must be there once, unless `all` is said.
    #[schemars(length(min = 1))]
    old: String,
    /// What to put in its place.
    new: String,
    /// Replace every occurrence.
    #[serde(default)]
    all: bool,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Output {
    /// SHA-256 of the file now.
    sha256: String,
    /// How many places were changed.
    replacements: u64,
    /// What changed, as a unified diff; cut when it is very long.
    diff: String,
}

pub(super) fn define(environment: &Environment) -> Operation {
    let builder = operation::<Input, Output>("fs.edit", OperationType::Mutation)
        .title("Edit a file")
        .description(
            "Replaces exact pieces of a text file. When one edit fails, nothing is written.",
        )
        .tags(&["files"])
        .fails_with(&[
            PATHS,
            &[NOT_A_FILE, FILE_TOO_LARGE, NOT_TEXT, NO_MATCH, AMBIGUOUS],
        ]);
    blocking(builder, environment, run)
}

fn run(work: &Work, input: Input) -> Result<Output, CallError> {
    let located = work.locate(&input.path)?;
    located.require_outside_git(&input.path)?;
    let (before, after, replacements) = store::locked(&work.environment, &located, || {
        let (content, _) = store::read_whole(&located)?;
        let before = String::from_utf8(content).map_err(|_not_text| DevError::NotText {
            path: input.path.clone(),
        })?;
        let (after, replacements) = apply(&before, &input.edits)?;
        if after.len() as u64 > MOST_FILE_BYTES {
            return Err(DevError::TooLarge {
                path: input.path.clone(),
                limit: MOST_FILE_BYTES,
            });
        }
        store::replace(&located, after.as_bytes(), false, None)?;
        Ok((before, after, replacements))
    })?;
    Ok(Output {
        sha256: sha256(after.as_bytes()),
        replacements,
        diff: diff(&located.shown(&work.base), &before, &after),
    })
}

fn apply(before: &str, edits: &[Edit]) -> Result<(String, u64), DevError> {
    let mut text = before.to_owned();
    let mut replacements = 0;
    for (index, edit) in edits.iter().enumerate() {
        let count = occurrences(&text, &edit.old);
        if count == 0 {
            let message = format!("edit {index}: the text to replace is not in the file");
            let details = json!({ "index": index });
            return Err(DevError::detailed(NO_MATCH, message, details));
        }
        if edit.all {
            replacements += text.matches(&edit.old).count() as u64;
            text = text.replace(&edit.old, &edit.new);
        } else if count == 1 {
            replacements += 1;
            text = text.replacen(&edit.old, &edit.new, 1);
        } else {
            let message = format!("edit {index}: the text to replace is in the file {count} times");
            let details = json!({ "index": index, "count": count });
            return Err(DevError::detailed(AMBIGUOUS, message, details));
        }
        // Edits may double a text again and again.
        if text.len() as u64 > MOST_FILE_BYTES {
            return Ok((text, replacements));
        }
    }
    Ok((text, replacements))
}

/// Overlapping ones count each: which of them was meant cannot be known.
fn occurrences(text: &str, piece: &str) -> u64 {
    let mut count = 0;
    let mut from = 0;
    while let Some(place) = text[from..].find(piece) {
        count += 1;
        let found = from + place;
        let step = text[found..].chars().next().map_or(1, char::len_utf8);
        from = found + step;
    }
    count
}

fn diff(path: &str, before: &str, after: &str) -> String {
    let mut text = TextDiff::configure()
        .timeout(DIFF_TIME)
        .diff_lines(before, after)
        .unified_diff()
        .header(&format!("a/{path}"), &format!("b/{path}"))
        .to_string();
    if text.len() > MOST_DIFF {
        text.truncate(text.floor_char_boundary(MOST_DIFF));
        text.push_str("\n… cut\n");
    }
    text
}
