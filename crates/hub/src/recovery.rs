//! What a former run left open: nothing of it stays `running`.
//!
//! What ran in the process is interrupted for certain. What ran on a spoke may still run there: it waits
//! for the spoke to come back and say so, for `calls.recoveryGrace`.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alkhub_operations::envelope::from_provider;
use alkhub_operations::record::{self as keep, Secrets};
use alkhub_operations::{AbortBy, CallError, CallEvent, ErrorCode, OperationType, RequestId};
use alkhub_storage::calls::{self, CallEnd};
use alkhub_storage::entity::call_graph_nodes::Model as Node;
use alkhub_storage::enums::CallStatus;
use alkhub_storage::ids::SpokeId;
use alkhub_storage::{Database, Engine, StorageError};
use serde_json::{Map, json};

use crate::links::SpokeLink;
use crate::state::{Instance, State};

/// Calls closed in one transaction.
const BATCH: u16 = 500;

/// Calls of a former run that spokes may still be working on.
#[derive(Default)]
pub(crate) struct Recovery(Mutex<HashMap<SpokeId, Left>>);

#[derive(Default)]
struct Left {
    /// Not heard of yet.
    waiting: HashSet<String>,
    /// The spoke has said that it works on it: its end will be recorded.
    adopted: HashSet<String>,
}

/// Ends every call that an earlier start of this process had open, as `INTERRUPTED`, but for those that
/// ran on a spoke. On SQLite there is only one process, so every open call is ours. Gives how many were
/// ended, and what waits for spokes.
///
/// # Errors
/// When the database fails.
pub(crate) async fn close_open_calls(
    database: &Database,
    instance: &Instance,
) -> Result<(u64, Recovery), StorageError> {
    let owner = match database.engine() {
        Engine::Sqlite => None,
        Engine::Postgres => Some(instance.id.to_string()),
    };
    let mut closed = 0;
    let mut left: HashMap<SpokeId, Left> = HashMap::new();
    let mut seen = HashSet::new();
    loop {
        let skip = u16::try_from(seen.len()).unwrap_or(u16::MAX);
        let limit = BATCH.saturating_add(skip);
        let open = calls::live_calls(database.reader(), owner.as_deref(), limit).await?;
        let fresh: Vec<&Node> = open
            .iter()
            .filter(|node| !seen.contains(&node.request_id))
            .collect();
        if fresh.is_empty() {
            return Ok((closed, Recovery(Mutex::new(left))));
        }
        let mut ends = Vec::with_capacity(fresh.len());
        for node in fresh {
            match (node.status, node.metadata.text("spokeId")) {
                (CallStatus::Running, Some(spoke)) => {
                    seen.insert(node.request_id.clone());
                    left.entry(SpokeId::from(spoke))
                        .or_default()
                        .waiting
                        .insert(node.request_id.clone());
                }
                _ => ends.push(interrupted(&node.request_id, node.status)),
            }
        }
        let transaction = database.begin().await?;
        calls::finish_calls(&transaction, &ends).await?;
        transaction.commit().await?;
        closed += u64::try_from(ends.len()).unwrap_or(u64::MAX);
    }
}

fn interrupted(request_id: &str, status: CallStatus) -> CallEnd {
    let (message, details) = match status {
        CallStatus::Pending => (
            "the hub process stopped before the call began",
            json!({ "started": false }),
        ),
        _ => (
            "the hub process that ran this call stopped",
            json!({ "started": true, "outcome": "unknown" }),
        ),
    };
    let error = CallError::new(ErrorCode::INTERRUPTED, message).with_details(details);
    failed(request_id, CallStatus::Failed, &error)
}

fn failed(request_id: &str, status: CallStatus, error: &CallError) -> CallEnd {
    CallEnd {
        request_id: request_id.to_owned(),
        status,
        output: None,
        error: Some(json!(error)),
        completed_at: alkhub_storage::time::now(),
        metadata: Map::new(),
    }
}

impl Recovery {
    fn lock(&self) -> MutexGuard<'_, HashMap<SpokeId, Left>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True when the end of this call is awaited from this spoke.
    pub(crate) fn expects(&self, spoke: &SpokeId, key: &str) -> bool {
        self.lock()
            .get(spoke)
            .is_some_and(|left| left.waiting.contains(key) || left.adopted.contains(key))
    }

    /// True when a call is here no more than in its record: it is over now, whatever a spoke says.
    pub(crate) fn forget(&self, key: &str) {
        for left in self.lock().values_mut() {
            left.waiting.remove(key);
            left.adopted.remove(key);
        }
    }

    /// Takes a spoke's answer to a call of a former run. False when it is none.
    pub(crate) async fn answered(&self, state: &State, spoke: &SpokeId, event: &CallEvent) -> bool {
        let key = event.request_id().as_str();
        if !self.expects(spoke, key) {
            return false;
        }
        let Some(end) = end_of(state, event).await else {
            return true;
        };
        self.forget(key);
        finish(state, vec![end]).await;
        true
    }

