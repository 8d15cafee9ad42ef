//! The tasks of a directory, and what is wrong with its files.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::PathBuf;

use alkhub_taskgraph::directory::{self, FileError};
use alkhub_taskgraph::{
    InvalidInput, InvalidReason, TaskGraph, TaskInput, TaskStatus, TaskgraphError, frontmatter,
};
use serde_json::{Value, json};

use super::progress::Bar;
use super::{Session, place};
use crate::failure::{Failure, Refusal};
use crate::output::Output;

/// The tasks of a directory in the order of their files. Of two tasks with one id the first is
/// kept.
pub(super) struct Set {
    pub(super) root: PathBuf,
    pub(super) tasks: Vec<TaskInput>,
    /// By task: its file, relative to the root.
    pub(super) paths: Vec<String>,
    /// Files that should be tasks and are not.
    pub(super) faults: Vec<FileFault>,
    /// Files without front matter: probably no task files.
    pub(super) skipped: Vec<String>,
    /// Tasks that were left out because an earlier one has their id, for analyses of the whole.
    pub(super) repeated: Vec<TaskInput>,
}

/// What is wrong with a file, as an error of the task graph.
pub(super) struct FileFault {
    pub(super) path: String,
    /// The reference's name for the kind of error.
    class: &'static str,
    line: Option<usize>,
    field: String,
    message: String,
}

impl Set {
    /// Reads the directory of the session. One that does not exist has no tasks.
    pub(super) fn load(session: &Session) -> Result<Self, Failure> {
        Self::read(place::directory(session.path.as_deref())?, &session.output)
    }

    pub(super) fn read(root: PathBuf, output: &Output) -> Result<Self, Failure> {
        // What is no key of a task is nobody's business here; a task without dependencies may
        // leave the key out.
        let options = frontmatter::Options::lenient();
        let bar = Bar::new(output, "reading task files");
        let files = match directory::read_tasks_telling(&root, &options, &|total| bar.step(total)) {
            Ok(files) => files,
            Err(problem) if problem.kind() == io::ErrorKind::NotFound => {
                output.hint(&format!("there is no directory {}", root.display()))?;
                Vec::new()
            }
            Err(problem) => {
                return Err(Failure::Local(format!(
                    "cannot read {}: {problem}",
                    root.display()
                )));
            }
        };
        drop(bar);
        let mut set = Self {
            root,
            tasks: Vec::with_capacity(files.len()),
            paths: Vec::with_capacity(files.len()),
            faults: Vec::new(),
            skipped: Vec::new(),
            repeated: Vec::new(),
        };
        let mut known: HashMap<String, usize> = HashMap::with_capacity(files.len());
        for file in files {
            match file.task {
                Ok(task) => {
                    if let Some(first) = known.get(&task.id) {
                        set.faults.push(FileFault::repeated(
                            file.path,
                            &task.id,
                            &set.paths[*first],
                        ));
                        set.repeated.push(task);
                        continue;
                    }
                    known.insert(task.id.clone(), set.tasks.len());
                    set.tasks.push(task);
                    set.paths.push(file.path);
                }
                Err(FileError::Invalid(error)) if error.reason == InvalidReason::NoFrontmatter => {
                    set.skipped.push(file.path);
                }
                Err(FileError::Invalid(error)) => {
                    set.faults.push(FileFault::invalid(file.path, &error));
                }
                Err(FileError::Read(problem)) => {
                    set.faults.push(FileFault::unreadable(file.path, &problem));
                }
            }
        }
        Ok(set)
    }

    /// The task of an id with its place.
    ///
    /// # Errors
    ///
    /// There is none.
    pub(super) fn find(&self, id: &str) -> Result<usize, Failure> {
        let place = self.tasks.iter().position(|task| task.id == id);
        place.ok_or_else(|| {
            refused(&TaskgraphError::TaskNotFound {
                task_id: id.to_owned(),
            })
        })
    }

