//! Rivals, installed by name and version into `bench/peers/installed`, which git ignores.

use std::fs;
use std::path::PathBuf;

use tokio::process::Command;

use super::BenchError;
use crate::process::{self, ProcessError};
use crate::workspace::Workspace;

/// A rival that comes as an npm package.
#[derive(Debug, Clone, Copy)]
pub(super) struct NpmPeer {
    /// The package.
    pub(super) package: &'static str,
    /// The exact version, so that figures of two days can be compared.
    pub(super) version: &'static str,
    /// The file in `node_modules` that the bench needs, `{arch}` for the processor as npm names it.
    pub(super) file: &'static str,
}

/// The path of the rival's file, or why it cannot be had.
pub(super) async fn install(
    workspace: &Workspace,
    peer: &NpmPeer,
) -> Result<Result<PathBuf, String>, BenchError> {
    let Some(npm) = process::find("npm") else {
        return Ok(Err("npm is not installed".to_owned()));
    };
    let name = format!(
        "{}-{}",
        peer.package.replace(['@', '/'], "-").trim_matches('-'),
        peer.version
    );
    let directory = workspace.root.join("bench/peers/installed").join(name);
    let file = directory
        .join("node_modules")
        .join(peer.file.replace("{arch}", architecture()));
    if !file.is_file() {
        fs::create_dir_all(&directory).map_err(|source| BenchError::File {
            path: directory.clone(),
            source,
        })?;
        println!("    installing {} {}", peer.package, peer.version);
        let mut install = Command::new(npm);
        // No scripts: what these packages run is the binary inside the package.
        install.args([
            "install",
            "--no-save",
            "--no-package-lock",
            "--no-audit",
            "--no-fund",
        ]);
        install
            .args(["--ignore-scripts", "--prefix"])
            .arg(&directory);
        install.arg(format!("{}@{}", peer.package, peer.version));
        match process::read(&mut install).await {
            Ok(_) => {}
            Err(error @ ProcessError::Failed { .. }) => {
                return Ok(Err(format!("cannot be installed: {error}")));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(if file.is_file() {
        Ok(file)
    } else {
        Err(format!("has no {} for this machine", peer.file))
    })
}

fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => other,
    }
}
