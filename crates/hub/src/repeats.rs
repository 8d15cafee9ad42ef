//! Calls that carry a request id of the caller's, while they run: the second asker waits for the first.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use alkhub_operations::{CallError, Envelope};
use alkhub_storage::ids::{AccountId, OperationId};
use tokio::sync::watch;

/// What makes two calls the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    pub(crate) account: Option<AccountId>,
    pub(crate) operation: OperationId,
    pub(crate) input_mac: String,
}

/// How a call ended, as every asker gets it.
pub(crate) type Outcome = Result<Envelope, CallError>;

/// The calls under way, by request id.
#[derive(Default)]
pub(crate) struct Repeats {
    under_way: Arc<Mutex<HashMap<String, UnderWay>>>,
}

struct UnderWay {
    fingerprint: Fingerprint,
    outcome: watch::Receiver<Option<Outcome>>,
}

/// What a call with a request id of the caller's is.
pub(crate) enum Entered {
    /// The first: it runs.
    First(Announce),
    /// A repetition of one under way; it waits for the same outcome.
    Repeat(watch::Receiver<Option<Outcome>>),
    /// Another call under the same id.
    Differs(CallError),
}

impl Repeats {
    pub(crate) fn enter(&self, request_id: &str, fingerprint: Fingerprint) -> Entered {
        let mut under_way = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(first) = under_way.get(request_id) {
            return match compare(&first.fingerprint, &fingerprint) {
                Ok(()) => Entered::Repeat(first.outcome.clone()),
                Err(error) => Entered::Differs(error),
            };
        }
        let (sender, outcome) = watch::channel(None);
        under_way.insert(
            request_id.to_owned(),
            UnderWay {
                fingerprint,
                outcome,
            },
        );
        Entered::First(Announce {
            under_way: Arc::clone(&self.under_way),
            request_id: request_id.to_owned(),
            sender,
        })
    }
}

/// Tells the outcome to all who wait for it; dropped without one, they fall back to the record.
pub(crate) struct Announce {
    under_way: Arc<Mutex<HashMap<String, UnderWay>>>,
    request_id: String,
    sender: watch::Sender<Option<Outcome>>,
}

impl Announce {
    pub(crate) fn tell(self, outcome: &Outcome) {
        self.sender.send_replace(Some(outcome.clone()));
    }
}

impl Drop for Announce {
    fn drop(&mut self) {
        let mut under_way = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        under_way.remove(&self.request_id);
    }
}

/// Compares a call with the first one under its id.
///
/// # Errors
/// `CONFLICT` when operation or account differ, with no hint of whose id it is; `UNPROCESSABLE` when
/// only the input differs.
pub(crate) fn compare(first: &Fingerprint, second: &Fingerprint) -> Result<(), CallError> {
    if first.account != second.account || first.operation != second.operation {
        return Err(CallError::conflict(
            "request_id",
            "this request id is taken by another call",
        ));
    }
    if first.input_mac != second.input_mac {
        let message = "this request id was used before with another input";
        return Err(CallError::unprocessable("request_id", message));
    }
    Ok(())
}
