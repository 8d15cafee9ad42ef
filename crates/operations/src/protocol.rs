//! The call protocol: one side asks, the other runs, over any ordered channel of messages.
//!
//! There are two halves. [`CallMap`] is the caller's: it sends requests and gives each its answers.
//! [`CallServer`] is the provider's: it runs requests by a [`Service`] and sends the answers. A
//! connection usually has both, and [`deliver`] hands each event that arrives to the right one.
//!
//! Neither knows sockets. What they send goes into an [`EventSink`], and what a socket received comes
//! in through `deliver`; [`decode`] and [`encode`] turn events into text and back. A map without its
//! socket can wait for the next one ([`CallMap::detach`], [`CallMap::attach`]).
//!
//! Each request ends exactly once. Whatever comes for it afterwards is *late*: counted and dropped.

pub mod asyncapi;
mod codec;
mod control;
mod map;
mod request;
mod schemas;
mod server;
mod service;
mod slot;
mod strict;
mod sync;
mod timers;
mod waiting;
mod weight;

pub use codec::{CodecFault, FaultAnswer, FrameLimits, Incoming, decode, encode};
pub use control::{
    Auth, Closing, ClosingReason, Control, FaultReference, FrameError, Heartbeat, Hello,
    HelloLimits,
};
pub use map::{AbortAnswer, Call, CallMap, Subscription};
pub use request::{CloseReason, MapLimits, Request};
pub use server::{CallServer, Resume, ServerLimits};
pub use service::{Inbound, RegistryService, Service, build_call_handler};
pub use waiting::RequestState;

use futures::future::BoxFuture;

// What the parts that are modelled need, in one place: the model brings its own.
use crate::context::{Progress, ProgressSink, now};
use crate::envelope::{Envelope, now_ms};
use crate::error::{CallError, ErrorCode};
use crate::events::{
    AbortBy, CallAborted, CallCredit, CallEvent, CallRequested, CallResponded, REASON_LENGTH,
};
use crate::request_id::RequestId;

/// Where a half of the protocol puts its events; whoever owns the socket turns them into frames.
///
/// `push` is called while the half holds its own lock: it queues and never blocks, and it must not
/// call the half back.
pub trait EventSink: Send + Sync + 'static {
    /// Queues an event behind those before it.
    ///
    /// # Errors
    /// [`SinkClosed`] when nothing can be sent any more.
    fn push(&self, event: CallEvent) -> Result<(), SinkClosed>;

    /// Resolves when the queue is below its limits. Items of subscriptions wait for it; nothing else
    /// does, for there is at most one answer a call.
    fn ready(&self) -> BoxFuture<'_, Result<(), SinkClosed>>;
}

/// The connection behind a sink is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection is closed")]
pub struct SinkClosed;

/// What became of an event that arrived. None of these ends the connection by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivered {
    /// It did something.
    Accepted,
    /// Its request has ended already: counted, dropped.
    Late,
    /// No request of this id is or was open here: counted, dropped.
    Unknown,
    /// The peer broke a rule.
    Violation(Violation),
}

/// A rule that the peer broke.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// The event goes the other way.
    #[error("{0} goes the other way")]
    Direction(&'static str),
    /// Items of a subscription were left out.
    #[error("item {expected} was expected, item {got} came")]
    Sequence {
        /// Number of the item that was due.
        expected: u64,
        /// Number of the item that came.
        got: u64,
    },
    /// The request id is that of another call that is still open.
    #[error("the request id is that of another open call")]
    RequestIdInUse,
}

/// Hands an event that arrived to the half it is for.
///
/// One id may be open in both halves, when a peer calls through the hub what it offers itself. An
/// abort by the provider is then meant for the caller's half, any other for the provider's.
pub fn deliver(map: &CallMap, server: &CallServer, event: CallEvent) -> Delivered {
    match &event {
        CallEvent::Requested(_) | CallEvent::Credit(_) => server.deliver(event),
        CallEvent::Responded(_)
        | CallEvent::Completed(_)
        | CallEvent::Failed(_)
        | CallEvent::Progress(_) => map.deliver(event),
        CallEvent::Aborted(aborted) => {
            let id = &aborted.request_id;
            let by_provider = aborted.by == Some(AbortBy::Provider);
            // Aborted a moment ago: then this is its confirmation.
            let waits = matches!(map.state(id), RequestState::Open | RequestState::Aborted);
            let runs = server.runs(id);
            if runs && !(by_provider && waits) {
                server.deliver(event)
            } else {
                map.deliver(event)
            }
        }
    }
}
