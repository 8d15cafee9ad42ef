//! Where the answers of one request wait for whoever asked.

use std::collections::VecDeque;
use std::task::{Poll, Waker};

use super::sync::{Mutex, lock};
use super::{CallError, Envelope, MapLimits};

/// Largest window of items, and the first one, before anything is known of their size.
const FIRST_WINDOW: u64 = 16;

/// Answers between the map, which puts them in, and the consumer, who takes them out.
pub(super) struct Slot {
    state: Mutex<Inside>,
}

struct Inside {
    items: VecDeque<(Envelope, usize)>,
    bytes: usize,
    /// Items that ever came, and their bytes, for the average.
    seen: u64,
    seen_bytes: u64,
    end: Option<End>,
    waker: Option<Waker>,
}

/// How it ended; an error is told once.
enum End {
    Complete,
    Failed(Option<CallError>),
}

impl Slot {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(Inside {
                items: VecDeque::new(),
                bytes: 0,
                seen: 0,
                seen_bytes: 0,
                end: None,
                waker: None,
            }),
        }
    }

    /// Puts an item in. The waker is to be woken once no lock is held.
    pub(super) fn push(&self, envelope: Envelope, weight: usize) -> Option<Waker> {
        let mut inside = lock(&self.state);
        if inside.end.is_some() {
            return None;
        }
        inside.bytes += weight;
        inside.seen += 1;
        inside.seen_bytes += weight as u64;
        inside.items.push_back((envelope, weight));
        inside.waker.take()
    }

    /// The one answer of a call, which is also its end.
    pub(super) fn answer(&self, envelope: Envelope) -> Option<Waker> {
        let mut inside = lock(&self.state);
        if inside.end.is_some() {
            return None;
        }
        inside.items.push_back((envelope, 0));
        inside.end = Some(End::Complete);
        inside.waker.take()
    }

    /// Ends it; what waits in it can still be taken, unless it is dropped here.
    pub(super) fn end(&self, outcome: Result<(), CallError>, keep_items: bool) -> Option<Waker> {
        let mut inside = lock(&self.state);
        if inside.end.is_some() {
            return None;
        }
        if !keep_items {
            inside.items = VecDeque::new();
            inside.bytes = 0;
        }
        inside.end = Some(match outcome {
            Ok(()) => End::Complete,
            Err(error) => End::Failed(Some(error)),
        });
        inside.waker.take()
    }

    /// The next item; `None` once all is told.
    pub(super) fn poll(&self, waker: &Waker) -> Poll<Option<Result<Envelope, CallError>>> {
        let mut inside = lock(&self.state);
        if let Some((envelope, weight)) = inside.items.pop_front() {
            inside.bytes -= weight;
            return Poll::Ready(Some(Ok(envelope)));
        }
        match &mut inside.end {
            Some(End::Complete | End::Failed(None)) => Poll::Ready(None),
            Some(End::Failed(error)) => Poll::Ready(error.take().map(Err)),
            None => {
                if !inside
                    .waker
                    .as_ref()
                    .is_some_and(|old| old.will_wake(waker))
                {
                    inside.waker = Some(waker.clone());
                }
                Poll::Pending
            }
        }
    }

    /// Has it ended? The end may not be taken yet.
    pub(super) fn ended(&self) -> bool {
        lock(&self.state).end.is_some()
    }

    /// Items that wait, and their bytes.
    pub(super) fn waiting(&self) -> (usize, usize) {
        let inside = lock(&self.state);
        (inside.items.len(), inside.bytes)
    }

    /// How many items may be under way or waiting: as many as fit, by their average size.
    pub(super) fn window(&self, limits: &MapLimits) -> u64 {
        let inside = lock(&self.state);
        let most = limits.buffer_items as u64;
        let average = inside.seen_bytes.checked_div(inside.seen);
        match average {
            None => most.min(FIRST_WINDOW),
            Some(average) => (limits.buffer_bytes as u64 / average.max(1)).clamp(1, most),
        }
    }
}
