//! The provider's half.

mod admit;
mod kept;
mod run;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, Semaphore};
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use self::kept::Kept;
use super::service::{Inbound, Service};
use super::sync::{Mutex, lock};
use super::timers::{self, Expires, Timers};
use super::{Delivered, EventSink, Violation};
use crate::context::{Context, Progress, now};
use crate::events::{AbortBy, CallAborted, CallEvent, CallFailed, CallProgress, CallRequested};
use crate::request_id::RequestId;
use crate::spec::OperationType;

/// Ids of requests that ended lately.
const REMEMBERED: usize = 1024;

/// Bounds of a [`CallServer`].
#[derive(Debug, Clone)]
pub struct ServerLimits {
    /// Requests that run at once; one more is `RATE_LIMITED`.
    pub running: usize,
    /// Subscriptions among them.
    pub subscriptions: usize,
    /// How long a handler may take to stop after an abort before it is dropped.
    pub stop: Duration,
    /// Take metadata that only the hub may set out of requests. False where the peer is the hub.
    pub strip_reserved: bool,
    /// Keep what was sent until it is acknowledged, for a peer that may come back over another
    /// socket.
    pub keep_answers: bool,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            running: 1024,
            subscriptions: 64,
            stop: Duration::from_secs(5),
            strip_reserved: true,
            keep_answers: false,
        }
    }
}

/// Where a provider stands when it comes back over another socket.
#[derive(Debug, Clone, PartialEq)]
pub struct Resume {
    /// What it is still working on.
    pub running: Vec<RequestId>,
    /// What it sent, or could not send, and the peer has not acknowledged.
    pub undelivered: Vec<CallEvent>,
    /// How far that list goes; [`CallServer::attach`] sends what came after.
    pub mark: u64,
}

/// Runs requests that arrive and sends their answers.
pub struct CallServer {
    inner: Arc<Inner>,
}

struct Inner {
    service: Arc<dyn Service>,
    limits: ServerLimits,
    state: Mutex<State>,
    wake: Arc<Notify>,
    /// Items wait for it while there is no socket.
    attached: Notify,
    me: Weak<Inner>,
}

struct State {
    running: HashMap<RequestId, Running>,
    timers: Timers,
    sink: Option<Arc<dyn EventSink>>,
    closed: bool,
    finished: VecDeque<RequestId>,
    kept: Kept,
    next_number: u64,
    subscriptions: usize,
}

/// A request that runs.
struct Running {
    /// Tells it from an earlier or later one under the same id.
    number: u64,
    operation: String,
    subscription: bool,
    token: CancellationToken,
    task: Option<AbortHandle>,
    credit: Option<Arc<Semaphore>>,
    /// The caller has ended it; all that is left to say is that it stopped.
    stopping: bool,
}

impl CallServer {
    /// A server that runs requests by this service. Must be called within a tokio runtime, which its
    /// handlers then run on.
    #[must_use]
    pub fn new(
        service: Arc<dyn Service>,
        sink: Arc<dyn EventSink>,
        limits: ServerLimits,
    ) -> Arc<Self> {
        let server = Self::detached(service, limits);
        server.attach(sink, None);
        server
    }

    /// The same without a socket yet.
    #[must_use]
    pub fn detached(service: Arc<dyn Service>, limits: ServerLimits) -> Arc<Self> {
        let inner = Arc::new_cyclic(|me| Inner {
            service,
            limits,
            state: Mutex::new(State {
                running: HashMap::new(),
                timers: Timers::default(),
                sink: None,
                closed: false,
                finished: VecDeque::new(),
                kept: Kept::default(),
                next_number: 0,
                subscriptions: 0,
            }),
            wake: Arc::new(Notify::new()),
            attached: Notify::new(),
            me: me.clone(),
        });
        let wake = Arc::clone(&inner.wake);
        tokio::spawn(timers::drive(Arc::downgrade(&inner), wake));
        Arc::new(Self { inner })
    }

    /// Takes an event that the caller sent. A request whose id runs already does not run again: the
    /// answer that comes is the answer to both.
    pub fn deliver(&self, event: CallEvent) -> Delivered {
        match event {
            CallEvent::Requested(requested) => self.inner.requested(requested),
            CallEvent::Aborted(aborted) => self.inner.aborted(&aborted.request_id),
            CallEvent::Credit(credit) => self.inner.credit(&credit.request_id, credit.add),
            other => Delivered::Violation(Violation::Direction(other.name())),
        }
    }

    /// Does this request run here?
    #[must_use]
    pub fn runs(&self, id: &RequestId) -> bool {
        lock(&self.inner.state).running.contains_key(id)
    }

