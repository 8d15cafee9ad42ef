//! Front matter of the format, case by case (cases 61 to 72).

use std::fs;
use std::io::ErrorKind;

use alkhub_taskgraph::directory::{FileError, parse_directory, parse_file};
use alkhub_taskgraph::frontmatter::{Options, parse, split, write};
use alkhub_taskgraph::{
    Field, InvalidReason, TaskImpact, TaskInput, TaskLevel, TaskPriority, TaskRisk, TaskScope,
    TaskStatus,
};

fn field(text: &str) -> String {
    parse(text).unwrap_err().field
}

fn parts(text: &str) -> Option<(&str, &str)> {
    split(text).map(|parts| (parts.data, parts.body))
}

fn full() -> TaskInput {
    let text = |text: &str| Field::Value(text.to_owned());
    TaskInput {
        status: Field::Value(TaskStatus::InProgress),
        scope: Field::Value(TaskScope::Broad),
        risk: Field::Value(TaskRisk::High),
        impact: Field::Value(TaskImpact::Phase),
        level: Field::Value(TaskLevel::Review),
        priority: Field::Value(TaskPriority::Critical),
        tags: Some(vec!["a".to_owned(), "b".to_owned()]),
        assignee: text("me"),
        due: text("2026-06-01"),
        created: text("2026-03-23"),
        modified: text("2026-03-23T10:00:00Z"),
        ..TaskInput::new("full", "Full").depending_on(["x", "y"])
    }
}

#[test]
fn case_61_plain_block() {
    let text = "---\nid: a\nname: b\n---\n# Body\n\n---\nrule\n---\n";
    assert_eq!(
        parts(text),
        Some(("id: a\nname: b", "# Body\n\n---\nrule\n---\n"))
    );
}

#[test]
fn case_62_empty_block() {
    assert_eq!(parts("---\n---"), Some(("", "")));
    assert_eq!(parts("---\n---\n"), Some(("", "")));
    assert_eq!(parts("---\n---\nBody"), Some(("", "Body")));
}

#[test]
fn case_63_no_front_matter() {
    for text in [
        "",
        "text",
        "text\n---\nid: a\n---\n",
        "---\nid: a\n",
        "----\nid: a\n---\n",
        "---\nid: a\n----\n",
        "---\nid: a\n-----\n",
        "---",
        "---\n",
        "\n---\nid: a\n---\n",
        "---\nid: a\n ---\n",
    ] {
        assert_eq!(parts(text), None, "{text:?}");
        let error = parse(text).unwrap_err();
        assert_eq!(error.reason, InvalidReason::NoFrontmatter);
    }
}

#[test]
fn case_64_loose_delimiters() {
    assert_eq!(parts("\u{FEFF}---\nid: a\n---\nB"), Some(("id: a", "B")));
    assert_eq!(parts(" \t ---\nid: a\n---\nB"), Some(("id: a", "B")));
    assert_eq!(parts("--- yaml\nid: a\n--- x\nB"), Some(("id: a", "B")));
    assert_eq!(parts("---\nid: a\n---x: 1\nB"), Some(("id: a", "B")));
    assert_eq!(parts("---\nid: a\n---"), Some(("id: a", "")));
    assert_eq!(parts("---\nid: |\n---\n"), Some(("id: |", "")));
    assert_eq!(
        parts("---\r\nid: a\r\n---\r\nB\r\n"),
        Some(("id: a", "B\r\n"))
    );
}

#[test]
fn case_65_required_only_all_and_null() {
    let task = parse("---\nid: a\nname: A\ndependsOn: []\n---\n").unwrap();
    assert_eq!(task, TaskInput::new("a", "A"));
    assert_eq!(parse(&write(&full(), "")).unwrap(), full());
    let task = parse("---\nid: a\nname: A\ndependsOn: []\nrisk:\n---\n").unwrap();
    assert_eq!(task.risk, Field::Null);
    assert_eq!(task.scope, Field::Absent);
}

#[test]
fn case_66_missing_fields_are_named() {
    assert_eq!(field("---\nname: A\ndependsOn: []\n---\n"), "id");
    assert_eq!(field("---\nid: a\ndependsOn: []\n---\n"), "name");
    assert_eq!(field("---\nid: a\nname: A\n---\n"), "dependsOn");
    assert_eq!(field("---\nx: 1\n---\n"), "id");
    assert_eq!(
        parse("text").unwrap_err().message,
        "No valid frontmatter found"
    );
}

