//! `fs.read`

use alkhub_operations::{CallError, Operation, OperationType, operation};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Encoding, mtime, sha256, store};
use crate::devenv::environment::Environment;
use crate::devenv::errors::{
    Declare, DevError, FILE_TOO_LARGE, NOT_A_FILE, NOT_TEXT, PATHS, shown,
};
use crate::devenv::work::{Work, blocking};

/// Most text that one answer carries, bytes.
const MOST_TEXT: usize = 4 * 1024 * 1024;
/// Largest file that is given as base64, bytes.
const MOST_BINARY: usize = 8 * 1024 * 1024;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Input {
    /// The file.
    #[schemars(length(min = 1, max = 4096))]
    path: String,
    /// First line to give, from 0. Counts for text only.
    #[serde(default)]
    offset: u64,
    /// Most lines to give. Counts for text only.
    #[serde(default = "default_limit")]
    #[schemars(range(min = 1, max = 1_000_000))]
    limit: u64,
    /// `base64` gives the whole file, whatever it holds.
    #[serde(default)]
    encoding: Encoding,
}

fn default_limit() -> u64 {
    2_000
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Output {
    /// The lines asked for, with their line ends; or the file as base64.
    content: String,
    /// How many lines the content has.
    lines: u64,
    /// How many lines the file has.
    total_lines: u64,
    /// Size of the file.
    bytes: u64,
    /// SHA-256 of the whole file.
    sha256: String,
    /// True when the file goes on behind the content.
    truncated: bool,
    /// When the file was last changed.
    mtime: String,
}

pub(super) fn define(environment: &Environment) -> Operation {
    let builder = operation::<Input, Output>("fs.read", OperationType::Query)
        .title("Read a file")
        .description(
            "Reads a text file by lines, or any file as base64. Files up to 32 MiB (base64: 8 MiB); \
             an answer carries at most 4 MiB of text.",
        )
        .tags(&["files"])
        .fails_with(&[PATHS, &[NOT_A_FILE, FILE_TOO_LARGE, NOT_TEXT]]);
    blocking(builder, environment, run)
}

fn run(work: &Work, input: Input) -> Result<Output, CallError> {
    let located = work.locate(&input.path)?;
    let (content, metadata) = store::read_whole(&located)?;
    work.still_wanted()?;
    let hash = sha256(&content);
    let bytes = content.len() as u64;
    let mtime = mtime(&metadata);
    if input.encoding == Encoding::Base64 {
        if content.len() > MOST_BINARY {
            return Err(DevError::TooLarge {
                path: shown(&located.absolute()),
                limit: MOST_BINARY as u64,
            }
            .into());
        }
        let lines = line_count(&content);
        return Ok(Output {
            content: STANDARD.encode(&content),
            lines,
            total_lines: lines,
            bytes,
            sha256: hash,
            truncated: false,
            mtime,
        });
    }
    let text = std::str::from_utf8(&content).map_err(|_not_text| DevError::NotText {
        path: input.path.clone(),
    })?;
    let total_lines = line_count(&content);
    let part = part(text, input.offset, input.limit);
    Ok(Output {
        lines: part.lines,
        total_lines,
        bytes,
        sha256: hash,
        truncated: part.cut || input.offset.saturating_add(part.lines) < total_lines,
        mtime,
        content: part.text,
    })
}

struct Part {
    text: String,
    lines: u64,
    /// True when its last line is not whole.
    cut: bool,
}

/// The lines from `offset` on, as many as were asked for and fit.
fn part(text: &str, offset: u64, limit: u64) -> Part {
    let mut part = Part {
        text: String::new(),
        lines: 0,
        cut: false,
    };
    let skip = usize::try_from(offset).unwrap_or(usize::MAX);
    for line in text.split_inclusive('\n').skip(skip) {
        if part.lines == limit {
            break;
        }
        if part.text.len() + line.len() > MOST_TEXT {
            // A first line that is too long is given in part: nothing of it would be no answer.
            if part.lines == 0 {
                part.text = line[..line.floor_char_boundary(MOST_TEXT)].to_owned();
                part.lines = 1;
                part.cut = true;
            }
            break;
        }
        part.text.push_str(line);
        part.lines += 1;
    }
    part
}

/// A last line counts without a line end too.
fn line_count(content: &[u8]) -> u64 {
    content.split_inclusive(|byte| *byte == b'\n').count() as u64
}
