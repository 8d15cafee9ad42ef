//! The one error that crosses every surface: a code, a sentence, and data.

mod code;
mod limits;
mod mapping;

pub use code::ErrorCode;
pub use limits::{DETAILS_LIMIT, IMPORT_DETAILS_LIMIT, MESSAGE_LIMIT};
pub use mapping::{
    ForeignOutcome, MappedForeign, Provider, ProviderKind, map_foreign_error, map_handler_error,
};

use std::error::Error;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::events::AbortBy;
use crate::issue::{Issue, MOST_ISSUES};
use crate::names::OperationId;

/// The text that stands in for every fault nobody foresaw; what happened is in the log alone.
pub const UNKNOWN_MESSAGE: &str = "an unexpected error occurred; the error id finds it in the log";

/// Why a call did not succeed, as every surface tells it: `{ code, message, details? }`.
#[derive(Debug, Clone, Serialize, Deserialize, thiserror::Error)]
#[error("{code}: {message}")]
pub struct CallError {
    /// What went wrong, for programs.
    pub code: ErrorCode,
    /// What went wrong, one sentence for a person.
    pub message: String,
    /// Data that belongs to the code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
    /// What only this process needs to know; never on the wire.
    #[serde(skip)]
    hints: Option<Box<Hints>>,
}

/// In-process notes on an error.
#[derive(Debug, Clone, Default)]
struct Hints {
    /// Status of the declaration that was matched.
    http_status: Option<u16>,
    /// The nested operation the error came from, while it is handed on.
    inner: Option<String>,
}

