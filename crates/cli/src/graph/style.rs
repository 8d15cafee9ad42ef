//! Colours and columns of the text output. Escapes are always written; the stream takes them out
//! where they do not belong.

use std::borrow::Cow;
use std::fmt::Display;

use alkhub_taskgraph::{TaskRisk, TaskStatus};

use crate::failure::visible;

const PLAIN: &str = "\u{1b}[0m";
const BOLD: &str = "\u{1b}[1m";
const RED: &str = "\u{1b}[31m";
const GREEN: &str = "\u{1b}[32m";
const YELLOW: &str = "\u{1b}[33m";
const CYAN: &str = "\u{1b}[36m";

/// A heading.
pub(super) fn bold(text: impl Display) -> String {
    format!("{BOLD}{text}{PLAIN}")
}

pub(super) fn good(text: impl Display) -> String {
    format!("{GREEN}{text}{PLAIN}")
}

pub(super) fn bad(text: impl Display) -> String {
    format!("{RED}{text}{PLAIN}")
}

/// A status in its colour, filled up to `width` columns. Without one it is pending, as in files.
pub(super) fn status(status: Option<TaskStatus>, width: usize) -> String {
    let status = status.unwrap_or(TaskStatus::Pending);
    let text = format!("{:<width$}", status.as_str());
    match status {
        TaskStatus::Pending => text,
        TaskStatus::InProgress => format!("{CYAN}{text}{PLAIN}"),
        TaskStatus::Completed => good(text),
        TaskStatus::Failed => bad(text),
        TaskStatus::Blocked => format!("{YELLOW}{text}{PLAIN}"),
    }
}

/// What stands for the status of a task that is not there.
pub(super) fn missing() -> String {
    bad("MISSING")
}

/// A risk in its colour, filled up to `width` columns; a dash for none.
pub(super) fn risk(risk: Option<TaskRisk>, width: usize) -> String {
    let text = format!("{:<width$}", risk.map_or("-", TaskRisk::as_str));
    match risk {
        Some(TaskRisk::High) => format!("{YELLOW}{text}{PLAIN}"),
        Some(TaskRisk::Critical) => bad(text),
        _ => text,
    }
}

/// A rule below the head of a table.
pub(super) fn rule(width: usize) -> String {
    "-".repeat(width)
}

/// A text of a file on one line, without anything that could steer the terminal.
pub(super) fn clean(text: &str) -> Cow<'_, str> {
    if text.chars().any(char::is_control) {
        Cow::Owned(visible(text).replace(['\n', '\t'], " "))
    } else {
        Cow::Borrowed(text)
    }
}

/// `a, b, c` of texts from files.
pub(super) fn joined<T: AsRef<str>>(texts: &[T], between: &str) -> String {
    let texts: Vec<Cow<'_, str>> = texts.iter().map(|text| clean(text.as_ref())).collect();
    texts.join(between)
}
