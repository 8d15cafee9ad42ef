//! The caller's half.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use async_trait::async_trait;
use futures::{Stream, StreamExt};

use super::sync::Arc;
use super::timers;
use super::waiting::{RequestState, Told, Waiting};
use super::{
    AbortBy, CallEvent, CloseReason, CodecFault, Delivered, EventSink, MapLimits, Request,
};
use crate::context::{EnvelopeStream, Executor, NestedCall};
use crate::envelope::Envelope;
use crate::error::{CallError, ErrorCode};
use crate::events::FrameFault;
use crate::request_id::RequestId;

/// The requests of one connection that wait for their answers. An open request costs no task; one
/// timer task serves the whole map.
pub struct CallMap {
    waiting: Arc<Waiting>,
}

/// A call under way. Dropping it aborts it.
#[must_use = "dropping a call aborts it"]
pub struct Call {
    handle: Handle,
}

/// A subscription under way. Dropping it aborts it. An error is the last item.
#[must_use = "dropping a subscription aborts it"]
pub struct Subscription {
    handle: Handle,
}

/// What became of telling a provider to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AbortAnswer {
    /// It has said its last word on the request, this long after it was told.
    Confirmed(Duration),
    /// It was told and said nothing while the id was remembered.
    Silent,
    /// There was no connection to tell it over.
    Unreachable,
    /// No request of this id was aborted here lately.
    Unknown,
}

impl CallMap {
    /// A map whose requests go into this sink. Must be called within a tokio runtime, which the timer
    /// task then runs on for as long as the map lives.
    #[must_use]
    pub fn new(sink: Arc<dyn EventSink>, limits: MapLimits) -> Arc<Self> {
        Self::start(Some(sink), limits)
    }

    /// The same without a socket yet.
    #[must_use]
    pub fn detached(limits: MapLimits) -> Arc<Self> {
        Self::start(None, limits)
    }

    fn start(sink: Option<Arc<dyn EventSink>>, limits: MapLimits) -> Arc<Self> {
        let waiting = Arc::new(Waiting::new(sink, limits));
        let wake = Arc::clone(&waiting.wake);
        tokio::spawn(timers::drive(Arc::downgrade(&waiting), wake));
        Arc::new(Self { waiting })
    }

    /// Calls an operation. The request is sent at once, polled or not.
    ///
    /// Besides what the provider answers, it ends with `TIMEOUT`, `ABORTED`, `PROVIDER_LOST` or
    /// `UNAVAILABLE`, with `RATE_LIMITED` when too many are open, and with `CONFLICT` rule
    /// `request_id` when the id is open already.
    pub fn call(&self, request: Request) -> Call {
        Call {
            handle: self.open(request, false),
        }
    }

    /// Starts a subscription. The request is sent at once, polled or not.
    pub fn subscribe(&self, request: Request) -> Subscription {
        Subscription {
            handle: self.open(request, true),
        }
    }

    /// Takes an event that the provider sent.
    pub fn deliver(&self, event: CallEvent) -> Delivered {
        self.waiting.deliver(event)
    }

    /// Ends the request that a frame was about which could not be read, when it was an answer: the
    /// call ends with `OUTPUT_INVALID`. `None` when the fault concerns no request of this map.
    pub fn refuse(&self, fault: &CodecFault) -> Option<Delivered> {
        let of_answer = match fault {
            CodecFault::Frame(FrameFault::Payload { event, .. }) => event == "call.responded",
            CodecFault::Oversized { event, .. } => *event == "call.responded",
            _ => false,
        };
        let id = fault.request_id().filter(|_| of_answer)?;
        let error = CallError::new(
            ErrorCode::OUTPUT_INVALID,
            format!("the provider's answer is invalid: {fault}"),
        );
        Some(self.waiting.refuse_answer(id, error))
    }

    /// Aborts a request: whoever waits gets `ABORTED` at once, and the provider is told. False when
    /// it is not open.
    pub fn abort(&self, id: &RequestId, by: AbortBy, reason: Option<String>) -> bool {
        self.waiting.abort(id, by, reason.as_deref())
    }

    /// Tells the provider to stop what is not open here (any more), as after a reconnect.
    pub fn tell_aborted(&self, id: &RequestId, by: AbortBy, reason: Option<String>) {
        self.waiting.tell_again(id, by, reason.as_deref());
    }

