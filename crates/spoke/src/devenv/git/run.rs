//! Running git with an environment of our own.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use alkhub_operations::{CallError, Context};
use serde_json::json;

use crate::devenv::environment::Environment;
use crate::devenv::errors::{DevError, GIT_FAILED};
use crate::devenv::exec::{Capture, CommandLine, Keep, exit_code, run_to_end, spawn};
use crate::devenv::work::Work;

/// Most output that is read to be understood, bytes.
const MOST_OUTPUT: usize = 16 * 1024 * 1024;
/// Most of git's own words in an error, bytes.
const MOST_STDERR: usize = 4 * 1024;

/// What a repository's or a user's settings may not change: the form of output, and programs that
/// would run at a mere look.
const SETTINGS: [&str; 7] = [
    "core.quotePath=false",
    "core.fsmonitor=false",
    "color.ui=false",
    "log.showSignature=false",
    "submodule.recurse=false",
    // A directory that looks like a bare repository is none unless somebody says so.
    "safe.bareRepository=explicit",
    "protocol.ext.allow=never",
];

/// git in one directory, on behalf of one call.
pub(super) struct Git {
    work: Work,
    directory: PathBuf,
}

/// What git said.
pub(super) struct Said {
    pub(super) code: i32,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: String,
    /// True when it said more than was kept.
    pub(super) truncated: bool,
}

impl Git {
    pub(super) fn new(
        environment: &Environment,
        ctx: &Context,
        workdir: Option<&str>,
    ) -> Result<Self, CallError> {
        let work = Work::new(environment, ctx)?;
        let directory = work.directory(workdir)?;
        Ok(Self { work, directory })
    }

    /// The same in another directory.
    pub(super) fn at(&self, directory: &Path) -> Self {
        Self {
            work: self.work.clone(),
            directory: directory.to_owned(),
        }
    }

