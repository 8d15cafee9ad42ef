//! The writing task: takes a batch, writes it, settles it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use alkhub_storage::calls::{self, CallEnd, Inserted, NewCall, Running};
use alkhub_storage::enums::CallStatus;
use alkhub_storage::{ConnectionTrait, Database, Dedicated, StorageError};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::{Map, Value};
use tracing::{error, warn};

use super::changes::Change as Told;
use super::{Begun, Finished, Lane, RecordError, Shared, State, Written, passing};

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
    Insert { call: Arc<NewCall>, ended: bool },
    /// A row that was written as pending begins to run.
    Run(Running),
    /// The end of a row that was written as open.
    Finish(Arc<CallEnd>),
    /// Notes for a row that is written.
    Note(Map<String, Value>),
}

/// What became of one item.
enum Outcome {
    Written,
    /// Somebody ended the call first.
    Lost,
    Existing,
    Refused(String),
}

/// Where a lane writes.
struct Store {
    database: Database,
    /// Where there is one.
    dedicated: Option<Dedicated>,
}

/// Writes what its lane has until the recorder is closed and nothing is left.
pub(super) async fn run(shared: Arc<Shared>, database: Database, lane: Lane) {
    let wake = match lane {
        Lane::Begin => &shared.wake_begin,
        Lane::Change => &shared.wake_change,
    };
    let store = Store {
        dedicated: database.dedicated(),
        database,
    };
    loop {
        let items = take(&mut shared.lock(), shared.limits.max_batch, lane);
        if items.is_empty() {
            if shared.closing.load(Ordering::Acquire) && shared.lock().is_empty() {
                shared.drained.notify_waiters();
                return;
            }
            if shared.abandoned.load(Ordering::Acquire) {
                return;
            }
            wake.notified().await;
            continue;
        }
        let outcomes = write_until_settled(&shared, &store, &items).await;
        let mut state = shared.lock();
        let told: Vec<Told> = items
            .into_iter()
            .zip(outcomes)
            .filter_map(|(item, outcome)| settle(&mut state, item, outcome))
            .collect();
        // After the commit: whoever hears of a change can read it. Before anybody can queue the next
        // change of one of these calls, so that each call's changes are told in their order.
        shared.changes.publish(told);
        let more = !state.change.is_empty() || !state.notes.is_empty();
        let done = state.is_empty();
        drop(state);
        if more || done {
            shared.wake_change.notify_one();
        }
        if done {
            shared.wake_begin.notify_one();
        }
    }
}

/// The next items of a lane.
fn take(state: &mut State, most: usize, lane: Lane) -> Vec<Item> {
    let mut items = Vec::new();
    while items.len() < most {
        let next = match lane {
            Lane::Begin => state.begin.pop_front(),
            Lane::Change => state.change.pop_front(),
        };
        let Some(request_id) = next else {
            break;
        };
        let Some(live) = state.live.get_mut(&request_id) else {
            continue;
        };
        live.queued = false;
        let change = match (live.written, live.end.clone(), live.dispatched) {
            (Written::Nothing, end, dispatched) => {
                let ended = end.is_some();
                let mut call = Arc::clone(&live.call);
                if let Some(at) = dispatched {
                    Arc::make_mut(&mut call).run(at);
                }
                if let Some(end) = end {
                    Arc::make_mut(&mut call).finish(Arc::unwrap_or_clone(end));
                }
                Change::Insert { call, ended }
            }
            (_, Some(end), _) => Change::Finish(end),
            (Written::Pending, None, Some(started_at)) => Change::Run(Running {
                request_id: request_id.clone(),
                started_at,
            }),
            (Written::Pending | Written::Running, None, _) => continue,
        };
        live.in_flight = true;
        items.push(Item { request_id, change });
    }
    if lane == Lane::Change {
        take_notes(state, &mut items);
    }
    // One order for all writers, so that two of them cannot wait for each other.
    items.sort_by(|a, b| a.request_id.cmp(&b.request_id));
    items
}

