//! Front matter read and written.

mod kept;

use alkhub_taskgraph::frontmatter::{self, Document, Options};
use alkhub_taskgraph::{Field, InvalidInput};

fn fault(text: &str) -> (String, Option<usize>) {
    let InvalidInput { field, line, .. } = frontmatter::parse(text).unwrap_err();
    (field, line)
}

/// A file whose front matter is `data`.
fn file(data: &str) -> String {
    format!("---\n{data}\n---\nBody\n")
}

#[test]
fn scalars_follow_the_core_schema_of_yaml_1_2() {
    for not_text in [
        "",
        "~",
        "null",
        "Null",
        "NULL",
        "true",
        "True",
        "TRUE",
        "false",
        "12",
        "-3",
        "+1",
        "007",
        "0o17",
        "0x1F",
        "1.5",
        "1e3",
        ".5",
        ".inf",
        "-.INF",
        ".nan",
        "!!int 12",
        "[a]",
        "{a: b}",
        "!!timestamp 2001-01-01",
        "1.",
        "!!int 0x1F",
        "!!null ~",
    ] {
        let text = file(&format!("id: {not_text}\nname: n\ndependsOn: []"));
        assert_eq!(fault(&text), ("id".to_owned(), Some(2)), "{not_text}");
    }
    for text in [
        "yes",
        "no",
        "on",
        "off",
        "1_000",
        "1:20",
        "0b1",
        "2026-03-23",
        "2026-03-23T10:00:00Z",
        "nULL",
        "tRUE",
        "0o8",
        "0xG",
        "1e",
        ".",
        "-",
        "1.2.3",
        "<<",
        "0O17",
        "-0x1F",
        "+.nan",
    ] {
        let text = if text == "-" { "'-'" } else { text };
        let source = file(&format!("id: {text}\nname: n\ndependsOn: []"));
        assert_eq!(
            frontmatter::parse(&source).unwrap().id,
            text.trim_matches('\''),
            "{text}"
        );
    }
    for (source, text) in [
        ("!!str 12", "12"),
        ("!!str", ""),
        ("!other 12", "12"),
        ("! 12", "12"),
        ("'12'", "12"),
        ("\"a\\nb\"", "a\nb"),
        ("!!int abc", "abc"),
        ("a\n  b", "a b"),
    ] {
        let source = file(&format!("id: {source}\nname: n\ndependsOn: []"));
        assert_eq!(frontmatter::parse(&source).unwrap().id, text, "{source}");
    }
}

#[test]
fn yaml_that_is_refused() {
    for data in [
        "id: a\nid: b\nname: n\ndependsOn: []",
        "id: a\nname: n\ndependsOn: []\nx: {a: 1, a: 2}",
        "id: a\nname: n\ndependsOn: []\nx: {1: 1, 0x1: 2}",
        "id: a\nname: n\ndependsOn:\n\t- b",
        "id: a\nname: n\ndependsOn: []\n...\nmore: 1",
        "id: a\nname: n\ndependsOn: *nobody",
        "id: a\nname: n\ndependsOn: [a",
        "id: 'a\nname: n\ndependsOn: []",
        "<<: 1\n<<: 2\nid: a",
    ] {
        let error = frontmatter::parse(&file(data)).unwrap_err();
        assert_eq!(error.field, "", "{data}");
        assert!(
            error.message.starts_with("YAML parse error: "),
            "{data}: {}",
            error.message
        );
        assert!(error.line.is_some(), "{data}");
    }
    for data in ["", "# comment", "text", "- a\n- b", "12", "~"] {
        let error = frontmatter::parse(&file(data)).unwrap_err();
        assert_eq!(error.field, "", "{data}");
        assert!(
            error.message.contains("must be a mapping"),
            "{data}: {}",
            error.message
        );
    }
    // A document end without a second document is no error.
    assert!(frontmatter::parse(&file("id: a\nname: n\ndependsOn: []\n...")).is_ok());
    assert!(frontmatter::parse(&file("id: a\nname: n\ndependsOn: []\n...\n# end")).is_ok());
    assert!(
        frontmatter::parse(&file("{\"id\": \"a\", \"name\": \"n\", \"dependsOn\": []}")).is_ok()
    );
}

#[test]
fn the_hundredth_use_of_an_anchor_is_refused() {
    let uses = |count: usize| {
        let list = vec!["*a"; count].join(", ");
        file(&format!("id: &a a\nname: n\ndependsOn: []\nx: [{list}]"))
    };
    assert!(frontmatter::parse(&uses(99)).is_ok());
    assert_eq!(fault(&uses(100)), (String::new(), Some(5)));
    // Aliases inside what is named multiply.
    let nested = |count: usize| {
        let list = vec!["*b"; count].join(", ");
        file(&format!(
            "id: &a a\nname: n\ndependsOn: []\nb: &b [*a, *a, *a]\nx: [{list}]"
        ))
    };
    assert!(frontmatter::parse(&nested(24)).is_ok());
    assert!(frontmatter::parse(&nested(25)).is_err());
}

#[test]
fn errors_tell_the_line_of_the_file() {
    assert_eq!(
        fault("---\nid: a\nname: n\ndependsOn:\n  - b\n  - 2\n---\n"),
        ("dependsOn/1".into(), Some(6))
    );
    assert_eq!(
        fault("---\nid: a\nname: n\nrisk: extreme\ndependsOn: []\n---\n"),
        ("risk".into(), Some(4))
    );
    assert_eq!(fault("---\nid: a\nname: n\nx: [\n---\n").0, "");
}

