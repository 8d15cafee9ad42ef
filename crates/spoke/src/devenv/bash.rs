//! `bash.*`: shell commands.

mod exec;
mod stream;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Duration;

use alkhub_operations::{CallError, Operation};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;

use super::environment::Environment;
use super::errors::{
    COMMAND_FAILED, Declared, DevError, FILE_NOT_FOUND, NOT_A_DIRECTORY, PATH_OUTSIDE, PERMISSION,
    TOO_MANY_PROCESSES,
};
use super::exec::{CommandLine, Spawned, spawn};
use super::work::Work;

/// Longest a command may run.
pub(super) const MOST_TIME: Duration = Duration::from_hours(1);
/// What can go wrong before a command runs.
pub(super) const STARTING: &[Declared] = &[
    PATH_OUTSIDE,
    PERMISSION,
    FILE_NOT_FOUND,
    NOT_A_DIRECTORY,
    TOO_MANY_PROCESSES,
    COMMAND_FAILED,
];

pub(super) fn operations(environment: &Environment) -> Vec<Operation> {
    vec![exec::define(environment), stream::define(environment)]
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Input {
    /// What the shell runs.
    #[schemars(length(min = 1, max = 1_000_000))]
    command: String,
    /// Where it runs; the session's worktree without it.
    #[schemars(length(min = 1, max = 4096))]
    workdir: Option<String>,
    /// More variables for it. They may hold secrets, so records leave them out.
    #[serde(default)]
    #[schemars(extend("x-secret" = true))]
    env: BTreeMap<String, String>,
    /// How long it may run.
    #[serde(default = "default_timeout")]
    #[schemars(range(min = 1, max = 3_600_000))]
    timeout_ms: u64,
    /// What it can read; nothing without it.
    stdin: Option<String>,
    /// How much is kept of each of its two outputs; of a longer one begin and end.
    #[serde(default = "default_output")]
    #[schemars(range(min = 1, max = 4_194_304))]
    max_output_bytes: usize,
}

fn default_timeout() -> u64 {
    120_000
}

fn default_output() -> usize {
    1_048_576
}

impl Input {
    fn start(&self, work: &Work) -> Result<Spawned, CallError> {
        let shell = Shell {
            command: &self.command,
            workdir: self.workdir.as_deref(),
            env: &self.env,
            writable: self.stdin.is_some(),
        };
        shell.start(work)
    }

    fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}

/// A command for the shell, as several operations take it.
pub(super) struct Shell<'a> {
    pub(super) command: &'a str,
    pub(super) workdir: Option<&'a str>,
    pub(super) env: &'a BTreeMap<String, String>,
    pub(super) writable: bool,
}

impl Shell<'_> {
    /// Starts it, if there is room for one more.
    pub(super) fn start(&self, work: &Work) -> Result<Spawned, CallError> {
        if self.command.contains('\0') {
            let message = "a command holds no NUL";
            return Err(DevError::invalid("/command", "nul", message).into());
        }
        let mut variables = work.variables();
        variables.extend(checked(self.env)?);
        let environment = &work.environment;
        let line = CommandLine {
            program: environment.shell().into(),
            arguments: vec!["-c".into(), self.command.into()],
            directory: work.directory(self.workdir)?,
            variables,
            writable: self.writable,
        };
        let permit = permit(environment)?;
        spawn(&line, environment.runtime(), Some(permit)).map_err(|error| {
            let message = format!("the command could not be started: {error}");
            DevError::other(COMMAND_FAILED, message).into()
        })
    }
}

fn permit(environment: &Environment) -> Result<OwnedSemaphorePermit, DevError> {
    let permits = environment.permits();
    permits.clone().try_acquire_owned().map_err(|_none_left| {
        let limit = environment.most_processes();
        let message = format!("{limit} commands run already");
        DevError::detailed(TOO_MANY_PROCESSES, message, json!({ "limit": limit }))
    })
}

/// The caller's variables, each a name and a value that the system takes.
fn checked(env: &BTreeMap<String, String>) -> Result<Vec<(OsString, OsString)>, DevError> {
    env.iter()
        .map(|(name, value)| {
            let bad_name = name.is_empty() || name.contains(['=', '\0']);
            if bad_name || value.contains('\0') {
                let message = "a variable has a name without `=`, and no NUL";
                return Err(DevError::invalid("/env", "variable", message));
            }
            Ok((name.into(), value.into()))
        })
        .collect()
}
