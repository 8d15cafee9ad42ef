//! `alkhub call`: operations by name, their records, streams and aborts.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use crate::server::Server;
use crate::support::Home;

#[test]
fn calls_are_made_listed_and_drawn() {
    let home = Home::new();
    let server = Server::start(&home);
    home.file("input.json", "{\"name\": \"from a file\"}");
    server.json(&["call", "project.create", "name=plain"]);
    server.json(&["call", "project.create", "--input", "{\"name\": \"given\"}"]);
    server.json(&["call", "project.create", "--input", "@input.json"]);

    let list = server.json(&[
        "call",
        "list",
        "--operation",
        "project.create",
        "--since",
        "1h",
    ]);
    assert_eq!(list["items"].as_array().unwrap().len(), 3, "{list}");
    let id = list["items"][0]["requestId"].as_str().unwrap();
    let table = server.text(&["call", "list", "--status", "completed", "--root-only"]);
    assert!(
        table.contains("project.create") && table.contains(id),
        "{table}"
    );

    let drawn = server.text(&["call", "tree", id]);
    assert!(drawn.starts_with("project.create  * completed"), "{drawn}");
    assert!(!drawn.contains('\u{1b}'), "no colours in a pipe");
    assert!(server.text(&["call", "waterfall", id]).contains('█'));
    let tree = server.json(&["call", "tree", id]);
    assert_eq!(tree["rows"][0]["critical"], true);
    let one = server.text(&["call", "get", id]);
    assert!(one.contains("from a file"), "{one}");
    let stats = server.text(&["call", "stats", "--by", "operation"]);
    assert!(stats.contains("project.create"), "{stats}");
    let report = server.text(&["call", "abort", id]);
    assert!(
        report.starts_with("1 already finished (complete)"),
        "{report}"
    );
    let refused = server.refused(&["call", "tree", "none"]);
    assert_eq!(refused["code"], "NOT_FOUND");
    let both = server.run(&["call", "project.list", "list"]);
    assert_eq!(both.code, Some(2), "{}", both.stderr);
}

#[test]
fn a_watch_streams_and_ends_when_it_is_aborted() {
    let home = Home::new();
    let server = Server::start(&home);
    for watch in [
        &["call", "watch", "--operation", "project.create", "--json"][..],
        &["call", "call.watch", "operation=project.create"],
    ] {
        let mut arguments = vec!["--data-dir", "data"];
        arguments.extend(watch);
        let mut child = home
            .command(&arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut next = || -> serde_json::Value {
            serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap()
        };
        assert_eq!(next()["type"], "snapshot");
        server.json(&["project", "create", "x"]);
        let change = next();
        assert_eq!(change["operation"], "project.create", "{change}");
        let open = server.json(&[
            "call",
            "list",
            "--status",
            "running",
            "--operation",
            "call.watch",
        ]);
        let id = open["items"][0]["requestId"].as_str().unwrap();
        let report = server.json(&["call", "abort", id, "--reason", "enough"]);
        assert_eq!(report["aborted"][0], id);
        let ended = child.wait_with_output().unwrap();
        assert_ne!(ended.status.code(), Some(0));
    }
}
