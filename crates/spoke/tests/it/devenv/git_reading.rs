//! `git.status`, `git.diff`, `git.log`, `git.show`

use std::fs;

use alkhub_operations::ErrorCode;
use serde_json::json;

use super::machine::{Machine, told};
use super::repository::{commit, git, remote, repository, states};

#[tokio::test]
async fn the_status_names_every_state() {
    let machine = repository();
    let root = machine.root();
    commit(&machine, "b.txt", "b\n", "b");
    commit(
        &machine,
        "old name.txt",
        "content that is long enough\n",
        "c",
    );
    machine.put("a.txt", "changed\n");
    machine.put("new ü.txt", "x");
    machine.put("dir/x.txt", "x");
    machine.put("staged.txt", "x");
    git(&root, &["add", "staged.txt"]);
    git(&root, &["mv", "old name.txt", "new name.txt"]);
    fs::remove_file(machine.path("b.txt")).unwrap();
    let status = machine.call("git.status", json!({})).await;
    let expected = [
        ("a.txt", "unmodified", "modified"),
        ("b.txt", "unmodified", "deleted"),
        ("new name.txt", "renamed", "unmodified"),
        ("staged.txt", "added", "unmodified"),
        ("dir/", "untracked", "untracked"),
        ("new ü.txt", "untracked", "untracked"),
    ]
    .map(|(path, index, worktree)| (path.to_owned(), index.to_owned(), worktree.to_owned()));
    assert_eq!(states(&status), expected);
    assert_eq!(status["files"][2]["from"], "old name.txt");
    assert_eq!(
        (&status["branch"], status.get("upstream")),
        (&json!("main"), None)
    );
}

#[tokio::test]
async fn the_status_tells_how_a_branch_stands_to_the_one_it_follows() {
    let machine = repository();
    remote(&machine);
    commit(&machine, "b.txt", "b", "b");
    commit(&machine, "c.txt", "c", "c");
    let status = machine.call("git.status", json!({})).await;
    assert_eq!(
        status,
        json!({ "branch": "main", "upstream": "origin/main", "ahead": 2, "behind": 0, "files": [] })
    );
    git(&machine.root(), &["checkout", "--quiet", "--detach"]);
    let status = machine.call("git.status", json!({})).await;
    assert!(status["branch"].is_null());
}

#[tokio::test]
async fn a_directory_without_a_repository_is_gits_to_refuse() {
    let machine = Machine::new();
    let error = machine.fail("git.status", json!({})).await;
    assert_eq!(told(&error), ("GIT_FAILED", 422));
    let details = error.details.unwrap();
    assert_eq!(details["exitCode"], 128);
    assert!(
        details["stderr"]
            .as_str()
            .unwrap()
            .contains("not a git repository")
    );
}

#[tokio::test]
async fn a_repository_around_the_root_is_not_found_from_inside() {
    let outer = repository();
    fs::create_dir(outer.path("inner")).unwrap();
    let inner = Machine::with(|options| options.roots = vec![outer.path("inner")]);
    let error = inner.fail("git.status", json!({})).await;
    assert_eq!(told(&error), ("GIT_FAILED", 422));
}

#[tokio::test]
async fn a_directory_that_looks_like_a_bare_repository_is_none() {
    let machine = repository();
    git(&machine.root(), &["init", "--quiet", "--bare", "trap"]);
    let marker = machine.path("ran");
    let program = format!("touch {}", marker.display());
    git(
        &machine.path("trap"),
        &["config", "core.fsmonitor", &program],
    );
    let error = machine
        .fail("git.status", json!({ "workdir": "trap" }))
        .await;
    assert_eq!(told(&error), ("GIT_FAILED", 422));
    assert!(!marker.exists());
}

#[tokio::test]
async fn a_workdir_outside_the_roots_is_refused() {
    let machine = repository();
    for id in ["git.status", "git.log", "git.diff", "git.worktreeList"] {
        let error = machine.fail(id, json!({ "workdir": ".." })).await;
        assert_eq!(told(&error), ("PATH_OUTSIDE", 403), "{id}");
    }
}

