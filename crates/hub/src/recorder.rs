//! The one writer of call records: group commit.
//!
//! Each call makes up to two durable writes. Done one by one that is a commit each; here a task takes
//! whatever is waiting, writes it as one transaction of multi-row statements, and wakes everybody who
//! waited for it. Alone, a call waits for one commit; under load hundreds share one.
//!
//! There are two such tasks, one for beginnings and one for what changes later. While one waits for the
//! disk the other fills its batch, and a batch of one kind is mostly one statement, which needs no
//! transaction around it: one way to the database and back instead of three.
//!
//! The queues hold request ids only. A live call keeps its newest state and what of it has been
//! written, and the writers write the difference: several changes fold by themselves. A call is in one
//! batch at a time, so an end is never written before its beginning.

mod batch;
mod changes;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use alkhub_operations::{CallError, ErrorCode, RequestId};
use alkhub_storage::calls::{CallEnd, NewCall};
use alkhub_storage::enums::CallStatus;
use alkhub_storage::time::DateTimeUtc;
use alkhub_storage::{Database, StorageError};
use serde_json::{Map, Value, json};
use tokio::sync::{AcquireError, Notify, OwnedSemaphorePermit, Semaphore, oneshot};

pub(crate) use changes::{Change, Changes};

/// Once the database has been away this long, new calls are refused at once instead of waiting.
const PATIENCE: Duration = Duration::from_secs(1);

/// Sizes and times of the recorder, from the settings `recorder.*`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecorderLimits {
    /// Calls whose beginning may wait to be written.
    pub(crate) queue: usize,
    /// Bytes of inputs that may wait to be written.
    pub(crate) queue_bytes: usize,
    /// Calls written in one transaction at most.
    pub(crate) max_batch: usize,
    /// How long a finished call waits for the database before its caller is told that it ran.
    pub(crate) deadline: Duration,
}

/// What became of the beginning of a call.
#[derive(Debug)]
pub(crate) enum Begun {
    /// Its record is written (or queued, for those that need not wait).
    Recorded,
    /// A record with this request id was there before; nothing was written.
    Existing,
}

/// Why a record could not be written.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum RecordError {
    /// The database does not answer, and has not for a while.
    #[error("the store of call records is not available")]
    Unavailable,
    /// The disk is full; the call was not recorded and did not begin.
    #[error("there is no room for call records")]
    DiskFull,
    /// The record did not become durable in time; it will be written when the database is back.
    #[error("the end of the call is not durable yet")]
    Late,
    /// The database refuses this record, also without input and output.
    #[error("the record of the call was refused: {0}")]
    Refused(String),
}

impl RecordError {
    /// The error a caller gets; `executed` says whether the handler had run.
    pub(crate) fn into_call_error(self, request_id: &RequestId, executed: bool) -> CallError {
        match self {
            Self::Unavailable | Self::Late => CallError::new(
                ErrorCode::UNAVAILABLE,
                "the database is not available",
            )
            .with_details(
                json!({ "executed": executed, "requestId": request_id, "retryAfterMs": 2_000 }),
            ),
            Self::DiskFull => CallError::new(
                ErrorCode::UNAVAILABLE,
                "the disk is full; nothing can be changed until there is room",
            )
            .with_details(json!({
                "rule": "disk_full",
                "executed": executed,
                "requestId": request_id,
                "retryAfterMs": 2_000,
            })),
            Self::Refused(_) => CallError::new(
                ErrorCode::RECORD_FAILED,
                "the record of this call could not be written",
            )
            .with_details(json!({ "executed": executed, "requestId": request_id })),
        }
    }
}

/// Handle on the recorder; the writing task ends when [`Recorder::close`] has drained it.
pub(crate) struct Recorder {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// Wakes the writer of beginnings.
    wake_begin: Notify,
    /// Wakes the writer of changes.
    wake_change: Notify,
    room: Arc<Semaphore>,
    // Counted in KiB, because a semaphore counts in 32 bits.
    bytes: Arc<Semaphore>,
    limits: RecorderLimits,
    stalled: Mutex<Option<Stall>>,
    /// Told each time a batch finds the disk full: nobody waits for room.
    full: Notify,
    closing: AtomicBool,
    /// Nothing more comes, and nobody waits for what could not be written.
    abandoned: AtomicBool,
    drained: Notify,
    changes: Changes,
}

