//! Random texts, tasks and front matter.

use alkhub_taskgraph::{
    Field, TaskImpact, TaskInput, TaskLevel, TaskPriority, TaskRisk, TaskScope, TaskStatus,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Any text, with more of what YAML gives a meaning to.
pub(super) fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        3 => "[ -~]{0,6}",
        2 => any::<String>(),
        3 => select(&[
            "\n", "\r\n", "\r", "\t", " ", ": ", " #", "- ", "---", "...", "'", "\"", "\\", "~",
            "null", "12", "0x1F", "é", "🚀", "\u{85}", "\u{2028}", "\u{FEFF}", "\0", "\u{7F}",
            "|", ">", "[", "{", "*a", "&a", "!t", "%", "@", "`", "?", "<<", "\u{A0}", "\u{E000}",
        ][..]).prop_map(str::to_owned),
    ];
    vec(piece, 0..5).prop_map(|pieces| pieces.concat())
}

pub(super) fn field<T: std::fmt::Debug>(
    values: impl Strategy<Value = T>,
) -> impl Strategy<Value = Field<T>> {
    proptest::option::of(proptest::option::of(values)).prop_map(|value| match value {
        None => Field::Absent,
        Some(None) => Field::Null,
        Some(Some(value)) => Field::Value(value),
    })
}

pub(super) fn task() -> impl Strategy<Value = TaskInput> {
    let lists = (
        text(),
        text(),
        vec(text(), 0..4),
        proptest::option::of(vec(text(), 0..3)),
    );
    let labels = (
        field(select(TaskStatus::ALL)),
        field(select(TaskScope::ALL)),
        field(select(TaskRisk::ALL)),
        field(select(TaskImpact::ALL)),
        field(select(TaskLevel::ALL)),
        field(select(TaskPriority::ALL)),
    );
    let free = (field(text()), field(text()), field(text()), field(text()));
    (lists, labels, free).prop_map(|(lists, labels, free)| TaskInput {
        id: lists.0,
        name: lists.1,
        depends_on: lists.2,
        tags: lists.3,
        status: labels.0,
        scope: labels.1,
        risk: labels.2,
        impact: labels.3,
        level: labels.4,
        priority: labels.5,
        assignee: free.0,
        due: free.1,
        created: free.2,
        modified: free.3,
    })
}

/// Lines that look like front matter, unknown keys of all kinds among them.
pub(super) fn data() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        4 => select(&[
            "owner: me", "owner: |", "owner: >+", "owner: |-", "  text", "  # not a comment",
            "# comment", "", "  ", "list:", "- x", "  - y: 1", "map: {a: [1, 2], b: \"x\"}",
            "'quoted': &a 1", "alias: *a", "!!str 12: x", "? complex", ": value", "<<: *a",
            "date: 2026-01-01", "num: 0x1F", "flow: [", "  a]", "long: a", "  b", "    deep: x",
            "tag: !custom {a: b}", "empty:", "\"key\": 'it''s'", "due: &a x", "tags: [&a b]",
            "x: \r", "name: again", "12: number", "~: null key", "- ", "...",
        ][..]).prop_map(str::to_owned),
        1 => text().prop_map(|text| format!("free: {text}")),
        1 => text(),
    ];
    (vec(line, 0..8), select(&["\n", "\r\n"][..]), 0..=8_usize).prop_map(|(mut lines, end, at)| {
        let known = ["id: a", "name: n", "depends_on: [b]"].map(str::to_owned);
        let at = at.min(lines.len());
        lines.splice(at..at, known);
        lines.join(end)
    })
}
