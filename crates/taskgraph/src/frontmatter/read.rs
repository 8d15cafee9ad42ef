//! From a YAML tree to a task: which keys count, and what their values must be.

use std::str::FromStr;

use super::scalar::Value;
use super::yaml::{Content, Scalar, Tree};
use super::{MissingDependsOn, Source};
use crate::{Field, InvalidInput, TaskInput};

/// Keys of the front matter that are read; `dependsOn` under both of its names.
const KNOWN: [&str; 15] = [
    "id",
    "name",
    "dependsOn",
    "depends_on",
    "status",
    "scope",
    "risk",
    "impact",
    "level",
    "priority",
    "tags",
    "assignee",
    "due",
    "created",
    "modified",
];

/// Whether a key of the front matter is one this crate reads.
pub(super) fn is_known(key: &str) -> bool {
    KNOWN.contains(&key)
}

/// The entries of the mapping at the top.
pub(super) fn entries<'a>(
    tree: &'a Tree,
    source: &Source<'_>,
) -> Result<&'a [(usize, usize)], InvalidInput> {
    const MESSAGE: &str = "YAML frontmatter must be a mapping (object), not a scalar or array";
    let line = match tree.root.map(|root| &tree.nodes[root]) {
        Some(root) => match &root.content {
            Content::Mapping { entries, .. } => return Ok(entries),
            _ => source.line(root.line),
        },
        None => source.line(1),
    };
    Err(InvalidInput::shape("", MESSAGE).at_line(line))
}

/// The task in the mapping at the top.
///
/// # Errors
///
/// The first problem in the order in which the fields are checked: missing keys before values.
pub(super) fn task(
    tree: &Tree,
    source: &Source<'_>,
    missing_depends_on: MissingDependsOn,
) -> Result<TaskInput, InvalidInput> {
    let fields = Fields {
        tree,
        source,
        entries: entries(tree, source)?,
    };
    let id = fields.find("id");
    let name = fields.find("name");
    let depends_on = fields
        .find("dependsOn")
        .or_else(|| fields.find("depends_on"));
    let id = id.ok_or_else(|| missing("id"))?;
    let name = name.ok_or_else(|| missing("name"))?;
    if depends_on.is_none() && missing_depends_on == MissingDependsOn::Refuse {
        return Err(missing("dependsOn"));
    }
    Ok(TaskInput {
        id: fields.text("id", id, "Expected string")?,
        name: fields.text("name", name, "Expected string")?,
        depends_on: match depends_on {
            Some(node) => fields.texts("dependsOn", node)?,
            None => Vec::new(),
        },
        status: fields.label("status")?,
        scope: fields.label("scope")?,
        risk: fields.label("risk")?,
        impact: fields.label("impact")?,
        level: fields.label("level")?,
        priority: fields.label("priority")?,
        tags: match fields.find("tags") {
            Some(node) => Some(fields.texts("tags", node)?),
            None => None,
        },
        assignee: fields.optional_text("assignee")?,
        due: fields.optional_text("due")?,
        created: fields.optional_text("created")?,
        modified: fields.optional_text("modified")?,
    })
}

fn missing(field: &str) -> InvalidInput {
    InvalidInput::shape(field, "Expected required property")
}

struct Fields<'a> {
    tree: &'a Tree,
    source: &'a Source<'a>,
    entries: &'a [(usize, usize)],
}

impl Fields<'_> {
    /// The value of a key; the last one when aliases made the same key twice.
    fn find(&self, key: &str) -> Option<usize> {
        let entry = self
            .entries
            .iter()
            .rev()
            .find(|(k, _)| self.tree.text(*k) == Some(key));
        entry.map(|(_, value)| *value)
    }

    fn fault(&self, field: impl Into<String>, node: usize, message: &str) -> InvalidInput {
        InvalidInput::shape(field, message).at_line(self.source.line(self.tree.nodes[node].line))
    }

    fn text(&self, field: &str, node: usize, message: &str) -> Result<String, InvalidInput> {
        let text = self
            .tree
            .text(node)
            .ok_or_else(|| self.fault(field, node, message))?;
        Ok(text.to_owned())
    }

    fn texts(&self, field: &str, node: usize) -> Result<Vec<String>, InvalidInput> {
        match &self.tree.nodes[self.tree.target(node)].content {
            Content::Sequence {
                items,
                ordered_map: false,
            } => items
                .iter()
                .enumerate()
                .map(|(index, item)| {
                    self.text(&format!("{field}/{index}"), *item, "Expected string")
                })
                .collect(),
            _ => Err(self.fault(field, node, "Expected array")),
        }
    }

    /// The node of a key that may be null, or the field that says it is missing or null.
    fn nullable<T>(&self, field: &str) -> Result<usize, Field<T>> {
        let node = self.find(field).ok_or(Field::Absent)?;
        match self.tree.nodes[self.tree.target(node)].content {
            Content::Scalar(Scalar {
                value: Value::Null, ..
            }) => Err(Field::Null),
            _ => Ok(node),
        }
    }

    fn optional_text(&self, field: &str) -> Result<Field<String>, InvalidInput> {
        match self.nullable(field) {
            Ok(node) => self
                .text(field, node, "Expected union value")
                .map(Field::Value),
            Err(nothing) => Ok(nothing),
        }
    }

    fn label<T: FromStr>(&self, field: &str) -> Result<Field<T>, InvalidInput> {
        let node = match self.nullable(field) {
            Ok(node) => node,
            Err(nothing) => return Ok(nothing),
        };
        let label = self.tree.text(node).and_then(|text| text.parse().ok());
        label
            .map(Field::Value)
            .ok_or_else(|| self.fault(field, node, "Expected union value"))
    }
}
