//! Setting an environment up, and what it says about itself.

use std::collections::BTreeSet;
use std::path::PathBuf;

use alkhub_operations::{SpecOwner, sha256_hex};
use alkhub_spoke::devenv::{
    Environment, EnvironmentError, EnvironmentOptions, host_info, operations,
};

use super::machine::Machine;

#[tokio::test]
async fn an_environment_names_the_option_it_cannot_use() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    let open = |change: fn(&mut EnvironmentOptions)| {
        let mut options = EnvironmentOptions::new([directory.path().to_owned()]);
        change(&mut options);
        Environment::open(options).unwrap_err()
    };
    assert!(matches!(
        open(|options| options.roots.clear()),
        EnvironmentError::NoRoot
    ));
    let absent = open(|options| options.roots.push(PathBuf::from("/does/not/exist")));
    assert_eq!(absent.to_string(), "root /does/not/exist cannot be used");
    let pattern = open(|options| options.deny.push("a[".to_owned()));
    assert!(matches!(pattern, EnvironmentError::Pattern { pattern, .. } if pattern == "a["));
    let shell = open(|options| options.shell = Some(PathBuf::from("/does/not/exist")));
    assert!(matches!(shell, EnvironmentError::Shell(_)));
    let none = open(|options| options.max_processes = 0);
    assert!(matches!(none, EnvironmentError::NoProcesses));
    let file = Environment::open(EnvironmentOptions::new([file])).unwrap_err();
    assert!(matches!(file, EnvironmentError::NotADirectory(_)));
}

#[test]
fn an_environment_needs_a_runtime() {
    let directory = tempfile::tempdir().unwrap();
    let options = EnvironmentOptions::new([directory.path().to_owned()]);
    let error = Environment::open(options).unwrap_err();
    assert!(matches!(error, EnvironmentError::NoRuntime));
}

#[tokio::test]
async fn every_operation_may_be_offered_by_a_spoke() {
    let machine = Machine::new();
    let mut ids = BTreeSet::new();
    for operation in operations(machine.environment) {
        operation.spec.check(SpecOwner::Foreign).unwrap();
        assert!(operation.spec.access_control.required_scopes.is_empty());
        assert!(!operation.open);
        ids.insert(operation.spec.id().to_string());
    }
    for id in [
        "fs.read",
        "fs.write",
        "fs.edit",
        "fs.list",
        "fs.search",
        "fs.stat",
        "fs.remove",
        "fs.move",
        "fs.mkdir",
        "fs.watch",
        "bash.exec",
        "bash.stream",
        "process.start",
        "process.list",
        "process.send",
        "process.stop",
        "git.status",
        "git.diff",
        "git.log",
        "git.show",
        "git.add",
        "git.commit",
        "git.checkout",
        "git.branch",
        "git.merge",
        "git.push",
        "git.worktreeCreate",
        "git.worktreeRemove",
        "git.worktreeList",
    ] {
        assert!(ids.contains(id), "{id} is missing");
    }
}

#[tokio::test]
async fn the_host_is_described() {
    let info = serde_json::to_value(host_info()).unwrap();
    assert!(info["cpu"].as_u64().unwrap() >= 1);
    assert!(info["memory"].as_u64().unwrap() > 1024 * 1024);
    assert_eq!(info["pid"], std::process::id());
    assert_eq!(info["os"], std::env::consts::OS);
    assert_eq!(info["sdk"], "alkhub-spoke");
    assert!(info["startedAt"].as_str().unwrap().ends_with('Z'));
    assert!(!info["hostname"].as_str().unwrap().is_empty());
}

/// The hash the library gives for texts is the one files are given.
#[tokio::test]
async fn hashes_of_files_are_those_of_texts() {
    let machine = Machine::new();
    machine.put("a", "x");
    let read = machine
        .call("fs.read", serde_json::json!({ "path": "a" }))
        .await;
    assert_eq!(read["sha256"], sha256_hex("x"));
}
