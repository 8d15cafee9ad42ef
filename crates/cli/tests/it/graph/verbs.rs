//! What every verb prints for the plan, as text and as JSON.

use serde_json::json;

use super::{graph, json, plan, tasks, try_graph};
use crate::support::Home;

#[test]
fn every_verb_prints_what_is_written_down() {
    let home = plan();
    let mut plain = String::new();
    let mut documents = String::new();
    for arguments in [
        &["validate"][..],
        &["list"],
        &["list", "--status", "completed"],
        &["list", "--tag", "backend"],
        &["show", "schema"],
        &["show", "index"],
        &["deps", "guide"],
        &["deps", "schema"],
        &["dependents", "schema"],
        &["dependents", "ship"],
        &["topo"],
        &["topo", "--status", "pending"],
        &["cycles"],
        &["parallel"],
        &["critical"],
        &["bottleneck"],
        &["risk"],
        &["risk-path"],
        &["decompose"],
        &["workflow-cost"],
        &["workflow-cost", "--include-completed", "--limit", "2"],
        &["workflow-cost", "--mode", "dag-propagate"],
        &["workflow-cost", "--mode", "independent", "-l", "1"],
        &["render"],
        &["render", "--format", "mermaid"],
        &["analyze"],
    ] {
        let shown = arguments.join(" ");
        plain.push_str(&format!(
            "$ alkhub graph {shown}\n{}\n",
            graph(&home, arguments)
        ));
        if arguments[0] != "render" && arguments[0] != "analyze" {
            let document = format!("{:#}", json(&home, arguments));
            documents.push_str(&format!(
                "$ alkhub graph {shown} --format json\n{document}\n\n"
            ));
        }
    }
    insta::assert_snapshot!("verbs_plain", plain);
    insta::assert_snapshot!("verbs_json", documents);
}

#[test]
fn what_a_cyclic_graph_has_no_answer_for_is_said_and_is_no_failure_in_text() {
    let home = tasks(&["free", "a: c free", "b: a", "c: b", "after: a"]);
    let mut shown = String::new();
    for verb in [
        "validate",
        "topo",
        "cycles",
        "parallel",
        "critical",
        "risk-path",
        "workflow-cost",
    ] {
        shown.push_str(&format!(
            "$ alkhub graph {verb}\n{}\n",
            graph(&home, &[verb])
        ));
    }
    insta::assert_snapshot!("cyclic", shown);
}

#[test]
fn json_of_an_answer_that_does_not_exist_is_an_error_with_the_cycles() {
    let home = tasks(&["a: c", "b: a", "c: b"]);
    for arguments in [
        &["parallel"][..],
        &["critical"],
        &["risk-path"],
        &["workflow-cost", "--mode", "independent"],
    ] {
        let mut all = arguments.to_vec();
        all.extend(["-f", "json"]);
        let ran = try_graph(&home, &all);
        assert_eq!(ran.code, Some(1), "{arguments:?}");
        assert!(ran.stdout.is_empty(), "{}", ran.stdout);
        let error: serde_json::Value = serde_json::from_str(&ran.stderr).unwrap();
        assert_eq!(error["details"]["class"], "CircularDependencyError");
        assert_eq!(error["details"]["cycles"], json!([["a", "b", "c"]]));
        assert_eq!(error["message"], "Circular dependency detected: a → b → c");
    }
    assert_eq!(
        json(&home, &["topo"]),
        json!({ "order": [], "has_cycles": true })
    );
}

#[test]
fn a_task_that_depends_on_itself_is_a_cycle_of_one() {
    let home = tasks(&["a: a", "b: a", "c"]);
    let cycles = json!({ "has_cycles": true, "cycle_count": 1, "cycles": [["a"]] });
    assert_eq!(json(&home, &["cycles"]), cycles);
    assert!(graph(&home, &["topo"]).starts_with("Cannot compute"));
    let groups = graph(&home, &["parallel"]);
    assert!(
        groups.contains("  - c (pending)\n\nTotal: 1 generations, 1 tasks"),
        "{groups}"
    );
    assert_eq!(json(&home, &["validate"])["valid"], false);
}

#[test]
fn strict_makes_findings_failures() {
    let cyclic = tasks(&["a: b", "b: a"]);
    let faulty = Home::new();
    faulty.file("tasks/x.md", "---\nid: x\n---\n");
    let missing = tasks(&["a: nowhere"]);
    for (home, verb, code) in [
        (&cyclic, "cycles", 1),
        (&cyclic, "validate", 1),
        (&faulty, "validate", 1),
        (&missing, "validate", 1),
        (&missing, "cycles", 0),
    ] {
        let ran = try_graph(home, &[verb, "--strict"]);
        assert_eq!(ran.code, Some(code), "{verb}: {}", ran.stderr);
        assert_eq!(try_graph(home, &[verb]).code, Some(0), "{verb}");
    }
    let ran = try_graph(&missing, &["validate", "-s"]);
    assert!(
        ran.stderr
            .contains("Graph error: Validation failed with 1 issues"),
        "{}",
        ran.stderr
    );
}

#[test]
fn options_stand_before_or_after_the_verb() {
    let home = plan();
    let here = graph(&home, &["list"]);
    for arguments in [
        &["--path", "tasks", "list"][..],
        &["list", "--path", "tasks"],
        &["-p", "tasks", "-f", "plain", "list"],
    ] {
        assert_eq!(graph(&home, arguments), here);
    }
    let ran = home.run(&["--json", "graph", "list"]);
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&ran.stdout).unwrap(),
        json(&home, &["list"])
    );
}

#[test]
fn forms_of_drawings_are_refused_where_nothing_is_drawn() {
    let ran = try_graph(&plan(), &["list", "--format", "svg"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("alkhub graph render"), "{}", ran.stderr);
}

#[test]
fn colours_are_for_terminals_and_can_be_forced() {
    let home = plan();
    assert!(!graph(&home, &["list"]).contains('\u{1b}'));
    let forced = graph(&home, &["list", "--color", "always"]);
    assert!(forced.contains("\u{1b}[32mcompleted"), "{forced:?}");
}

#[test]
fn texts_of_files_cannot_steer_the_terminal() {
    let home = Home::new();
    home.file(
        "tasks/x.md",
        "---\nid: \"x\\e[2J\"\nname: \"two\\nlines\\u009b31m\"\n---\nBody \u{1b}[31m\n",
    );
    for verb in [
        &["list"][..],
        &["show", "x\u{1b}[2J"],
        &["topo"],
        &["critical"],
        &["risk"],
        &["validate"],
        &["parallel"],
    ] {
        let text = graph(&home, verb);
        assert!(!text.contains(['\u{1b}', '\u{9b}']), "{verb:?}: {text:?}");
    }
    let list = graph(&home, &["list"]);
    assert_eq!(list.lines().count(), 3, "{list:?}");
}
