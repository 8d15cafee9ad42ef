//! What the hub does on its own while it runs.

use std::sync::{Arc, Weak};
use std::time::Duration;

use alkhub_storage::{StorageError, identity};
use tokio::task::JoinHandle;

use crate::state::State;

/// The last use of keys is written this often, as one statement.
const TOUCH_KEYS: Duration = Duration::from_secs(60);

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
    Jobs(vec![tokio::spawn(touch_keys_forever(weak))])
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
