//! `alkhub graph`: every verb on files, without a hub.

mod drawing;
mod faults;
mod inputs;
mod reference;
mod verbs;

use std::io::Write;
use std::process::Stdio;

use serde_json::Value;

use crate::support::{Home, Ran};

/// Six tasks that use every field, one of them depending on a task that is not there, and a file
/// that is no task.
const PLAN: [(&str, &str); 7] = [
    ("README.md", "# Tasks\n\nOne file a task.\n"),
    (
        "a-schema.md",
        "---\nid: schema\nname: Write the schema\nstatus: completed\ndepends_on: []\nscope: narrow\nrisk: trivial\n\
         impact: component\nlevel: implementation\ntags: [backend, core]\n---\n\n# Schema\n\nTables first.\n",
    ),
    (
        "b-parser.md",
        "---\nid: parser\nname: Write the parser\nstatus: in-progress\ndepends_on: [schema]\nscope: broad\nrisk: high\n\
         impact: phase\ntags: [backend]\n---\n",
    ),
    (
        "docs/guide.md",
        "---\nid: guide\nname: Write the guide\nstatus: blocked\ndepends_on:\n  - schema\n  - style\n---\nText\n",
    ),
    (
        "docs/index.MD",
        "---\nid: index\nname: Make an index\n---\n",
    ),
    (
        "e-tests.md",
        "---\nid: tests\nname: Test the parser\nstatus: failed\ndependsOn: [parser]\nrisk: medium\n---\n",
    ),
    (
        "f-ship.md",
        "---\nid: ship\nname: Ship it\nstatus: pending\ndepends_on: [tests, guide, schema]\nscope: system\n\
         risk: critical\nimpact: project\n---\n",
    ),
];

/// A home directory with the plan in `tasks`.
fn plan() -> Home {
    let home = Home::new();
    for (name, text) in PLAN {
        home.file(&format!("tasks/{name}"), text);
    }
    home
}

/// A home directory with the named tasks, each as `id: prerequisite prerequisite`.
fn tasks(lines: &[&str]) -> Home {
    let home = Home::new();
    for line in lines {
        let (id, depends_on) = line.split_once(':').unwrap_or((line, ""));
        let depends_on: Vec<&str> = depends_on.split_whitespace().collect();
        home.file(
            &format!("tasks/{id}.md"),
            &format!(
                "---\nid: {id}\nname: Task {id}\ndepends_on: [{}]\n---\n",
                depends_on.join(", ")
            ),
        );
    }
    home
}

/// Runs `alkhub graph …`, which must end with 0.
fn graph(home: &Home, arguments: &[&str]) -> String {
    let ran = try_graph(home, arguments);
    assert_eq!(ran.code, Some(0), "{arguments:?}: {}", ran.stderr);
    ran.stdout
}

fn try_graph(home: &Home, arguments: &[&str]) -> Ran {
    let mut all = vec!["graph"];
    all.extend(arguments);
    home.run(&all)
}

/// Runs `alkhub graph … --format json`, which must end with 0.
fn json(home: &Home, arguments: &[&str]) -> Value {
    let mut all = arguments.to_vec();
    all.extend(["--format", "json"]);
    serde_json::from_str(&graph(home, &all)).unwrap()
}

/// Runs `alkhub graph …` with a text on standard input.
fn with_input(home: &Home, arguments: &[&str], input: &[u8]) -> Ran {
    let mut all = vec!["graph"];
    all.extend(arguments);
    let mut child = home
        .command(&all)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // A program that has seen enough closes its end.
            let _closed = stdin.write_all(input);
        });
        Ran::from(child.wait_with_output().unwrap())
    })
}
