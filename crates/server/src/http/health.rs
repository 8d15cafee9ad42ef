//! `/healthz` and `/readyz`: for load balancers and service managers, open to everybody.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::App;
use super::answer::json;

/// The process answers. Looks at nothing else.
pub(super) async fn healthz() -> Response {
    ([(CONTENT_TYPE, "text/plain; charset=utf-8")], "ok\n").into_response()
}

/// 200 when calls are answered, else 503; the body says which check failed and no more.
pub(super) async fn readyz(State(app): State<Arc<App>>) -> Response {
    let readiness = app.hub.readiness().await;
    let status = if readiness.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let body = json!({
        "ready": readiness.ready,
        "draining": readiness.draining,
        "checks": readiness.checks,
    });
    json(status, &body)
}
