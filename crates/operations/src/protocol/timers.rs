//! When something is due. One queue and one task a connection, whatever is open in it.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Instant;

use tokio::sync::Notify;

use super::{RequestId, now};

/// Something that has timers.
pub(super) trait Expires: Send + Sync + 'static {
    /// Does what is due and says when to come again.
    fn expire(&self, now: Instant) -> Option<Instant>;
}

/// Where a timer stands in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TimerKey(Instant, u64);

impl TimerKey {
    /// When it is due.
    pub(super) fn at(self) -> Instant {
        self.0
    }
}

/// Requests by the time they are to be looked at.
#[derive(Default)]
pub(super) struct Timers {
    queue: BTreeMap<TimerKey, RequestId>,
    next: u64,
    /// When the driver will come by itself; `None` while it waits to be woken.
    driver_comes: Option<Instant>,
}

impl Timers {
    /// Puts a request into the queue. True when the driver must be woken, for it would come too late.
    pub(super) fn arm(&mut self, at: Instant, id: &RequestId) -> (TimerKey, bool) {
        let key = TimerKey(at, self.next);
        self.next += 1;
        self.queue.insert(key, id.clone());
        let late = self.driver_comes.is_none_or(|comes| at < comes);
        if late {
            self.driver_comes = Some(at);
        }
        (key, late)
    }

    /// Takes it out again.
    pub(super) fn disarm(&mut self, key: TimerKey) {
        self.queue.remove(&key);
    }

    /// The next request that is due.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<RequestId> {
        let entry = self.queue.first_entry()?;
        (entry.key().at() <= now).then(|| entry.remove())
    }

    /// When the driver has to come again; from now on it is believed to.
    pub(super) fn driver_sleeps(&mut self) -> Option<Instant> {
        self.driver_comes = self.queue.first_key_value().map(|(key, _)| key.at());
        self.driver_comes
    }
}

/// Lets timers go off until their owner is gone. The owner wakes it in its `Drop`; were it done by a
/// handle, the task would outlive an owner that others hold longer.
pub(super) async fn drive<T: Expires>(owner: Weak<T>, wake: Arc<Notify>) {
    loop {
        let Some(strong) = owner.upgrade() else {
            return;
        };
        let next = strong.expire(now());
        drop(strong);
        match next {
            Some(at) => tokio::select! {
                () = tokio::time::sleep_until(at.into()) => {}
                () = wake.notified() => {}
            },
            None => wake.notified().await,
        }
    }
}
