//! The hub's end of its spokes: one link a spoke, which outlives a lost connection for a while.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use alkhub_operations::protocol::{CallMap, CloseReason, EventSink};
use alkhub_operations::{AbortBy, RequestId};
use alkhub_storage::ids::SpokeId;
use alkhub_storage::time::DateTimeUtc;
use tokio::sync::watch;
use uuid::Uuid;

use crate::live::Confirmation;

/// Weight of the newest latency in the moving average, as a divisor.
const SMOOTHING: u64 = 8;

/// A spoke as calls see it.
pub(crate) struct SpokeLink {
    pub(crate) id: SpokeId,
    /// The calls it works on. It stays when the connection is lost, until the grace is over.
    pub(crate) map: Arc<CallMap>,
    /// Which connection it has, if any.
    connection: watch::Sender<Option<Uuid>>,
    in_flight: AtomicU32,
    limit: AtomicU32,
    latency_us: AtomicU64,
    draining: AtomicBool,
    labels: Mutex<BTreeMap<String, String>>,
    /// Sign of life and clock, for the views.
    pub(crate) seen: SignOfLife,
}

/// What the heartbeats tell.
#[derive(Debug, Default)]
pub(crate) struct SignOfLife {
    /// Milliseconds since 1970.
    at_ms: AtomicU64,
    /// Its clock minus ours, in ms.
    skew_ms: std::sync::atomic::AtomicI64,
}

impl SignOfLife {
    /// Notes one.
    pub(crate) fn note(&self, now_ms: u64, skew_ms: Option<i64>) {
        self.at_ms.store(now_ms, Ordering::Relaxed);
        if let Some(skew_ms) = skew_ms {
            self.skew_ms.store(skew_ms, Ordering::Relaxed);
        }
    }

    /// When it last gave one.
    pub(crate) fn at(&self) -> Option<DateTimeUtc> {
        let ms = i64::try_from(self.at_ms.load(Ordering::Relaxed)).ok()?;
        chrono::DateTime::from_timestamp_millis(ms)
    }

    /// Its clock minus ours, in ms.
    pub(crate) fn skew_ms(&self) -> i64 {
        self.skew_ms.load(Ordering::Relaxed)
    }
}

impl SpokeLink {
    /// A link over a connection.
    pub(crate) fn new(id: SpokeId, map: Arc<CallMap>, connection: Uuid, limit: u32) -> Self {
        Self {
            id,
            map,
            connection: watch::Sender::new(Some(connection)),
            in_flight: AtomicU32::new(0),
            limit: AtomicU32::new(limit),
            latency_us: AtomicU64::new(0),
            draining: AtomicBool::new(false),
            labels: Mutex::default(),
            seen: SignOfLife::default(),
        }
    }

    /// True while it has a connection.
    pub(crate) fn connected(&self) -> bool {
        self.connection.borrow().is_some()
    }

    /// The connection it has.
    pub(crate) fn connection(&self) -> Option<Uuid> {
        *self.connection.borrow()
    }

    /// Ends when the connection it has now is lost.
    pub(crate) async fn lost(&self) {
        let mut connection = self.connection.subscribe();
        // The sender lives as long as the link.
        let _gone = connection.wait_for(Option::is_none).await;
    }

    /// The connection is lost: calls stay, nothing is sent. False when it had another one by then.
    pub(crate) fn disconnect(&self, connection: Uuid) -> bool {
        let lost = self.connection.send_if_modified(|current| {
            let mine = *current == Some(connection);
            if mine {
                *current = None;
            }
            mine
        });
        if lost {
            self.map.detach();
        }
        lost
    }

    /// It is back, over another connection.
    pub(crate) fn reconnect(&self, connection: Uuid, sink: Arc<dyn EventSink>, limit: u32) {
        self.map.attach(sink);
        self.limit.store(limit, Ordering::Relaxed);
        self.connection.send_replace(Some(connection));
    }

    /// It did not come back in time: its calls are lost.
    pub(crate) fn give_up(&self) {
        self.map.close(CloseReason::ProviderLost);
    }

