//! The stage of a call that runs the handler: bounded in time, stoppable, and safe from its panics.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::future::FutureExt;
use futures::stream::{self, BoxStream, StreamExt};
use serde_json::{Value, json};
use tokio_util::sync::DropGuard;
use tracing::Instrument;
use uuid::Uuid;

use super::Entry;
use crate::context::{Context, EnvelopeStream};
use crate::envelope::Envelope;
use crate::error::{CallError, ErrorCode, map_handler_error};
use crate::events::AbortBy;
use crate::handler::{AnyHandler, Reply};

/// A handler's outcome, or what it panicked with.
type Outcome<T> = Result<T, Box<dyn Any + Send>>;

impl Entry {
    /// Stage run, for a query or mutation: the handler's data in an envelope.
    ///
    /// When the deadline passes, the call is aborted, or this future is dropped, the handler's token
    /// fires and the handler is dropped where it waits, so an open transaction is rolled back. A
    /// handler that ends by itself leaves what it started alone.
    ///
    /// # Errors
    /// `OPERATION_NOT_FOUND` without a handler, `TIMEOUT`, `ABORTED`, `UNKNOWN_ERROR` after a panic,
    /// else what the handler raised, mapped by [`map_handler_error`].
    pub async fn run(&self, input: Value, ctx: &Context) -> Result<Envelope, CallError> {
        let Some(AnyHandler::Call(handler)) = self.handler() else {
            return Err(self.no_handler());
        };
        may_start(ctx)?;
        let handler = Arc::clone(handler);
        let span = self.span(ctx);
        let token = ctx.cancellation().child_token();
        let inner = ctx.clone().with_cancellation(token.clone());
        // The call to the handler is inside, so that a panic before its first await is caught too.
        let running = async move { handler.call(input, inner).await };
        let mut running = AssertUnwindSafe(running)
            .catch_unwind()
            .instrument(span)
            .boxed();
        // Made after the handler's future, so that on the way out it goes first: the token fires,
        // then the handler is dropped.
        let guard = token.drop_guard();

        let outcome = tokio::select! {
            biased;
            outcome = &mut running => outcome,
            () = ctx.cancellation().cancelled() => return Err(aborted(ctx)),
            () = overdue(ctx) => return Err(CallError::timeout(ctx.request_id())),
        };
        guard.disarm();
        match outcome {
            Ok(Ok(reply)) => Ok(self.envelope(reply)),
            Ok(Err(error)) => Err(self.mapped(error, ctx)),
            Err(panic) => Err(self.panicked(panic.as_ref())),
        }
    }

    /// Stages run and validate output, for a subscription: each item in an envelope of its own,
    /// checked. The first error is the last item. Dropping the stream stops the handler.
    ///
    /// # Errors
    /// Before any item: `OPERATION_NOT_FOUND` without a handler, `TIMEOUT`, `ABORTED`.
    pub fn stream(
        self: &Arc<Self>,
        input: Value,
        ctx: &Context,
    ) -> Result<EnvelopeStream, CallError> {
        let Some(AnyHandler::Stream(handler)) = self.handler() else {
            return Err(self.no_handler());
        };
        may_start(ctx)?;
        let token = ctx.cancellation().child_token();
        let inner = ctx.clone().with_cancellation(token.clone());
        let guard = token.drop_guard();
        let items = std::panic::catch_unwind(AssertUnwindSafe(|| handler.subscribe(input, inner)))
            .map_err(|panic| self.panicked(panic.as_ref()))?;
        let running = Running {
            entry: Arc::clone(self),
            ctx: ctx.clone(),
            items,
            guard: Some(guard),
        };
        Ok(stream::unfold(Some(running), |running| async {
            let mut running = running?;
            match running.next().await? {
                Ok(envelope) => Some((Ok(envelope), Some(running))),
                // Dropping it here, not when the consumer asks again, stops the handler at once.
                Err(error) => Some((Err(error), None)),
            }
        })
        .boxed())
    }

    fn no_handler(&self) -> CallError {
        let id = self.id();
        let message = format!("No handler registered for operation: {id}");
        CallError::new(ErrorCode::OPERATION_NOT_FOUND, message)
            .with_details(json!({ "operationId": id }))
    }

