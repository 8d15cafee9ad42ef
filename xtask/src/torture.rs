//! `cargo xtask torture`: the hub is killed again and again, and what it answered must be there.
//!
//! A round: start the hub on the data of the rounds before, check what the former kill left, load it
//! with clients over HTTP and a spoke, `kill -9` at a random moment. The ordinary tests kill an import
//! a few times (`crates/cli/tests/it/kill.rs`); this is the larger loop, over recorded calls of every
//! kind, those that run on a spoke included.

mod hub;
mod load;
mod store;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{fs, io};

use alkhub_spoke::{Spoke, SpokeError};
use clap::{Args, ValueEnum};
use fastrand::Rng;
use sea_orm::DbErr;
use serde_json::json;
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::postgres::{PostgresError, PrivatePostgres};
use crate::process::{self, ProcessError};
use crate::workspace::Workspace;
use hub::{Hub, Place};
use load::{Answered, Client, Ledger};
use store::Store;

/// Callers at once.
const CLIENTS: usize = 12;

/// What `calls.recoveryGrace` is set to.
const GRACE: Duration = Duration::from_millis(500);

/// How much later than the grace a call on a spoke may be closed: the hub has to notice and to write.
const GRACE_DELAY: Duration = Duration::from_secs(5);

/// Longest time from the first call of a round to the kill, in milliseconds.
const LONGEST: u64 = 500;

/// Kills the hub under load, again and again, and checks that nothing it answered is lost.
///
/// After each restart on the same data: every answered call has a record in the state that was
/// answered, what every answered mutation made is there, no call that ran in the hub is open, and after
/// `calls.recoveryGrace` none that ran on a spoke. Prints the ids of what is lost and keeps the data.
#[derive(Debug, Args)]
pub(crate) struct TortureArguments {
    /// How often to kill
    #[arg(long, default_value_t = 1_000)]
    rounds: u32,
    /// Which database
    #[arg(long, value_enum, default_value_t = EngineName::Sqlite)]
    engine: EngineName,
    /// The number that the moments and the calls come from; a random one unless given
    #[arg(long)]
    seed: Option<u64>,
    /// Torture this hub binary; else the release build, or the debug build where there is none
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum EngineName {
    Sqlite,
    Postgres,
}

/// Why a run could not go on; a lost call is no error but an exit code.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TortureError {
    /// A program could not be run.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// No PostgreSQL.
    #[error("cannot start a PostgreSQL")]
    Postgres(#[from] PostgresError),
    /// A file could not be read or written.
    #[error("cannot read or write {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system answered.
        #[source]
        source: io::Error,
    },
    /// The database could not be read.
    #[error("cannot read the hub's database")]
    Database(#[from] DbErr),
    /// The hub cannot be asked.
    #[error("the hub does not answer")]
    Request(#[from] reqwest::Error),
    /// The hub does not do its work.
    #[error("the hub {0}")]
    Hub(String),
    /// The spoke could not connect.
    #[error("the spoke cannot connect")]
    Spoke(#[from] SpokeError),
}

/// Something that must not be, in words and with its id.
type Loss = String;

/// Runs the rounds. The exit code is a failure when anything was lost.
pub(crate) async fn run(
    workspace: &Workspace,
    arguments: &TortureArguments,
) -> Result<ExitCode, TortureError> {
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..));
    let binary = binary(workspace, arguments).await?;
    println!(
        "torture: {} rounds on {:?}, seed {seed}, {}",
        arguments.rounds,
        arguments.engine,
        binary.display()
    );
    let directory = tempfile::Builder::new()
        .prefix("alkhub-torture-")
        .tempdir()
        .map_err(|source| TortureError::File {
            path: std::env::temp_dir(),
            source,
        })?;
    // Kept until the end: it stops the server when it is dropped.
    let postgres = match arguments.engine {
        EngineName::Sqlite => None,
        EngineName::Postgres => Some(PrivatePostgres::start(&workspace.output()).await?),
    };
    let mut database = None;
    if let Some(postgres) = &postgres {
        Store::open(&postgres.url("postgres"))
            .await?
            .create("torture")
            .await?;
        database = Some(postgres.url("torture"));
    }
    let place = Place::prepare(binary, directory.path(), database, GRACE)?;
    let mut torture = Torture::new(place, seed);
    let losses = torture.all_rounds(arguments.rounds).await?;
    torture.sum_up().await?;
    if losses.is_empty() {
        println!("torture: nothing that was answered is lost; seed {seed}");
        return Ok(ExitCode::SUCCESS);
    }
    println!("torture: {} losses, seed {seed}:", losses.len());
    for loss in &losses {
        println!("    {loss}");
    }
    println!("torture: the data is kept in {}", keep(directory).display());
    Ok(ExitCode::FAILURE)
}

fn keep(directory: TempDir) -> PathBuf {
    directory.keep()
}

/// The hub to torture; a debug build is made when there is none at all.
async fn binary(
    workspace: &Workspace,
    arguments: &TortureArguments,
) -> Result<PathBuf, TortureError> {
    let built = [workspace.binary("release"), workspace.binary("debug")];
    if let Some(binary) = arguments
        .binary
        .iter()
        .chain(&built)
        .find(|file| file.is_file())
    {
        return fs::canonicalize(binary).map_err(|source| TortureError::File {
            path: binary.clone(),
            source,
        });
    }
    let arguments = ["build", "--package", "alkhub", "--bin", "alkhub"];
    process::run(workspace.cargo().args(arguments)).await?;
    Ok(workspace.binary("debug"))
}

/// The run as a whole.
struct Torture {
    place: Place,
    random: Rng,
    ledger: Arc<Mutex<Ledger>>,
    spoke: Option<Spoke>,
    /// What was answered in all rounds.
    answered: Vec<Answered>,
    /// Answers without a promise, by operation and code.
    others: BTreeMap<String, u64>,
    calls_on_spoke: u64,
}

impl Torture {
    fn new(place: Place, seed: u64) -> Self {
        Self {
            place,
            random: Rng::with_seed(seed),
            ledger: Arc::default(),
            spoke: None,
            answered: Vec::new(),
            others: BTreeMap::new(),
            calls_on_spoke: 0,
        }
    }

