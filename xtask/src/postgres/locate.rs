//! Finding the server's programs, or installing them where that is allowed.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use tokio::process::Command;

use crate::process::{self, ProcessError};

/// The oldest major version that the hub supports.
const OLDEST: u32 = 14;

/// Where Debian keeps one directory a major version.
const DEBIAN: &str = "/usr/lib/postgresql";

/// Directories of other systems' packages, tried last.
const OTHERS: [&str; 4] = [
    "/usr/local/bin",
    "/usr/local/pgsql/bin",
    "/usr/pgsql/bin",
    "/opt/homebrew/bin",
];

/// The programs of one PostgreSQL release.
#[derive(Debug, Clone)]
pub(crate) struct Installation {
    /// The directory of `initdb`, `postgres` and `pg_ctl`.
    pub(crate) bin: PathBuf,
    /// What `postgres --version` says, such as `15.18 (Debian 15.18-0+deb12u1)`.
    pub(crate) version: String,
}

/// Why there is no usable PostgreSQL.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LocateError {
    /// Nothing was found, and it could not be installed from here.
    #[error(
        "PostgreSQL {OLDEST} or newer is needed and was not found on the path, in {DEBIAN} or in \
         {}.{} Install it (Debian, Ubuntu: `apt-get install postgresql`; Fedora: `dnf install \
         postgresql-server`; macOS: `brew install postgresql`) or call this command as root on a \
         system with apt, which then installs it",
        OTHERS.join(", "),
        old(.too_old)
    )]
    Missing {
        /// Versions that were found and are older than supported.
        too_old: Vec<String>,
    },
    /// The installation was tried and failed.
    #[error("could not install PostgreSQL with apt")]
    Install(#[source] ProcessError),
    /// A program was found and does not work.
    #[error("the PostgreSQL in {bin} does not work")]
    Broken {
        /// Its directory.
        bin: PathBuf,
        /// How it failed.
        #[source]
        source: ProcessError,
    },
    /// A directory could not be read.
    #[error("cannot read {path}")]
    Read {
        /// The directory.
        path: PathBuf,
        /// What the system answered.
        #[source]
        source: io::Error,
    },
}

impl Installation {
    /// The first supported PostgreSQL of this machine; where there is none and we may, Debian's
    /// package `postgresql` is installed.
    pub(crate) async fn find_or_install() -> Result<Self, LocateError> {
        match Self::find().await {
            Err(LocateError::Missing { .. })
                if process::is_root() && process::find("apt-get").is_some() =>
            {
                eprintln!(
                    "xtask: no PostgreSQL {OLDEST} or newer here: installing Debian's package"
                );
                install().await.map_err(LocateError::Install)?;
                Self::find().await
            }
            found => found,
        }
    }

    /// The path of one of the release's programs.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    async fn find() -> Result<Self, LocateError> {
        let mut too_old = Vec::new();
        for bin in candidates()? {
            let version = process::read(Command::new(bin.join("postgres")).arg("--version"))
                .await
                .map_err(|source| LocateError::Broken {
                    bin: bin.clone(),
                    source,
                })?;
            let version = version
                .trim()
                .trim_start_matches("postgres (PostgreSQL) ")
                .to_owned();
            if major(&version).is_some_and(|major| major >= OLDEST) {
                return Ok(Self { bin, version });
            }
            too_old.push(version);
        }
        Err(LocateError::Missing { too_old })
    }
}

async fn install() -> Result<(), ProcessError> {
    process::run(Command::new("apt-get").arg("update")).await?;
    let mut command = Command::new("apt-get");
    command.args(["install", "--yes", "--no-install-recommends", "postgresql"]);
    command.env("DEBIAN_FRONTEND", "noninteractive");
    process::run(&mut command).await
}

/// Directories with a whole server, links resolved (so that a link in a directory of the path leads
/// to its siblings), best first and each once.
fn candidates() -> Result<Vec<PathBuf>, LocateError> {
    let mut directories: Vec<PathBuf> = env::var_os("PATH")
        .map(|path| env::split_paths(&path).collect())
        .unwrap_or_default();
    directories.extend(debian_directories()?);
    directories.extend(OTHERS.map(PathBuf::from));
    let mut found = Vec::new();
    for directory in directories {
        let Ok(program) = fs::canonicalize(directory.join("initdb")) else {
            continue;
        };
        let Some(bin) = program.parent() else {
            continue;
        };
        let whole = ["initdb", "postgres", "pg_ctl"]
            .iter()
            .all(|name| bin.join(name).is_file());
        if whole && !found.iter().any(|known| known == bin) {
            found.push(bin.to_path_buf());
        }
    }
    Ok(found)
}

/// Debian's directories, the newest version first.
fn debian_directories() -> Result<Vec<PathBuf>, LocateError> {
    let read = |source| LocateError::Read {
        path: DEBIAN.into(),
        source,
    };
    if !Path::new(DEBIAN).is_dir() {
        return Ok(Vec::new());
    }
    let mut versions = Vec::new();
    for entry in fs::read_dir(DEBIAN).map_err(read)? {
        let path = entry.map_err(read)?.path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(major);
        versions.extend(name.map(|version| (version, path.join("bin"))));
    }
    versions.sort_by(|left, right| right.cmp(left));
    Ok(versions.into_iter().map(|(_, path)| path).collect())
}

fn major(version: &str) -> Option<u32> {
    let digits = version
        .split(|character: char| !character.is_ascii_digit())
        .next()?;
    digits.parse().ok()
}

fn old(versions: &[String]) -> String {
    if versions.is_empty() {
        String::new()
    } else {
        format!(" Too old: {}.", versions.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn major_version_is_read_from_every_form() {
        assert_eq!(major("15.18 (Debian 15.18-0+deb12u1)"), Some(15));
        assert_eq!(major("18beta1"), Some(18));
        assert_eq!(major("devel"), None);
    }

    #[test]
    fn missing_server_says_how_to_get_it() {
        let text = LocateError::Missing {
            too_old: vec!["9.6".to_owned()],
        }
        .to_string();
        assert!(text.contains("apt-get install postgresql"), "{text}");
        assert!(text.contains("Too old: 9.6."), "{text}");
    }
}
