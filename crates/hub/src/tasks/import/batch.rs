//! The files of an import, read and held against each other. Needs no rows.

use std::collections::HashMap;

use alkhub_operations::{CallError, ErrorCode};
use alkhub_storage::tasks::TaskFile;
use rayon::prelude::*;
use serde_json::json;

use super::{SkippedFile, SourceText};
use crate::tasks::file::{self, Fault, Read, ReadFile};

/// Faults told in one answer stay below this many bytes: details end at 4 MiB.
const MAX_FAULT_BYTES: usize = 3_900_000;

/// Longest message of a fault, in characters.
const MAX_MESSAGE: usize = 500;

/// Files that belong together, each fit to become a row.
#[derive(Debug, Default)]
pub(in crate::tasks) struct Batch {
    /// The tasks, in the order of the files.
    pub(in crate::tasks) tasks: Vec<BatchTask>,
    /// Files that are no task files.
    pub(in crate::tasks) skipped: Vec<SkippedFile>,
}

/// One task of a batch.
#[derive(Debug)]
pub(in crate::tasks) struct BatchTask {
    /// Place of its file in the input.
    pub(in crate::tasks) source: usize,
    /// What the file says.
    pub(in crate::tasks) file: ReadFile,
}

impl Batch {
    /// Reads all files, on all cores.
    ///
    /// # Errors
    /// `VALIDATION_ERROR` that lists every faulty file in `details.files`.
    pub(in crate::tasks) fn read(files: &[SourceText]) -> Result<Self, CallError> {
        let read: Vec<Read> = files
            .par_iter()
            .map(|source| file::read(&source.path, &source.text))
            .collect();
        let mut batch = Self::default();
        let mut faults = Vec::new();
        for (source, read) in read.into_iter().enumerate() {
            match read {
                Read::Task(file) => batch.tasks.push(BatchTask {
                    source,
                    file: *file,
                }),
                Read::NoTask(reason) => {
                    batch.skipped.push(SkippedFile {
                        path: files[source].path.clone(),
                        reason,
                    });
                }
                Read::Faulty(found) => faults.extend(found),
            }
        }
        faults.extend(twins(files, &batch.tasks));
        if faults.is_empty() {
            return Ok(batch);
        }
        faults.sort_by(|a, b| a.path.cmp(&b.path));
        Err(refusal(faults))
    }

    /// The tasks of these slugs alone.
    pub(in crate::tasks) fn only<T>(mut self, slugs: &HashMap<String, T>) -> Self {
        self.tasks
            .retain(|task| slugs.contains_key(&task.file.task.slug));
        self
    }

    /// What the files say, their bodies, and the files that say nothing.
    pub(in crate::tasks) fn into_tasks(
        self,
        files: &[SourceText],
    ) -> (Vec<TaskFile>, Bodies<'_>, Vec<SkippedFile>) {
        let places = self
            .tasks
            .iter()
            .map(|task| (task.source, task.file.body_start))
            .collect();
        let tasks = self.tasks.into_iter().map(|task| task.file.task).collect();
        (tasks, Bodies { files, places }, self.skipped)
    }
}

/// The bodies of files, cut out of the texts when they are asked for: an import holds megabytes of them.
#[derive(Debug)]
pub(in crate::tasks) struct Bodies<'a> {
    files: &'a [SourceText],
    /// Place of each task's file, and where the body begins in it.
    places: Vec<(usize, usize)>,
}

impl Bodies<'_> {
    /// The body of a task by its place in the batch; none when it is empty.
    pub(in crate::tasks) fn of(&self, task: usize) -> Option<String> {
        let (source, start) = self.places.get(task)?;
        let body = self.files.get(*source)?.text.get(*start..)?;
        (!body.is_empty()).then(|| body.to_owned())
    }
}

impl BatchTask {
    /// The body as the file has it.
    pub(in crate::tasks) fn body<'a>(&self, files: &'a [SourceText]) -> &'a str {
        let text = files
            .get(self.source)
            .map_or("", |source| source.text.as_str());
        text.get(self.file.body_start..).unwrap_or_default()
    }
}

