//! How an operation's data looks on a terminal: which fields, in which columns.

use std::io::IsTerminal;

use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table, presets};
use serde_json::Value;

use crate::failure::{Failure, visible};
use crate::output::Output;

/// The form of an answer.
#[derive(Debug)]
pub(crate) enum View {
    /// Rows in columns.
    Rows {
        /// JSON pointer to the list.
        at: &'static str,
        /// The columns.
        columns: &'static [Column],
        /// What to say when there are none.
        empty: &'static str,
    },
    /// One row, a line a field; fields without a value are left out.
    Record {
        /// JSON pointer to the object.
        at: &'static str,
        /// The fields.
        fields: &'static [Column],
    },
    /// A sentence made from the data.
    Sentence(fn(&Value) -> String),
    /// Every field of an object as it comes, nested ones by dotted names.
    Whole,
}

/// One column or field.
#[derive(Debug)]
pub(crate) struct Column {
    title: &'static str,
    /// JSON pointer into the row.
    pointer: &'static str,
    format: Format,
}

#[derive(Debug, Clone, Copy)]
enum Format {
    Plain,
    Time,
    Status,
    Paragraph,
}

/// A column of any value.
pub(crate) const fn column(title: &'static str, pointer: &'static str) -> Column {
    Column {
        title,
        pointer,
        format: Format::Plain,
    }
}

/// A column of times.
pub(crate) const fn time(title: &'static str, pointer: &'static str) -> Column {
    Column {
        title,
        pointer,
        format: Format::Time,
    }
}

/// A column of statuses, coloured by their meaning.
pub(crate) const fn status(title: &'static str, pointer: &'static str) -> Column {
    Column {
        title,
        pointer,
        format: Format::Status,
    }
}

/// A field of several lines, shown below the others.
pub(crate) const fn paragraph(title: &'static str, pointer: &'static str) -> Column {
    Column {
        title,
        pointer,
        format: Format::Paragraph,
    }
}

impl View {
    /// Prints one item of a stream: as [`View::show`], but JSON always in one line.
    pub(crate) fn show_line(&self, item: &Value, output: &Output) -> Result<(), Failure> {
        if output.json {
            return output.line(item);
        }
        self.show(item, output)
    }

    /// Prints the data in this form, or as one JSON document.
    pub(crate) fn show(&self, data: &Value, output: &Output) -> Result<(), Failure> {
        if output.json {
            return output.document(data);
        }
        let text = match self {
            View::Rows { at, columns, empty } => {
                let rows = data.pointer(at).and_then(Value::as_array);
                match rows.map(Vec::as_slice) {
                    None | Some([]) => {
                        output.hint(empty)?;
                        String::new()
                    }
                    Some(rows) => table(rows, columns),
                }
            }
            View::Record { at, fields } => record(data.pointer(at).unwrap_or(data), fields),
            View::Sentence(make) => format!("{}\n", visible(&make(data))),
            View::Whole => whole(data),
        };
        output.text(&text)?;
        if let Some(cursor) = data.get("nextCursor").and_then(Value::as_str) {
            output.hint(&format!("there are more: --cursor {cursor}"))?;
        }
        Ok(())
    }
}

fn table(rows: &[Value], columns: &[Column]) -> String {
    let mut table = new_table();
    table.set_header(
        columns
            .iter()
            .map(|column| Cell::new(column.title).add_attribute(Attribute::Bold)),
    );
    for row in rows {
        table.add_row(columns.iter().map(|column| column.cell(row)));
    }
    finish(table)
}

fn record(row: &Value, fields: &[Column]) -> String {
    let mut table = new_table();
    let mut below = String::new();
    for field in fields {
        let text = field.text(row);
        if text.is_empty() {
            continue;
        }
        if matches!(field.format, Format::Paragraph) {
            below.push('\n');
            below.push_str(text.trim_end());
            below.push('\n');
        } else {
            table.add_row([
                Cell::new(field.title).add_attribute(Attribute::Bold),
                field.cell(row),
            ]);
        }
    }
    format!("{}{below}", finish(table))
}

fn whole(data: &Value) -> String {
    let mut lines = Vec::new();
    flatten(data, "", &mut lines);
    let mut table = new_table();
    for (name, value) in lines {
        table.add_row([
            Cell::new(name).add_attribute(Attribute::Bold),
            Cell::new(value),
        ]);
    }
    finish(table)
}

fn flatten(value: &Value, name: &str, lines: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (key, inner) in fields {
                let name = if name.is_empty() {
                    key.clone()
                } else {
                    format!("{name}.{key}")
                };
                flatten(inner, &name, lines);
            }
        }
        Value::Null | Value::Object(_) => {}
        Value::Array(items) if items.is_empty() => lines.push((visible(name), "none".to_owned())),
        _ => lines.push((visible(name), plain(value))),
    }
}

