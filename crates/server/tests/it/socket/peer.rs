//! A client or spoke of the raw protocol, so that frames are seen as they are.

use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use uuid::Uuid;

use crate::support::Server;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// One connection.
pub(crate) struct Peer {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// `hub.hello` as it came.
    pub(crate) hello: Value,
    /// Frames read while another one was waited for.
    kept: Vec<Value>,
    /// How long a frame is waited for.
    pub(crate) patience: Duration,
}

impl Peer {
    /// Connects with the server's first key.
    pub(crate) async fn connect(server: &Server) -> Self {
        Self::with_key(server, &server.key).await
    }

    /// Connects with this key.
    pub(crate) async fn with_key(server: &Server, key: &str) -> Self {
        Self::at(&server.url, key).await
    }

    /// Connects to the server at this address with this key.
    pub(crate) async fn at(url: &str, key: &str) -> Self {
        let url = url.replacen("http", "ws", 1) + "/ws";
        let mut request = url.into_client_request().unwrap();
        request
            .headers_mut()
            .insert("authorization", format!("Bearer {key}").parse().unwrap());
        let (socket, _) = connect_async(request).await.unwrap();
        let mut peer = Self {
            socket,
            hello: Value::Null,
            kept: Vec::new(),
            patience: PATIENCE,
        };
        peer.hello = peer.next("hub.hello").await;
        peer
    }

    /// Connects without a key, as a browser does; nothing was said yet.
    pub(crate) async fn without_key(server: &Server) -> Self {
        let url = server.url.replacen("http", "ws", 1) + "/ws";
        let (socket, _) = connect_async(url).await.unwrap();
        Self {
            socket,
            hello: Value::Null,
            kept: Vec::new(),
            patience: PATIENCE,
        }
    }

    /// Registers as a spoke with these operations; gives the answer's data.
    pub(crate) async fn register(&mut self, name: &str, operations: Value) -> Value {
        let input = json!({ "name": name, "operations": operations });
        self.ask("hub.register", input).await.expect("registered")
    }

    /// Calls an operation and waits for its end.
    pub(crate) async fn ask(&mut self, operation: &str, input: Value) -> Result<Value, Value> {
        let id = self.request(operation, input).await;
        self.end_of(&id).await
    }

    /// Sends a request; gives its id.
    pub(crate) async fn request(&mut self, operation: &str, input: Value) -> String {
        self.request_with(operation, input, json!({})).await
    }

    /// Sends a request with these further members; gives its id.
    pub(crate) async fn request_with(
        &mut self,
        operation: &str,
        input: Value,
        further: Value,
    ) -> String {
        let id = Uuid::new_v4().to_string();
        let mut payload = json!({ "requestId": id, "operationId": operation, "input": input });
        for (name, value) in further.as_object().unwrap() {
            payload[name] = value.clone();
        }
        let id = payload["requestId"].as_str().unwrap().to_owned();
        self.send(&json!({ "type": "call.requested", "id": id, "payload": payload }))
            .await;
        id
    }

    /// The id of the next call this spoke is asked for.
    pub(crate) async fn asked(&mut self) -> String {
        let asked = self.next("call.requested").await;
        asked["payload"]["requestId"].as_str().unwrap().to_owned()
    }

    /// The next order to stop is for this call and by these; it is confirmed.
    pub(crate) async fn stops(&mut self, id: &str, by: &str) {
        let told = self.next("call.aborted").await;
        assert_eq!(told["payload"]["requestId"], id, "{told}");
        assert_eq!(told["payload"]["by"], by, "{told}");
        self.confirm(id).await;
    }

    /// Says that a call has stopped.
    pub(crate) async fn confirm(&mut self, id: &str) {
        self.send(&json!({
            "type": "call.aborted", "id": id,
            "payload": { "requestId": id, "by": "provider" },
        }))
        .await;
    }

    /// Everything before is dealt with, for a heartbeat was answered.
    pub(crate) async fn settled(&mut self) {
        self.send(&json!({ "type": "hub.heartbeat", "payload": {} }))
            .await;
        self.next("hub.heartbeat").await;
    }

    /// A frame of this type that was read already.
    pub(crate) fn has(&self, kind: &str) -> bool {
        self.kept.iter().any(|frame| frame["type"] == kind)
    }

    /// Drops the frames of this type that were read already.
    pub(crate) fn forget(&mut self, kind: &str) {
        self.kept.retain(|frame| frame["type"] != kind);
    }

