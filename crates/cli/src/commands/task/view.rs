//! How answers about tasks look.

use serde_json::Value;

use crate::view::{Column, View, column, paragraph, status, time};

const COLUMNS: &[Column] = &[
    column("SLUG", "/slug"),
    status("STATUS", "/status"),
    column("PRIORITY", "/priority"),
    column("ASSIGNEE", "/assignee"),
    time("DUE", "/dueAt"),
    column("NAME", "/name"),
];

pub(super) const LIST: View = View::Rows {
    at: "/items",
    columns: COLUMNS,
    empty: "no tasks",
};

pub(super) const READY: View = View::Rows {
    at: "",
    columns: &[
        column("SLUG", "/task/slug"),
        column("PRIORITY", "/task/priority"),
        time("DUE", "/task/dueAt"),
        column("NAME", "/task/name"),
        column("WHY", "/reason"),
    ],
    empty: "no task is ready",
};

pub(super) const HISTORY: View = View::Rows {
    at: "/items",
    columns: &[
        time("AT", "/at"),
        column("WHAT", "/kind"),
        column("FROM", "/from"),
        status("TO", "/to"),
        column("SESSION", "/sessionId"),
        column("BY", "/accountId"),
        column("WHY", "/reason"),
    ],
    empty: "nothing happened to it yet",
};

pub(super) const GRAPH: View = View::Sentence(|data| {
    if let Some(drawing) = data.get("text").and_then(Value::as_str) {
        return drawing.trim_end().to_owned();
    }
    let lines = |name: &str| {
        data.get(name)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
    };
    let word = |row: &Value, name: &str| {
        row.get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let nodes =
        lines("nodes").map(|node| format!("{} ({})", word(node, "slug"), word(node, "status")));
    let edges =
        lines("edges").map(|edge| format!("{} -> {}", word(edge, "from"), word(edge, "to")));
    nodes.chain(edges).collect::<Vec<_>>().join("\n")
});

pub(super) const ANALYSES: View = View::Sentence(|data| {
    let mut lines = Vec::new();
    for (name, value) in data.as_object().into_iter().flatten() {
        lines.push(format!("{name}:"));
        match value {
            Value::Array(items) if items.is_empty() => lines.push("  none".to_owned()),
            Value::Array(items) => {
                lines.extend(items.iter().map(|item| format!("  {}", flat(item))));
            }
            Value::Object(fields) => {
                lines.extend(
                    fields
                        .iter()
                        .map(|(name, value)| format!("  {name}: {}", flat(value))),
                );
            }
            other => lines.push(format!("  {}", flat(other))),
        }
    }
    lines.join("\n")
});

/// A change as one line: `status_changed parser (completed)`.
pub(super) const CHANGE: View = View::Sentence(|data| {
    let word = |pointer: &str| {
        data.pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    match data.get("task") {
        Some(Value::Object(task)) => {
            let word_of = |name: &str| task.get(name).and_then(Value::as_str).unwrap_or_default();
            format!(
                "{}  {} ({})",
                word("/change"),
                word_of("slug"),
                word_of("status")
            )
        }
        _ => format!("{}  {}", word("/change"), word("/taskId"))
            .trim_end()
            .to_owned(),
    }
});

pub(super) const BLOCKED: View = View::Sentence(blocked);

pub(super) const RECORD: View = View::Record {
    at: "",
    fields: &[
        column("Name", "/name"),
        column("Slug", "/slug"),
        column("Id", "/id"),
        column("Project", "/projectId"),
        status("Status", "/status"),
        column("Priority", "/priority"),
        column("Scope", "/scope"),
        column("Risk", "/risk"),
        column("Impact", "/impact"),
        column("Level", "/level"),
        column("Tags", "/tags"),
        column("Assignee", "/assignee"),
        time("Due", "/dueAt"),
        column("Path", "/path"),
        column("Depends on", "/dependencies"),
        column("Needed by", "/dependents"),
        time("Started", "/startedAt"),
        time("Completed", "/completedAt"),
        column("Metadata", "/metadata"),
        time("Created", "/createdAt"),
        time("Updated", "/updatedAt"),
        paragraph("Text", "/body"),
    ],
};

pub(super) const SHORT: View = View::Record {
    at: "",
    fields: SHORT_FIELDS,
};

pub(super) const MOVED: View = View::Record {
    at: "/task",
    fields: SHORT_FIELDS,
};

const SHORT_FIELDS: &[Column] = &[
    column("Name", "/name"),
    column("Slug", "/slug"),
    status("Status", "/status"),
    column("Assignee", "/assignee"),
    time("Started", "/startedAt"),
    time("Completed", "/completedAt"),
    time("Updated", "/updatedAt"),
];

pub(super) const DELETED: View = View::Sentence(|data| {
    let edges = data
        .get("edgesRemoved")
        .and_then(Value::as_u64)
        .unwrap_or(0);
    match edges {
        0 => "deleted".to_owned(),
        1 => "deleted, with 1 dependency".to_owned(),
        more => format!("deleted, with {more} dependencies"),
    }
});

pub(super) const ADDED: View = View::Sentence(|_| "added".to_owned());

pub(super) const REMOVED: View = View::Sentence(|_| "removed".to_owned());

pub(super) const DEPENDENCIES: View = View::Rows {
    at: "/items",
    columns: &[
        column("TASK", "/task/slug"),
        column("DEPENDS ON", "/dependsOn/slug"),
        status("STATUS", "/dependsOn/status"),
        column("RETENTION", "/qualityRetention"),
    ],
    empty: "no dependencies",
};

/// Each waiting task, and below it what it waits for, deeper the further away.
fn blocked(data: &Value) -> String {
    let items = data.get("items").and_then(Value::as_array);
    let mut lines = Vec::new();
    for item in items.into_iter().flatten() {
        lines.push(standing(item));
        for link in item
            .get("chain")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let distance = link.get("distance").and_then(Value::as_u64).unwrap_or(1);
            let indent = "  ".repeat(usize::try_from(distance).unwrap_or(1).min(20));
            let can_start = if link.get("canStart") == Some(&Value::Bool(true)) {
                ", can start"
            } else {
                ""
            };
            lines.push(format!("{indent}waits for {}{can_start}", standing(link)));
        }
    }
    if lines.is_empty() {
        return "no task waits for another".to_owned();
    }
    if data.get("truncated") == Some(&Value::Bool(true)) {
        lines.push("and more, which the answer leaves out".to_owned());
    }
    lines.join("\n")
}

/// `parser (pending)`
fn standing(row: &Value) -> String {
    let word = |pointer: &str| {
        row.pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    format!("{} ({})", word("/task/slug"), word("/task/status"))
}

/// A value of an analysis in one line.
fn flat(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(flat).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| format!("{name} {}", flat(value)))
            .collect::<Vec<_>>()
            .join("; "),
        other => other.to_string(),
    }
}
