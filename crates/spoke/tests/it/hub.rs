//! A hub for tests: real sockets, the real protocol, and no rules.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alkhub_spoke::operations::protocol::{
    CallMap, CallServer, Closing, ClosingReason, Control, EventSink, FrameLimits, Heartbeat, Hello,
    HelloLimits, Inbound, Incoming, MapLimits, Request, ServerLimits, Service, SinkClosed, decode,
    deliver, encode,
};
use alkhub_spoke::operations::{CallEvent, EnvelopeStream, OperationId, RequestId};
use alkhub_spoke::{CallError, Envelope, OperationType};
use futures::future::BoxFuture;
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{
    ErrorResponse, Request as Upgrade, Response,
};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_util::sync::CancellationToken;

/// The key that the hub takes.
pub(crate) const KEY: &str = "alk_test";

/// How long a test waits for anything.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the hub answers to a registration.
type Answer = Box<dyn FnMut(&Value) -> Result<Value, CallError> + Send>;

pub(crate) struct TestHub {
    pub(crate) address: SocketAddr,
    pub(crate) shared: Arc<Shared>,
    connections: tokio::sync::Mutex<mpsc::Receiver<Arc<Connection>>>,
}

pub(crate) struct Shared {
    /// The calls of the one spoke; they outlive a connection.
    pub(crate) map: Arc<CallMap>,
    /// Every request that arrived: id, operation, parent.
    pub(crate) seen: Mutex<Vec<(String, String, Option<String>)>>,
    pub(crate) updates: Mutex<Vec<Value>>,
    pub(crate) answer: Mutex<Answer>,
    pub(crate) heartbeat_ms: Mutex<u64>,
    /// Nobody gets through to the hub.
    pub(crate) away: AtomicBool,
    /// Answers of `test.once`, by request id: a repeated id gets the same.
    once: Mutex<HashMap<RequestId, u64>>,
    announce: mpsc::Sender<Arc<Connection>>,
}

/// A registered connection.
pub(crate) struct Connection {
    /// What the spoke sent to register.
    pub(crate) register: Value,
    out: mpsc::Sender<Message>,
    cut: CancellationToken,
    /// How the spoke closed it.
    pub(crate) closed: tokio::sync::watch::Receiver<Option<u16>>,
}

impl TestHub {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (announce, connections) = mpsc::channel(100);
        let shared = Arc::new(Shared {
            map: CallMap::detached(MapLimits::default()),
            seen: Mutex::default(),
            updates: Mutex::default(),
            answer: Mutex::new(Box::new(accept_all)),
            heartbeat_ms: Mutex::new(15_000),
            away: AtomicBool::new(false),
            once: Mutex::default(),
            announce,
        });
        let serving = Arc::clone(&shared);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                if serving.away.load(Ordering::SeqCst) {
                    continue;
                }
                let shared = Arc::clone(&serving);
                tokio::spawn(async move { serve(shared, stream).await });
            }
        });
        Self {
            address,
            shared,
            connections: tokio::sync::Mutex::new(connections),
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next connection that registers.
    pub(crate) async fn connection(&self) -> Arc<Connection> {
        let mut connections = self.connections.lock().await;
        let next = tokio::time::timeout(PATIENCE, connections.recv());
        next.await.expect("no spoke registers").unwrap()
    }

    /// Calls an operation of the spoke.
    pub(crate) async fn call(&self, operation: &str, input: Value) -> Result<Envelope, CallError> {
        let request = Request::new(operation, input);
        let call = self.shared.map.call(request);
        let answer = tokio::time::timeout(PATIENCE, call);
        answer.await.expect("the spoke does not answer")
    }

    /// How often an operation was asked for, under which ids.
    pub(crate) fn ids_of(&self, operation: &str) -> Vec<String> {
        let seen = self.shared.seen.lock().unwrap();
        let of = seen.iter().filter(|(_, name, _)| name == operation);
        of.map(|(id, _, _)| id.clone()).collect()
    }
}

impl Connection {
    /// The network fails: neither side is told.
    pub(crate) fn cut(&self) {
        self.cut.cancel();
    }

