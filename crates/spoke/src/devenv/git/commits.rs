//! `git.log`, `git.add`, `git.commit`

use std::time::{Duration, SystemTime};

use alkhub_operations::{CallError, Context, Operation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::names::{borrowed, nul_separated, pathspecs, revision};
use super::run::Git;
use super::{mutation, query};
use crate::devenv::environment::Environment;
use crate::devenv::errors::{Declare, DevError, NOTHING_TO_COMMIT};
use crate::devenv::fs::time_text;

/// Id, parents, author, address, seconds, subject, body; the body last, as it may hold anything.
const FORMAT: &str = "--format=%H%x1f%P%x1f%an%x1f%ae%x1f%at%x1f%s%x1f%b";

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LogInput {
    /// A directory of the repository; the session's worktree without it.
    #[schemars(length(min = 1, max = 4096))]
    workdir: Option<String>,
    /// Revision or range to tell.
    #[serde(rename = "ref", default = "head")]
    reference: String,
    /// Only commits that changed these files or directories.
    #[serde(default)]
    #[schemars(length(max = 1000))]
    paths: Vec<String>,
    /// Most commits.
    #[serde(default = "default_limit")]
    #[schemars(range(min = 1, max = 500))]
    limit: u64,
}

fn head() -> String {
    "HEAD".to_owned()
}

fn default_limit() -> u64 {
    50
}

#[derive(Serialize, JsonSchema)]
struct LogOutput {
    /// The commits, the latest first.
    commits: Vec<Commit>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Commit {
    /// Its id.
    id: String,
    /// Ids of the commits before it.
    parents: Vec<String>,
    /// Name of its author.
    author: String,
    /// Address of its author.
    email: String,
    /// When it was written.
    at: String,
    /// First paragraph of its message.
    subject: String,
    /// The rest of its message.
    body: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AddInput {
    /// A directory of the repository; the session's worktree without it.
    #[schemars(length(min = 1, max = 4096))]
    workdir: Option<String>,
    /// Files and directories to stage, removed ones too.
    #[schemars(length(min = 1, max = 1000))]
    paths: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
struct AddOutput {
    /// What is staged now under these paths, from the top of the worktree.
    files: Vec<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CommitInput {
    /// A directory of the repository; the session's worktree without it.
    #[schemars(length(min = 1, max = 4096))]
    workdir: Option<String>,
    /// The message.
    #[schemars(length(min = 1, max = 100_000))]
    message: String,
    /// Stage changed and removed files first; new ones are not.
    #[serde(default)]
    all: bool,
}

#[derive(Serialize, JsonSchema)]
struct CommitOutput {
    /// Id of the new commit.
    commit: String,
}

pub(super) fn log(environment: &Environment) -> Operation {
    let environment = environment.clone();
    query::<LogInput, LogOutput>("git.log")
        .title("Commits")
        .description("Tells commits, the latest first. A repository without any has none.")
        .handler(move |ctx: Context, input| {
            let environment = environment.clone();
            async move {
                let git = Git::new(&environment, &ctx, input.workdir.as_deref())?;
                revision("/ref", &input.reference)?;
                if input.reference == "HEAD" && is_unborn(&git).await? {
                    return Ok::<_, CallError>(LogOutput {
                        commits: Vec::new(),
                    });
                }
                let most = format!("--max-count={}", input.limit);
                let mut arguments = vec!["log", "-z", FORMAT, &most, &input.reference];
                // Patterns that leave out would drop commits; a log shows no content.
                let specs = if input.paths.is_empty() {
                    vec!["--".to_owned()]
                } else {
                    pathspecs(&git, &input.paths)?
                };
                arguments.extend(borrowed(&specs));
                let output = git.output(&arguments).await?;
                Ok(LogOutput {
                    commits: parse(&output),
                })
            }
        })
}

pub(super) fn add(environment: &Environment) -> Operation {
    let environment = environment.clone();
    mutation::<AddInput, AddOutput>("git.add")
        .title("Stage files")
        .description("Stages files for the next commit, removals too.")
        .handler(move |ctx: Context, input| {
            let environment = environment.clone();
            async move {
                let git = Git::new(&environment, &ctx, input.workdir.as_deref())?;
                let specs = pathspecs(&git, &input.paths)?;
                let mut arguments = vec!["add"];
                arguments.extend(borrowed(&specs));
                git.output(&arguments).await?;
                let mut arguments = vec!["diff", "--cached", "--name-only", "--no-renames", "-z"];
                arguments.extend(borrowed(&specs));
                let staged = git.output(&arguments).await?;
                Ok::<_, CallError>(AddOutput {
                    files: nul_separated(&staged).collect(),
                })
            }
        })
}

pub(super) fn commit(environment: &Environment) -> Operation {
    let environment = environment.clone();
    mutation::<CommitInput, CommitOutput>("git.commit")
        .title("Commit")
        .description("Commits what is staged. The hooks of the repository run.")
        .fails_with(&[&[NOTHING_TO_COMMIT]])
        .handler(move |ctx: Context, input| {
            let environment = environment.clone();
            async move {
                let git = Git::new(&environment, &ctx, input.workdir.as_deref())?;
                if input.message.trim().is_empty() {
                    let message = "a message says something";
                    return Err(DevError::invalid("/message", "blank", message).into());
                }
                let mut arguments = vec!["commit", "--quiet", "--cleanup=whitespace", "--file=-"];
                arguments.extend(input.all.then_some("--all"));
                let message = input.message.into_bytes();
                let said = git.run_with(&arguments, Some(message), 64 * 1024).await?;
                if said.code != 0 {
                    return Err(why_not(&git, input.all, said.failure()).await?.into());
                }
                Ok::<_, CallError>(CommitOutput {
                    commit: git.head().await?,
                })
            }
        })
}

/// The commit of this id.
pub(super) async fn one(git: &Git, id: &str) -> Result<Commit, DevError> {
    let output = git
        .output(&["log", "-z", FORMAT, "--max-count=1", id, "--"])
        .await?;
    parse(&output)
        .into_iter()
        .next()
        .ok_or_else(|| DevError::other(super::GIT_FAILED, "git does not tell the commit"))
}

/// True when the current branch has no commit yet.
async fn is_unborn(git: &Git) -> Result<bool, DevError> {
    let verified = git
        .run(&["rev-parse", "--verify", "--quiet", "HEAD"])
        .await?;
    if verified.code == 0 {
        return Ok(false);
    }
    // Outside a repository this fails and says so.
    Ok(git.branch().await?.is_some())
}

/// A commit that was refused: there is nothing to commit, or what git says.
async fn why_not(git: &Git, all: bool, failure: DevError) -> Result<DevError, DevError> {
    // What would have been staged is not staged any more.
    let with = if all { "HEAD" } else { "--cached" };
    let changed = git
        .run(&["diff", "--quiet", "--no-ext-diff", with, "--"])
        .await?;
    if changed.code == 0 {
        return Ok(DevError::other(NOTHING_TO_COMMIT, "nothing is staged"));
    }
    Ok(failure)
}

fn parse(output: &[u8]) -> Vec<Commit> {
    nul_separated(output)
        .filter_map(|record| {
            let mut fields = record.splitn(7, '\u{1f}').map(str::to_owned);
            Some(Commit {
                id: fields.next()?,
                parents: fields
                    .next()?
                    .split_whitespace()
                    .map(str::to_owned)
                    .collect(),
                author: fields.next()?,
                email: fields.next()?,
                at: time_of(fields.next()?.parse().ok()?),
                subject: fields.next()?,
                body: fields.next()?.trim_end().to_owned(),
            })
        })
        .collect()
}

/// A number of seconds since 1970 as text. What lies before has no place in a commit.
fn time_of(seconds: u64) -> String {
    time_text(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}
