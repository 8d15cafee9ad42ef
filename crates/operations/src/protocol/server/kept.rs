//! What was sent and may have to be sent again.

use std::collections::{HashMap, VecDeque};

use super::super::weight::weight;
use super::EventSink;
use crate::events::CallEvent;
use crate::request_id::RequestId;

/// Most events that are kept; the oldest go first.
const MOST: usize = 4096;

/// Bytes of kept events, about; the oldest go first.
const MOST_BYTES: usize = 32 * 1024 * 1024;

/// Events that the peer has not acknowledged, each with its number.
#[derive(Default)]
pub(super) struct Kept {
    events: VecDeque<Sent>,
    /// How many events are kept of a request: each request that arrives is looked up here.
    of: HashMap<RequestId, usize>,
    bytes: usize,
    sent: u64,
}

struct Sent {
    number: u64,
    weight: usize,
    event: CallEvent,
}

impl Kept {
    /// Keeps answers and ends. That a handler stopped is known to the peer by its absence from what
    /// runs.
    pub(super) fn keep(&mut self, event: &CallEvent) {
        if !matches!(
            event,
            CallEvent::Responded(_) | CallEvent::Completed(_) | CallEvent::Failed(_)
        ) {
            return;
        }
        self.sent += 1;
        let weight = match event {
            CallEvent::Responded(responded) => weight(&responded.output),
            _ => 256,
        };
        self.bytes += weight;
        *self.of.entry(event.request_id().clone()).or_default() += 1;
        self.events.push_back(Sent {
            number: self.sent,
            weight,
            event: event.clone(),
        });
        while self.events.len() > MOST || self.bytes > MOST_BYTES {
            self.drop_oldest();
        }
    }

    pub(super) fn mark(&self) -> u64 {
        self.sent
    }

    pub(super) fn acknowledge(&mut self, mark: u64) {
        while self.events.front().is_some_and(|it| it.number <= mark) {
            self.drop_oldest();
        }
    }

    pub(super) fn events(&self) -> Vec<CallEvent> {
        self.after(0)
    }

    pub(super) fn after(&self, mark: u64) -> Vec<CallEvent> {
        self.events
            .iter()
            .filter(|it| it.number > mark)
            .map(|it| it.event.clone())
            .collect()
    }

    /// Answers a repeated request with what it was answered before. False when nothing is kept of it.
    pub(super) fn send_again(&self, id: &RequestId, sink: Option<&dyn EventSink>) -> bool {
        if !self.of.contains_key(id) {
            return false;
        }
        let Some(sink) = sink else {
            return true;
        };
        let of_it = |it: &&Sent| it.event.request_id() == id;
        for it in self.events.iter().filter(of_it) {
            if sink.push(it.event.clone()).is_err() {
                break;
            }
        }
        true
    }

    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.events.pop_front() {
            self.bytes -= oldest.weight;
            let id = oldest.event.request_id();
            if let Some(count) = self.of.get_mut(id) {
                *count -= 1;
                if *count == 0 {
                    self.of.remove(id);
                }
            }
        }
    }
}
