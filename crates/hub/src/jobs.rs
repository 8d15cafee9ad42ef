//! What the hub does on its own while it runs: a table of jobs, each with its time and its last result.
//!
//! A job runs in one process at a time: whoever has its lease. What it did is kept under `job:<name>`.

mod operations;
mod work;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use alkhub_storage::{StorageError, meta};
use futures::future::BoxFuture;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::state::State;

pub(crate) use operations::operations;
pub(crate) use work::touch_keys;

/// Longest time a job may take before another process takes it over.
const LEASE: Duration = Duration::from_secs(10 * 60);

/// One job.
pub(crate) struct Job {
    /// Dotted name.
    pub(crate) name: &'static str,
    /// How often it is due.
    pub(crate) each: Duration,
    /// What it does, for people.
    pub(crate) does: &'static str,
    /// Does it, and says how many rows it touched.
    run: for<'a> fn(&'a Arc<State>) -> BoxFuture<'a, Result<u64, StorageError>>,
}

/// All jobs, by name.
pub(crate) const JOBS: &[Job] = &[
    Job {
        name: "calls.prune",
        each: Duration::from_secs(3_600),
        does: "removes records of calls that the settings calls.maxAge, calls.failedMaxAge and calls.maxRows do not keep",
        run: |state| Box::pin(work::prune_calls(state)),
    },
    Job {
        name: "calls.reap",
        each: Duration::from_secs(30),
        does: "ends records that are open past their time and that no process works on",
        run: |state| Box::pin(work::reap_calls(state)),
    },
    Job {
        name: "keys.touch",
        each: Duration::from_secs(60),
        does: "writes when keys were last used",
        run: |state| Box::pin(work::touch_keys(state)),
    },
    Job {
        name: "registrations.prune",
        each: Duration::from_secs(3_600),
        does: "removes what spokes offered more than 30 days ago and offered again since",
        run: |state| Box::pin(work::prune_registrations(state)),
    },
    Job {
        name: "spokes.touch",
        each: Duration::from_secs(60),
        does: "writes when spokes last gave a sign of life",
        run: |state| Box::pin(work::touch_spokes(state)),
    },
];

/// The tasks, stopped when the handle is dropped.
pub(crate) struct Jobs(Vec<JoinHandle<()>>);

impl Drop for Jobs {
    fn drop(&mut self) {
        for job in &self.0 {
            job.abort();
        }
    }
}

/// The jobs that run in this process now.
#[derive(Default)]
pub(crate) struct RunningJobs(Mutex<HashSet<&'static str>>);

/// Why a job did not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotRun {
    /// It is running, here or in another process.
    #[error("the job is running already")]
    Running,
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Starts all jobs; each is due for the first time after its time.
pub(crate) fn start(state: &Arc<State>) -> Jobs {
    let weak = Arc::downgrade(state);
    let mut tasks: Vec<_> = JOBS
        .iter()
        .map(|job| tokio::spawn(again_and_again(weak.clone(), job)))
        .collect();
    tasks.push(tokio::spawn(work::check_sockets_forever(weak.clone())));
    tasks.push(tokio::spawn(work::checkpoint_forever(weak.clone())));
    tasks.push(tokio::spawn(work::give_up_recovery(weak)));
    Jobs(tasks)
}

async fn again_and_again(state: Weak<State>, job: &'static Job) {
    let mut tick = tokio::time::interval(job.each);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // Not at once: the start has better things to do.
    tick.tick().await;
    loop {
        tick.tick().await;
        let Some(state) = state.upgrade() else { return };
        match run(&state, job).await {
            Ok(_) | Err(NotRun::Running) => {}
            Err(NotRun::Storage(problem)) => {
                tracing::warn!(job = job.name, error = %problem, "a job failed");
            }
        }
    }
}

/// Runs a job now and keeps what it did.
///
/// # Errors
/// [`NotRun`]; a failure is kept as well, when it can be.
pub(crate) async fn run(state: &Arc<State>, job: &'static Job) -> Result<Value, NotRun> {
    let _here = Here::enter(&state.running_jobs, job.name).ok_or(NotRun::Running)?;
    let holder = format!("{}.{}", state.instance.id, state.instance.start);
    let transaction = state.database.begin().await?;
    let mine = meta::take_lease(&transaction, job.name, &holder, LEASE).await?;
    transaction.commit().await.map_err(StorageError::from)?;
    if !mine {
        return Err(NotRun::Running);
    }
    let (at, started) = (alkhub_storage::time::now(), Instant::now());
    let outcome = (job.run)(state).await;
    let result = match &outcome {
        Ok(rows) => json!({ "ok": true, "rows": rows }),
        Err(problem) => json!({ "ok": false, "error": problem.to_string() }),
    };
    let kept = json!({
        "holder": holder,
        // The lease is given back: it has run out.
        "until": alkhub_storage::time::format(at),
        "lastRun": alkhub_storage::time::format(at),
        "durationMs": u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        "result": result,
    });
    let transaction = state.database.begin().await?;
    meta::put(&transaction, &row_of(job), &kept).await?;
    transaction.commit().await.map_err(StorageError::from)?;
    outcome?;
    Ok(kept)
}

/// Where the last run of a job is kept.
pub(crate) fn row_of(job: &Job) -> String {
    format!("job:{}", job.name)
}

/// A job that runs here, until this is dropped.
struct Here<'a> {
    running: &'a RunningJobs,
    name: &'static str,
}

impl<'a> Here<'a> {
    fn enter(running: &'a RunningJobs, name: &'static str) -> Option<Self> {
        let mut names = running.0.lock().unwrap_or_else(PoisonError::into_inner);
        names.insert(name).then_some(Self { running, name })
    }
}

impl Drop for Here<'_> {
    fn drop(&mut self) {
        let mut names = self
            .running
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        names.remove(self.name);
    }
}