#[test]
fn case_67_wrong_values_are_named() {
    for (line, field_name) in [
        ("risk: extreme", "risk"),
        ("status: unknown", "status"),
        ("scope: universal", "scope"),
        ("impact: Phase", "impact"),
        ("tags:", "tags"),
        ("tags: [1]", "tags/0"),
        ("assignee: 12", "assignee"),
        ("due: [x]", "due"),
    ] {
        let text = format!("---\nid: a\nname: A\ndependsOn: []\n{line}\n---\n");
        assert_eq!(field(&text), field_name);
    }
    assert_eq!(
        field("---\nid: a\nname: A\ndependsOn: b\n---\n"),
        "dependsOn"
    );
    assert_eq!(field("---\nid: a\nname: A\ndependsOn:\n---\n"), "dependsOn");
    assert_eq!(
        field("---\nid: a\nname: A\ndependsOn: [x, null]\n---\n"),
        "dependsOn/1"
    );
}

#[test]
fn case_68_unknown_keys_vanish_and_other_documents_are_refused() {
    let task = parse("---\nid: a\nname: A\ndependsOn: []\nextra: {x: 1}\n---\n").unwrap();
    assert_eq!(task, TaskInput::new("a", "A"));
    for data in ["text", "- a", "id: [", "a: b: c"] {
        assert_eq!(field(&format!("---\n{data}\n---\n")), "", "{data}");
    }
}

#[test]
fn case_69_both_spellings_of_depends_on() {
    let of = |lines: &str| parse(&format!("---\nid: a\nname: A\n{lines}\n---\n"));
    assert_eq!(of("depends_on: [x, y]").unwrap().depends_on, ["x", "y"]);
    assert!(of("depends_on: []").unwrap().depends_on.is_empty());
    assert_eq!(
        of("depends_on: [loses]\ndependsOn: [wins]")
            .unwrap()
            .depends_on,
        ["wins"]
    );
    assert_eq!(
        of("depends_on: [loses]\ndependsOn:").unwrap_err().field,
        "dependsOn"
    );
}

#[test]
fn case_70_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.md");
    let read = || parse_file(&path, &Options::default());
    assert!(matches!(read(), Err(FileError::Read(error)) if error.kind() == ErrorKind::NotFound));
    fs::write(&path, "\u{FEFF}---\nid: a\nname: A\ndependsOn: []\n---\n").unwrap();
    assert_eq!(read().unwrap().id, "a");
    for text in ["no front matter", "---\nid: [\n---\n"] {
        fs::write(&path, text).unwrap();
        assert!(matches!(read(), Err(FileError::Invalid(_))));
    }
    fs::write(&path, b"---\nid: \xff\nname: A\ndependsOn: []\n---\n").unwrap();
    assert_eq!(read().unwrap().id, "\u{FFFD}");
    assert!(matches!(
        parse_file(folder.path(), &Options::default()),
        Err(FileError::Read(_))
    ));
}

#[test]
fn case_71_a_directory() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    assert!(parse_directory(root).unwrap().is_empty());
    assert_eq!(
        parse_directory(&root.join("missing")).unwrap_err().kind(),
        ErrorKind::NotFound
    );
    fs::create_dir_all(root.join("one/two")).unwrap();
    let valid = |id: &str| format!("---\nid: {id}\nname: A\ndependsOn: []\n---\n");
    for (name, text) in [
        ("z.md", valid("z")),
        ("a.md", valid("a")),
        ("one/two/deep.md", valid("deep")),
        ("note.txt", valid("no")),
        ("plain.md", "no front matter".to_owned()),
        ("broken.md", "---\nid: [\n---\n".to_owned()),
    ] {
        fs::write(root.join(name), text).unwrap();
    }
    let ids: Vec<_> = parse_directory(root)
        .unwrap()
        .into_iter()
        .map(|task| task.id)
        .collect();
    assert_eq!(ids, ["a", "deep", "z"]);
}

#[test]
fn case_72_writing() {
    let minimal = write(&TaskInput::new("a", "A"), "");
    assert_eq!(minimal, "---\nid: a\nname: A\ndepends_on: []\n---\n");
    let with_body = write(&TaskInput::new("a", "A"), "# Body\n");
    assert!(with_body.ends_with("---\n# Body\n"));
    let null = TaskInput {
        risk: Field::Null,
        due: Field::Null,
        ..TaskInput::new("a", "A")
    };
    let written = write(&null, "");
    assert!(written.contains("\nrisk: null\n") && written.contains("\ndue: null\n"));
    assert!(!written.contains("scope"));
    assert_eq!(parse(&written).unwrap(), null);
    let keys: Vec<String> = write(&full(), "")
        .lines()
        .filter_map(|line| line.split_once(':').map(|(key, _)| key.to_owned()))
        .collect();
    assert_eq!(
        keys,
        [
            "id",
            "name",
            "status",
            "depends_on",
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
        ]
    );
    assert!(write(&full(), "").contains("\ndepends_on:\n  - x\n  - y\n"));
    let empty_tags = TaskInput {
        tags: Some(Vec::new()),
        ..TaskInput::new("a", "A")
    };
    assert_eq!(parse(&write(&empty_tags, "")).unwrap(), empty_tags);
}