    pub(crate) async fn close(&self, code: u16, reason: &'static str) {
        let frame = CloseFrame {
            code: code.into(),
            reason: reason.into(),
        };
        self.out.send(Message::Close(Some(frame))).await.unwrap();
    }

    pub(crate) async fn closing(&self, reason: ClosingReason, after_ms: Option<u64>) {
        let closing = Control::Closing(Closing {
            reason,
            reconnect_after_ms: after_ms,
        });
        self.out
            .send(Message::text(closing.to_text()))
            .await
            .unwrap();
    }
}

pub(crate) fn accept_all(register: &Value) -> Result<Value, CallError> {
    let ids: Vec<_> = register["operations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|spec| {
            format!(
                "{}.{}",
                spec["namespace"].as_str().unwrap(),
                spec["name"].as_str().unwrap()
            )
        })
        .collect();
    Ok(json!({
        "spokeId": "spoke-1", "resumed": register["spokeId"].is_string(),
        "accepted": ids, "refused": [], "serverTime": "2026-11-24T08:10:53.120Z",
    }))
}

#[expect(
    clippy::result_large_err,
    reason = "the WebSocket library asks for this type"
)]
fn upgrade(request: &Upgrade, mut response: Response) -> Result<Response, ErrorResponse> {
    let bearer = format!("Bearer {KEY}");
    let key = request.headers().get("authorization");
    if key.is_none_or(|key| key != bearer.as_str()) {
        let body = json!({ "code": "UNAUTHENTICATED", "message": "no such key" }).to_string();
        let mut refusal = ErrorResponse::new(Some(body));
        *refusal.status_mut() = StatusCode::UNAUTHORIZED;
        return Err(refusal);
    }
    assert_eq!(request.uri().path(), "/ws");
    response.headers_mut().insert(
        "sec-websocket-protocol",
        HeaderValue::from_static("alkhub.v1"),
    );
    Ok(response)
}

async fn serve(shared: Arc<Shared>, stream: TcpStream) {
    let Ok(socket) = tokio_tungstenite::accept_hdr_async(stream, upgrade).await else {
        return;
    };
    let (mut to_spoke, mut from_spoke) = socket.split();
    let (out, mut queued) = mpsc::channel::<Message>(10_000);
    let cut = CancellationToken::new();
    let cutting = cut.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                message = queued.recv() => match message {
                    Some(message) => {
                        if to_spoke.send(message).await.is_err() {
                            return;
                        }
                    }
                    None => return,
                },
                () = cutting.cancelled() => return,
            }
        }
    });
    let hello = Control::Hello(Hello {
        instance_id: "test".into(),
        version: "0.1.0".into(),
        protocol: "alkhub.v1".into(),
        now: "2026-11-24T08:10:53.120Z".into(),
        heartbeat_ms: *shared.heartbeat_ms.lock().unwrap(),
        max_frame_bytes: 16 << 20,
        limits: HelloLimits::default(),
    });
    out.send(Message::text(hello.to_text())).await.unwrap();

    let sink = Arc::new(Sink { out: out.clone() });
    let (closed, watching) = tokio::sync::watch::channel(None);
    let service = Arc::new(HubService {
        shared: Arc::clone(&shared),
        sink: sink.clone(),
        out: out.clone(),
        cut: cut.clone(),
        closed: watching,
    });
    let server = CallServer::new(service, sink, ServerLimits::default());
    loop {
        let message = tokio::select! {
            message = from_spoke.next() => message,
            () = cut.cancelled() => break,
        };
        match message {
            Some(Ok(Message::Text(text))) => {
                match decode(&text, &FrameLimits::default()).unwrap() {
                    Incoming::Call(event) => {
                        if let CallEvent::Requested(asked) = &event {
                            shared.seen.lock().unwrap().push((
                                asked.request_id.to_string(),
                                asked.operation_id.clone(),
                                asked.parent_request_id.as_ref().map(ToString::to_string),
                            ));
                        }
                        deliver(&shared.map, &server, event);
                    }
                    Incoming::Control(Control::Heartbeat(_)) => {
                        let answer = Control::Heartbeat(Heartbeat {
                            now: Some("2026-11-24T08:10:53.120Z".into()),
                            ..Heartbeat::default()
                        });
                        out.send(Message::text(answer.to_text())).await.unwrap();
                    }
                    other => panic!("{other:?}"),
                }
            }
            Some(Ok(Message::Close(frame))) => {
                let code = frame.map_or(1005, |frame| frame.code.into());
                closed.send_replace(Some(code));
            }
            Some(Ok(_)) => {}
            Some(Err(_)) | None => break,
        }
    }
    shared.map.detach();
    server.close();
}

