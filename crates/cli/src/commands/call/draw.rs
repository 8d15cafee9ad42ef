//! Trees, waterfalls and reports of calls as text. Escapes are always written; the stream takes them
//! out where they do not belong.

use serde_json::Value;

use crate::failure::visible;

const PLAIN: &str = "\u{1b}[0m";
const BOLD: &str = "\u{1b}[1m";
const DIM: &str = "\u{1b}[2m";
const RED: &str = "\u{1b}[31m";
const GREEN: &str = "\u{1b}[32m";
const YELLOW: &str = "\u{1b}[33m";
const CYAN: &str = "\u{1b}[36m";

/// Columns of the bars of a waterfall.
const BAR: usize = 40;
/// Longest name that widens the first column.
const WIDEST: usize = 60;

/// A call and all below it, a line each.
pub(super) fn tree(data: &Value) -> String {
    let rows = rows(data);
    let labels = labels(rows);
    let width = width(&labels);
    let mut text = String::new();
    for (row, label) in rows.iter().zip(&labels) {
        let mark = if flag(row, "critical") { "*" } else { " " };
        let label = padded(label, width, flag(row, "critical"));
        let status = status(word(row, "status"), 9);
        let run = row.get("runMs").and_then(Value::as_u64).map(duration);
        let run = run.unwrap_or_else(|| "-".to_owned());
        let line = format!(
            "{label}  {mark} {status}  {run:>9}  {}  {}",
            visible(word(row, "provider")),
            notes(row)
        );
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// When each call of a tree waited and ran.
pub(super) fn waterfall(data: &Value) -> String {
    let rows = rows(data);
    let labels = labels(rows);
    let width = width(&labels);
    let number = |row: &Value, name: &str| row.get(name).and_then(Value::as_i64).unwrap_or(0);
    let end = |row: &Value| number(row, "offsetMs") + number(row, "runMs");
    let whole = rows.iter().map(end).max().unwrap_or(0).max(1);
    let mut text = String::new();
    for (row, label) in rows.iter().zip(&labels) {
        let place = |at: i64| {
            let at = u64::try_from(at.clamp(0, whole)).unwrap_or(0);
            let whole = whole.unsigned_abs();
            usize::try_from(at * BAR as u64 / whole).unwrap_or(BAR)
        };
        let offset = number(row, "offsetMs");
        let from = place(offset - number(row, "queueMs")).min(BAR - 1);
        let start = place(offset).min(BAR - 1);
        let stop = place(end(row)).max(start + 1);
        let ran = row.get("runMs").is_some();
        let bar: String = (0..BAR)
            .map(|column| match column {
                _ if column < from || column >= stop => ' ',
                _ if column < start || !ran => '░',
                _ => '█',
            })
            .collect();
        let colour = colour(word(row, "status"));
        let label = padded(label, width, flag(row, "critical"));
        let run = row.get("runMs").and_then(Value::as_u64).map(duration);
        let line = format!(
            "{label}  {DIM}│{PLAIN}{colour}{bar}{PLAIN}{DIM}│{PLAIN} {:>9}  {:>9}  {}",
            format!("+{}", duration(offset.unsigned_abs())),
            run.unwrap_or_else(|| "-".to_owned()),
            notes(row)
        );
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// What an abort came to.
pub(super) fn report(data: &Value) -> String {
    let list = |name: &str| data.get(name).and_then(Value::as_array).map_or(0, Vec::len);
    let mut counts: Vec<String> = Vec::new();
    for (name, words) in [
        ("aborted", "aborted"),
        ("alreadyFinished", "already finished"),
        ("survived", "still running"),
        ("unconfirmed", "unconfirmed"),
        ("unreachable", "unreachable"),
    ] {
        match list(name) {
            0 => {}
            number => counts.push(format!("{number} {words}")),
        }
    }
    let end = if flag(data, "complete") {
        "complete"
    } else {
        "not complete: some may run on until their provider is heard of"
    };
    let mut lines = vec![format!("{} ({end})", counts.join(", "))];
    for node in data
        .get("nodes")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let ms = node.get("ms").and_then(Value::as_u64).map(duration);
        let line = format!(
            "  {:<15}  {}  {}  {}  {}",
            word(node, "outcome"),
            word(node, "requestId"),
            word(node, "operation"),
            word(node, "provider"),
            ms.unwrap_or_default()
        );
        lines.push(line.trim_end().to_owned());
    }
    lines.join("\n")
}

/// One item of a watch.
pub(super) fn change(item: &Value) -> String {
    match word(item, "type") {
        "snapshot" => {
            let nodes = item.get("nodes").and_then(Value::as_array);
            let nodes = nodes.map(Vec::as_slice).unwrap_or_default();
            let mut lines = vec![format!("{} calls now", nodes.len())];
            lines.extend(nodes.iter().map(|node| {
                let depth = node.get("depth").and_then(Value::as_u64).unwrap_or(0);
                let depth = usize::try_from(depth).unwrap_or(0).min(WIDEST);
                format!(
                    "  {:<9}  {}{}  {}",
                    word(node, "status"),
                    "  ".repeat(depth),
                    name(node),
                    word(node, "requestId")
                )
            }));
            lines.join("\n")
        }
        "lagged" => {
            let missed = item.get("missed").and_then(Value::as_u64).unwrap_or(0);
            format!("{missed} changes were missed")
        }
        _ => format!(
            "{}  {:<9}  {}  {}",
            word(item, "at"),
            word(item, "status"),
            word(item, "operation"),
            word(item, "requestId")
        ),
    }
}

fn rows(data: &Value) -> &[Value] {
    let rows = data.get("rows").and_then(Value::as_array);
    rows.map(Vec::as_slice).unwrap_or_default()
}

/// The first column: branches and names.
fn labels(rows: &[Value]) -> Vec<String> {
    let depths: Vec<u64> = rows
        .iter()
        .map(|row| row.get("depth").and_then(Value::as_u64).unwrap_or(0))
        .collect();
    // Whether a level goes on below, looked at from the end.
    let mut open: Vec<bool> = Vec::new();
    let mut labels = Vec::with_capacity(rows.len());
    for (row, depth) in rows.iter().zip(&depths).rev() {
        let depth = usize::try_from(*depth).unwrap_or(0);
        open.resize(open.len().max(depth + 1), false);
        open.truncate(depth + 1);
        let mut label = String::new();
        for (level, goes_on) in open.iter().enumerate().skip(1) {
            label.push_str(match (level == depth, *goes_on) {
                (true, true) => "├─ ",
                (true, false) => "└─ ",
                (false, true) => "│  ",
                (false, false) => "   ",
            });
        }
        open[depth] = true;
        label.push_str(&name(row));
        labels.push(label);
    }
    labels.reverse();
    labels
}

fn name(row: &Value) -> String {
    match row.get("operation").and_then(Value::as_str) {
        Some(operation) => visible(operation),
        None => "(hidden)".to_owned(),
    }
}

fn width(labels: &[String]) -> usize {
    let widths = labels.iter().map(|label| label.chars().count());
    widths.max().unwrap_or(0).min(WIDEST)
}

/// The label filled up; bold on the critical path.
fn padded(label: &str, width: usize, bold: bool) -> String {
    let fill = " ".repeat(width.saturating_sub(label.chars().count()));
    match bold {
        true => format!("{BOLD}{label}{PLAIN}{fill}"),
        false => format!("{label}{fill}"),
    }
}

/// What is special about a call.
fn notes(row: &Value) -> String {
    let mut notes: Vec<String> = Vec::new();
    let code = word(row, "errorCode");
    if !code.is_empty() {
        notes.push(visible(code));
    }
    if let Some(attempt) = row.get("attempt").and_then(Value::as_u64) {
        notes.push(format!("attempt {attempt}"));
    }
    let abort = word(row, "abort");
    if !abort.is_empty() && abort != "aborted" {
        notes.push(visible(abort));
    }
    if flag(row, "live") {
        notes.push("so far".to_owned());
    }
    if flag(row, "more") {
        notes.push("…".to_owned());
    }
    notes.join(", ")
}

fn status(text: &str, width: usize) -> String {
    let colour = colour(text);
    format!("{colour}{:<width$}{PLAIN}", visible(text))
}

fn colour(status: &str) -> &'static str {
    match status {
        "completed" => GREEN,
        "running" => CYAN,
        "failed" => RED,
        "aborted" => YELLOW,
        _ => DIM,
    }
}

/// `12 ms`, `1.5 s`, `2 m 3 s`.
fn duration(milliseconds: u64) -> String {
    match milliseconds {
        0..1_000 => format!("{milliseconds} ms"),
        1_000..60_000 => {
            format!("{}.{} s", milliseconds / 1_000, milliseconds % 1_000 / 100)
        }
        _ => {
            let seconds = milliseconds / 1_000;
            format!("{} m {} s", seconds / 60, seconds % 60)
        }
    }
}

fn word<'a>(row: &'a Value, name: &str) -> &'a str {
    row.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn flag(row: &Value, name: &str) -> bool {
    row.get(name) == Some(&Value::Bool(true))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn example() -> Value {
        json!({ "more": false, "rows": [
            { "depth": 0, "operation": "work.run", "status": "running", "offsetMs": 0, "queueMs": 0,
              "runMs": 2_000, "provider": "hub", "critical": false, "live": true },
            { "depth": 1, "operation": "fs.read", "status": "completed", "offsetMs": 100,
              "queueMs": 0, "runMs": 12, "provider": "spoke:a", "critical": true },
            { "depth": 2, "status": "failed", "offsetMs": 500, "queueMs": 100, "runMs": 500,
              "hidden": true, "critical": false },
            { "depth": 1, "operation": "bash.exec", "status": "failed", "offsetMs": 1_000,
              "queueMs": 500, "critical": false, "provider": "spoke:a", "errorCode": "TIMEOUT" },
        ] })
    }

    #[test]
    fn a_tree_is_drawn_with_branches_times_and_marks() {
        let text = anstream::adapter::strip_str(&tree(&example())).to_string();
        let expected = "\
work.run          running        2.0 s  hub  so far
├─ fs.read      * completed      12 ms  spoke:a
│  └─ (hidden)    failed        500 ms
└─ bash.exec      failed             -  spoke:a  TIMEOUT
";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_waterfall_shows_when_calls_waited_and_ran() {
        let text = anstream::adapter::strip_str(&waterfall(&example())).to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].contains(&"█".repeat(BAR)), "{text}");
        assert!(lines[2].contains("░░██████████"), "{text}");
        assert!(lines[3].contains('░') && !lines[3].contains('█'), "{text}");
    }

    #[test]
    fn a_report_names_what_could_not_be_reached() {
        let text = report(&json!({
            "complete": false, "aborted": ["a"], "unreachable": ["b"],
            "nodes": [{ "outcome": "aborted", "requestId": "a", "operation": "x.y", "provider": "hub" }],
        }));
        assert!(
            text.starts_with("1 aborted, 1 unreachable (not complete"),
            "{text}"
        );
    }
}
