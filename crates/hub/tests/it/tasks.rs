//! The operations on tasks.

mod analyses;
mod changes;
mod dependencies;
mod export;
mod import;
mod import_rules;
mod large;
mod making;
mod mappings;
mod ready;
mod status;
mod sync;

use alkhub_operations::CallError;
use serde_json::{Value, json};

use crate::support::{TestHub, rule};

/// Makes a task and gives it.
async fn task(hub: &TestHub, project: &str, slug: &str, more: Value) -> Value {
    let mut input = json!({ "projectId": project, "slug": slug, "name": slug });
    input
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    hub.ok("task.create", input).await
}

/// The task as it is now, with its body.
async fn get(hub: &TestHub, project: &str, slug: &str) -> Value {
    let include = json!(["body", "dependencies", "dependents", "mapping"]);
    hub.ok(
        "task.get",
        json!({ "projectId": project, "slug": slug, "include": include }),
    )
    .await
}

/// Moves a task as the administrator.
async fn go(hub: &TestHub, task: &Value, status: &str) -> Value {
    hub.ok(
        "task.updateStatus",
        json!({ "id": task["id"], "status": status }),
    )
    .await["task"]
        .clone()
}

/// Code and rule of an error.
fn told(error: &CallError) -> (String, String) {
    (error.code.as_str().to_owned(), rule(error))
}

/// The paths of all issues of an error.
fn issue_paths(error: &CallError) -> Vec<String> {
    let issues = error.details.as_ref().unwrap()["issues"]
        .as_array()
        .unwrap();
    issues
        .iter()
        .map(|issue| issue["path"].as_str().unwrap().to_owned())
        .collect()
}

/// The slugs of a list of tasks.
fn slugs(items: &Value) -> Vec<&str> {
    items
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["slug"].as_str().unwrap())
        .collect()
}

/// A file of a task directory.
fn file(path: &str, text: &str) -> Value {
    json!({ "path": path, "text": text })
}

/// Imports files; it must succeed.
async fn import(hub: &TestHub, project: &str, files: &[Value]) -> Value {
    hub.ok(
        "task.import",
        json!({ "projectId": project, "files": files }),
    )
    .await
}

/// The files of an export, as (path, text).
async fn export(hub: &TestHub, project: &str) -> Vec<(String, String)> {
    let exported = hub.ok("task.export", json!({ "projectId": project })).await;
    let text = |file: &Value, key: &str| file[key].as_str().unwrap().to_owned();
    let files = exported["files"].as_array().unwrap();
    files
        .iter()
        .map(|file| (text(file, "path"), text(file, "text")))
        .collect()
}
