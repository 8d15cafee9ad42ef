//! The errors of the operations on a developer's machine, and their codes and statuses.

use std::io;
use std::path::{Path, PathBuf};

use alkhub_operations::{CallError, ErrorCode, OperationBuilder};
use serde_json::{Value, json};

/// An error code as operations declare it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Declared {
    code: &'static str,
    status: u16,
    meaning: &'static str,
}

macro_rules! declared {
    ($($name:ident $status:literal $meaning:literal;)*) => {
        $(pub(super) const $name: Declared = Declared {
            code: stringify!($name),
            status: $status,
            meaning: $meaning,
        };)*
    };
}

declared! {
    PATH_OUTSIDE 403 "The path, or what a symlink on it leads to, lies outside the roots.";
    PERMISSION 403 "The spoke's user may not do that, or the spoke's settings deny the path.";
    FILE_NOT_FOUND 404 "There is nothing at the path.";
    NOT_A_FILE 422 "What is at the path is no regular file.";
    NOT_A_DIRECTORY 422 "What is at the path is no directory.";
    FILE_TOO_LARGE 413 "The file or the content is over the limit (details.limit, bytes).";
    NOT_TEXT 422 "The file is not UTF-8 text; read and write it as base64.";
    CHANGED 409 "The file is not what expectSha256 says (details.sha256, null when absent).";
    NO_MATCH 422 "The text to replace is not in the file (details.index of the edit).";
    AMBIGUOUS 422 "The text to replace is in the file more than once (details.index, details.count).";
    EXISTS 409 "There is something already.";
    NOT_EMPTY 409 "The directory is not empty; say recursive.";
    CROSS_DEVICE 422 "The two paths are on different file systems.";
    WATCH_FAILED 422 "The system cannot watch the directory.";
    TOO_MANY_PROCESSES 429 "As many commands run as the spoke's settings allow (details.limit).";
    COMMAND_FAILED 422 "The command could not be started.";
    PROCESS_NOT_FOUND 404 "No process of this handle.";
    PROCESS_ENDED 409 "The process has ended, or reads no more input.";
    GIT_FAILED 422 "git refused (details.exitCode, details.stderr).";
    NOTHING_TO_COMMIT 409 "Nothing is staged.";
    REJECTED 409 "The remote took none of it (details.reason).";
    UNKNOWN_REMOTE 422 "The repository has no remote of this name.";
    BRANCH_IN_USE 409 "The branch exists or is checked out in a worktree.";
    BAD_NAME 422 "git or the file system does not take the name.";
    DIRTY 409 "The worktree has changes (details.files); say force.";
    UNMERGED 409 "The branch has commits that are merged nowhere; say force.";
}

/// Those of every operation that takes the path of something.
pub(super) const PATHS: &[Declared] = &[PATH_OUTSIDE, PERMISSION, FILE_NOT_FOUND];

/// What can go wrong with files, commands and git.
#[derive(Debug, thiserror::Error)]
pub(super) enum DevError {
    #[error("{path} lies outside the directories of this spoke")]
    PathOutside { path: String },
    #[error("{path} is closed by the settings of this spoke")]
    Denied { path: String },
    #[error("{path} is inside a repository's own directory; use the git operations")]
    InsideGit { path: String },
    #[error("{path} is a root of this spoke")]
    IsRoot { path: String },
    #[error("{path} does not exist")]
    FileNotFound { path: String },
    #[error("{path} is no regular file")]
    NotAFile { path: String },
    #[error("{path} is no directory")]
    NotADirectory { path: String },
    #[error("{path} is larger than {limit} bytes")]
    TooLarge { path: String, limit: u64 },
    #[error("no permission for {path}")]
    Permission { path: String },
    #[error("{path} is not UTF-8 text; use the encoding base64")]
    NotText { path: String },
    #[error("{path} exists already")]
    Exists { path: String },
    #[error("{path} is not empty")]
    NotEmpty { path: String },
    #[error("{path} is on another file system")]
    CrossDevice { path: String },
    #[error("{path}: {source}")]
    Io { path: String, source: io::Error },
    #[error("{message}")]
    Invalid {
        field: &'static str,
        rule: &'static str,
        message: String,
    },
    #[error("{message}")]
    Other {
        declared: Declared,
        message: String,
        details: Option<Value>,
    },
}

impl DevError {
    /// An input that its schema lets pass, but that means nothing.
    pub(super) fn invalid(
        field: &'static str,
        rule: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self::Invalid {
            field,
            rule,
            message: message.into(),
        }
    }

