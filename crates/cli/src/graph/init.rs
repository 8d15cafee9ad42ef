//! `init`: a new task file.

use std::io::Write as _;
use std::path::Path;
use std::time::SystemTime;
use std::{fs, io};

use alkhub_taskgraph::{Field, TaskInput, TaskRisk, TaskScope, TaskStatus, frontmatter};
use clap::Args;
use serde_json::json;

use super::{Session, place};
use crate::failure::Failure;

#[derive(Debug, Args)]
pub(super) struct Init {
    /// The id of the task, which is also the name of its file
    #[arg(value_name = "ID")]
    id: String,
    /// What the task is called [default: its id]
    #[arg(long, short, value_name = "NAME")]
    name: Option<String>,
    /// How much it touches: single, narrow, moderate, broad, system
    #[arg(long, short, value_name = "SCOPE")]
    scope: Option<String>,
    /// How likely it is to fail: trivial, low, medium, high, critical
    #[arg(long, short, value_name = "RISK")]
    risk: Option<String>,
}

impl Init {
    pub(super) fn run(&self, session: &Session) -> Result<(), Failure> {
        check_id(&self.id)?;
        let scope = label(
            "scope",
            self.scope.as_deref(),
            TaskScope::ALL,
            TaskScope::as_str,
        )?;
        let risk = label(
            "risk",
            self.risk.as_deref(),
            TaskRisk::ALL,
            TaskRisk::as_str,
        )?;
        let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        let task = TaskInput {
            status: Field::Value(TaskStatus::Pending),
            scope: scope.into(),
            risk: risk.into(),
            created: Field::Value(now.clone()),
            modified: Field::Value(now),
            ..TaskInput::new(self.id.as_str(), self.name.as_deref().unwrap_or(&self.id))
        };
        let text = frontmatter::write(&task, "\n# Description\n\n[Add task description here]\n");
        let directory = place::directory(session.path.as_deref())?;
        let file = directory.join(format!("{}.md", self.id));
        self.write(&directory, &file, &text)?;
        let output = &session.output;
        if output.json {
            return output.document(&json!({ "id": self.id, "path": file.display().to_string() }));
        }
        output.text(&format!(
            "Created: {}\nEdit the file to add dependencies and details.\n",
            file.display()
        ))
    }

    fn write(&self, directory: &Path, file: &Path, text: &str) -> Result<(), Failure> {
        let failed = |problem: io::Error| {
            Failure::Local(format!("cannot write {}: {problem}", file.display()))
        };
        fs::create_dir_all(directory).map_err(failed)?;
        // Also when two are at it at once, no file is overwritten.
        match fs::File::create_new(file) {
            Ok(mut created) => created.write_all(text.as_bytes()).map_err(failed),
            Err(problem) if problem.kind() == io::ErrorKind::AlreadyExists => {
                Err(Failure::Local(format!("Task already exists: {}", self.id)))
            }
            Err(problem) => Err(failed(problem)),
        }
    }
}

/// An id that can be the name of a file in the directory and nowhere else.
fn check_id(id: &str) -> Result<(), Failure> {
    let refuse = |why: &str| Err(Failure::Usage(format!("the id {id:?} {why}")));
    match id {
        "" => refuse("is empty"),
        "." | ".." => refuse("names a directory"),
        _ if id.contains(['/', '\\', '\0']) => refuse("contains a slash, a backslash or NUL"),
        _ => Ok(()),
    }
}

/// A label in any letter case.
fn label<T: Copy>(
    field: &str,
    given: Option<&str>,
    all: &[T],
    name: impl Fn(T) -> &'static str,
) -> Result<Option<T>, Failure> {
    let Some(given) = given else {
        return Ok(None);
    };
    let found = all
        .iter()
        .find(|label| name(**label).eq_ignore_ascii_case(given));
    found.copied().map(Some).ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(|label| name(*label)).collect();
        Failure::Usage(format!(
            "there is no {field} {given:?}; there are {}",
            names.join(", ")
        ))
    })
}
