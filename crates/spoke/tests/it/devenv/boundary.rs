//! Nothing leaves the roots, and what is closed stays closed (H25).

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use super::machine::{Machine, context_of_session, told};

const OUTSIDE: (&str, u16) = ("PATH_OUTSIDE", 403);
const PERMISSION: (&str, u16) = ("PERMISSION", 403);

/// Every operation on files, aimed at this path.
fn aimed_at(path: &str) -> Vec<(&'static str, Value)> {
    vec![
        ("fs.read", json!({ "path": path })),
        ("fs.write", json!({ "path": path, "content": "x" })),
        (
            "fs.edit",
            json!({ "path": path, "edits": [{ "old": "a", "new": "b" }] }),
        ),
        ("fs.list", json!({ "path": path })),
        ("fs.search", json!({ "path": path, "literal": "x" })),
        ("fs.stat", json!({ "path": path })),
        ("fs.remove", json!({ "path": path, "recursive": true })),
        ("fs.move", json!({ "from": path, "to": "elsewhere" })),
        ("fs.move", json!({ "from": "here.txt", "to": path })),
        ("fs.mkdir", json!({ "path": path })),
        ("bash.exec", json!({ "command": "true", "workdir": path })),
        (
            "process.start",
            json!({ "command": "true", "workdir": path }),
        ),
    ]
}

async fn everything_refuses(machine: &Machine, path: &str, with: (&str, u16)) {
    for (id, input) in aimed_at(path) {
        let error = machine.fail(id, input).await;
        assert_eq!(told(&error), with, "{id} {path}: {error}");
    }
    let error = machine
        .fail_stream("fs.watch", json!({ "path": path }))
        .await;
    assert_eq!(told(&error), with, "fs.watch {path}");
}

fn machine() -> Machine {
    let machine = Machine::new();
    fs::write(machine.outside().join("secret.txt"), "secret").unwrap();
    machine.put("here.txt", "a");
    machine.put("sub/there.txt", "a");
    machine
}

#[tokio::test]
async fn case_h25_parent_directories_do_not_lead_out() {
    let machine = machine();
    for path in [
        "../secret.txt",
        "..",
        "sub/../../secret.txt",
        "../absent",
        "sub/../..",
    ] {
        everything_refuses(&machine, path, OUTSIDE).await;
    }
    assert_eq!(
        fs::read_to_string(machine.outside().join("secret.txt")).unwrap(),
        "secret"
    );
}

#[tokio::test]
async fn case_h25_absolute_paths_outside_are_refused_and_inside_are_taken() {
    let machine = machine();
    everything_refuses(&machine, "/etc/passwd", OUTSIDE).await;
    everything_refuses(&machine, "/", OUTSIDE).await;
    let inside = machine.path("here.txt");
    let read = machine.call("fs.read", json!({ "path": inside })).await;
    assert_eq!(read["content"], "a");
}

#[tokio::test]
async fn case_h25_a_directory_whose_name_begins_like_the_root_is_outside() {
    let machine = machine();
    fs::create_dir(machine.outside().join("project-two")).unwrap();
    everything_refuses(&machine, "../project-two/x", OUTSIDE).await;
}

#[tokio::test]
async fn case_h25_symlinks_do_not_lead_out() {
    let machine = machine();
    symlink(machine.outside(), machine.path("door")).unwrap();
    symlink(machine.outside().join("absent"), machine.path("dangling")).unwrap();
    everything_refuses(&machine, "door/secret.txt", OUTSIDE).await;
    everything_refuses(&machine, "door/absent/deep", OUTSIDE).await;
    everything_refuses(&machine, "sub/../door/secret.txt", OUTSIDE).await;
    // A file that would come into being behind a link to nothing.
    for id in ["fs.write", "fs.mkdir"] {
        let input = match id {
            "fs.write" => json!({ "path": "dangling", "content": "x" }),
            _ => json!({ "path": "dangling/deep" }),
        };
        assert_eq!(told(&machine.fail(id, input).await), OUTSIDE, "{id}");
    }
    assert!(!machine.outside().join("absent").exists());
}