    /// A declared error without details of its own.
    pub(super) fn other(declared: Declared, message: impl Into<String>) -> Self {
        Self::Other {
            declared,
            message: message.into(),
            details: None,
        }
    }

    /// A declared error with details.
    pub(super) fn detailed(declared: Declared, message: impl Into<String>, details: Value) -> Self {
        Self::Other {
            declared,
            message: message.into(),
            details: Some(details),
        }
    }

    /// What the system said about this path.
    pub(super) fn of_io(path: impl Into<String>, source: impl Into<io::Error>) -> Self {
        let (path, source) = (path.into(), source.into());
        match source.kind() {
            // A component that is no directory: the path names nothing.
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::FileNotFound { path },
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::Permission { path }
            }
            io::ErrorKind::IsADirectory => Self::NotAFile { path },
            io::ErrorKind::AlreadyExists => Self::Exists { path },
            io::ErrorKind::DirectoryNotEmpty => Self::NotEmpty { path },
            io::ErrorKind::CrossesDevices => Self::CrossDevice { path },
            // A link where there was none when the path was checked.
            _ if source.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
                Self::PathOutside { path }
            }
            _ => Self::Io { path, source },
        }
    }

    fn declared(&self) -> Option<Declared> {
        Some(match self {
            Self::PathOutside { .. } => PATH_OUTSIDE,
            Self::Denied { .. }
            | Self::InsideGit { .. }
            | Self::IsRoot { .. }
            | Self::Permission { .. } => PERMISSION,
            Self::FileNotFound { .. } => FILE_NOT_FOUND,
            Self::NotAFile { .. } => NOT_A_FILE,
            Self::NotADirectory { .. } => NOT_A_DIRECTORY,
            Self::TooLarge { .. } => FILE_TOO_LARGE,
            Self::NotText { .. } => NOT_TEXT,
            Self::Exists { .. } => EXISTS,
            Self::NotEmpty { .. } => NOT_EMPTY,
            Self::CrossDevice { .. } => CROSS_DEVICE,
            Self::Other { declared, .. } => *declared,
            Self::Io { .. } | Self::Invalid { .. } => return None,
        })
    }

    fn details(&self) -> Option<Value> {
        Some(match self {
            Self::PathOutside { path }
            | Self::FileNotFound { path }
            | Self::NotAFile { path }
            | Self::NotADirectory { path }
            | Self::NotText { path }
            | Self::Exists { path }
            | Self::NotEmpty { path }
            | Self::CrossDevice { path }
            | Self::Permission { path } => json!({ "path": path }),
            Self::Denied { path } => json!({ "path": path, "rule": "deny" }),
            Self::InsideGit { path } => json!({ "path": path, "rule": "git" }),
            Self::IsRoot { path } => json!({ "path": path, "rule": "root" }),
            Self::TooLarge { path, limit } => json!({ "path": path, "limit": limit }),
            Self::Other { details, .. } => return details.clone(),
            Self::Io { .. } | Self::Invalid { .. } => return None,
        })
    }
}

impl From<DevError> for CallError {
    fn from(error: DevError) -> Self {
        let message = error.to_string();
        if let DevError::Invalid { field, rule, .. } = error {
            return if field.is_empty() {
                Self::validation_rule(rule, message)
            } else {
                Self::validation_field(field, rule, message)
            };
        }
        let code = error
            .declared()
            .map_or(ErrorCode::EXECUTION_ERROR, |declared| declared.code.into());
        let call_error = Self::new(code, message);
        match error.details() {
            Some(details) => call_error.with_details(details),
            None => call_error,
        }
    }
}

/// Declaring many errors at once.
pub(super) trait Declare {
    /// The same with these errors declared, each with its status.
    fn fails_with(self, errors: &[&[Declared]]) -> Self;
}

impl<I, O> Declare for OperationBuilder<I, O> {
    fn fails_with(self, errors: &[&[Declared]]) -> Self {
        errors
            .iter()
            .copied()
            .flatten()
            .fold(self, |builder, error| {
                builder.error_with_status(error.code, error.meaning, error.status)
            })
    }
}

/// A path as text; bytes that are not UTF-8 are replaced.
pub(super) fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// An answer of the system about this path.
pub(super) fn at<E: Into<io::Error>>(path: &Path) -> impl FnOnce(E) -> DevError {
    let path = PathBuf::from(path);
    move |error| DevError::of_io(shown(&path), error)
}
