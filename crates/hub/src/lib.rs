//! The rules of alkhub: who may do what, in which order a call is handled, what is kept of it, and the
//! operations of each domain.
//!
//! A surface (HTTP today) turns a request into a [`CallRequest`] and gives it to [`Hub::call`], the one
//! way in. No HTTP type and no SQL is known here.

mod abort;
mod audit;
mod auth;
mod authorize;
mod breaker;
mod calls;
mod catalog;
mod clients;
pub mod config;
pub mod connections;
mod dispatch;
mod error;
mod events;
mod identity;
mod jobs;
mod keys;
mod limits;
mod links;
mod live;
pub mod mcp;
mod memory;
mod news;
mod notices;
mod operations;
mod page;
mod pipeline;
mod projects;
mod providers;
mod readiness;
mod recorder;
mod recovery;
mod repeats;
mod rules;
pub mod scopes;
mod search;
mod spokes;
mod start;
mod state;
mod system;
mod tasks;
pub mod tls;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use alkhub_operations::Entry;
use alkhub_storage::Engine;

pub use auth::{Credential, Membership, Narrowing, Origin, Principal, Surface, operation_matches};
pub use connections::{Close, Connection, Outbox};
pub use dispatch::Target;
pub use memory::limit_heaps;
pub use pipeline::{Answer, CallInput, CallOptions, CallRequest, Expected, Failure, Subscription};
pub use readiness::Readiness;
pub use start::{
    DataDirError, HubOptions, RecoverError, StartError, Started, local_key_file, migrate_database,
    recover_key,
};

use audit::Action;
use config::Config;
use state::State;

/// Operations that take whole directories or archives, and therefore a larger body.
const IMPORTS: &[&str] = &["task.import", "task.sync", "client.import"];

/// A running hub.
pub struct Hub {
    state: Arc<State>,
    #[expect(dead_code, reason = "the jobs end when the hub is dropped")]
    jobs: jobs::Jobs,
    _lock: start::Lock,
}

impl Hub {
    /// The operations the caller may call with some input, by full name.
    #[must_use]
    pub fn visible_operations(&self, principal: &Principal) -> Vec<Arc<Entry>> {
        let mut entries = self.state.registry.list();
        entries.retain(|entry| authorize::may_call(&self.state, principal, entry));
        entries
    }

    /// Largest body of a call of this operation, in bytes.
    #[must_use]
    pub fn body_limit(&self, operation: &str) -> usize {
        let server = &self.state.config().server;
        if IMPORTS.contains(&operation) {
            server.import_limit
        } else {
            server.body_limit
        }
    }

    /// The settings in force.
    #[must_use]
    pub fn config(&self) -> Arc<Config> {
        self.state.config()
    }

    /// Name of the database engine.
    #[must_use]
    pub fn engine(&self) -> &'static str {
        match self.state.database.engine() {
            Engine::Sqlite => "sqlite",
            Engine::Postgres => "postgres",
        }
    }

    /// Takes no new calls from now on; the running ones go on.
    pub fn begin_drain(&self) {
        self.state.draining.store(true, Ordering::Release);
    }

    /// True from [`Hub::begin_drain`] on.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.state.draining()
    }

    /// Stops: no new calls, waits for the running ones up to `drain`, writes what waits, closes the
    /// database.
    pub async fn shutdown(&self, drain: Duration) {
        self.begin_drain();
        self.state.sockets.close_all(drain);
        self.state.running.close();
        if tokio::time::timeout(drain, self.state.running.wait())
            .await
            .is_err()
        {
            let left = self.state.running.len();
            tracing::warn!(
                left,
                "calls were still running at the end of the drain time"
            );
        }
        let unwritten = self
            .state
            .recorder
            .close(self.state.config().recorder.deadline)
            .await;
        for request_id in unwritten {
            tracing::error!(%request_id, "the record of a call was not written before the stop");
        }
        if let Err(problem) = self.last_words().await {
            tracing::warn!(error = %problem, "the stop was not audited");
        }
        if let Err(problem) = self.state.database.clone().close().await {
            tracing::warn!(error = %problem, "the database did not close cleanly");
        }
    }

    async fn last_words(&self) -> Result<(), alkhub_storage::StorageError> {
        jobs::touch_keys(&self.state).await?;
        let transaction = self.state.database.begin().await?;
        let entry = audit::Entry::about("instance", &self.state.instance.id, "");
        let actor = start::hub_actor(&self.state);
        audit::write(&transaction, &actor, Action::HubStopped, entry).await?;
        transaction.commit().await?;
        Ok(())
    }
}
