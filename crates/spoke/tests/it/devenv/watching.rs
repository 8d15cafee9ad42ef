//! `fs.watch`

use std::fs;
use std::time::Duration;

use futures::StreamExt;
use serde_json::{Value, json};

use super::machine::{Machine, context, told};

/// Reads changes until one fits, for at most five seconds.
async fn until(
    changes: &mut alkhub_operations::EnvelopeStream,
    path: &str,
    kind: &str,
) -> Vec<Value> {
    let mut seen = Vec::new();
    let wanted = json!({ "path": path, "kind": kind });
    let reading = async {
        while let Some(change) = changes.next().await {
            let change = change.unwrap().data;
            let fits = change == wanted;
            seen.push(change);
            if fits {
                return;
            }
        }
    };
    let outcome = tokio::time::timeout(Duration::from_secs(5), reading).await;
    assert!(outcome.is_ok(), "no {wanted} among {seen:?}");
    seen
}

/// The watch is set up when the first item is asked for; something is changed until it is seen.
async fn started(machine: &Machine, input: Value) -> alkhub_operations::EnvelopeStream {
    let mut changes = machine.subscribe("fs.watch", input, context());
    let path = machine.path("first.txt");
    let poking = async {
        loop {
            fs::write(&path, "x").unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        first = changes.next() => drop(first.unwrap().unwrap()),
        () = poking => {}
    }
    changes
}

#[tokio::test]
async fn changes_are_told_as_they_happen() {
    let machine = Machine::new();
    fs::create_dir(machine.path("dir")).unwrap();
    let mut changes = started(&machine, json!({ "path": "." })).await;
    fs::write(machine.path("dir/a.txt"), "x").unwrap();
    until(&mut changes, "dir/a.txt", "created").await;
    fs::write(machine.path("dir/a.txt"), "y").unwrap();
    until(&mut changes, "dir/a.txt", "modified").await;
    fs::rename(machine.path("dir/a.txt"), machine.path("b.txt")).unwrap();
    until(&mut changes, "dir/a.txt", "removed").await;
    until(&mut changes, "b.txt", "created").await;
    fs::remove_file(machine.path("b.txt")).unwrap();
    until(&mut changes, "b.txt", "removed").await;
}

#[tokio::test]
async fn closed_repository_and_temporary_files_are_not_told() {
    let machine = Machine::new();
    fs::create_dir(machine.path(".git")).unwrap();
    let mut changes = started(&machine, json!({ "path": "." })).await;
    machine.put(".env", "x");
    machine.put(".git/index", "x");
    machine
        .call("fs.write", json!({ "path": "last.txt", "content": "x" }))
        .await;
    let seen = until(&mut changes, "last.txt", "created").await;
    let text = serde_json::to_string(&seen).unwrap();
    assert!(
        !text.contains(".env") && !text.contains(".git") && !text.contains(".alkhub"),
        "{text}"
    );
}

#[tokio::test]
async fn a_glob_narrows_what_is_told() {
    let machine = Machine::new();
    fs::create_dir(machine.path("dir")).unwrap();
    let input = json!({ "path": ".", "glob": "*.txt" });
    let mut changes = started(&machine, input).await;
    machine.put("dir/a.log", "x");
    machine.put("dir/b.txt", "x");
    let seen = until(&mut changes, "dir/b.txt", "created").await;
    assert!(!serde_json::to_string(&seen).unwrap().contains("a.log"));
}

#[tokio::test]
async fn what_is_absent_or_malformed_is_not_watched() {
    let machine = Machine::new();
    let error = machine
        .fail_stream("fs.watch", json!({ "path": "absent" }))
        .await;
    assert_eq!(told(&error), ("FILE_NOT_FOUND", 404));
    let error = machine
        .fail_stream("fs.watch", json!({ "path": ".", "glob": "[" }))
        .await;
    assert_eq!(told(&error), ("VALIDATION_ERROR", 400));
}