    async fn all_rounds(&mut self, rounds: u32) -> Result<Vec<Loss>, TortureError> {
        let started = Instant::now();
        let mut losses = Vec::new();
        let mut hub = self.place.start().await?;
        for round in 1..=rounds {
            let (answered, killed) = self.load(hub, round).await?;
            hub = self.place.start().await?;
            let found = self.check(&answered, &killed).await?;
            losses.extend(
                found
                    .into_iter()
                    .map(|loss| format!("round {round}: {loss}")),
            );
            let rate = started.elapsed().as_secs_f64() / f64::from(round);
            println!(
                "    round {round}/{rounds}: {} answered, {} in all, {} lost, {rate:.1} s a round",
                answered.len(),
                self.answered.len() + answered.len(),
                losses.len(),
            );
            self.answered.extend(answered);
        }
        // A later kill must not have undone an earlier round either.
        let all = std::mem::take(&mut self.answered);
        let store = Store::open(&self.place.database()).await?;
        let found = missing(&store, &all).await?;
        losses.extend(found.into_iter().map(|loss| format!("at the end: {loss}")));
        self.answered = all;
        drop(hub);
        Ok(losses)
    }

    /// Loads the hub and kills it. Gives what was answered, and the moment of the kill.
    async fn load(
        &mut self,
        hub: Hub,
        round: u32,
    ) -> Result<(Vec<Answered>, String), TortureError> {
        // Now and then the spoke lives on and comes back by itself; its calls may then end well.
        if self.spoke.is_none() || self.random.u32(0..3) > 0 {
            self.spoke = None;
            self.spoke = Some(load::spoke(&self.place.address, &hub.key).await?);
        }
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(30))
            .build()?;
        let project = self.project(&http, &hub, round).await?;
        let mut clients = JoinSet::new();
        for number in 0..CLIENTS {
            let client = Client {
                http: http.clone(),
                address: self.place.address.clone(),
                key: hub.key.clone(),
                project: project.clone(),
                name: format!("r{round}-c{number}"),
                random: self.random.fork(),
                ledger: Arc::clone(&self.ledger),
            };
            clients.spawn(client.run());
        }
        tokio::time::sleep(Duration::from_millis(self.random.u64(5..LONGEST))).await;
        hub.kill().await?;
        let killed = chrono::Utc::now()
            .format("%Y-%m-%dT%H:%M:%S%.3f+00:00")
            .to_string();
        while let Some(ended) = clients.join_next().await {
            ended.map_err(|error| TortureError::Hub(format!("broke a client: {error}")))?;
        }
        let (answered, others) = Ledger::take(&self.ledger);
        for other in others {
            *self.others.entry(other).or_default() += 1;
        }
        self.calls_on_spoke += answered
            .iter()
            .filter(|answered| answered.operation == load::WORK)
            .count() as u64;
        Ok((answered, killed))
    }

