//! Behaviour of the older command that scripts rely on; numbers are those of the specification.

use serde_json::json;

use super::{graph, json, plan, tasks, try_graph};
use crate::support::Home;

#[test]
fn case_077_list_is_filtered_by_status() {
    let list = graph(&plan(), &["list", "--status", "completed"]);
    assert!(
        list.contains("schema") && !list.contains("parser"),
        "{list}"
    );
    assert_eq!(
        graph(&plan(), &["list", "--status", "unheard-of"]),
        "No tasks found.\n"
    );
    assert_eq!(
        json(&plan(), &["list", "--status", "unheard-of"]),
        json!([])
    );
}

#[test]
fn case_078_show_of_a_missing_id_fails() {
    for verb in ["show", "deps"] {
        let ran = try_graph(&plan(), &[verb, "nobody"]);
        assert_eq!(ran.code, Some(1));
        assert!(
            ran.stderr.contains("Task not found: nobody"),
            "{}",
            ran.stderr
        );
    }
}

#[test]
fn case_079_validate_names_a_missing_dependency_and_succeeds() {
    let text = graph(&tasks(&["a: nowhere never", "b"]), &["validate"]);
    assert!(text.starts_with("✗ Found 1 issue(s)\n"), "{text}");
    assert!(
        text.contains("  - a depends on missing: nowhere, never\n"),
        "{text}"
    );
}

#[test]
fn case_080_dependents_of_a_shared_prerequisite_are_both_listed() {
    let text = graph(
        &tasks(&["base", "one: base", "two: base"]),
        &["dependents", "base"],
    );
    assert_eq!(
        text,
        "Tasks that depend on 'base':\n  - one (pending)\n  - two (pending)\n"
    );
    let none = graph(&tasks(&["a"]), &["dependents", "unheard-of"]);
    assert_eq!(none, "No tasks depend on 'unheard-of'.\n");
}

#[test]
fn case_081_cycles_are_counted() {
    assert!(graph(&tasks(&["a", "b: a"]), &["cycles"]).starts_with("No cycles"));
    let text = graph(&tasks(&["a: b", "b: a"]), &["cycles"]);
    assert_eq!(text, "Found 1 cycle(s):\n  1. a → b\n");
}