struct Sink {
    out: mpsc::Sender<Message>,
}

impl EventSink for Sink {
    fn push(&self, event: CallEvent) -> Result<(), SinkClosed> {
        self.out
            .try_send(Message::text(encode(&event)))
            .map_err(|_| SinkClosed)
    }

    fn ready(&self) -> BoxFuture<'_, Result<(), SinkClosed>> {
        Box::pin(async { Ok(()) })
    }
}

struct HubService {
    shared: Arc<Shared>,
    sink: Arc<Sink>,
    out: mpsc::Sender<Message>,
    cut: CancellationToken,
    closed: tokio::sync::watch::Receiver<Option<u16>>,
}

impl HubService {
    async fn register(&self, input: Value) -> Result<Value, CallError> {
        let answer = (self.shared.answer.lock().unwrap())(&input)?;
        let map = &self.shared.map;
        if answer["resumed"] == true {
            for frame in input["undelivered"].as_array().into_iter().flatten() {
                let frame = json!({ "type": frame["type"], "id": "", "payload": frame["payload"] });
                if let Incoming::Call(event) =
                    decode(&frame.to_string(), &FrameLimits::default()).unwrap()
                {
                    map.deliver(event);
                }
            }
            let running: Vec<_> = input["running"].as_array().into_iter().flatten().collect();
            for id in map.pending_ids() {
                if !running.iter().any(|it| **it == id.as_str()) {
                    map.fail(&id, CallError::provider_lost(true));
                }
            }
        }
        map.attach(self.sink.clone());
        let connection = Arc::new(Connection {
            register: input,
            out: self.out.clone(),
            cut: self.cut.clone(),
            closed: self.closed.clone(),
        });
        self.shared.announce.send(connection).await.unwrap();
        Ok(answer)
    }
}

#[async_trait::async_trait]
impl Service for HubService {
    async fn call(&self, request: Inbound) -> Result<Envelope, CallError> {
        let input = request.requested.input.unwrap_or_default();
        let id: OperationId = request.requested.operation_id.parse().unwrap();
        let data = match id.as_str() {
            "hub.register" => self.register(input).await?,
            "hub.update" => {
                self.shared.updates.lock().unwrap().push(input.clone());
                let refused: Vec<_> = input["add"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter(|spec| spec["namespace"] == "task")
                    .map(
                        |_| json!({ "name": "task.x", "code": "FORBIDDEN", "message": "reserved" }),
                    )
                    .collect();
                json!({ "spokeId": "spoke-1", "accepted": [], "refused": refused })
            }
            "test.echo" => json!({ "echo": input, "parent": request.requested.parent_request_id }),
            "test.never" => std::future::pending().await,
            // Runs once an id, and its first answer never arrives.
            "test.once" => {
                let ran = {
                    let mut once = self.shared.once.lock().unwrap();
                    let next = once.len() as u64 + 1;
                    let again = once.contains_key(&request.requested.request_id);
                    let ran = *once.entry(request.requested.request_id).or_insert(next);
                    again.then_some(ran)
                };
                match ran {
                    Some(ran) => json!(ran),
                    None => std::future::pending().await,
                }
            }
            _ => return Err(CallError::operation_not_found(id.as_str())),
        };
        Ok(Envelope::local(data, &id))
    }

    async fn subscribe(&self, request: Inbound) -> Result<EnvelopeStream, CallError> {
        let id: OperationId = request.requested.operation_id.parse().unwrap();
        let items = futures::stream::iter(1..=600)
            .map(move |number| Ok(Envelope::local(json!(number), &id)));
        Ok(items.boxed())
    }

    fn kind(&self, operation: &str) -> Option<OperationType> {
        (operation == "test.numbers").then_some(OperationType::Subscription)
    }
}
