//! What happens around every request: its id, the check of browsers, the catch of panics, the
//! time limit, the common headers and the log line.

use std::any::Any;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use alkhub_hub::{Origin, Surface};
use alkhub_operations::{CallError, ErrorCode, RequestId};
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_REQUEST_METHOD,
    CACHE_CONTROL, USER_AGENT, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Method, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use uuid::Uuid;

use super::answer::{Refusal, mark_request};
use super::asked::given_request_id;
use super::client_address::client_address;
use super::{App, guard};

/// Requests longer than this are worth a line.
const SLOW: Duration = Duration::from_secs(1);
/// Stands for the route of an address that is none.
const NO_ROUTE: &str = "-";
/// Longest user agent that is kept, in characters.
const USER_AGENT_LENGTH: usize = 256;

/// Address of the other end of the connection, put on each request by the listener.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// What is known of a request before it is looked at.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    /// Id of an answer that is not a call's.
    pub(crate) request_id: RequestId,
    /// Where the request comes from.
    pub(crate) origin: Origin,
}

/// Runs the rest of the router within all of the above.
pub(super) async fn surround(
    State(app): State<Arc<App>>,
    mut request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let config = app.hub.config();
    let facts = facts(&request, &config.server.trusted_proxies);
    let line = Line::of(&request);
    let is_call = is_call(line.route());

    let mut response = match guard::check(request.headers(), request.uri(), &config.server) {
        Err(error) => Refusal::from(error).into_response(),
        Ok(()) if is_plain_options(&request) => allowed_methods(line.route()).into_response(),
        Ok(()) => {
            request.extensions_mut().insert(facts.clone());
            let answered = AssertUnwindSafe(next.run(request)).catch_unwind();
            if is_call {
                // Calls end by their own deadline.
                answered.await.unwrap_or_else(|panic| panicked(&*panic))
            } else {
                let limit = config.server.request_timeout;
                match tokio::time::timeout(limit, answered).await {
                    Ok(answered) => answered.unwrap_or_else(|panic| panicked(&*panic)),
                    Err(_) => Refusal::from(CallError::timeout(&facts.request_id)).into_response(),
                }
            }
        }
    };
    finish(response.headers_mut(), &facts.request_id);
    line.write(&response, started.elapsed());
    response
}

/// `UNKNOWN_ERROR` for a panic, logged under the id the answer carries.
pub(super) fn panicked(panic: &(dyn Any + Send)) -> Response {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a value that is no text");
    let error_id = Uuid::new_v4();
    tracing::error!(error_id = %error_id, "a request panicked: {text}");
    Refusal::from(CallError::unknown(error_id)).into_response()
}

/// `OPTIONS` is answered to browsers that ask before a request of another origin; otherwise it is
/// a method like any other that no address takes.
fn is_plain_options(request: &Request) -> bool {
    request.method() == Method::OPTIONS
        && !request
            .headers()
            .contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// Whether the route takes calls, which end by their own deadlines and which the hub logs.
fn is_call(route: &str) -> bool {
    route.starts_with(super::CALLS) || route == super::MCP
}

fn allowed_methods(route: &str) -> Refusal {
    match route {
        NO_ROUTE => super::unfound(),
        route if route.starts_with(super::CALLS) => Refusal::method(super::CALL_METHODS),
        super::MCP => Refusal::method(crate::mcp::METHODS),
        _ => Refusal::method(super::READ_METHODS),
    }
}

fn facts(request: &Request, trusted: &[ipnet::IpNet]) -> Facts {
    let headers = request.headers();
    let ip = request
        .extensions()
        .get::<Peer>()
        .map(|Peer(peer)| client_address(peer.ip(), headers, trusted));
    let user_agent = headers
        .get(USER_AGENT)
        .and_then(|value| value.to_str().ok())
        .map(|text| text.chars().take(USER_AGENT_LENGTH).collect());
    Facts {
        request_id: given_request_id(headers).unwrap_or_else(RequestId::random),
        origin: Origin {
            surface: Surface::Http,
            ip,
            user_agent,
        },
    }
}

fn finish(headers: &mut HeaderMap, request_id: &RequestId) {
    mark_request(headers, request_id);
    if !headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN) {
        // The layer names these to everybody; they mean something to pages that may read only.
        headers.remove(ACCESS_CONTROL_EXPOSE_HEADERS);
        headers.remove(VARY);
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
}

/// The log line of a request. The address itself is left out, for anything may stand in it; the
/// route and the operation say as much.
struct Line {
    method: Method,
    route: Option<MatchedPath>,
    uri: Uri,
}

impl Line {
    fn of(request: &Request) -> Self {
        Line {
            method: request.method().clone(),
            route: request.extensions().get::<MatchedPath>().cloned(),
            uri: request.uri().clone(),
        }
    }

    fn route(&self) -> &str {
        self.route.as_ref().map_or(NO_ROUTE, MatchedPath::as_str)
    }

    fn operation(&self) -> Option<&str> {
        self.uri
            .path()
            .strip_prefix(super::CALLS)
            .filter(|name| is_operation_id(name))
    }

    fn write(&self, response: &Response, took: Duration) {
        let status = response.status().as_u16();
        let (method, route, operation) = (&self.method, self.route(), self.operation());
        let request_id = response
            .headers()
            .get(super::asked::X_REQUEST_ID)
            .and_then(|id| id.to_str().ok());
        let code = response
            .extensions()
            .get::<ErrorCode>()
            .map(tracing::field::display);
        let duration_ms = took.as_secs_f64() * 1000.0;
        let is_call = is_call(route);
        // The hub has told of failed and slow calls, and knows more of them.
        if status >= 500 && !is_call {
            tracing::warn!(%method, route, operation, request_id, status, code, duration_ms, "{method} {route} answered {status}");
        } else if took > SLOW && !is_call {
            tracing::info!(%method, route, operation, request_id, status, code, duration_ms, "{method} {route} was slow");
        } else {
            tracing::debug!(%method, route, operation, request_id, status, code, duration_ms, "{method} {route} answered {status}");
        }
    }
}

fn is_operation_id(name: &str) -> bool {
    name.len() <= 130
        && name
            .bytes()
            .all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, b'.' | b'_' | b'-'))
}
