//! The tour of the README and what a user meets around it, against a running hub.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::server::{Server, serve};
use crate::support::{Home, Ran};

fn task_file(home: &Home, name: &str, depends_on: &[&str]) {
    let edges: String = depends_on
        .iter()
        .map(|slug| format!("  - {slug}\n"))
        .collect();
    let edges = if edges.is_empty() {
        " []\n".to_owned()
    } else {
        format!("\n{edges}")
    };
    let text = format!(
        "---\nid: {name}\nname: Do {name}\nstatus: pending\ndepends_on:{edges}---\n\nText of {name}.\n"
    );
    home.file(&format!("tasks/{name}.md"), &text);
}

fn slugs(list: &Value) -> Vec<&str> {
    let items = list.get("items").unwrap_or(list).as_array().unwrap();
    items
        .iter()
        .map(|item| item.get("task").unwrap_or(item)["slug"].as_str().unwrap())
        .collect()
}

#[test]
fn the_tour_of_the_readme_works() {
    let home = Home::new();
    task_file(&home, "grammar", &[]);
    task_file(&home, "parser", &["grammar"]);
    task_file(&home, "printer", &["parser"]);
    let server = Server::start(&home);

    let me = server.json(&["whoami"]);
    assert_eq!(me["account"]["accessLevel"], "admin");
    assert!(server.text(&["whoami"]).contains("admin@localhost"));

    let project = server.json(&[
        "project",
        "create",
        "demo",
        "--repo-url",
        "https://git.example/demo.git",
    ]);
    assert_eq!(project["name"], "demo");
    assert!(server.text(&["project", "list"]).contains("demo"));

    let dry = server.json(&["task", "import", "tasks", "--project", "demo", "--dry-run"]);
    assert_eq!(
        slugs(&server.json(&["task", "list", "--project", "demo"])).len(),
        0,
        "{dry}"
    );
    let report = server.text(&["task", "import", "tasks", "--project", "demo"]);
    assert!(report.contains("inserted: 3"), "{report}");
    let again = server.text(&["task", "import", "tasks", "--project", "demo"]);
    assert!(again.contains("unchanged: 3"), "{again}");

    assert_eq!(
        slugs(&server.json(&["task", "ready", "--project", "demo"])),
        ["grammar"]
    );
    let blocked = server.text(&["task", "blocked", "--project", "demo"]);
    assert!(
        blocked.contains("parser") && blocked.contains("grammar"),
        "{blocked}"
    );

    server.text(&[
        "task",
        "status",
        "grammar",
        "in-progress",
        "--project",
        "demo",
    ]);
    server.text(&[
        "task",
        "status",
        "grammar",
        "completed",
        "--project",
        "demo",
    ]);
    assert_eq!(
        slugs(&server.json(&["task", "ready", "--project", "demo"])),
        ["parser"]
    );
    let listed = server.json(&["task", "list", "--project", "demo", "--status", "completed"]);
    assert_eq!(slugs(&listed), ["grammar"]);

    let shown = server.text(&["task", "show", "parser", "--project", "demo"]);
    assert!(shown.contains("Text of parser."), "{shown}");
    server.text(&[
        "task",
        "note",
        "parser",
        "it is ambiguous",
        "--project",
        "demo",
    ]);
    server.text(&[
        "task",
        "assign",
        "parser",
        "ada@example.com",
        "--project",
        "demo",
    ]);
    let parser = server.json(&["task", "show", "parser", "--project", "demo"]);
    assert_eq!(parser["assignee"], "ada@example.com");
    assert!(
        parser["body"].as_str().unwrap().contains("it is ambiguous"),
        "{parser}"
    );
    server.text(&["task", "assign", "parser", "--nobody", "--project", "demo"]);
    let parser = server.json(&["task", "show", "parser", "--project", "demo"]);
    assert_eq!(parser["assignee"], Value::Null);
}

#[test]
fn the_second_start_is_silent_about_keys_and_keeps_everything() {
    let home = Home::new();
    let server = Server::start(&home);
    server.text(&["project", "create", "demo"]);
    let key = std::fs::read_to_string(home.path().join("data/local-key")).unwrap();
    let first = server.stop();
    assert_eq!(first.code, Some(0), "{}", first.stderr);
    assert!(first.stdout.contains("Address"), "{}", first.stdout);
    assert!(first.stdout.contains("local-key"), "{}", first.stdout);
    assert!(!Server::hub_file(&home).exists());

    let server = Server::start(&home);
    assert!(server.text(&["project", "list"]).contains("demo"));
    let second = server.stop();
    assert_eq!(second.code, Some(0), "{}", second.stderr);
    assert!(!second.stdout.contains("key"), "{}", second.stdout);
    for told in [&first.stdout, &first.stderr, &second.stdout, &second.stderr] {
        assert!(
            !told.contains(key.trim()),
            "the key stands in what may be a log file"
        );
    }
}

