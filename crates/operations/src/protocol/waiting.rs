//! The requests that wait for their answers. All that decides how one ends happens in here, under one
//! lock, so each ends once, whatever comes at the same time.
//!
//! Nothing in here spawns, sleeps or reads a socket; a model checker runs it with its own lock.

// Named by their paths, so that the model finds them too.
#[path = "waiting/confirm.rs"]
mod confirm;
#[path = "waiting/deliver.rs"]
mod deliver;
#[path = "waiting/entry.rs"]
mod entry;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use self::confirm::Confirmations;
use self::entry::{Due, Entry};
use super::slot::Slot;
use super::sync::{Arc, Mutex, lock};
use super::timers::{Expires, Timers};
use super::{
    AbortBy, CallAborted, CallCredit, CallError, CallEvent, CallRequested, CloseReason, ErrorCode,
    EventSink, MapLimits, REASON_LENGTH, Request, RequestId, now, now_ms,
};

pub(super) use self::confirm::Told;

/// Ids of requests that ended lately, so that a late answer is told from an unknown one.
const REMEMBERED: usize = 1024;

/// Reason of an abort when a consumer takes nothing.
const SLOW_CONSUMER: &str = "slow_consumer";

/// What is known of a request id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestState {
    /// Open here.
    Open,
    /// Aborted from here, a short while ago.
    Aborted,
    /// Ended a while ago.
    Finished,
    /// Never heard of, or long forgotten.
    Unknown,
}

/// All requests that one connection's caller half has open.
pub(super) struct Waiting {
    state: Mutex<State>,
    limits: MapLimits,
    late: AtomicU64,
    /// Wakes the driver of the timers.
    pub(super) wake: Arc<Notify>,
}

struct State {
    open: HashMap<RequestId, Entry>,
    timers: Timers,
    /// `None` while the socket is lost.
    sink: Option<Arc<dyn EventSink>>,
    closed: Option<CloseReason>,
    finished: VecDeque<RequestId>,
    confirmations: Confirmations,
    /// The provider's clock minus ours, ms.
    skew_ms: i64,
}

impl Waiting {
    pub(super) fn new(sink: Option<Arc<dyn EventSink>>, limits: MapLimits) -> Self {
        Self {
            state: Mutex::new(State {
                open: HashMap::new(),
                timers: Timers::default(),
                sink,
                closed: None,
                finished: VecDeque::new(),
                confirmations: Confirmations::default(),
                skew_ms: 0,
            }),
            limits,
            late: AtomicU64::new(0),
            wake: Arc::new(Notify::new()),
        }
    }

    /// Sends a request and gives the place where its answers will be. A refusal is an answer too.
    pub(super) fn open(&self, request: Request, subscription: bool) -> Arc<Slot> {
        let slot = Arc::new(Slot::new());
        if let Err(error) = self.try_open(request, subscription, &slot) {
            // Nobody waits in it yet, so there is nobody to wake.
            slot.end(Err(error), true);
        }
        slot
    }

    fn try_open(
        &self,
        request: Request,
        subscription: bool,
        slot: &Arc<Slot>,
    ) -> Result<(), CallError> {
        let id = request.request_id.clone();
        if request.timeout.is_some_and(|timeout| timeout.is_zero()) {
            return Err(CallError::timeout(&id));
        }
        let mut state = lock(&self.state);
        if let Some(why) = state.closed {
            return Err(closed(&id, why, false));
        }
        if state.open.len() >= self.limits.entries {
            return Err(CallError::new(
                ErrorCode::RATE_LIMITED,
                format!("more than {} requests are open", self.limits.entries),
            ));
        }
        if state.open.contains_key(&id) {
            return Err(CallError::conflict(
                "request_id",
                "a request of this id is open already",
            ));
        }
        let Some(sink) = state.sink.clone() else {
            return Err(CallError::provider_lost(false));
        };
        let entry = Entry::new(&request, subscription, Arc::clone(slot), &self.limits);
        let event = requested(request, &entry, state.skew_ms);
        // Sent under the lock: an abort from elsewhere must not overtake the request.
        if sink.push(CallEvent::Requested(event)).is_err() {
            return Err(CallError::provider_lost(false));
        }
        state.open.insert(id.clone(), entry);
        self.arm(&mut state, &id);
        Ok(())
    }

    /// Sends an open request again, with the time it has left. False when that is not possible.
    pub(super) fn repeat(&self, mut request: Request) -> bool {
        let state = lock(&self.state);
        let Some(entry) = state.open.get(&request.request_id) else {
            return false;
        };
        let Some(sink) = &state.sink else {
            return false;
        };
        request.timeout = entry.time_left();
        let event = requested(request, entry, state.skew_ms);
        sink.push(CallEvent::Requested(event)).is_ok()
    }

