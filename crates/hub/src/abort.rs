//! Stopping calls: the cascade, what whoever ran them says to it, and the report.

use std::sync::Arc;
use std::time::{Duration, Instant};

use alkhub_operations::AbortBy;
use alkhub_operations::protocol::AbortAnswer;
use futures::StreamExt as _;
use futures::stream::FuturesOrdered;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::live::{Collected, Confirmation, Fate, Policy, Stop, Top};
use crate::state::State;

/// What an abort came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AbortReport {
    /// The call at the top.
    pub(crate) request_id: String,
    /// True when everything that was told to stop is known to have stopped.
    pub(crate) complete: bool,
    /// Stopped for certain.
    pub(crate) aborted: Vec<String>,
    /// Over before.
    pub(crate) already_finished: Vec<String>,
    /// Running on, as asked for.
    pub(crate) survived: Vec<String>,
    /// Told to stop; nothing was heard.
    pub(crate) unconfirmed: Vec<String>,
    /// Could not be told: the spoke is not connected.
    pub(crate) unreachable: Vec<String>,
    /// All of them, parents first.
    pub(crate) nodes: Vec<AbortedNode>,
}

/// One call of an [`AbortReport`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AbortedNode {
    /// The call.
    pub(crate) request_id: String,
    /// What it called.
    pub(crate) operation: String,
    /// Who ran it: `hub`, or `spoke:` and its id.
    pub(crate) provider: String,
    /// What became of it.
    pub(crate) outcome: AbortOutcome,
    /// How long the provider took to confirm, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ms: Option<u64>,
}

/// What became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum AbortOutcome {
    /// Stopped for certain.
    Aborted,
    /// Over before.
    AlreadyFinished,
    /// Running on.
    Survived,
    /// Told, silent.
    Unconfirmed,
    /// Not told.
    Unreachable,
}

impl AbortReport {
    /// The report over these calls.
    pub(crate) fn of(request_id: &str, nodes: Vec<AbortedNode>) -> Self {
        let mut report = Self {
            request_id: request_id.to_owned(),
            ..Self::default()
        };
        for node in &nodes {
            let list = match node.outcome {
                AbortOutcome::Aborted => &mut report.aborted,
                AbortOutcome::AlreadyFinished => &mut report.already_finished,
                AbortOutcome::Survived => &mut report.survived,
                AbortOutcome::Unconfirmed => &mut report.unconfirmed,
                AbortOutcome::Unreachable => &mut report.unreachable,
            };
            list.push(node.request_id.clone());
        }
        report.complete = report.unconfirmed.is_empty() && report.unreachable.is_empty();
        report.nodes = nodes;
        report
    }
}

/// Aborts a call under way in this process and all below it; answers once every end is recorded and
/// every spoke has confirmed, or after `calls.abortWait`. None when the call is not here.
pub(crate) async fn abort(
    state: &Arc<State>,
    key: &str,
    stop: &Stop,
    policy: Policy,
) -> Option<AbortReport> {
    state.live.get(key)?;
    let collected = state.live.stop(key, Top::Abort, stop, policy);
    let nodes = conclude(state, collected).await;
    Some(AbortReport::of(key, nodes))
}

/// The caller calls its own request off over its connection; nobody waits for a report.
pub(crate) fn abort_by_caller(state: &Arc<State>, key: &str, reason: Option<String>) {
    let stop = Stop {
        by: AbortBy::Caller,
        reason,
    };
    let collected = state
        .live
        .stop(key, Top::Abort, &stop, Policy::AbortDependents);
    follow(state, collected);
}

/// Sees to it that what a cascade came to is noted, without anybody waiting for it.
pub(crate) fn follow(state: &Arc<State>, collected: Vec<Collected>) {
    let nothing_to_hear = collected.iter().all(|one| match &one.fate {
        Fate::Stopped { confirmation, .. } => matches!(confirmation, Confirmation::Here),
        Fate::AlreadyFinished => true,
        Fate::Survived => false,
    });
    if nothing_to_hear {
        return;
    }
    let state_of_task = Arc::clone(state);
    state.running.spawn(async move {
        conclude(&state_of_task, collected).await;
    });
}

/// Waits for the records and the confirmations, and notes in the records how it went.
async fn conclude(state: &Arc<State>, collected: Vec<Collected>) -> Vec<AbortedNode> {
    let wait = state.config().calls.abort_wait;
    let root = collected.first().map(|one| one.call.key.clone());
    let until = Instant::now() + wait;
    let mut heard: FuturesOrdered<_> = collected
        .into_iter()
        .map(|one| hear(state, one, root.as_deref(), until))
        .collect();
    let mut nodes = Vec::new();
    while let Some(node) = heard.next().await {
        nodes.push(node);
    }
    nodes
}

async fn hear(
    state: &Arc<State>,
    collected: Collected,
    root: Option<&str>,
    until: Instant,
) -> AbortedNode {
    let call = &collected.call;
    let mut provider = "hub".to_owned();
    let mut ms = None;
    let outcome = match collected.fate {
        Fate::AlreadyFinished => AbortOutcome::AlreadyFinished,
        Fate::Survived => {
            if let Some(root) = root.filter(|_| call.recorded) {
                let note = Map::from_iter([("detachedFrom".to_owned(), Value::from(root))]);
                state.recorder.patch(&call.key, note);
            }
            AbortOutcome::Survived
        }
        Fate::Stopped { by, confirmation } => {
            // Its end is written by its own task, which has been told; a record that waits for the
            // database does not hold up the report for ever.
            let recorded = call.settled.cancelled();
            let _late =
                tokio::time::timeout_at((until + Duration::from_secs(10)).into(), recorded).await;
            match confirmation {
                Confirmation::Here => AbortOutcome::Aborted,
                Confirmation::Unreachable { spoke } => {
                    provider = format!("spoke:{spoke}");
                    let known = json!({ "by": by, "confirmed": false, "unreachable": true });
                    note(state, &call.key, call.recorded, known);
                    AbortOutcome::Unreachable
                }
                Confirmation::Told { spoke, answer } => {
                    provider = format!("spoke:{spoke}");
                    match tokio::time::timeout_at(until.into(), answer).await {
                        Ok(AbortAnswer::Confirmed(after)) => {
                            ms = Some(u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
                            let known = json!({ "by": by, "confirmed": true });
                            note(state, &call.key, call.recorded, known);
                            AbortOutcome::Aborted
                        }
                        _ => AbortOutcome::Unconfirmed,
                    }
                }
            }
        }
    };
    AbortedNode {
        request_id: call.key.clone(),
        operation: call.operation.clone(),
        provider,
        outcome,
        ms,
    }
}

/// Notes in the record of an aborted call what is known of its provider.
fn note(state: &State, key: &str, recorded: bool, known: Value) {
    if recorded {
        state
            .recorder
            .patch(key, Map::from_iter([("abort".to_owned(), known)]));
    }
}

/// An answer that came after its call was over.
pub(crate) fn note_late(state: &State, key: &str, event: &str) {
    let at = alkhub_storage::time::format(alkhub_storage::time::now());
    let late = json!({ "event": event, "at": at });
    state
        .recorder
        .patch(key, Map::from_iter([("late".to_owned(), late)]));
}
