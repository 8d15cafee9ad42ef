//! Which aborts were confirmed: any last word of the provider after it was told to stop.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::RequestId;

/// Requests that were aborted lately.
#[derive(Default)]
pub(super) struct Confirmations {
    known: HashMap<RequestId, Aborted>,
    /// The same in the order of their time, oldest first.
    order: VecDeque<(Instant, RequestId)>,
}

/// What to wait for.
pub(in super::super) enum Told {
    /// The provider has confirmed, so long after it was told.
    Confirmed(Duration),
    /// It was told; its word comes here, unless it never does.
    Waiting(oneshot::Receiver<Duration>),
    /// It could not be told: there was no connection.
    Unreachable,
    /// Nothing of this id was aborted lately.
    Unknown,
}

/// What the provider says about a request that was aborted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// An answer: of a call its last word, of a subscription an item that was under way.
    Answer,
    /// An end.
    Last,
    /// How far it is.
    Progress,
}

struct Aborted {
    stream: bool,
    at: Instant,
    told: bool,
    confirmed: Option<Duration>,
    waiting: Vec<oneshot::Sender<Duration>>,
}

impl Confirmations {
    /// The provider was told to stop, or could not be.
    pub(super) fn told(
        &mut self,
        id: &RequestId,
        stream: bool,
        told: bool,
        now: Instant,
        keep: Duration,
    ) {
        self.forget(now, keep);
        let again = self.known.insert(
            id.clone(),
            Aborted {
                stream,
                at: now,
                told,
                confirmed: None,
                waiting: Vec::new(),
            },
        );
        if again.is_some() {
            self.order.retain(|(_, other)| other != id);
        }
        self.order.push_back((now, id.clone()));
    }

    /// An event arrived for the request. True when it was aborted lately.
    pub(super) fn heard(&mut self, id: &RequestId, word: Word, now: Instant) -> bool {
        let Some(aborted) = self.known.get_mut(id) else {
            return false;
        };
        let last = match word {
            Word::Last => true,
            Word::Answer => !aborted.stream,
            Word::Progress => false,
        };
        if last && aborted.confirmed.is_none() {
            let after = now.saturating_duration_since(aborted.at);
            aborted.confirmed = Some(after);
            for waiting in aborted.waiting.drain(..) {
                // Nobody waits any more: nobody needs to be told.
                let _unheard = waiting.send(after);
            }
        }
        true
    }

    pub(super) fn wait(&mut self, id: &RequestId) -> Told {
        match self.known.get_mut(id) {
            None => Told::Unknown,
            Some(Aborted { told: false, .. }) => Told::Unreachable,
            Some(Aborted {
                confirmed: Some(after),
                ..
            }) => Told::Confirmed(*after),
            Some(aborted) => {
                let (sender, receiver) = oneshot::channel();
                aborted.waiting.push(sender);
                Told::Waiting(receiver)
            }
        }
    }

    pub(super) fn knows(&self, id: &RequestId) -> bool {
        self.known.contains_key(id)
    }

    /// Drops what is too old; who still waits for it learns that nothing came.
    pub(super) fn forget(&mut self, now: Instant, keep: Duration) {
        while let Some((at, _)) = self.order.front() {
            if now.saturating_duration_since(*at) < keep {
                return;
            }
            if let Some((_, id)) = self.order.pop_front() {
                self.known.remove(&id);
            }
        }
    }
}
