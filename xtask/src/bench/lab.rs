//! What a bench works with: the binary, a directory, rivals, and the record of what was missing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use tokio::process::Command;

use super::BenchError;
use super::peers::{self, DebianPeer, NpmPeer, NpmSet, PythonPeer};
use crate::process;
use crate::workspace::Workspace;

/// Why a rival is missing when nobody wanted it.
const NOT_ASKED_FOR: &str = "not asked for (--peers)";

/// The surroundings of one bench; its directory goes when it is dropped.
#[derive(Debug)]
pub(super) struct Lab {
    /// The repository.
    pub(super) workspace: Workspace,
    /// The hub's binary.
    pub(super) binary: PathBuf,
    /// Whether this is only a try.
    pub(super) quick: bool,
    /// Versions of all that takes part, for the report.
    pub(super) versions: BTreeMap<String, String>,
    /// Rivals that do not take part.
    pub(super) missing: Vec<Missing>,
    peers: bool,
    directory: TempDir,
}

/// A rival that does not take part, and why.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Missing {
    pub(super) rival: String,
    pub(super) reason: String,
}

impl Lab {
    pub(super) fn new(
        workspace: &Workspace,
        binary: &Path,
        peers: bool,
        quick: bool,
    ) -> Result<Self, BenchError> {
        let directory = tempfile::Builder::new()
            .prefix("alkhub-bench-")
            .tempdir()
            .map_err(|source| BenchError::File {
                path: std::env::temp_dir(),
                source,
            })?;
        Ok(Self {
            workspace: workspace.clone(),
            binary: binary.to_path_buf(),
            quick,
            versions: BTreeMap::new(),
            missing: Vec::new(),
            peers,
            directory,
        })
    }

    /// A new directory of that name for this bench alone.
    pub(super) fn directory(&self, name: &str) -> Result<PathBuf, BenchError> {
        let path = self.directory.path().join(name);
        match std::fs::create_dir(&path) {
            Ok(()) => Ok(path),
            Err(source) => Err(BenchError::File { path, source }),
        }
    }

    /// The number of rounds: the full one, or three for a try.
    pub(super) fn rounds(&self, full: usize) -> usize {
        if self.quick { full.min(3) } else { full }
    }

    /// The file of an npm package, installed when rivals are wanted. `None` is recorded as missing,
    /// with the reason.
    pub(super) async fn npm(&mut self, peer: &NpmPeer) -> Result<Option<PathBuf>, BenchError> {
        let installed = match self.peers {
            true => peers::install(&self.workspace, peer).await?,
            false => Err(NOT_ASKED_FOR.to_owned()),
        };
        Ok(self.found(peer.package, installed, [(peer.package, peer.version)]))
    }

    /// The directory of a rival made of several npm packages. `None` is recorded as missing.
    pub(super) async fn npm_set(&mut self, set: &NpmSet) -> Result<Option<PathBuf>, BenchError> {
        let installed = match self.peers {
            true => peers::install_set(&self.workspace, set).await?,
            false => Err(NOT_ASKED_FOR.to_owned()),
        };
        Ok(self.found(set.name, installed, set.packages.iter().copied()))
    }

    /// The file of a Debian package. `None` is recorded as missing.
    pub(super) async fn debian(
        &mut self,
        peer: &DebianPeer,
    ) -> Result<Option<PathBuf>, BenchError> {
        let installed = match self.peers {
            true => peers::unpack_debian(&self.workspace, peer).await?,
            false => Err(NOT_ASKED_FOR.to_owned()),
        };
        Ok(self.found(peer.package, installed, []))
    }

    /// The file of a Python package. `None` is recorded as missing.
    pub(super) async fn python(
        &mut self,
        peer: &PythonPeer,
    ) -> Result<Option<PathBuf>, BenchError> {
        let installed = match self.peers {
            true => peers::install_python(&self.workspace, peer).await?,
            false => Err(NOT_ASKED_FOR.to_owned()),
        };
        Ok(self.found(peer.package, installed, [(peer.package, peer.version)]))
    }

    /// Where a rival is, with its versions noted, or a note why it is missing.
    fn found(
        &mut self,
        rival: &str,
        installed: Result<PathBuf, String>,
        versions: impl IntoIterator<Item = (&'static str, &'static str)>,
    ) -> Option<PathBuf> {
        match installed {
            Ok(place) => {
                let versions = versions.into_iter();
                self.versions
                    .extend(versions.map(|(name, version)| (name.to_owned(), version.to_owned())));
                Some(place)
            }
            Err(reason) => {
                self.miss(rival, &reason);
                None
            }
        }
    }

    /// The program `node` for a rival written in JavaScript. `None` is recorded as missing.
    pub(super) async fn node(&mut self, rival: &str) -> Result<Option<PathBuf>, BenchError> {
        let Some(node) = process::find("node") else {
            self.miss(rival, "node is not installed");
            return Ok(None);
        };
        let version = process::read(Command::new(&node).arg("--version")).await?;
        self.versions
            .insert("node".to_owned(), version.trim().to_owned());
        Ok(Some(node))
    }

    /// Records that something is not measured, and why.
    pub(super) fn miss(&mut self, rival: &str, reason: &str) {
        self.missing.push(Missing {
            rival: rival.to_owned(),
            reason: reason.to_owned(),
        });
    }
}