    /// Takes one of its places, if one is free.
    pub(crate) fn take_place(self: &Arc<Self>) -> Option<Place> {
        let limit = self.limit.load(Ordering::Relaxed);
        self.in_flight
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |taken| {
                (taken < limit).then_some(taken + 1)
            })
            .is_ok()
            .then(|| Place {
                link: Arc::clone(self),
                since: Instant::now(),
            })
    }

    /// Share of its places that is taken.
    pub(crate) fn load(&self) -> f64 {
        f64::from(self.in_flight()) / f64::from(self.limit().max(1))
    }

    /// Calls it works on.
    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Calls it works on at most.
    pub(crate) fn limit(&self) -> u32 {
        self.limit.load(Ordering::Relaxed)
    }

    /// Changes how many calls it works on at most.
    pub(crate) fn set_limit(&self, limit: u32) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// Moving average of the time its calls take.
    pub(crate) fn latency(&self) -> Duration {
        Duration::from_micros(self.latency_us.load(Ordering::Relaxed))
    }

    /// True when it gets no new calls.
    pub(crate) fn draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Whether it gets new calls.
    pub(crate) fn set_draining(&self, draining: bool) {
        self.draining.store(draining, Ordering::Relaxed);
    }

    /// Replaces what it can be chosen by.
    pub(crate) fn set_labels(&self, labels: BTreeMap<String, String>) {
        *self.labels.lock().unwrap_or_else(PoisonError::into_inner) = labels;
    }

    /// True when it has all of these labels.
    pub(crate) fn has_labels(&self, wanted: &BTreeMap<String, String>) -> bool {
        let labels = self.labels.lock().unwrap_or_else(PoisonError::into_inner);
        wanted
            .iter()
            .all(|(name, value)| labels.get(name) == Some(value))
    }

    /// Tells it to stop a call.
    pub(crate) fn abort(&self, key: &str, by: AbortBy, reason: Option<&str>) -> Confirmation {
        let Ok(request_id) = RequestId::new(key) else {
            return Confirmation::Here;
        };
        if !self.connected() {
            self.map.abort(&request_id, by, reason.map(str::to_owned));
            return Confirmation::Unreachable {
                spoke: self.id.clone(),
            };
        }
        if self.map.abort(&request_id, by, reason.map(str::to_owned)) {
            Confirmation::Told {
                spoke: self.id.clone(),
                answer: Box::pin(self.map.aborted(&request_id)),
            }
        } else {
            // It has not been sent yet, so nobody has to be told.
            Confirmation::Here
        }
    }
}

/// A place on a spoke, taken by a call until this is dropped.
pub(crate) struct Place {
    pub(crate) link: Arc<SpokeLink>,
    since: Instant,
}

impl Place {
    /// The call was answered: its time counts for the choice of the next.
    pub(crate) fn answered(&self) {
        let took = u64::try_from(self.since.elapsed().as_micros()).unwrap_or(u64::MAX);
        let before = self.link.latency_us.load(Ordering::Relaxed);
        let average = if before == 0 {
            took
        } else {
            before - before / SMOOTHING + took / SMOOTHING
        };
        self.link.latency_us.store(average, Ordering::Relaxed);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.link.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The links of this process, by spoke.
#[derive(Default)]
pub(crate) struct Links(Mutex<HashMap<SpokeId, Arc<SpokeLink>>>);

impl Links {
    fn lock(&self) -> MutexGuard<'_, HashMap<SpokeId, Arc<SpokeLink>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The link of a spoke that is connected, or was a moment ago.
    pub(crate) fn get(&self, id: &SpokeId) -> Option<Arc<SpokeLink>> {
        self.lock().get(id).cloned()
    }

    /// All links now.
    pub(crate) fn all(&self) -> Vec<Arc<SpokeLink>> {
        self.lock().values().cloned().collect()
    }

    /// A spoke that was not here.
    pub(crate) fn enter(&self, link: &Arc<SpokeLink>) {
        self.lock().insert(link.id.clone(), Arc::clone(link));
    }

    /// A spoke that did not come back. False when it did, or is gone already.
    pub(crate) fn leave(&self, link: &Arc<SpokeLink>) -> bool {
        let mut links = self.lock();
        let same = links
            .get(&link.id)
            .is_some_and(|known| Arc::ptr_eq(known, link) && !link.connected());
        if same {
            links.remove(&link.id);
        }
        same
    }
}
