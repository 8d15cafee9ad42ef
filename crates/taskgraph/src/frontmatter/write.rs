//! From a task to front matter.
//!
//! Own code: a serializer decides by itself which texts need quotes, and the binding rule is
//! that every text reads back as it was, by YAML 1.2 and by the older readers still in use.

use super::scalar::{self, Value};
use crate::{Field, TaskInput};

/// Writes `task` as front matter with `body` after it.
///
/// Keys stand in a fixed order (id, name, status, depends_on, scope, risk, impact, level,
/// priority, tags, assignee, due, created, modified); absent fields are left out, null fields
/// are written as `null`. Reading the result with [`super::parse`] gives an equal task, for
/// every text in it.
///
/// ```
/// use alkhub_taskgraph::{TaskInput, frontmatter};
///
/// let task = TaskInput::new("12", "on").depending_on(["a: b"]);
/// let text = frontmatter::write(&task, "Body\n");
/// assert_eq!(text, "---\nid: \"12\"\nname: on\ndepends_on:\n  - \"a: b\"\n---\nBody\n");
/// assert_eq!(frontmatter::parse(&text)?, task);
/// # Ok::<(), alkhub_taskgraph::InvalidInput>(())
/// ```
pub fn write(task: &TaskInput, body: &str) -> String {
    assemble(task, "", body)
}

/// The whole file: the known keys, the text of the others, the body.
pub(super) fn assemble(task: &TaskInput, unknown: &str, body: &str) -> String {
    let mut out = String::with_capacity(256 + unknown.len() + body.len());
    out.push_str("---\n");
    text_entry(&mut out, "id", &task.id);
    text_entry(&mut out, "name", &task.name);
    label_entry(&mut out, "status", &task.status);
    list_entry(&mut out, "depends_on", &task.depends_on);
    label_entry(&mut out, "scope", &task.scope);
    label_entry(&mut out, "risk", &task.risk);
    label_entry(&mut out, "impact", &task.impact);
    label_entry(&mut out, "level", &task.level);
    label_entry(&mut out, "priority", &task.priority);
    if let Some(tags) = &task.tags {
        list_entry(&mut out, "tags", tags);
    }
    optional_text_entry(&mut out, "assignee", &task.assignee);
    optional_text_entry(&mut out, "due", &task.due);
    optional_text_entry(&mut out, "created", &task.created);
    optional_text_entry(&mut out, "modified", &task.modified);
    out.push_str(unknown);
    out.push_str("---\n");
    out.push_str(body);
    out
}

fn text_entry(out: &mut String, key: &str, text: &str) {
    out.push_str(key);
    out.push_str(": ");
    push_text(out, text, "  ");
    out.push('\n');
}

fn optional_text_entry(out: &mut String, key: &str, field: &Field<String>) {
    match field {
        Field::Absent => {}
        Field::Null => null_entry(out, key),
        Field::Value(text) => text_entry(out, key, text),
    }
}

fn label_entry<T: ToString>(out: &mut String, key: &str, field: &Field<T>) {
    match field {
        Field::Absent => {}
        Field::Null => null_entry(out, key),
        Field::Value(label) => text_entry(out, key, &label.to_string()),
    }
}

fn null_entry(out: &mut String, key: &str) {
    out.push_str(key);
    out.push_str(": null\n");
}

fn list_entry(out: &mut String, key: &str, items: &[String]) {
    out.push_str(key);
    if items.is_empty() {
        out.push_str(": []\n");
        return;
    }
    out.push_str(":\n");
    for item in items {
        out.push_str("  - ");
        push_text(out, item, "    ");
        out.push('\n');
    }
}

/// Writes a text as a plain scalar where that reads back, as a block where it has several plain
/// lines, in double quotes otherwise. `indent` is what the lines of a block begin with.
pub(super) fn push_text(out: &mut String, text: &str, indent: &str) {
    if is_plain(text) {
        out.push_str(text);
    } else if let Some((content, header)) = as_block(text) {
        out.push_str(header);
        for line in content.split('\n') {
            out.push('\n');
            // Trailing blanks would be content; an empty line needs no indentation.
            if !line.is_empty() {
                out.push_str(indent);
                out.push_str(line);
            }
        }
    } else {
        push_quoted(out, text);
    }
}

/// Writes a text in double quotes, on one line.
pub(super) fn push_quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if needs_escape(c) => {
                let code = u32::from(c);
                let escape = match code {
                    0..=0xFF => format!("\\x{code:02X}"),
                    0x100..=0xFFFF => format!("\\u{code:04X}"),
                    _ => format!("\\U{code:08X}"),
                };
                out.push_str(&escape);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Characters that YAML does not allow or that some reader takes for a line break.
fn needs_escape(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{2028}' | '\u{2029}' | '\u{FEFF}' | '\u{FFFE}' | '\u{FFFF}'
        )
        || u32::from(c) & 0xFFFE == 0xFFFE
}

/// Whether a text reads back as itself without quotes, by a deliberately narrow rule.
fn is_plain(text: &str) -> bool {
    let begins_well =
        text.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '/' | '.'));
    begins_well
        && !text.ends_with(' ')
        && !text.starts_with("...")
        && !text.contains(": ")
        && !text.ends_with(':')
        && !text.contains(" #")
        && text.chars().all(|c| {
            c.is_alphanumeric()
                || (!c.is_ascii() && !c.is_whitespace() && !needs_escape(c))
                || " _-./+@()#:=~%*&!$^;<>'?".contains(c)
        })
        && scalar::by_form(text) == Value::Text
}

/// The content lines and the header of a literal block, when the text can be one: at least one
/// line break, a first line that does not begin with a blank, nothing to escape.
fn as_block(text: &str) -> Option<(&str, &'static str)> {
    if !text.contains('\n') || text.chars().any(|c| c != '\n' && needs_escape(c)) {
        return None;
    }
    let (content, header) = match text.strip_suffix('\n') {
        Some(content) => (content, "|"),
        None => (text, "|-"),
    };
    let first = content.chars().next()?;
    if first.is_whitespace() || first == '#' || content.ends_with('\n') {
        return None;
    }
    // Lines of blanks only are kept by some readers and not by others.
    let blank_line = content
        .split('\n')
        .any(|l| !l.is_empty() && l.trim().is_empty());
    if blank_line {
        None
    } else {
        Some((content, header))
    }
}