    fn span(&self, ctx: &Context) -> tracing::Span {
        tracing::debug_span!("operation", operation.id = %self.id(), request.id = %ctx.request_id())
    }

    fn envelope(&self, reply: Reply) -> Envelope {
        match reply {
            Reply::Data(data) => Envelope::local(data, self.id()),
            Reply::Envelope(envelope) => envelope,
        }
    }

    fn mapped(&self, mut error: CallError, ctx: &Context) -> CallError {
        // A nested call ends with the outer one; then the outer one's own end is what is told.
        if ctx.is_cancelled() && error.code == ErrorCode::ABORTED && error.take_inner().is_some() {
            return aborted(ctx);
        }
        if ctx.is_overdue() && error.code == ErrorCode::TIMEOUT && error.take_inner().is_some() {
            return CallError::timeout(ctx.request_id());
        }
        if self.foreign {
            return error.limited(self.operation().details_limit);
        }
        map_handler_error(error, &self.spec().error_schemas).limited(self.operation().details_limit)
    }

    fn panicked(&self, panic: &(dyn Any + Send)) -> CallError {
        let text = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "a panic without a text".to_owned());
        let error_id = Uuid::new_v4();
        tracing::error!(
            error.id = %error_id,
            operation.id = %self.id(),
            panic = %text,
            "the handler of {} panicked ({error_id})",
            self.id(),
        );
        CallError::unknown(error_id)
    }
}

/// A subscription under way.
struct Running {
    entry: Arc<Entry>,
    ctx: Context,
    /// Fires the handler's token when the stream goes before its end. Stands before the items, so
    /// that the token fires before they are dropped.
    guard: Option<DropGuard>,
    items: BoxStream<'static, Result<Reply, CallError>>,
}

impl Running {
    /// The next item, `None` at the end.
    async fn next(&mut self) -> Option<Result<Envelope, CallError>> {
        let span = self.entry.span(&self.ctx);
        let next = AssertUnwindSafe(self.items.next())
            .catch_unwind()
            .instrument(span);
        let item: Outcome<_> = tokio::select! {
            biased;
            () = self.ctx.cancellation().cancelled() => return Some(Err(aborted(&self.ctx))),
            () = overdue(&self.ctx) => return Some(Err(CallError::timeout(self.ctx.request_id()))),
            item = next => item,
            () = idle(&self.ctx) => return Some(Err(idle_timeout(&self.ctx))),
        };
        match item {
            Ok(Some(Ok(reply))) => Some(self.entry.validate_output(self.entry.envelope(reply))),
            Ok(None) => {
                self.ended_by_itself();
                None
            }
            Ok(Some(Err(error))) => {
                self.ended_by_itself();
                Some(Err(self.entry.mapped(error, &self.ctx)))
            }
            Err(panic) => {
                self.ended_by_itself();
                Some(Err(self.entry.panicked(panic.as_ref())))
            }
        }
    }

    /// What the handler started is left alone when it ends or fails by itself.
    fn ended_by_itself(&mut self) {
        if let Some(guard) = self.guard.take() {
            guard.disarm();
        }
    }
}

fn may_start(ctx: &Context) -> Result<(), CallError> {
    if ctx.is_cancelled() {
        Err(aborted(ctx))
    } else if ctx.is_overdue() {
        Err(CallError::timeout(ctx.request_id()))
    } else {
        Ok(())
    }
}

async fn overdue(ctx: &Context) {
    match ctx.deadline() {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

async fn idle(ctx: &Context) {
    match ctx.idle_timeout() {
        Some(idle) => tokio::time::sleep(idle).await,
        None => std::future::pending().await,
    }
}

fn aborted(ctx: &Context) -> CallError {
    let by = if ctx.parent_request_id().is_some() {
        AbortBy::Parent
    } else {
        AbortBy::Caller
    };
    CallError::aborted(ctx.request_id(), by)
}

fn idle_timeout(ctx: &Context) -> CallError {
    let idle = ctx.idle_timeout().unwrap_or_default();
    CallError::idle_timeout(ctx.request_id(), idle)
}
