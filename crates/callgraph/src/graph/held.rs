//! Events that came before the request they belong to.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use alkhub_operations::RequestId;

use crate::event::CallEvent;
use crate::time::Timestamp;

/// Most ids for which events are held; the oldest go first.
pub const HELD_IDS: usize = 1_024;
/// How long they are held, by the times of the events.
pub const HELD_TIME: Duration = Duration::from_secs(60);
/// Most events that are held for one id; further ones are dropped.
const HELD_EVENTS: usize = 1_024;

#[derive(Debug, Clone, Default)]
pub(super) struct Held {
    events: HashMap<RequestId, Waiting>,
    /// By time of the first event; the number keeps two of one moment apart.
    by_age: BTreeMap<(Timestamp, u64), RequestId>,
    next: u64,
    /// The latest time any event had.
    now: Option<Timestamp>,
}

#[derive(Debug, Clone)]
struct Waiting {
    age: (Timestamp, u64),
    events: Vec<CallEvent>,
}

impl Held {
    /// Holds an event. Gives how many ids or events were dropped for it.
    pub(super) fn hold(&mut self, event: &CallEvent) -> usize {
        if let Some(waiting) = self.events.get_mut(&event.request_id) {
            if waiting.events.len() == HELD_EVENTS {
                return 1;
            }
            waiting.events.push(event.clone());
            return 0;
        }
        let age = (event.timestamp, self.next);
        self.next += 1;
        let waiting = Waiting {
            age,
            events: vec![event.clone()],
        };
        self.events.insert(event.request_id.clone(), waiting);
        self.by_age.insert(age, event.request_id.clone());
        let mut dropped = 0;
        while self.events.len() > HELD_IDS {
            dropped += self.drop_oldest();
        }
        dropped
    }

    /// What was held for an id, as it came.
    pub(super) fn take(&mut self, id: &RequestId) -> Vec<CallEvent> {
        match self.events.remove(id) {
            Some(waiting) => {
                self.by_age.remove(&waiting.age);
                waiting.events
            }
            None => Vec::new(),
        }
    }

    /// Drops what is older than [`HELD_TIME`]. Gives how many ids that were.
    pub(super) fn pass(&mut self, time: Timestamp) -> usize {
        let now = self.now.map_or(time, |now| now.max(time));
        self.now = Some(now);
        let mut dropped = 0;
        while let Some(((first, _), _)) = self.by_age.first_key_value()
            && now.since(*first) > HELD_TIME
        {
            dropped += self.drop_oldest();
        }
        dropped
    }

    pub(super) fn len(&self) -> usize {
        self.events.len()
    }

    fn drop_oldest(&mut self) -> usize {
        match self.by_age.pop_first() {
            Some((_, id)) => {
                self.events.remove(&id);
                1
            }
            None => 0,
        }
    }
}