impl CallError {
    /// Makes an error without details.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            details: None,
            hints: None,
        }
    }

    /// The same error with these details.
    #[must_use]
    pub fn with_details(mut self, details: Value) -> Self {
        self.details = Some(details);
        self
    }

    /// The same error with one member added to its details.
    #[must_use]
    pub fn with_detail(mut self, name: &str, value: impl Into<Value>) -> Self {
        match &mut self.details {
            Some(Value::Object(members)) => {
                members.insert(name.to_owned(), value.into());
            }
            // Details that are no object are kept, under a name, rather than lost.
            Some(other) => {
                let kept = std::mem::take(other);
                self.details = Some(json!({ name: value.into(), "value": kept }));
            }
            None => self.details = Some(json!({ name: value.into() })),
        }
        self
    }

    /// `OPERATION_NOT_FOUND`: no such operation, or the caller may not know of it.
    #[must_use]
    pub fn operation_not_found(id: &str) -> Self {
        Self::new(
            ErrorCode::OPERATION_NOT_FOUND,
            format!("Operation not found: {id}"),
        )
        .with_details(json!({ "operationId": id }))
    }

    /// `NOT_FOUND`: no such row, or none the caller may see.
    #[must_use]
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::NOT_FOUND, message)
    }

    /// `ACCESS_DENIED` without details.
    #[must_use]
    pub fn access_denied(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::ACCESS_DENIED, message)
    }

    /// `VALIDATION_ERROR` with `details.issues`, at most 100 of them.
    #[must_use]
    pub fn validation(mut issues: Vec<Issue>, message: impl Into<String>) -> Self {
        issues.truncate(MOST_ISSUES);
        Self::new(ErrorCode::VALIDATION_ERROR, message).with_details(json!({ "issues": issues }))
    }

    /// `VALIDATION_ERROR` of one field: `details.issues` holds this one issue, whose message is
    /// also the error's.
    #[must_use]
    pub fn validation_field(
        path: impl Into<String>,
        rule: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        let message = message.into();
        Self::validation(vec![Issue::new(path, rule, message.clone())], message)
    }

    /// `VALIDATION_ERROR` of a rule that no single field is at fault for: `details.rule`.
    #[must_use]
    pub fn validation_rule(rule: &str, message: impl Into<String>) -> Self {
        Self::with_rule(ErrorCode::VALIDATION_ERROR, rule, message)
    }

    /// `CONFLICT` with `details.rule`.
    #[must_use]
    pub fn conflict(rule: &str, message: impl Into<String>) -> Self {
        Self::with_rule(ErrorCode::CONFLICT, rule, message)
    }

    /// `UNPROCESSABLE` with `details.rule`.
    #[must_use]
    pub fn unprocessable(rule: &str, message: impl Into<String>) -> Self {
        Self::with_rule(ErrorCode::UNPROCESSABLE, rule, message)
    }

    /// `FORBIDDEN`: nobody may.
    #[must_use]
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::FORBIDDEN, message)
    }

    /// `UNAUTHENTICATED`: no key, or none that counts.
    #[must_use]
    pub fn unauthenticated(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::UNAUTHENTICATED, message)
    }

    /// `TIMEOUT` of a request.
    #[must_use]
    pub fn timeout(request: impl std::fmt::Display) -> Self {
        Self::new(ErrorCode::TIMEOUT, format!("Request {request} timed out"))
    }

    /// `TIMEOUT` of a subscription that gave no item for so long; `details.idleTimeout` in ms.
    #[must_use]
    pub fn idle_timeout(request: impl std::fmt::Display, idle: Duration) -> Self {
        let idle_ms = u64::try_from(idle.as_millis()).unwrap_or(u64::MAX);
        let message = format!("Subscription {request} timed out (idle after {idle_ms}ms)");
        Self::new(ErrorCode::TIMEOUT, message).with_details(json!({ "idleTimeout": idle_ms }))
    }

    /// `PROVIDER_LOST`: the connection of whoever ran the call ended; `details.started` says whether
    /// it may have begun.
    #[must_use]
    pub fn provider_lost(started: bool) -> Self {
        Self::new(
            ErrorCode::PROVIDER_LOST,
            "the provider's connection ended before it answered",
        )
        .with_details(json!({ "started": started }))
    }

    /// `ABORTED` of a request, with who did it in `details.by`.
    #[must_use]
    pub fn aborted(request: impl std::fmt::Display, by: AbortBy) -> Self {
        Self::new(ErrorCode::ABORTED, format!("Request {request} was aborted"))
            .with_details(json!({ "by": by }))
    }

    /// `UNAVAILABLE`: the database is down, the disk full, the process ending.
    #[must_use]
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::UNAVAILABLE, message)
    }

    /// `OUTPUT_INVALID` with `details.issues`; the faulty data is not part of it.
    #[must_use]
    pub fn output_invalid(id: &OperationId, mut issues: Vec<Issue>) -> Self {
        issues.truncate(MOST_ISSUES);
        let first = issues
            .first()
            .map_or_else(String::new, |issue| format!(": {issue}"));
        Self::new(
            ErrorCode::OUTPUT_INVALID,
            format!("Output of {id} is invalid{first}"),
        )
        .with_details(json!({ "issues": issues }))
    }

    /// `UNKNOWN_ERROR` with the fixed text and an error id the caller of this function has logged.
    #[must_use]
    pub fn unknown(error_id: impl std::fmt::Display) -> Self {
        Self::new(ErrorCode::UNKNOWN_ERROR, UNKNOWN_MESSAGE)
            .with_details(json!({ "errorId": error_id.to_string() }))
    }

    /// `UNKNOWN_ERROR` for a fault nobody foresaw: logs the error with its whole source chain under
    /// a fresh id, and answers with that id and nothing else of it.
    #[must_use]
    pub fn internal(error: &(dyn Error + 'static)) -> Self {
        let error_id = Uuid::new_v4();
        let mut chain = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            chain.push_str(": ");
            chain.push_str(&cause.to_string());
            source = cause.source();
        }
        tracing::error!(error.id = %error_id, error.chain = %chain, "unforeseen error {error_id}: {chain}");
        Self::unknown(error_id)
    }

    /// The HTTP status of this error: that of the matched declaration, else that of the code;
    /// `EXECUTION_ERROR` is 502 when `details.provider` says that somebody else failed.
    #[must_use]
    pub fn http_status(&self) -> u16 {
        if let Some(status) = self.hints.as_ref().and_then(|hints| hints.http_status) {
            return status;
        }
        let foreign = self
            .details
            .as_ref()
            .is_some_and(|details| details.get("provider").is_some());
        if self.code == ErrorCode::EXECUTION_ERROR && foreign {
            return 502;
        }
        self.code.http_status()
    }

    /// The same error with the status its declaration gives it.
    pub(crate) fn with_http_status(mut self, status: Option<u16>) -> Self {
        if status.is_some() {
            self.hints.get_or_insert_default().http_status = status;
        }
        self
    }

    /// The same error, marked as come from a nested call of this operation.
    pub(crate) fn raised_by(mut self, operation: &str) -> Self {
        self.hints.get_or_insert_default().inner = Some(operation.to_owned());
        self
    }

    /// Takes the mark of [`CallError::raised_by`] away and gives it.
    pub(crate) fn take_inner(&mut self) -> Option<String> {
        self.hints.as_mut().and_then(|hints| hints.inner.take())
    }

    fn with_rule(code: ErrorCode, rule: &str, message: impl Into<String>) -> Self {
        Self::new(code, message).with_details(json!({ "rule": rule }))
    }
}

/// Equal when they say the same on the wire.
impl PartialEq for CallError {
    fn eq(&self, other: &Self) -> bool {
        (&self.code, &self.message, &self.details) == (&other.code, &other.message, &other.details)
    }
}
