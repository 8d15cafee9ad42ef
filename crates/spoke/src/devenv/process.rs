//! `process.*`: commands that run on after the call that started them.

mod managed;
mod table;

pub(super) use table::Processes;

use std::collections::BTreeMap;
use std::time::Duration;

use alkhub_operations::{CallError, Operation, OperationType, operation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::managed::{Managed, TAIL};
use super::bash::{STARTING, Shell};
use super::environment::Environment;
use super::errors::{Declare, PROCESS_ENDED, PROCESS_NOT_FOUND};
use super::work::Work;

pub(super) fn operations(environment: &Environment) -> Vec<Operation> {
    vec![
        start(environment),
        list(environment),
        send(environment),
        stop(environment),
    ]
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StartInput {
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
    /// A name for people.
    #[schemars(length(min = 1, max = 200))]
    name: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct StartOutput {
    /// What the other operations call it.
    handle: String,
    /// Process id of its shell.
    pid: u32,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ListInput {
    /// How much of the end of each output to give too.
    #[serde(default)]
    #[schemars(range(max = 65_536))]
    tail_bytes: usize,
}

/// A process as it is listed.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Listed {
    /// What the other operations call it.
    handle: String,
    /// Its name for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// What the shell runs.
    command: String,
    /// Process id of its shell.
    pid: u32,
    /// Whether it runs.
    state: State,
    /// How it ended; 128 and the signal's number when a signal ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
    /// When it was started.
    started_at: String,
    /// The end of its output, both kinds as they came.
    #[serde(skip_serializing_if = "Option::is_none")]
    tail: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum State {
    /// It runs.
    Running,
    /// It has ended.
    Exited,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SendInput {
    /// The process.
    #[schemars(length(min = 1, max = 128))]
    handle: String,
    /// What it can read; a line ends with a line feed.
    data: String,
    /// End its input behind that.
    #[serde(default)]
    eof: bool,
}

#[derive(Serialize, JsonSchema)]
struct SendOutput {
    /// How much it was given.
    bytes: u64,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StopInput {
    /// The process.
    #[schemars(length(min = 1, max = 128))]
    handle: String,
    /// How long it has between TERM and KILL.
    #[serde(default = "default_grace")]
    #[schemars(range(max = 60_000))]
    grace_ms: u64,
}

fn default_grace() -> u64 {
    5_000
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct StopOutput {
    /// True: it has ended.
    ended: bool,
    /// How it ended; 128 and the signal's number when a signal ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
    /// The signal that ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    signal: Option<String>,
}

fn start(environment: &Environment) -> Operation {
    let environment = environment.clone();
    operation::<StartInput, StartOutput>("process.start", OperationType::Mutation)
        .title("Start a process")
        .description(
            "Starts a shell command that runs on: a server, a watcher. It ends by itself, by \
             process.stop, or with the spoke. process.list shows the end of its output.",
        )
        .tags(&["shell"])
        .fails_with(&[STARTING])
        .handler(move |ctx, input| {
            let environment = environment.clone();
            async move {
                let work = Work::new(&environment, &ctx)?;
                let shell = Shell {
                    command: &input.command,
                    workdir: input.workdir.as_deref(),
                    env: &input.env,
                    writable: true,
                };
                let spawned = shell.start(&work)?;
                let managed = Managed::new(spawned, input.command, input.name, &environment);
                let output = StartOutput {
                    handle: managed.handle().to_owned(),
                    pid: managed.pid(),
                };
                environment.processes().add(managed);
                Ok::<_, CallError>(output)
            }
        })
}

fn list(environment: &Environment) -> Operation {
    let environment = environment.clone();
    operation::<ListInput, Vec<Listed>>("process.list", OperationType::Query)
        .title("List processes")
        .description("Lists what process.start has started, the ended ones of late too.")
        .tags(&["shell"])
        .handler(move |_ctx, input| {
            let environment = environment.clone();
            async move {
                let tail = Some(input.tail_bytes.min(TAIL)).filter(|bytes| *bytes > 0);
                Ok::<_, CallError>(environment.processes().list(tail))
            }
        })
}

fn send(environment: &Environment) -> Operation {
    let environment = environment.clone();
    operation::<SendInput, SendOutput>("process.send", OperationType::Mutation)
        .title("Write to a process")
        .description("Writes to the input of a process; waits while the process does not read.")
        .tags(&["shell"])
        .fails_with(&[&[PROCESS_NOT_FOUND, PROCESS_ENDED]])
        .handler(move |_ctx, input| {
            let environment = environment.clone();
            async move {
                let managed = environment.processes().get(&input.handle)?;
                managed.send(input.data.as_bytes(), input.eof).await?;
                Ok::<_, CallError>(SendOutput {
                    bytes: input.data.len() as u64,
                })
            }
        })
}

fn stop(environment: &Environment) -> Operation {
    let environment = environment.clone();
    operation::<StopInput, StopOutput>("process.stop", OperationType::Mutation)
        .title("Stop a process")
        .description("Ends a process and all it started: TERM, and KILL when its time is up.")
        .tags(&["shell"])
        .idempotent(true)
        .timeout(Duration::from_secs(120))
        .fails_with(&[&[PROCESS_NOT_FOUND]])
        .handler(move |_ctx, input| {
            let environment = environment.clone();
            async move {
                let managed = environment.processes().get(&input.handle)?;
                let end = managed.stop(Duration::from_millis(input.grace_ms)).await;
                Ok::<_, CallError>(StopOutput {
                    ended: true,
                    exit_code: end.exit_code,
                    signal: end.signal,
                })
            }
        })
}
