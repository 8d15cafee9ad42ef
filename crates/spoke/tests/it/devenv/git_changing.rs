//! `git.add`, `git.commit`, `git.checkout`, `git.branch`, `git.merge`, `git.push`

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::machine::{Machine, context, eventually, pids, runs, told};
use super::repository::{commit, git, remote, repository, states, worktree};

#[tokio::test]
async fn files_are_staged_removals_too() {
    let machine = repository();
    commit(&machine, "gone.txt", "x", "x");
    fs::remove_file(machine.path("gone.txt")).unwrap();
    machine.put("new.txt", "x");
    machine.put("sub/deep.txt", "x");
    machine.put("other.txt", "x");
    let input = json!({ "paths": ["gone.txt", "new.txt", "sub"] });
    let added = machine.call("git.add", input).await;
    assert_eq!(
        added["files"],
        json!(["gone.txt", "new.txt", "sub/deep.txt"])
    );
    let error = machine
        .fail("git.add", json!({ "paths": ["absent"] }))
        .await;
    assert_eq!(told(&error), ("GIT_FAILED", 422));
}

#[tokio::test]
async fn staging_everything_leaves_closed_files_out() {
    let machine = repository();
    machine.put(".env", "KEY=1");
    machine.put("sub/key.pem", "KEY");
    machine.put("new.txt", "x");
    let added = machine.call("git.add", json!({ "paths": ["."] })).await;
    assert_eq!(added["files"], json!(["new.txt"]));
}

#[tokio::test]
async fn what_is_staged_is_committed() {
    let machine = repository();
    machine.put("b.txt", "b");
    machine.call("git.add", json!({ "paths": ["b.txt"] })).await;
    let message = "Subject\n\n# not a comment\n--option";
    let committed = machine
        .call("git.commit", json!({ "message": message }))
        .await;
    let head = git(&machine.root(), &["rev-parse", "HEAD"]);
    assert_eq!(committed, json!({ "commit": head }));
    assert_eq!(git(&machine.root(), &["log", "-1", "--format=%B"]), message);

    machine.put("a.txt", "changed");
    let error = machine.fail("git.commit", json!({ "message": "x" })).await;
    assert_eq!(told(&error), ("NOTHING_TO_COMMIT", 409));
    let input = json!({ "message": "All", "all": true });
    machine.call("git.commit", input).await;
    let status = machine.call("git.status", json!({})).await;
    assert!(states(&status).is_empty());
}

#[tokio::test]
async fn a_message_of_nothing_is_refused() {
    let machine = repository();
    for message in ["", " \n"] {
        let error = machine
            .fail("git.commit", json!({ "message": message }))
            .await;
        assert_eq!(told(&error), ("VALIDATION_ERROR", 400));
    }
}

#[tokio::test]
async fn hooks_run_and_may_refuse() {
    let machine = repository();
    let hook = machine.path(".git/hooks/pre-commit");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(&hook, "#!/bin/sh\necho not today >&2\nexit 1\n").unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    machine.put("a.txt", "changed");
    let input = json!({ "message": "x", "all": true });
    let error = machine.fail("git.commit", input).await;
    assert_eq!(told(&error), ("GIT_FAILED", 422));
    let details = error.details.unwrap();
    assert_eq!(details["stderr"], "not today\n");
}

#[tokio::test]
async fn an_abort_ends_git_and_its_hooks() {
    let machine = repository();
    let hook = machine.path(".git/hooks/pre-commit");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    let script = format!(
        "#!/bin/sh\nsleep 300 & echo $! >> {0}\necho $$ >> {0}\nwait\n",
        machine.path("pids").display()
    );
    fs::write(&hook, script).unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    machine.put("a.txt", "changed");
    let token = CancellationToken::new();
    let ctx = context().with_cancellation(token.clone());
    let input = json!({ "message": "x", "all": true });
    let aborting = async {
        let pids = pids(&machine.path("pids"), 2).await;
        token.cancel();
        pids
    };
    let (result, pids) = tokio::join!(machine.try_call("git.commit", input, ctx), aborting);
    assert_eq!(result.unwrap_err().code, "ABORTED");
    eventually(Duration::from_secs(3), || {
        !pids.iter().any(|pid| runs(*pid))
    })
    .await;
}

#[tokio::test]
async fn branches_and_commits_are_checked_out() {
    let machine = repository();
    let first = git(&machine.root(), &["rev-parse", "HEAD"]);
    let made = machine
        .call("git.checkout", json!({ "ref": "topic", "create": true }))
        .await;
    assert_eq!(made, json!({ "branch": "topic", "head": first }));
    let second = commit(&machine, "b.txt", "b", "b");
    let main = machine.call("git.checkout", json!({ "ref": "main" })).await;
    assert_eq!(main, json!({ "branch": "main", "head": first }));
    let detached = machine.call("git.checkout", json!({ "ref": second })).await;
    assert_eq!(detached, json!({ "branch": null, "head": second }));
}

