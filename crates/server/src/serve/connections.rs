//! Accepting connections and speaking HTTP/1.1 or HTTP/2 on them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::addresses::Listeners;
use crate::http::Peer;

/// Longest wait for the head of a request, the first one of a connection included.
const HEAD: Duration = Duration::from_secs(10);
/// How often a silent HTTP/2 connection is asked whether it lives, and how long it may take.
const PING: Duration = Duration::from_secs(20);
/// Pause after the system refused a connection, most likely for want of file descriptors.
const AFTER_REFUSAL: Duration = Duration::from_millis(100);

/// The open connections of all listeners.
pub(super) struct Connections {
    stop: CancellationToken,
    open: TaskTracker,
}

impl Connections {
    /// Accepts on every socket; beyond `most` open connections further ones wait.
    pub(super) fn accept(listeners: Listeners, router: Router, most: usize) -> Self {
        let stop = CancellationToken::new();
        let open = TaskTracker::new();
        let room = Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
        for socket in listeners.sockets {
            let accepting = Accepting {
                socket,
                router: router.clone(),
                room: Arc::clone(&room),
                stop: stop.clone(),
                open: open.clone(),
            };
            tokio::spawn(accepting.run());
        }
        Connections { stop, open }
    }

    /// Accepts no more and waits until the answers under way have left, `most` at the longest.
    pub(super) async fn close(self, most: Duration) {
        self.stop.cancel();
        self.open.close();
        if tokio::time::timeout(most, self.open.wait()).await.is_err() {
            tracing::warn!("connections were still open at the end and are cut");
        }
    }
}

struct Accepting {
    socket: TcpListener,
    router: Router,
    room: Arc<Semaphore>,
    stop: CancellationToken,
    open: TaskTracker,
}

impl Accepting {
    async fn run(self) {
        let stop = self.stop.clone();
        stop.run_until_cancelled(self.accept()).await;
    }

    async fn accept(self) {
        // The semaphore is never closed; were it, there would be nothing left to accept.
        while let Ok(permit) = Arc::clone(&self.room).acquire_owned().await {
            let (stream, peer) = match self.socket.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(error = %error, "a connection could not be accepted");
                    tokio::time::sleep(AFTER_REFUSAL).await;
                    continue;
                }
            };
            let router = self.router.clone();
            let stop = self.stop.clone();
            self.open.spawn(async move {
                converse(stream, peer, router, stop).await;
                drop(permit);
            });
        }
    }
}

/// Serves one connection to its end.
async fn converse(stream: TcpStream, peer: SocketAddr, router: Router, stop: CancellationToken) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(error = %error, "a connection was gone at once");
        return;
    }
    let asked = Arc::new(AtomicBool::new(false));
    let service = {
        let asked = Arc::clone(&asked);
        router.map_request(move |mut request: Request<Incoming>| {
            asked.store(true, Ordering::Relaxed);
            request.extensions_mut().insert(Peer(peer));
            request
        })
    };
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING);
    let connection = builder
        .serve_connection_with_upgrades(TokioIo::new(stream), TowerToHyperService::new(service));
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        // Until the version of HTTP is known no other limit counts.
        () = silence(&asked) => return,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error = %error, "a connection broke");
    }
}

/// Ends when no request has come in time, else never.
async fn silence(asked: &AtomicBool) {
    tokio::time::sleep(HEAD).await;
    if asked.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
}
