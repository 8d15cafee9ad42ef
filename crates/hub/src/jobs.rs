//! What the hub does on its own while it runs.

use std::sync::{Arc, Weak};
use std::time::Duration;

use alkhub_operations::protocol::ClosingReason;
use alkhub_storage::{StorageError, identity, spokes};
use tokio::task::JoinHandle;

use crate::auth::Authentication;
use crate::calls;
use crate::connections::Close;
use crate::start;
use crate::state::State;

/// The last use of keys is written this often, as one statement.
const TOUCH_KEYS: Duration = Duration::from_secs(60);

/// The last sign of life of spokes is written this often, as one statement.
const TOUCH_SPOKES: Duration = Duration::from_secs(60);

/// How often connections are asked whether their keys still hold.
const CHECK_SOCKETS: Duration = Duration::from_secs(1);

/// Old records of calls are removed this often.
const PRUNE_CALLS: Duration = Duration::from_secs(60 * 60);

/// The tasks, stopped when the handle is dropped.
pub(crate) struct Jobs(Vec<JoinHandle<()>>);

impl Drop for Jobs {
    fn drop(&mut self) {
        for job in &self.0 {
            job.abort();
        }
    }
}

pub(crate) fn start(state: &Arc<State>) -> Jobs {
    let weak = Arc::downgrade(state);
    Jobs(vec![
        tokio::spawn(touch_keys_forever(weak.clone())),
        tokio::spawn(touch_spokes_forever(weak.clone())),
        tokio::spawn(check_sockets_forever(weak.clone())),
        tokio::spawn(prune_calls_forever(weak.clone())),
        tokio::spawn(give_up_recovery(weak)),
    ])
}

async fn touch_keys_forever(state: Weak<State>) {
    let mut tick = tokio::time::interval(TOUCH_KEYS);
    // The first tick is at once, when nothing has been used yet.
    tick.tick().await;
    loop {
        tick.tick().await;
        let Some(state) = state.upgrade() else { return };
        if let Err(problem) = touch_keys(&state).await {
            tracing::warn!(error = %problem, "the last use of keys was not written");
        }
    }
}

async fn touch_spokes_forever(state: Weak<State>) {
    let mut tick = tokio::time::interval(TOUCH_SPOKES);
    tick.tick().await;
    loop {
        tick.tick().await;
        let Some(state) = state.upgrade() else { return };
        if let Err(problem) = touch_spokes(&state).await {
            tracing::warn!(error = %problem, "the last sign of life of spokes was not written");
        }
    }
}

async fn touch_spokes(state: &State) -> Result<(), StorageError> {
    let seen: Vec<_> = state
        .links
        .all()
        .iter()
        .filter(|link| link.connected())
        .filter_map(|link| Some((link.id.clone(), link.seen.at()?)))
        .collect();
    if seen.is_empty() {
        return Ok(());
    }
    let transaction = state.database.begin().await?;
    spokes::touch_spokes(&transaction, &seen).await?;
    transaction.commit().await?;
    Ok(())
}

/// A key that is revoked or has run out, and an account that may not act any more, lose their
/// connections.
async fn check_sockets_forever(state: Weak<State>) {
    let mut tick = tokio::time::interval(CHECK_SOCKETS);
    loop {
        tick.tick().await;
        let Some(state) = state.upgrade() else { return };
        for connection in state.sockets.all() {
            let reason = match state
                .authenticator
                .authenticate(&connection.credential)
                .await
            {
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

async fn prune_calls_forever(state: Weak<State>) {
    let mut tick = tokio::time::interval(PRUNE_CALLS);
    // Not at once: the start has better things to do.
    tick.tick().await;
    loop {
        tick.tick().await;
        let Some(state) = state.upgrade() else { return };
        if let Err(problem) = prune_calls(&state).await {
            tracing::warn!(error = %problem, "old records of calls were not removed");
        }
    }
}

/// Removes the records of calls that the settings do not keep any longer.
pub(crate) async fn prune_calls(state: &State) -> Result<(), StorageError> {
    let retention = calls::Retention::of(&state.config().calls, alkhub_storage::time::now());
    let actor = start::hub_actor(state);
    let pruned = calls::prune(state, &retention, &actor, calls::Run::Remove).await?;
    if pruned.nodes > 0 {
        tracing::info!(trees = pruned.trees, calls = pruned.nodes, "removed old records of calls");
    }
    Ok(())
}

/// Spokes that did not come back after a restart have lost the calls they ran.
async fn give_up_recovery(state: Weak<State>) {
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

/// Writes the last use of every key that was used since the last time.
pub(crate) async fn touch_keys(state: &State) -> Result<(), StorageError> {
    let used = state.last_used.take();
    if used.is_empty() {
        return Ok(());
    }
    let transaction = state.database.begin().await?;
    identity::touch_keys(&transaction, &used).await?;
    transaction.commit().await?;
    Ok(())
}