    /// The end of a request: its data or its error.
    pub(crate) async fn end_of(&mut self, id: &str) -> Result<Value, Value> {
        let frame = self
            .next_where(|frame| {
                frame["payload"]["requestId"] == id
                    && ["call.responded", "call.error", "call.aborted"]
                        .contains(&frame["type"].as_str().unwrap_or_default())
            })
            .await;
        match frame["type"].as_str() {
            Some("call.responded") => Ok(frame["payload"]["output"]["data"].clone()),
            _ => Err(frame["payload"].clone()),
        }
    }

    /// The next frame of this type; others are kept.
    pub(crate) async fn next(&mut self, kind: &str) -> Value {
        self.next_where(|frame| frame["type"] == kind).await
    }

    /// The next frame that fits; others are kept.
    pub(crate) async fn next_where(&mut self, fits: impl Fn(&Value) -> bool) -> Value {
        if let Some(place) = self.kept.iter().position(&fits) {
            return self.kept.remove(place);
        }
        let until = Instant::now() + self.patience;
        loop {
            let frame = self
                .read_until(until)
                .await
                .expect("the connection is open");
            if fits(&frame) {
                return frame;
            }
            self.kept.push(frame);
        }
    }

    /// The next frame, or the close code. Pings in between give no more time.
    async fn read_until(&mut self, until: Instant) -> Result<Value, u16> {
        loop {
            let message = tokio::time::timeout_at(until, self.socket.next())
                .await
                .unwrap_or_else(|_late| panic!("no frame in time; kept: {:?}", self.kept));
            match message {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(Some(close)))) => return Err(close.code.into()),
                Some(Ok(Message::Close(None))) | None => return Err(1005),
                Some(Ok(_)) => {}
                Some(Err(_)) => return Err(1006),
            }
        }
    }

    /// Reads until the connection is closed; gives the code.
    pub(crate) async fn close_code(&mut self) -> u16 {
        let until = Instant::now() + self.patience;
        loop {
            if let Err(code) = self.read_until(until).await {
                return code;
            }
        }
    }

    /// Sends frames as fast as the line takes them.
    pub(crate) async fn send_all(&mut self, frames: impl IntoIterator<Item = Value>) {
        for frame in frames {
            let message = Message::text(frame.to_string());
            self.socket.feed(message).await.unwrap();
        }
        self.socket.flush().await.unwrap();
    }

    /// Sends a frame.
    pub(crate) async fn send(&mut self, frame: &Value) {
        self.send_text(frame.to_string()).await;
    }

    /// Sends any text.
    pub(crate) async fn send_text(&mut self, text: String) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    /// Sends a binary frame.
    pub(crate) async fn send_binary(&mut self, bytes: Vec<u8>) {
        self.socket.send(Message::binary(bytes)).await.unwrap();
    }

    /// Answers a request.
    pub(crate) async fn respond(&mut self, id: &str, data: Value) {
        self.send(&responded(id, data)).await;
    }

    /// Answers a request with an error.
    pub(crate) async fn fail(&mut self, id: &str, code: &str) {
        self.send(&json!({
            "type": "call.error", "id": id,
            "payload": { "requestId": id, "code": code, "message": "for a test" },
        }))
        .await;
    }

    /// Ends the connection.
    pub(crate) async fn close(mut self) {
        self.socket.close(None).await.unwrap();
    }
}

/// The frame of an answer.
pub(crate) fn responded(id: &str, data: Value) -> Value {
    json!({
        "type": "call.responded", "id": id,
        "payload": { "requestId": id, "output": {
            "data": data,
            "meta": { "source": "local", "operationId": "x.y", "timestamp": 1_789_989_999_100_u64 },
        } },
    })
}

/// The spec of an operation that takes and gives anything.
pub(crate) fn spec(name: &str, kind: &str) -> Value {
    let (namespace, name) = name.rsplit_once('.').unwrap();
    json!({
        "namespace": namespace, "name": name, "version": "1.0.0", "type": kind,
        "description": "for a test", "inputSchema": {}, "outputSchema": {},
        "accessControl": { "requiredScopes": [] },
    })
}

/// The same, but it may be run twice.
pub(crate) fn idempotent(name: &str, kind: &str) -> Value {
    let mut spec = spec(name, kind);
    spec["idempotent"] = json!(true);
    spec
}
