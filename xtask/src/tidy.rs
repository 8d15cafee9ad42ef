//! `cargo xtask tidy`: what no compiler checks.
//!
//! Each check gives [`Finding`]s: faults fail the command, remarks are only told.

mod dependencies;
mod sources;

use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::{fs, io};

use tokio::process::Command;

use crate::process::{self, ProcessError};
use crate::workspace::Workspace;

/// Why the checks could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TidyError {
    /// git could not list the files.
    #[error("cannot list the repository's files")]
    List(#[from] ProcessError),
    /// A file could not be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system answered.
        #[source]
        source: io::Error,
    },
    /// A manifest is no TOML.
    #[error("cannot parse {path}")]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: Box<toml::de::Error>,
    },
}

/// One file of the repository, known to git or about to be.
#[derive(Debug)]
struct SourceFile {
    /// The path from the repository's root, with `/`.
    path: String,
    /// `None` when the file is no text.
    text: Option<String>,
}

/// What a check has to say about a file.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    fault: bool,
    path: String,
    line: Option<usize>,
    message: String,
}

/// Runs all checks and prints what they find. The exit code is a failure when there is a fault.
pub(crate) async fn run(workspace: &Workspace) -> Result<ExitCode, TidyError> {
    let files = files(workspace).await?;
    let mut findings = sources::check(&files);
    findings.extend(dependencies::check(&files)?);
    findings.sort_by(|left, right| {
        (!left.fault, &left.path, left.line).cmp(&(!right.fault, &right.path, right.line))
    });
    for finding in &findings {
        println!("{finding}");
    }
    let faults = findings.iter().filter(|finding| finding.fault).count();
    let remarks = findings.len() - faults;
    println!(
        "tidy: {} files, {faults} faults, {remarks} remarks",
        files.len()
    );
    Ok(if faults == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

impl Finding {
    fn fault(path: &str, line: Option<usize>, message: impl Into<String>) -> Self {
        Self {
            fault: true,
            path: path.to_owned(),
            line,
            message: message.into(),
        }
    }

    fn remark(path: &str, message: impl Into<String>) -> Self {
        Self {
            fault: false,
            path: path.to_owned(),
            line: None,
            message: message.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.fault { "fault" } else { "remark" };
        write!(formatter, "{kind}: {}", self.path)?;
        if let Some(line) = self.line {
            write!(formatter, ":{line}")?;
        }
        write!(formatter, ": {}", self.message)
    }
}

/// All files that git tracks or would add.
async fn files(workspace: &Workspace) -> Result<Vec<SourceFile>, TidyError> {
    let mut list = Command::new("git");
    list.current_dir(&workspace.root);
    list.args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]);
    let listed = process::read(&mut list).await?;
    let mut paths: Vec<&str> = listed.split('\0').filter(|path| !path.is_empty()).collect();
    paths.sort_unstable();
    paths.dedup();
    let mut files = Vec::new();
    for path in paths {
        match fs::read(workspace.root.join(path)) {
            Ok(bytes) => files.push(SourceFile {
                path: path.to_owned(),
                text: String::from_utf8(bytes).ok(),
            }),
            // Deleted and not yet staged, or a link to a directory.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::IsADirectory
                ) => {}
            Err(source) => {
                return Err(TidyError::Read {
                    path: path.into(),
                    source,
                });
            }
        }
    }
    Ok(files)
}