#[test]
fn a_second_hub_on_the_directory_ends_with_3_and_names_the_first() {
    let home = Home::new();
    let server = Server::start(&home);
    let second = Ran::from(serve(&home, &[]).output().unwrap());
    assert_eq!(second.code, Some(3), "{}", second.stderr);
    assert!(
        second.stderr.contains(&server.pid().to_string()),
        "{}",
        second.stderr
    );
    assert_eq!(server.json(&["health"])["status"], "ok");
}

#[test]
fn a_taken_port_ends_with_7() {
    let home = Home::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let arguments = ["serve", "--data-dir", "data", "--listen", &address];
    let ran = home.run(&arguments);
    assert_eq!(ran.code, Some(7), "{}", ran.stderr);
    assert!(ran.stderr.contains(&address), "{}", ran.stderr);
}

#[test]
fn json_is_the_data_of_the_operation_exactly() {
    let home = Home::new();
    let server = Server::start(&home);
    server.text(&["project", "create", "demo"]);
    let friendly = server.json(&["project", "list"]);
    let called = server.json(&["call", "project.list"]);
    assert_eq!(friendly, called);
}

#[test]
fn refusals_have_code_message_and_details() {
    let home = Home::new();
    let server = Server::start(&home);
    server.text(&["project", "create", "demo"]);
    let error = server.refused(&["project", "show", "nothing"]);
    assert_eq!(error["code"], "NOT_FOUND");
    let error = server.refused(&["call", "project.create", "name=x", "nonsense=1"]);
    assert_eq!(error["code"], "VALIDATION_ERROR");
    assert!(error["details"]["issues"].is_array(), "{error}");
    let text = server.run(&["call", "project.create", "name=x", "nonsense=1"]);
    assert!(text.stderr.contains("nonsense"), "{}", text.stderr);
    let error = server.refused(&["task", "show", "no-id"]);
    assert_eq!(error["code"], "VALIDATION_ERROR");
}

#[test]
fn faulty_files_are_all_listed_and_nothing_is_imported() {
    let home = Home::new();
    task_file(&home, "good", &[]);
    home.file(
        "tasks/one.md",
        "---\nid: one\nname: One\nstatus: nonsense\ndepends_on: []\n---\n",
    );
    home.file("tasks/two.md", "---\nid: [\n---\n");
    let server = Server::start(&home);
    server.text(&["project", "create", "demo"]);
    let ran = server.run(&["task", "import", "tasks", "--project", "demo"]);
    assert_eq!(ran.code, Some(1));
    for part in ["one.md", "status", "two.md"] {
        assert!(ran.stderr.contains(part), "{part} is not in {}", ran.stderr);
    }
    assert!(slugs(&server.json(&["task", "list", "--project", "demo"])).is_empty());
}

