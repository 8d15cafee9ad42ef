//! Keeps a spoke connected: one session after the other.

mod session;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use self::session::{End, Session};
use crate::backoff::Backoff;
use crate::client::unavailable;
use crate::error::SpokeError;
use crate::shared::Shared;
use crate::socket::{self, ConnectFailure};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(20);

/// Connects for the first time, and leaves a task behind that keeps it so.
pub(crate) async fn start(
    shared: &Arc<Shared>,
) -> Result<JoinHandle<Result<(), SpokeError>>, SpokeError> {
    let (ready, connected) = oneshot::channel();
    let driver = Driver {
        shared: Arc::clone(shared),
        ready: Some(ready),
        backoff: Backoff::default(),
    };
    let task = tokio::spawn(driver.run());
    let abort_on_drop = AbortOnDrop(Some(task));
    match connected.await {
        Ok(()) => abort_on_drop.keep(),
        // It ended before it was connected, and says why.
        Err(_) => match abort_on_drop.keep()?.await {
            Ok(Err(error)) => Err(error),
            Ok(Ok(())) => Err(SpokeError::Unreachable("it was stopped".to_owned())),
            Err(error) => Err(SpokeError::Internal(error)),
        },
    }
}

/// Ends the task when whoever waits for the first connection gives up.
struct AbortOnDrop(Option<JoinHandle<Result<(), SpokeError>>>);

impl AbortOnDrop {
    fn keep(mut self) -> Result<JoinHandle<Result<(), SpokeError>>, SpokeError> {
        self.0
            .take()
            .ok_or_else(|| SpokeError::Unreachable("it was stopped".to_owned()))
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

struct Driver {
    shared: Arc<Shared>,
    /// Told once, when the first session is up.
    ready: Option<oneshot::Sender<()>>,
    backoff: Backoff,
}

impl Driver {
    async fn run(mut self) -> Result<(), SpokeError> {
        let outcome = self.sessions().await;
        self.shared.ended.cancel();
        self.shared.up.send_replace(false);
        self.shared.server.close();
        self.fail_open_calls(true);
        if let Err(error) = &outcome {
            tracing::error!(%error, "the spoke has stopped");
        }
        outcome
    }

    async fn sessions(&mut self) -> Result<(), SpokeError> {
        let patience = Instant::now() + self.shared.settings.patience;
        loop {
            let (why, after) = match self.session().await {
                End::Stopped => return Ok(()),
                End::Fatal(error) => return Err(error),
                End::Lost { why, after } => (why, after),
            };
            let wait = after.unwrap_or_default() + self.backoff.next();
            if self.ready.is_some() && Instant::now() + wait > patience {
                return Err(why);
            }
            tracing::warn!(error = %why, wait_ms = wait.as_millis(), "not connected to the hub; trying again");
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.shared.stopping.cancelled() => return Ok(()),
            }
        }
    }

    /// One connection, from the first byte to the last.
    async fn session(&mut self) -> End {
        let connecting = tokio::time::timeout(CONNECT, socket::connect(&self.shared.settings));
        let connected = tokio::select! {
            connected = connecting => connected,
            () = self.shared.stopping.cancelled() => return End::Stopped,
        };
        let socket = match connected {
            Ok(Ok(socket)) => socket,
            Ok(Err(ConnectFailure::Fatal(error))) => return End::Fatal(error),
            Ok(Err(ConnectFailure::Retry(why))) => return End::lost(why),
            Err(_) => return End::lost("it does not answer".to_owned()),
        };
        let mut session = Session::new(Arc::clone(&self.shared), socket);
        let end = session.run(&mut self.ready).await;
        if session.was_up() {
            self.backoff.reset();
        }
        self.shared.up.send_replace(false);
        session.close().await;
        self.shared.map.detach();
        self.shared.server.detach();
        self.fail_open_calls(false);
        end
    }

    /// Calls that must not be repeated end with the connection; at the very end, all do.
    fn fail_open_calls(&self, all: bool) {
        for id in self.shared.map.pending_ids() {
            if all || !self.shared.is_repeatable(&id) {
                let error = unavailable("the connection to the hub was lost", true);
                self.shared.map.fail(&id, error);
            }
        }
    }
}
