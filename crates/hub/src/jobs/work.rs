//! What the jobs do.

use std::sync::{Arc, Weak};
use std::time::Duration;

use alkhub_operations::CallError;
use alkhub_operations::protocol::ClosingReason;
use alkhub_storage::calls::{CallEnd, finish_calls, live_calls};
use alkhub_storage::enums::CallStatus;
use alkhub_storage::{Engine, StorageError, identity, spokes};
use serde_json::{Map, json};

use crate::auth::Authentication;
use crate::calls;
use crate::connections::Close;
use crate::start;
use crate::state::State;

/// How often SQLite's log is moved into its database.
const CHECKPOINT: Duration = Duration::from_secs(1);
/// How often connections are asked whether their keys still hold.
const CHECK_SOCKETS: Duration = Duration::from_secs(1);

/// Time a record may be open beyond the longest deadline.
const OVERTIME: Duration = Duration::from_secs(60);

/// Open records looked at in one run.
const OPEN: u16 = 1_000;

/// Days that registrations are kept which were made anew since.
const REGISTRATION_DAYS: i64 = 30;

/// Writes the last use of every key that was used since the last time.
pub(crate) async fn touch_keys(state: &State) -> Result<u64, StorageError> {
    let used = state.last_used.take();
    if used.is_empty() {
        return Ok(0);
    }
    let transaction = state.database.begin().await?;
    let rows = identity::touch_keys(&transaction, &used).await?;
    transaction.commit().await?;
    Ok(rows)
}

pub(super) async fn touch_spokes(state: &State) -> Result<u64, StorageError> {
    let seen: Vec<_> = state
        .links
        .all()
        .iter()
        .filter(|link| link.connected())
        .filter_map(|link| Some((link.id.clone(), link.seen.at()?)))
        .collect();
    if seen.is_empty() {
        return Ok(0);
    }
    let transaction = state.database.begin().await?;
    let rows = spokes::touch_spokes(&transaction, &seen).await?;
    transaction.commit().await?;
    Ok(rows)
}

/// Removes the records of calls that the settings do not keep any longer.
pub(super) async fn prune_calls(state: &State) -> Result<u64, StorageError> {
    let retention = calls::Retention::of(&state.config().calls, alkhub_storage::time::now());
    let actor = start::hub_actor(state);
    let pruned = calls::prune(state, &retention, &actor, calls::Run::Remove).await?;
    if pruned.nodes > 0 {
        tracing::info!(
            trees = pruned.trees,
            calls = pruned.nodes,
            "removed old records of calls"
        );
    }
    Ok(pruned.nodes)
}

pub(super) async fn prune_registrations(state: &State) -> Result<u64, StorageError> {
    let older_than = alkhub_storage::time::now() - chrono::Duration::days(REGISTRATION_DAYS);
    let transaction = state.database.begin().await?;
    let rows = spokes::prune_registrations(&transaction, older_than).await?;
    transaction.commit().await?;
    Ok(rows)
}

/// A record of this process that is open although nobody here works on it any more, past every
/// deadline: its end was lost.
pub(super) async fn reap_calls(state: &Arc<State>) -> Result<u64, StorageError> {
    let owner = state.instance.id.to_string();
    let longest = state.config().calls.max_deadline + OVERTIME;
    let before = alkhub_storage::time::now() - longest;
    let open = live_calls(state.database.reader(), Some(&owner), OPEN).await?;
    let ends: Vec<CallEnd> = open
        .into_iter()
        .filter(|node| node.created_at < before && state.live.get(&node.request_id).is_none())
        .map(|node| CallEnd {
            error: Some(json!(CallError::timeout(&node.request_id))),
            request_id: node.request_id,
            status: CallStatus::Failed,
            output: None,
            completed_at: alkhub_storage::time::now(),
            metadata: Map::new(),
        })
        .collect();
    if ends.is_empty() {
        return Ok(0);
    }
    let transaction = state.database.begin().await?;
    let ended = finish_calls(&transaction, &ends).await?;
    transaction.commit().await?;
    let ended = ended.into_iter().filter(|ended| *ended).count();
    Ok(u64::try_from(ended).unwrap_or(u64::MAX))
}

/// A key that is revoked or has run out, and an account that may not act any more, lose their
/// connections.
pub(super) async fn check_sockets_forever(state: Weak<State>) {
    let mut tick = tokio::time::interval(CHECK_SOCKETS);
    loop {
        tick.tick().await;
        let Some(state) = state.upgrade() else { return };
        for connection in state.sockets.all() {
            let found = state.authenticator.authenticate(&connection.credential);
            let reason = match found.await {
                Ok(Authentication::Refused { why, .. }) => Some(why.closing()),
                Ok(Authentication::Inactive(_)) => Some(ClosingReason::KeyRevoked),
                // The database is away for a moment; the next look decides.
                Ok(Authentication::Accepted(_)) | Err(_) => None,
            };
            if let Some(reason) = reason {
                let close = Close::new(1008, "the key of this connection does not hold any more");
                connection.close(reason, close, None);
            }
        }
    }
}

/// Moves SQLite's log into its database while others write, so that no call waits for it.
pub(super) async fn checkpoint_forever(state: Weak<State>) {
    let mut tick = tokio::time::interval(CHECKPOINT);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let Some(state) = state.upgrade() else { return };
        if state.database.engine() != Engine::Sqlite {
            return;
        }
        if let Err(problem) = state.database.checkpoint().await {
            tracing::warn!(error = %problem, "the write-ahead log could not be moved into the database");
        }
    }
}

/// Spokes that did not come back after a restart have lost the calls they ran.
pub(super) async fn give_up_recovery(state: Weak<State>) {
    let Some(grace) = state
        .upgrade()
        .map(|state| state.config().calls.recovery_grace)
    else {
        return;
    };
    tokio::time::sleep(grace).await;
    if let Some(state) = state.upgrade() {
        state.recovery.give_up(&state).await;
    }
}
