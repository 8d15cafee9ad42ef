//! `alkhub task sync`: what each way brings over, and what it leaves alone.

use std::fs;

use crate::server::Server;
use crate::support::Home;

fn text(slug: &str, body: &str) -> String {
    format!("---\nid: {slug}\nname: Do {slug}\nstatus: pending\ndepends_on: []\n---\n{body}\n")
}

fn setting_out<'a>(home: &'a Home, slugs: &[&str]) -> Server<'a> {
    for slug in slugs {
        home.file(&format!("tasks/{slug}.md"), &text(slug, "First."));
    }
    let server = Server::start(home);
    server.text(&["project", "create", "demo"]);
    server
}

const SYNC: [&str; 5] = ["task", "sync", "tasks", "--project", "demo"];

#[test]
fn each_change_goes_to_the_other_side_and_a_second_sync_finds_nothing() {
    let home = Home::new();
    let server = setting_out(&home, &["grammar", "parser"]);
    let first = server.text(&SYNC);
    assert!(first.contains("to the project: 2"), "{first}");
    server.text(&[
        "task",
        "create",
        "Printer",
        "--slug",
        "printer",
        "--project",
        "demo",
    ]);
    server.text(&[
        "task",
        "status",
        "grammar",
        "in-progress",
        "--project",
        "demo",
    ]);
    home.file("tasks/parser.md", &text("parser", "Second."));

    let dry = server.text(&[&SYNC[..], &["--dry-run"]].concat());
    assert!(dry.contains("nothing was changed"), "{dry}");
    assert!(!home.path().join("tasks/printer.md").exists());

    let report = server.json(&SYNC);
    assert_eq!(report["toDb"].as_array().unwrap().len(), 1, "{report}");
    assert_eq!(report["toFile"].as_array().unwrap().len(), 2, "{report}");
    let grammar = fs::read_to_string(home.path().join("tasks/grammar.md")).unwrap();
    assert!(grammar.contains("status: in-progress"), "{grammar}");
    assert!(home.path().join("tasks/printer.md").exists());
    let parser = server.json(&["task", "show", "parser", "--project", "demo"]);
    assert!(parser.to_string().contains("Second."), "{parser}");

    let again = server.text(&SYNC);
    for line in ["to the project: 0", "to files: 0", "unchanged: 3"] {
        assert!(again.contains(line), "{again}");
    }
}

#[test]
fn what_changed_on_both_sides_is_told_and_left_alone() {
    let home = Home::new();
    let server = setting_out(&home, &["grammar", "parser"]);
    server.text(&SYNC);
    server.text(&[
        "task",
        "update",
        "parser",
        "--project",
        "demo",
        "--priority",
        "high",
    ]);
    let mine = text("parser", "Mine.");
    home.file("tasks/parser.md", &mine);
    home.file("tasks/grammar.md", &text("grammar", "Mine too."));
    let ran = server.run(&SYNC);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stdout.contains("to the project: 1"), "{}", ran.stdout);
    assert!(ran.stderr.contains("parser.md"), "{}", ran.stderr);
    let kept = fs::read_to_string(home.path().join("tasks/parser.md")).unwrap();
    assert_eq!(kept, mine);
    let parser = server.json(&["task", "show", "parser", "--project", "demo"]);
    assert!(!parser.to_string().contains("Mine."), "{parser}");
}

#[test]
fn push_and_pull_go_one_way_only() {
    let home = Home::new();
    let server = setting_out(&home, &["grammar"]);
    server.text(&[
        "task",
        "create",
        "Parser",
        "--slug",
        "parser",
        "--project",
        "demo",
    ]);
    let pull = server.text(&[&SYNC[..], &["--pull"]].concat());
    assert!(pull.contains("to files: 1"), "{pull}");
    assert!(home.path().join("tasks/parser.md").exists());
    let listed = server.json(&["task", "list", "--project", "demo"]);
    assert!(!listed.to_string().contains("grammar"), "{listed}");

    server.text(&[
        "task",
        "create",
        "Printer",
        "--slug",
        "printer",
        "--project",
        "demo",
    ]);
    let push = server.text(&[&SYNC[..], &["--push"]].concat());
    assert!(push.contains("to the project: 1"), "{push}");
    assert!(!home.path().join("tasks/printer.md").exists());

    let fresh = ["task", "sync", "fresh", "--project", "demo", "--pull"];
    assert!(server.text(&fresh).contains("to files: 3"));
    let both = server.run(&[&SYNC[..], &["--push", "--pull"]].concat());
    assert_eq!(both.code, Some(2), "{}", both.stderr);
}

#[test]
fn a_moved_task_takes_its_file_along() {
    let home = Home::new();
    let server = setting_out(&home, &["parser"]);
    server.text(&SYNC);
    server.text(&[
        "task",
        "update",
        "parser",
        "--project",
        "demo",
        "--path",
        "deep/parser",
    ]);
    server.text(&SYNC);
    assert!(home.path().join("tasks/deep/parser.md").exists());
    assert!(!home.path().join("tasks/parser.md").exists());
    let again = server.text(&SYNC);
    assert!(again.contains("unchanged: 1"), "{again}");
}

#[test]
fn a_directory_of_another_project_is_refused() {
    let home = Home::new();
    let server = setting_out(&home, &["parser"]);
    server.text(&SYNC);
    server.text(&["project", "create", "other"]);
    let ran = server.run(&["task", "sync", "tasks", "--project", "other"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains(".alkhub-sync.json"), "{}", ran.stderr);
}
