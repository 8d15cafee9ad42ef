//! `git.worktreeCreate`, `git.worktreeRemove`, `git.worktreeList`

use std::fs;

use serde_json::{Value, json};

use super::machine::{Machine, context, context_of_session, told};
use super::repository::{commit, git, repository, states, worktree};

#[tokio::test]
async fn a_worktree_has_a_branch_of_its_own() {
    let machine = repository();
    let head = git(&machine.root(), &["rev-parse", "HEAD"]);
    let made = machine
        .call("git.worktreeCreate", json!({ "name": "one" }))
        .await;
    let path = machine.path(".worktrees/one");
    assert_eq!(
        made,
        json!({ "path": path, "branch": "wt/one", "head": head, "created": true })
    );
    assert_eq!(machine.text(".worktrees/one/a.txt"), "one\ntwo\n");
    // The main worktree is as clean as before, and stays so.
    let status = machine.call("git.status", json!({})).await;
    assert!(states(&status).is_empty());
    worktree(&machine, "two").await;
    let excluded = machine.text(".git/info/exclude");
    assert_eq!(excluded.matches("/.worktrees/").count(), 1, "{excluded}");
}

#[tokio::test]
async fn name_branch_base_and_directory_are_the_callers_to_choose() {
    let machine = repository();
    let first = git(&machine.root(), &["rev-parse", "HEAD"]);
    commit(&machine, "b.txt", "b", "b");
    let input =
        json!({ "name": "x", "branch": "feature/x", "base": "HEAD~1", "dir": "trees/deep" });
    let made = machine.call("git.worktreeCreate", input).await;
    assert_eq!(
        (&made["branch"], &made["head"]),
        (&json!("feature/x"), &json!(first))
    );
    assert!(machine.path("trees/deep/x/a.txt").exists());
}

#[tokio::test]
async fn a_directory_with_files_of_the_project_is_not_ignored_for_a_worktree() {
    let machine = repository();
    commit(&machine, "src/b.txt", "b", "b");
    let input = json!({ "name": "x", "dir": "src" });
    machine.call("git.worktreeCreate", input).await;
    machine.put("src/new.txt", "x");
    let status = machine.call("git.status", json!({})).await;
    assert_eq!(states(&status)[0].0, "src/new.txt");
    assert_eq!(states(&status).len(), 1);
}

#[tokio::test]
async fn a_worktree_made_from_a_worktree_lies_beside_it() {
    let machine = repository();
    let one = worktree(&machine, "one").await;
    let ctx = context_of_session(&one, "wt/one");
    let input = json!({ "name": "two" });
    let made = machine
        .try_call("git.worktreeCreate", input, ctx)
        .await
        .unwrap();
    assert_eq!(made["path"], json!(machine.path(".worktrees/two")));
}

#[tokio::test]
async fn an_empty_directory_is_used_and_a_full_one_is_not() {
    let machine = repository();
    fs::create_dir_all(machine.path(".worktrees/empty")).unwrap();
    worktree(&machine, "empty").await;
    machine.put(".worktrees/full/file", "x");
    for name in ["full", "empty"] {
        let input = json!({ "name": name, "branch": "other" });
        let error = machine.fail("git.worktreeCreate", input).await;
        assert_eq!(told(&error), ("EXISTS", 409));
    }
    assert!(git(&machine.root(), &["branch", "--list", "other"]).is_empty());
}

#[tokio::test]
async fn an_existing_branch_is_used_only_when_that_is_said() {
    let machine = repository();
    git(&machine.root(), &["checkout", "--quiet", "-b", "topic"]);
    let head = commit(&machine, "b.txt", "b", "b");
    git(&machine.root(), &["checkout", "--quiet", "main"]);
    let input = json!({ "name": "t", "branch": "topic" });
    let error = machine.fail("git.worktreeCreate", input).await;
    assert_eq!(told(&error), ("BRANCH_IN_USE", 409));
    let input = json!({ "name": "t", "branch": "topic", "reuseBranch": true, "base": "main" });
    let made = machine.call("git.worktreeCreate", input).await;
    assert_eq!(
        (&made["head"], &made["created"]),
        (&json!(head), &json!(false))
    );
    // A branch is checked out once.
    for branch in ["topic", "main"] {
        let input = json!({ "name": "u", "branch": branch, "reuseBranch": true });
        let error = machine.fail("git.worktreeCreate", input).await;
        assert_eq!(told(&error), ("BRANCH_IN_USE", 409));
    }
}