#[tokio::test]
async fn a_checkout_that_git_or_its_rules_refuse_changes_nothing() {
    let machine = repository();
    commit(&machine, "a.txt", "second\n", "second");
    machine.put("a.txt", "mine\n");
    let error = machine
        .fail("git.checkout", json!({ "ref": "HEAD~1" }))
        .await;
    assert_eq!(told(&error), ("GIT_FAILED", 422));
    assert_eq!(machine.text("a.txt"), "mine\n");
    // A file of that name is no branch.
    let error = machine
        .fail("git.checkout", json!({ "ref": "a.txt" }))
        .await;
    assert_eq!(told(&error), ("GIT_FAILED", 422));
    assert_eq!(machine.text("a.txt"), "mine\n");
    let error = machine
        .fail("git.checkout", json!({ "ref": "main", "create": true }))
        .await;
    assert_eq!(told(&error), ("EXISTS", 409));
    for name in ["bad..name", "bad name", "HEAD", "@{-1}", "x.lock"] {
        let input = json!({ "ref": name, "create": true });
        let error = machine.fail("git.checkout", input).await;
        assert_eq!(told(&error), ("BAD_NAME", 422), "{name}");
    }
}

#[tokio::test]
async fn a_branch_is_made_and_removed() {
    let machine = repository();
    let first = git(&machine.root(), &["rev-parse", "HEAD"]);
    commit(&machine, "b.txt", "b", "b");
    let input = json!({ "name": "topic", "base": "HEAD~1" });
    let made = machine.call("git.branch", input.clone()).await;
    assert_eq!(made, json!({ "branch": "topic", "head": first }));
    assert_eq!(
        told(&machine.fail("git.branch", input).await),
        ("EXISTS", 409)
    );
    let input = json!({ "name": "topic", "delete": true });
    let removed = machine.call("git.branch", input.clone()).await;
    assert_eq!(removed, json!({ "branch": "topic" }));
    assert_eq!(
        told(&machine.fail("git.branch", input).await),
        ("GIT_FAILED", 422)
    );
    let error = machine.fail("git.branch", json!({ "name": "-d" })).await;
    assert_eq!(told(&error), ("BAD_NAME", 422));
}

#[tokio::test]
async fn a_branch_that_is_used_or_not_merged_is_not_removed() {
    let machine = repository();
    git(&machine.root(), &["checkout", "--quiet", "-b", "topic"]);
    commit(&machine, "b.txt", "b", "b");
    let delete = |name: &str| machine.fail("git.branch", json!({ "name": name, "delete": true }));
    assert_eq!(told(&delete("topic").await), ("BRANCH_IN_USE", 409));
    git(&machine.root(), &["checkout", "--quiet", "main"]);
    assert_eq!(told(&delete("topic").await), ("UNMERGED", 409));
    worktree(&machine, "other").await;
    assert_eq!(told(&delete("wt/other").await), ("BRANCH_IN_USE", 409));
}

fn diverged() -> Machine {
    let machine = repository();
    git(&machine.root(), &["checkout", "--quiet", "-b", "topic"]);
    commit(&machine, "a.txt", "topic\n", "topic");
    git(&machine.root(), &["checkout", "--quiet", "main"]);
    machine
}

#[tokio::test]
async fn a_merge_gives_its_commit() {
    let machine = diverged();
    commit(&machine, "b.txt", "b", "b");
    let input = json!({ "ref": "topic", "message": "Take the topic" });
    let merged = machine.call("git.merge", input).await;
    let head = git(&machine.root(), &["rev-parse", "HEAD"]);
    assert_eq!(merged, json!({ "commit": head, "conflicts": [] }));
    assert_eq!(
        git(&machine.root(), &["log", "-1", "--format=%s"]),
        "Take the topic"
    );
    // Again there is nothing to do.
    let merged = machine.call("git.merge", json!({ "ref": "topic" })).await;
    assert_eq!(merged["commit"], head);
}

