//! `fs.write`

use alkhub_operations::{CallError, Operation, OperationType, operation};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Encoding, MOST_FILE_BYTES, sha256, store};
use crate::devenv::environment::Environment;
use crate::devenv::errors::{CHANGED, Declare, DevError, FILE_TOO_LARGE, NOT_A_FILE, PATHS};
use crate::devenv::work::{Work, blocking};

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Input {
    /// The file; it is made when it does not exist.
    #[schemars(length(min = 1, max = 4096))]
    path: String,
    /// All of its new content.
    content: String,
    /// How the content is written.
    #[serde(default)]
    encoding: Encoding,
    /// Make missing directories.
    #[serde(default = "yes")]
    create_dirs: bool,
    /// Write only when this is the SHA-256 of the present content.
    #[schemars(regex(pattern = "^[0-9a-f]{64}$"))]
    expect_sha256: Option<String>,
}

fn yes() -> bool {
    true
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Output {
    /// Size of the file now.
    bytes: u64,
    /// SHA-256 of the file now.
    sha256: String,
    /// True when there was no such file before.
    created: bool,
}

pub(super) fn define(environment: &Environment) -> Operation {
    let builder = operation::<Input, Output>("fs.write", OperationType::Mutation)
        .title("Write a file")
        .description(
            "Replaces or makes a file. Readers see the old or the new content, never a part; the \
             permissions of an existing file stay.",
        )
        .tags(&["files"])
        .fails_with(&[PATHS, &[NOT_A_FILE, FILE_TOO_LARGE, CHANGED]]);
    blocking(builder, environment, run)
}

fn run(work: &Work, input: Input) -> Result<Output, CallError> {
    let located = work.locate(&input.path)?;
    located.require_outside_git(&input.path)?;
    let content = match input.encoding {
        Encoding::Utf8 => input.content.into_bytes(),
        Encoding::Base64 => STANDARD.decode(&input.content).map_err(|_not_base64| {
            DevError::invalid("/content", "base64", "must be base64 with padding")
        })?,
    };
    if content.len() as u64 > MOST_FILE_BYTES {
        return Err(DevError::TooLarge {
            path: input.path,
            limit: MOST_FILE_BYTES,
        }
        .into());
    }
    work.still_wanted()?;
    let created = store::locked(&work.environment, &located, || {
        let expected = input.expect_sha256.as_deref();
        store::replace(&located, &content, input.create_dirs, expected)
    })?;
    Ok(Output {
        bytes: content.len() as u64,
        sha256: sha256(&content),
        created,
    })
}