/// Since when no batch could be written, and why.
#[derive(Debug, Clone, Copy)]
struct Stall {
    since: Instant,
    disk_full: bool,
}

#[derive(Default)]
struct State {
    live: HashMap<String, Live>,
    begin: VecDeque<String>,
    change: VecDeque<String>,
    /// Notes to be added, by call; also to calls that are over.
    notes: HashMap<String, Map<String, Value>>,
}

/// A call whose record is not completely written.
struct Live {
    call: Arc<NewCall>,
    /// When it left the queue, for a call that was recorded as pending.
    dispatched: Option<DateTimeUtc>,
    end: Option<Arc<CallEnd>>,
    written: Written,
    /// In one of the queues.
    queued: bool,
    /// In a batch that is being written; what comes meanwhile is queued when it is settled.
    in_flight: bool,
    // Given back when the beginning is written: this is the back-pressure on new calls.
    room: Option<[OwnedSemaphorePermit; 2]>,
    begun: Option<oneshot::Sender<Result<Begun, RecordError>>>,
    running: Option<oneshot::Sender<Result<(), RecordError>>>,
    ended: Option<oneshot::Sender<Result<Finished, RecordError>>>,
}

impl State {
    /// Nothing is left to be written.
    fn is_empty(&self) -> bool {
        self.live.is_empty() && self.notes.is_empty()
    }

    /// Queues a live call whose newest state is to be written, unless it is queued already, or in a batch:
    /// then it is queued when that is settled.
    fn queue_change(&mut self, request_id: String) {
        if let Some(live) = self.live.get_mut(&request_id)
            && !live.queued
            && !live.in_flight
        {
            live.queued = true;
            self.change.push_back(request_id);
        }
    }
}

/// The two writers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lane {
    /// New rows.
    Begin,
    /// Changes of rows that are written.
    Change,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    Nothing,
    Pending,
    Running,
}

/// What became of the end of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finished {
    /// It is the recorded one.
    Recorded,
    /// Another process ended the call first; what it wrote stands.
    Lost,
}

