//! `git.worktreeCreate`, `git.worktreeRemove`

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use alkhub_operations::{CallError, Context, Operation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::mutation;
use super::names::{self, revision};
use super::run::Git;
use super::status::status;
use super::worktree_list::{holder, worktrees};
use crate::devenv::environment::Environment;
use crate::devenv::errors::{
    BAD_NAME, BRANCH_IN_USE, DIRTY, Declare, DevError, EXISTS, UNMERGED, at, shown,
};
use crate::devenv::paths::{Located, normalised};

/// Most files that the refusal of a dirty worktree names.
const MOST_FILES: usize = 50;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CreateInput {
    /// A directory of the repository; the session's worktree without it.
    #[schemars(length(min = 1, max = 4096))]
    workdir: Option<String>,
    /// Its directory below `dir`.
    #[schemars(length(min = 1, max = 200))]
    name: String,
    /// Its branch; the spoke's prefix and the name without it.
    #[schemars(length(min = 1, max = 200))]
    branch: Option<String>,
    /// Where the branch begins; not looked at when an existing branch is used.
    #[serde(default = "head")]
    base: String,
    /// Where worktrees lie, from the top of the main worktree.
    #[serde(default = "default_directory")]
    #[schemars(length(min = 1, max = 1000))]
    dir: String,
    /// Use the branch when it exists already.
    #[serde(default)]
    reuse_branch: bool,
}

fn head() -> String {
    "HEAD".to_owned()
}

fn default_directory() -> String {
    ".worktrees".to_owned()
}

#[derive(Serialize, JsonSchema)]
struct CreateOutput {
    /// Whole path of the worktree.
    path: String,
    /// Its branch.
    branch: String,
    /// Id of its commit.
    head: String,
    /// True when the branch is new; removing the worktree may then remove it too.
    created: bool,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RemoveInput {
    /// A directory of the repository; the session's worktree without it.
    #[schemars(length(min = 1, max = 4096))]
    workdir: Option<String>,
    /// The worktree.
    #[schemars(length(min = 1, max = 4096))]
    path: String,
    /// With its changes, and with commits of its branch that are merged nowhere.
    #[serde(default)]
    force: bool,
    /// Its branch too.
    #[serde(default)]
    delete_branch: bool,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct RemoveOutput {
    /// True: it is gone.
    removed: bool,
    /// True when its branch is gone too.
    branch_deleted: bool,
}

pub(super) fn create(environment: &Environment) -> Operation {
    let environment = environment.clone();
    mutation::<CreateInput, CreateOutput>("git.worktreeCreate")
        .title("Make a worktree")
        .description(
            "Makes a worktree with a branch of its own below the main worktree, which git then \
             ignores there.",
        )
        .fails_with(&[&[EXISTS, BRANCH_IN_USE, BAD_NAME]])
        .handler(move |ctx: Context, input| {
            let environment = environment.clone();
            async move {
                let git = Git::new(&environment, &ctx, input.workdir.as_deref())?;
                let _held = environment.worktree_lock().await;
                Ok::<_, CallError>(make(&git, input).await?)
            }
        })
}

pub(super) fn remove(environment: &Environment) -> Operation {
    let environment = environment.clone();
    mutation::<RemoveInput, RemoveOutput>("git.worktreeRemove")
        .title("Remove a worktree")
        .description(
            "Removes a worktree, when it is said its branch too. Nothing is lost unforced.",
        )
        .fails_with(&[&[DIRTY, UNMERGED]])
        .handler(move |ctx: Context, input| {
            let environment = environment.clone();
            async move {
                let git = Git::new(&environment, &ctx, input.workdir.as_deref())?;
                let _held = environment.worktree_lock().await;
                Ok::<_, CallError>(take_away(&git, input).await?)
            }
        })
}

async fn make(git: &Git, input: CreateInput) -> Result<CreateOutput, DevError> {
    check_name(&input.name)?;
    revision("/base", &input.base)?;
    let branch = input.branch.unwrap_or_else(|| {
        let prefix = git.work().environment.branch_prefix();
        format!("{prefix}{}", input.name)
    });
    names::branch(git, &branch).await?;

    let main = main_worktree(git).await?;
    let bounds = git.work().environment.bounds();
    let below = format!("{}/{}", input.dir, input.name);
    let located = bounds.locate(&main, &below)?;
    located.require_outside_git(&below)?;
    let path = located.absolute();
    require_free(&path)?;

    let exists = git.has_branch(&branch).await?;
    let held = holder(git, &branch).await?;
    if exists && (!input.reuse_branch || held.is_some()) {
        let message = match &held {
            Some(held) => format!("branch {branch} is checked out in {}", shown(held)),
            None => format!("branch {branch} exists; say reuseBranch to work on it"),
        };
        let details = json!({ "branch": branch, "path": held.as_deref().map(shown) });
        return Err(DevError::detailed(BRANCH_IN_USE, message, details));
    }
    ignore_directory(git, &main, &located, &input.dir).await?;
    let target = shown(&path);
    let mut arguments = vec!["worktree", "add", "--quiet"];
    let base;
    if exists {
        arguments.extend(["--", target.as_str(), branch.as_str()]);
    } else {
        // The commit, so that the branch does not follow the one it begins at.
        base = git.resolve(&input.base, "commit").await?;
        arguments.extend(["-b", branch.as_str(), "--", target.as_str(), base.as_str()]);
    }
    let said = git.run(&arguments).await?;
    if said.code != 0 {
        // git takes its directory away again, but not the branch.
        if !exists && git.has_branch(&branch).await? {
            git.run(&["branch", "--delete", "--force", &branch]).await?;
        }
        return Err(said.failure());
    }
    Ok(CreateOutput {
        head: git.at(&path).head().await?,
        path: target,
        branch,
        created: !exists,
    })
}

async fn take_away(git: &Git, input: RemoveInput) -> Result<RemoveOutput, DevError> {
    let located = git.work().locate(&input.path)?;
    let path = located.absolute();
    let all = worktrees(git).await?;
    let place = all.iter().position(|worktree| worktree.path == path);
    let Some(place) = place else {
        return Err(DevError::FileNotFound { path: input.path });
    };
    if place == 0 {
        let message = "the main worktree is the repository itself";
        return Err(DevError::invalid("/path", "main_worktree", message));
    }
    let branch = all[place].branch.clone();
    // From the main worktree: git may have been asked in the one that goes.
    let main = git.at(&all[0].path);
    if !input.force && path.exists() {
        require_clean(&git.at(&path), &path).await?;
    }
    let branch = branch.filter(|_| input.delete_branch);
    if let (Some(branch), false) = (&branch, input.force) {
        require_merged(&main, branch).await?;
    }

    let target = shown(&path);
    let mut arguments = vec!["worktree", "remove"];
    if input.force {
        // Twice: also when it is locked.
        arguments.extend(["--force", "--force"]);
    }
    arguments.extend(["--", &target]);
    main.output(&arguments).await?;
    if let Some(branch) = &branch {
        main.output(&["branch", "--delete", "--force", branch])
            .await?;
    }
    Ok(RemoveOutput {
        removed: true,
        branch_deleted: branch.is_some(),
    })
}

/// A name is one directory, or several that lead down.
fn check_name(name: &str) -> Result<(), DevError> {
    let good = name.split('/').all(|part| {
        !part.is_empty()
            && !part.starts_with(['-', '.'])
            && part
                .chars()
                .all(|character| character.is_alphanumeric() || "-_.".contains(character))
    });
    if good {
        Ok(())
    } else {
        let message = "a worktree's name is of letters, digits, `-`, `_`, `.`, and begins with none \
                       of `-` and `.`";
        Err(DevError::other(BAD_NAME, message))
    }
}

async fn main_worktree(git: &Git) -> Result<PathBuf, DevError> {
    let first = worktrees(git).await?.into_iter().next();
    first
        .map(|main| main.path)
        .ok_or_else(|| DevError::other(super::GIT_FAILED, "git knows no worktree here"))
}

/// Nothing is at the path, or an empty directory.
fn require_free(path: &Path) -> Result<(), DevError> {
    let taken = match std::fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => std::fs::read_dir(path).map_err(at(path))?.next().is_some(),
        Ok(_) => true,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
        Err(error) => return Err(at(path)(error)),
    };
    if taken {
        return Err(DevError::Exists { path: shown(path) });
    }
    Ok(())
}

async fn require_clean(git: &Git, path: &Path) -> Result<(), DevError> {
    let files = status(git).await?.files;
    if files.is_empty() {
        return Ok(());
    }
    let message = format!("{} has {} changed files", shown(path), files.len());
    let named: Vec<&str> = files
        .iter()
        .take(MOST_FILES)
        .map(|file| file.path.as_str())
        .collect();
    let details = json!({ "count": files.len(), "files": named });
    Err(DevError::detailed(DIRTY, message, details))
}

async fn require_merged(main: &Git, branch: &str) -> Result<(), DevError> {
    let reference = format!("refs/heads/{branch}");
    let said = main
        .run(&["merge-base", "--is-ancestor", &reference, "HEAD"])
        .await?;
    match said.code {
        0 => Ok(()),
        1 => {
            let message = format!("branch {branch} has commits that the main worktree has not");
            let details = json!({ "branch": branch });
            Err(DevError::detailed(UNMERGED, message, details))
        }
        _ => Err(said.failure()),
    }
}

/// Lets git leave the directory of worktrees out of the main one's status and commits, by the
/// repository's own list, which is part of no commit.
async fn ignore_directory(
    git: &Git,
    main: &Path,
    worktree: &Located,
    directory: &str,
) -> Result<(), DevError> {
    let path = worktree.absolute();
    let Ok(below) = path.strip_prefix(main) else {
        return Ok(());
    };
    let here = git.at(main);
    let asked = shown(below);
    let ignored = here.run(&["check-ignore", "--quiet", "--", &asked]).await?;
    // 1 says no; all else is no reason to fail: the worktree is made all the same.
    if ignored.code != 1 {
        return Ok(());
    }
    let list = here
        .text(&[
            "rev-parse",
            "--path-format=absolute",
            "--git-path",
            "info/exclude",
        ])
        .await?;
    let list = PathBuf::from(list);
    if let Some(parent) = list.parent() {
        std::fs::create_dir_all(parent).map_err(at(parent))?;
    }
    // All of the directory when it is there for worktrees alone, else this one worktree.
    let shared = main.join(directory);
    let ours = !shared.exists();
    let ignored = if ours {
        normalised(&shared)
    } else {
        path.clone()
    };
    let Some(line) = ignore_line(&ignored, main) else {
        return Ok(());
    };
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&list)
        .map_err(at(&list))?;
    // A line end first: the last line may have none.
    file.write_all(line.as_bytes()).map_err(at(&list))
}

/// The line that makes git ignore a directory. Without one the main worktree's status shows it, which
/// is less bad than a pattern that takes in more.
fn ignore_line(directory: &Path, main: &Path) -> Option<String> {
    let below = directory.strip_prefix(main).ok()?.to_str()?;
    let plain = !below.is_empty() && !below.contains(['*', '?', '[', '\\', '\n', ' ']);
    plain.then(|| format!("\n/{below}/\n"))
}
