//! What `render` and `analyze` read: a directory, a file or standard input.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use alkhub_taskgraph::{
    DependencyEdge, InvalidInput, InvalidReason, TaskGraph, TaskInput, TaskgraphError, frontmatter,
};
use serde_json::{Map, Value, json};

use super::set::{FileFault, Set, refused};
use super::{Session, place};
use crate::failure::Failure;

/// An input in one of its forms.
pub(super) enum Input {
    /// The task files of a directory.
    Directory(Box<Set>),
    /// A JSON document, or a Markdown text as `{"markdown": …}`; and where it came from.
    Document(Map<String, Value>, String),
}

impl Input {
    /// Reads the named source; the directory of the session when there is none.
    pub(super) fn read(source: Option<&Path>, session: &Session) -> Result<Self, Failure> {
        let directory = |path: PathBuf| {
            let set = Set::read(path, &session.output)?;
            Ok(Self::Directory(Box::new(set)))
        };
        let Some(source) = source else {
            return directory(place::directory(session.path.as_deref())?);
        };
        if session.path.is_some() {
            return Err(Failure::Usage(
                "name the input once: as an argument or with --path".to_owned(),
            ));
        }
        if source == Path::new("-") {
            return document(io::stdin().lock(), "standard input", None);
        }
        let failed =
            |problem: io::Error| Failure::Local(format!("{}: {problem}", source.display()));
        if source.metadata().map_err(failed)?.is_dir() {
            return directory(source.to_path_buf());
        }
        let extension = source.extension().and_then(|extension| extension.to_str());
        let form = match extension.map(str::to_ascii_lowercase).as_deref() {
            Some("json") => Some(Form::Json),
            Some("md") => Some(Form::Markdown),
            _ => None,
        };
        let file = File::open(source).map_err(failed)?;
        document(file, &source.display().to_string(), form)
    }

    /// The graph of the input.
    pub(super) fn graph(&self) -> Result<TaskGraph, Failure> {
        match self {
            Self::Directory(set) => set.graph(),
            Self::Document(document, place) => graph_of(document, place),
        }
    }

    /// The input as one document of tasks, a graph or Markdown.
    pub(super) fn into_document(self) -> Value {
        match self {
            Self::Directory(set) => {
                // Repeated ids are part of the input: the analysis says what is wrong with it.
                let tasks: Vec<&TaskInput> = set.tasks.iter().chain(&set.repeated).collect();
                json!({ "tasks": tasks })
            }
            Self::Document(document, _) => Value::Object(document),
        }
    }
}

#[derive(Clone, Copy)]
enum Form {
    Json,
    Markdown,
}

/// Reads JSON, or Markdown up to the largest text that is read at all.
fn document(mut source: impl Read, place: &str, form: Option<Form>) -> Result<Input, Failure> {
    let failed = |problem: io::Error| Failure::Local(format!("{place}: {problem}"));
    let limit = frontmatter::Options::default().max_text_bytes;
    let mut bytes = Vec::new();
    source
        .by_ref()
        .take(limit as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    let form = form.unwrap_or_else(|| form_of(&bytes));
    let document = match form {
        Form::Markdown => {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            Map::from_iter([("markdown".to_owned(), Value::String(text))])
        }
        Form::Json => {
            source.read_to_end(&mut bytes).map_err(failed)?;
            let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes);
            let value: Value = serde_json::from_slice(text).map_err(|error| {
                let message = format!("JSON parse error: {error}");
                refuse(
                    place,
                    "",
                    &message,
                    Some(error.line()),
                    InvalidReason::Syntax,
                )
            })?;
            unwrapped(value).ok_or_else(|| {
                let message = "Expected an object or a list of tasks";
                refuse(place, "", message, None, InvalidReason::Shape)
            })?
        }
    };
    Ok(Input::Document(document, place.to_owned()))
}

fn form_of(bytes: &[u8]) -> Form {
    let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    match text.trim_ascii_start().first() {
        Some(b'{' | b'[') => Form::Json,
        _ => Form::Markdown,
    }
}

/// Brings the forms people have at hand to the one the analysis reads: a list of tasks, graphology
/// JSON, a whole vector file.
fn unwrapped(value: Value) -> Option<Map<String, Value>> {
    let of = |key: &str, value: Value| Map::from_iter([(key.to_owned(), value)]);
    match value {
        Value::Array(tasks) => Some(of("tasks", Value::Array(tasks))),
        Value::Object(mut object) => {
            let known = ["tasks", "graph", "markdown", "taskEv"];
            if known.iter().any(|key| object.contains_key(*key)) {
                Some(object)
            } else if let Some(Value::Object(input)) = object.get_mut("input") {
                Some(std::mem::take(input))
            } else if object.contains_key("nodes") {
                Some(of("graph", Value::Object(object)))
            } else {
                Some(object)
            }
        }
        _ => None,
    }
}

/// The graph of a document.
fn graph_of(document: &Map<String, Value>, place: &str) -> Result<TaskGraph, Failure> {
    if let Some(graph) = document.get("graph") {
        return built(TaskGraph::from_json(graph), place);
    }
    if let Some(text) = document.get("markdown").and_then(Value::as_str) {
        let options = frontmatter::Options::lenient();
        let task =
            frontmatter::parse_with(text, &options).map_err(|error| invalid(place, &error))?;
        return built(TaskGraph::from_tasks(&[task]), place);
    }
    let Some(tasks) = document.get("tasks") else {
        let message = "Expected one of tasks, graph, markdown";
        return Err(refuse(place, "", message, None, InvalidReason::Shape));
    };
    let tasks: Vec<TaskInput> = list(tasks, "tasks", place)?;
    match document.get("edges") {
        None => built(TaskGraph::from_tasks(&tasks), place),
        Some(edges) => {
            let edges: Vec<DependencyEdge> = list(edges, "edges", place)?;
            built(TaskGraph::from_records(&tasks, &edges), place)
        }
    }
}

fn list<T: serde::de::DeserializeOwned>(
    value: &Value,
    field: &str,
    place: &str,
) -> Result<Vec<T>, Failure> {
    let Some(items) = value.as_array() else {
        let message = "Expected array";
        return Err(refuse(place, field, message, None, InvalidReason::Shape));
    };
    let read = |(number, item): (usize, &Value)| {
        T::deserialize(item).map_err(|error| {
            let field = format!("{field}/{number}");
            refuse(
                place,
                &field,
                &error.to_string(),
                None,
                InvalidReason::Shape,
            )
        })
    };
    items.iter().enumerate().map(read).collect()
}

fn built(graph: Result<TaskGraph, TaskgraphError>, place: &str) -> Result<TaskGraph, Failure> {
    graph.map_err(|error| match error {
        TaskgraphError::InvalidInput(error) => invalid(place, &error),
        error => refused(&error),
    })
}

/// A faulty input, with the place, the line and the field of the fault.
pub(super) fn invalid(place: &str, error: &InvalidInput) -> Failure {
    let fault = FileFault::invalid(place.to_owned(), error);
    Failure::Files {
        summary: "InvalidInputError: the input cannot be used".to_owned(),
        files: vec![(place.to_owned(), fault.reason())],
    }
}

fn refuse(
    place: &str,
    field: &str,
    message: &str,
    line: Option<usize>,
    reason: InvalidReason,
) -> Failure {
    let error = InvalidInput {
        field: field.to_owned(),
        message: message.to_owned(),
        line,
        reason,
    };
    invalid(place, &error)
}
