//! `hub.jobs.list` and `hub.jobs.run`.

use std::sync::Arc;

use alkhub_operations::{CallError, Empty, Operation, OperationType, operation};
use alkhub_storage::meta;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{JOBS, Job, NotRun, row_of, run};
use crate::error::HubError;
use crate::rules;
use crate::state::{Call, handle};

pub(crate) fn operations() -> Vec<Operation> {
    vec![
        operation::<Empty, Vec<JobView>>("hub.jobs.list", OperationType::Query)
            .description("What the hub does on its own: last run, its result, next run.")
            .scopes(&["hub:admin"])
            .handler(handle(list)),
        operation::<JobsRun, JobView>("hub.jobs.run", OperationType::Mutation)
            .description("Runs a job now.")
            .scopes(&["hub:admin"])
            .handler(handle(run_now)),
    ]
}

/// A job.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct JobView {
    /// Its name.
    name: String,
    /// What it does.
    does: String,
    /// How often it is due, in seconds.
    each_seconds: u64,
    /// When it ran last.
    last_run: Option<String>,
    /// How long that took, in milliseconds.
    duration_ms: Option<u64>,
    /// What came of it: `{ok, rows}` or `{ok, error}`.
    result: Option<Value>,
    /// When it is due again, if it ran before.
    next_run: Option<String>,
}

impl JobView {
    fn of(job: &Job, kept: Option<&Value>) -> Self {
        let last_run = kept.and_then(|kept| kept["lastRun"].as_str());
        let next_run = last_run
            .and_then(|last| rules::time("", last).ok())
            .map(|last| alkhub_storage::time::format(last + job.each));
        Self {
            name: job.name.to_owned(),
            does: job.does.to_owned(),
            each_seconds: job.each.as_secs(),
            last_run: last_run.map(ToOwned::to_owned),
            duration_ms: kept.and_then(|kept| kept["durationMs"].as_u64()),
            result: kept
                .map(|kept| kept["result"].clone())
                .filter(|result| !result.is_null()),
            next_run,
        }
    }
}

async fn list(call: Call, _input: Arc<Empty>) -> Result<Vec<JobView>, HubError> {
    let mut views = Vec::new();
    for job in JOBS {
        let kept = meta::get(call.database().reader(), &row_of(job)).await?;
        views.push(JobView::of(job, kept.as_ref()));
    }
    Ok(views)
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct JobsRun {
    /// Name of the job.
    name: String,
}

async fn run_now(call: Call, input: Arc<JobsRun>) -> Result<JobView, HubError> {
    let job = JOBS
        .iter()
        .find(|job| job.name == input.name)
        .ok_or_else(|| {
            let names: Vec<&str> = JOBS.iter().map(|job| job.name).collect();
            CallError::not_found(format!(
                "there is no job {}; there are {}",
                input.name,
                names.join(", ")
            ))
        })?;
    match run(call.state(), job).await {
        Ok(kept) => Ok(JobView::of(job, Some(&kept))),
        Err(NotRun::Running) => {
            let message = format!("{} is running", job.name);
            Err(CallError::conflict("already_running", message).into())
        }
        Err(NotRun::Storage(problem)) => Err(problem.into()),
    }
}