#[tokio::test]
async fn bad_names_are_refused() {
    let machine = repository();
    for name in [
        "-x",
        ".x",
        "a..b/../c",
        "a b",
        "a/",
        "/a",
        "a//b",
        "../x",
        "a\\b",
    ] {
        let error = machine
            .fail("git.worktreeCreate", json!({ "name": name }))
            .await;
        assert_eq!(told(&error), ("BAD_NAME", 422), "{name}");
    }
    for branch in ["a..b", "a b", "-x", "x.lock", "a@{1}"] {
        let input = json!({ "name": "x", "branch": branch });
        let error = machine.fail("git.worktreeCreate", input).await;
        assert_eq!(told(&error), ("BAD_NAME", 422), "{branch}");
    }
    for dir in ["..", "/tmp", "../project-two"] {
        let input = json!({ "name": "x", "dir": dir });
        let error = machine.fail("git.worktreeCreate", input).await;
        assert_eq!(told(&error), ("PATH_OUTSIDE", 403), "{dir}");
    }
    let input = json!({ "name": "x", "dir": ".git" });
    let error = machine.fail("git.worktreeCreate", input).await;
    assert_eq!(told(&error), ("PERMISSION", 403));
}

#[tokio::test]
async fn a_failed_worktree_leaves_nothing() {
    let machine = repository();
    let input = json!({ "name": "x", "base": "absent" });
    let error = machine.fail("git.worktreeCreate", input).await;
    assert_eq!(told(&error), ("GIT_FAILED", 422));
    assert!(!machine.path(".worktrees/x").exists());
    assert_eq!(
        git(&machine.root(), &["branch", "--format=%(refname:short)"]),
        "main"
    );
}

#[tokio::test]
async fn of_several_who_make_the_same_worktree_one_wins() {
    let machine = repository();
    let make = |_| machine.try_call("git.worktreeCreate", json!({ "name": "one" }), context());
    let results = futures::future::join_all((0..4).map(make)).await;
    let (won, lost): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 1);
    for error in lost {
        assert_eq!(told(&error.unwrap_err()), ("EXISTS", 409));
    }
}

#[tokio::test]
async fn a_clean_worktree_is_removed_and_its_branch_when_that_is_said() {
    let machine = repository();
    for (name, delete) in [("one", false), ("two", true)] {
        let path = worktree(&machine, name).await;
        let input = json!({ "path": path, "deleteBranch": delete });
        let removed = machine.call("git.worktreeRemove", input).await;
        assert_eq!(removed, json!({ "removed": true, "branchDeleted": delete }));
        assert!(!path.exists());
    }
    assert_eq!(
        git(&machine.root(), &["branch", "--list", "wt/*"]).trim(),
        "wt/one"
    );
}

#[tokio::test]
async fn a_worktree_with_changes_stays_unless_forced() {
    let machine = repository();
    let path = worktree(&machine, "one").await;
    machine.put(".worktrees/one/new.txt", "x");
    let remove = |force: bool| json!({ "path": ".worktrees/one", "force": force });
    let error = machine.fail("git.worktreeRemove", remove(false)).await;
    assert_eq!(told(&error), ("DIRTY", 409));
    assert_eq!(
        error.details.unwrap(),
        json!({ "count": 1, "files": ["new.txt"] })
    );
    assert!(path.exists());
    git(
        &machine.root(),
        &["worktree", "lock", path.to_str().unwrap()],
    );
    machine.call("git.worktreeRemove", remove(true)).await;
    assert!(!path.exists());
}

