//! `git.checkout`, `git.branch`, `git.merge`, `git.push`

use alkhub_operations::{CallError, Context, Operation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::mutation;
use super::names::{self, nul_separated, revision};
use super::run::{Git, Said};
use crate::devenv::environment::Environment;
use crate::devenv::errors::{
    BAD_NAME, BRANCH_IN_USE, Declare, DevError, EXISTS, REJECTED, UNKNOWN_REMOTE, UNMERGED,
};

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CheckoutInput {
    /// A directory of the repository; the session's worktree without it.
    #[schemars(length(min = 1, max = 4096))]
    workdir: Option<String>,
    /// The branch or commit.
    #[serde(rename = "ref")]
    reference: String,
    /// Make it as a new branch at the current commit.
    #[serde(default)]
    create: bool,
}

#[derive(Serialize, JsonSchema)]
struct CheckoutOutput {
    /// The branch now; null when a commit is checked out by itself.
    branch: Option<String>,
    /// Id of the commit now; null in a repository without any.
    head: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct BranchInput {
    /// A directory of the repository; the session's worktree without it.
    #[schemars(length(min = 1, max = 4096))]
    workdir: Option<String>,
    /// The branch.
    #[schemars(length(min = 1, max = 200))]
    name: String,
    /// Where it begins; the current commit without it.
    base: Option<String>,
    /// Remove it instead. Its commits must be merged.
    #[serde(default)]
    delete: bool,
}

#[derive(Serialize, JsonSchema)]
struct BranchOutput {
    /// The branch.
    branch: String,
    /// Where it begins; absent when it was removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    head: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MergeInput {
    /// A directory of the repository; the session's worktree without it.
    #[schemars(length(min = 1, max = 4096))]
    workdir: Option<String>,
    /// What to merge into the current branch; not with `abort`.
    #[serde(rename = "ref")]
    reference: Option<String>,
    /// Message of the merge; git's own without it.
    #[schemars(length(min = 1, max = 100_000))]
    message: Option<String>,
    /// Give up a merge that stopped at conflicts.
    #[serde(default)]
    abort: bool,
}

#[derive(Serialize, JsonSchema)]
struct MergeOutput {
    /// The commit now; absent while there are conflicts, and after giving up.
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<String>,
    /// Files in conflict: solve, stage and commit them, or give up.
    conflicts: Vec<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PushInput {
    /// A directory of the repository; the session's worktree without it.
    #[schemars(length(min = 1, max = 4096))]
    workdir: Option<String>,
    /// A remote of the repository, by its name.
    #[serde(default = "origin")]
    remote: String,
    /// The branch; the current one without it.
    #[schemars(length(min = 1, max = 200))]
    branch: Option<String>,
    /// Let the branch follow the remote one from now on.
    #[serde(default)]
    set_upstream: bool,
}

fn origin() -> String {
    "origin".to_owned()
}

#[derive(Serialize, JsonSchema)]
struct PushOutput {
    /// False when the remote had it all.
    pushed: bool,
}

pub(super) fn checkout(environment: &Environment) -> Operation {
    let environment = environment.clone();
    mutation::<CheckoutInput, CheckoutOutput>("git.checkout")
        .title("Check out")
        .description("Checks a branch or commit out, or makes a new branch. Changes are not lost.")
        .fails_with(&[&[BAD_NAME, EXISTS]])
        .handler(move |ctx: Context, input| {
            let environment = environment.clone();
            async move {
                let git = Git::new(&environment, &ctx, input.workdir.as_deref())?;
                revision("/ref", &input.reference)?;
                if input.create {
                    must_be_new(&git, &input.reference).await?;
                    git.output(&["checkout", "--quiet", "-b", &input.reference, "--"])
                        .await?;
                } else {
                    git.output(&["checkout", "--quiet", &input.reference, "--"])
                        .await?;
                }
                let head = git
                    .run(&["rev-parse", "--verify", "--quiet", "HEAD"])
                    .await?;
                Ok::<_, CallError>(CheckoutOutput {
                    branch: git.branch().await?,
                    head: (head.code == 0).then(|| line(&head)),
                })
            }
        })
}

pub(super) fn branch(environment: &Environment) -> Operation {
    let environment = environment.clone();
    mutation::<BranchInput, BranchOutput>("git.branch")
        .title("Make or remove a branch")
        .description("Makes a branch without checking it out, or removes a merged one.")
        .fails_with(&[&[BAD_NAME, EXISTS, BRANCH_IN_USE, UNMERGED]])
        .handler(move |ctx: Context, input| {
            let environment = environment.clone();
            async move {
                let git = Git::new(&environment, &ctx, input.workdir.as_deref())?;
                let name = input.name;
                if input.delete {
                    names::branch(&git, &name).await?;
                    delete(&git, &name).await?;
                    return Ok::<_, CallError>(BranchOutput {
                        branch: name,
                        head: None,
                    });
                }
                must_be_new(&git, &name).await?;
                let base = input.base.as_deref().unwrap_or("HEAD");
                revision("/base", base)?;
                let head = git.resolve(base, "commit").await?;
                git.output(&["branch", "--no-track", &name, &head]).await?;
                Ok(BranchOutput {
                    branch: name,
                    head: Some(head),
                })
            }
        })
}

pub(super) fn merge(environment: &Environment) -> Operation {
    let environment = environment.clone();
    mutation::<MergeInput, MergeOutput>("git.merge")
        .title("Merge")
        .description("Merges into the current branch. Conflicts are a result, not an error.")
        .handler(move |ctx: Context, input| {
            let environment = environment.clone();
            async move {
                let git = Git::new(&environment, &ctx, input.workdir.as_deref())?;
                match (&input.reference, input.abort) {
                    (None, true) => {
                        git.output(&["merge", "--abort"]).await?;
                        Ok::<_, CallError>(MergeOutput {
                            commit: None,
                            conflicts: Vec::new(),
                        })
                    }
                    (Some(reference), false) => {
                        revision("/ref", reference)?;
                        Ok(merge_into(&git, reference, input.message.as_deref()).await?)
                    }
                    _ => {
                        let message = "give either ref or abort";
                        Err(DevError::invalid("", "ref_or_abort", message).into())
                    }
                }
            }
        })
}

pub(super) fn push(environment: &Environment) -> Operation {
    let environment = environment.clone();
    mutation::<PushInput, PushOutput>("git.push")
        .title("Push a branch")
        .description("Pushes a branch under its own name. It forces nothing.")
        .fails_with(&[&[BAD_NAME, UNKNOWN_REMOTE, REJECTED]])
        .handler(move |ctx: Context, input| {
            let environment = environment.clone();
            async move {
                let git = Git::new(&environment, &ctx, input.workdir.as_deref())?;
                Ok::<_, CallError>(push_branch(&git, &input).await?)
            }
        })
}

/// A legal name that no branch has.
async fn must_be_new(git: &Git, name: &str) -> Result<(), DevError> {
    names::branch(git, name).await?;
    if git.has_branch(name).await? {
        let path = name.to_owned();
        return Err(DevError::Exists { path });
    }
    Ok(())
}

async fn delete(git: &Git, name: &str) -> Result<(), DevError> {
    let details = || json!({ "branch": name });
    if let Some(worktree) = super::worktree_list::holder(git, name).await? {
        let path = git.work().shown(&worktree);
        let message = format!("branch {name} is checked out in {path}");
        let details = json!({ "branch": name, "path": path });
        return Err(DevError::detailed(BRANCH_IN_USE, message, details));
    }
    let said = git.run(&["branch", "--delete", name]).await?;
    if said.code == 0 {
        return Ok(());
    }
    // What git says differs between versions; what is so does not.
    let reference = format!("refs/heads/{name}");
    let merged = git
        .run(&["merge-base", "--is-ancestor", &reference, "HEAD"])
        .await?;
    if merged.code == 1 {
        let message = format!("branch {name} has commits that are merged nowhere");
        return Err(DevError::detailed(UNMERGED, message, details()));
    }
    Err(said.failure())
}

async fn merge_into(
    git: &Git,
    reference: &str,
    message: Option<&str>,
) -> Result<MergeOutput, DevError> {
    let mut arguments = vec!["merge", "--no-edit", "--quiet"];
    if let Some(message) = message {
        arguments.extend(["-m", message]);
    }
    arguments.push(reference);
    let said = git.run(&arguments).await?;
    if said.code == 0 {
        return Ok(MergeOutput {
            commit: Some(git.head().await?),
            conflicts: Vec::new(),
        });
    }
    let unmerged = [
        "diff",
        "--name-only",
        "--diff-filter=U",
        "-z",
        "--no-ext-diff",
    ];
    let conflicts: Vec<String> = nul_separated(&git.output(&unmerged).await?).collect();
    // A merge under way from before is refused with other words and has conflicts as well.
    if conflicts.is_empty() || said.code != 1 {
        return Err(said.failure());
    }
    Ok(MergeOutput {
        commit: None,
        conflicts,
    })
}

async fn push_branch(git: &Git, input: &PushInput) -> Result<PushOutput, DevError> {
    // A name only: an address could be a program to run.
    let remotes = git.text(&["remote"]).await?;
    let remote = input.remote.as_str();
    if remote.starts_with('-') || !remotes.lines().any(|known| known == remote) {
        let message = format!("the repository has no remote {remote:?}");
        return Err(DevError::other(UNKNOWN_REMOTE, message));
    }
    let branch = match &input.branch {
        Some(branch) => branch.clone(),
        None => git.branch().await?.ok_or_else(|| {
            let message = "no branch is checked out, so one must be named";
            DevError::invalid("/branch", "required", message)
        })?,
    };
    names::branch(git, &branch).await?;
    let what = format!("refs/heads/{branch}:refs/heads/{branch}");
    let mut arguments = vec!["push", "--porcelain", "--no-progress"];
    arguments.extend(input.set_upstream.then_some("--set-upstream"));
    arguments.extend([remote, &what]);
    let said = git.run(&arguments).await?;
    let answer = String::from_utf8_lossy(&said.stdout).into_owned();
    // FLAG TAB FROM:TO TAB SUMMARY
    let outcome = answer.lines().find(|line| line.contains(&what));
    if said.code != 0 {
        if let Some(reason) = outcome
            .filter(|line| line.starts_with('!'))
            .and_then(|line| line.rsplit('\t').next())
        {
            let message = format!("{remote} refused the branch: {reason}");
            let details = json!({ "reason": reason, "stderr": said.stderr });
            return Err(DevError::detailed(REJECTED, message, details));
        }
        return Err(said.failure());
    }
    Ok(PushOutput {
        pushed: outcome.is_none_or(|line| !line.starts_with('=')),
    })
}

fn line(said: &Said) -> String {
    String::from_utf8_lossy(&said.stdout).trim_end().to_owned()
}