#[test]
fn crlf_is_lf_and_a_lone_cr_is_text() {
    let text =
        "---\r\nid: a\r\nname: n\r\ndepends_on:\r\n  - b\r\nstatus: pending\r\n---\r\nBody\r\n";
    let document = Document::parse(text, &Options::default()).unwrap();
    assert_eq!(
        document.task.status,
        Field::Value(alkhub_taskgraph::TaskStatus::Pending)
    );
    assert_eq!(document.task.depends_on, ["b"]);
    assert_eq!(document.body, "Body\r\n");
    let quoted = "---\r\nid: \"a\"\r\nname: n\r\ndepends_on: []\r\ndue: 'x'\r\n---\r\n";
    assert_eq!(
        frontmatter::parse(quoted).unwrap().due,
        Field::Value("x".to_owned())
    );
    let lone = "---\nid: a\rb\nname: n\ndepends_on: []\n---\n";
    assert_eq!(frontmatter::parse(lone).unwrap().id, "a\rb");
}

#[test]
fn hostile_texts_end_in_errors() {
    let deep = format!("---\nid: {}\n---\n", "[".repeat(30_000));
    assert!(frontmatter::parse(&deep).is_err());
    let deep = format!("---\nid: {}\n---\n", "{a: ".repeat(15_000));
    assert!(frontmatter::parse(&deep).is_err());
    let deep = format!("---\n{}\n---\n", "- ".repeat(30_000));
    assert!(frontmatter::parse(&deep).is_err());
    let long = format!("---\nid: {}\n---\n", "x".repeat(10 * 1024 * 1024));
    assert!(frontmatter::parse(&long).is_err());
    assert!(frontmatter::parse("---\nid: \0\nname: n\ndependsOn: []\n---\n").is_err());
    assert!(
        frontmatter::parse_bytes(
            b"---\nid: \xff\xfe\nname: n\ndependsOn: []\n---\n",
            &Options::default()
        )
        .is_ok()
    );
    let mut bomb = String::from("---\na0: &a0 [x]\n");
    for level in 1..40 {
        let before = level - 1;
        bomb.push_str(&format!(
            "a{level}: &a{level} [*a{before}, *a{before}, *a{before}]\n"
        ));
    }
    bomb.push_str("id: a\nname: n\ndependsOn: []\n---\n");
    assert!(frontmatter::parse(&bomb).is_err());
    let empties = format!(
        "---\ne: &e [{}]\nx: [{}]\n---\n",
        "[],".repeat(9_000),
        "*e,".repeat(9_000)
    );
    assert!(frontmatter::parse(&empties).is_err());
}

/// Front matter that other readers of the format accept or refuse, down to its corners.
#[test]
fn accepted_and_refused_as_by_other_readers() {
    let refused = |data: &str| {
        let error = frontmatter::parse(&format!("---\n{data}\n---\n")).err();
        error.is_some_and(|error| error.message.starts_with("YAML parse error: "))
    };
    for data in [
        "id: @x",
        "id: `x",
        "id: %x",
        "id: ,x",
        "id: \"a\" b",
        "id: 'a'b",
        "id: \"a\"#c",
        "id: a\n b: c",
        "id: a: b",
        "id: \"a",
        "id: a]\n- b",
        "id: }",
        "id: ]",
        "{id: a, id: b}",
        "id: \"\\q\"",
        "id: \"\\x0\"",
        "id: a\nid2",
        "id: &a &b x",
        "id: &a *a",
        "id: - a",
        "id: | a\n  b",
        "id: |\n   a\n  b",
        "\tid: a",
        "id:\n\tx: 1",
        "id: \"a\nb\"",
        "id: 'a\n\n b\nc'",
        "name: [a, , b]",
        "name: [,a]",
        "x: {a: 1 b: 2}",
        "x: !nope!t y",
        "id: a\n%YAML 1.1",
        "id: [\na\n]",
        "id:\n  x: [\n  a]",
        "x:\n- [1,\n2]",
        "x:\n  - [1,\n  2]",
        "x: [[\n]]",
        "x: *y\nid: &y a",
        "id: a\n... x",
        "id: \"\\uD800\"",
        "x: [\n\ta]",
    ] {
        assert!(refused(data), "{data:?} should be refused");
    }
    for data in [
        "id: a#b",
        "id: a # b",
        "id: a:b",
        "id: http://x.y/z",
        "id: -a",
        "id: ?a",
        "id: :a",
        "\"id\": a",
        "'id' : a",
        "? id\n: a",
        "id:\n  a\n  b",
        "id: >-\n  a\n  b",
        "id: |1\n a",
        "id: \"a\\\n  b\"",
        "id: \"a\n b\"",
        "id: 'a\n\n b'",
        "id: a\t",
        "id:\ta",
        "id: a\t# c",
        "x:\n- a\n- b",
        "x: [a,\n  b]",
        "x: {a, b}",
        "x: [a: b]",
        "x: {\"a\":1}",
        "id: &x !!str a",
        "x: &b",
        "  id: a\n  name: n",
        "[x]: 1",
        "id: a\u{FEFF}b",
        "id: a\u{85}b",
        "id: a\n... # c",
        "x: ---",
        "x: [a, b,]",
        "x: [a\n]",
        "x: {\n}",
        "x: [\n  a,\n  # c\n\n  b\n]\nid: b",
        "x:\n- [1,\n 2]",
        "x:\n- [1\n]",
        "{id: a,\nname: n\n}",
        "id: \"\\u0041\\U0001F600\\x41\\/\\e\\N\\_\\0\"",
    ] {
        assert!(!refused(data), "{data:?} should be accepted");
    }
}