/// Files that claim one id, and paths that are given twice: each of them is told.
fn twins(files: &[SourceText], tasks: &[BatchTask]) -> Vec<Fault> {
    let mut by_id: HashMap<&str, Vec<usize>> = HashMap::with_capacity(tasks.len());
    for task in tasks {
        by_id
            .entry(&task.file.task.slug)
            .or_default()
            .push(task.source);
    }
    let mut by_path: HashMap<&str, usize> = HashMap::with_capacity(files.len());
    for source in files {
        *by_path.entry(&source.path).or_default() += 1;
    }
    let mut faults = Vec::new();
    for (id, sources) in by_id.into_iter().filter(|(_, sources)| sources.len() > 1) {
        for (place, source) in sources.iter().enumerate() {
            let other = if place == 0 { sources[1] } else { sources[0] };
            let message = format!("the id \"{id}\" is also that of {}", files[other].path);
            faults.push(Fault::new(&files[*source].path, "id", message));
        }
    }
    for (path, times) in by_path.into_iter().filter(|(_, times)| *times > 1) {
        faults.push(Fault::new(
            path,
            "",
            format!("the path is given {times} times"),
        ));
    }
    faults
}

fn refusal(mut faults: Vec<Fault>) -> CallError {
    let mut bytes = 0;
    let mut told = 0;
    for fault in &mut faults {
        if let Some((end, _)) = fault.message.char_indices().nth(MAX_MESSAGE) {
            fault.message.truncate(end);
        }
        bytes += json!(fault).to_string().len() + 1;
        if bytes > MAX_FAULT_BYTES {
            break;
        }
        told += 1;
    }
    let omitted = faults.len() - told;
    faults.truncate(told);
    let mut paths: Vec<&str> = faults.iter().map(|fault| fault.path.as_str()).collect();
    paths.dedup();
    let message = match paths.as_slice() {
        [only] => format!("{only} is faulty; nothing was changed"),
        _ => format!("{} files are faulty; nothing was changed", paths.len()),
    };
    let error = CallError::new(ErrorCode::VALIDATION_ERROR, message)
        .with_details(json!({ "files": faults }));
    if omitted == 0 {
        error
    } else {
        error.with_detail("omitted", omitted)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn source(path: &str, text: &str) -> SourceText {
        SourceText {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    fn told(files: &[SourceText]) -> Vec<(String, String)> {
        let details = Batch::read(files).unwrap_err().details.unwrap();
        let text = |fault: &Value, key: &str| fault[key].as_str().unwrap().to_owned();
        let faults = details["files"].as_array().unwrap().iter();
        faults
            .map(|fault| (text(fault, "path"), text(fault, "field")))
            .collect()
    }

    #[test]
    fn every_faulty_file_is_told_at_once() {
        let files = [
            source("good.md", "---\nid: g\nname: G\n---\n"),
            source("c.md", "---\nid: c\n---\n"),
            source("b.md", "---\nid: b\nname: [\n---\n"),
            source("a.md", "---\nid: a\nname: A\ndepends_on: [a]\n---\n"),
            source("t1.md", "---\nid: t\nname: T\n---\n"),
            source("t2.md", "---\nid: t\nname: T\n---\n"),
            source("..\\x.md", "---\nid: x\nname: X\n---\n"),
        ];
        let expected = [
            ("..\\x.md", ""),
            ("a.md", "dependsOn/0"),
            ("b.md", ""),
            ("c.md", "name"),
            ("t1.md", "id"),
            ("t2.md", "id"),
        ];
        let told = told(&files);
        let told: Vec<(&str, &str)> = told.iter().map(|(p, f)| (p.as_str(), f.as_str())).collect();
        assert_eq!(told, expected);
    }

    #[test]
    fn a_path_given_twice_is_refused_and_one_of_other_case_is_not() {
        let text = |id: &str| format!("---\nid: {id}\nname: N\n---\n");
        let twice = [source("a.md", &text("a")), source("a.md", &text("b"))];
        assert_eq!(told(&twice), [("a.md".to_owned(), String::new())]);
        let cases = [source("a.md", &text("a")), source("A.md", &text("b"))];
        assert_eq!(Batch::read(&cases).unwrap().tasks.len(), 2);
    }

    #[test]
    fn files_without_front_matter_are_skipped() {
        let batch = Batch::read(&[source("README.md", "# Tasks\n")]).unwrap();
        assert_eq!((batch.tasks.len(), batch.skipped.len()), (0, 1));
    }

    #[test]
    fn a_thousand_faulty_files_fit_into_one_answer() {
        let files: Vec<SourceText> = (0..20_000)
            .map(|n| source(&format!("{n}{}.md", "x".repeat(200)), "---\nid: 1\n---\n"))
            .collect();
        let details = Batch::read(&files).unwrap_err().details.unwrap();
        assert!(details.to_string().len() < 4 << 20);
        let told = details["files"].as_array().unwrap().len() as u64;
        assert_eq!(told + details["omitted"].as_u64().unwrap(), 20_000);
    }
}
