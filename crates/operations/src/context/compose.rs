//! Calls made inside a call: same caller, own request id, no more time than the outer one has left.

use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use serde::Deserialize;
use serde_json::Value;

use super::{Context, RequestId};
use crate::builder::TypedOperation;
use crate::envelope::Envelope;
use crate::error::CallError;

/// Envelopes until the end, or until an error, which is the last item.
pub type EnvelopeStream = BoxStream<'static, Result<Envelope, CallError>>;

/// A call made inside another call.
#[derive(Debug)]
pub struct NestedCall {
    /// Id of the operation, unchecked.
    pub operation: String,
    /// Its input.
    pub input: Value,
    /// The context it runs in: a new request id whose parent is the outer one, the outer caller, at
    /// most the outer deadline, and a token that fires with the outer one.
    pub context: Context,
}

/// Runs nested calls with every check an outer call gets. The operation is looked up when the call
/// is made.
#[async_trait]
pub trait Executor: Send + Sync {
    /// Runs a query or mutation.
    ///
    /// # Errors
    /// As an outer call.
    async fn call(&self, call: NestedCall) -> Result<Envelope, CallError>;

    /// Starts a subscription.
    ///
    /// # Errors
    /// What refuses it before the first item.
    async fn subscribe(&self, call: NestedCall) -> Result<EnvelopeStream, CallError>;
}

impl Context {
    /// Calls another operation.
    ///
    /// The error is an ordinary value. Handed on by the outer handler it keeps its code only when
    /// the outer operation declares it; else the outer call ends with `EXECUTION_ERROR` and
    /// `details.cause {operationId, code}`.
    ///
    /// # Errors
    /// `OPERATION_NOT_FOUND` outside the namespaces of [`Context::in_namespaces`] or without an
    /// executor, `UNPROCESSABLE` rule `too_deep` beyond the depth, else those of the call.
    pub async fn call(&self, id: &str, input: Value) -> Result<Envelope, CallError> {
        let (executor, call) = self.nest(id, input)?;
        // Dropping this future aborts the nested call, wherever it runs.
        let _abort_on_drop = call.context.cancellation.clone().drop_guard();
        executor
            .call(call)
            .await
            .map_err(|error| error.raised_by(id))
    }

    /// Calls another operation by its type.
    ///
    /// # Errors
    /// As [`Context::call`]; `UNKNOWN_ERROR` when input or output do not fit the types.
    pub async fn call_op<T: TypedOperation>(
        &self,
        input: T::Input,
    ) -> Result<T::Output, CallError> {
        let input = serde_json::to_value(&input).map_err(|error| CallError::internal(&error))?;
        let data = self.call(T::ID, input).await?.unwrap();
        T::Output::deserialize(data).map_err(|error| CallError::internal(&error))
    }

    /// Starts another operation's stream. Dropping it aborts the nested call.
    ///
    /// # Errors
    /// As [`Context::call`], before any item.
    pub async fn subscribe(&self, id: &str, input: Value) -> Result<EnvelopeStream, CallError> {
        let (executor, call) = self.nest(id, input)?;
        let abort_on_drop = call.context.cancellation.clone().drop_guard();
        let stream = executor
            .subscribe(call)
            .await
            .map_err(|error| error.raised_by(id))?;
        let id = id.to_owned();
        Ok(stream
            .map(move |item| {
                let _kept_until_the_stream_ends = &abort_on_drop;
                item.map_err(|error| error.raised_by(&id))
            })
            .boxed())
    }

    /// The same context; its nested calls reach only operations whose namespace is one of these.
    /// Of a context that is narrowed already, only what both allow is left.
    #[must_use]
    pub fn in_namespaces(&self, namespaces: &[&str]) -> Self {
        let mut context = self.clone();
        let allowed = namespaces
            .iter()
            .filter(|namespace| self.may_reach(namespace));
        context.namespaces = Some(allowed.map(|namespace| (*namespace).to_owned()).collect());
        context
    }

    fn may_reach(&self, namespace: &str) -> bool {
        self.namespaces
            .as_ref()
            .is_none_or(|allowed| allowed.iter().any(|one| one == namespace))
    }

    fn nest(&self, id: &str, input: Value) -> Result<(Arc<dyn Executor>, NestedCall), CallError> {
        let namespace = id.rsplit_once('.').map_or("", |(namespace, _)| namespace);
        let not_found = || CallError::operation_not_found(id).raised_by(id);
        if !self.may_reach(namespace) {
            return Err(not_found());
        }
        let executor = self.executor.as_ref().ok_or_else(not_found)?;
        if self.depth >= self.max_depth {
            let message = format!("calls are nested deeper than {} levels", self.max_depth);
            return Err(CallError::unprocessable("too_deep", message).raised_by(id));
        }
        let context = self.child();
        Ok((
            Arc::clone(executor),
            NestedCall {
                operation: id.to_owned(),
                input,
                context,
            },
        ))
    }

    fn child(&self) -> Self {
        let (caller, elevation) = self.caller_of_child();
        Self {
            request_id: RequestId::random(),
            parent_request_id: Some(self.request_id.clone()),
            caller,
            elevation,
            pending_elevation: None,
            deadline: self.deadline,
            idle_timeout: None,
            cancellation: self.cancellation.child_token(),
            metadata: Arc::clone(&self.metadata),
            depth: self.depth + 1,
            max_depth: self.max_depth,
            namespaces: None,
            executor: self.executor.clone(),
            host: self.host.clone(),
            progress: None,
        }
    }
}