    /// A spoke is back: what it works on is adopted, all else is over.
    pub(crate) async fn returned(&self, state: &State, link: &Arc<SpokeLink>, running: &[String]) {
        let waiting: Vec<String> = {
            let mut all = self.lock();
            let Some(left) = all.get_mut(&link.id) else {
                return;
            };
            let waiting: Vec<String> = left.waiting.drain().collect();
            left.adopted
                .extend(waiting.iter().filter(|key| running.contains(key)).cloned());
            waiting
        };
        let mut ends = Vec::new();
        for key in waiting {
            if !running.contains(&key) {
                ends.push(interrupted(&key, CallStatus::Running));
            } else if is_subscription(state, &key).await {
                // Nobody is left to take its items.
                self.forget(&key);
                if let Ok(id) = RequestId::new(key.as_str()) {
                    link.map.tell_aborted(&id, AbortBy::Hub, None);
                }
                let error = CallError::aborted(&key, AbortBy::Hub);
                ends.push(failed(&key, CallStatus::Aborted, &error));
            }
        }
        finish(state, ends).await;
    }

    /// The grace is over: whoever has not come back does not count any more.
    pub(crate) async fn give_up(&self, state: &State) {
        let keys: Vec<String> = self
            .lock()
            .values_mut()
            .flat_map(|left| left.waiting.drain().collect::<Vec<_>>())
            .collect();
        let ends = keys
            .iter()
            .map(|key| interrupted(key, CallStatus::Running))
            .collect();
        finish(state, ends).await;
    }

    /// Calls that an adopting spoke lost again.
    pub(crate) async fn lost(&self, state: &State, spoke: &SpokeId) {
        let keys: Vec<String> = self
            .lock()
            .get_mut(spoke)
            .map(|left| left.adopted.drain().collect())
            .unwrap_or_default();
        let error = CallError::provider_lost(true);
        let ends = keys
            .iter()
            .map(|key| failed(key, CallStatus::Failed, &error))
            .collect();
        finish(state, ends).await;
    }
}

async fn is_subscription(state: &State, key: &str) -> bool {
    match recorded(state, key).await {
        Some((_, kind)) => kind == OperationType::Subscription,
        None => false,
    }
}

/// The record of a call, and what sort of call it is.
async fn recorded(state: &State, key: &str) -> Option<(Node, OperationType)> {
    let node = match calls::recorded_call(state.database.reader(), key).await {
        Ok(node) => node?,
        Err(problem) => {
            tracing::warn!(request_id = key, error = %problem, "a call of a former run cannot be read");
            return None;
        }
    };
    let name = state.providers.name_of(&node.operation_id)?;
    let kind = state.registry.get(&name)?.spec().kind;
    Some((node, kind))
}

/// How an event ends a call; none when it does not.
async fn end_of(state: &State, event: &CallEvent) -> Option<CallEnd> {
    let key = event.request_id().as_str();
    let (node, kind) = recorded(state, key).await?;
    let name = state.providers.name_of(&node.operation_id)?;
    let entry = state.registry.get(&name)?;
    match event {
        CallEvent::Responded(responded) if kind != OperationType::Subscription => {
            let now = alkhub_operations::envelope::now_ms();
            let outcome = from_provider(responded.output.clone(), entry.id(), None, now)
                .and_then(|envelope| entry.validate_output(envelope));
            Some(match outcome {
                Ok(envelope) => {
                    let schema = entry.spec().output_schema.json();
                    let cap = state.config().calls.record_cap;
                    let kept =
                        keep::recordable(&envelope.data, Some(schema), &Secrets::none(), cap);
                    CallEnd {
                        status: CallStatus::Completed,
                        output: Some(kept),
                        error: None,
                        ..failed(key, CallStatus::Completed, &CallError::timeout(key))
                    }
                }
                Err(error) => failed(key, CallStatus::Failed, &error),
            })
        }
        CallEvent::Failed(error) => {
            Some(failed(key, CallStatus::Failed, &error.clone().into_error()))
        }
        CallEvent::Aborted(_) => {
            let error = CallError::aborted(key, AbortBy::Provider);
            Some(failed(key, CallStatus::Aborted, &error))
        }
        CallEvent::Completed(_) => {
            let error = CallError::aborted(key, AbortBy::Hub);
            Some(failed(key, CallStatus::Aborted, &error))
        }
        _ => None,
    }
}

async fn finish(state: &State, ends: Vec<CallEnd>) {
    if ends.is_empty() {
        return;
    }
    let written = async {
        let transaction = state.database.begin().await?;
        calls::finish_calls(&transaction, &ends).await?;
        transaction.commit().await?;
        Ok::<_, StorageError>(())
    };
    if let Err(problem) = written.await {
        tracing::error!(error = %problem, calls = ends.len(), "the ends of calls of a former run were not written");
    }
}