    /// Ends a request from this side and tells the provider. False when it is not open.
    pub(super) fn abort(&self, id: &RequestId, by: AbortBy, reason: Option<&str>) -> bool {
        let mut state = lock(&self.state);
        let Some(entry) = state.remove(id) else {
            return false;
        };
        state.tell(id, entry.stream.is_some(), by, reason, &self.limits);
        drop(state);
        let mut error = CallError::aborted(id, by);
        if let Some(reason) = reason {
            let reason: String = reason.chars().take(REASON_LENGTH).collect();
            error = error.with_detail("reason", reason);
        }
        wake(entry.slot.end(Err(error), false));
        true
    }

    /// Tells the provider of an abort that concerns no open request (any more).
    pub(super) fn tell_again(&self, id: &RequestId, by: AbortBy, reason: Option<&str>) {
        lock(&self.state).tell(id, false, by, reason, &self.limits);
    }

    /// Ends a request with this error; the provider hears nothing. False when it is not open.
    pub(super) fn fail(&self, id: &RequestId, error: CallError) -> bool {
        let Some(entry) = lock(&self.state).remove(id) else {
            return false;
        };
        wake(entry.slot.end(Err(error), true));
        true
    }

    /// Whoever waited is gone. A newer request under the same id is left alone.
    pub(super) fn dropped(&self, id: &RequestId, slot: &Arc<Slot>) {
        if slot.ended() {
            return;
        }
        let mut state = lock(&self.state);
        let Some(entry) = state.open.get(id) else {
            return;
        };
        if Arc::ptr_eq(&entry.slot, slot) {
            let stream = entry.stream.is_some();
            state.remove(id);
            state.tell(id, stream, AbortBy::Caller, None, &self.limits);
        }
    }

    /// Ends everything, now and later.
    pub(super) fn close(&self, why: CloseReason) {
        let mut state = lock(&self.state);
        if state.closed.is_some() {
            return;
        }
        state.closed = Some(why);
        let mut ended = Vec::new();
        for id in state.ids() {
            if let Some(entry) = state.remove(&id) {
                let by = match why {
                    CloseReason::ProviderLost => None,
                    CloseReason::Shutdown => Some(AbortBy::Hub),
                    CloseReason::Aborted(by) => Some(by),
                };
                if let Some(by) = by {
                    state.tell(&id, entry.stream.is_some(), by, None, &self.limits);
                }
                ended.push((id, entry));
            }
        }
        drop(state);
        for (id, entry) in ended {
            wake(entry.slot.end(Err(closed(&id, why, true)), true));
        }
    }

    /// The socket is lost. What is open stays open and its timers go on.
    pub(super) fn detach(&self) {
        lock(&self.state).sink = None;
    }

    /// There is a socket again.
    pub(super) fn attach(&self, sink: Arc<dyn EventSink>) {
        let mut state = lock(&self.state);
        for (id, entry) in &mut state.open {
            // Credit that was under way is lost. The provider may have some left; it then sends a few
            // items more, for which there is room.
            if let Some(add) = entry.credit_anew(&self.limits) {
                let request_id = id.clone();
                if sink
                    .push(CallEvent::Credit(CallCredit { request_id, add }))
                    .is_err()
                {
                    return;
                }
            }
        }
        state.sink = Some(sink);
    }

    /// The consumer took an item: there may be room for more.
    pub(super) fn consumed(&self, id: &RequestId, slot: &Arc<Slot>) {
        let mut guard = lock(&self.state);
        let state = &mut *guard;
        let Some(entry) = state.open.get_mut(id) else {
            return;
        };
        if !Arc::ptr_eq(&entry.slot, slot) {
            return;
        }
        if entry.is_drained_of_lost() {
            let waker = self.end_slow(&mut guard, id);
            drop(guard);
            wake(waker);
            return;
        }
        let Some(sink) = &state.sink else {
            return;
        };
        if let Some(add) = entry.credit(&self.limits) {
            let request_id = id.clone();
            // A closed sink is found out by the next request; the socket's owner detaches.
            let _lost_with_the_socket =
                sink.push(CallEvent::Credit(CallCredit { request_id, add }));
        }
    }

    pub(super) fn state_of(&self, id: &RequestId) -> RequestState {
        let state = lock(&self.state);
        if state.open.contains_key(id) {
            RequestState::Open
        } else if state.confirmations.knows(id) {
            RequestState::Aborted
        } else if state.finished.contains(id) {
            RequestState::Finished
        } else {
            RequestState::Unknown
        }
    }

    /// Waits for the provider's word on an abort.
    pub(super) fn confirmation(&self, id: &RequestId) -> Told {
        lock(&self.state).confirmations.wait(id)
    }

    pub(super) fn pending(&self) -> usize {
        lock(&self.state).open.len()
    }

    pub(super) fn pending_ids(&self) -> Vec<RequestId> {
        lock(&self.state).ids()
    }

    pub(super) fn late(&self) -> u64 {
        self.late.load(Ordering::Relaxed)
    }

    pub(super) fn set_skew(&self, skew_ms: i64) {
        lock(&self.state).skew_ms = skew_ms;
    }

