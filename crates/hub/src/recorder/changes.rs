//! What the recorder has written, told to whoever watches.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use alkhub_storage::calls::NewCall;
use alkhub_storage::entity::call_graph_nodes::Model as Node;
use alkhub_storage::enums::CallStatus;
use alkhub_storage::ids::{AccountId, OperationId};
use alkhub_storage::time::DateTimeUtc;
use tokio::sync::broadcast;

/// Changes that are held for those who come back.
const HELD: usize = 10_000;
/// Changes a watcher may be behind.
const BEHIND: usize = 1_000;

/// A call whose record changed.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    /// Place in the order of commits of this process, from 1.
    pub(crate) seq: u64,
    pub(crate) request_id: String,
    pub(crate) parent: Option<String>,
    pub(crate) operation: OperationId,
    pub(crate) account: Option<AccountId>,
    pub(crate) project: Option<String>,
    pub(crate) status: CallStatus,
    pub(crate) at: DateTimeUtc,
}

impl Change {
    pub(super) fn of(call: &NewCall, status: CallStatus) -> Self {
        Self {
            seq: 0,
            request_id: call.request_id.clone(),
            parent: call.parent_request_id.clone(),
            operation: call.operation_id.clone(),
            account: call.caller_account_id.clone(),
            project: call
                .metadata
                .get("projectId")
                .and_then(serde_json::Value::as_str)
                .map(ToOwned::to_owned),
            status,
            at: alkhub_storage::time::now(),
        }
    }
}

impl Change {
    /// A row that was changed past the recorder.
    pub(crate) fn of_row(node: &Node, status: CallStatus, at: DateTimeUtc) -> Self {
        Self {
            seq: 0,
            request_id: node.request_id.clone(),
            parent: node.parent_request_id.clone(),
            operation: node.operation_id.clone(),
            account: node.caller_account_id.clone(),
            project: node.metadata.text("projectId").map(ToOwned::to_owned),
            status,
            at,
        }
    }
}

/// The changes that were missed, and those that follow.
type Since = (Vec<Arc<Change>>, broadcast::Receiver<Arc<Change>>);

/// The stream of changes of this process.
pub(crate) struct Changes {
    sender: broadcast::Sender<Arc<Change>>,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    last: u64,
    changes: VecDeque<Arc<Change>>,
}

impl Default for Changes {
    fn default() -> Self {
        Self {
            sender: broadcast::Sender::new(BEHIND),
            held: Mutex::default(),
        }
    }
}

impl Changes {
    /// Tells watchers; after the commit.
    pub(crate) fn publish(&self, changes: Vec<Change>) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        for mut change in changes {
            held.last += 1;
            change.seq = held.last;
            let change = Arc::new(change);
            if held.changes.len() == HELD {
                held.changes.pop_front();
            }
            held.changes.push_back(Arc::clone(&change));
            // Without a watcher there is nobody to tell.
            let _nobody = self.sender.send(change);
        }
    }

    /// The changes after `since`, as far as they are held, and all that follow. None when `since` is
    /// too old or of another process.
    pub(crate) fn after(&self, since: u64) -> Option<Since> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = held
            .changes
            .front()
            .map_or(held.last + 1, |change| change.seq);
        if since > held.last || since + 1 < oldest {
            return None;
        }
        let missed = held
            .changes
            .iter()
            .filter(|change| change.seq > since)
            .cloned()
            .collect();
        Some((missed, self.sender.subscribe()))
    }

    /// The changes from now on, and the number of the last one before.
    pub(crate) fn subscribe(&self) -> (u64, broadcast::Receiver<Arc<Change>>) {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        (held.last, self.sender.subscribe())
    }
}