#[tokio::test]
async fn a_branch_with_commits_of_its_own_stays_unless_forced() {
    let machine = repository();
    let path = worktree(&machine, "one").await;
    machine.put(".worktrees/one/b.txt", "b");
    git(&path, &["add", "b.txt"]);
    git(&path, &["commit", "--quiet", "-m", "b"]);
    let remove = |force: bool| json!({ "path": path, "force": force, "deleteBranch": true });
    let error = machine.fail("git.worktreeRemove", remove(false)).await;
    assert_eq!(told(&error), ("UNMERGED", 409));
    assert!(path.exists());
    let removed = machine.call("git.worktreeRemove", remove(true)).await;
    assert_eq!(removed["branchDeleted"], true);
    assert_eq!(git(&machine.root(), &["branch", "--list", "wt/*"]), "");
}

#[tokio::test]
async fn only_worktrees_are_removed_and_never_the_main_one() {
    let machine = repository();
    fs::create_dir(machine.path("dir")).unwrap();
    for path in ["dir", "absent"] {
        let error = machine
            .fail("git.worktreeRemove", json!({ "path": path }))
            .await;
        assert_eq!(told(&error), ("FILE_NOT_FOUND", 404));
    }
    let input = json!({ "path": ".", "force": true });
    let error = machine.fail("git.worktreeRemove", input).await;
    assert_eq!(told(&error), ("VALIDATION_ERROR", 400));
    let error = machine
        .fail("git.worktreeRemove", json!({ "path": ".." }))
        .await;
    assert_eq!(told(&error), ("PATH_OUTSIDE", 403));
}

#[tokio::test]
async fn a_worktree_whose_directory_is_gone_can_be_removed() {
    let machine = repository();
    let path = worktree(&machine, "one").await;
    fs::remove_dir_all(&path).unwrap();
    let input = json!({ "path": path, "deleteBranch": true });
    let removed = machine.call("git.worktreeRemove", input).await;
    assert_eq!(removed, json!({ "removed": true, "branchDeleted": true }));
}

fn find<'a>(list: &'a Value, branch: &str) -> &'a Value {
    let all = list.as_array().unwrap();
    all.iter()
        .find(|worktree| worktree["branch"] == branch)
        .unwrap()
}

#[tokio::test]
async fn worktrees_are_listed_with_how_they_stand() {
    let machine = repository();
    let path = worktree(&machine, "one").await;
    machine.put(".worktrees/one/b.txt", "b");
    git(&path, &["add", "b.txt"]);
    git(&path, &["commit", "--quiet", "-m", "b"]);
    let head = git(&path, &["rev-parse", "HEAD"]);
    commit(&machine, "c.txt", "c", "c");
    commit(&machine, "d.txt", "d", "d");
    machine.put(".worktrees/one/e.txt", "e");
    let list = machine.call("git.worktreeList", json!({})).await;
    assert_eq!(
        *find(&list, "wt/one"),
        json!({
            "path": path, "branch": "wt/one", "head": head, "dirty": true, "ahead": 1, "behind": 2,
        })
    );
    let main = find(&list, "main");
    assert_eq!((&main["dirty"], &main["ahead"]), (&json!(false), &json!(0)));
    assert_eq!(list.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn worktrees_outside_the_roots_and_lost_ones_are_not_listed() {
    let machine = repository();
    let outside = machine.outside().join("elsewhere");
    let arguments = [
        "worktree",
        "add",
        "--quiet",
        outside.to_str().unwrap(),
        "-b",
        "out",
    ];
    git(&machine.root(), &arguments);
    let lost = worktree(&machine, "lost").await;
    fs::remove_dir_all(lost).unwrap();
    let list = machine.call("git.worktreeList", json!({})).await;
    assert_eq!(list.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn another_prefix_names_other_branches() {
    let machine = Machine::with(|options| {
        options.branch_prefix = "agents/".to_owned();
        options.env_pass = vec!["PATH".to_owned()];
    });
    git(
        &machine.root(),
        &["init", "--quiet", "--initial-branch=main"],
    );
    let identity = ["-c", "user.name=A", "-c", "user.email=a@b"];
    let arguments = ["commit", "--quiet", "--allow-empty", "-m", "first"];
    git(&machine.root(), &[identity.as_slice(), &arguments].concat());
    let made = machine
        .call("git.worktreeCreate", json!({ "name": "one" }))
        .await;
    assert_eq!(made["branch"], "agents/one");
}
