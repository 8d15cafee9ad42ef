//! `git.worktreeList`, and finding worktrees.

use std::path::{Path, PathBuf};

use alkhub_operations::{CallError, Context, Operation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::query;
use super::run::Git;
use super::status::status;
use crate::devenv::environment::Environment;
use crate::devenv::errors::{DevError, shown};

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Input {
    /// A directory of the repository; the session's worktree without it.
    #[schemars(length(min = 1, max = 4096))]
    workdir: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Listed {
    /// Its whole path.
    path: String,
    /// Its branch; null when a commit is checked out by itself.
    branch: Option<String>,
    /// Id of its commit; null before the first one.
    head: Option<String>,
    /// True when files in it differ from its commit.
    dirty: bool,
    /// Commits that the branch it follows does not have; without such a branch, that the main
    /// worktree does not have.
    ahead: u64,
    /// Commits that only that one has.
    behind: u64,
}

/// A worktree as git knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Worktree {
    pub(super) path: PathBuf,
    pub(super) branch: Option<String>,
    head: Option<String>,
    bare: bool,
    /// Its directory is gone.
    prunable: bool,
}

pub(super) fn define(environment: &Environment) -> Operation {
    let environment = environment.clone();
    query::<Input, Vec<Listed>>("git.worktreeList")
        .title("List worktrees")
        .description("Lists the worktrees of the repository that lie under the roots.")
        .handler(move |ctx: Context, input| {
            let environment = environment.clone();
            async move {
                let git = Git::new(&environment, &ctx, input.workdir.as_deref())?;
                Ok::<_, CallError>(list(&git).await?)
            }
        })
}

/// All worktrees of the repository, the main one first.
pub(super) async fn worktrees(git: &Git) -> Result<Vec<Worktree>, DevError> {
    let output = git
        .output(&["worktree", "list", "--porcelain", "-z"])
        .await?;
    Ok(parse(&output))
}

/// The worktree in which a branch is checked out.
pub(super) async fn holder(git: &Git, branch: &str) -> Result<Option<PathBuf>, DevError> {
    let all = worktrees(git).await?;
    let found = all
        .into_iter()
        .find(|worktree| worktree.branch.as_deref() == Some(branch));
    Ok(found.map(|worktree| worktree.path))
}

async fn list(git: &Git) -> Result<Vec<Listed>, DevError> {
    let all = worktrees(git).await?;
    let main = all.first().and_then(|main| main.head.clone());
    let mut listed = Vec::new();
    for worktree in all {
        let inside = git.work().environment.bounds().contains(&worktree.path);
        if worktree.bare || worktree.prunable || !inside {
            continue;
        }
        let here = git.at(&worktree.path);
        let status = status(&here).await?;
        let (ahead, behind) = match (&status.upstream, &main) {
            (None, Some(main)) if worktree.head.is_some() => apart(&here, main).await?,
            _ => (status.ahead, status.behind),
        };
        listed.push(Listed {
            path: shown(&worktree.path),
            branch: worktree.branch,
            head: worktree.head,
            dirty: !status.files.is_empty(),
            ahead,
            behind,
        });
    }
    Ok(listed)
}

/// How many commits the current one has that another has not, and the other way round.
async fn apart(git: &Git, other: &str) -> Result<(u64, u64), DevError> {
    let range = format!("HEAD...{other}");
    let text = git
        .text(&["rev-list", "--left-right", "--count", &range, "--"])
        .await?;
    let mut counts = text
        .split_whitespace()
        .map(|count| count.parse().unwrap_or(0));
    Ok((counts.next().unwrap_or(0), counts.next().unwrap_or(0)))
}

/// Lines ended by NUL, a worktree ended by an empty one.
fn parse(output: &[u8]) -> Vec<Worktree> {
    let mut all: Vec<Worktree> = Vec::new();
    for line in output.split(|byte| *byte == 0) {
        let line = String::from_utf8_lossy(line);
        let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
        if word == "worktree" {
            all.push(Worktree {
                path: real(Path::new(rest)),
                branch: None,
                head: None,
                bare: false,
                prunable: false,
            });
            continue;
        }
        let Some(worktree) = all.last_mut() else {
            continue;
        };
        match word {
            // All zeros before the first commit.
            "HEAD" if rest.bytes().any(|digit| digit != b'0') => {
                worktree.head = Some(rest.to_owned());
            }
            "branch" => {
                let name = rest.strip_prefix("refs/heads/").unwrap_or(rest);
                worktree.branch = Some(name.to_owned());
            }
            "bare" => worktree.bare = true,
            "prunable" => worktree.prunable = true,
            _ => {}
        }
    }
    all
}

/// Without symlinks; as it is when it is gone.
fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_gone| path.to_owned())
}
