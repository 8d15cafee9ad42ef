//! The hub's end of a WebSocket connection, without the socket: frames in as text, frames out through
//! an outbox.
//!
//! Either side of a connection may call the other. What the peer asks for goes through the pipeline as
//! every call does; what the hub asks of a spoke goes through the call map of its link.

mod faults;
mod outbox;
mod service;
mod sockets;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use alkhub_operations::protocol::{
    CallServer, Closing, ClosingReason, CodecFault, Control, Delivered, EventSink as _, FrameError,
    FrameLimits, Heartbeat, Hello, HelloLimits, Incoming, ServerLimits, Violation, decode, deliver,
};
use alkhub_operations::{AbortBy, CallError, CallEvent, ErrorCode, RequestId};
use uuid::Uuid;

pub use outbox::{Close, Outbox};
pub(crate) use sockets::Sockets;

use crate::Hub;
use crate::audit::{Action, Actor};
use crate::auth::{Credential, Origin, Principal};
use crate::links::SpokeLink;
use crate::notices::Notice;
use crate::state::State;
use faults::Faults;

/// The protocol's name, as a WebSocket subprotocol.
pub const SUBPROTOCOL: &str = "alkhub.v1";

/// Largest input or output on a connection, in bytes.
const VALUE_BYTES: usize = 8 * 1024 * 1024;

/// Bytes that may wait for a peer that does not read.
const QUEUE_BYTES: usize = 32 * 1024 * 1024;

/// Frames a second a connection may send, on average.
const FRAMES_PER_SECOND: u32 = 5_000;

/// A connection of a client or a spoke.
pub struct Connection {
    pub(crate) id: Uuid,
    pub(crate) principal: Arc<Principal>,
    pub(crate) credential: Credential,
    pub(crate) origin: Origin,
    pub(crate) outbox: Arc<Outbox>,
    state: Arc<State>,
    server: Arc<CallServer>,
    /// The spoke it is, once registered.
    link: Mutex<Option<Arc<SpokeLink>>>,
    faults: Faults,
    frame_limits: FrameLimits,
}

impl Hub {
    /// Takes a new connection in.
    ///
    /// # Errors
    /// As [`Hub::authenticate`]; `RATE_LIMITED` when the key has too many connections, `UNAVAILABLE`
    /// when the hub is stopping.
    pub async fn connect(
        &self,
        credential: Credential,
        origin: Origin,
    ) -> Result<Arc<Connection>, CallError> {
        let state = &self.state;
        if state.draining() {
            return Err(crate::error::unavailable(
                "the hub is shutting down",
                "shutting_down",
            ));
        }
        let principal = crate::pipeline::authenticate(state, &credential, &origin).await?;
        let config = state.config();
        let outbox = Arc::new(Outbox::new(config.ws.send_queue, QUEUE_BYTES));
        let id = Uuid::new_v4();
        let connection = Arc::new_cyclic(|weak| {
            let service = service::SocketService::new(Arc::clone(state), weak.clone());
            let limits = ServerLimits {
                running: usize::MAX,
                subscriptions: match config.limits.subscriptions {
                    0 => usize::MAX,
                    most => most as usize,
                },
                ..ServerLimits::default()
            };
            Connection {
                id,
                principal,
                credential,
                origin,
                server: CallServer::new(Arc::new(service), Arc::<Outbox>::clone(&outbox), limits),
                outbox,
                state: Arc::clone(state),
                link: Mutex::new(None),
                faults: Faults::new(config.limits.rate != 0),
                frame_limits: FrameLimits {
                    bytes: config.ws.max_frame_bytes,
                    value_bytes: VALUE_BYTES,
                    ..FrameLimits::default()
                },
            }
        });
        state.sockets.enter(&connection, config.limits.sockets)?;
        connection.outbox.control(&connection.hello());
        Ok(connection)
    }
}

impl Connection {
    /// Takes one frame.
    ///
    /// # Errors
    /// How to close the connection, when the peer has gone too far.
    pub fn receive(&self, text: &str) -> Result<(), Close> {
        match decode(text, &self.frame_limits) {
            Ok(Incoming::Call(event)) => self.event(event),
            Ok(Incoming::Control(control)) => self.control(&control),
            Ok(transport) => {
                if let Some(refusal) = transport.refusal() {
                    self.outbox.control(&refusal);
                }
                Ok(())
            }
            Err(fault) => self.fault(&fault),
        }
    }