/// Adds the notes of calls that are written.
fn take_notes(state: &mut State, items: &mut Vec<Item>) {
    let State { live, notes, .. } = state;
    let ready: Vec<String> = notes
        .keys()
        .filter(|key| {
            live.get(*key)
                .is_none_or(|live| live.written != Written::Nothing)
        })
        .cloned()
        .collect();
    for request_id in ready {
        if let Some(change) = notes.remove(&request_id).map(Change::Note) {
            items.push(Item { request_id, change });
        }
    }
}

/// Writes the batch, however long the database stays away; nothing is dropped.
async fn write_until_settled(shared: &Shared, store: &Store, items: &[Item]) -> Vec<Outcome> {
    let mut pause = PAUSES.0;
    loop {
        match write_halving(store, items).await {
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
    store: &'a Store,
    items: &'a [Item],
) -> BoxFuture<'a, Result<Vec<Outcome>, StorageError>> {
    async move {
        match write(store, items).await {
            Ok(outcomes) => Ok(outcomes),
            Err(problem) if passing(&problem) => Err(problem),
            Err(problem) => match items {
                [] => Ok(Vec::new()),
                [single] => write_bare(store, single, &problem)
                    .await
                    .map(|outcome| vec![outcome]),
                _ => {
                    let (left, right) = items.split_at(items.len() / 2);
                    let mut outcomes = write_halving(store, left).await?;
                    outcomes.extend(write_halving(store, right).await?);
                    Ok(outcomes)
                }
            },
        }
    }
    .boxed()
}

/// Writes a refused row once more without its input, output and error details.
async fn write_bare(
    store: &Store,
    item: &Item,
    problem: &StorageError,
) -> Result<Outcome, StorageError> {
    error!(request_id = %item.request_id, error = %problem, "the database refused a call record");
    let mut bare = item.clone();
    let note = Map::from_iter([("unrecordable".to_owned(), Value::from(problem.to_string()))]);
    match &mut bare.change {
        Change::Insert { call, .. } => Arc::make_mut(call).strip(note),
        Change::Finish(end) => Arc::make_mut(end).strip(note),
        Change::Run(_) => {}
        Change::Note(notes) => *notes = note,
    }
    match write(store, std::slice::from_ref(&bare)).await {
        Ok(mut outcomes) => Ok(outcomes.pop().unwrap_or(Outcome::Written)),
        Err(again) if passing(&again) => Err(again),
        Err(again) => Ok(Outcome::Refused(again.to_string())),
    }
}

/// Writes the parts of a batch; what became of the beginnings and of the ends, in their order.
async fn statements(
    db: &impl ConnectionTrait,
    inserts: &[&NewCall],
    runs: &[Running],
    ends: &[&CallEnd],
    notes: &[(String, Map<String, Value>)],
) -> Result<(Vec<Inserted>, Vec<bool>), StorageError> {
    let inserted = calls::insert_calls(db, inserts).await?;
    calls::mark_running(db, runs).await?;
    let finished = calls::finish_calls(db, ends).await?;
    calls::patch_calls(db, notes).await?;
    Ok((inserted, finished))
}

async fn write(store: &Store, items: &[Item]) -> Result<Vec<Outcome>, StorageError> {
    let (mut inserts, mut runs) = (Vec::new(), Vec::new());
    let (mut ends, mut notes) = (Vec::new(), Vec::new());
    for item in items {
        match &item.change {
            Change::Insert { call, .. } => inserts.push(&**call),
            Change::Run(running) => runs.push(running.clone()),
            Change::Finish(end) => ends.push(&**end),
            Change::Note(note) => notes.push((item.request_id.clone(), note.clone())),
        }
    }
    // One statement is a transaction by itself; beginnings with parents have their edges too.
    let kinds = [
        !inserts.is_empty(),
        !runs.is_empty(),
        !ends.is_empty(),
        !notes.is_empty(),
    ];
    let alone = kinds.into_iter().filter(|some| *some).count() == 1
        && inserts.iter().all(|call| call.parent_request_id.is_none());
    let (inserted, finished) = match &store.dedicated {
        Some(connection) if alone => statements(connection, &inserts, &runs, &ends, &notes).await?,
        Some(connection) => {
            connection.execute_unprepared("begin").await?;
            let outcome = statements(connection, &inserts, &runs, &ends, &notes).await?;
            connection.execute_unprepared("commit").await?;
            outcome
        }
        None if alone => {
            statements(store.database.writer(), &inserts, &runs, &ends, &notes).await?
        }
        None => {
            let transaction = store.database.begin().await?;
            let outcome = statements(&transaction, &inserts, &runs, &ends, &notes).await?;
            transaction.commit().await?;
            outcome
        }
    };
    let (mut inserted, mut finished) = (inserted.into_iter(), finished.into_iter());
    Ok(items
        .iter()
        .map(|item| match item.change {
            Change::Insert { .. } => match inserted.next() {
                Some(Inserted::Existing) => Outcome::Existing,
                Some(Inserted::New) | None => Outcome::Written,
            },
            Change::Finish(_) if finished.next() == Some(false) => Outcome::Lost,
            Change::Run(_) | Change::Finish(_) | Change::Note(_) => Outcome::Written,
        })
        .collect())
}

/// Notes what of a call is written, and answers what watchers are told.
fn settle(state: &mut State, item: Item, outcome: Outcome) -> Option<Told> {
    if matches!(item.change, Change::Note(_)) {
        return None;
    }
    let State {
        live: calls,
        change,
        ..
    } = state;
    let live = calls.get_mut(&item.request_id)?;
    live.room = None;
    live.in_flight = false;
    let mut told = None;
    let over = match outcome {
        Outcome::Written => {
            let ended = match &item.change {
                Change::Insert { call, ended } => {
                    told = Some(Told::of(call, call.status));
                    live.written = if call.started_at.is_some() {
                        Written::Running
                    } else {
                        Written::Pending
                    };
                    *ended
                }
                Change::Finish(end) => {
                    told = Some(Told::of(&live.call, end.status));
                    true
                }
                Change::Run(_) => {
                    told = Some(Told::of(&live.call, CallStatus::Running));
                    live.written = Written::Running;
                    false
                }
                Change::Note(_) => false,
            };
            tell(live.begun.take(), Ok(Begun::Recorded));
            if live.written == Written::Running || ended {
                tell(live.running.take(), Ok(()));
            }
            if ended {
                tell(live.ended.take(), Ok(Finished::Recorded));
            }
            ended
        }
        Outcome::Lost => {
            tell(live.ended.take(), Ok(Finished::Lost));
            true
        }
        Outcome::Existing => {
            tell(live.begun.take(), Ok(Begun::Existing));
            // A query that was not awaited: what was recorded first is the answer.
            tell(live.ended.take(), Ok(Finished::Lost));
            let message = "another call has this request id".to_owned();
            tell(live.running.take(), Err(RecordError::Refused(message)));
            true
        }
        Outcome::Refused(message) => {
            let refused = || RecordError::Refused(message.clone());
            tell(live.begun.take(), Err(refused()));
            tell(live.running.take(), Err(refused()));
            tell(live.ended.take(), Err(refused()));
            true
        }
    };
    if over {
        calls.remove(&item.request_id);
    } else if !live.queued {
        let more =
            live.end.is_some() || (live.dispatched.is_some() && live.written == Written::Pending);
        if more {
            live.queued = true;
            change.push_back(item.request_id);
        }
    }
    told
}

fn tell<T>(waiter: Option<tokio::sync::oneshot::Sender<T>>, outcome: T) {
    if let Some(waiter) = waiter {
        // A waiter that gave up has been told so already; what is written stays written.
        let _gone = waiter.send(outcome);
    }
}
