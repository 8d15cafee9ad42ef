//! `hub.events`: what happened, as the audit trail names it, told after the commit.
//!
//! Whoever writes an audit entry makes an event: it is noted while a handler runs and told once the
//! handler has succeeded, so that nobody hears of what was rolled back.

mod watch;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use alkhub_storage::ids::{AccountId, OrganizationId};
use alkhub_storage::time::DateTimeUtc;
use tokio::sync::broadcast;

pub(crate) use watch::operations;

use crate::audit::{Action, Actor, Entry};

/// Events that are held for those who come back.
const HELD: usize = 10_000;
/// Events a watcher may be behind.
const BEHIND: usize = 4_096;
/// Topics that are nobody's business but the audit trail's.
const SILENT: [&str; 4] = ["auth.", "access.", "secret.", "audit."];

/// Something that happened.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    /// Place in the order of this process, from 1.
    pub(crate) seq: u64,
    pub(crate) at: DateTimeUtc,
    /// `<entity>.<event>`.
    pub(crate) topic: String,
    pub(crate) organization: Option<OrganizationId>,
    pub(crate) project: Option<String>,
    /// Type and id of the row.
    pub(crate) entity: Option<(String, String)>,
    /// What changed, in one word.
    pub(crate) change: String,
    pub(crate) by: AccountId,
}

impl Event {
    fn of(actor: &Actor, action: Action, entry: &Entry) -> Option<Self> {
        let topic: &'static str = action.into();
        if SILENT.iter().any(|silent| topic.starts_with(silent)) {
            return None;
        }
        let change = topic.rsplit('.').next().unwrap_or(topic);
        let entity = entry
            .target
            .as_ref()
            .map(|(kind, id, _)| ((*kind).to_owned(), id.clone()));
        let own_project = entity
            .as_ref()
            .filter(|(kind, _)| kind == "project")
            .map(|(_, id)| id.clone());
        Some(Self {
            seq: 0,
            at: alkhub_storage::time::now(),
            topic: topic.to_owned(),
            organization: entry.organization.clone(),
            project: entry.project.clone().or(own_project),
            entity,
            change: change.to_owned(),
            by: actor.account.clone(),
        })
    }
}

tokio::task_local! {
    /// What the handler of this task has done so far.
    static NOTED: RefCell<Vec<Event>>;
}

/// Notes an event of the transaction that is being written. Outside of a handler nothing is noted;
/// whoever writes there tells it with [`News::tell`].
pub(crate) fn note(actor: &Actor, action: Action, entry: &Entry) {
    if let Some(event) = Event::of(actor, action, entry) {
        let _outside_of_a_handler = NOTED.try_with(|noted| noted.borrow_mut().push(event));
    }
}

/// Runs a handler; what it noted is told when it succeeds.
pub(crate) async fn noting<T, E>(
    news: &News,
    handler: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    NOTED
        .scope(RefCell::default(), async {
            let outcome = handler.await;
            if outcome.is_ok() {
                let noted = NOTED.with(RefCell::take);
                news.publish(noted);
            }
            outcome
        })
        .await
}

/// The events that were missed, and those that follow.
type Since = (Vec<Arc<Event>>, broadcast::Receiver<Arc<Event>>);

/// The events of this process.
pub(crate) struct News {
    sender: broadcast::Sender<Arc<Event>>,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    last: u64,
    events: VecDeque<Arc<Event>>,
}

impl Default for News {
    fn default() -> Self {
        Self {
            sender: broadcast::Sender::new(BEHIND),
            held: Mutex::default(),
        }
    }
}

impl News {
    /// Tells of what was written outside of a handler; call it after the commit.
    pub(crate) fn tell(&self, actor: &Actor, action: Action, entry: &Entry) {
        self.publish(Event::of(actor, action, entry).into_iter().collect());
    }

    fn publish(&self, events: Vec<Event>) {
        if events.is_empty() {
            return;
        }
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        for mut event in events {
            held.last += 1;
            event.seq = held.last;
            let event = Arc::new(event);
            if held.events.len() == HELD {
                held.events.pop_front();
            }
            held.events.push_back(Arc::clone(&event));
            // Without a watcher there is nobody to tell.
            let _nobody = self.sender.send(event);
        }
    }

    /// Events from now on.
    fn subscribe(&self) -> broadcast::Receiver<Arc<Event>> {
        self.sender.subscribe()
    }

    /// The events after `since` as far as they are held, and all that follow; none when it is too old.
    fn after(&self, since: u64) -> Option<Since> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = held.events.front().map_or(held.last + 1, |event| event.seq);
        if since > held.last || since + 1 < oldest {
            return None;
        }
        let missed = held
            .events
            .iter()
            .filter(|event| event.seq > since)
            .cloned()
            .collect();
        Some((missed, self.sender.subscribe()))
    }
}
