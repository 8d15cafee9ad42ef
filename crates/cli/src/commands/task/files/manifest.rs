//! What the last export wrote: `.alkhub-export.json` in the directory of the export. By it the
//! next export knows its own files from those somebody changed.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::failure::Failure;

/// Name of the file; it is no task file, so an import does not see it.
pub(super) const NAME: &str = ".alkhub-export.json";

/// SHA-256 of the text of each file as it was written.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    files: BTreeMap<String, String>,
}

impl Manifest {
    /// The manifest of that directory; an empty one when there is none.
    pub(super) fn read(directory: &Path) -> Result<Manifest, Failure> {
        let path = directory.join(NAME);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(problem) if problem.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Manifest::default());
            }
            Err(problem) => {
                return Err(Failure::Local(format!(
                    "cannot read {}: {problem}",
                    path.display()
                )));
            }
        };
        serde_json::from_str(&text).map_err(|problem| {
            Failure::Local(format!(
                "{} is damaged: {problem}; remove it",
                path.display()
            ))
        })
    }

    /// Whether the file on the disk is what an export wrote.
    pub(super) fn wrote(&self, path: &str, on_disk: &[u8]) -> bool {
        self.files
            .get(path)
            .is_some_and(|hash| *hash == hash_of(on_disk))
    }

    /// Remembers what was written.
    pub(super) fn remember(&mut self, path: &str, text: &str) {
        self.files.insert(path.to_owned(), hash_of(text.as_bytes()));
    }

    /// The text of the file.
    pub(super) fn text(&self) -> Result<String, Failure> {
        serde_json::to_string_pretty(self)
            .map(|text| format!("{text}\n"))
            .map_err(|problem| Failure::Local(problem.to_string()))
    }
}

fn hash_of(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