#[tokio::test]
async fn a_diff_compares_files_index_and_commits() {
    let machine = repository();
    let first = git(&machine.root(), &["rev-parse", "HEAD"]);
    machine.put("a.txt", "one\nthree\n");
    let diff = machine.call("git.diff", json!({})).await;
    let text = diff["diff"].as_str().unwrap();
    assert!(
        text.contains("--- a/a.txt") && text.contains("-two\n+three\n"),
        "{text}"
    );
    assert_eq!(
        diff["files"],
        json!([{ "path": "a.txt", "additions": 1, "deletions": 1 }])
    );
    assert_eq!(diff["truncated"], false);

    let staged = machine.call("git.diff", json!({ "staged": true })).await;
    assert_eq!(
        (&staged["diff"], &staged["files"]),
        (&json!(""), &json!([]))
    );
    git(&machine.root(), &["add", "a.txt"]);
    let staged = machine.call("git.diff", json!({ "staged": true })).await;
    assert_eq!(staged["files"][0]["path"], "a.txt");

    git(&machine.root(), &["commit", "--quiet", "-m", "second"]);
    let input = json!({ "from": first, "to": "HEAD" });
    let between = machine.call("git.diff", input).await;
    assert_eq!(between["files"][0]["additions"], 1);
    let input = json!({ "from": "HEAD", "to": first });
    let back = machine.call("git.diff", input).await;
    assert!(back["diff"].as_str().unwrap().contains("+two"));
}

#[tokio::test]
async fn a_diff_is_narrowed_by_literal_paths() {
    let machine = repository();
    commit(&machine, "sub/b.txt", "b", "b");
    commit(&machine, "*.txt", "star", "star");
    for path in ["a.txt", "sub/b.txt", "*.txt"] {
        machine.put(path, "changed");
    }
    let paths = |diff: &serde_json::Value| -> Vec<String> {
        let files = diff["files"].as_array().unwrap().iter();
        files
            .map(|file| file["path"].as_str().unwrap().to_owned())
            .collect()
    };
    let diff = machine
        .call("git.diff", json!({ "paths": ["*.txt"] }))
        .await;
    assert_eq!(paths(&diff), ["*.txt"]);
    let diff = machine.call("git.diff", json!({ "paths": ["sub"] })).await;
    assert_eq!(paths(&diff), ["sub/b.txt"]);
    let input = json!({ "workdir": "sub", "paths": ["b.txt", "../a.txt"] });
    let diff = machine.call("git.diff", input).await;
    assert_eq!(paths(&diff), ["a.txt", "sub/b.txt"]);
    for path in ["../outside", "/etc/passwd"] {
        let error = machine.fail("git.diff", json!({ "paths": [path] })).await;
        assert_eq!(told(&error), ("PATH_OUTSIDE", 403));
    }
}

#[tokio::test]
async fn renamed_and_binary_files_are_counted() {
    let machine = repository();
    commit(&machine, "long.txt", &"line\n".repeat(50), "long");
    git(&machine.root(), &["mv", "long.txt", "moved.txt"]);
    machine.put("bin", b"\0\x01");
    git(&machine.root(), &["add", "bin"]);
    let diff = machine.call("git.diff", json!({ "staged": true })).await;
    assert_eq!(
        diff["files"],
        json!([
            { "path": "bin", "additions": null, "deletions": null },
            { "path": "moved.txt", "additions": 0, "deletions": 0 },
        ])
    );
}

#[tokio::test]
async fn a_long_diff_is_cut_at_a_line() {
    let machine = repository();
    machine.put("a.txt", "0123456789\n".repeat(200_000));
    let diff = machine.call("git.diff", json!({})).await;
    assert_eq!(diff["truncated"], true);
    assert_eq!(diff["files"][0]["additions"], 200_000);
    let text = diff["diff"].as_str().unwrap();
    assert!(text.len() <= 1024 * 1024 && text.ends_with("+0123456789\n"));
}

#[tokio::test]
async fn a_diff_does_not_run_programs_of_the_settings() {
    let machine = repository();
    let root = machine.root();
    commit(
        &machine,
        ".gitattributes",
        "*.txt diff=mine\n",
        "attributes",
    );
    let program = format!("touch {}; cat", machine.path("ran").display());
    git(&root, &["config", "diff.external", &program]);
    git(&root, &["config", "diff.mine.textconv", &program]);
    git(&root, &["config", "core.fsmonitor", &program]);
    machine.put("a.txt", "changed");
    machine.call("git.diff", json!({})).await;
    machine.call("git.status", json!({})).await;
    machine.call("git.show", json!({ "ref": "HEAD~1" })).await;
    assert!(!machine.path("ran").exists());
}

