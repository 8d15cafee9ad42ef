//! Directories with faulty files, and files made to hurt.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{graph, json, tasks, try_graph, with_input};
use crate::support::Home;

#[test]
fn a_thousand_faulty_files_give_one_report_of_all_of_them() {
    let home = Home::new();
    for number in 0..1_000 {
        let text = match number % 5 {
            0 => format!("---\nid: t{number}\nname: T\nrisk: extreme\n---\n"),
            1 => format!("---\nname: T{number}\n---\n"),
            2 => format!("---\nid: {number}\nname: T\n---\n"),
            3 => "---\nid: [\n---\n".to_owned(),
            _ => "---\nid: same\nname: T\n---\n".to_owned(),
        };
        home.file(&format!("tasks/f{number:04}.md"), &text);
    }
    let report = json(&home, &["validate"]);
    // The first of the two hundred with the same id is a task.
    assert_eq!(report["task_count"], 1);
    assert_eq!(report["error_count"], 999);
    assert_eq!(report["valid"], false);
    let errors = report["errors"].as_array().unwrap();
    assert_eq!(
        errors[0],
        json!({
            "path": "f0000.md", "class": "InvalidInputError", "field": "risk", "line": 4,
            "message": "Expected union value",
        })
    );
    assert_eq!(errors[1]["field"], "id");
    assert_eq!(errors[2]["line"], 2);
    assert!(
        errors[3]["message"]
            .as_str()
            .unwrap()
            .starts_with("YAML parse error: ")
    );
    assert_eq!(errors[8]["class"], "DuplicateNodeError");
    let text = graph(&home, &["validate"]);
    assert!(
        text.starts_with("✗ Found 999 issue(s)\n"),
        "{}",
        &text[..200]
    );
    assert!(text.contains("  - f0000.md: line 4: risk: Expected union value\n"));
    assert!(text.contains("Duplicate node: same (kept from f0004.md)"));
    assert_eq!(
        text.lines().filter(|line| line.starts_with("  - ")).count(),
        999
    );
}

#[test]
fn other_verbs_use_what_is_sound_and_say_what_they_left_out() {
    let home = tasks(&["a", "b: a"]);
    home.file(
        "tasks/bad.md",
        "---\nid: bad\nname: Bad\nstatus: unknown\n---\n",
    );
    let ran = try_graph(&home, &["topo"]);
    assert_eq!(ran.code, Some(0));
    assert_eq!(
        ran.stdout,
        "Topological order:\n  1. a (pending)\n  2. b (pending)\n"
    );
    assert!(
        ran.stderr.contains("bad.md: line 4: status"),
        "{}",
        ran.stderr
    );
}

#[test]
fn files_made_to_hurt_are_refused_quickly() {
    let home = Home::new();
    let bomb = format!(
        "a: &a [x, x, x, x, x, x, x, x, x, x]\n{}",
        (b'b'..=b'k')
            .map(|letter| {
                let (this, before) = (letter as char, (letter - 1) as char);
                format!(
                    "{this}: &{this} [{}]\n",
                    vec![format!("*{before}"); 10].join(", ")
                )
            })
            .collect::<String>()
    );
    let text = |yaml: &str| format!("---\nid: x\nname: X\n{yaml}\n---\n");
    home.file("tasks/bomb.md", &text(&bomb));
    home.file(
        "tasks/deep.md",
        &text(&format!("x: {}{}", "[".repeat(30_000), "]".repeat(30_000))),
    );
    home.file(
        "tasks/deep-block.md",
        &text(
            &(0..20_000)
                .map(|depth| format!("{}- ", " ".repeat(depth % 3)))
                .collect::<String>(),
        ),
    );
    home.file(
        "tasks/scalar.md",
        &text(&format!("x: {}", "y".repeat(10_000_000))),
    );
    home.file("tasks/nul.md", &text("x: \"\u{0}\""));
    let directory = home.path().join("tasks");
    std::fs::write(
        directory.join("bytes.md"),
        b"---\nid: \xff\xfe\nname: X\n---\n",
    )
    .unwrap();
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(&directory, directory.join("loop")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", directory.join("endless.md")).unwrap();
    }
    let started = Instant::now();
    let report = json(&home, &["validate"]);
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "{:?}",
        started.elapsed()
    );
    let errors = report["errors"].as_array().unwrap();
    let faulty: Vec<&str> = errors
        .iter()
        .filter_map(|error| error["path"].as_str())
        .collect();
    for name in ["bomb.md", "deep.md", "scalar.md", "nul.md"] {
        assert!(faulty.contains(&name), "{name}: {faulty:?}");
    }
    for name in ["endless.md", "loop/bytes.md"] {
        assert!(!faulty.contains(&name), "{name}: {faulty:?}");
    }
    // Bytes that are no UTF-8 are replaced, which makes a sound if odd id.
    let list = json(&home, &["list"]);
    assert!(
        list.as_array()
            .unwrap()
            .iter()
            .any(|task| task["id"] == "\u{fffd}\u{fffd}"),
        "{list}"
    );
}

#[test]
fn an_endless_text_is_read_only_up_to_the_limit() {
    let home = Home::new();
    let text = format!("---\nid: x\nname: X\n---\n{}", "y".repeat(20_000_000));
    let ran = with_input(
        &home,
        &["analyze", "--format", "json", "-"],
        text.as_bytes(),
    );
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let result: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(result["error"]["class"], "InvalidInputError");
    assert!(
        result["error"]["message"]
            .as_str()
            .unwrap()
            .contains("more than the 1048576 allowed"),
        "{result}"
    );
}

#[test]
fn json_that_is_none_is_told_with_its_place() {
    let home = Home::new();
    let ran = with_input(&home, &["analyze", "-"], b"{\n  \"tasks\": [,]\n}");
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("InvalidInputError"), "{}", ran.stderr);
    assert!(
        ran.stderr
            .contains("standard input: line 2: JSON parse error"),
        "{}",
        ran.stderr
    );
    home.file("odd.json", "{\"tasks\": [{\"id\": 3}]}");
    let ran = try_graph(&home, &["analyze", "odd.json"]);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stderr.contains("odd.json: tasks/0/id: Expected string"),
        "{}",
        ran.stderr
    );
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let ran = with_input(&home, &["analyze", "-"], deep.as_bytes());
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("recursion limit"), "{}", ran.stderr);
}

#[cfg(unix)]
#[test]
fn a_file_that_cannot_be_read_is_a_fault_of_its_own() {
    use std::os::unix::fs::PermissionsExt;

    let home = tasks(&["a", "b"]);
    let file = home.path().join("tasks/b.md");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o000)).unwrap();
    if std::fs::read(&file).is_ok() {
        // Nothing is unreadable to root.
        return;
    }
    let report = json(&home, &["validate"]);
    assert_eq!(report["errors"][0]["path"], "b.md");
    assert_eq!(report["errors"][0]["class"], "IOError");
}
