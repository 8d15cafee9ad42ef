//! `/ws`: the call protocol over WebSocket. What the frames mean is the hub's; here they go in and out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use alkhub_hub::connections::SUBPROTOCOL;
use alkhub_hub::{Close, Connection, Credential, Origin, Surface};
use alkhub_operations::protocol::{Control, FrameLimits, Incoming, decode};
use axum::Extension;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::http::HeaderMap;
use axum::response::Response;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt as _, StreamExt as _};
use secrecy::SecretString;

use super::App;
use super::answer::Refusal;
use super::credential::{credential, sound};
use super::surround::Facts;

/// How long a client without headers has to show its key.
const AUTHENTICATION: Duration = Duration::from_secs(5);
/// How long the last frames may take to leave before the connection is dropped.
const LAST_FRAMES: Duration = Duration::from_secs(5);
/// How long a peer has to answer a close.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Pings that may go unanswered before the peer counts as gone.
const UNANSWERED: u32 = 2;
/// Longest reason of a close, in bytes.
const REASON: usize = 123;

/// `GET /ws`.
pub(super) async fn upgrade(
    State(app): State<Arc<App>>,
    Extension(facts): Extension<Facts>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Refusal> {
    let upgrade = upgrade.map_err(|problem| {
        Refusal::from(alkhub_operations::CallError::validation_rule(
            "websocket",
            format!("this address takes WebSocket connections only: {problem}"),
        ))
    })?;
    let origin = Origin {
        surface: Surface::WebSocket,
        ..facts.origin
    };
    let largest = app.hub.config().ws.max_frame_bytes;
    let upgrade = upgrade
        .protocols([SUBPROTOCOL])
        .max_message_size(largest)
        .max_frame_size(largest);
    let credential = credential(&headers);
    if matches!(credential, Credential::None) {
        return Ok(upgrade.on_upgrade(move |socket| ask_for_key(app, socket, origin)));
    }
    let connection = app.hub.connect(credential, origin).await?;
    Ok(upgrade.on_upgrade(move |socket| serve(socket, connection)))
}

/// The first frame of a client that cannot set headers is its key.
async fn ask_for_key(app: Arc<App>, mut socket: WebSocket, origin: Origin) {
    let first = tokio::time::timeout(AUTHENTICATION, socket.recv()).await;
    let key = match first {
        Ok(Some(Ok(Message::Text(text)))) => match decode(text.as_str(), &FrameLimits::default()) {
            Ok(Incoming::Control(Control::Auth(auth))) => Some(auth.key),
            _ => None,
        },
        _ => None,
    };
    let credential = match key.as_deref() {
        None => {
            let close = Close::new(1008, "show a key: a header, or hub.auth as the first frame");
            return end(&mut socket, close).await;
        }
        Some(key) => sound(key).map_or(Credential::Malformed, |key| {
            Credential::Key(SecretString::from(key.to_owned()))
        }),
    };
    match app.hub.connect(credential, origin).await {
        Ok(connection) => serve(socket, connection).await,
        Err(error) => end(&mut socket, Close::new(1008, error.message)).await,
    }
}

async fn end(socket: &mut WebSocket, close: Close) {
    // Whoever is gone already need not be told.
    let _gone = socket.send(Message::Close(Some(close_frame(&close)))).await;
}

async fn serve(socket: WebSocket, connection: Arc<Connection>) {
    let (sender, mut receiver) = socket.split();
    let (ours, writing) = tokio::sync::mpsc::channel(4);
    let mut writer = tokio::spawn(write(sender, Arc::clone(&connection), writing));
    let close = tokio::select! {
        close = read(&mut receiver, &connection, &ours) => close,
        close = connection.outbox().cut() => Some(close),
        _ended = &mut writer => None,
    };
    if let Some(close) = close {
        // Full only when the writer is stuck, and then nothing can be sent.
        let _stuck = ours.try_send(Own::Close(close));
        if tokio::time::timeout(LAST_FRAMES, &mut writer)
            .await
            .is_err()
        {
            tracing::debug!("a peer did not take its last frames");
        }
    }
    writer.abort();
    connection.closed().await;
    // What the peer has sent meanwhile is read and dropped: a socket that is closed with unread data is
    // reset, and the close frame would be lost with it.
    let rest = async { while let Some(Ok(_unread)) = receiver.next().await {} };
    let _silent = tokio::time::timeout(LAST_WORDS, rest).await;
}

/// What the socket itself sends between the frames of the hub.
enum Own {
    Ping,
    Close(Close),
}

/// Takes frames until the peer goes, or has gone too far.
async fn read(
    receiver: &mut SplitStream<WebSocket>,
    connection: &Arc<Connection>,
    ours: &tokio::sync::mpsc::Sender<Own>,
) -> Option<Close> {
    let heartbeat = connection.heartbeat();
    let mut tick = tokio::time::interval_at((Instant::now() + heartbeat).into(), heartbeat);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut unanswered = 0;
    loop {
        let message = tokio::select! {
            message = receiver.next() => message,
            _ = tick.tick() => {
                if unanswered >= UNANSWERED {
                    return Some(Close::new(1001, "no sign of life"));
                }
                unanswered += 1;
                // A full channel means that the last ping has not even left.
                let _full = ours.try_send(Own::Ping);
                continue;
            }
        };
        let taken = match message? {
            Ok(Message::Text(text)) => connection.receive(text.as_str()),
            Ok(Message::Binary(_)) => connection.receive_binary(),
            Ok(Message::Ping(_)) => Ok(()),
            Ok(Message::Pong(_)) => {
                connection.alive();
                Ok(())
            }
            Ok(Message::Close(_)) => return None,
            Err(problem) => {
                tracing::debug!(error = %problem, "a connection broke");
                return broken(&problem);
            }
        };
        unanswered = 0;
        if let Err(close) = taken {
            return Some(close);
        }
    }
}

/// A frame over the limit, or text that is none, is told; of a broken line nothing can be told.
fn broken(problem: &axum::Error) -> Option<Close> {
    let text = problem.to_string();
    if text.contains("too long") || text.contains("too large") || text.contains("Space limit") {
        Some(Close::new(1009, "the frame is too large"))
    } else if text.contains("UTF-8") || text.contains("utf-8") {
        Some(Close::new(1007, "the text is not UTF-8"))
    } else {
        None
    }
}

async fn write(
    mut sender: SplitSink<WebSocket, Message>,
    connection: Arc<Connection>,
    mut own: tokio::sync::mpsc::Receiver<Own>,
) {
    let outbox = Arc::clone(connection.outbox());
    let mut frames = Vec::new();
    loop {
        let close = tokio::select! {
            biased;
            own = own.recv() => match own {
                Some(Own::Ping) => {
                    if sender.send(Message::Ping(bytes::Bytes::new())).await.is_err() {
                        return;
                    }
                    continue;
                }
                Some(Own::Close(close)) => {
                    outbox.take(&mut frames);
                    Some(close)
                }
                None => return,
            },
            next = outbox.next(&mut frames) => next.err(),
        };
        // Many at once leave as one write.
        for frame in frames.drain(..) {
            if sender.feed(Message::Text(frame.into())).await.is_err() {
                return;
            }
        }
        if sender.flush().await.is_err() {
            return;
        }
        if let Some(close) = close {
            let _gone = sender.send(Message::Close(Some(close_frame(&close)))).await;
            return;
        }
    }
}

fn close_frame(close: &Close) -> CloseFrame {
    let mut end = close.reason.len().min(REASON);
    while !close.reason.is_char_boundary(end) {
        end -= 1;
    }
    CloseFrame {
        code: close.code,
        reason: close.reason[..end].to_owned().into(),
    }
}