fn new_table() -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    // A pipe gets one line a row, whatever its length, so that other programs can read it.
    if std::io::stdout().is_terminal() {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    } else {
        table.set_content_arrangement(ContentArrangement::Disabled);
    }
    // Styles are always written; the stream takes them out where they do not belong.
    table.enforce_styling();
    table
}

fn finish(mut table: Table) -> String {
    let columns = table.column_count();
    for index in 0..columns {
        if let Some(column) = table.column_mut(index) {
            column.set_padding((0, 2));
        }
    }
    table.to_string().lines().map(trimmed).collect()
}

/// The line without the spaces at its end, also those before a style that ends there.
fn trimmed(line: &str) -> String {
    let mut kept = line.trim_end();
    let mut styles = Vec::new();
    while let Some(start) = kept.rfind('\u{1b}').filter(|_| kept.ends_with('m')) {
        let (before, style) = kept.split_at(start);
        if style
            .trim_start_matches(['\u{1b}', '[', ';'])
            .contains(|letter: char| !(letter.is_ascii_digit() || matches!(letter, ';' | 'm')))
        {
            break;
        }
        styles.push(style);
        kept = before.trim_end();
    }
    let styles: String = styles.into_iter().rev().collect();
    format!("{kept}{styles}\n")
}

impl Column {
    fn text(&self, row: &Value) -> String {
        let value = row.pointer(self.pointer).unwrap_or(&Value::Null);
        match (self.format, value) {
            (Format::Time, Value::String(time)) => short_time(time),
            (Format::Paragraph, Value::String(text)) => visible(text),
            _ => plain(value),
        }
    }

    fn cell(&self, row: &Value) -> Cell {
        let text = self.text(row);
        let colour = match self.format {
            Format::Status => status_colour(&text),
            _ => None,
        };
        let cell = Cell::new(text);
        match colour {
            Some(colour) => cell.fg(colour),
            None => cell,
        }
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) => one_line(text),
        Value::Array(items) => items.iter().map(named).collect::<Vec<_>>().join(", "),
        Value::Object(fields) if fields.is_empty() => String::new(),
        other => one_line(&other.to_string()),
    }
}

/// An entry of a list inside a cell: rows by what people call them.
fn named(item: &Value) -> String {
    ["slug", "name", "id"]
        .iter()
        .find_map(|field| item.get(field).and_then(Value::as_str))
        .map_or_else(|| plain(item), one_line)
}

fn one_line(text: &str) -> String {
    visible(text).replace(['\n', '\t'], " ")
}

/// `2026-11-24T08:10:53.120Z` without what nobody reads: `2026-11-24 08:10:53Z`.
fn short_time(text: &str) -> String {
    match (text.get(..10), text.get(10..11), text.get(11..19)) {
        (Some(day), Some("T"), Some(clock)) if text.ends_with('Z') => format!("{day} {clock}Z"),
        _ => one_line(text),
    }
}

fn status_colour(text: &str) -> Option<Color> {
    match text {
        "completed" | "active" | "ok" | "yes" => Some(Color::Green),
        "in-progress" | "running" => Some(Color::Cyan),
        "blocked" | "suspended" | "degraded" => Some(Color::Yellow),
        "failed" | "aborted" | "down" | "deactivated" | "no" => Some(Color::Red),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rows_are_one_line_each_and_without_control_characters() {
        const COLUMNS: &[Column] = &[column("NAME", "/name"), time("AT", "/at")];
        let rows = [json!({"name": "a\nb\u{1b}[2J", "at": "2026-11-24T08:10:53.120Z"})];
        let text = anstream::adapter::strip_str(&table(&rows, COLUMNS)).to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(
            lines[1].starts_with("a b\u{fffd}[2J  2026-11-24 08:10:53Z"),
            "{text}"
        );
    }

    #[test]
    fn no_line_ends_with_spaces_even_inside_a_style() {
        const COLUMNS: &[Column] = &[column("NAME", "/name"), status("STATUS", "/status")];
        let rows = [
            json!({"name": "x", "status": "ok"}),
            json!({"name": "y", "status": "in-progress"}),
        ];
        let text = table(&rows, COLUMNS);
        assert!(text.contains('\u{1b}'), "{text:?}");
        for line in anstream::adapter::strip_str(&text).to_string().lines() {
            assert_eq!(line, line.trim_end(), "{text:?}");
        }
    }

    #[test]
    fn fields_without_a_value_are_left_out() {
        const FIELDS: &[Column] = &[column("Name", "/name"), column("Slug", "/slug")];
        let text = record(&json!({"name": "x", "slug": null}), FIELDS);
        assert!(text.contains("Name") && !text.contains("Slug"), "{text}");
    }
}
