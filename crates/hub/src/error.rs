//! What goes wrong inside a handler, and the one place where it becomes an answer.

use alkhub_operations::{CallError, ErrorCode, Issue};
use alkhub_storage::{DbErr, StorageError};
use serde_json::json;

/// The text of every `NOT_FOUND`: a row that is not there and one that may not be seen get the same
/// answer, byte for byte.
pub(crate) const NOT_FOUND: &str = "no such row, or it is not visible to this key";

/// Why a handler could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HubError {
    /// A decision of the handler, told to the caller as it is.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A transaction could not be begun, ended or used.
    #[error(transparent)]
    Database(#[from] DbErr),
    /// The system's random generator failed.
    #[error(transparent)]
    Randomness(#[from] crate::keys::NoRandomness),
}

impl HubError {
    /// True when the whole handler may simply run again: its transaction was rolled back.
    pub(crate) fn transient(&self) -> bool {
        match self {
            Self::Storage(error) => error.is_retryable(),
            // Only a commit fails as a bare error of the driver.
            Self::Database(error) => StorageError::from(error.clone()).is_retryable(),
            Self::Call(_) | Self::Randomness(_) => false,
        }
    }
}

impl From<HubError> for CallError {
    fn from(error: HubError) -> Self {
        match error {
            HubError::Call(error) => error,
            HubError::Storage(error) => storage_error(error),
            HubError::Database(error) => storage_error(error.into()),
            HubError::Randomness(error) => unforeseen(&error),
        }
    }
}

/// An error nobody foresaw: logged with an id, answered without internals.
pub(crate) fn unforeseen(error: &(dyn std::error::Error + 'static)) -> CallError {
    CallError::internal(error)
}

/// `UNAVAILABLE` with the advice to come back.
pub(crate) fn unavailable(message: &str, rule: &str) -> CallError {
    CallError::new(ErrorCode::UNAVAILABLE, message)
        .with_details(json!({ "rule": rule, "retryAfterMs": 2_000 }))
}

fn storage_error(error: StorageError) -> CallError {
    match error {
        StorageError::NotFound => CallError::not_found(NOT_FOUND),
        StorageError::Stale => {
            CallError::new(ErrorCode::STALE, "the row was changed since it was read")
        }
        StorageError::Cursor => CallError::validation(
            vec![Issue::new(
                "/cursor",
                "cursor",
                "is not a cursor of this list with these filters",
            )],
            "the cursor does not belong to this list",
        ),
        StorageError::Busy => unavailable("too many writers at once", "busy"),
        StorageError::Full => unavailable("the disk is full", "disk_full"),
        StorageError::Unavailable(_) => unavailable("the database is not available", "database"),
        other => unforeseen(&other),
    }
}
