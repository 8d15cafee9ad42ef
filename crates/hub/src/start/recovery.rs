//! What a former run left open: nothing of it stays `running`.

use alkhub_operations::{CallError, ErrorCode};
use alkhub_storage::calls::{self, CallEnd};
use alkhub_storage::enums::CallStatus;
use alkhub_storage::{Database, Engine, StorageError};
use serde_json::{Map, json};

use crate::state::Instance;

/// Calls closed in one transaction.
const BATCH: u16 = 500;

/// Ends every call that an earlier start of this process had open, as `INTERRUPTED`: it may have run or
/// not, and nobody is left to say. On SQLite there is only one process, so every open call is ours.
pub(super) async fn close_open_calls(
    database: &Database,
    instance: &Instance,
) -> Result<u64, StorageError> {
    let owner = match database.engine() {
        Engine::Sqlite => None,
        Engine::Postgres => Some(instance.id.to_string()),
    };
    let mut closed = 0;
    loop {
        let open = calls::live_calls(database.reader(), owner.as_deref(), BATCH).await?;
        if open.is_empty() {
            return Ok(closed);
        }
        let now = alkhub_storage::time::now();
        let mut ends = Vec::with_capacity(open.len());
        for node in &open {
            let (message, details) = match node.status {
                CallStatus::Pending => (
                    "the hub process stopped before the call began",
                    json!({ "started": false }),
                ),
                _ => (
                    "the hub process that ran this call stopped",
                    json!({ "started": true, "outcome": "unknown" }),
                ),
            };
            let error = CallError::new(ErrorCode::INTERRUPTED, message).with_details(details);
            ends.push(CallEnd {
                request_id: node.request_id.clone(),
                status: CallStatus::Failed,
                output: None,
                error: Some(json!(error)),
                completed_at: now,
                metadata: Map::new(),
            });
        }
        let transaction = database.begin().await?;
        calls::finish_calls(&transaction, &ends).await?;
        transaction.commit().await?;
        closed += u64::try_from(open.len()).unwrap_or(u64::MAX);
    }
}