    /// Ids of what runs, in no order.
    #[must_use]
    pub fn running(&self) -> Vec<RequestId> {
        lock(&self.inner.state).running.keys().cloned().collect()
    }

    /// What was sent and not acknowledged, oldest first; empty unless
    /// [`ServerLimits::keep_answers`].
    #[must_use]
    pub fn undelivered(&self) -> Vec<CallEvent> {
        lock(&self.inner.state).kept.events()
    }

    /// How much has been sent so far. Once the peer has answered something that was sent after this
    /// was asked, it has all of it: [`CallServer::acknowledge`].
    #[must_use]
    pub fn mark(&self) -> u64 {
        lock(&self.inner.state).kept.mark()
    }

    /// The peer has everything up to this mark.
    pub fn acknowledge(&self, mark: u64) {
        lock(&self.inner.state).kept.acknowledge(mark);
    }

    /// The socket is lost, another may come: handlers run on, answers are kept if they are kept at
    /// all, items wait.
    pub fn detach(&self) {
        lock(&self.inner.state).sink = None;
    }

    /// What to tell the peer on the new socket before anything is sent there.
    #[must_use]
    pub fn resume(&self) -> Resume {
        let state = lock(&self.inner.state);
        Resume {
            running: state.running.keys().cloned().collect(),
            undelivered: state.kept.events(),
            mark: state.kept.mark(),
        }
    }

    /// Goes on over a new socket. With the mark of [`CallServer::resume`], what came after it is sent
    /// first; without one, nothing is sent again.
    pub fn attach(&self, sink: Arc<dyn EventSink>, resumed: Option<u64>) {
        let mut state = lock(&self.inner.state);
        if let Some(mark) = resumed {
            for event in state.kept.after(mark) {
                if sink.push(event).is_err() {
                    return;
                }
            }
        }
        state.sink = Some(sink);
        drop(state);
        self.inner.attached.notify_waiters();
    }

    /// Stops everything that runs, as if its callers had aborted it.
    pub fn abort_all(&self) {
        for id in self.running() {
            self.inner.aborted(&id);
        }
    }

    /// The peer is gone for good. Calls run to their end, for a half-done one is worse, and nobody is
    /// told; subscriptions stop. What arrives later is refused.
    pub fn close(&self) {
        let mut state = lock(&self.inner.state);
        state.closed = true;
        state.sink = None;
        let subscriptions = state.running.iter().filter(|(_, one)| one.subscription);
        let ids: Vec<_> = subscriptions.map(|(id, _)| id.clone()).collect();
        drop(state);
        for id in ids {
            self.inner.aborted(&id);
        }
        self.inner.attached.notify_waiters();
    }
}

impl std::fmt::Debug for CallServer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("CallServer")
            .field("running", &self.running().len())
            .finish_non_exhaustive()
    }
}

impl Inner {
    fn requested(&self, mut requested: CallRequested) -> Delivered {
        let id = requested.request_id.clone();
        let subscription =
            self.service.kind(&requested.operation_id) == Some(OperationType::Subscription);
        let mut state = lock(&self.state);
        if let Some(running) = state.running.get(&id) {
            return if running.operation == requested.operation_id {
                Delivered::Accepted
            } else {
                Delivered::Violation(Violation::RequestIdInUse)
            };
        }
        if state.kept.send_again(&id, state.sink.as_deref()) {
            return Delivered::Accepted;
        }
        match self.admit(&state, &mut requested, subscription) {
            Err(error) => {
                state.send(CallEvent::Failed(CallFailed::new(id, error)), &self.limits);
            }
            Ok(context) => self.start(&mut state, requested, context, subscription),
        }
        Delivered::Accepted
    }

    fn start(
        &self,
        state: &mut State,
        requested: CallRequested,
        context: Context,
        subscription: bool,
    ) {
        let Some(me) = self.me.upgrade() else {
            return;
        };
        let id = requested.request_id.clone();
        let number = state.next_number;
        state.next_number += 1;
        let token = context.cancellation().clone();
        let credit = requested
            .credit
            .filter(|_| subscription)
            .map(|credit| Arc::new(Semaphore::new(permits(credit))));
        let running = Running {
            number,
            operation: requested.operation_id.clone(),
            subscription,
            token: token.clone(),
            task: None,
            credit: credit.clone(),
            stopping: false,
        };
        state.running.insert(id.clone(), running);
        state.subscriptions += usize::from(subscription);
        let reporting = Arc::downgrade(&me);
        let reported = id.clone();
        let context = context.with_progress(Arc::new(move |progress| {
            if let Some(inner) = reporting.upgrade() {
                inner.progress(&reported, number, progress);
            }
        }));
        let inbound = Inbound { requested, context };
        let run = run::Run::new(me, id.clone(), number, token);
        let task = if subscription {
            tokio::spawn(run.stream(inbound, credit))
        } else {
            tokio::spawn(run.call(inbound))
        };
        if let Some(running) = state.running.get_mut(&id) {
            running.task = Some(task.abort_handle());
        }
    }

