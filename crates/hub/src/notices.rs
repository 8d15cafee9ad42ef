//! Audit entries about calls that were refused: written apart from any transaction, bounded, and at
//! most once a minute for the same thing, with a count.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use alkhub_storage::Database;
use alkhub_storage::ids::AccountId;
use serde_json::json;
use tokio::sync::mpsc;

use crate::audit::{self, Action, Actor, Entry};
use crate::auth::Origin;

/// Notices that wait to be written; more are dropped, and the drop is logged.
const QUEUE: usize = 1_024;

/// Different things remembered at once, so that invented ones cannot fill the memory.
const REMEMBERED: usize = 10_000;

/// The same thing is written again at the earliest after this long.
const INTERVAL: Duration = Duration::from_secs(60);

/// How often counted repetitions are looked at.
const TICK: Duration = Duration::from_secs(5);

/// A refusal worth an audit entry.
#[derive(Debug, Clone)]
pub(crate) struct Notice {
    pub(crate) action: Action,
    /// Equal subjects are counted together: an address, or a key and an operation.
    pub(crate) subject: String,
    pub(crate) actor: Actor,
    pub(crate) reason: String,
}

impl Notice {
    /// Somebody without a valid key, whom only the address tells apart; owned by the hub's account.
    pub(crate) fn of_stranger(
        hub_account: &AccountId,
        origin: &Origin,
        key_prefix: Option<String>,
        reason: String,
    ) -> Self {
        let address = origin
            .ip
            .map_or_else(|| "unknown address".to_owned(), |ip| ip.to_string());
        Self {
            action: Action::AuthFailed,
            subject: address,
            actor: Actor {
                account: hub_account.clone(),
                key: None,
                key_prefix,
                operation: None,
                request_id: None,
                origin: origin.clone(),
            },
            reason,
        }
    }
}

/// Takes notices without ever making a caller wait.
pub(crate) struct Notices {
    sender: mpsc::Sender<Notice>,
}

impl Notices {
    /// Starts the writing task; it ends when the handle is dropped.
    pub(crate) fn start(database: Database) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE);
        tokio::spawn(run(database, receiver));
        Self { sender }
    }

    pub(crate) fn give(&self, notice: Notice) {
        if let Err(full) = self.sender.try_send(notice) {
            tracing::debug!(error = %full, "a notice of a refusal was dropped");
        }
    }
}

struct Counted {
    written: Instant,
    pending: u64,
    notice: Notice,
}

async fn run(database: Database, mut receiver: mpsc::Receiver<Notice>) {
    let mut counted: HashMap<(Action, String), Counted> = HashMap::new();
    let mut tick = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            notice = receiver.recv() => match notice {
                Some(notice) => take(&database, &mut counted, notice).await,
                None => return,
            },
            _ = tick.tick() => flush(&database, &mut counted).await,
        }
    }
}

async fn take(
    database: &Database,
    counted: &mut HashMap<(Action, String), Counted>,
    notice: Notice,
) {
    let key = (notice.action, notice.subject.clone());
    if let Some(known) = counted.get_mut(&key) {
        known.pending += 1;
        known.notice = notice;
    } else if counted.len() < REMEMBERED {
        write(database, &notice, 1).await;
        counted.insert(
            key,
            Counted {
                written: Instant::now(),
                pending: 0,
                notice,
            },
        );
    }
}

async fn flush(database: &Database, counted: &mut HashMap<(Action, String), Counted>) {
    for known in counted.values_mut() {
        if known.pending > 0 && known.written.elapsed() >= INTERVAL {
            write(database, &known.notice, known.pending).await;
            known.written = Instant::now();
            known.pending = 0;
        }
    }
    counted.retain(|_, known| known.written.elapsed() < INTERVAL || known.pending > 0);
}

async fn write(database: &Database, notice: &Notice, count: u64) {
    let entry = Entry::default()
        .because(Some(notice.reason.clone()))
        .counted(json!({ "count": count, "subject": notice.subject }));
    let written = async {
        let transaction = database.begin().await?;
        audit::write(&transaction, &notice.actor, notice.action, entry).await?;
        transaction.commit().await?;
        Ok::<_, alkhub_storage::StorageError>(())
    }
    .await;
    if let Err(problem) = written {
        tracing::warn!(error = %problem, subject = notice.subject, "a refusal was not audited");
    }
}