    /// Takes a frame that is no text.
    ///
    /// # Errors
    /// As [`Connection::receive`].
    pub fn receive_binary(&self) -> Result<(), Close> {
        self.fault(&CodecFault::Malformed("frames are text".to_owned()))
    }

    /// Frames for the peer, and how to close.
    #[must_use]
    pub fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }

    /// How often the peer is asked for a sign of life.
    #[must_use]
    pub fn heartbeat(&self) -> Duration {
        self.state.config().spokes.heartbeat
    }

    /// The peer gave a sign of life.
    pub fn alive(&self) {
        if let Some(link) = self.link() {
            link.seen.note(now_ms(), None);
        }
    }

    /// The socket is gone. Calls the peer asked for go on; what it was doing waits for its return.
    pub async fn closed(self: &Arc<Self>) {
        self.outbox.shut();
        self.state.sockets.leave(self);
        self.server.close();
        let link = self
            .link
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(link) = link {
            crate::spokes::disconnected(&self.state, &link, self.id).await;
        }
    }

    /// The spoke it is.
    pub(crate) fn link(&self) -> Option<Arc<SpokeLink>> {
        self.link
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// It is this spoke from now on.
    pub(crate) fn become_spoke(&self, link: Arc<SpokeLink>) {
        *self.link.lock().unwrap_or_else(PoisonError::into_inner) = Some(link);
    }

    /// Closes the connection, saying why before.
    pub(crate) fn close(&self, reason: ClosingReason, close: Close, reconnect: Option<Duration>) {
        let reconnect_after_ms =
            reconnect.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
        self.outbox.control(&Control::Closing(Closing {
            reason,
            reconnect_after_ms,
        }));
        self.outbox.close(close);
    }

    fn hello(&self) -> Control {
        let config = self.state.config();
        let limit = |limit: u32| (limit != 0).then(|| u64::from(limit));
        Control::Hello(Hello {
            instance_id: self.state.instance.id.to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: SUBPROTOCOL.to_owned(),
            now: alkhub_storage::time::format(alkhub_storage::time::now()),
            heartbeat_ms: millis(config.spokes.heartbeat),
            max_frame_bytes: config.ws.max_frame_bytes as u64,
            limits: HelloLimits {
                concurrency: limit(config.limits.concurrency),
                subscriptions: limit(config.limits.subscriptions),
                frames_per_second: Some(u64::from(FRAMES_PER_SECOND)),
                value_bytes: Some(VALUE_BYTES as u64),
            },
        })
    }

    fn event(&self, event: CallEvent) -> Result<(), Close> {
        if let CallEvent::Requested(requested) = &event
            && !self.faults.admits_frame()
        {
            let error = CallError::new(
                ErrorCode::RATE_LIMITED,
                "this connection sends too many frames",
            )
            .with_details(serde_json::json!({ "rule": "frames", "retryAfterMs": 1_000 }));
            let refused =
                alkhub_operations::events::CallFailed::new(requested.request_id.clone(), error);
            // A closed outbox has nobody to tell.
            let _closed = self.outbox.push(CallEvent::Failed(refused));
            return Ok(());
        }
        let (id, name) = (event.request_id().clone(), event.name());
        if let CallEvent::Aborted(aborted) = &event
            && self.server.runs(&id)
            && aborted.by != Some(AbortBy::Provider)
        {
            self.abort(&id, aborted.reason.clone());
        }
        let delivered = match self.link() {
            Some(link) if self.state.recovery.expects(&link.id, id.as_str()) => {
                self.end_of_former_run(link, event);
                Delivered::Accepted
            }
            Some(link) => deliver(&link.map, &self.server, event),
            None => match &event {
                CallEvent::Requested(_) | CallEvent::Aborted(_) | CallEvent::Credit(_) => {
                    self.server.deliver(event)
                }
                _ => Delivered::Unknown,
            },
        };
        match delivered {
            Delivered::Accepted => Ok(()),
            Delivered::Late => {
                self.note_late(&id, name);
                self.faults.late()
            }
            Delivered::Unknown => {
                self.notice_foreign(&id);
                self.faults.late()
            }
            Delivered::Violation(violation) => self.violation(&violation, &id, name),
        }
    }

    /// The answer to a call of a former run of the hub: nobody waits for it, but it is recorded.
    fn end_of_former_run(&self, link: Arc<SpokeLink>, event: CallEvent) {
        let state = Arc::clone(&self.state);
        self.state.running.spawn(async move {
            state.recovery.answered(&state, &link.id, &event).await;
        });
    }

    /// The peer calls off what it asked for.
    fn abort(&self, id: &RequestId, reason: Option<String>) {
        let key = id.to_uuid(self.principal.account.id.as_str()).to_string();
        crate::abort::abort_by_caller(&self.state, &key, reason);
    }

    /// An answer that came after the end: the record is not touched, but for a note.
    fn note_late(&self, id: &RequestId, event: &str) {
        if matches!(event, "call.responded" | "call.error" | "call.completed") {
            crate::abort::note_late(&self.state, id.as_str(), event);
        }
    }

    /// An answer to a call of another spoke is a breach of trust.
    fn notice_foreign(&self, id: &RequestId) {
        let foreign = self.state.live.get(id.as_str()).is_some();
        if foreign && let Some(link) = self.link() {
            self.state.notices.give(Notice {
                action: Action::AccessDenied,
                subject: format!("{} answers {id}", link.id),
                actor: Actor {
                    account: self.principal.account.id.clone(),
                    key: Some(self.principal.key.id.clone()),
                    key_prefix: Some(self.principal.key.key_prefix.clone()),
                    operation: None,
                    request_id: Some(id.to_string()),
                    origin: self.origin.clone(),
                },
                reason: "a spoke answered a call of another spoke".to_owned(),
            });
        }
    }

    fn control(&self, control: &Control) -> Result<(), Close> {
        match control {
            Control::Heartbeat(_) => {
                let now = alkhub_storage::time::format(alkhub_storage::time::now());
                self.alive();
                self.outbox.control(&Control::Heartbeat(Heartbeat {
                    now: Some(now),
                    ..Heartbeat::default()
                }));
                Ok(())
            }
            // The peer's own complaint about a frame of ours.
            Control::Error(error) => {
                tracing::warn!(connection = %self.id, code = %error.code, error.message, "a peer refused a frame");
                Ok(())
            }
            Control::Auth(_) | Control::Hello(_) | Control::Closing(_) => {
                let name = control.name();
                self.outbox.control(&Control::Error(FrameError::new(
                    ErrorCode::VALIDATION_ERROR,
                    format!("{name} is not sent at this point"),
                    None,
                )));
                self.faults.violation()
            }
        }
    }

    fn fault(&self, fault: &CodecFault) -> Result<(), Close> {
        if let CodecFault::TooLarge { .. } = fault {
            return Err(Close::new(1009, fault.to_string()));
        }
        // A faulty answer ends its call, so that nobody waits for a good one.
        if let Some(link) = self.link()
            && link.map.refuse(fault).is_some()
        {
            tracing::warn!(connection = %self.id, spoke = %link.id, error = %fault, "a spoke sent a faulty answer");
        }
        let unknown_event = matches!(
            fault,
            CodecFault::Frame(alkhub_operations::events::FrameFault::UnknownEvent(_))
        );
        // What a newer peer may send is answered once.
        if !unknown_event || self.faults.first_unknown_event() {
            self.outbox.text(fault.answer().to_text());
        }
        if fault.is_violation() {
            self.faults.violation()
        } else {
            Ok(())
        }
    }

    fn violation(&self, violation: &Violation, id: &RequestId, name: &str) -> Result<(), Close> {
        self.outbox.control(&Control::Error(FrameError::new(
            ErrorCode::VALIDATION_ERROR,
            violation.to_string(),
            alkhub_operations::protocol::FaultReference::of(name, Some(id)),
        )));
        self.faults.violation()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    u64::try_from(alkhub_operations::envelope::now_ms()).unwrap_or(0)
}
