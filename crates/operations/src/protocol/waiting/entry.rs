//! One open request.

use std::time::{Duration, Instant};

use super::super::slot::Slot;
use super::super::sync::Arc;
use super::super::timers::TimerKey;
use super::super::{MapLimits, ProgressSink, Request, now};

/// Items that were asked for may take more room than others, for their sender kept the rules.
const ASKED_FOR_FACTOR: usize = 4;

/// An open request.
pub(super) struct Entry {
    pub(super) slot: Arc<Slot>,
    pub(super) timer: Option<TimerKey>,
    pub(super) progress: Option<ProgressSink>,
    pub(super) stream: Option<Stream>,
    deadline: Option<Instant>,
}

/// What a subscription has beside.
pub(super) struct Stream {
    /// Number of the item that is due.
    pub(super) next_seq: u64,
    idle: Option<Duration>,
    /// When the last item came, or was asked for again.
    active: Instant,
    /// Items that the provider may still send unasked.
    outstanding: u64,
    first_credit: u64,
    /// Since when the provider waits for the consumer.
    blocked: Option<Instant>,
    /// Items came for which there was no room: the stream cannot go on behind what waits.
    pub(super) lost: bool,
}

/// Why an entry ends when its timer goes off.
pub(super) enum Due {
    Deadline,
    Idle(Duration),
    Slow,
}

impl Entry {
    pub(super) fn new(
        request: &Request,
        subscription: bool,
        slot: Arc<Slot>,
        limits: &MapLimits,
    ) -> Self {
        let started = now();
        let stream = subscription.then(|| {
            let first_credit = request.credit.unwrap_or_else(|| slot.window(limits));
            Stream {
                next_seq: request.resume_after.unwrap_or(0).saturating_add(1),
                idle: request.idle_timeout,
                active: started,
                outstanding: first_credit,
                first_credit,
                blocked: None,
                lost: false,
            }
        });
        Self {
            slot,
            timer: None,
            progress: request.progress.clone(),
            stream,
            deadline: request.timeout.and_then(|time| started.checked_add(time)),
        }
    }

    /// What the request says of credit.
    pub(super) fn first_credit(&self) -> Option<u64> {
        self.stream.as_ref().map(|stream| stream.first_credit)
    }

    /// Until its deadline.
    pub(super) fn time_left(&self) -> Option<Duration> {
        self.deadline
            .map(|deadline| deadline.saturating_duration_since(now()))
    }

    /// Takes an item of the stream in, unless there is no room for it.
    pub(super) fn admit(&mut self, weight: usize, limits: &MapLimits) -> bool {
        let Some(stream) = &mut self.stream else {
            return true;
        };
        let (items, bytes) = self.slot.waiting();
        let asked_for = stream.outstanding > 0;
        stream.outstanding = stream.outstanding.saturating_sub(1);
        stream.active = now();
        let room = if asked_for {
            limits.buffer_bytes.saturating_mul(ASKED_FOR_FACTOR)
        } else {
            limits.buffer_bytes
        };
        // One item is always taken, whatever its size.
        let fits = items == 0 || (items < limits.buffer_items && bytes + weight <= room);
        stream.lost |= !fits;
        if stream.outstanding == 0 || stream.lost {
            stream.blocked.get_or_insert(stream.active);
        }
        fits
    }

    /// Credit to give after an item was taken.
    pub(super) fn credit(&mut self, limits: &MapLimits) -> Option<u64> {
        let window = self.slot.window(limits);
        let waiting = self.slot.waiting().0 as u64;
        let stream = self.stream.as_mut()?;
        if stream.lost {
            return None;
        }
        let add = window.saturating_sub(stream.outstanding.saturating_add(waiting));
        // A frame for each item would double their number.
        if add == 0 || (add * 2 < window && stream.outstanding > 0) {
            return None;
        }
        stream.outstanding = stream.outstanding.saturating_add(add);
        if stream.blocked.take().is_some() {
            stream.active = now();
        }
        Some(add)
    }

    /// Credit to give on a new socket.
    pub(super) fn credit_anew(&mut self, limits: &MapLimits) -> Option<u64> {
        self.stream.as_mut()?.outstanding = 0;
        self.credit(limits)
    }

    /// Items are missing, and the consumer has reached the place.
    pub(super) fn is_drained_of_lost(&self) -> bool {
        self.stream.as_ref().is_some_and(|stream| stream.lost) && self.slot.waiting().0 == 0
    }

    /// When to look at it again.
    pub(super) fn next_due(&self, slow: Duration) -> Option<Instant> {
        let idle = self.stream.as_ref().and_then(Stream::idle_at);
        let slow = self.stream.as_ref().and_then(|stream| stream.slow_at(slow));
        [self.deadline, idle, slow].into_iter().flatten().min()
    }

    /// Is it over by now?
    pub(super) fn due(&self, now: Instant, slow: Duration) -> Option<Due> {
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            return Some(Due::Deadline);
        }
        let stream = self.stream.as_ref()?;
        if stream.slow_at(slow).is_some_and(|at| at <= now) {
            return Some(Due::Slow);
        }
        match stream.idle {
            Some(idle) if stream.idle_at().is_some_and(|at| at <= now) => Some(Due::Idle(idle)),
            _ => None,
        }
    }
}

impl Stream {
    /// When it is too long without an item. A provider that may not send is not silent.
    fn idle_at(&self) -> Option<Instant> {
        match self.blocked {
            Some(_) => None,
            None => self.active.checked_add(self.idle?),
        }
    }

    fn slow_at(&self, slow: Duration) -> Option<Instant> {
        self.blocked?.checked_add(slow)
    }
}
