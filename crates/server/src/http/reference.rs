//! `/v1/openapi.json` and `/v1/docs`: what the caller may call, for programs and for people.
//! `/v1/asyncapi.json`: the protocol of the socket.

use std::sync::Arc;

use alkhub_hub::Credential;
use alkhub_operations::CallError;
use alkhub_operations::protocol::asyncapi;
use axum::Extension;
use axum::extract::State;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::App;
use super::answer::{Refusal, json};
use super::asked::accepts;
use super::credential::credential;
use super::surround::Facts;
use crate::openapi::{About, Described, document};
use crate::pages;

/// The OpenAPI document of the caller's operations.
pub(super) async fn openapi(
    State(app): State<Arc<App>>,
    Extension(facts): Extension<Facts>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let document = documented(&app, &facts, &headers).await?;
    Ok(json(StatusCode::OK, &document))
}

/// The same as a page. A browser cannot send a key by itself, so one without gets a page that says
/// how to fetch this one; every other caller gets the plain error.
pub(super) async fn docs(
    State(app): State<Arc<App>>,
    Extension(facts): Extension<Facts>,
    headers: HeaderMap,
) -> Response {
    match documented(&app, &facts, &headers).await {
        Ok(document) => page(pages::reference(&document)),
        Err(refusal) => {
            let mut response = refusal.into_response();
            if response.status() == StatusCode::UNAUTHORIZED && accepts(&headers, "text", "html") {
                let html = page(pages::key_needed(&server_address(&app)));
                let (parts, body) = html.into_parts();
                response.headers_mut().extend(parts.headers);
                *response.body_mut() = body;
            }
            response
        }
    }
}

/// The AsyncAPI document of the socket. It says nothing of this hub's operations, so it needs no key.
pub(super) async fn asyncapi_document(State(app): State<Arc<App>>) -> Response {
    let address = server_address(&app);
    let (secure, rest) = match address.split_once("://") {
        Some((scheme, rest)) => (scheme == "https", rest),
        None => (false, address.as_str()),
    };
    let (host, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let path = match prefix.trim_end_matches('/') {
        "" => "/ws".to_owned(),
        prefix => format!("/{prefix}/ws"),
    };
    let document = asyncapi::document(&asyncapi::About {
        host,
        secure,
        path: &path,
        version: env!("CARGO_PKG_VERSION"),
    });
    json(StatusCode::OK, &document)
}

async fn documented(app: &App, facts: &Facts, headers: &HeaderMap) -> Result<Value, Refusal> {
    let credential = credential(headers);
    if matches!(credential, Credential::None) {
        return Err(CallError::unauthenticated(
            "a key is needed: send it as Authorization: Bearer alk_… or X-API-Key",
        )
        .into());
    }
    let principal = app.hub.authenticate(&credential, &facts.origin).await?;
    let entries = app.hub.visible_operations(&principal);
    let described: Vec<Described<'_>> = entries
        .iter()
        .map(|entry| Described {
            spec: entry.spec(),
            open: entry.is_open(),
        })
        .collect();
    Ok(document(
        &described,
        &About {
            server: &server_address(app),
            version: env!("CARGO_PKG_VERSION"),
        },
    ))
}

/// The address callers use: the public one, else the one listened on, else that of the document
/// itself.
fn server_address(app: &App) -> String {
    let config = app.hub.config();
    config
        .server
        .public_url
        .clone()
        .or_else(|| app.address.clone())
        .unwrap_or_else(|| "/".to_owned())
}

fn page(html: pages::Page) -> Response {
    let mut response = html.text.into_response();
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    if let Ok(policy) = HeaderValue::from_str(&html.policy) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}