    fn aborted(&self, id: &RequestId) -> Delivered {
        let mut state = lock(&self.state);
        let State {
            running,
            timers,
            finished,
            ..
        } = &mut *state;
        let Some(running) = running.get_mut(id) else {
            return if finished.contains(id) {
                Delivered::Late
            } else {
                Delivered::Unknown
            };
        };
        if running.stopping {
            return Delivered::Accepted;
        }
        running.stopping = true;
        let token = running.token.clone();
        let (_, driver_late) = timers.arm(now() + self.limits.stop, id);
        drop(state);
        if driver_late {
            self.wake.notify_one();
        }
        token.cancel();
        Delivered::Accepted
    }

    fn credit(&self, id: &RequestId, add: u64) -> Delivered {
        let state = lock(&self.state);
        match state.running.get(id) {
            Some(running) => {
                if let Some(credit) = &running.credit {
                    let room = Semaphore::MAX_PERMITS - credit.available_permits();
                    credit.add_permits(permits(add).min(room));
                }
                Delivered::Accepted
            }
            None if state.finished.contains(id) => Delivered::Late,
            None => Delivered::Unknown,
        }
    }

    fn progress(&self, id: &RequestId, number: u64, progress: Progress) {
        let state = lock(&self.state);
        let runs = state
            .running
            .get(id)
            .is_some_and(|running| running.number == number && !running.stopping);
        if let Some(sink) = state.sink.as_ref().filter(|_| runs) {
            // Progress may be lost at any time, with its socket too.
            let _lost = sink.push(CallEvent::Progress(CallProgress {
                request_id: id.clone(),
                fraction: progress.fraction,
                message: progress.message,
            }));
        }
    }

    /// A handler has ended. Its outcome is sent, or, when it was told to stop, that it did.
    fn finish(&self, id: &RequestId, number: u64, outcome: CallEvent) {
        let mut state = lock(&self.state);
        let Some(stopping) = state.remove(id, number) else {
            return;
        };
        let event = if stopping { stopped(id) } else { outcome };
        state.send(event, &self.limits);
    }
}

/// Wakes the timer task, which then ends.
impl Drop for Inner {
    fn drop(&mut self) {
        self.wake.notify_one();
    }
}

impl Expires for Inner {
    /// Drops handlers that did not stop in time.
    fn expire(&self, now: Instant) -> Option<Instant> {
        let mut state = lock(&self.state);
        let mut tasks = Vec::new();
        while let Some(id) = state.timers.pop_due(now) {
            let Some(running) = state.running.get(&id).filter(|one| one.stopping) else {
                continue;
            };
            let number = running.number;
            tasks.extend(running.task.clone());
            state.remove(&id, number);
            state.send(stopped(&id), &self.limits);
        }
        let next = state.timers.driver_sleeps();
        drop(state);
        for task in tasks {
            task.abort();
        }
        next
    }
}

impl State {
    /// Takes a request out; gives whether it was told to stop.
    fn remove(&mut self, id: &RequestId, number: u64) -> Option<bool> {
        if self.running.get(id)?.number != number {
            return None;
        }
        let (id, running) = self.running.remove_entry(id)?;
        self.subscriptions -= usize::from(running.subscription);
        if self.finished.len() == REMEMBERED {
            self.finished.pop_front();
        }
        self.finished.push_back(id);
        Some(running.stopping)
    }

    /// Sends an event, or keeps it for the next socket.
    fn send(&mut self, event: CallEvent, limits: &ServerLimits) {
        if limits.keep_answers && !self.closed {
            self.kept.keep(&event);
        }
        if let Some(sink) = &self.sink
            && sink.push(event).is_err()
        {
            self.sink = None;
        }
    }
}

fn stopped(id: &RequestId) -> CallEvent {
    CallEvent::Aborted(CallAborted::new(id.clone(), AbortBy::Provider, None))
}

fn permits(credit: u64) -> usize {
    usize::try_from(credit)
        .unwrap_or(Semaphore::MAX_PERMITS)
        .min(Semaphore::MAX_PERMITS)
}
