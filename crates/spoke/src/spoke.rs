//! A connected spoke.

use std::sync::Arc;

use alkhub_operations::CallError;
use alkhub_operations::protocol::Subscription;
use secrecy::SecretString;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::builder::SpokeBuilder;
use crate::client::{Client, OutgoingCall};
use crate::error::SpokeError;
use crate::offer::Registration;
use crate::shared::Shared;

/// A connected spoke. It serves calls from the moment it is connected until it is stopped or dropped;
/// dropping it cuts the connection at once.
pub struct Spoke {
    shared: Arc<Shared>,
    driver: JoinHandle<Result<(), SpokeError>>,
}

impl Spoke {
    /// Begins to set up a spoke of the hub at this address, such as `ws://127.0.0.1:4848/ws`, with
    /// this key. The key needs the scope `spoke:register` to offer operations.
    pub fn builder(url: impl Into<String>, key: impl Into<String>) -> SpokeBuilder {
        SpokeBuilder::new(url.into(), SecretString::from(key.into()))
    }

    pub(crate) fn new(shared: Arc<Shared>, driver: JoinHandle<Result<(), SpokeError>>) -> Self {
        Self { shared, driver }
    }

    /// What the hub answered to the latest registration; `None` without a name.
    #[must_use]
    pub fn registration(&self) -> Option<Registration> {
        self.shared.registration()
    }

    /// Makes calls from elsewhere in the program.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::of(Arc::clone(&self.shared))
    }

    /// As [`Client::call`].
    pub fn call(&self, operation: impl Into<String>, input: Value) -> OutgoingCall {
        self.client().call(operation, input)
    }

    /// As [`Client::subscribe`].
    ///
    /// # Errors
    /// As [`Client::subscribe`].
    pub async fn subscribe(
        &self,
        operation: impl Into<String>,
        input: Value,
    ) -> Result<Subscription, CallError> {
        self.client().subscribe(operation, input).await
    }

    /// True while it is connected and registered.
    #[must_use]
    pub fn is_up(&self) -> bool {
        *self.shared.up.borrow()
    }

    /// Tells each time the connection is lost (false) or there again (true).
    #[must_use]
    pub fn watch_up(&self) -> watch::Receiver<bool> {
        self.shared.up.subscribe()
    }

    /// Serves until it is stopped by a [`Stopper`], or cannot go on.
    ///
    /// # Errors
    /// [`SpokeError::KeyRefused`], [`SpokeError::Replaced`] or [`SpokeError::Registration`]; a lost
    /// connection is none.
    pub async fn run(mut self) -> Result<(), SpokeError> {
        (&mut self.driver).await.map_err(SpokeError::Internal)?
    }

    /// Stops it from elsewhere, while [`Spoke::run`] waits.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper {
            shared: Arc::clone(&self.shared),
        }
    }

    /// Stops in good order: takes its operations back, lets running calls end for as long as
    /// [`SpokeBuilder::drain`] says, sends their answers, and closes the connection.
    ///
    /// # Errors
    /// Why it had stopped already.
    pub async fn stop(self) -> Result<(), SpokeError> {
        self.stopper().stop();
        self.run().await
    }
}

impl Drop for Spoke {
    fn drop(&mut self) {
        self.driver.abort();
        self.shared.ended.cancel();
        self.shared.server.close();
    }
}

impl std::fmt::Debug for Spoke {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Spoke")
            .field("up", &self.is_up())
            .field("registration", &self.registration())
            .finish_non_exhaustive()
    }
}

/// Stops a spoke in good order.
#[derive(Clone)]
pub struct Stopper {
    shared: Arc<Shared>,
}

impl Stopper {
    /// Begins to stop; [`Spoke::run`] returns when it is done.
    pub fn stop(&self) {
        self.shared.stopping.cancel();
    }
}

impl std::fmt::Debug for Stopper {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Stopper").finish_non_exhaustive()
    }
}
