//! The task of one request.

use std::sync::Arc;

use futures::StreamExt;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::super::service::Inbound;
use super::super::sync::lock;
use super::Inner;
use crate::context::EnvelopeStream;
use crate::envelope::Envelope;
use crate::error::CallError;
use crate::events::{AbortBy, CallCompleted, CallEvent, CallFailed, CallResponded};
use crate::request_id::RequestId;

/// One request that runs. Whatever becomes of its task, the request ends: with what its service gave,
/// or, when the task is dropped or panics, with an error.
pub(super) struct Run {
    inner: Arc<Inner>,
    id: RequestId,
    number: u64,
    token: CancellationToken,
    finished: bool,
}

impl Run {
    pub(super) fn new(
        inner: Arc<Inner>,
        id: RequestId,
        number: u64,
        token: CancellationToken,
    ) -> Self {
        Self {
            inner,
            id,
            number,
            token,
            finished: false,
        }
    }

    /// Runs a call and sends its answer.
    pub(super) async fn call(self, inbound: Inbound) {
        let service = Arc::clone(&self.inner.service);
        match service.call(inbound).await {
            Ok(output) => {
                let request_id = self.id.clone();
                self.finish(CallEvent::Responded(CallResponded {
                    request_id,
                    output,
                    seq: None,
                }));
            }
            Err(error) => self.fail(error),
        }
    }

    /// Runs a subscription and sends its items, as many as the caller asks for.
    pub(super) async fn stream(self, inbound: Inbound, credit: Option<Arc<Semaphore>>) {
        let service = Arc::clone(&self.inner.service);
        let before = inbound.requested.resume_after.unwrap_or(0);
        let token = self.token.clone();
        let mut items = match service.subscribe(inbound).await {
            Ok(items) => items,
            Err(error) => return self.fail(error),
        };
        let mut count: u64 = 0;
        loop {
            let next = tokio::select! {
                biased;
                () = token.cancelled() => None,
                next = self.next(&mut items, credit.as_deref()) => Some(next),
            };
            match next {
                Some(Some(Ok(output))) => {
                    count += 1;
                    self.item(output, before.saturating_add(count));
                }
                Some(Some(Err(error))) => return self.fail(error),
                Some(None) => {
                    let request_id = self.id.clone();
                    return self.finish(CallEvent::Completed(CallCompleted {
                        request_id,
                        count: Some(count),
                    }));
                }
                // Its own clean-up has run when the caller hears that it stopped.
                None => {
                    drop(items);
                    let error = CallError::aborted(&self.id, AbortBy::Caller);
                    return self.fail(error);
                }
            }
        }
    }

    /// The next item, once it may be sent; an end or an error needs no permission.
    async fn next(
        &self,
        items: &mut EnvelopeStream,
        credit: Option<&Semaphore>,
    ) -> Option<Result<Envelope, CallError>> {
        let item = items.next().await;
        if let Some(Ok(_)) = &item {
            if let Some(credit) = credit
                && let Ok(permit) = credit.acquire().await
            {
                permit.forget();
            }
            self.room().await;
        }
        item
    }

    /// Waits until the connection takes items.
    async fn room(&self) {
        loop {
            let attached = self.inner.attached.notified();
            let mut attached = std::pin::pin!(attached);
            // Registered before the look, so that a socket that comes in between is not missed.
            attached.as_mut().enable();
            let sink = lock(&self.inner.state).sink.clone();
            match sink {
                Some(sink) if sink.ready().await.is_ok() => return,
                Some(gone) => self.inner.lost(&gone),
                None => attached.await,
            }
        }
    }

    fn item(&self, output: Envelope, seq: u64) {
        let mut state = lock(&self.inner.state);
        let runs = state
            .running
            .get(&self.id)
            .is_some_and(|running| running.number == self.number && !running.stopping);
        if runs {
            let event = CallEvent::Responded(CallResponded {
                request_id: self.id.clone(),
                output,
                seq: Some(seq),
            });
            state.send(event, &self.inner.limits);
        }
    }

    fn fail(self, error: CallError) {
        let failed = CallFailed::new(self.id.clone(), error);
        self.finish(CallEvent::Failed(failed));
    }

    fn finish(mut self, outcome: CallEvent) {
        self.finished = true;
        self.inner.finish(&self.id, self.number, outcome);
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        let error_id = Uuid::new_v4();
        if std::thread::panicking() {
            tracing::error!(error.id = %error_id, request.id = %self.id, "the service panicked ({error_id})");
        }
        let failed = CallFailed::new(self.id.clone(), CallError::unknown(error_id));
        self.inner
            .finish(&self.id, self.number, CallEvent::Failed(failed));
    }
}

impl Inner {
    /// The sink is found closed: the socket is lost.
    fn lost(&self, gone: &Arc<dyn super::EventSink>) {
        let mut state = lock(&self.state);
        if state
            .sink
            .as_ref()
            .is_some_and(|sink| Arc::ptr_eq(sink, gone))
        {
            state.sink = None;
        }
    }
}
