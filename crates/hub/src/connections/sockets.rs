//! The connections of this process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alkhub_operations::protocol::ClosingReason;
use alkhub_operations::{CallError, ErrorCode};
use serde_json::json;
use uuid::Uuid;

use super::{Close, Connection};

/// All of them, by id.
#[derive(Default)]
pub(crate) struct Sockets(Mutex<HashMap<Uuid, Arc<Connection>>>);

impl Sockets {
    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Arc<Connection>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes one in, unless its key has as many as it may have.
    pub(super) fn enter(&self, connection: &Arc<Connection>, most: u32) -> Result<(), CallError> {
        let mut sockets = self.lock();
        let key = &connection.principal.key.id;
        let open = sockets
            .values()
            .filter(|other| &other.principal.key.id == key)
            .count();
        if most != 0 && open >= most as usize {
            let message = format!("this key has {open} connections already");
            return Err(CallError::new(ErrorCode::RATE_LIMITED, message)
                .with_details(json!({ "rule": "sockets", "retryAfterMs": 5_000 })));
        }
        sockets.insert(connection.id, Arc::clone(connection));
        Ok(())
    }

    pub(super) fn leave(&self, connection: &Connection) {
        self.lock().remove(&connection.id);
    }

    /// The connection with this id.
    pub(crate) fn get(&self, id: Uuid) -> Option<Arc<Connection>> {
        self.lock().get(&id).cloned()
    }

    /// All connections now.
    pub(crate) fn all(&self) -> Vec<Arc<Connection>> {
        self.lock().values().cloned().collect()
    }

    /// The hub stops: everybody is told to come back later.
    pub(crate) fn close_all(&self, reconnect: Duration) {
        for connection in self.all() {
            connection.close(
                ClosingReason::Shutdown,
                Close::new(1001, "the hub is shutting down"),
                Some(reconnect),
            );
        }
    }
}
