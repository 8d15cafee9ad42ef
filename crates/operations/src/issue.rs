//! What is wrong with a value, where, and by which rule.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Most issues that one answer lists.
pub const MOST_ISSUES: usize = 100;

/// One fault of an input or output.
///
/// The message never quotes the faulty value, for it may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Issue {
    /// JSON Pointer of the fault; for a missing or an unexpected property that property's own.
    pub path: String,
    /// The keyword or named rule that is broken: `required`, `type`, `slug_taken`.
    pub rule: String,
    /// One sentence for a person.
    pub message: String,
}

impl Issue {
    /// Makes an issue at a JSON Pointer (`""` is the whole value).
    #[must_use]
    pub fn new(
        path: impl Into<String>,
        rule: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            path: path.into(),
            rule: rule.into(),
            message: message.into(),
        }
    }
}

impl std::fmt::Display for Issue {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = if self.path.is_empty() {
            "/"
        } else {
            &self.path
        };
        write!(formatter, "{path}: {}", self.message)
    }
}

/// Issues for a log, one on a line: `  - /a: is required`.
#[must_use]
pub fn issues_as_lines(issues: &[Issue]) -> String {
    issues
        .iter()
        .map(|issue| format!("  - {issue}"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// A JSON Pointer made longer by one member name or index, with `~` and `/` escaped.
#[must_use]
pub fn pointer_join(pointer: &str, segment: &str) -> String {
    format!(
        "{pointer}/{}",
        segment.replace('~', "~0").replace('/', "~1")
    )
}
