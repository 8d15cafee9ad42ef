//! Calls that wait for a busy provider, in the order they came.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use alkhub_operations::{CallError, ErrorCode};
use serde_json::json;
use tokio::sync::Notify;

use super::{Asked, Choice, Route, choose};
use crate::state::State;

/// Who waits, by ticket.
#[derive(Default)]
pub(crate) struct Queue(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    next: u64,
    tickets: BTreeMap<u64, (String, Arc<Notify>)>,
}

impl Queue {
    /// A place on a provider became free: the first who waits for something it offers tries again.
    pub(crate) fn wake(&self, offers: impl Fn(&str) -> bool) {
        let waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, first)) = waiting
            .tickets
            .values()
            .find(|(operation, _)| offers(operation))
        {
            first.notify_one();
        }
    }

    /// Everybody tries again: a provider came, went or changed.
    pub(crate) fn wake_all(&self) {
        let waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, waiter) in waiting.tickets.values() {
            waiter.notify_one();
        }
    }

    /// True when nobody waits.
    pub(crate) fn is_empty(&self) -> bool {
        let waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.tickets.is_empty()
    }

    fn enter(&self, operation: &str, most: usize) -> Result<Ticket<'_>, CallError> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let ahead = waiting
            .tickets
            .values()
            .filter(|(waits_for, _)| waits_for == operation)
            .count();
        if ahead >= most {
            let message = format!("{ahead} calls of {operation} wait already");
            return Err(CallError::new(ErrorCode::RATE_LIMITED, message)
                .with_details(json!({ "rule": "queue", "retryAfterMs": 1_000 })));
        }
        let number = waiting.next;
        waiting.next += 1;
        let wake = Arc::new(Notify::new());
        waiting
            .tickets
            .insert(number, (operation.to_owned(), Arc::clone(&wake)));
        Ok(Ticket {
            queue: self,
            number,
            wake,
        })
    }
}

/// A place in the queue, given up when dropped.
struct Ticket<'a> {
    queue: &'a Queue,
    number: u64,
    wake: Arc<Notify>,
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut waiting = self.queue.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.tickets.remove(&self.number);
    }
}

/// Waits for a provider with a free place.
///
/// # Errors
/// `RATE_LIMITED` when too many wait already, `NO_PROVIDER` when nobody is left to wait for.
pub(crate) async fn wait(state: &State, asked: &Asked<'_>) -> Result<Route, CallError> {
    let most = state.config().dispatch.queue_per_operation;
    let ticket = state.queue.enter(asked.entry.id().as_str(), most)?;
    loop {
        // A place may have become free between the choice and the ticket.
        if let Choice::Route(route) = choose(state, asked, &[])? {
            drop(ticket);
            // There may be more than one free place, and only the first was woken.
            if !state.queue.is_empty() {
                state.queue.wake_all();
            }
            return Ok(route);
        }
        ticket.wake.notified().await;
    }
}
