//! What is wrong with a graph that could be made nevertheless.

use serde::Serialize;
use serde_json::Value;

use crate::TaskGraph;
use crate::graph::{FIELDS, fault_of};

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum ValidationIssue<'g> {
    /// An attribute of a task is not valid; only JSON without a schema brings such.
    #[serde(rename_all = "camelCase")]
    Schema {
        /// The task.
        task_id: &'g str,
        /// The attribute.
        field: &'static str,
        /// What was expected.
        message: &'static str,
        /// What is there; absent when nothing is.
        #[serde(skip_serializing_if = "Option::is_none")]
        value: Option<&'g Value>,
    },
    /// The graph as a whole is not sound.
    Graph {
        /// Always `cycle`: an edge without a task at its end cannot be in a graph.
        category: &'static str,
        /// How many cycles there are.
        message: String,
        /// The cycles, as [`TaskGraph::find_cycles`] gives them.
        details: Vec<Vec<&'g str>>,
    },
}

impl TaskGraph {
    /// Invalid attributes, then cycles. Never fails.
    pub fn validate(&self) -> Vec<ValidationIssue<'_>> {
        let mut issues = self.validate_schema();
        issues.extend(self.validate_graph());
        issues
    }

    /// Invalid attributes of all tasks in node order, for one task in the order name, scope,
    /// risk, impact, level, priority, status.
    pub fn validate_schema(&self) -> Vec<ValidationIssue<'_>> {
        let mut issues = Vec::new();
        for (task_id, attributes) in self.tasks().filter(|(_, a)| a.other.is_some()) {
            for field in FIELDS {
                let Some(value) = attributes.invalid(field) else {
                    continue;
                };
                let missing = field == "name" && value.is_null();
                issues.push(ValidationIssue::Schema {
                    task_id,
                    field,
                    message: if missing {
                        "Expected required property"
                    } else {
                        fault_of(field, value).unwrap_or("Expected another type")
                    },
                    value: (!missing).then_some(value),
                });
            }
        }
        issues
    }

    /// At most one issue that names all cycles.
    pub fn validate_graph(&self) -> Vec<ValidationIssue<'_>> {
        let details = self.find_cycles();
        let plural = match details.len() {
            0 => return Vec::new(),
            1 => "cycle",
            _ => "cycles",
        };
        let message = format!("Graph contains {} {plural}", details.len());
        vec![ValidationIssue::Graph {
            category: "cycle",
            message,
            details,
        }]
    }
}
