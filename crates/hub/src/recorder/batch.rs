//! The writing task: takes a batch, writes it, settles it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use alkhub_storage::calls::{self, CallEnd, Inserted, NewCall};
use alkhub_storage::{Database, StorageError};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::{Map, Value};
use tracing::{error, warn};

use super::{Begun, RecordError, Shared, State, Written, passing};

/// First and longest pause between two attempts while the database is away.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// What is to be written of one call.
#[derive(Clone)]
struct Item {
    request_id: String,
    change: Change,
}

#[derive(Clone)]
enum Change {
    /// A new row: running, or already in its final state when it ended before it was written.
    Insert { call: NewCall, ended: bool },
    /// The end of a row that was written as running.
    Finish(CallEnd),
}

/// What became of one item.
enum Outcome {
    Written,
    Existing,
    Refused(String),
}

/// Writes until the recorder is closed and nothing is left.
pub(super) async fn run(shared: Arc<Shared>, database: Database) {
    loop {
        let items = take(&mut shared.lock(), shared.limits.max_batch);
        if items.is_empty() {
            if shared.closing.load(Ordering::Acquire) && shared.lock().live.is_empty() {
                shared.drained.notify_waiters();
                return;
            }
            shared.wake.notified().await;
            continue;
        }
        let outcomes = write_until_settled(&shared, &database, &items).await;
        let mut state = shared.lock();
        for (item, outcome) in items.into_iter().zip(outcomes) {
            settle(&mut state, item, outcome);
        }
    }
}

/// The next items, ends first: a finished call never waits behind new ones.
fn take(state: &mut State, most: usize) -> Vec<Item> {
    let mut items = Vec::new();
    while items.len() < most {
        let Some(request_id) = state.change.pop_front().or_else(|| state.begin.pop_front()) else {
            break;
        };
        let Some(live) = state.live.get_mut(&request_id) else {
            continue;
        };
        live.queued = false;
        let change = match (live.written, live.end.clone()) {
            (Written::Nothing, end) => {
                let ended = end.is_some();
                let mut call = live.call.clone();
                if let Some(end) = end {
                    call.finish(end);
                }
                Change::Insert { call, ended }
            }
            (Written::Beginning, Some(end)) => Change::Finish(end),
            (Written::Beginning, None) => continue,
        };
        items.push(Item { request_id, change });
    }
    // One order for all writers, so that two of them cannot wait for each other.
    items.sort_by(|a, b| a.request_id.cmp(&b.request_id));
    items
}

/// Writes the batch, however long the database stays away; nothing is dropped.
async fn write_until_settled(shared: &Shared, database: &Database, items: &[Item]) -> Vec<Outcome> {
    let mut pause = PAUSES.0;
    loop {
        match write_halving(database, items).await {
            Ok(outcomes) => {
                shared.set_stalled(None);
                return outcomes;
            }
            Err(problem) => {
                shared.set_stalled(Some(&problem));
                warn!(error = %problem, waiting = items.len(), "call records wait for the database");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSES.1);
            }
        }
    }
}

/// Writes the items as one transaction; when a row is refused, halves until it stands alone, so that
/// one bad row fails alone.
///
/// # Errors
/// Only what may pass by itself (see [`passing`]).
fn write_halving<'a>(
    database: &'a Database,
    items: &'a [Item],
) -> BoxFuture<'a, Result<Vec<Outcome>, StorageError>> {
    async move {
        match write(database, items).await {
            Ok(outcomes) => Ok(outcomes),
            Err(problem) if passing(&problem) => Err(problem),
            Err(problem) => match items {
                [] => Ok(Vec::new()),
                [single] => write_bare(database, single, &problem)
                    .await
                    .map(|outcome| vec![outcome]),
                _ => {
                    let (left, right) = items.split_at(items.len() / 2);
                    let mut outcomes = write_halving(database, left).await?;
                    outcomes.extend(write_halving(database, right).await?);
                    Ok(outcomes)
                }
            },
        }
    }
    .boxed()
}

/// Writes a refused row once more without its input, output and error details.
async fn write_bare(
    database: &Database,
    item: &Item,
    problem: &StorageError,
) -> Result<Outcome, StorageError> {
    error!(request_id = %item.request_id, error = %problem, "the database refused a call record");
    let mut bare = item.clone();
    let note = Map::from_iter([("unrecordable".to_owned(), Value::from(problem.to_string()))]);
    match &mut bare.change {
        Change::Insert { call, .. } => call.strip(note),
        Change::Finish(end) => end.strip(note),
    }
    match write(database, std::slice::from_ref(&bare)).await {
        Ok(mut outcomes) => Ok(outcomes.pop().unwrap_or(Outcome::Written)),
        Err(again) if passing(&again) => Err(again),
        Err(again) => Ok(Outcome::Refused(again.to_string())),
    }
}

async fn write(database: &Database, items: &[Item]) -> Result<Vec<Outcome>, StorageError> {
    let mut inserts = Vec::new();
    let mut ends = Vec::new();
    for item in items {
        match &item.change {
            Change::Insert { call, .. } => inserts.push(call.clone()),
            Change::Finish(end) => ends.push(end.clone()),
        }
    }
    let transaction = database.begin().await?;
    let inserted = calls::insert_calls(&transaction, &inserts).await?;
    calls::finish_calls(&transaction, &ends).await?;
    transaction.commit().await?;
    let mut inserted = inserted.into_iter();
    Ok(items
        .iter()
        .map(|item| match item.change {
            Change::Insert { .. } => match inserted.next() {
                Some(Inserted::Existing) => Outcome::Existing,
                Some(Inserted::New) | None => Outcome::Written,
            },
            Change::Finish(_) => Outcome::Written,
        })
        .collect())
}

fn settle(state: &mut State, item: Item, outcome: Outcome) {
    let Some(live) = state.live.get_mut(&item.request_id) else {
        return;
    };
    live.room = None;
    let over = match outcome {
        Outcome::Written => {
            let ended = match item.change {
                Change::Insert { ended, .. } => ended,
                Change::Finish(_) => true,
            };
            live.written = Written::Beginning;
            tell(live.begun.take(), Ok(Begun::Recorded));
            if ended {
                tell(live.ended.take(), Ok(()));
            }
            ended
        }
        Outcome::Existing => {
            tell(live.begun.take(), Ok(Begun::Existing));
            let message = "another call has this request id".to_owned();
            tell(live.ended.take(), Err(RecordError::Refused(message)));
            true
        }
        Outcome::Refused(message) => {
            tell(
                live.begun.take(),
                Err(RecordError::Refused(message.clone())),
            );
            tell(live.ended.take(), Err(RecordError::Refused(message)));
            true
        }
    };
    if over {
        state.live.remove(&item.request_id);
    } else if live.end.is_some() && !live.queued {
        live.queued = true;
        state.change.push_back(item.request_id);
    }
}

fn tell<T>(waiter: Option<tokio::sync::oneshot::Sender<T>>, outcome: T) {
    if let Some(waiter) = waiter {
        // A waiter that gave up has been told so already; what is written stays written.
        let _gone = waiter.send(outcome);
    }
}
