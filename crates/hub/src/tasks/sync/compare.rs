//! The two sides of each task held against what they were.

use std::collections::{BTreeMap, HashMap};

use sha2::{Digest, Sha256};

use crate::tasks::export::TaskText;
use crate::tasks::import::SourceText;
use crate::tasks::import::batch::Batch;
use crate::tasks::{file, notes, places};

/// What is to happen to a task.
#[derive(Debug, PartialEq)]
pub(super) enum Outcome {
    /// Both sides are the same.
    Same(Side),
    /// The file goes into the project.
    ToDb(Side),
    /// The row is written to a file; `file` is where its file lies now.
    ToFile {
        path: String,
        text: String,
        file: Option<String>,
    },
    /// Both changed.
    Conflict { path: String, reason: &'static str },
}

/// A file as it is compared.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Side {
    pub(super) path: String,
    pub(super) hash: String,
}

/// The files and the rows of a project.
pub(super) struct Sides {
    files: HashMap<String, Side>,
    rows: HashMap<String, TaskText>,
}

impl Sides {
    /// Pairs files and rows by the id of the task.
    pub(super) fn new(batch: &Batch, sources: &[SourceText], rows: Vec<TaskText>) -> Self {
        let side = |task: &crate::tasks::import::batch::BatchTask| {
            let path = sources
                .get(task.source)
                .map(|source| source.path.clone())
                .unwrap_or_default();
            let text = file::canonical(&task.file, task.body(sources));
            (
                task.file.task.slug.clone(),
                Side {
                    path,
                    hash: hash(&text),
                },
            )
        };
        Self {
            files: batch.tasks.iter().map(side).collect(),
            rows: rows
                .into_iter()
                .map(|row| (row.slug.clone(), row))
                .collect(),
        }
    }

    /// What is to happen to each task of either side, by slug.
    pub(super) fn outcomes(
        mut self,
        baseline: &BTreeMap<String, String>,
    ) -> Vec<(String, Outcome)> {
        let mut outcomes = Vec::with_capacity(self.files.len().max(self.rows.len()));
        for (slug, file) in self.files {
            let outcome = match self.rows.remove(&slug) {
                Some(row) => both(file, row, baseline),
                None => file_alone(file, baseline),
            };
            outcomes.push((slug, outcome));
        }
        for (slug, row) in self.rows {
            let outcome = row_alone(row, baseline);
            outcomes.push((slug, outcome));
        }
        outcomes
    }
}

/// SHA-256 of a text as far as syncs compare it, in hexadecimal digits.
pub(super) fn hash(text: &str) -> String {
    let digest = Sha256::digest(notes::split(text).0.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn both(file: Side, row: TaskText, baseline: &BTreeMap<String, String>) -> Outcome {
    let now = hash(&row.text);
    let same_place = same_place(&file.path, &row.path);
    if now == file.hash && same_place {
        return Outcome::Same(file);
    }
    let row_path = if same_place { &file.path } else { &row.path };
    let file_as_before = baseline.get(&file.path) == Some(&file.hash);
    let row_as_before = baseline.get(row_path) == Some(&now);
    match (file_as_before, row_as_before) {
        (true, false) => {
            // A file may be called `A.MD`; it stays where it is.
            let path = if same_place {
                file.path.clone()
            } else {
                row.path
            };
            Outcome::ToFile {
                path,
                text: row.text,
                file: Some(file.path),
            }
        }
        (false, true) => Outcome::ToDb(file),
        (true, true) => Outcome::Conflict {
            path: file.path,
            reason: "two files were this task at the last sync",
        },
        (false, false) if baseline.contains_key(&file.path) || baseline.contains_key(row_path) => {
            Outcome::Conflict {
                path: file.path,
                reason: "file and task both changed",
            }
        }
        (false, false) => Outcome::Conflict {
            path: file.path,
            reason: "file and task differ, and were never synced",
        },
    }
}

fn file_alone(file: Side, baseline: &BTreeMap<String, String>) -> Outcome {
    if baseline.contains_key(&file.path) {
        let reason = "the task is gone, its file is not";
        return Outcome::Conflict {
            path: file.path,
            reason,
        };
    }
    Outcome::ToDb(file)
}

fn row_alone(row: TaskText, baseline: &BTreeMap<String, String>) -> Outcome {
    if baseline.contains_key(&row.path) {
        let reason = "the file is gone, its task is not";
        return Outcome::Conflict {
            path: row.path,
            reason,
        };
    }
    Outcome::ToFile {
        path: row.path,
        text: row.text,
        file: None,
    }
}

fn same_place(file: &str, row: &str) -> bool {
    places::of_file(file) == places::of_file(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(path: &str, text: &str) -> TaskText {
        TaskText {
            slug: "a".to_owned(),
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    fn file(path: &str, text: &str) -> Side {
        Side {
            path: path.to_owned(),
            hash: hash(text),
        }
    }

    fn baseline(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
        entries
            .iter()
            .map(|(path, text)| ((*path).to_owned(), hash(text)))
            .collect()
    }

    fn word(outcome: &Outcome) -> &'static str {
        match outcome {
            Outcome::Same(_) => "same",
            Outcome::ToDb(_) => "to db",
            Outcome::ToFile { .. } => "to file",
            Outcome::Conflict { .. } => "conflict",
        }
    }

    #[test]
    fn whoever_differs_from_the_baseline_alone_has_changed() {
        for (file_text, row_text, before, expected) in [
            ("x", "x", None, "same"),
            ("x", "x\n<!-- notes -->\nn", None, "same"),
            ("x", "y", None, "conflict"),
            ("new", "old", Some("old"), "to db"),
            ("old", "new", Some("old"), "to file"),
            ("new", "newer", Some("old"), "conflict"),
        ] {
            let known: Vec<(&str, &str)> = before.map(|text| ("a.md", text)).into_iter().collect();
            let found = both(
                file("a.md", file_text),
                row("a.md", row_text),
                &baseline(&known),
            );
            assert_eq!(word(&found), expected, "{file_text} {row_text} {before:?}");
        }
    }

    #[test]
    fn a_moved_file_is_still_the_file_of_its_task() {
        let known = baseline(&[("old.md", "x")]);
        let moved = both(file("new.md", "x"), row("old.md", "x"), &known);
        assert_eq!(word(&moved), "to db");
        let moved = both(file("old.md", "x"), row("new.md", "x"), &known);
        let Outcome::ToFile { path, file, .. } = moved else {
            panic!("{moved:?}")
        };
        assert_eq!((path.as_str(), file.as_deref()), ("new.md", Some("old.md")));
    }

    #[test]
    fn what_vanished_since_the_last_sync_is_a_conflict() {
        let known = baseline(&[("a.md", "x")]);
        assert_eq!(word(&file_alone(file("a.md", "x"), &known)), "conflict");
        assert_eq!(word(&row_alone(row("a.md", "x"), &known)), "conflict");
        assert_eq!(
            word(&file_alone(file("a.md", "x"), &BTreeMap::new())),
            "to db"
        );
        assert_eq!(
            word(&row_alone(row("a.md", "x"), &BTreeMap::new())),
            "to file"
        );
    }
}
