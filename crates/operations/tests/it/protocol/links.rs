//! Sinks for tests: one that only notes what is sent, and a wire between two halves.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use alkhub_operations::events::{CallAborted, CallCompleted, CallFailed, CallResponded};
use alkhub_operations::protocol::{
    CallMap, CallServer, EventSink, FrameLimits, Incoming, MapLimits, RegistryService,
    ServerLimits, SinkClosed, decode, encode,
};
use alkhub_operations::{AbortBy, CallError, CallEvent, Envelope, Registry, RequestId};
use futures::future::BoxFuture;
use serde_json::Value;
use tokio::sync::mpsc;

/// Notes what is sent.
#[derive(Default)]
pub(super) struct Notes(Mutex<Vec<CallEvent>>);

impl Notes {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    pub(super) fn all(&self) -> Vec<CallEvent> {
        self.0.lock().unwrap().clone()
    }

    pub(super) fn names(&self) -> Vec<&'static str> {
        self.all().iter().map(CallEvent::name).collect()
    }

    pub(super) fn aborted(&self) -> Vec<CallAborted> {
        let of = |event| match event {
            CallEvent::Aborted(aborted) => Some(aborted),
            _ => None,
        };
        self.all().into_iter().filter_map(of).collect()
    }
}

impl EventSink for Notes {
    fn push(&self, event: CallEvent) -> Result<(), SinkClosed> {
        self.0.lock().unwrap().push(event);
        Ok(())
    }

    fn ready(&self) -> BoxFuture<'_, Result<(), SinkClosed>> {
        Box::pin(async { Ok(()) })
    }
}

/// One direction of a wire: notes, and carries as text.
pub(super) struct Wire {
    pub(super) notes: Notes,
    texts: mpsc::UnboundedSender<String>,
    cut: Mutex<bool>,
}

impl Wire {
    pub(super) fn new() -> (Arc<Self>, mpsc::UnboundedReceiver<String>) {
        let (texts, receiver) = unbounded();
        let wire = Self {
            notes: Notes::default(),
            texts,
            cut: Mutex::new(false),
        };
        (Arc::new(wire), receiver)
    }

    /// From now on nothing arrives.
    pub(super) fn cut(&self) {
        *self.cut.lock().unwrap() = true;
    }
}

impl EventSink for Wire {
    fn push(&self, event: CallEvent) -> Result<(), SinkClosed> {
        if *self.cut.lock().unwrap() {
            return Err(SinkClosed);
        }
        let text = encode(&event);
        self.notes.push(event)?;
        self.texts.send(text).map_err(|_| SinkClosed)
    }

    fn ready(&self) -> BoxFuture<'_, Result<(), SinkClosed>> {
        let cut = *self.cut.lock().unwrap();
        Box::pin(async move { if cut { Err(SinkClosed) } else { Ok(()) } })
    }
}

/// A caller and a provider with a wire between them.
pub(super) struct Link {
    pub(super) map: Arc<CallMap>,
    pub(super) server: Arc<CallServer>,
    /// From the caller to the provider.
    pub(super) there: Arc<Wire>,
    /// From the provider to the caller.
    pub(super) back: Arc<Wire>,
}

impl Link {
    pub(super) fn new(registry: Arc<Registry>) -> Self {
        Self::with(registry, MapLimits::default(), ServerLimits::default())
    }

    pub(super) fn with(
        registry: Arc<Registry>,
        map_limits: MapLimits,
        server_limits: ServerLimits,
    ) -> Self {
        let (there, to_server) = Wire::new();
        let (back, to_map) = Wire::new();
        let map = CallMap::new(there.clone(), map_limits);
        let service = Arc::new(RegistryService::new(registry));
        let server = CallServer::new(service, back.clone(), server_limits);
        let link = Self {
            map,
            server,
            there,
            back,
        };
        link.carry(to_server, to_map);
        link
    }

    /// Carries texts until the wires are gone.
    pub(super) fn carry(
        &self,
        mut to_server: mpsc::UnboundedReceiver<String>,
        mut to_map: mpsc::UnboundedReceiver<String>,
    ) {
        let (map, server) = (Arc::clone(&self.map), Arc::clone(&self.server));
        tokio::spawn(async move {
            while let Some(text) = to_server.recv().await {
                server.deliver(read(&text));
            }
        });
        tokio::spawn(async move {
            while let Some(text) = to_map.recv().await {
                map.deliver(read(&text));
            }
        });
    }

    /// The names of what went there and back.
    pub(super) fn traffic(&self) -> (Vec<&'static str>, Vec<&'static str>) {
        (self.there.notes.names(), self.back.notes.names())
    }
}

/// A map alone, whose sink only notes.
pub(super) fn alone() -> (Arc<CallMap>, Arc<Notes>) {
    let notes = Notes::new();
    (CallMap::new(notes.clone(), MapLimits::default()), notes)
}

pub(super) fn read(text: &str) -> CallEvent {
    match decode(text, &FrameLimits::default()).unwrap() {
        Incoming::Call(event) => event,
        other => panic!("{other:?}"),
    }
}

pub(super) fn local(data: Value) -> Envelope {
    Envelope::local(data, &"test.op".parse().unwrap())
}

pub(super) fn responded(id: &RequestId, data: Value, seq: Option<u64>) -> CallEvent {
    CallEvent::Responded(CallResponded {
        request_id: id.clone(),
        output: local(data),
        seq,
    })
}

pub(super) fn completed(id: &RequestId) -> CallEvent {
    CallEvent::Completed(CallCompleted {
        request_id: id.clone(),
        count: None,
    })
}

pub(super) fn failed(id: &RequestId, error: CallError) -> CallEvent {
    CallEvent::Failed(CallFailed::new(id.clone(), error))
}

pub(super) fn aborted(id: &RequestId, by: AbortBy) -> CallEvent {
    CallEvent::Aborted(CallAborted::new(id.clone(), by, None))
}

/// Lets everything that can happen now happen, and this much time pass.
pub(super) async fn after(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

/// A channel between two parts of a test.
pub(super) fn unbounded<T>() -> (mpsc::UnboundedSender<T>, mpsc::UnboundedReceiver<T>) {
    #[expect(
        clippy::disallowed_methods,
        reason = "what goes through it is as much as the test sends"
    )]
    mpsc::unbounded_channel()
}
