//! `git.diff`, `git.show`

use alkhub_operations::{CallError, Context, Operation};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::names::{borrowed, nul_separated, pathspecs, revision};
use super::run::Git;
use super::{commits, query};
use crate::devenv::environment::Environment;
use crate::devenv::errors::{Declare, DevError, FILE_TOO_LARGE, NOT_A_FILE};
use crate::devenv::fs::Encoding;

/// Longest diff in an answer, bytes.
const MOST_DIFF: usize = 1024 * 1024;
/// Largest file of a commit in an answer, bytes.
const MOST_CONTENT: usize = 8 * 1024 * 1024;
/// The form of a diff, whatever the settings; no programs of the settings run.
const FORM: [&str; 5] = [
    "--no-ext-diff",
    "--no-textconv",
    "--no-color",
    "--src-prefix=a/",
    "--dst-prefix=b/",
];

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DiffInput {
    /// A directory of the repository; the session's worktree without it.
    #[schemars(length(min = 1, max = 4096))]
    workdir: Option<String>,
    /// Revision to begin from; without it the index, or with `staged` the current commit.
    from: Option<String>,
    /// Revision to end at; without it the files as they are, or with `staged` the index.
    to: Option<String>,
    /// Only these files and directories.
    #[serde(default)]
    #[schemars(length(max = 1000))]
    paths: Vec<String>,
    /// What is staged.
    #[serde(default)]
    staged: bool,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct DiffOutput {
    /// Unified diff.
    diff: String,
    /// The files in it.
    files: Vec<Counted>,
    /// True when the diff is cut; `files` is whole.
    truncated: bool,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Counted {
    /// Its path from the top of the worktree; the new one when it was renamed.
    path: String,
    /// Lines added; null for a binary file.
    additions: Option<u64>,
    /// Lines removed; null for a binary file.
    deletions: Option<u64>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ShowInput {
    /// A directory of the repository; the session's worktree without it.
    #[schemars(length(min = 1, max = 4096))]
    workdir: Option<String>,
    /// The commit.
    #[serde(rename = "ref")]
    reference: String,
    /// A file as it is in that commit; without it, the commit and what it changed.
    #[schemars(length(min = 1, max = 4096))]
    path: Option<String>,
}

/// A commit with its changes, or one of its files.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
enum ShowOutput {
    Commit(Box<Shown>),
    Content(Content),
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Shown {
    /// The commit.
    commit: commits::Commit,
    /// What it changed, as a unified diff; of a merge what it changed against both sides.
    diff: String,
    /// True when the diff is cut.
    truncated: bool,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Content {
    /// The content of the file.
    content: String,
    /// How it is written: base64 when it is no UTF-8 text.
    encoding: Encoding,
}

pub(super) fn diff(environment: &Environment) -> Operation {
    let environment = environment.clone();
    query::<DiffInput, DiffOutput>("git.diff")
        .title("Differences")
        .description("Compares files, index and commits.")
        .handler(move |ctx: Context, input| {
            let environment = environment.clone();
            async move {
                let git = Git::new(&environment, &ctx, input.workdir.as_deref())?;
                Ok::<_, CallError>(compare(&git, &input).await?)
            }
        })
}

pub(super) fn show(environment: &Environment) -> Operation {
    let environment = environment.clone();
    query::<ShowInput, ShowOutput>("git.show")
        .title("Show a commit or a file of it")
        .description("Shows a commit with what it changed, or a file as it is in a commit.")
        .fails_with(&[&[NOT_A_FILE, FILE_TOO_LARGE]])
        .handler(move |ctx: Context, input| {
            let environment = environment.clone();
            async move {
                let git = Git::new(&environment, &ctx, input.workdir.as_deref())?;
                revision("/ref", &input.reference)?;
                let commit = git.resolve(&input.reference, "commit").await?;
                let output = match input.path {
                    Some(path) => ShowOutput::Content(content(&git, &commit, &path).await?),
                    None => ShowOutput::Commit(Box::new(changes(&git, &commit).await?)),
                };
                Ok::<_, CallError>(output)
            }
        })
}

async fn compare(git: &Git, input: &DiffInput) -> Result<DiffOutput, DevError> {
    if input.to.is_some() && (input.from.is_none() || input.staged) {
        let message = "`to` goes with `from` and without `staged`";
        return Err(DevError::invalid("/to", "combination", message));
    }
    // A name such as `HEAD:file` would show a file past the check of its path.
    let mut trees = Vec::new();
    for (field, text) in [("/from", &input.from), ("/to", &input.to)] {
        if let Some(text) = text {
            revision(field, text)?;
            trees.push(git.resolve(text, "tree").await?);
        }
    }
    let specs = pathspecs(git, &input.paths)?;
    let arguments = |first: &[&'static str]| {
        let mut arguments: Vec<String> = first.iter().map(|text| (*text).to_owned()).collect();
        arguments.extend(input.staged.then(|| "--cached".to_owned()));
        arguments.extend(trees.iter().chain(&specs).cloned());
        arguments
    };
    let counting = arguments(&["diff", "--no-ext-diff", "--no-textconv", "--numstat", "-z"]);
    let files = counted(&git.output(&borrowed(&counting)).await?);
    let comparing = arguments(&[&["diff"], FORM.as_slice()].concat());
    let said = git
        .run_with(&borrowed(&comparing), None, MOST_DIFF)
        .await?
        .require_success()?;
    Ok(DiffOutput {
        diff: whole_lines(said.stdout, said.truncated),
        files,
        truncated: said.truncated,
    })
}

async fn changes(git: &Git, commit: &str) -> Result<Shown, DevError> {
    let specs = pathspecs(git, &[])?;
    let mut arguments = vec!["show", "--format="];
    arguments.extend(FORM);
    arguments.push(commit);
    arguments.extend(borrowed(&specs));
    let said = git
        .run_with(&arguments, None, MOST_DIFF)
        .await?
        .require_success()?;
    Ok(Shown {
        commit: commits::one(git, commit).await?,
        diff: whole_lines(said.stdout, said.truncated),
        truncated: said.truncated,
    })
}

async fn content(git: &Git, commit: &str, path: &str) -> Result<Content, DevError> {
    let located = git
        .work()
        .environment
        .bounds()
        .locate_entry(git.directory(), path)?;
    let top = git.text(&["rev-parse", "--show-toplevel"]).await?;
    let absolute = located.absolute();
    let below = absolute
        .strip_prefix(&top)
        .map_err(|_outside| DevError::PathOutside {
            path: path.to_owned(),
        })?;
    let object = format!("{commit}:{}", below.display());
    let found = git
        .run(&[
            "rev-parse",
            "--verify",
            "--quiet",
            "--end-of-options",
            &object,
        ])
        .await?;
    let path = || path.to_owned();
    if found.code != 0 {
        return Err(DevError::FileNotFound { path: path() });
    }
    let id = String::from_utf8_lossy(&found.stdout).trim_end().to_owned();
    if git.text(&["cat-file", "-t", &id]).await? != "blob" {
        return Err(DevError::NotAFile { path: path() });
    }
    let said = git
        .run_with(&["cat-file", "blob", &id], None, MOST_CONTENT)
        .await?
        .require_success()?;
    if said.truncated {
        return Err(DevError::TooLarge {
            path: path(),
            limit: MOST_CONTENT as u64,
        });
    }
    Ok(match String::from_utf8(said.stdout) {
        Ok(content) => Content {
            content,
            encoding: Encoding::Utf8,
        },
        Err(error) => Content {
            content: STANDARD.encode(error.into_bytes()),
            encoding: Encoding::Base64,
        },
    })
}

/// `ADDED TAB REMOVED TAB PATH NUL`, or for a rename an empty path and then both.
fn counted(output: &[u8]) -> Vec<Counted> {
    let mut files = Vec::new();
    let mut records = nul_separated(output);
    while let Some(record) = records.next() {
        let mut fields = record.splitn(3, '\t');
        let (Some(added), Some(removed)) = (fields.next(), fields.next()) else {
            continue;
        };
        let path = match fields.next() {
            Some(path) if !path.is_empty() => path.to_owned(),
            _ => {
                records.next();
                records.next().unwrap_or_default()
            }
        };
        files.push(Counted {
            path,
            additions: added.parse().ok(),
            deletions: removed.parse().ok(),
        });
    }
    files
}

/// Text up to the last whole line when it was cut.
fn whole_lines(mut output: Vec<u8>, truncated: bool) -> String {
    if truncated && let Some(end) = output.iter().rposition(|byte| *byte == b'\n') {
        output.truncate(end + 1);
    }
    String::from_utf8_lossy(&output).into_owned()
}
