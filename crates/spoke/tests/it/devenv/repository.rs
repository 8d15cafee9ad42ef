//! A machine with a repository in its root.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::machine::Machine;

/// A machine whose root is a repository with one commit of `a.txt`.
pub(crate) fn repository() -> Machine {
    // Without HOME, so that settings of whoever runs the tests do not count.
    let machine = Machine::with(|options| options.env_pass = vec!["PATH".to_owned()]);
    let root = machine.root();
    git(&root, &["init", "--quiet", "--initial-branch=main"]);
    git(&root, &["config", "user.name", "Ada"]);
    git(&root, &["config", "user.email", "ada@example.org"]);
    machine.put("a.txt", "one\ntwo\n");
    git(&root, &["add", "a.txt"]);
    git(&root, &["commit", "--quiet", "-m", "First\n\nWith a body."]);
    machine
}

/// Runs git as the tests do it themselves, and gives what it says.
pub(crate) fn git(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .current_dir(directory)
        .args(arguments)
        .env_remove("HOME")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CEILING_DIRECTORIES", directory.parent().unwrap())
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {arguments:?}: {stderr}");
    String::from_utf8(output.stdout)
        .unwrap()
        .trim_end()
        .to_owned()
}

/// Puts a file and commits it on the current branch of the root.
pub(crate) fn commit(machine: &Machine, path: &str, content: &str, message: &str) -> String {
    machine.put(path, content);
    git(&machine.root(), &["add", "--", path]);
    git(&machine.root(), &["commit", "--quiet", "-m", message]);
    git(&machine.root(), &["rev-parse", "HEAD"])
}

/// A bare repository beside the root, as its remote `origin`, which has all of it.
pub(crate) fn remote(machine: &Machine) -> PathBuf {
    let path = machine.outside().join("origin.git");
    git(
        &machine.outside(),
        &["init", "--quiet", "--bare", "origin.git"],
    );
    git(
        &machine.root(),
        &["remote", "add", "origin", path.to_str().unwrap()],
    );
    git(
        &machine.root(),
        &["push", "--quiet", "--set-upstream", "origin", "main"],
    );
    path
}

/// Path and state of each changed file.
pub(crate) fn states(status: &Value) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let files = status["files"].as_array().unwrap().iter();
    files
        .map(|file| {
            (
                text(&file["path"]),
                text(&file["index"]),
                text(&file["worktree"]),
            )
        })
        .collect()
}

pub(crate) async fn worktree(machine: &Machine, name: &str) -> PathBuf {
    let made = machine
        .call("git.worktreeCreate", json!({ "name": name }))
        .await;
    PathBuf::from(made["path"].as_str().unwrap())
}