#[tokio::test]
async fn a_link_inside_the_root_is_followed_and_can_itself_be_moved_and_removed() {
    let machine = machine();
    symlink("sub/there.txt", machine.path("link")).unwrap();
    let write = json!({ "path": "link", "content": "new" });
    machine.call("fs.write", write).await;
    assert_eq!(machine.text("sub/there.txt"), "new");
    assert!(machine.path("link").is_symlink());
    // A link out of the root is no danger as a link.
    symlink(machine.outside(), machine.path("door")).unwrap();
    machine
        .call("fs.move", json!({ "from": "door", "to": "gate" }))
        .await;
    machine
        .call("fs.remove", json!({ "path": "gate", "recursive": true }))
        .await;
    machine.call("fs.remove", json!({ "path": "link" })).await;
    assert_eq!(machine.text("sub/there.txt"), "new");
    assert!(machine.outside().join("secret.txt").exists());
}

#[tokio::test]
async fn a_recursive_removal_does_not_follow_links() {
    let machine = machine();
    symlink(machine.outside(), machine.path("sub/door")).unwrap();
    machine
        .call("fs.remove", json!({ "path": "sub", "recursive": true }))
        .await;
    assert!(!machine.path("sub").exists());
    assert!(machine.outside().join("secret.txt").exists());
}

#[tokio::test]
async fn a_loop_of_links_leads_nowhere() {
    let machine = machine();
    symlink("two", machine.path("one")).unwrap();
    symlink("one", machine.path("two")).unwrap();
    let error = machine.fail("fs.read", json!({ "path": "one" })).await;
    assert_eq!(told(&error), OUTSIDE);
}

#[tokio::test]
async fn case_h25_closed_files_are_refused_by_every_operation() {
    let machine = machine();
    machine.put(".env", "KEY=1");
    machine.put("deep/in/.env", "KEY=1");
    machine.put(".git/config", "[core]");
    machine.put("server.pem", "-----");
    machine.put("keys/id_ed25519", "-----");
    for path in [
        ".env",
        "deep/in/.env",
        ".git/config",
        "server.pem",
        "keys/id_ed25519",
    ] {
        everything_refuses(&machine, path, PERMISSION).await;
        let error = machine.fail("fs.read", json!({ "path": path })).await;
        assert_eq!(error.details.unwrap()["rule"], "deny");
    }
}

#[tokio::test]
async fn a_link_to_a_closed_file_is_closed() {
    let machine = machine();
    machine.put(".env", "KEY=1");
    symlink(".env", machine.path("plain.txt")).unwrap();
    symlink("here.txt", machine.path("link.pem")).unwrap();
    for path in ["plain.txt", "link.pem"] {
        let error = machine.fail("fs.read", json!({ "path": path })).await;
        assert_eq!(told(&error), PERMISSION, "{path}");
    }
}

