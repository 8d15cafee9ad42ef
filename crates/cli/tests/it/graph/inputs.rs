//! The vectors through the real binary, and every form in which an input may come.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{graph, json, plan, tasks, with_input};
use crate::support::Home;

fn vectors() -> Vec<(PathBuf, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../taskgraph/tests/vectors");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(paths.len() >= 20, "only {} vectors found", paths.len());
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        (path, serde_json::from_str(&text).unwrap())
    };
    paths.into_iter().map(read).collect()
}

/// Numbers as doubles (JSON writes whole ones in more than one way), and the messages of YAML
/// errors, which are free, cut off.
fn comparable(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!(format!("{:016x}", number.as_f64().unwrap().to_bits())),
        Value::String(text) if text.starts_with("YAML parse error: ") => json!("YAML parse error"),
        Value::Array(items) => items.iter().map(comparable).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(key, value)| (key.clone(), comparable(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}

#[test]
fn every_vector_comes_out_of_the_binary() {
    let home = Home::new();
    for (path, vector) in vectors() {
        let input = vector["input"].to_string();
        let ran = with_input(
            &home,
            &["analyze", "--format", "json", "-"],
            input.as_bytes(),
        );
        assert_eq!(ran.code, Some(0), "{}: {}", path.display(), ran.stderr);
        let ours: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(
            comparable(&ours),
            comparable(&vector["expected"]),
            "{}",
            path.display()
        );
        // A vector file as it is gives the same.
        let whole = graph(&home, &["analyze", "-f", "json", path.to_str().unwrap()]);
        assert_eq!(whole, ran.stdout, "{}", path.display());
    }
}

#[test]
fn results_have_sorted_keys() {
    let home = Home::new();
    let input = b"{\"tasks\": [{\"id\": \"z\", \"name\": \"\", \"dependsOn\": []}, {\"id\": \"a\", \"name\": \"\", \"dependsOn\": []}]}";
    let ran = with_input(&home, &["analyze", "-f", "json", "-"], input);
    let text = ran.stdout;
    let at = |key: &str| text.find(&format!("\"{key}\":")).unwrap();
    assert!(
        at("bottlenecks") < at("construction") && at("construction") < at("workflowCost"),
        "{text}"
    );
    let dependencies = &text[at("dependencies")..];
    assert!(
        dependencies.find("\"a\":") < dependencies.find("\"z\":"),
        "{dependencies}"
    );
}

#[test]
fn the_same_tasks_give_the_same_in_every_form() {
    let home = tasks(&["a", "b: a", "c: a b"]);
    let of_directory = json(&home, &["analyze", "tasks"]);
    assert_eq!(of_directory["criticalPath"], json!(["a", "b", "c"]));
    assert_eq!(json(&home, &["analyze"]), of_directory);
    assert_eq!(json(&home, &["analyze", "--path", "tasks"]), of_directory);
    let list = json!([
        { "id": "a", "name": "Task a", "dependsOn": [] },
        { "id": "b", "name": "Task b", "dependsOn": ["a"] },
        { "id": "c", "name": "Task c", "dependsOn": ["a", "b"] },
    ]);
    home.file("list.json", &list.to_string());
    assert_eq!(json(&home, &["analyze", "list.json"]), of_directory);
    home.file("graph.json", &of_directory["export"].to_string());
    let mut of_graph = json(&home, &["analyze", "graph.json"]);
    assert_eq!(of_graph["construction"]["method"], "fromJSON");
    of_graph["construction"] = of_directory["construction"].clone();
    assert_eq!(of_graph, of_directory);
    let records = json!({
        "tasks": list,
        "edges": [{ "from": "a", "to": "b" }, { "from": "a", "to": "c" }, { "from": "b", "to": "c" }],
    });
    home.file("records", &format!("\u{feff} {records}"));
    let of_records = json(&home, &["analyze", "records"]);
    assert_eq!(
        of_records["topologicalOrder"],
        of_directory["topologicalOrder"]
    );
    let drawn = graph(&home, &["render", "tasks"]);
    for name in ["list.json", "graph.json", "records"] {
        assert_eq!(graph(&home, &["render", name]), drawn, "{name}");
    }
}

#[test]
fn control_characters_in_documents_are_spelt_out_and_kept() {
    let home = Home::new();
    let name = "x\u{7f}\u{85}\u{9b}31m\u{1b}[2Jy";
    let input = json!({ "tasks": [{ "id": "a", "name": name, "dependsOn": [] }] }).to_string();
    for arguments in [
        &["analyze", "-f", "json", "-"],
        &["render", "-f", "json", "-"],
    ] {
        let ran = with_input(&home, arguments, input.as_bytes());
        let controls = |letter: char| letter.is_control() && letter != '\n';
        assert!(!ran.stdout.contains(controls), "{:?}", ran.stdout);
        let result: Value = serde_json::from_str(&ran.stdout).unwrap();
        let export = result.get("export").unwrap_or(&result);
        assert_eq!(export["nodes"][0]["attributes"]["name"], name);
    }
}

#[test]
fn a_task_file_gives_its_task_or_its_error() {
    let home = plan();
    let task = json(&home, &["analyze", "tasks/a-schema.md"]);
    assert_eq!(task["task"]["id"], "schema");
    let error = json(&home, &["analyze", "tasks/README.md"]);
    assert_eq!(error["error"]["message"], "No valid frontmatter found");
    let ran = with_input(
        &home,
        &["analyze", "-"],
        b"---\nid: x\nname: X\ndependsOn: []\n---\n",
    );
    assert_eq!(ran.stdout, "Task: x\nName: X\n");
}

#[test]
fn repeated_ids_of_a_directory_are_an_error_of_its_construction() {
    let home = tasks(&["a", "b"]);
    home.file("tasks/c.md", "---\nid: a\nname: Again\n---\n");
    let result = json(&home, &["analyze"]);
    assert_eq!(
        result["construction"]["error"],
        json!({ "class": "DuplicateNodeError", "message": "Duplicate node: a", "taskId": "a" })
    );
}

#[test]
fn the_input_is_named_once_and_must_exist() {
    let home = plan();
    let ran = super::try_graph(&home, &["analyze", "tasks", "--path", "tasks"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    let ran = super::try_graph(&home, &["analyze", "nowhere"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("nowhere"), "{}", ran.stderr);
}
