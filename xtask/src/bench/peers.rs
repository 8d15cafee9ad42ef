//! Rivals, installed by name and version into `bench/peers/installed`, which git ignores.

use std::fs;
use std::path::{Path, PathBuf};

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

/// A rival that is built from several npm packages, which stand in one directory.
#[derive(Debug, Clone, Copy)]
pub(super) struct NpmSet {
    /// The name of the directory.
    pub(super) name: &'static str,
    /// Packages with their exact versions.
    pub(super) packages: &'static [(&'static str, &'static str)],
}

/// A rival that comes as a Debian package; it is unpacked, not installed.
#[derive(Debug, Clone, Copy)]
pub(super) struct DebianPeer {
    /// The package.
    pub(super) package: &'static str,
    /// The file that the bench needs, from the root.
    pub(super) file: &'static str,
}

/// A rival that comes as a Python package, installed into an environment of its own.
#[derive(Debug, Clone, Copy)]
pub(super) struct PythonPeer {
    /// The package.
    pub(super) package: &'static str,
    /// The exact version.
    pub(super) version: &'static str,
    /// The file in the environment that the bench needs.
    pub(super) file: &'static str,
}

/// The path of the rival's file, or why it cannot be had.
pub(super) async fn install_python(
    workspace: &Workspace,
    peer: &PythonPeer,
) -> Result<Result<PathBuf, String>, BenchError> {
    let Some(python) = process::find("python3") else {
        return Ok(Err("python3 is not installed".to_owned()));
    };
    let directory = workspace
        .root
        .join("bench/peers/installed")
        .join(format!("{}-{}", peer.package, peer.version));
    let file = directory.join(peer.file);
    if file.is_file() {
        return Ok(Ok(file));
    }
    println!("    installing {} {}", peer.package, peer.version);
    let mut environment = Command::new(python);
    environment.args(["-m", "venv"]).arg(&directory);
    let mut install = Command::new(directory.join("bin/pip"));
    install
        .args(["install", "--quiet"])
        .arg(format!("{}=={}", peer.package, peer.version));
    for command in [&mut environment, &mut install] {
        match process::read(command).await {
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
        Err(format!("has no {}", peer.file))
    })
}

/// The directory with the set's `node_modules`, or why it cannot be had.
pub(super) async fn install_set(
    workspace: &Workspace,
    set: &NpmSet,
) -> Result<Result<PathBuf, String>, BenchError> {
    let directory = workspace.root.join("bench/peers/installed").join(set.name);
    let modules = directory.join("node_modules");
    let is_there = || {
        let there = |(package, _): &(&str, &str)| modules.join(package).is_dir();
        set.packages.iter().all(there)
    };
    if !is_there() {
        let names: Vec<String> = set
            .packages
            .iter()
            .map(|(package, version)| format!("{package}@{version}"))
            .collect();
        if let Err(reason) = npm_install(&directory, &names).await? {
            return Ok(Err(reason));
        }
    }
    Ok(Ok(directory))
}

/// The path of the rival's file, or why it cannot be had.
pub(super) async fn unpack_debian(
    workspace: &Workspace,
    peer: &DebianPeer,
) -> Result<Result<PathBuf, String>, BenchError> {
    let directory = workspace
        .root
        .join("bench/peers/installed")
        .join(format!("debian-{}", peer.package));
    let file = directory.join(peer.file);
    if file.is_file() {
        return Ok(Ok(file));
    }
    for program in ["apt-get", "dpkg-deb"] {
        if process::find(program).is_none() {
            return Ok(Err(format!("{program} is not installed")));
        }
    }
    fs::create_dir_all(&directory).map_err(|source| BenchError::File {
        path: directory.clone(),
        source,
    })?;
    println!("    unpacking {}", peer.package);
    let script = format!(
        "apt-get download {0} && dpkg-deb -x {0}_*.deb .",
        peer.package
    );
    let mut unpack = Command::new("sh");
    unpack.args(["-c", &script]).current_dir(&directory);
    match process::read(&mut unpack).await {
        Ok(_) if file.is_file() => Ok(Ok(file)),
        Ok(_) => Ok(Err(format!("has no {}", peer.file))),
        Err(error @ ProcessError::Failed { .. }) => {
            Ok(Err(format!("cannot be downloaded: {error}")))
        }
        Err(error) => Err(error.into()),
    }
}

/// The path of the rival's file, or why it cannot be had.
pub(super) async fn install(
    workspace: &Workspace,
    peer: &NpmPeer,
) -> Result<Result<PathBuf, String>, BenchError> {
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
        let package = format!("{}@{}", peer.package, peer.version);
        if let Err(reason) = npm_install(&directory, &[package]).await? {
            return Ok(Err(reason));
        }
    }
    Ok(if file.is_file() {
        Ok(file)
    } else {
        Err(format!("has no {} for this machine", peer.file))
    })
}

/// Installs packages into a directory, or tells why that is not possible.
async fn npm_install(
    directory: &Path,
    packages: &[String],
) -> Result<Result<(), String>, BenchError> {
    let Some(npm) = process::find("npm") else {
        return Ok(Err("npm is not installed".to_owned()));
    };
    fs::create_dir_all(directory).map_err(|source| BenchError::File {
        path: directory.to_path_buf(),
        source,
    })?;
    println!("    installing {}", packages.join(" "));
    let mut install = Command::new(npm);
    // No scripts: what these packages run is the binary or the library inside the package.
    install.args([
        "install",
        "--no-save",
        "--no-package-lock",
        "--no-audit",
        "--no-fund",
    ]);
    install
        .args(["--ignore-scripts", "--prefix"])
        .arg(directory)
        .args(packages);
    match process::read(&mut install).await {
        Ok(_) => Ok(Ok(())),
        Err(error @ ProcessError::Failed { .. }) => {
            Ok(Err(format!("cannot be installed: {error}")))
        }
        Err(error) => Err(error.into()),
    }
}

fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => other,
    }
}