#[test]
fn case_082_init_writes_a_task_and_never_over_one() {
    let home = Home::new();
    let said = graph(
        &home,
        &[
            "init", "new-task", "-n", "New task", "-s", "NARROW", "--risk", "low",
        ],
    );
    assert_eq!(
        said,
        "Created: tasks/new-task.md\nEdit the file to add dependencies and details.\n"
    );
    let file = home.path().join("tasks/new-task.md");
    let text = std::fs::read_to_string(&file).unwrap();
    for line in [
        "id: new-task",
        "name: New task",
        "status: pending",
        "depends_on: []",
        "scope: narrow",
        "risk: low",
    ] {
        assert!(text.contains(&format!("{line}\n")), "{text}");
    }
    assert!(
        text.contains("created: ") && text.contains("modified: "),
        "{text}"
    );
    assert!(
        text.ends_with("---\n\n# Description\n\n[Add task description here]\n"),
        "{text}"
    );
    let again = try_graph(&home, &["init", "new-task"]);
    assert_eq!(again.code, Some(1));
    assert!(
        again.stderr.contains("Task already exists: new-task"),
        "{}",
        again.stderr
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    assert_eq!(graph(&home, &["validate"]), "✓ Valid: 1 tasks\n");
    let said = json(&home, &["init", "other"]);
    assert_eq!(said, json!({ "id": "other", "path": "tasks/other.md" }));
}

#[test]
fn init_refuses_ids_that_are_no_file_names_and_unknown_labels() {
    let home = Home::new();
    for id in ["", ".", "..", "a/b", "a\\b", "../x"] {
        assert_eq!(try_graph(&home, &["init", id]).code, Some(2), "{id:?}");
    }
    for arguments in [
        &["init", "x", "--scope", "huge"],
        &["init", "x", "--risk", "extreme"],
    ] {
        let ran = try_graph(&home, arguments);
        assert_eq!(ran.code, Some(2));
        assert!(ran.stderr.contains("there are "), "{}", ran.stderr);
    }
    assert!(!home.path().join("tasks").exists());
}

#[test]
fn case_083_risk_has_a_line_a_level() {
    let home = Home::new();
    for risk in ["critical", "high", "medium", "low"] {
        home.file(
            &format!("tasks/{risk}.md"),
            &format!("---\nid: t-{risk}\nname: T\nrisk: {risk}\n---\n"),
        );
    }
    home.file("tasks/none.md", "---\nid: t-none\nname: T\n---\n");
    let text = graph(&home, &["risk"]);
    for label in [
        "CRITICAL: 1 (20%)",
        "HIGH: 1 (20%)",
        "MEDIUM: 1 (20%)",
        "LOW: 1 (20%)",
        "TRIVIAL: 0",
        "UNSPECIFIED: 1 (20%)",
    ] {
        assert!(text.contains(&format!("{label}\n")), "{label}: {text}");
    }
}

#[test]
fn case_084_an_empty_or_missing_directory_has_no_tasks() {
    let missing = Home::new();
    let empty = Home::new();
    std::fs::create_dir(empty.path().join("tasks")).unwrap();
    for home in [&missing, &empty] {
        for verb in [
            "risk",
            "workflow-cost",
            "risk-path",
            "list",
            "parallel",
            "bottleneck",
        ] {
            assert_eq!(graph(home, &[verb]), "No tasks found.\n", "{verb}");
        }
        assert_eq!(graph(home, &["validate"]), "✓ Valid: 0 tasks\n");
        assert_eq!(
            graph(home, &["critical"]),
            "No critical path found (empty graph or cycle).\n"
        );
        assert_eq!(json(home, &["workflow-cost"]), json!([]));
        assert_eq!(
            json(home, &["risk-path"]),
            json!({ "path": [], "totalRisk": 0.0 })
        );
    }
    let ran = try_graph(&missing, &["list"]);
    assert!(ran.stderr.contains("no directory tasks"), "{}", ran.stderr);
}

#[test]
fn case_085_decompose_names_risk_and_scope() {
    let home = Home::new();
    home.file("tasks/a.md", "---\nid: a\nname: A\nrisk: high\n---\n");
    home.file("tasks/b.md", "---\nid: b\nname: B\nscope: broad\n---\n");
    home.file(
        "tasks/c.md",
        "---\nid: c\nname: C\nscope: system\nrisk: critical\n---\n",
    );
    home.file(
        "tasks/d.md",
        "---\nid: d\nname: D\nscope: moderate\nrisk: medium\n---\n",
    );
    let text = graph(&home, &["decompose"]);
    assert!(
        text.starts_with("Tasks that should be decomposed (3):\n"),
        "{text}"
    );
    assert!(text.contains("risk: critical, scope: system\n"), "{text}");
    let reasons = json(&home, &["decompose"]);
    assert_eq!(
        reasons[0],
        json!({ "id": "a", "reasons": ["risk: high — failure probability 0.35"] })
    );
    let none = graph(&tasks(&["x"]), &["decompose"]);
    assert!(none.starts_with("No tasks need decomposition.\n"), "{none}");
}

#[test]
fn case_086_completions_know_the_verbs() {
    let home = Home::new();
    for (shell, mark) in [
        ("bash", "_alkhub()"),
        ("zsh", "#compdef alkhub"),
        ("fish", "complete -c alkhub"),
    ] {
        let script = home.run(&["completions", shell]).stdout;
        assert!(script.contains(mark), "{shell}");
        assert!(
            script.contains("workflow-cost") && script.contains("bottleneck"),
            "{shell}"
        );
    }
}

#[test]
fn workflow_cost_of_completed_tasks_only_says_so() {
    let home = Home::new();
    home.file(
        "tasks/a.md",
        "---\nid: a\nname: A\nstatus: completed\n---\n",
    );
    assert_eq!(graph(&home, &["workflow-cost"]), "All tasks completed.\n");
    let all = json(&home, &["workflow-cost", "--include-completed"]);
    assert_eq!(all["count"], 1);
    assert_eq!(all["average"], all["total"]);
}

#[test]
fn the_average_cost_is_over_all_counted_tasks_whatever_the_limit() {
    let home = tasks(&["a", "b", "c", "d"]);
    let cost = json(&home, &["workflow-cost", "--limit", "0"]);
    assert_eq!(cost["count"], 0);
    assert_eq!(cost["tasks"], json!([]));
    let (total, average) = (
        cost["total"].as_f64().unwrap(),
        cost["average"].as_f64().unwrap(),
    );
    assert!((total - 4.0 * average).abs() < 1e-9 && (average - 3.04).abs() < 1e-9);
    let more = graph(&home, &["workflow-cost", "-l", "3"]);
    assert!(more.contains("... and 1 more\n"), "{more}");
}

#[test]
fn the_directory_comes_from_the_nearest_configuration_file_and_is_relative_to_it() {
    let home = plan();
    home.file(
        ".taskgraph.toml",
        "[project]\ntasks_dir = \"plans/now\"\n\n[other]\nx = 1\n",
    );
    home.file("plans/now/only.md", "---\nid: only\nname: Only\n---\n");
    home.file("deep/er/note.txt", "");
    let ids = |list: serde_json::Value| {
        list.as_array()
            .unwrap()
            .iter()
            .map(|task| task["id"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(json(&home, &["list"])), ["only"]);
    let mut command = home.command(&["graph", "list", "-f", "json"]);
    let ran = command
        .current_dir(home.path().join("deep/er"))
        .output()
        .unwrap();
    assert_eq!(ids(serde_json::from_slice(&ran.stdout).unwrap()), ["only"]);
    // Named directories win.
    assert_eq!(ids(json(&home, &["list", "-p", "tasks"])).len(), 6);
    home.file(".taskgraph.toml", "[project]\n");
    assert_eq!(ids(json(&home, &["list"])).len(), 6);
}

#[test]
fn a_configuration_file_that_does_not_parse_is_an_error() {
    let home = plan();
    for text in ["[project\n", "[project]\ntasks_dir = 3\n"] {
        home.file(".taskgraph.toml", text);
        let ran = try_graph(&home, &["list"]);
        assert_eq!(ran.code, Some(1));
        assert!(ran.stderr.contains(".taskgraph.toml"), "{}", ran.stderr);
    }
}

#[test]
fn a_key_in_the_environment_does_not_matter_to_files() {
    let ran = plan()
        .command(&["graph", "validate"])
        .env("ALKHUB_KEY", "alk_secret")
        .output()
        .unwrap();
    assert_eq!(ran.status.code(), Some(0));
}
