//! What can go wrong with a task text or a graph.

use std::sync::Arc;

/// What a graph refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TaskgraphError {
    /// A task was named that the graph does not hold. For an edge that is not there the id is
    /// `from->to`.
    #[error("Task not found: {task_id}")]
    TaskNotFound {
        /// The id that was asked for.
        task_id: String,
    },
    /// The answer exists only for a graph without cycles.
    #[error("Circular dependency detected: {}", describe(.cycles))]
    CircularDependency {
        /// Every cycle found; `[a, b, c]` means a → b → c → a.
        cycles: Vec<Vec<Arc<str>>>,
    },
    /// A text or a JSON document does not have the required shape.
    #[error(transparent)]
    InvalidInput(#[from] InvalidInput),
    /// An id was given to two tasks.
    #[error("Duplicate node: {task_id}")]
    DuplicateNode {
        /// The id given twice.
        task_id: String,
    },
    /// The same dependency was given twice.
    #[error("Duplicate edge: {prerequisite} → {dependent}")]
    DuplicateEdge {
        /// The task that comes first.
        prerequisite: String,
        /// The task that depends on it.
        dependent: String,
    },
    /// A task was made to depend on itself.
    #[error("Task depends on itself: {task_id}")]
    SelfDependency {
        /// The task.
        task_id: String,
    },
}

impl TaskgraphError {
    /// The name under which the error appears in JSON results.
    pub fn class(&self) -> &'static str {
        match self {
            Self::TaskNotFound { .. } => "TaskNotFoundError",
            Self::CircularDependency { .. } => "CircularDependencyError",
            Self::InvalidInput(_) => "InvalidInputError",
            Self::DuplicateNode { .. } => "DuplicateNodeError",
            Self::DuplicateEdge { .. } => "DuplicateEdgeError",
            Self::SelfDependency { .. } => "SelfDependencyError",
        }
    }
}

/// An input that is not what it should be: the first problem found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InvalidInput {
    /// Where: a path such as `status`, `dependsOn/1` or `nodes/0/attributes/risk`; empty when
    /// the input as a whole is at fault.
    pub field: String,
    /// What is wrong, without the field.
    pub message: String,
    /// Line of the whole text, counted from 1, when it is known.
    pub line: Option<usize>,
    /// Which kind of fault it is, for callers that treat kinds differently.
    pub reason: InvalidReason,
}

/// Kinds of [`InvalidInput`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InvalidReason {
    /// The text has no front matter at all; it is probably no task file.
    NoFrontmatter,
    /// The text is over a limit of [`crate::frontmatter::Options`].
    TooLarge,
    /// The text cannot be read as YAML or JSON.
    Syntax,
    /// It can be read but does not have the required shape.
    Shape,
}

impl InvalidInput {
    pub(crate) fn new(
        reason: InvalidReason,
        field: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            field: field.into(),
            message: message.into(),
            line: None,
            reason,
        }
    }

    pub(crate) fn shape(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(InvalidReason::Shape, field, message)
    }

    pub(crate) fn at_line(mut self, line: usize) -> Self {
        self.line = Some(line);
        self
    }
}

/// `a → b → c; x → y`: the first id of a cycle is not repeated at its end.
fn describe(cycles: &[Vec<Arc<str>>]) -> String {
    let mut text = String::new();
    for (number, cycle) in cycles.iter().enumerate() {
        if number > 0 {
            text.push_str("; ");
        }
        for (place, id) in cycle.iter().enumerate() {
            if place > 0 {
                text.push_str(" → ");
            }
            text.push_str(id);
        }
    }
    text
}