    async fn project(
        &self,
        http: &reqwest::Client,
        hub: &Hub,
        round: u32,
    ) -> Result<String, TortureError> {
        let answer: serde_json::Value = http
            .post(format!(
                "http://{}/v1/call/project.create",
                self.place.address
            ))
            .bearer_auth(&hub.key)
            .json(&json!({ "name": format!("round-{round}") }))
            .send()
            .await?
            .json()
            .await?;
        answer["data"]["id"]
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| TortureError::Hub(format!("made no project: {answer}")))
    }

    /// What is not as it was answered, right after the restart and when the grace is over.
    async fn check(&self, answered: &[Answered], killed: &str) -> Result<Vec<Loss>, TortureError> {
        let started = Instant::now();
        let store = Store::open(&self.place.database()).await?;
        let mut losses: Vec<Loss> = store
            .open_calls(killed, false)
            .await?
            .into_iter()
            .map(|id| format!("call {id} of the killed hub is still open"))
            .collect();
        losses.extend(missing(&store, answered).await?);
        loop {
            let open = store.open_calls(killed, true).await?;
            if open.is_empty() {
                return Ok(losses);
            }
            if started.elapsed() > GRACE + GRACE_DELAY {
                let late = |id| format!("call {id} on a spoke is open after calls.recoveryGrace");
                losses.extend(open.into_iter().map(late));
                return Ok(losses);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn sum_up(&self) -> Result<(), TortureError> {
        let made = self
            .answered
            .iter()
            .filter(|answered| answered.effect.is_some())
            .count();
        println!(
            "torture: {} answered calls, {made} of them made something, {} ran on the spoke",
            self.answered.len(),
            self.calls_on_spoke
        );
        for (other, count) in &self.others {
            println!("    answered without a promise: {other}, {count} times");
        }
        let totals = Store::open(&self.place.database()).await?.totals().await?;
        println!("    records by state: {totals:?}");
        Ok(())
    }
}

/// Answered calls whose record or effect is not there.
async fn missing(store: &Store, answered: &[Answered]) -> Result<Vec<Loss>, DbErr> {
    let mut losses = Vec::new();
    let ids: Vec<&str> = answered
        .iter()
        .map(|call| call.request_id.as_str())
        .collect();
    let states = store.states(&ids).await?;
    for call in answered {
        let state = states.get(&call.request_id).map(String::as_str);
        if state != Some(call.state) {
            losses.push(format!(
                "call {} of {} was answered as {}, its record is {}",
                call.request_id,
                call.operation,
                call.state,
                state.unwrap_or("gone")
            ));
        }
    }
    for table in ["projects", "tasks"] {
        let made: Vec<&str> = answered
            .iter()
            .filter_map(|call| call.effect.as_ref())
            .filter(|(made_in, _)| *made_in == table)
            .map(|(_, id)| id.as_str())
            .collect();
        let present = store.present(table, &made).await?;
        losses.extend(
            made.iter()
                .filter(|id| !present.contains(**id))
                .map(|id| format!("{id} was answered as made in {table} and is gone")),
        );
    }
    Ok(losses)
}
