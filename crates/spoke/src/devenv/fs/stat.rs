//! `fs.stat`

use std::io::Read;
use std::os::unix::fs::PermissionsExt;

use alkhub_operations::{CallError, Operation, OperationType, operation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{EntryType, MOST_FILE_BYTES, mtime, store};
use crate::devenv::environment::Environment;
use crate::devenv::errors::{Declare, PATHS, at};
use crate::devenv::work::{Work, blocking};

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Input {
    /// The file or directory; a symlink is followed.
    #[schemars(length(min = 1, max = 4096))]
    path: String,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Output {
    /// Its real path, as other operations take it.
    path: String,
    /// What it is.
    #[serde(rename = "type")]
    kind: EntryType,
    /// Its size.
    bytes: u64,
    /// When it was last changed.
    mtime: String,
    /// Its permissions as four octal digits.
    mode: String,
    /// SHA-256 of a readable regular file up to 32 MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
}

pub(super) fn define(environment: &Environment) -> Operation {
    let builder = operation::<Input, Output>("fs.stat", OperationType::Query)
        .title("Look at a file")
        .description("Says what is at a path: type, size, time, permissions, hash.")
        .tags(&["files"])
        .fails_with(&[PATHS]);
    blocking(builder, environment, run)
}

fn run(work: &Work, input: Input) -> Result<Output, CallError> {
    let located = work.locate(&input.path)?;
    let path = located.absolute();
    let metadata = std::fs::symlink_metadata(&path).map_err(at(&path))?;
    // Who may not read a file may still look at it.
    let sha256 = match store::open_regular(&located) {
        Ok((file, metadata)) if metadata.len() <= MOST_FILE_BYTES => {
            let mut hash = Sha256::new();
            let mut chunk = vec![0; 64 * 1024];
            let mut file = file.take(MOST_FILE_BYTES);
            loop {
                work.still_wanted()?;
                let read = file.read(&mut chunk).map_err(at(&path))?;
                if read == 0 {
                    break Some(format!("{:x}", hash.finalize()));
                }
                hash.update(&chunk[..read]);
            }
        }
        _ => None,
    };
    Ok(Output {
        path: located.shown(&work.base),
        kind: metadata.file_type().into(),
        bytes: metadata.len(),
        mtime: mtime(&metadata),
        mode: format!("{:04o}", metadata.permissions().mode() & 0o7777),
        sha256,
    })
}
