//! What is kept when a file is read and written back.

use alkhub_taskgraph::frontmatter::{self, Document, Options};
use alkhub_taskgraph::{Field, TaskInput};

use super::file;

#[test]
fn unknown_keys_and_body_come_back_byte_for_byte() {
    let cases: &[(&str, &str)] = &[
        ("zeta: {dropped: [1, 2]}", "zeta: {dropped: [1, 2]}\n"),
        (
            "# about owner\nowner:   me   # inline\n\n# end",
            "# about owner\nowner:   me   # inline\n",
        ),
        ("text: |+\n  x\n\n", "text: |+\n  x\n\n\n"),
        ("text: |\n  x\n# comment", "text: |\n  x\n"),
        ("text: >-\n  a\n\n  b", "text: >-\n  a\n\n  b\n"),
        (
            "a: 1\nlist:\n- x\n-  y\n'quoted key': &z 1\nalias: *z",
            "a: 1\nlist:\n- x\n-  y\n'quoted key': &z 1\nalias: *z\n",
        ),
        ("<<: 1", "<<: 1\n"),
        (
            "a: !custom 12\nb: 0x1F\nc: 2026-01-01",
            "a: !custom 12\nb: 0x1F\nc: 2026-01-01\n",
        ),
    ];
    for (data, unknown) in cases {
        let text = format!("---\nid: a\nname: n\ndepends_on: []\n{data}\n---\n\n# Body\n---\nmore");
        let document = Document::parse(&text, &Options::default()).unwrap();
        assert_eq!(document.unknown.as_str(), *unknown, "{data}");
        assert_eq!(document.body, "\n# Body\n---\nmore");
        let again = Document::parse(&document.to_text(), &Options::default()).unwrap();
        assert_eq!(again, document, "{data}");
        let taken = frontmatter::UnknownKeys::parse(unknown, &Options::default()).unwrap();
        assert_eq!(taken, document.unknown);
    }
    // In the middle and in front of known keys.
    let text =
        "---\nzeta: 1\n# about id\nid: a\nextra:\n  deep: [x]\n\nname: n\ndepends_on: []\n---\n";
    let document = Document::parse(text, &Options::default()).unwrap();
    assert_eq!(document.unknown.as_str(), "zeta: 1\nextra:\n  deep: [x]\n");
}

#[test]
fn unknown_keys_that_cannot_stand_as_lines_are_rewritten() {
    let cases: &[(&str, &str)] = &[
        (
            "{id: a, name: n, dependsOn: [], zeta: {b: [1, \"x\"]}}",
            "\"zeta\": {\"b\": [1, \"x\"]}\n",
        ),
        (
            "id: &i a\nname: n\ndependsOn: []\ncopy: *i",
            "\"copy\": \"a\"\n",
        ),
        (
            "  id: a\n  name: n\n  dependsOn: []\n  zeta: |\n    x",
            "zeta: |\n  x\n",
        ),
    ];
    for (data, unknown) in cases {
        let document = Document::parse(&file(data), &Options::default()).unwrap();
        assert_eq!(document.unknown.as_str(), *unknown, "{data}");
        let again = Document::parse(&document.to_text(), &Options::default()).unwrap();
        assert_eq!(again, document, "{data}");
    }
    let circle = Document::parse(
        &file("id: a\nname: n\ndependsOn: []\nx: &x [*x]"),
        &Options::default(),
    );
    assert_eq!(circle.unwrap().unknown.as_str(), "x: &x [*x]\n");
    // `depends_on` beside `dependsOn` loses and is not kept, or the key would be there twice.
    let both = Document::parse(
        &file("id: a\nname: n\ndependsOn: [b]\ndepends_on: [c]"),
        &Options::default(),
    );
    assert!(both.unwrap().unknown.is_empty());
}

#[test]
fn texts_of_unknown_keys_are_checked() {
    for text in [
        "id: x\n",
        "depends_on: []\n",
        "---\n",
        "- a\n",
        "text\n",
        "a: [\n",
        "a: 1\n...\n",
    ] {
        // A document end is harmless only at the very end, where the closing line follows.
        if text.ends_with("...\n") {
            continue;
        }
        assert!(
            frontmatter::UnknownKeys::parse(text, &Options::default()).is_err(),
            "{text}"
        );
    }
    let taken = frontmatter::UnknownKeys::parse("a: 1", &Options::default()).unwrap();
    assert_eq!(taken.as_str(), "a: 1\n");
    assert!(
        frontmatter::UnknownKeys::parse("", &Options::default())
            .unwrap()
            .is_empty()
    );
}

#[test]
fn written_tasks_read_back_equal() {
    for text in [
        "",
        " ",
        "a",
        "12",
        "null",
        "~",
        "a: b",
        "a #b",
        "#a",
        "- a",
        "---",
        "a\nb",
        "a\n",
        "\na",
        "a\n\nb\n\n",
        "a \nb",
        "a\n  b",
        "a\n \nb",
        "\t",
        "a\tb",
        "\r",
        "a\r\nb",
        "\u{0}",
        "\u{7f}",
        "\u{85}",
        "\u{2028}",
        "\u{FEFF}",
        "\u{FEFF}a",
        "é",
        "🚀 ship it",
        "'",
        "\"",
        "\\",
        "yes",
        "0x1F",
        "a:",
        ":a",
        "?",
        "? a",
        "*a",
        "&a",
        "!a",
        "%a",
        "@a",
        "`a",
        "[a]",
        "{a}",
        "a, b",
        "a\u{FFFF}",
        "...",
        "--- a",
        "a\n---\nb",
        "| a",
        "> a",
        "#\na",
        "a\n#b",
        "a\n...\n",
        "=",
        "<<",
        "a'b",
        "\u{a0}",
        "a\u{a0}",
        "\u{3000}x",
    ] {
        let task = TaskInput {
            tags: Some(vec![text.to_owned(), text.to_owned()]),
            assignee: Field::Value(text.to_owned()),
            due: Field::Null,
            ..TaskInput::new(text, text).depending_on([text, "end"])
        };
        let written = frontmatter::write(&task, "Body");
        assert_eq!(
            frontmatter::parse(&written).as_ref(),
            Ok(&task),
            "{text:?} in\n{written}"
        );
    }
}
