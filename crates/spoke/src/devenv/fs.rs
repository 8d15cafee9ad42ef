//! `fs.*`: files and directories.

mod change;
mod edit;
mod list;
mod read;
mod search;
mod stat;
mod store;
mod walk;
mod watch;
mod write;

use std::time::SystemTime;

use alkhub_operations::Operation;
use chrono::{DateTime, SecondsFormat, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::environment::Environment;

/// Largest file that is read as a whole, bytes.
pub(super) const MOST_FILE_BYTES: u64 = 32 * 1024 * 1024;

pub(super) fn operations(environment: &Environment) -> Vec<Operation> {
    vec![
        read::define(environment),
        write::define(environment),
        edit::define(environment),
        list::define(environment),
        search::define(environment),
        stat::define(environment),
        change::remove(environment),
        change::rename(environment),
        change::make_directory(environment),
        watch::define(environment),
    ]
}

/// How the content of a file is written in JSON.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Encoding {
    /// As text.
    #[default]
    Utf8,
    /// As base64 with padding.
    Base64,
}

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum EntryType {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symlink that was not followed.
    Symlink,
    /// A socket, pipe or device.
    Other,
}

impl From<std::fs::FileType> for EntryType {
    fn from(kind: std::fs::FileType) -> Self {
        if kind.is_symlink() {
            Self::Symlink
        } else if kind.is_dir() {
            Self::Directory
        } else if kind.is_file() {
            Self::File
        } else {
            Self::Other
        }
    }
}

/// RFC 3339 in UTC with milliseconds.
pub(super) fn time_text(time: SystemTime) -> String {
    DateTime::<Utc>::from(time).to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// SHA-256 as lower-case hexadecimal digits.
fn sha256(content: &[u8]) -> String {
    format!("{:x}", Sha256::digest(content))
}

/// When a file was last changed. File systems without such times say the beginning of 1970.
fn mtime(metadata: &std::fs::Metadata) -> String {
    time_text(metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH))
}