impl Recorder {
    /// Starts the writing task.
    pub(crate) fn start(database: Database, limits: RecorderLimits) -> Self {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            wake_begin: Notify::new(),
            wake_change: Notify::new(),
            room: Arc::new(Semaphore::new(limits.queue)),
            bytes: Arc::new(Semaphore::new(kib(limits.queue_bytes) as usize)),
            limits,
            stalled: Mutex::new(None),
            full: Notify::new(),
            closing: AtomicBool::new(false),
            abandoned: AtomicBool::new(false),
            drained: Notify::new(),
            changes: Changes::default(),
        });
        for lane in [Lane::Begin, Lane::Change] {
            tokio::spawn(batch::run(Arc::clone(&shared), database.clone(), lane));
        }
        Self { shared }
    }

    /// Records the beginning of a call and waits until it is durable.
    ///
    /// # Errors
    /// [`RecordError::Unavailable`] when there is no room within `patience` or the database has been
    /// away, [`RecordError::DiskFull`] as soon as that is known; the call has then not been recorded and
    /// must not run.
    pub(crate) async fn begin(
        &self,
        call: NewCall,
        patience: Duration,
    ) -> Result<Begun, RecordError> {
        let asked = Instant::now();
        let given_up = CallEnd {
            request_id: call.request_id.clone(),
            status: CallStatus::Failed,
            output: None,
            error: Some(json!({
                "code": ErrorCode::UNAVAILABLE,
                "message": "the call did not begin: its record was not written in time",
            })),
            completed_at: call.created_at,
            metadata: serde_json::Map::new(),
        };
        let full = self.shared.full.notified();
        tokio::pin!(full);
        full.as_mut().enable();
        let (sender, receiver) = oneshot::channel();
        self.enqueue(call, patience, Some(sender)).await?;
        let left = patience.saturating_sub(asked.elapsed());
        let problem = tokio::select! {
            biased;
            outcome = receiver => return outcome.map_err(|_closed| RecordError::Unavailable)?,
            () = full => RecordError::DiskFull,
            () = tokio::time::sleep(left) => RecordError::Unavailable,
        };
        // It may be written yet; then as what it is, a call that never ran.
        self.give_up(CallEnd {
            completed_at: alkhub_storage::time::now(),
            ..given_up
        });
        Err(problem)
    }

    fn give_up(&self, end: CallEnd) {
        let mut state = self.shared.lock();
        let request_id = end.request_id.clone();
        let Some(live) = state.live.get_mut(&request_id) else {
            return;
        };
        live.end = Some(Arc::new(end));
        state.queue_change(request_id);
        drop(state);
        self.shared.wake_change.notify_one();
    }

    /// Queues the beginning of a call without waiting for the write: for calls that change nothing.
    ///
    /// # Errors
    /// As [`Recorder::begin`].
    pub(crate) async fn begin_later(
        &self,
        call: NewCall,
        patience: Duration,
    ) -> Result<(), RecordError> {
        self.enqueue(call, patience, None).await
    }

    async fn enqueue(
        &self,
        call: NewCall,
        patience: Duration,
        begun: Option<oneshot::Sender<Result<Begun, RecordError>>>,
    ) -> Result<(), RecordError> {
        if self.stalled() || self.shared.closing.load(Ordering::Acquire) {
            return Err(RecordError::Unavailable);
        }
        let room = tokio::time::timeout(patience, self.shared.make_room(&call))
            .await
            .map_err(|_late| RecordError::Unavailable)?
            .map_err(|_closed| RecordError::Unavailable)?;
        let request_id = call.request_id.clone();
        let mut state = self.shared.lock();
        state.live.insert(
            request_id.clone(),
            Live {
                call: Arc::new(call),
                dispatched: None,
                end: None,
                written: Written::Nothing,
                queued: true,
                in_flight: false,
                room: Some(room),
                begun,
                running: None,
                ended: None,
            },
        );
        state.begin.push_back(request_id);
        drop(state);
        self.shared.wake_begin.notify_one();
        Ok(())
    }

    /// Records that a pending call begins to run, and waits until that is durable.
    ///
    /// # Errors
    /// As [`Recorder::end`].
    pub(crate) async fn running(
        &self,
        request_id: &str,
        at: DateTimeUtc,
    ) -> Result<(), RecordError> {
        let (sender, receiver) = oneshot::channel();
        {
            let mut state = self.shared.lock();
            let Some(live) = state.live.get_mut(request_id) else {
                return Err(RecordError::Refused(
                    "its beginning was not recorded".to_owned(),
                ));
            };
            live.dispatched = Some(at);
            live.running = Some(sender);
            state.queue_change(request_id.to_owned());
        }
        self.shared.wake_change.notify_one();
        match tokio::time::timeout(self.shared.limits.deadline, receiver).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_closed)) => Err(RecordError::Unavailable),
            Err(_late) => Err(RecordError::Late),
        }
    }

    /// Adds notes to a call, open or over; each replaces an earlier one of its name. Not awaited.
    pub(crate) fn patch(&self, request_id: &str, notes: Map<String, Value>) {
        let mut state = self.shared.lock();
        state
            .notes
            .entry(request_id.to_owned())
            .or_default()
            .extend(notes);
        drop(state);
        self.shared.wake_change.notify_one();
    }

    /// What is written, as it is written.
    pub(crate) fn changes(&self) -> &Changes {
        &self.shared.changes
    }

    /// Records the end of a call and waits until it is durable.
    ///
    /// # Errors
    /// [`RecordError::Late`] after `recorder.deadline`: what is unwritten stays and is written when
    /// the database is back. [`RecordError::Refused`] when the database refuses the record.
    pub(crate) async fn end(&self, end: CallEnd) -> Result<Finished, RecordError> {
        let (sender, receiver) = oneshot::channel();
        {
            let mut state = self.shared.lock();
            let request_id = end.request_id.clone();
            // A call that is no longer live had its beginning refused; there is nothing to end.
            let Some(live) = state.live.get_mut(&request_id) else {
                return Err(RecordError::Refused(
                    "its beginning was not recorded".to_owned(),
                ));
            };
            live.end = Some(Arc::new(end));
            live.ended = Some(sender);
            state.queue_change(request_id);
        }
        self.shared.wake_change.notify_one();
        match tokio::time::timeout(self.shared.limits.deadline, receiver).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_closed)) => Err(RecordError::Unavailable),
            Err(_late) => Err(RecordError::Late),
        }
    }

    /// True while the database has not taken a batch for longer than a second.
    pub(crate) fn stalled(&self) -> bool {
        self.shared
            .stalled()
            .is_some_and(|stall| stall.since.elapsed() >= PATIENCE)
    }

    /// True while nothing can be written because the disk is full; what is stored can still be read.
    pub(crate) fn disk_full(&self) -> bool {
        self.shared.stalled().is_some_and(|stall| stall.disk_full)
    }

    /// Share of the room for new calls that is taken, 0 to 1.
    pub(crate) fn fill(&self) -> f64 {
        let queue = self.shared.limits.queue;
        let free = self.shared.room.available_permits().min(queue);
        #[expect(
            clippy::cast_precision_loss,
            reason = "a share of some thousand places"
        )]
        let share = (queue - free) as f64 / queue.max(1) as f64;
        share
    }

    /// Takes no new calls, writes what waits, and returns the ids that could not be written.
    pub(crate) async fn close(&self, patience: Duration) -> Vec<String> {
        self.shared.closing.store(true, Ordering::Release);
        let drained = self.shared.drained.notified();
        self.shared.wake_begin.notify_one();
        self.shared.wake_change.notify_one();
        // On a timeout the ids that are left say what was lost.
        let _drained_in_time = tokio::time::timeout(patience, drained).await;
        // The writers let go of their connections, which the database waits for when it closes.
        self.shared.abandoned.store(true, Ordering::Release);
        self.shared.wake_begin.notify_one();
        self.shared.wake_change.notify_one();
        let state = self.shared.lock();
        state
            .live
            .keys()
            .chain(state.notes.keys())
            .cloned()
            .collect()
    }
}

