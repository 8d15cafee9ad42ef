//! The HTTP interface: routes, and what each does with a request.

mod answer;
mod asked;
pub(crate) mod body;
mod call;
mod client_address;
pub(crate) mod credential;
mod guard;
mod health;
mod reference;
mod socket;
mod stream;
mod surround;
#[cfg(test)]
mod testing;

use std::sync::Arc;
use std::time::Duration;

use alkhub_hub::Hub;
use alkhub_operations::CallError;
use axum::Router;
use axum::http::{HeaderName, HeaderValue, Method, request};
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, get, post};
use tower_http::cors::{AllowOrigin, CorsLayer};

pub(crate) use answer::Refusal;
pub(crate) use surround::{Facts, Peer};

use crate::mcp;

/// Where calls live.
const CALLS: &str = "/v1/call/";
const CALL_METHODS: &str = "GET, HEAD, POST";
/// Where the Model Context Protocol is spoken.
const MCP: &str = "/mcp";
const READ_METHODS: &str = "GET, HEAD";
/// How long a browser may remember the answer to its question about an origin.
const CORS_MAX_AGE: Duration = Duration::from_secs(600);

/// The whole interface over a running hub. `run` serves it; tests may serve it themselves.
pub fn router(hub: Arc<Hub>) -> Router {
    routes(Arc::new(App { hub, address: None }))
}

/// The interface of a hub that listens on `address` (URL, no slash at the end).
pub(crate) fn router_at(hub: Arc<Hub>, address: String) -> Router {
    routes(Arc::new(App {
        hub,
        address: Some(address),
    }))
}

/// What every handler can reach.
pub(crate) struct App {
    pub(crate) hub: Arc<Hub>,
    /// URL of the first address listened on, if the listener is ours.
    address: Option<String>,
}

fn routes(app: Arc<App>) -> Router {
    Router::new()
        .route("/healthz", only_get(get(health::healthz)))
        .route("/readyz", only_get(get(health::readyz)))
        .route("/ws", only_get(get(socket::upgrade)))
        .route("/v1/openapi.json", only_get(get(reference::openapi)))
        .route(
            "/v1/asyncapi.json",
            only_get(get(reference::asyncapi_document)),
        )
        .route("/v1/docs", only_get(get(reference::docs)))
        .route(
            "/v1/call/{operation}",
            get(call::get)
                .post(call::post)
                .fallback(async || Refusal::method(CALL_METHODS)),
        )
        .route(MCP, post(mcp::post).fallback(mcp::other_method))
        .fallback(async || unfound())
        .layer(cors(&app))
        .layer(from_fn_with_state(Arc::clone(&app), surround::surround))
        .with_state(app)
}

/// 404 of an address.
pub(crate) fn unfound() -> Refusal {
    CallError::not_found("there is nothing at this address").into()
}

fn only_get(route: MethodRouter<Arc<App>>) -> MethodRouter<Arc<App>> {
    route.fallback(async || Refusal::method(READ_METHODS))
}

/// Pages of the origins in `server.corsOrigins` may call and read; the setting is live, so it is
/// asked on each request.
fn cors(app: &Arc<App>) -> CorsLayer {
    let hub = Arc::clone(&app.hub);
    let allowed = AllowOrigin::predicate(move |origin: &HeaderValue, _: &request::Parts| {
        let config = hub.config();
        origin
            .to_str()
            .is_ok_and(|origin| guard::origin_may_read(origin, &config.server))
    });
    CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers(
            [
                "authorization",
                "content-type",
                "idempotency-key",
                "mcp-method",
                "mcp-name",
                "mcp-protocol-version",
                "x-api-key",
                "x-request-id",
                "x-alkhub-timeout-ms",
                "x-alkhub-tools",
            ]
            .map(HeaderName::from_static),
        )
        .expose_headers(
            [
                "idempotency-replayed",
                "retry-after",
                "x-alkhub-key-rotated",
                "x-request-id",
            ]
            .map(HeaderName::from_static),
        )
        .max_age(CORS_MAX_AGE)
}