#[tokio::test]
async fn ends_of_a_diff_that_do_not_go_together_are_refused() {
    let machine = repository();
    for input in [
        json!({ "to": "HEAD" }),
        json!({ "from": "HEAD", "to": "HEAD", "staged": true }),
    ] {
        let error = machine.fail("git.diff", input).await;
        assert_eq!(told(&error), ("VALIDATION_ERROR", 400));
    }
}

#[tokio::test]
async fn closed_files_are_not_shown_by_git_either() {
    let machine = repository();
    commit(&machine, ".env", "KEY=secret\n", "a mistake");
    git(&machine.root(), &["tag", "mistake"]);
    commit(&machine, ".env", "KEY=secret2\n", "another");
    machine.put(".env", "KEY=secret3\n");
    machine.put("a.txt", "changed\n");
    for (id, input) in [
        ("git.diff", json!({})),
        ("git.diff", json!({ "from": "mistake~1" })),
        ("git.show", json!({ "ref": "HEAD" })),
        ("git.show", json!({ "ref": "mistake" })),
    ] {
        let shown = machine.call(id, input.clone()).await;
        assert!(
            !shown.to_string().contains("secret"),
            "{id} {input}: {shown}"
        );
    }
    for (id, input) in [
        ("git.show", json!({ "ref": "HEAD", "path": ".env" })),
        ("git.diff", json!({ "paths": [".env"] })),
        ("git.add", json!({ "paths": [".env"] })),
    ] {
        assert_eq!(
            told(&machine.fail(id, input).await),
            ("PERMISSION", 403),
            "{id}"
        );
    }
    for (id, input) in [
        ("git.show", json!({ "ref": "HEAD:.env" })),
        (
            "git.diff",
            json!({ "from": "mistake:.env", "to": "HEAD:.env" }),
        ),
    ] {
        assert_eq!(
            told(&machine.fail(id, input).await),
            ("GIT_FAILED", 422),
            "{id}"
        );
    }
}

#[tokio::test]
async fn nothing_a_caller_gives_becomes_an_option() {
    let machine = repository();
    let bad = "--output=stolen";
    for (id, input) in [
        ("git.diff", json!({ "from": bad })),
        ("git.diff", json!({ "from": "HEAD", "to": bad })),
        ("git.log", json!({ "ref": bad })),
        ("git.log", json!({ "ref": "" })),
        ("git.log", json!({ "ref": "a\nb" })),
        ("git.show", json!({ "ref": bad })),
        ("git.checkout", json!({ "ref": bad })),
        ("git.checkout", json!({ "ref": "-" })),
        ("git.branch", json!({ "name": "good", "base": bad })),
        ("git.merge", json!({ "ref": bad })),
        ("git.worktreeCreate", json!({ "name": "good", "base": bad })),
    ] {
        let error = machine.fail(id, input.clone()).await;
        assert_eq!(
            error.code,
            ErrorCode::VALIDATION_ERROR,
            "{id} {input}: {error}"
        );
    }
    // A path may begin so: it is a path.
    machine.put("--output=stolen", "x");
    let added = machine
        .call("git.add", json!({ "paths": ["--output=stolen"] }))
        .await;
    assert_eq!(added["files"], json!(["--output=stolen"]));
}

