//! Where the repository stands, and where its builds go.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::{env, io};

use tokio::process::Command;

/// The repository that this command was called in.
#[derive(Debug, Clone)]
pub(crate) struct Workspace {
    /// The directory with the workspace's `Cargo.toml`.
    pub(crate) root: PathBuf,
    /// Cargo's target directory.
    pub(crate) target: PathBuf,
}

/// Why the repository could not be found.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorkspaceError {
    /// The process has no usable working directory.
    #[error("cannot read the working directory")]
    NoDirectory(#[source] io::Error),
    /// No directory above holds this workspace.
    #[error("{0} is not inside the alkhub repository: call `cargo xtask` from there")]
    Outside(PathBuf),
}

impl Workspace {
    /// The workspace around the working directory.
    pub(crate) fn find() -> Result<Self, WorkspaceError> {
        let here = env::current_dir().map_err(WorkspaceError::NoDirectory)?;
        let root = here
            .ancestors()
            .find(|directory| directory.join("xtask/Cargo.toml").is_file())
            .ok_or_else(|| WorkspaceError::Outside(here.clone()))?
            .to_path_buf();
        let target = env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| root.join("target"), |set| root.join(set));
        Ok(Self { root, target })
    }

    /// The cargo that called us (else the one on the path), in the repository's root.
    pub(crate) fn cargo(&self) -> Command {
        let program = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        // `cargo run` sets these for us alone; passed on they would make cargo build again what
        // depends on them.
        for (name, _) in env::vars_os() {
            if is_set_by_cargo_run(&name) {
                command.env_remove(name);
            }
        }
        command
    }

    /// The binary `alkhub` as built with the profile whose directory is named.
    pub(crate) fn binary(&self, profile_directory: &str) -> PathBuf {
        self.target.join(profile_directory).join("alkhub")
    }

    /// Files that commands leave for a reader, such as server logs.
    pub(crate) fn output(&self) -> PathBuf {
        self.target.join("xtask")
    }

    /// The path as seen from the repository's root, for messages.
    pub(crate) fn relative<'path>(&self, path: &'path Path) -> &'path Path {
        path.strip_prefix(&self.root).unwrap_or(path)
    }
}

fn is_set_by_cargo_run(name: &std::ffi::OsStr) -> bool {
    name.to_str().is_some_and(|name| {
        name.starts_with("CARGO_PKG_")
            || name.starts_with("CARGO_MANIFEST_")
            || matches!(
                name,
                "CARGO_BIN_NAME" | "CARGO_CRATE_NAME" | "CARGO_PRIMARY_PACKAGE" | "OUT_DIR"
            )
    })
}