#[test]
fn export_then_import_changes_nothing_and_hand_made_changes_are_kept() {
    let home = Home::new();
    task_file(&home, "grammar", &[]);
    task_file(&home, "parser", &["grammar"]);
    let server = Server::start(&home);
    server.text(&["project", "create", "demo"]);
    server.text(&["task", "import", "tasks", "--project", "demo"]);
    let wrote = server.text(&["task", "export", "out", "--project", "demo"]);
    assert!(wrote.contains("wrote 2 files"), "{wrote}");
    let report = server.text(&["task", "import", "out", "--project", "demo"]);
    assert!(report.contains("unchanged: 2"), "{report}");

    server.text(&[
        "task",
        "update",
        "parser",
        "--project",
        "demo",
        "--priority",
        "high",
    ]);
    let wrote = server.text(&["task", "export", "out", "--project", "demo"]);
    assert!(wrote.contains("wrote 1 file, 1 unchanged"), "{wrote}");
    let parser = home.path().join("out/parser.md");
    std::fs::write(&parser, "mine").unwrap();
    let ran = server.run(&["task", "export", "out", "--project", "demo"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("parser.md"), "{}", ran.stderr);
    assert_eq!(std::fs::read_to_string(&parser).unwrap(), "mine");
    server.text(&["task", "export", "out", "--project", "demo", "--force"]);
    assert!(std::fs::read_to_string(&parser).unwrap().contains("high"));
}

#[test]
fn tasks_and_dependencies_are_made_and_deleted() {
    let home = Home::new();
    let server = Server::start(&home);
    server.text(&["project", "create", "demo"]);
    let on = ["--project", "demo"];
    let with = |arguments: &[&str]| server.json(&[arguments, &on].concat());
    with(&["task", "create", "Grammar", "--slug", "grammar"]);
    let parser = with(&[
        "task",
        "create",
        "Parser",
        "--slug",
        "parser",
        "--depends-on",
        "grammar",
        "--priority",
        "high",
        "--tag",
        "a",
        "--tag",
        "b",
        "--due",
        "2027-01-31",
    ]);
    assert_eq!(parser["tags"], json!(["a", "b"]));
    assert_eq!(parser["dueAt"], "2027-01-31T00:00:00.000Z");
    with(&["task", "create", "Printer", "--slug", "printer"]);
    with(&[
        "task",
        "depend",
        "add",
        "printer",
        "parser",
        "--quality-retention",
        "0.5",
    ]);
    let error = server.refused(&[
        "task",
        "depend",
        "add",
        "grammar",
        "printer",
        "--project",
        "demo",
    ]);
    assert_eq!(
        (&error["code"], &error["details"]["rule"]),
        (&json!("UNPROCESSABLE"), &json!("cycle"))
    );
    let text = server.text(&[
        "task",
        "depend",
        "list",
        "printer",
        "--project",
        "demo",
        "--depth",
        "5",
    ]);
    assert!(
        text.contains("parser") && text.contains("grammar"),
        "{text}"
    );
    with(&["task", "depend", "remove", "printer", "parser"]);
    let updated = with(&[
        "task",
        "update",
        "parser",
        "--name",
        "The parser",
        "--unset",
        "dueAt",
    ]);
    assert_eq!(
        (&updated["name"], &updated["dueAt"]),
        (&json!("The parser"), &Value::Null)
    );
    let id = updated["id"].as_str().unwrap();
    assert_eq!(server.json(&["task", "show", id])["slug"], "parser");
    with(&["task", "delete", "parser"]);
    assert_eq!(server.refused(&["task", "show", id])["code"], "NOT_FOUND");
}

#[test]
fn projects_and_workspaces_live_their_life() {
    let home = Home::new();
    let server = Server::start(&home);
    server.text(&["project", "create", "demo"]);
    let renamed = server.json(&[
        "project",
        "update",
        "demo",
        "--name",
        "web",
        "--directory",
        "/srv/web",
    ]);
    assert_eq!(renamed["directory"], "/srv/web");
    let cleared = server.json(&["project", "update", "web", "--unset", "directory"]);
    assert_eq!(cleared["directory"], Value::Null);
    server.text(&["project", "archive", "web"]);
    assert_eq!(server.json(&["project", "list"])["items"], json!([]));
    server.text(&["project", "unarchive", "web"]);
    server.text(&["project", "stats", "web"]);
    let place = server.json(&[
        "workspace",
        "create",
        "--project",
        "web",
        "--name",
        "main",
        "--directory",
        "/srv/web",
    ]);
    let id = place["id"].as_str().unwrap();
    assert!(
        server
            .text(&["workspace", "list", "--project", "web"])
            .contains("/srv/web")
    );
    server.text(&["workspace", "update", id, "--branch", "trunk"]);
    assert!(server.text(&["workspace", "show", id]).contains("trunk"));
    server.text(&["workspace", "delete", id]);

    let unconfirmed = server.run(&["project", "delete", "web"]);
    assert_eq!(unconfirmed.code, Some(2), "{}", unconfirmed.stderr);
    assert!(
        server
            .text(&["project", "delete", "web", "--yes"])
            .contains("deleted")
    );
    assert_eq!(
        server.refused(&["project", "show", "web"])["code"],
        "NOT_FOUND"
    );
}

#[test]
fn keys_are_made_used_and_revoked() {
    let home = Home::new();
    let server = Server::start(&home);
    let account = server.json(&["account", "create", "ada@example.com", "--name", "Ada"]);
    assert!(
        server
            .text(&["account", "list"])
            .contains("ada@example.com")
    );
    assert!(
        server
            .text(&["account", "show", "ada@example.com"])
            .contains("Ada")
    );
    let owner = account["id"].as_str().unwrap();
    server.text(&[
        "key",
        "create",
        "laptop",
        "--owner",
        owner,
        "--preset",
        "viewer",
        "--expires",
        "30d",
        "--out",
        "ada.key",
    ]);
    let key = home.path().join("ada.key");
    assert_private(&key);
    let again = server.run(&[
        "key",
        "create",
        "laptop",
        "--scope",
        "task:read",
        "--out",
        "ada.key",
    ]);
    assert_eq!(again.code, Some(1), "an existing file is overwritten");

    let as_ada = |arguments: &[&str]| {
        server.run(&[&["--key-file", "ada.key", "--json"], arguments].concat())
    };
    let me: Value = serde_json::from_str(&as_ada(&["whoami"]).stdout).unwrap();
    assert_eq!(me["account"]["email"], "ada@example.com");
    let refused = as_ada(&["project", "create", "demo"]);
    assert_eq!(refused.code, Some(1));
    let error: Value = serde_json::from_str(&refused.stderr).unwrap();
    assert_eq!(
        error["details"]["missing"],
        json!(["project:write"]),
        "{error}"
    );

    let id = me["key"]["id"].as_str().unwrap();
    assert!(server.text(&["key", "show", id]).contains("laptop"));
    assert!(
        server
            .text(&["key", "list", "--owner", owner])
            .contains("laptop")
    );
    assert!(
        server
            .text(&["key", "check", "task.create"])
            .contains("yes")
    );
    assert_eq!(
        server.text(&["key", "revoke", id, "--reason", "lost"]),
        "revoked 1 key\n"
    );
    let error: Value = serde_json::from_str(&as_ada(&["whoami"]).stderr).unwrap();
    assert_eq!(error["code"], "UNAUTHENTICATED");
}

#[cfg(unix)]
fn assert_private(file: &Path) {
    use std::os::unix::fs::PermissionsExt;

    let mode = std::fs::metadata(file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn operations_are_listed_found_shown_and_called() {
    let home = Home::new();
    let server = Server::start(&home);
    assert!(
        server
            .text(&["ops", "list", "--namespace", "task"])
            .contains("task.create")
    );
    assert!(
        server
            .text(&["ops", "search", "import tasks"])
            .contains("task.import")
    );
    let shown = server.text(&["ops", "show", "task.create"]);
    assert!(
        shown.contains("  projectId   string ") && shown.contains("task:write"),
        "{shown}"
    );
    let project = server.json(&["call", "project.create", "--input", "{\"name\": \"demo\"}"]);
    let id = format!("projectId={}", project["id"].as_str().unwrap());
    server.json(&["call", "task.create", &id, "name=Guides", "slug=guides"]);
    let task = server.json(&[
        "call",
        "task.create",
        &id,
        "name=Notes",
        "dependsOn=[\"guides\"]",
        "tags=a",
        "tags=b",
    ]);
    assert_eq!(task["tags"], json!(["a", "b"]));
    let page = server.json(&["call", "task.list", &id, "limit=1"]);
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    let more = server.run(&["task", "list", "--project", "demo", "--limit", "1"]);
    assert!(more.stderr.contains("--cursor"), "{}", more.stderr);
    let key = "the-same-call-again";
    let first = server.json(&[
        "call",
        "project.create",
        "name=once",
        "--idempotency-key",
        key,
    ]);
    let second = server.json(&[
        "call",
        "project.create",
        "name=once",
        "--idempotency-key",
        key,
    ]);
    assert_eq!(first, second);
}

#[test]
fn live_settings_change_and_are_kept() {
    let home = Home::new();
    let server = Server::start(&home);
    server.text(&["config", "set", "limits.rate", "321"]);
    assert!(
        server
            .text(&["config", "get", "limits.rate"])
            .contains("limits.rate = 321")
    );
    let error = server.refused(&["config", "set", "server.bodyLimit", "1MiB"]);
    assert_eq!(error["details"]["rule"], "needs_restart", "{error}");
    server.stop();
    let server = Server::start(&home);
    assert_eq!(
        server.json(&["config", "get", "limits.rate"])["limits.rate"]["value"],
        321
    );
}

#[test]
fn info_and_health_tell_of_the_hub() {
    let home = Home::new();
    let server = Server::start(&home);
    assert_eq!(server.json(&["info"])["engine"], "sqlite");
    assert!(server.text(&["info"]).contains("version"));
    assert!(server.text(&["health"]).contains("ok"));
}

#[test]
fn migrate_prepares_an_empty_directory_and_does_it_once() {
    let home = Home::new();
    let ran = home.run(&["migrate", "--data-dir", "data"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.contains("applied"), "{}", ran.stdout);
    let again = home.run(&["migrate", "--data-dir", "data"]);
    assert!(again.stdout.contains("up to date"), "{}", again.stdout);
    let server = Server::start_with(&home, &["--set", "database.migrate=false"]);
    assert_eq!(server.json(&["health"])["status"], "ok");
}

#[test]
fn a_lost_key_is_made_anew_while_the_hub_is_stopped() {
    let home = Home::new();
    let server = Server::start(&home);
    let busy = home.run(&["admin", "reset-key", "--data-dir", "data"]);
    assert_ne!(busy.code, Some(0), "a running hub holds its directory");
    let old = std::fs::read_to_string(home.path().join("data/local-key")).unwrap();
    server.stop();
    std::fs::remove_file(home.path().join("data/local-key")).unwrap();
    let ran = home.run(&["admin", "reset-key", "--data-dir", "data"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let new = std::fs::read_to_string(home.path().join("data/local-key")).unwrap();
    assert_ne!(old, new);
    assert!(!ran.stdout.contains(new.trim()), "no terminal, no key");
    let server = Server::start(&home);
    assert_eq!(server.json(&["whoami"])["account"]["accessLevel"], "admin");
}

#[test]
fn changes_of_tasks_are_watched_and_kept_as_history() {
    let home = Home::new();
    let server = Server::start(&home);
    server.text(&["project", "create", "demo"]);
    server.text(&["task", "create", "First", "--project", "demo"]);
    let mut watch = home
        .command(&[
            "--data-dir",
            "data",
            "--json",
            "task",
            "watch",
            "--project",
            "demo",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    // The watch begins at some moment; notes are written until it tells of one.
    let (told, heard) = std::sync::mpsc::sync_channel(1);
    let listener = std::thread::spawn(move || {
        let line = lines.next().unwrap().unwrap();
        told.send(()).unwrap();
        line
    });
    let note = [
        "task",
        "note",
        "first",
        "are you there?",
        "--project",
        "demo",
    ];
    let told_of = (0..500).any(|_| {
        server.text(&note);
        heard.try_recv().is_ok()
    });
    assert!(told_of, "the watch told of none of 500 changes");
    let change: Value = serde_json::from_str(&listener.join().unwrap()).unwrap();
    assert_eq!(change["task"]["slug"], "first");
    watch.kill().unwrap();
    watch.wait().unwrap();

    server.text(&[
        "task",
        "status",
        "first",
        "in-progress",
        "--project",
        "demo",
        "--reason",
        "begun",
    ]);
    let history = server.text(&["task", "history", "first", "--project", "demo"]);
    assert!(
        history.contains("in-progress") && history.contains("begun"),
        "{history}"
    );
}

#[test]
fn graphs_are_drawn_and_analyzed_from_the_rows() {
    let home = Home::new();
    let server = Server::start(&home);
    server.text(&["project", "create", "demo"]);
    server.text(&["task", "create", "First", "--project", "demo"]);
    server.text(&[
        "task",
        "create",
        "Second",
        "--project",
        "demo",
        "--depends-on",
        "first",
    ]);
    let drawing = server.text(&["task", "graph", "--project", "demo"]);
    assert!(
        drawing.contains("digraph") && drawing.contains("second"),
        "{drawing}"
    );
    let drawing = server.text(&["task", "graph", "--project", "demo", "--format", "mermaid"]);
    assert!(drawing.starts_with("graph LR"), "{drawing}");
    let lists = server.text(&["task", "graph", "--project", "demo", "--format", "graph"]);
    assert!(lists.contains("first -> second"), "{lists}");
    let analyses = [
        "task",
        "analyze",
        "criticalPath",
        "cycles",
        "--project",
        "demo",
    ];
    assert_eq!(
        server.json(&analyses)["criticalPath"],
        json!(["first", "second"])
    );
    assert!(server.text(&analyses).contains("cycles:\n  none"));
}