    /// The graph of the tasks. A dependency of a task on itself is no edge of it; see
    /// [`Self::cycles`].
    pub(super) fn graph(&self) -> Result<TaskGraph, Failure> {
        if self.own_cycles().next().is_none() {
            return TaskGraph::from_tasks(&self.tasks).map_err(|error| refused(&error));
        }
        let mut tasks = self.tasks.clone();
        for task in &mut tasks {
            let id = task.id.clone();
            task.depends_on.retain(|other| *other != id);
        }
        TaskGraph::from_tasks(&tasks).map_err(|error| refused(&error))
    }

    /// The cycles of the graph, and one of a single task for each that depends on itself.
    pub(super) fn cycles(&self, graph: &TaskGraph) -> Vec<Vec<String>> {
        let found = graph.find_cycles().into_iter();
        found
            .map(|cycle| cycle.into_iter().map(str::to_owned).collect())
            .chain(self.own_cycles().map(|id| vec![id.to_owned()]))
            .collect()
    }

    pub(super) fn has_cycles(&self, graph: &TaskGraph) -> bool {
        graph.has_cycles() || self.own_cycles().next().is_some()
    }

    /// Tasks that depend on themselves.
    pub(super) fn own_cycles(&self) -> impl Iterator<Item = &str> {
        self.tasks
            .iter()
            .filter(|task| task.depends_on.contains(&task.id))
            .map(|task| task.id.as_str())
    }

    /// By id: what is known of each task.
    pub(super) fn by_id(&self) -> HashMap<&str, &TaskInput> {
        self.tasks
            .iter()
            .map(|task| (task.id.as_str(), task))
            .collect()
    }

    /// Says on stderr that some files are left out.
    pub(super) fn tell_faults(&self, output: &Output) -> Result<(), Failure> {
        let Some(first) = self.faults.first() else {
            return Ok(());
        };
        let text = match self.faults.len() {
            1 => format!("a faulty file is left out: {first}"),
            many => format!(
                "{many} faulty files are left out, the first: {first}; `alkhub graph validate` names all"
            ),
        };
        output.warning(&text)
    }
}

/// The status of a task; files may leave it out, which means pending.
pub(super) fn status_of(task: &TaskInput) -> TaskStatus {
    task.status.value().copied().unwrap_or(TaskStatus::Pending)
}

/// An error of the task graph as a failure of the command.
pub(super) fn refused(error: &TaskgraphError) -> Failure {
    let mut details = json!({ "class": error.class() });
    if let TaskgraphError::CircularDependency { cycles } = error {
        let cycles: Vec<Vec<&str>> = cycles
            .iter()
            .map(|cycle| cycle.iter().map(|id| &**id).collect())
            .collect();
        details["cycles"] = json!(cycles);
    }
    Failure::Refused(Refusal {
        code: match error {
            TaskgraphError::TaskNotFound { .. } => "NOT_FOUND",
            TaskgraphError::CircularDependency { .. } => "UNPROCESSABLE",
            _ => "VALIDATION_ERROR",
        }
        .to_owned(),
        message: error.to_string(),
        details: Some(details),
    })
}

impl FileFault {
    pub(super) fn invalid(path: String, error: &InvalidInput) -> Self {
        Self {
            path,
            class: "InvalidInputError",
            line: error.line,
            field: error.field.clone(),
            message: error.message.clone(),
        }
    }

    fn unreadable(path: String, problem: &io::Error) -> Self {
        Self {
            path,
            class: "IOError",
            line: None,
            field: String::new(),
            message: format!("cannot be read: {problem}"),
        }
    }

    fn repeated(path: String, id: &str, first: &str) -> Self {
        Self {
            path,
            class: "DuplicateNodeError",
            line: None,
            field: "id".to_owned(),
            message: format!("Duplicate node: {id} (kept from {first})"),
        }
    }

    /// Everything but the path.
    pub(super) fn reason(&self) -> String {
        let line = self.line.map(|line| format!("line {line}"));
        let field = (!self.field.is_empty()).then(|| self.field.clone());
        let parts = [line, field, Some(self.message.clone())];
        parts.into_iter().flatten().collect::<Vec<_>>().join(": ")
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "path": self.path,
            "message": self.message,
            "class": self.class,
            "field": self.field,
            "line": self.line,
        })
    }
}

impl fmt::Display for FileFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.reason())
    }
}