impl Shared {
    /// Waits for a place in the queue and for the bytes of the input.
    async fn make_room(&self, call: &NewCall) -> Result<[OwnedSemaphorePermit; 2], AcquireError> {
        let size = call
            .input
            .as_ref()
            .map_or(0, |input| input.to_string().len());
        // A single input larger than the whole queue waits for an empty one.
        let size = kib(size).min(kib(self.limits.queue_bytes));
        let place = Arc::clone(&self.room).acquire_owned().await?;
        let bytes = Arc::clone(&self.bytes).acquire_many_owned(size).await?;
        Ok([place, bytes])
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stalled(&self) -> Option<Stall> {
        *self.stalled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes why a batch could not be written, or that one was.
    fn set_stalled(&self, problem: Option<&StorageError>) {
        let mut stalled = self.stalled.lock().unwrap_or_else(PoisonError::into_inner);
        *stalled = problem.map(|problem| Stall {
            since: stalled.map_or_else(Instant::now, |stall| stall.since),
            disk_full: matches!(problem, StorageError::Full),
        });
        if stalled.is_some_and(|stall| stall.disk_full) {
            self.full.notify_waiters();
        }
    }
}

/// Whole KiB, rounded up, at least 1.
fn kib(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(1_024))
        .unwrap_or(u32::MAX)
        .max(1)
}

/// True for errors after which the same batch may succeed a moment later.
fn passing(error: &StorageError) -> bool {
    matches!(
        error,
        StorageError::Busy | StorageError::Full | StorageError::Unavailable(_)
    )
}