#[tokio::test]
async fn closed_files_are_neither_listed_nor_found() {
    let machine = machine();
    machine.put("server.pem", "needle");
    machine.put("server.txt", "needle");
    let listed = machine
        .call("fs.list", json!({ "hidden": true, "depth": 9 }))
        .await;
    let text = listed.to_string();
    assert!(
        text.contains("server.txt") && !text.contains("server.pem"),
        "{text}"
    );
    let found = machine
        .call("fs.search", json!({ "literal": "needle" }))
        .await;
    assert_eq!(found["matches"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_directory_that_holds_something_closed_is_neither_moved_nor_removed() {
    let machine = machine();
    machine.put("sub/.env", "KEY=1");
    let moved = json!({ "from": "sub", "to": "other" });
    assert_eq!(told(&machine.fail("fs.move", moved).await), PERMISSION);
    let removed = json!({ "path": "sub", "recursive": true });
    assert_eq!(told(&machine.fail("fs.remove", removed).await), PERMISSION);
    assert!(machine.path("sub/.env").exists() && machine.path("sub/there.txt").exists());
}

#[tokio::test]
async fn a_pattern_that_matches_a_directory_closes_all_of_it() {
    let machine = Machine::with(|options| options.deny = vec!["private".to_owned()]);
    machine.put("private/deep/note.txt", "x");
    let error = machine
        .fail("fs.read", json!({ "path": "private/deep/note.txt" }))
        .await;
    assert_eq!(told(&error), PERMISSION);
}

#[tokio::test]
async fn nothing_is_written_into_a_repositorys_own_directory() {
    let machine = machine();
    machine.put(".git/HEAD", "ref: refs/heads/main");
    machine.put("hook", "#!/bin/sh");
    let inputs = [
        (
            "fs.write",
            json!({ "path": ".git/hooks/pre-commit", "content": "x" }),
        ),
        (
            "fs.write",
            json!({ "path": "sub/.git/config", "content": "x" }),
        ),
        ("fs.write", json!({ "path": "sub/.GIT", "content": "x" })),
        (
            "fs.edit",
            json!({ "path": ".git/HEAD", "edits": [{ "old": "main", "new": "x" }] }),
        ),
        ("fs.move", json!({ "from": "hook", "to": ".git/hooks" })),
        ("fs.move", json!({ "from": ".git", "to": "git" })),
        ("fs.remove", json!({ "path": ".git/HEAD" })),
        ("fs.mkdir", json!({ "path": "sub/.git" })),
    ];
    for (id, input) in inputs {
        let error = machine.fail(id, input.clone()).await;
        assert_eq!(told(&error), PERMISSION, "{id} {input}");
        assert_eq!(error.details.unwrap()["rule"], "git");
    }
    let read = machine
        .call("fs.read", json!({ "path": ".git/HEAD" }))
        .await;
    assert_eq!(read["lines"], 1);
}

#[tokio::test]
async fn a_root_itself_stays_where_it_is() {
    let machine = machine();
    for (id, input) in [
        ("fs.remove", json!({ "path": ".", "recursive": true })),
        ("fs.move", json!({ "from": ".", "to": "sub/x" })),
    ] {
        let error = machine.fail(id, input).await;
        assert!(
            matches!(told(&error).0, "PERMISSION" | "VALIDATION_ERROR"),
            "{error}"
        );
    }
    let error = machine
        .fail("fs.write", json!({ "path": ".", "content": "x" }))
        .await;
    assert_eq!(told(&error), ("NOT_A_FILE", 422));
}

#[tokio::test]
async fn a_path_with_nul_or_without_anything_is_no_path() {
    let machine = machine();
    for path in ["", "a\0b"] {
        let error = machine.fail("fs.read", json!({ "path": path })).await;
        assert_eq!(told(&error), ("VALIDATION_ERROR", 400));
    }
}

#[tokio::test]
async fn several_roots_are_all_inside_and_a_root_may_be_given_by_a_link() {
    let directory = tempfile::tempdir().unwrap();
    let second = directory.path().join("second");
    fs::create_dir(&second).unwrap();
    fs::write(second.join("b.txt"), "b").unwrap();
    let link = directory.path().join("link");
    symlink(&second, &link).unwrap();
    let machine = Machine::with(|options| options.roots.push(link.clone()));
    for path in [
        link.join("b.txt"),
        second.canonicalize().unwrap().join("b.txt"),
    ] {
        let read = machine.call("fs.read", json!({ "path": path })).await;
        assert_eq!(read["content"], "b");
    }
    let stat = machine
        .call("fs.stat", json!({ "path": link.join("b.txt") }))
        .await;
    let shown = second.canonicalize().unwrap().join("b.txt");
    assert_eq!(stat["path"], shown.to_str().unwrap());
}

#[tokio::test]
async fn a_sessions_paths_begin_at_its_worktree_and_end_at_the_roots() {
    let machine = machine();
    machine.put(".worktrees/one/file.txt", "of the worktree");
    let ctx = || context_of_session(&machine.path(".worktrees/one"), "wt/one");
    let input = json!({ "path": "file.txt" });
    let read = machine.try_call("fs.read", input, ctx()).await.unwrap();
    assert_eq!(read["content"], "of the worktree");
    let input = json!({ "path": "../../../secret.txt" });
    let error = machine.try_call("fs.read", input, ctx()).await.unwrap_err();
    assert_eq!(told(&error), OUTSIDE);
    let ctx = context_of_session(&machine.outside(), "main");
    let input = json!({ "path": "secret.txt" });
    let error = machine.try_call("fs.read", input, ctx).await.unwrap_err();
    assert_eq!(told(&error), OUTSIDE);
}
