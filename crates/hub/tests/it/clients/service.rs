//! An HTTP service that does what tests need.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{OriginalUri, Path, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{any, get, post};
use futures::StreamExt as _;
use serde_json::{Value, json};

/// A running service; it ends with the test.
pub(super) struct Service {
    pub(super) url: String,
    pub(super) shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

/// What the service notes and what it is told to do.
#[derive(Default)]
pub(super) struct Shared {
    /// Requests of `/seen`, as JSON.
    pub(super) seen: Mutex<Vec<Value>>,
    /// Requests under way that were dropped by their sender.
    pub(super) dropped: AtomicUsize,
    /// Text of `/openapi`.
    pub(super) document: Mutex<String>,
    /// Where `/redirect` leads.
    pub(super) location: Mutex<String>,
    /// Bodies of the next answers of `/events`, each cut off without its end when it begins with `!`.
    pub(super) streams: Mutex<VecDeque<String>>,
}

impl Service {
    pub(super) async fn start() -> Self {
        let shared = Arc::new(Shared::default());
        let router = Router::new()
            .route("/users", get(users))
            .route("/seen", any(seen))
            .route("/seen/{name}", any(seen))
            .route("/status/{status}", any(status))
            .route("/slow", get(slow))
            .route("/large", get(large))
            .route("/redirect", any(redirect))
            .route("/again", any(|| async { Redirect::temporary("/again") }))
            .route("/events", any(events))
            .route("/broken-json", get(broken_json))
            .route("/openapi", get(document_text))
            .route("/post", post(seen))
            .with_state(Arc::clone(&shared));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, shared, task }
    }

    /// Ends the service; its port then takes no connection.
    pub(super) fn stop(&self) {
        self.task.abort();
    }

    /// The last request of `/seen`.
    pub(super) fn last_seen(&self) -> Value {
        self.shared.seen.lock().unwrap().last().cloned().unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The document of the service.
pub(super) fn document() -> Value {
    let ok = json!({ "200": { "description": "", "content": { "application/json": { "schema": {} } } } });
    let stream = json!({ "200": { "description": "", "content": { "text/event-stream": {} } } });
    let body = json!({ "content": { "application/json": { "schema": {} } } });
    let string = json!({ "type": "string" });
    json!({
        "openapi": "3.1.0",
        "info": { "title": "pets", "version": "1.0.0" },
        "paths": {
            "/users": { "get": { "operationId": "listUsers", "responses": { "200": {
                "description": "", "content": { "application/json": { "schema": {
                    "type": "array", "items": { "type": "object", "required": ["name"] } } } } } } } },
            "/seen": {
                "get": { "operationId": "look", "responses": ok, "parameters": [
                    { "name": "q", "in": "query", "schema": string },
                    { "name": "X-Trace", "in": "header", "schema": string } ] },
                "post": { "operationId": "send", "responses": ok, "requestBody": body },
            },
            "/seen/{name}": { "put": { "operationId": "put", "responses": ok, "requestBody": body,
                "parameters": [{ "name": "name", "in": "path", "required": true, "schema": string }] } },
            "/status/{status}": { "get": { "operationId": "status", "responses": ok, "parameters": [
                { "name": "status", "in": "path", "required": true, "schema": { "type": "integer" } }] } },
            "/slow": { "get": { "operationId": "slow", "responses": ok } },
            "/large": { "get": { "operationId": "large", "responses": ok } },
            "/redirect": {
                "get": { "operationId": "redirect", "responses": ok },
                "post": { "operationId": "redirectPost", "responses": ok, "requestBody": body },
            },
            "/again": { "get": { "operationId": "again", "responses": ok } },
            "/broken-json": { "get": { "operationId": "broken", "responses": ok } },
            "/events": {
                "get": { "operationId": "watch", "responses": stream },
                "post": { "operationId": "watchPost", "responses": stream, "requestBody": body },
            },
        },
    })
}

async fn users() -> Response {
    axum::Json(json!([{ "name": "ann" }, { "name": "bob" }])).into_response()
}

async fn seen(
    State(shared): State<Arc<Shared>>,
    method: Method,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let headers: Value = headers
        .iter()
        .map(|(name, value)| (name.to_string(), json!(value.to_str().unwrap())))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let request = json!({
        "method": method.as_str(),
        "uri": uri.to_string(),
        "headers": headers,
        "body": String::from_utf8_lossy(&body),
    });
    shared.seen.lock().unwrap().push(request.clone());
    let answer = [("set-cookie", "sid=1"), ("x-served-by", "test")];
    (answer, axum::Json(request)).into_response()
}

async fn status(Path(status): Path<u16>) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    (status, axum::Json(json!({ "why": "asked for" }))).into_response()
}

/// Counts when the request is dropped before its answer.
struct Dropped(Arc<Shared>, bool);

impl Drop for Dropped {
    fn drop(&mut self) {
        if !self.1 {
            self.0.dropped.fetch_add(1, Ordering::SeqCst);
        }
    }
}

async fn slow(State(shared): State<Arc<Shared>>) -> Response {
    let mut dropped = Dropped(shared, false);
    tokio::time::sleep(Duration::from_secs(30)).await;
    dropped.1 = true;
    StatusCode::OK.into_response()
}

async fn large() -> Response {
    let chunk = Bytes::from(vec![b'x'; 1024 * 1024]);
    let chunks = futures::stream::iter(0..9).map(move |_| Ok::<_, Infallible>(chunk.clone()));
    Body::from_stream(chunks).into_response()
}

async fn redirect(State(shared): State<Arc<Shared>>) -> Response {
    let location = shared.location.lock().unwrap().clone();
    Redirect::temporary(&location).into_response()
}

async fn broken_json() -> Response {
    ([("content-type", "application/json")], "{ not json").into_response()
}

async fn document_text(State(shared): State<Arc<Shared>>) -> String {
    shared.document.lock().unwrap().clone()
}

async fn events(
    State(shared): State<Arc<Shared>>,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let text = |name: &str| {
        headers
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
    };
    shared.seen.lock().unwrap().push(json!({
        "method": method.as_str(),
        "accept": text("accept"),
        "contentType": text("content-type"),
        "lastEventId": text("last-event-id"),
        "body": String::from_utf8_lossy(&body),
    }));
    let next = shared.streams.lock().unwrap().pop_front();
    let Some(next) = next else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let broken = next.starts_with('!');
    let endless = next.starts_with('~');
    let text = next.trim_start_matches(['!', '~']).to_owned();
    let dropped = Dropped(Arc::clone(&shared), false);
    let begin = futures::stream::once(async move { Ok(Bytes::from(text)) });
    let rest = futures::stream::once(async move {
        let mut dropped = dropped;
        if endless {
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        // What was written is to arrive before the connection breaks.
        tokio::time::sleep(Duration::from_millis(50)).await;
        dropped.1 = true;
        if broken {
            Err(std::io::Error::other("cut"))
        } else {
            Ok(Bytes::new())
        }
    });
    let stream = [
        ("content-type", "text/event-stream"),
        ("x-served-by", "test"),
    ];
    (stream, Body::from_stream(begin.chain(rest))).into_response()
}
