//! `git.status`

use alkhub_operations::{CallError, Context, Operation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::query;
use super::run::Git;
use crate::devenv::environment::Environment;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Input {
    /// A directory of the repository; the session's worktree without it.
    #[schemars(length(min = 1, max = 4096))]
    workdir: Option<String>,
}

#[derive(Debug, Default, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Status {
    /// The current branch; null when a commit is checked out by itself.
    branch: Option<String>,
    /// The branch it follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) upstream: Option<String>,
    /// Commits that the followed branch does not have.
    pub(super) ahead: u64,
    /// Commits that only the followed branch has.
    pub(super) behind: u64,
    /// What differs from the current commit.
    pub(super) files: Vec<File>,
}

#[derive(Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct File {
    /// Its path from the top of the worktree; a directory of untracked files ends with `/`.
    pub(super) path: String,
    /// Where it was before it was renamed or copied.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    /// What is staged.
    index: Change,
    /// What is changed and not staged.
    worktree: Change,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Change {
    Unmodified,
    Modified,
    TypeChanged,
    Added,
    Deleted,
    Renamed,
    Copied,
    /// In conflict after a merge.
    Unmerged,
    Untracked,
}

pub(super) fn define(environment: &Environment) -> Operation {
    let environment = environment.clone();
    query::<Input, Status>("git.status")
        .title("Status of a repository")
        .description("Tells the branch, how it stands to the one it follows, and changed files.")
        .handler(move |ctx: Context, input| {
            let environment = environment.clone();
            async move {
                let git = Git::new(&environment, &ctx, input.workdir.as_deref())?;
                Ok::<_, CallError>(status(&git).await?)
            }
        })
}

/// The status of the worktree a directory lies in.
pub(super) async fn status(git: &Git) -> Result<Status, crate::devenv::errors::DevError> {
    let arguments = [
        "status",
        "--porcelain=v2",
        "--branch",
        "-z",
        "--untracked-files=normal",
    ];
    Ok(parse(&git.output(&arguments).await?))
}

fn parse(output: &[u8]) -> Status {
    let mut status = Status::default();
    let mut records = output
        .split(|byte| *byte == 0)
        .map(|record| String::from_utf8_lossy(record));
    while let Some(record) = records.next() {
        let (kind, rest) = record.split_once(' ').unwrap_or((&record, ""));
        match kind {
            "#" => header(&mut status, rest),
            // 1 XY sub mH mI mW hH hI path
            "1" => status.files.extend(file(rest, 7, None)),
            // 2 XY sub mH mI mW hH hI Xscore path NUL from
            "2" => {
                let from = records.next().map(|from| from.into_owned());
                status.files.extend(file(rest, 8, from));
            }
            // u XY sub m1 m2 m3 mW h1 h2 h3 path
            "u" => status
                .files
                .extend(rest.splitn(10, ' ').nth(9).map(|path| File {
                    path: path.to_owned(),
                    from: None,
                    index: Change::Unmerged,
                    worktree: Change::Unmerged,
                })),
            "?" => status.files.push(File {
                path: rest.to_owned(),
                from: None,
                index: Change::Untracked,
                worktree: Change::Untracked,
            }),
            _ => {}
        }
    }
    status
}

fn header(status: &mut Status, line: &str) {
    match line.split_once(' ') {
        Some(("branch.head", "(detached)")) => status.branch = None,
        Some(("branch.head", name)) => status.branch = Some(name.to_owned()),
        Some(("branch.upstream", name)) => status.upstream = Some(name.to_owned()),
        Some(("branch.ab", counts)) => {
            let mut counts = counts.split(' ').map(|count| {
                let digits = count.trim_start_matches(['+', '-']);
                digits.parse().unwrap_or(0)
            });
            status.ahead = counts.next().unwrap_or(0);
            status.behind = counts.next().unwrap_or(0);
        }
        _ => {}
    }
}

/// A changed file whose path stands behind this many fields.
fn file(rest: &str, fields: usize, from: Option<String>) -> Option<File> {
    let path = rest.splitn(fields + 1, ' ').nth(fields)?.to_owned();
    let mut states = rest.chars().map(change);
    Some(File {
        path,
        from,
        index: states.next()?,
        worktree: states.next()?,
    })
}

fn change(letter: char) -> Change {
    match letter {
        'M' => Change::Modified,
        'T' => Change::TypeChanged,
        'A' => Change::Added,
        'D' => Change::Deleted,
        'R' => Change::Renamed,
        'C' => Change::Copied,
        'U' => Change::Unmerged,
        _ => Change::Unmodified,
    }
}