    pub(super) fn sink(&self) -> Option<Arc<dyn EventSink>> {
        lock(&self.state).sink.clone()
    }

    /// A stream whose consumer takes nothing.
    fn end_slow(&self, state: &mut State, id: &RequestId) -> Option<Waker> {
        let entry = state.remove(id)?;
        state.tell(id, true, AbortBy::Hub, Some(SLOW_CONSUMER), &self.limits);
        let error = CallError::aborted(id, AbortBy::Hub).with_detail("reason", SLOW_CONSUMER);
        // Whoever takes nothing gets nothing more: what waits is memory.
        entry.slot.end(Err(error), false)
    }

    /// Puts the request's timer where it is next due.
    fn arm(&self, state: &mut State, id: &RequestId) {
        let State { open, timers, .. } = state;
        let Some(entry) = open.get_mut(id) else {
            return;
        };
        let Some(due) = entry.next_due(self.limits.slow) else {
            return;
        };
        match entry.timer {
            // It comes early and looks again then; that is cheaper than to move it each time.
            Some(key) if key.at() <= due => {}
            old => {
                if let Some(old) = old {
                    timers.disarm(old);
                }
                let (key, driver_late) = timers.arm(due, id);
                entry.timer = Some(key);
                if driver_late {
                    self.wake.notify_one();
                }
            }
        }
    }
}

/// Wakes the timer task, which then ends.
impl Drop for Waiting {
    fn drop(&mut self) {
        self.wake.notify_one();
    }
}

impl Expires for Waiting {
    fn expire(&self, now: Instant) -> Option<Instant> {
        let mut state = lock(&self.state);
        state.confirmations.forget(now, self.limits.confirm);
        let mut wakers = Vec::new();
        while let Some(id) = state.timers.pop_due(now) {
            let Some(entry) = state.open.get_mut(&id) else {
                continue;
            };
            entry.timer = None;
            let error = match entry.due(now, self.limits.slow) {
                None => {
                    self.arm(&mut state, &id);
                    continue;
                }
                Some(Due::Slow) => {
                    wakers.push(self.end_slow(&mut state, &id));
                    continue;
                }
                Some(Due::Idle(idle)) => CallError::idle_timeout(&id, idle),
                Some(Due::Deadline) => CallError::timeout(&id),
            };
            if let Some(entry) = state.remove(&id) {
                let stream = entry.stream.is_some();
                state.tell(&id, stream, AbortBy::Deadline, None, &self.limits);
                wakers.push(entry.slot.end(Err(error), true));
            }
        }
        let next = state.timers.driver_sleeps();
        drop(state);
        wakers.into_iter().for_each(wake);
        next
    }
}

impl State {
    fn ids(&self) -> Vec<RequestId> {
        self.open.keys().cloned().collect()
    }

    /// Takes a request out: whoever gets it decides how it ends.
    fn remove(&mut self, id: &RequestId) -> Option<Entry> {
        let (id, entry) = self.open.remove_entry(id)?;
        if let Some(timer) = entry.timer {
            self.timers.disarm(timer);
        }
        if self.finished.len() == REMEMBERED {
            self.finished.pop_front();
        }
        self.finished.push_back(id);
        Some(entry)
    }

    /// Tells the provider to stop, and remembers to wait for its word.
    fn tell(
        &mut self,
        id: &RequestId,
        stream: bool,
        by: AbortBy,
        reason: Option<&str>,
        limits: &MapLimits,
    ) {
        let event = CallEvent::Aborted(CallAborted::new(id.clone(), by, reason));
        let told = self
            .sink
            .as_ref()
            .is_some_and(|sink| sink.push(event).is_ok());
        self.confirmations
            .told(id, stream, told, now(), limits.confirm);
    }
}

/// The event that asks.
fn requested(request: Request, entry: &Entry, skew_ms: i64) -> CallRequested {
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let timeout_ms = request.timeout.map(millis);
    #[expect(
        clippy::cast_precision_loss,
        reason = "milliseconds since 1970 fit into 53 bits for the next 280,000 years"
    )]
    let deadline = timeout_ms.map(|timeout| now_ms() as f64 + skew_ms as f64 + timeout as f64);
    CallRequested {
        request_id: request.request_id,
        operation_id: request.operation_id,
        input: Some(request.input),
        parent_request_id: request.parent_request_id,
        deadline,
        timeout_ms,
        idle_timeout: request.idle_timeout.map(millis),
        identity: request.identity,
        metadata: request.metadata,
        resume_after: request.resume_after,
        credit: entry.first_credit(),
    }
}

fn closed(id: &RequestId, why: CloseReason, started: bool) -> CallError {
    match why {
        CloseReason::ProviderLost => CallError::provider_lost(started),
        CloseReason::Shutdown => CallError::unavailable("the connection is being closed"),
        CloseReason::Aborted(by) => CallError::aborted(id, by),
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