    /// Waits for the provider's confirmation of an abort, for as long as its id is remembered
    /// ([`MapLimits::confirm`]).
    pub fn aborted(&self, id: &RequestId) -> impl Future<Output = AbortAnswer> + Send + 'static {
        let told = self.waiting.confirmation(id);
        async move {
            match told {
                Told::Confirmed(after) => AbortAnswer::Confirmed(after),
                Told::Unreachable => AbortAnswer::Unreachable,
                Told::Unknown => AbortAnswer::Unknown,
                Told::Waiting(answer) => answer
                    .await
                    .map_or(AbortAnswer::Silent, AbortAnswer::Confirmed),
            }
        }
    }

    /// Ends a request with this error without a word to the provider. False when it is not open.
    pub fn fail(&self, id: &RequestId, error: CallError) -> bool {
        self.waiting.fail(id, error)
    }

    /// What is known of an id.
    #[must_use]
    pub fn state(&self, id: &RequestId) -> RequestState {
        self.waiting.state_of(id)
    }

    /// Checks that a call may be made in another: the parent must be open here, which means that the
    /// peer is running it.
    ///
    /// # Errors
    /// `ABORTED` for a parent that was aborted lately, else `VALIDATION_ERROR` rule `parent`.
    pub fn check_parent(&self, parent: &RequestId) -> Result<(), CallError> {
        match self.state(parent) {
            RequestState::Open => Ok(()),
            RequestState::Aborted => Err(CallError::aborted(parent, AbortBy::Parent)),
            RequestState::Finished | RequestState::Unknown => Err(CallError::validation_rule(
                "parent",
                "parentRequestId is no call that this connection is running",
            )),
        }
    }

    /// How many requests are open.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.waiting.pending()
    }

    /// Ids of the open requests, in no order.
    #[must_use]
    pub fn pending_ids(&self) -> Vec<RequestId> {
        self.waiting.pending_ids()
    }

    /// How many events were late or unknown so far.
    #[must_use]
    pub fn late(&self) -> u64 {
        self.waiting.late()
    }

    /// Sets by how many ms the provider's clock is ahead of ours; deadlines are sent in its time.
    pub fn set_skew(&self, skew_ms: i64) {
        self.waiting.set_skew(skew_ms);
    }

    /// Ends all that is open, and refuses what comes later.
    pub fn close(&self, why: CloseReason) {
        self.waiting.close(why);
    }

    /// The socket is lost, another may come: what is open stays open, its deadlines go on, nothing is
    /// sent. New requests end with `PROVIDER_LOST` and `started: false`.
    pub fn detach(&self) {
        self.waiting.detach();
    }

    /// Goes on over a new socket. Requests that the provider has lost must be ended by
    /// [`CallMap::fail`].
    pub fn attach(&self, sink: Arc<dyn EventSink>) {
        self.waiting.attach(sink);
    }

    /// Sends an open request again over the present socket, under its id and with the time it has
    /// left: for a provider that may not have seen it and does not run one id twice. False when it is
    /// not open or there is no socket.
    pub fn repeat(&self, request: Request) -> bool {
        self.waiting.repeat(request)
    }

    /// The present sink, unless detached.
    #[must_use]
    pub fn sink(&self) -> Option<Arc<dyn EventSink>> {
        self.waiting.sink()
    }

    fn open(&self, request: Request, subscription: bool) -> Handle {
        let id = request.request_id.clone();
        let slot = self.waiting.open(request, subscription);
        Handle {
            waiting: Arc::clone(&self.waiting),
            slot,
            id,
        }
    }
}

impl std::fmt::Debug for CallMap {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("CallMap")
            .field("pending", &self.pending())
            .finish_non_exhaustive()
    }
}

/// Nested calls go to the provider, as children of the call they are made in.
#[async_trait]
impl Executor for CallMap {
    async fn call(&self, call: NestedCall) -> Result<Envelope, CallError> {
        Self::call(self, nested(call)).await
    }

    async fn subscribe(&self, call: NestedCall) -> Result<EnvelopeStream, CallError> {
        Ok(Self::subscribe(self, nested(call)).boxed())
    }
}

/// The request of a nested call.
fn nested(call: NestedCall) -> Request {
    let context = call.context;
    let mut request =
        Request::new(call.operation, call.input).with_id(context.request_id().clone());
    request.parent_request_id = context.parent_request_id().cloned();
    request.timeout = context.remaining();
    request
}

/// An open request in the hands of whoever asked.
struct Handle {
    waiting: Arc<Waiting>,
    slot: Arc<super::slot::Slot>,
    id: RequestId,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.waiting.dropped(&self.id, &self.slot);
    }
}

impl Call {
    /// The id of the request.
    #[must_use]
    pub fn request_id(&self) -> &RequestId {
        &self.handle.id
    }
}

impl Future for Call {
    type Output = Result<Envelope, CallError>;

    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let id = &self.handle.id;
        self.handle.slot.poll(task.waker()).map(|answer| {
            // Only a call that was polled again after its end is without an answer.
            answer.unwrap_or_else(|| Err(CallError::aborted(id, AbortBy::Caller)))
        })
    }
}

impl Subscription {
    /// The id of the request.
    #[must_use]
    pub fn request_id(&self) -> &RequestId {
        &self.handle.id
    }
}

impl Stream for Subscription {
    type Item = Result<Envelope, CallError>;

    fn poll_next(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        let handle = &self.handle;
        let item = handle.slot.poll(task.waker());
        if matches!(item, Poll::Ready(Some(Ok(_)))) {
            handle.waiting.consumed(&handle.id, &handle.slot);
        }
        item
    }
}