#[tokio::test]
async fn conflicts_of_a_merge_are_data_and_it_can_be_given_up() {
    let machine = diverged();
    let head = commit(&machine, "a.txt", "main\n", "main");
    let merged = machine.call("git.merge", json!({ "ref": "topic" })).await;
    assert_eq!(merged, json!({ "conflicts": ["a.txt"] }));
    let status = machine.call("git.status", json!({})).await;
    assert_eq!(
        states(&status),
        [(
            "a.txt".to_owned(),
            "unmerged".to_owned(),
            "unmerged".to_owned()
        )]
    );
    // A second merge is not begun on top.
    let error = machine.fail("git.merge", json!({ "ref": "topic" })).await;
    assert_eq!(told(&error), ("GIT_FAILED", 422));
    let given_up = machine.call("git.merge", json!({ "abort": true })).await;
    assert_eq!(given_up, json!({ "conflicts": [] }));
    assert_eq!(machine.text("a.txt"), "main\n");
    assert_eq!(git(&machine.root(), &["rev-parse", "HEAD"]), head);
    assert_eq!(
        told(&machine.fail("git.merge", json!({ "abort": true })).await).0,
        "GIT_FAILED"
    );
}

#[tokio::test]
async fn a_merge_with_solved_conflicts_is_committed() {
    let machine = diverged();
    commit(&machine, "a.txt", "main\n", "main");
    machine.call("git.merge", json!({ "ref": "topic" })).await;
    machine.put("a.txt", "both\n");
    machine.call("git.add", json!({ "paths": ["a.txt"] })).await;
    let committed = machine
        .call("git.commit", json!({ "message": "Both" }))
        .await;
    let log = machine.call("git.log", json!({ "limit": 1 })).await;
    assert_eq!(log["commits"][0]["id"], committed["commit"]);
    assert_eq!(log["commits"][0]["parents"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_merge_needs_something_to_merge() {
    let machine = repository();
    for input in [json!({}), json!({ "ref": "main", "abort": true })] {
        let error = machine.fail("git.merge", input).await;
        assert_eq!(error.details.unwrap()["rule"], "ref_or_abort");
    }
    let error = machine.fail("git.merge", json!({ "ref": "absent" })).await;
    assert_eq!(told(&error), ("GIT_FAILED", 422));
}

#[tokio::test]
async fn a_branch_is_pushed_under_its_name() {
    let machine = repository();
    let origin = remote(&machine);
    let pushed = machine.call("git.push", json!({})).await;
    assert_eq!(pushed, json!({ "pushed": false }));
    let head = commit(&machine, "b.txt", "b", "b");
    let pushed = machine.call("git.push", json!({})).await;
    assert_eq!(pushed, json!({ "pushed": true }));
    assert_eq!(git(&origin, &["rev-parse", "refs/heads/main"]), head);
    git(&machine.root(), &["branch", "topic"]);
    let input = json!({ "branch": "topic", "setUpstream": true });
    machine.call("git.push", input).await;
    assert_eq!(
        git(
            &machine.root(),
            &["rev-parse", "--abbrev-ref", "topic@{upstream}"]
        ),
        "origin/topic"
    );
}

#[tokio::test]
async fn a_push_forces_nothing() {
    let machine = repository();
    remote(&machine);
    commit(&machine, "b.txt", "b", "b");
    machine.call("git.push", json!({})).await;
    git(&machine.root(), &["reset", "--quiet", "--hard", "HEAD~1"]);
    commit(&machine, "c.txt", "c", "c");
    let error = machine.fail("git.push", json!({})).await;
    assert_eq!(told(&error), ("REJECTED", 409));
    let reason = error.details.unwrap()["reason"].clone();
    assert!(
        reason.as_str().unwrap().contains("non-fast-forward"),
        "{reason}"
    );
    for branch in ["+main", "main:other", ":main"] {
        let error = machine.fail("git.push", json!({ "branch": branch })).await;
        assert!(
            matches!(told(&error).0, "BAD_NAME" | "GIT_FAILED"),
            "{branch}: {error}"
        );
    }
}

#[tokio::test]
async fn only_remotes_of_the_repository_are_pushed_to() {
    let machine = repository();
    let marker = machine.path("ran");
    let remotes: [Value; 5] = [
        json!("origin"),
        json!("--receive-pack=touch ran"),
        json!(format!("ext::touch {}", marker.display())),
        json!(machine.root()),
        json!("."),
    ];
    for remote in remotes {
        let error = machine.fail("git.push", json!({ "remote": remote })).await;
        assert_eq!(told(&error), ("UNKNOWN_REMOTE", 422), "{remote}");
    }
    assert!(!marker.exists());
}

#[tokio::test]
async fn a_commit_by_itself_has_no_branch_to_push() {
    let machine = repository();
    remote(&machine);
    git(&machine.root(), &["checkout", "--quiet", "--detach"]);
    let error = machine.fail("git.push", json!({})).await;
    assert_eq!(told(&error), ("VALIDATION_ERROR", 400));
}
