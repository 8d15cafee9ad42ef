//! The calls under way in this process: who runs what, under whom, and how all of it is stopped.
//!
//! One lock holds the whole forest, so that the first transition of a call wins, a new child is either
//! among those an abort collects or is refused, and nothing starts below an aborted call. Nothing is
//! awaited under the lock. A call leaves the forest when it is over, recorded, and nothing below it is
//! left.

mod cascade;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use alkhub_operations::{AbortBy, CallError};
use alkhub_storage::enums::CallStatus;
use alkhub_storage::ids::AccountId;
use serde_json::json;
use tokio_util::sync::CancellationToken;

pub(crate) use cascade::{Collected, Confirmation, Fate, Policy, Top};

use crate::auth::{Credential, Principal};
use crate::links::SpokeLink;

/// The id a call is recorded under, a UUID as text.
pub(crate) type CallKey = String;

/// What does not change of a call under way.
pub(crate) struct LiveCall {
    pub(crate) key: CallKey,
    pub(crate) operation: String,
    pub(crate) account: Option<AccountId>,
    /// On whose behalf it runs; calls made inside of it run for the same.
    pub(crate) principal: Option<Arc<Principal>>,
    pub(crate) credential: Credential,
    pub(crate) parent: Option<CallKey>,
    /// 1 is outermost.
    pub(crate) depth: u32,
    pub(crate) deadline: Option<Instant>,
    pub(crate) project: Option<String>,
    /// False for operations that leave no record.
    pub(crate) recorded: bool,
    /// Survives the abort of its ancestors once it runs.
    pub(crate) continue_running: bool,
    /// Fires when the call is aborted or its time is over; what runs it stops then.
    pub(crate) token: CancellationToken,
    /// Fires when its end is recorded.
    pub(crate) settled: CancellationToken,
}

/// Where a call runs.
#[derive(Clone)]
pub(crate) enum Executor {
    /// Nowhere yet.
    None,
    /// In this process, or at a service this process calls.
    Here,
    /// On a spoke.
    Spoke(Arc<SpokeLink>),
}

/// Why a call was stopped from outside.
#[derive(Debug, Clone)]
pub(crate) struct Stop {
    pub(crate) by: AbortBy,
    pub(crate) reason: Option<String>,
}

/// How a call ended, when somebody else was first.
#[derive(Debug, Clone)]
pub(crate) enum Ended {
    /// Nobody was first: the transition asked for has been made.
    Now,
    /// It had been aborted.
    Aborted(Stop),
    /// Its time was over, or an ancestor's.
    TimedOut,
    /// It was over otherwise.
    Over,
}

struct Node {
    call: Arc<LiveCall>,
    status: CallStatus,
    executor: Executor,
    stop: Option<Stop>,
    timed_out: bool,
    recorded: bool,
    /// Place among its siblings.
    number: u64,
    /// In the order of their requests.
    children: BTreeMap<u64, CallKey>,
}

impl Node {
    fn open(&self) -> bool {
        matches!(self.status, CallStatus::Pending | CallStatus::Running)
    }

    fn ended(&self) -> Ended {
        match (&self.stop, self.timed_out) {
            (Some(stop), _) => Ended::Aborted(stop.clone()),
            (None, true) => Ended::TimedOut,
            (None, false) => Ended::Over,
        }
    }
}

/// The forest of calls under way.
#[derive(Default)]
pub(crate) struct LiveCalls {
    nodes: Mutex<HashMap<CallKey, Node>>,
    numbers: AtomicU64,
}

impl LiveCalls {
    fn lock(&self) -> MutexGuard<'_, HashMap<CallKey, Node>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a call in, below its parent.
    ///
    /// # Errors
    /// `ABORTED` when the parent has been aborted, `VALIDATION_ERROR` rule `parent` when it is over or
    /// not here, `CONFLICT` rule `request_id` when the id is under way.
    pub(crate) fn enter(&self, call: Arc<LiveCall>) -> Result<(), CallError> {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let mut nodes = self.lock();
        if nodes.contains_key(&call.key) {
            return Err(CallError::conflict(
                "request_id",
                "a call with this request id is under way",
            ));
        }
        if let Some(parent) = &call.parent {
            let node = nodes.get_mut(parent).ok_or_else(unknown_parent)?;
            if let Some(stop) = &node.stop {
                return Err(aborted(&call.key, stop));
            }
            if !node.open() {
                return Err(unknown_parent());
            }
            node.children.insert(number, call.key.clone());
        }
        let node = Node {
            status: CallStatus::Pending,
            executor: Executor::None,
            stop: None,
            timed_out: false,
            recorded: false,
            number,
            children: BTreeMap::new(),
            call: Arc::clone(&call),
        };
        nodes.insert(call.key.clone(), node);
        Ok(())
    }

