//! `list`, `show`, `deps`, `dependents`: single tasks and their neighbours.

use std::fmt::Write as _;
use std::io;

use alkhub_taskgraph::{TaskInput, frontmatter};
use clap::Args;
use serde_json::{Value, json};

use super::set::{Set, status_of};
use super::style::{bold, clean, joined, missing, rule, status};
use crate::failure::{Failure, visible};
use crate::output::Output;

#[derive(Debug, Args)]
pub(super) struct List {
    /// Only tasks of this status
    #[arg(long, short, value_name = "STATUS")]
    status: Option<String>,
    /// Only tasks with this tag
    #[arg(long, short, value_name = "TAG")]
    tag: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct One {
    /// The id of the task
    #[arg(value_name = "ID")]
    id: String,
}

impl List {
    pub(super) fn run(&self, set: &Set, output: &Output) -> Result<(), Failure> {
        // A status that does not exist finds nothing, as ever.
        let wanted = |task: &&TaskInput| {
            let status = self.status.as_deref();
            let tags = task.tags.as_deref().unwrap_or_default();
            status.is_none_or(|status| status_of(task).as_str() == status)
                && self.tag.as_ref().is_none_or(|tag| tags.contains(tag))
        };
        let tasks: Vec<&TaskInput> = set.tasks.iter().filter(wanted).collect();
        if output.json {
            let row = |task: &&TaskInput| {
                json!({
                    "id": task.id,
                    "name": task.name,
                    "status": status_of(task),
                    "scope": task.scope.value(),
                })
            };
            return output.document(&tasks.iter().map(row).collect());
        }
        if tasks.is_empty() {
            return output.text("No tasks found.\n");
        }
        let head = format!("{:<20} {:<12} {:<10} NAME", "ID", "STATUS", "SCOPE");
        let mut text = format!("{}\n{}\n", bold(head), rule(70));
        for task in tasks {
            let scope = task.scope.value().map_or("", |scope| scope.as_str());
            // Writing to a String does not fail.
            let _infallible = writeln!(
                text,
                "{:<20} {} {scope:<10} {}",
                clean(&task.id),
                status(Some(status_of(task)), 12),
                clean(&task.name)
            );
        }
        output.text(&text)
    }
}

impl One {
    pub(super) fn show(&self, set: &Set, output: &Output) -> Result<(), Failure> {
        let place = set.find(&self.id)?;
        let task = &set.tasks[place];
        let body = body(set, place)?;
        if output.json {
            return output.document(&json!({
                "id": task.id,
                "name": task.name,
                "status": status_of(task),
                "depends_on": task.depends_on,
                "scope": task.scope.value(),
                "risk": task.risk.value(),
                "impact": task.impact.value(),
                "level": task.level.value(),
                "tags": task.tags.as_deref().unwrap_or_default(),
                "body": body,
            }));
        }
        let mut text = format!(
            "{} {}\n{} {}\n{} {}\n",
            bold("ID:    "),
            clean(&task.id),
            bold("Name:  "),
            clean(&task.name),
            bold("Status:"),
            status(Some(status_of(task)), 0)
        );
        // Writing to a String does not fail.
        let mut line = |label: &str, value: &str| {
            let _infallible = writeln!(text, "{} {value}", bold(label));
        };
        if !task.depends_on.is_empty() {
            line("Depends on:", &joined(&task.depends_on, ", "));
        }
        let labels = [
            ("Scope: ", task.scope.value().map(|label| label.as_str())),
            ("Risk:  ", task.risk.value().map(|label| label.as_str())),
            ("Impact:", task.impact.value().map(|label| label.as_str())),
            ("Level: ", task.level.value().map(|label| label.as_str())),
        ];
        for (label, value) in labels {
            if let Some(value) = value {
                line(label, value);
            }
        }
        if let Some(tags) = task.tags.as_deref().filter(|tags| !tags.is_empty()) {
            line("Tags:  ", &joined(tags, ", "));
        }
        if !body.trim().is_empty() {
            let _infallible = write!(text, "\n---\n{}\n", visible(body.trim()));
        }
        output.text(&text)
    }

    pub(super) fn dependencies(&self, set: &Set, output: &Output) -> Result<(), Failure> {
        let task = &set.tasks[set.find(&self.id)?];
        let known = set.by_id();
        if output.json {
            let dependency = |id: &String| {
                let other = known.get(id.as_str());
                json!({
                    "id": id,
                    "status": other.map(|task| status_of(task)),
                    "exists": other.is_some(),
                })
            };
            let dependencies: Value = task.depends_on.iter().map(dependency).collect();
            return output.document(&json!({ "task_id": task.id, "dependencies": dependencies }));
        }
        if task.depends_on.is_empty() {
            return output.text(&format!(
                "Task '{}' has no dependencies.\n",
                clean(&task.id)
            ));
        }
        let mut text = format!("Dependencies of '{}':\n", clean(&task.id));
        for id in &task.depends_on {
            let status = known
                .get(id.as_str())
                .map_or_else(missing, |task| status(Some(status_of(task)), 0));
            let _infallible = writeln!(text, "  - {} ({status})", clean(id));
        }
        output.text(&text)
    }

    /// An id that is no task has no dependents; that is no error.
    pub(super) fn dependents(&self, set: &Set, output: &Output) -> Result<(), Failure> {
        let known = set.by_id();
        let graph = set.graph()?;
        let ids = if known.contains_key(self.id.as_str()) {
            let found = graph.dependents(&self.id);
            found.map_err(|error| super::set::refused(&error))?
        } else {
            Vec::new()
        };
        let tasks: Vec<&TaskInput> = ids.iter().filter_map(|id| known.get(id).copied()).collect();
        if output.json {
            let dependent = |task: &&TaskInput| json!({ "id": task.id, "status": status_of(task) });
            let dependents: Value = tasks.iter().map(dependent).collect();
            return output.document(&json!({ "task_id": self.id, "dependents": dependents }));
        }
        if tasks.is_empty() {
            return output.text(&format!("No tasks depend on '{}'.\n", clean(&self.id)));
        }
        let mut text = format!("Tasks that depend on '{}':\n", clean(&self.id));
        for task in tasks {
            let status = status(Some(status_of(task)), 0);
            let _infallible = writeln!(text, "  - {} ({status})", clean(&task.id));
        }
        output.text(&text)
    }
}

/// The text below the front matter, read again: only `show` wants it.
fn body(set: &Set, place: usize) -> Result<String, Failure> {
    let path = set.root.join(&set.paths[place]);
    let text = std::fs::read(&path)
        .map_err(|problem: io::Error| Failure::Local(format!("{}: {problem}", path.display())))?;
    let text = String::from_utf8_lossy(&text);
    Ok(frontmatter::split(&text).map_or_else(String::new, |parts| parts.body.to_owned()))
}
