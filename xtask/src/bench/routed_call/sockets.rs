//! Callers and a provider on WebSockets of the hub, as small as the protocol allows.

use std::io;

use async_trait::async_trait;
use futures::{FutureExt, SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::TEXT;
use crate::bench::hub::HubServer;
use crate::bench::load::{Caller, Connect};

/// The operation that the provider offers.
const OPERATION: &str = "bench.echo";

/// One WebSocket of text messages.
pub(super) struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    /// Connects, with the headers given.
    pub(super) async fn connect(url: &str, headers: &[(&'static str, String)]) -> io::Result<Self> {
        let mut request = url.into_client_request().map_err(io::Error::other)?;
        for (name, value) in headers {
            let value = value.parse().map_err(io::Error::other)?;
            request.headers_mut().insert(*name, value);
        }
        let (socket, _) = connect_async(request).await.map_err(io::Error::other)?;
        if let MaybeTlsStream::Plain(stream) = socket.get_ref() {
            stream.set_nodelay(true)?;
        }
        Ok(Self(socket))
    }

    pub(super) async fn send(&mut self, text: String) -> io::Result<()> {
        self.0
            .send(Message::text(text))
            .await
            .map_err(io::Error::other)
    }

    /// Queues a message for [`Socket::flush`].
    pub(super) async fn feed(&mut self, text: String) -> io::Result<()> {
        self.0
            .feed(Message::text(text))
            .await
            .map_err(io::Error::other)
    }

    pub(super) async fn flush(&mut self) -> io::Result<()> {
        self.0.flush().await.map_err(io::Error::other)
    }

    /// The next text message.
    pub(super) async fn read(&mut self) -> io::Result<Message> {
        loop {
            match self.0.next().await {
                Some(Ok(message)) if message.is_text() => return Ok(message),
                Some(Ok(Message::Close(close))) => {
                    return Err(io::Error::other(format!("closed: {close:?}")));
                }
                Some(Ok(_control)) => {}
                Some(Err(error)) => return Err(io::Error::other(error)),
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
    }

    /// The next text message if it is there already.
    pub(super) fn read_now(&mut self) -> Option<io::Result<Message>> {
        self.read().now_or_never()
    }
}

/// The text of a message as JSON.
pub(super) fn parse(message: &Message) -> io::Result<Value> {
    let text = message.to_text().map_err(io::Error::other)?;
    serde_json::from_str(text).map_err(io::Error::other)
}

/// Answers requests until the connection ends; answers to what has arrived together leave together.
pub(super) async fn provide(
    mut socket: Socket,
    answer: impl Fn(&Value) -> Option<String> + Send + 'static,
) -> io::Result<()> {
    loop {
        let mut message = socket.read().await?;
        loop {
            if let Some(text) = answer(&parse(&message)?) {
                socket.feed(text).await?;
            }
            match socket.read_now() {
                Some(next) => message = next?,
                None => break,
            }
        }
        socket.flush().await?;
    }
}

/// How to reach the hub; its provider runs already.
#[derive(Clone)]
pub(super) struct Hub {
    url: String,
    key: String,
    callers: usize,
}

impl Hub {
    /// Connects the provider.
    pub(super) async fn prepare(hub: &HubServer) -> io::Result<Self> {
        let ours = Self {
            url: format!("ws://{}/ws", hub.host()),
            key: hub.key().to_owned(),
            callers: 0,
        };
        let mut socket = ours.socket().await?;
        let schema = json!({
            "type": "object",
            "properties": { "text": { "type": "string" } },
            "required": ["text"],
        });
        let register = json!({
            "name": "bench",
            "limits": { "maxInFlight": 256 },
            "operations": [{
                "namespace": "bench", "name": "echo", "version": "1.0.0", "type": "query",
                "description": "Answers what it got.", "inputSchema": schema, "outputSchema": schema,
                "accessControl": { "requiredScopes": ["spoke:call"] }, "record": "none",
            }],
        });
        socket
            .send(request("register", "hub.register", &register))
            .await?;
        let answer = loop {
            let frame = parse(&socket.read().await?)?;
            if frame["payload"]["requestId"] == "register" {
                break frame;
            }
        };
        if answer["payload"]["output"]["data"]["accepted"] != json!([OPERATION]) {
            return Err(io::Error::other(format!("does not register: {answer}")));
        }
        tokio::spawn(provide(socket, |frame| {
            (frame["type"] == "call.requested").then(|| {
                let id = &frame["payload"]["requestId"];
                json!({
                    "type": "call.responded", "id": id,
                    "payload": { "requestId": id, "output": {
                        "data": frame["payload"]["input"],
                        "meta": { "source": "local", "operationId": OPERATION, "timestamp": 1_795_508_999_100_u64 },
                    } },
                })
                .to_string()
            })
        }));
        Ok(ours)
    }

    async fn socket(&self) -> io::Result<Socket> {
        let key = ("authorization", format!("Bearer {}", self.key));
        let mut socket = Socket::connect(&self.url, &[key]).await?;
        let hello = parse(&socket.read().await?)?;
        if hello["type"] == "hub.hello" {
            Ok(socket)
        } else {
            Err(io::Error::other(format!("does not say hello: {hello}")))
        }
    }
}

#[async_trait]
impl Connect for Hub {
    type Caller = HubCaller;

    async fn connect(&mut self) -> io::Result<HubCaller> {
        self.callers += 1;
        Ok(HubCaller {
            socket: self.socket().await?,
            // No id is used twice, also not in a later turn.
            prefix: format!("{}-{:x}", self.callers, fastrand::u64(..)),
            calls: 0,
        })
    }
}

/// One caller of the hub.
pub(super) struct HubCaller {
    socket: Socket,
    prefix: String,
    calls: u64,
}

#[async_trait]
impl Caller for HubCaller {
    async fn call(&mut self) -> io::Result<()> {
        self.calls += 1;
        let id = format!("{}-{}", self.prefix, self.calls);
        let input = json!({ "text": TEXT });
        self.socket.send(request(&id, OPERATION, &input)).await?;
        let message = self.socket.read().await?;
        let text = message.to_text().map_err(io::Error::other)?;
        if text.contains("call.responded") && text.contains(&id) && text.contains(TEXT) {
            Ok(())
        } else {
            Err(io::Error::other(text.to_owned()))
        }
    }
}

fn request(id: &str, operation: &str, input: &Value) -> String {
    format!(
        r#"{{"type":"call.requested","id":"{id}","payload":{{"requestId":"{id}","operationId":"{operation}","input":{input}}}}}"#
    )
}
