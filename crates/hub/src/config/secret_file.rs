//! Files that hold a secret: readable by their owner only.

use std::io;
use std::path::{Path, PathBuf};

/// Why a secret file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// It cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: io::Error,
    },
    /// Others than the owner may read or write it.
    #[error(
        "{} has mode {mode:04o}: others can read the secret in it; run `chmod 600 {}`",
        path.display(),
        path.display()
    )]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It holds nothing.
    #[error("{} is empty", .0.display())]
    Empty(PathBuf),
}

/// Reads the file and takes white space off both ends.
///
/// The mode must not let group or others in, except on a read-only mount, where nobody could
/// change it and where container platforms put secrets with wider modes.
///
/// # Errors
/// See [`SecretFileError`]; no variant holds the content.
pub fn read_secret_file(path: &Path) -> Result<String, SecretFileError> {
    let unreadable = |reason| SecretFileError::Unreadable {
        path: path.to_path_buf(),
        reason,
    };
    check_mode(path).map_err(|problem| match problem {
        ModeProblem::Unreadable(reason) => unreadable(reason),
        ModeProblem::TooOpen(mode) => SecretFileError::TooOpen {
            path: path.to_path_buf(),
            mode,
        },
    })?;
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    let secret = text.trim();
    if secret.is_empty() {
        return Err(SecretFileError::Empty(path.to_path_buf()));
    }
    Ok(secret.to_owned())
}

enum ModeProblem {
    Unreadable(io::Error),
    #[cfg_attr(not(unix), expect(dead_code, reason = "modes are a Unix notion"))]
    TooOpen(u32),
}

#[cfg(unix)]
fn check_mode(path: &Path) -> Result<(), ModeProblem> {
    use std::os::unix::fs::PermissionsExt;

    let metadata = std::fs::metadata(path).map_err(ModeProblem::Unreadable)?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let mount = rustix::fs::statvfs(path).map_err(|error| ModeProblem::Unreadable(error.into()))?;
    if mount.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY) {
        return Ok(());
    }
    Err(ModeProblem::TooOpen(mode))
}

#[cfg(not(unix))]
fn check_mode(path: &Path) -> Result<(), ModeProblem> {
    std::fs::metadata(path)
        .map(|_| ())
        .map_err(ModeProblem::Unreadable)
}