#[tokio::test]
async fn variables_of_the_spoke_do_not_turn_git_elsewhere() {
    // The name is passed on and git's own variables are left out all the same.
    let machine = repository();
    let elsewhere = repository();
    let session = Machine::with(|options| {
        options.roots = vec![machine.root()];
        options.env_pass = vec!["PATH".to_owned(), "GIT_DIR".to_owned()];
    });
    let command = json!({ "command": "env", "env": { "GIT_DIR": elsewhere.path(".git") } });
    let seen = session.call("bash.exec", command).await;
    assert!(seen["stdout"].as_str().unwrap().contains("GIT_DIR="));
    let log = session.call("git.log", json!({})).await;
    assert_eq!(log["commits"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_log_tells_commits_in_full() {
    let machine = repository();
    let first = git(&machine.root(), &["rev-parse", "HEAD"]);
    let second = commit(&machine, "b.txt", "b", "Zweite ü\n\nA \u{1f} in the\nbody.");
    let log = machine.call("git.log", json!({})).await;
    let at = log["commits"][0]["at"].clone();
    assert_eq!(
        log["commits"][0],
        json!({
            "id": second, "parents": [first], "author": "Ada", "email": "ada@example.org",
            "at": at, "subject": "Zweite ü", "body": "A \u{1f} in the\nbody.",
        })
    );
    assert!(at.as_str().unwrap().ends_with(".000Z"));
    assert_eq!(log["commits"][1]["parents"], json!([]));
    assert_eq!(log["commits"][1]["body"], "With a body.");
}

#[tokio::test]
async fn a_log_is_narrowed_by_revision_paths_and_limit() {
    let machine = repository();
    commit(&machine, "b.txt", "b", "b");
    commit(&machine, "a.txt", "c", "c");
    let subjects = |log: &serde_json::Value| -> Vec<String> {
        let commits = log["commits"].as_array().unwrap().iter();
        commits
            .map(|commit| commit["subject"].as_str().unwrap().to_owned())
            .collect()
    };
    let log = machine.call("git.log", json!({ "limit": 1 })).await;
    assert_eq!(subjects(&log), ["c"]);
    let log = machine.call("git.log", json!({ "paths": ["b.txt"] })).await;
    assert_eq!(subjects(&log), ["b"]);
    let log = machine
        .call("git.log", json!({ "ref": "HEAD~2..HEAD~1" }))
        .await;
    assert_eq!(subjects(&log), ["b"]);
    let error = machine.fail("git.log", json!({ "ref": "absent" })).await;
    assert_eq!(told(&error), ("GIT_FAILED", 422));
}

#[tokio::test]
async fn a_repository_without_commits_has_an_empty_log_and_a_status() {
    let machine = Machine::new();
    git(
        &machine.root(),
        &["init", "--quiet", "--initial-branch=main"],
    );
    assert_eq!(
        machine.call("git.log", json!({})).await,
        json!({ "commits": [] })
    );
    let status = machine.call("git.status", json!({})).await;
    assert_eq!(status["branch"], "main");
    let outside = Machine::new();
    assert_eq!(
        told(&outside.fail("git.log", json!({})).await),
        ("GIT_FAILED", 422)
    );
}

#[tokio::test]
async fn a_commit_is_shown_with_what_it_changed() {
    let machine = repository();
    let id = commit(&machine, "a.txt", "one\nthree\n", "Change");
    let shown = machine.call("git.show", json!({ "ref": "main" })).await;
    assert_eq!(shown["commit"]["id"], id);
    assert!(shown["diff"].as_str().unwrap().contains("+three"));
    assert_eq!(shown["truncated"], false);
}

#[tokio::test]
async fn a_file_is_shown_as_it_was() {
    let machine = repository();
    commit(&machine, "sub/bin", "x", "sub");
    fs::write(machine.path("sub/bin"), [0, 255]).unwrap();
    git(&machine.root(), &["commit", "--quiet", "-a", "-m", "bytes"]);
    fs::remove_file(machine.path("a.txt")).unwrap();
    let shown = machine
        .call("git.show", json!({ "ref": "HEAD", "path": "a.txt" }))
        .await;
    assert_eq!(
        shown,
        json!({ "content": "one\ntwo\n", "encoding": "utf8" })
    );
    let input = json!({ "ref": "HEAD", "workdir": "sub", "path": "bin" });
    let shown = machine.call("git.show", input).await;
    assert_eq!(shown, json!({ "content": "AP8=", "encoding": "base64" }));
    for (path, with) in [
        ("absent", ("FILE_NOT_FOUND", 404)),
        ("sub", ("NOT_A_FILE", 422)),
        ("../x", ("PATH_OUTSIDE", 403)),
    ] {
        let error = machine
            .fail("git.show", json!({ "ref": "HEAD", "path": path }))
            .await;
        assert_eq!(told(&error), with);
    }
}

#[tokio::test]
async fn a_file_of_a_commit_that_is_too_large_is_refused() {
    let machine = repository();
    fs::File::create(machine.path("large"))
        .unwrap()
        .set_len(9 * 1024 * 1024)
        .unwrap();
    git(&machine.root(), &["add", "large"]);
    git(&machine.root(), &["commit", "--quiet", "-m", "large"]);
    let error = machine
        .fail("git.show", json!({ "ref": "HEAD", "path": "large" }))
        .await;
    assert_eq!(told(&error), ("FILE_TOO_LARGE", 413));
}
