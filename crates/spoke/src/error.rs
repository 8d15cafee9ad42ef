//! Why a spoke does not work, or no longer.

use alkhub_operations::{CallError, RegistryError};

/// Why a spoke could not connect, or stopped. What is worth another attempt never gets here once the
/// spoke is connected: it goes on by itself.
#[derive(Debug, thiserror::Error)]
pub enum SpokeError {
    /// The settings make no sense; nothing was tried.
    #[error("{0}")]
    Settings(String),
    /// An operation that is offered is not well-formed.
    #[error("an operation cannot be offered")]
    Operation(#[from] RegistryError),
    /// The hub did not take the key, or takes it no longer. Another key is needed.
    #[error("the hub refuses the key: {0}")]
    KeyRefused(String),
    /// The hub was reached and is none, or not at this address.
    #[error("the address answers with HTTP status {status} instead of a WebSocket")]
    NoHub {
        /// The status.
        status: u16,
    },
    /// The hub could not be reached.
    #[error("the hub cannot be reached: {0}")]
    Unreachable(String),
    /// The hub did not take the registration.
    #[error("the hub refuses the registration: {0}")]
    Registration(#[source] CallError),
    /// Another connection took this spoke's place. Only one process may use a name.
    #[error("another process connected under this spoke's name and took its place")]
    Replaced,
    /// The connection's task ended in a way nobody foresaw.
    #[error("the connection ended unexpectedly")]
    Internal(#[source] tokio::task::JoinError),
}
