//! `bash.exec`

use alkhub_operations::{CallError, Context, Operation, OperationType, operation};
use schemars::JsonSchema;
use serde::Serialize;

use super::{Input, MOST_TIME, STARTING};
use crate::devenv::environment::Environment;
use crate::devenv::errors::{Declare, DevError};
use crate::devenv::exec::{Capture, Keep, exit_code, run_to_end, signal_name};
use crate::devenv::work::Work;

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Output {
    /// 0 is success; 128 and the signal's number when a signal ended it.
    exit_code: i32,
    /// The signal that ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    signal: Option<String>,
    /// What it wrote; bytes that are no UTF-8 are replaced.
    stdout: String,
    /// What it wrote as errors; bytes that are no UTF-8 are replaced.
    stderr: String,
    /// How long it ran.
    duration_ms: u64,
    /// True when an output was longer than what is kept.
    truncated: bool,
    /// True when it was ended because its time was up.
    timed_out: bool,
}

pub(super) fn define(environment: &Environment) -> Operation {
    let environment = environment.clone();
    operation::<Input, Output>("bash.exec", OperationType::Mutation)
        .title("Run a command")
        .description(
            "Runs a shell command to its end. An exit code other than 0 is a result, not an error. \
             What the command leaves running in the background is ended with it; process.start is \
             for that.",
        )
        .tags(&["shell"])
        .timeout(MOST_TIME)
        .fails_with(&[STARTING])
        .handler(move |ctx, input| run(environment.clone(), ctx, input))
}

async fn run(environment: Environment, ctx: Context, input: Input) -> Result<Output, CallError> {
    let work = Work::new(&environment, &ctx)?;
    let spawned = input.start(&work)?;
    let keep = || Capture::new(input.max_output_bytes, Keep::Ends);
    let captures = (keep(), keep());
    let timeout = Some(input.timeout());
    // When the call is aborted this future is dropped, and the command ends with it.
    let finished = run_to_end(
        spawned,
        input.stdin.map(String::into_bytes),
        timeout,
        captures,
    )
    .await
    .map_err(|error| DevError::of_io("the command", error))?;
    Ok(Output {
        exit_code: exit_code(finished.status),
        signal: signal_name(finished.status),
        stdout: finished.stdout.text(),
        stderr: finished.stderr.text(),
        duration_ms: u64::try_from(finished.duration.as_millis()).unwrap_or(u64::MAX),
        truncated: finished.stdout.truncated() || finished.stderr.truncated(),
        timed_out: finished.timed_out,
    })
}