    /// The call with this id, open or over, while it is in the forest.
    pub(crate) fn get(&self, key: &str) -> Option<Arc<LiveCall>> {
        self.lock().get(key).map(|node| Arc::clone(&node.call))
    }

    /// Why the call with this id was stopped, if it was and is still in the forest.
    pub(crate) fn stop_of(&self, key: &str) -> Option<Stop> {
        self.lock().get(key)?.stop.clone()
    }

    /// The open call that this spoke is executing under this id.
    pub(crate) fn executed_by(&self, key: &str, link: &SpokeLink) -> Option<Arc<LiveCall>> {
        let nodes = self.lock();
        let node = nodes.get(key)?;
        match &node.executor {
            Executor::Spoke(executor) if executor.id == link.id => Some(Arc::clone(&node.call)),
            _ => None,
        }
    }

    /// A call begins to run there; `send` is what lets it begin, and must not block. An abort comes
    /// either before it or after it, never in between.
    ///
    /// # Errors
    /// How the call ended before.
    pub(crate) fn run<T>(
        &self,
        key: &str,
        executor: Executor,
        send: impl FnOnce() -> T,
    ) -> Result<T, Ended> {
        let mut nodes = self.lock();
        match nodes.get_mut(key) {
            Some(node) if node.open() => {
                node.status = CallStatus::Running;
                node.executor = executor;
                Ok(send())
            }
            Some(node) => Err(node.ended()),
            None => Err(Ended::Over),
        }
    }

    /// True when the call was sent to a spoke.
    pub(crate) fn on_spoke(&self, key: &str) -> bool {
        self.lock()
            .get(key)
            .is_some_and(|node| matches!(node.executor, Executor::Spoke(_)))
    }

    /// A call ends by itself. Only when this answers [`Ended::Now`] is its outcome the call's.
    pub(crate) fn finish(&self, key: &str, status: CallStatus) -> Ended {
        let mut nodes = self.lock();
        match nodes.get_mut(key) {
            Some(node) if node.open() => {
                node.status = status;
                Ended::Now
            }
            Some(node) => node.ended(),
            None => Ended::Over,
        }
    }

    /// The end of a call is recorded, or it leaves no record.
    pub(crate) fn settle(&self, key: &str) {
        let mut nodes = self.lock();
        let Some(node) = nodes.get_mut(key) else {
            return;
        };
        node.recorded = true;
        node.call.settled.cancel();
        remove_what_is_over(&mut nodes, key);
    }

    /// The open calls that fit, in no order.
    pub(crate) fn open_calls(&self, fits: impl Fn(&LiveCall, &Executor) -> bool) -> Vec<CallKey> {
        self.lock()
            .values()
            .filter(|node| node.open() && fits(&node.call, &node.executor))
            .map(|node| node.call.key.clone())
            .collect()
    }

    /// The nearest ancestor that leaves a record, and the operations between that do not.
    pub(crate) fn recorded_ancestor(&self, parent: &str) -> (Option<CallKey>, Vec<String>) {
        let nodes = self.lock();
        let mut between = Vec::new();
        let mut next = Some(parent);
        while let Some(node) = next.and_then(|key| nodes.get(key)) {
            if node.call.recorded {
                return (Some(node.call.key.clone()), between);
            }
            between.push(node.call.operation.clone());
            next = node.call.parent.as_deref();
        }
        (None, between)
    }
}

/// Takes a call out of the forest once it is over, recorded and without anything below; then its
/// parent, for which this may have been the last.
fn remove_what_is_over(nodes: &mut HashMap<CallKey, Node>, key: &str) {
    let mut next = Some(key.to_owned());
    while let Some(key) = next.take() {
        let over = nodes
            .get(&key)
            .is_some_and(|node| !node.open() && node.recorded && node.children.is_empty());
        if !over {
            return;
        }
        let Some(gone) = nodes.remove(&key) else {
            return;
        };
        let Some(parent) = gone.call.parent.clone() else {
            return;
        };
        if let Some(node) = nodes.get_mut(&parent) {
            node.children.remove(&gone.number);
            next = Some(parent);
        }
    }
}

/// The error of a call that was stopped.
pub(crate) fn aborted(key: &str, stop: &Stop) -> CallError {
    let error = CallError::aborted(key, stop.by);
    match &stop.reason {
        Some(reason) => error.with_details(json!({ "by": stop.by, "reason": reason })),
        None => error,
    }
}

fn unknown_parent() -> CallError {
    CallError::validation_rule(
        "parent",
        "parentRequestId names no open call that this connection is executing",
    )
}
