//! What both sides were after the last sync: `.alkhub-sync.json` in the directory. The hub makes
//! the hashes and compares them; here they are only kept.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::failure::Failure;

/// Name of the file; it is no task file, so neither sync nor import takes it for one.
pub(super) const NAME: &str = ".alkhub-sync.json";

/// Hashes of the last sync with a project.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Baseline {
    /// The project; none before the first sync.
    project_id: Option<String>,
    /// By path of the file.
    files: BTreeMap<String, String>,
}

impl Baseline {
    /// The baseline of that directory; an empty one when there is none.
    pub(super) fn read(directory: &Path) -> Result<Baseline, Failure> {
        let path = directory.join(NAME);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(problem) if problem.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Baseline::default());
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
                "{} is damaged: {problem}; remove it to compare all files anew",
                path.display()
            ))
        })
    }

    /// The same, when it is one of that project.
    pub(super) fn of(mut self, project: &str, directory: &Path) -> Result<Baseline, Failure> {
        let before = self.project_id.get_or_insert_with(|| project.to_owned());
        if *before == project {
            return Ok(self);
        }
        Err(Failure::Local(format!(
            "{} was last synced with another project ({before}); remove {NAME} in it to sync it with this one",
            directory.display()
        )))
    }

    /// Hashes by path of the file.
    pub(super) fn files(&self) -> &BTreeMap<String, String> {
        &self.files
    }

    /// That of the same project with the hashes of an answer.
    pub(super) fn with(&self, report: &Value) -> Result<Baseline, Failure> {
        let files = report.get("baseline").cloned().unwrap_or_default();
        let files = serde_json::from_value(files).map_err(|problem| {
            Failure::Local(format!("the hub's answer has no baseline: {problem}"))
        })?;
        Ok(Baseline {
            project_id: self.project_id.clone(),
            files,
        })
    }

    /// Forgets that `path` was written; `old`, which it would have replaced, is as it was before.
    pub(super) fn take_back(&mut self, path: &str, old: &str, before: &Baseline) {
        self.files.remove(path);
        if let Some(hash) = before.files.get(old) {
            self.files.insert(old.to_owned(), hash.clone());
        }
    }

    /// The text of the file.
    pub(super) fn text(&self) -> Result<String, Failure> {
        serde_json::to_string_pretty(self)
            .map(|text| format!("{text}\n"))
            .map_err(|problem| Failure::Local(problem.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_not_synced_with_another_project_by_mistake() {
        let directory = tempfile::tempdir().unwrap();
        let first = Baseline::read(directory.path()).unwrap();
        let first = first.of("one", directory.path()).unwrap();
        std::fs::write(directory.path().join(NAME), first.text().unwrap()).unwrap();
        let again = Baseline::read(directory.path()).unwrap();
        assert!(again.clone().of("one", directory.path()).is_ok());
        assert!(again.of("two", directory.path()).is_err());
    }

    #[test]
    fn what_was_not_written_is_as_it_was_before() {
        let of = |files: &[(&str, &str)]| Baseline {
            project_id: None,
            files: files
                .iter()
                .map(|(path, hash)| ((*path).to_owned(), (*hash).to_owned()))
                .collect(),
        };
        let before = of(&[("old.md", "1")]);
        let mut after = of(&[("new.md", "2"), ("other.md", "3")]);
        after.take_back("new.md", "old.md", &before);
        assert_eq!(after, of(&[("old.md", "1"), ("other.md", "3")]));
    }
}
