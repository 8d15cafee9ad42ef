//! The Model Context Protocol at `/mcp`: four tools by which a model finds and calls every operation
//! its key may call, chosen operations as tools of their own, and a few things to read.
//!
//! The protocol itself (both revisions, over Streamable HTTP without sessions) is rmcp's. Before it
//! stand the key, which is looked at before any message, and a few checks of the message it leaves
//! out; behind it every tool ends in a call of the hub.

mod answer;
mod calls;
mod catalog;
mod handler;
mod message;
mod own_tools;
mod resources;
mod tools;

use std::sync::Arc;

use alkhub_hub::{Credential, Hub, Origin, Principal, Surface};
use alkhub_operations::CallError;
use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};

use crate::http::{App, Facts, Refusal, body, credential, unfound};

/// Methods of the address.
pub(crate) const METHODS: &str = "POST";
/// Largest message, in bytes.
const MESSAGE_BYTES: usize = 4 * 1024 * 1024;

/// Who sends a message, and what they want to see.
#[derive(Clone)]
struct Caller {
    hub: Arc<Hub>,
    credential: Credential,
    principal: Arc<Principal>,
    origin: Origin,
    /// Names and patterns of the operations that are tools of their own.
    chosen: Arc<[String]>,
}

/// `POST /mcp`: one message.
pub(crate) async fn post(
    State(app): State<Arc<App>>,
    Extension(facts): Extension<Facts>,
    request: Request,
) -> Result<Response, Refusal> {
    let config = app.hub.config();
    if !config.mcp.enabled {
        return Err(unfound());
    }
    let (mut parts, body) = request.into_parts();
    let credential = credential::bearer_only(&parts.headers);
    let origin = Origin {
        surface: Surface::Mcp,
        ..facts.origin
    };
    if matches!(credential, Credential::None) {
        let message = "no API key given: send it as \"Authorization: Bearer <key>\"";
        return Err(CallError::unauthenticated(message).into());
    }
    let principal = app.hub.authenticate(&credential, &origin).await?;
    let chosen = own_tools::asked_for(&parts.headers, &config.mcp.tools)?;
    let bytes = body::read(&parts.headers, body, MESSAGE_BYTES).await?;
    if let Some(refused) = message::fault(&parts.headers, &bytes) {
        return Ok(refused);
    }
    message::widen_accept(&mut parts.headers);

    let caller = Caller {
        hub: Arc::clone(&app.hub),
        credential,
        principal,
        origin,
        chosen: chosen.into(),
    };
    let service = StreamableHttpService::new(
        move || Ok(caller.clone()),
        Arc::new(NeverSessionManager::default()),
        transport(),
    );
    let message = axum::http::Request::from_parts(parts, Full::new(bytes));
    Ok(finish(service.handle(message).await.map(Body::new)).await)
}

/// Any other method: nothing is pushed, so there is nothing to get, and no session to delete.
pub(crate) async fn other_method(State(app): State<Arc<App>>) -> Refusal {
    if app.hub.config().mcp.enabled {
        Refusal::method(METHODS)
    } else {
        unfound()
    }
}

/// No sessions, so that any process of the hub can answer; hosts and origins are checked for all
/// addresses alike before a request comes here.
fn transport() -> StreamableHttpServerConfig {
    StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_max_request_body_bytes(MESSAGE_BYTES)
        .disable_allowed_hosts()
        .disable_allowed_origins()
}

/// Gives refusals that are plain text the form that all refusals of the hub have.
async fn finish(response: Response) -> Response {
    let status = response.status();
    let plain = !is_json(response.headers());
    if !(status.is_client_error() || status.is_server_error()) || !plain {
        return response;
    }
    let text = match response.into_body().collect().await {
        Ok(body) => String::from_utf8_lossy(&body.to_bytes()).into_owned(),
        Err(_broken) => String::new(),
    };
    if status.is_server_error() {
        tracing::error!(text, "a message of MCP could not be answered");
        return Refusal::from(CallError::unknown(uuid::Uuid::new_v4())).into_response();
    }
    Refusal::with_status(status, CallError::validation_rule("mcp", text)).into_response()
}

fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"))
}

/// A response with a JSON document that is ready.
fn json_response(status: StatusCode, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(
        CONTENT_TYPE,
        axum::http::HeaderValue::from_static("application/json"),
    );
    response
}
