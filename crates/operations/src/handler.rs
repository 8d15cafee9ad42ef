//! What runs an operation, and what it hands back.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use serde_json::Value;

use crate::context::Context;
use crate::envelope::Envelope;
use crate::error::{CallError, DETAILS_LIMIT};
use crate::spec::{OperationSpec, OperationType};

/// Runs a query or a mutation.
#[async_trait]
pub trait Handler: Send + Sync {
    /// Runs once. The input has passed the operation's schema.
    ///
    /// # Errors
    /// What the operation declares, or one of the general codes.
    async fn call(&self, input: Value, ctx: Context) -> Result<Reply, CallError>;
}

/// Runs a subscription.
pub trait StreamHandler: Send + Sync {
    /// Starts the stream. The input has passed the operation's schema. An `Err` item ends it.
    fn subscribe(&self, input: Value, ctx: Context)
    -> BoxStream<'static, Result<Reply, CallError>>;
}

/// A handler of either sort.
#[derive(Clone)]
pub enum AnyHandler {
    /// Of a query or mutation.
    Call(Arc<dyn Handler>),
    /// Of a subscription.
    Stream(Arc<dyn StreamHandler>),
}

/// What a handler hands back. Which of the two is a type, never guessed from the value.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// Plain data; it is wrapped in a local envelope.
    Data(Value),
    /// An envelope of its own, handed on as it is.
    Envelope(Envelope),
}

/// A spec and, unless it is only known and not offered here, what runs it.
#[derive(Debug, Clone)]
pub struct Operation {
    /// The definition.
    pub spec: OperationSpec,
    /// What runs it.
    pub handler: Option<AnyHandler>,
    /// True when it needs no key. Not part of the spec: it is the host's own decision.
    pub open: bool,
    /// Largest details of its errors, in bytes of JSON.
    pub details_limit: usize,
}

impl Operation {
    /// An operation that needs a key.
    #[must_use]
    pub fn new(spec: OperationSpec, handler: Option<AnyHandler>) -> Self {
        Self {
            spec,
            handler,
            open: false,
            details_limit: DETAILS_LIMIT,
        }
    }
}

impl From<OperationSpec> for Operation {
    fn from(spec: OperationSpec) -> Self {
        Self::new(spec, None)
    }
}

impl AnyHandler {
    /// True when the handler is of the sort that the type of operation needs.
    #[must_use]
    pub fn fits(&self, kind: OperationType) -> bool {
        matches!(self, Self::Stream(_)) == (kind == OperationType::Subscription)
    }
}

impl fmt::Debug for AnyHandler {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Call(_) => "AnyHandler::Call",
            Self::Stream(_) => "AnyHandler::Stream",
        })
    }
}