    pub(super) fn work(&self) -> &Work {
        &self.work
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Runs git to its end, however it ends.
    pub(super) async fn run(&self, arguments: &[&str]) -> Result<Said, DevError> {
        self.run_with(arguments, None, MOST_OUTPUT).await
    }

    /// The same with something to read, and with another limit of the output.
    pub(super) async fn run_with(
        &self,
        arguments: &[&str],
        input: Option<Vec<u8>>,
        most: usize,
    ) -> Result<Said, DevError> {
        let mut all: Vec<OsString> = vec!["--no-pager".into()];
        for setting in SETTINGS {
            all.extend(["-c".into(), setting.into()]);
        }
        all.extend(arguments.iter().map(OsString::from));
        let line = CommandLine {
            program: "git".into(),
            arguments: all,
            directory: self.directory.clone(),
            variables: self.variables(),
            writable: input.is_some(),
        };
        let failed = |error| {
            let message = format!("git could not be run: {error}");
            DevError::other(GIT_FAILED, message)
        };
        let spawned = spawn(&line, self.work.environment.runtime(), None).map_err(failed)?;
        let captures = (
            Capture::new(most, Keep::Head),
            Capture::new(MOST_STDERR, Keep::Ends),
        );
        let finished = run_to_end(spawned, input, None, captures)
            .await
            .map_err(failed)?;
        Ok(Said {
            code: exit_code(finished.status),
            truncated: finished.stdout.truncated(),
            stdout: finished.stdout.into_bytes(),
            stderr: finished.stderr.text(),
        })
    }

    /// What git says when it succeeds.
    ///
    /// # Errors
    /// `GIT_FAILED` with its exit code and words.
    pub(super) async fn output(&self, arguments: &[&str]) -> Result<Vec<u8>, DevError> {
        let said = self.run(arguments).await?.require_success()?;
        if said.truncated {
            let message = format!("git {} said more than 16 MiB", arguments[0]);
            return Err(DevError::other(GIT_FAILED, message));
        }
        Ok(said.stdout)
    }

    /// The same as one text, without the line end.
    pub(super) async fn text(&self, arguments: &[&str]) -> Result<String, DevError> {
        let output = self.output(arguments).await?;
        Ok(String::from_utf8_lossy(&output).trim_end().to_owned())
    }

    /// The id of the object a revision names.
    ///
    /// # Errors
    /// `GIT_FAILED` when it names none of this kind.
    pub(super) async fn resolve(&self, revision: &str, kind: &str) -> Result<String, DevError> {
        let peeled = format!("{revision}^{{{kind}}}");
        self.text(&["rev-parse", "--verify", "--end-of-options", &peeled])
            .await
    }

    /// The id of the current commit.
    pub(super) async fn head(&self) -> Result<String, DevError> {
        self.resolve("HEAD", "commit").await
    }

    /// The current branch; `None` when a commit is checked out by itself.
    pub(super) async fn branch(&self) -> Result<Option<String>, DevError> {
        let said = self
            .run(&["symbolic-ref", "--quiet", "--short", "HEAD"])
            .await?;
        match said.code {
            0 => Ok(Some(
                String::from_utf8_lossy(&said.stdout).trim_end().to_owned(),
            )),
            1 => Ok(None),
            _ => Err(said.failure()),
        }
    }

    /// True when there is a branch of this name.
    pub(super) async fn has_branch(&self, name: &str) -> Result<bool, DevError> {
        let reference = format!("refs/heads/{name}");
        let said = self
            .run(&["show-ref", "--verify", "--quiet", &reference])
            .await?;
        match said.code {
            0 => Ok(true),
            1 => Ok(false),
            _ => Err(said.failure()),
        }
    }

    /// git's environment: what commands get, without what would turn git elsewhere, and without
    /// anybody who could be asked.
    fn variables(&self) -> Vec<(OsString, OsString)> {
        const IDENTITY: [&str; 4] = [
            "GIT_AUTHOR_NAME",
            "GIT_AUTHOR_EMAIL",
            "GIT_COMMITTER_NAME",
            "GIT_COMMITTER_EMAIL",
        ];
        let mut variables = self.work.variables();
        variables.retain(|(name, _)| {
            let name = name.to_string_lossy();
            !name.starts_with("GIT_") || IDENTITY.contains(&name.as_ref())
        });
        // The search for a repository ends at a root.
        let ceilings = self.work.environment.roots().filter_map(Path::parent);
        let ceilings = std::env::join_paths(ceilings).unwrap_or_default();
        let set = |name: &str, value: &str| (OsString::from(name), OsString::from(value));
        variables.extend([
            set("LC_ALL", "C.UTF-8"),
            set("GIT_TERMINAL_PROMPT", "0"),
            set("GIT_OPTIONAL_LOCKS", "0"),
            set("GIT_EDITOR", ":"),
            set("GIT_SEQUENCE_EDITOR", ":"),
            ("GIT_CEILING_DIRECTORIES".into(), ceilings),
        ]);
        variables
    }
}

impl Said {
    pub(super) fn require_success(self) -> Result<Self, DevError> {
        if self.code == 0 {
            Ok(self)
        } else {
            Err(self.failure())
        }
    }

    /// `GIT_FAILED` with what it said.
    pub(super) fn failure(&self) -> DevError {
        let words = if self.stderr.trim().is_empty() {
            let end = self.stdout.len().min(MOST_STDERR);
            String::from_utf8_lossy(&self.stdout[..end]).into_owned()
        } else {
            self.stderr.clone()
        };
        let line = words
            .lines()
            .find(|line| line.starts_with("fatal: ") || line.starts_with("error: "))
            .or_else(|| words.lines().next())
            .unwrap_or("it failed without a word");
        let message = format!("git: {line}");
        let details = json!({ "exitCode": self.code, "stderr": words });
        DevError::detailed(GIT_FAILED, message, details)
    }
}
