//! Calls over HTTP: `POST /v1/call/{id}`, and `GET` for queries.

use std::sync::Arc;

use alkhub_hub::{Answer, CallInput, CallOptions, CallRequest, Credential, Expected, Failure};
use alkhub_operations::{CallError, ErrorCode, OperationType};
use axum::Extension;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use url::form_urlencoded;

use super::answer::{Refusal, failure, success};
use super::asked::{Asked, require_json};
use super::credential::credential;
use super::surround::{Facts, panicked};
use super::{App, body, stream};

/// Largest body read from a caller who has not shown a key yet.
const STRANGERS_BODY: u64 = 64 * 1024;

/// `POST /v1/call/{id}`: the body is the input.
pub(super) async fn post(
    State(app): State<Arc<App>>,
    Extension(facts): Extension<Facts>,
    operation: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Refusal> {
    let operation = named(operation)?;
    let (parts, body) = request.into_parts();
    let asked = Asked::read(&parts.headers)?;
    let credential = credential(&parts.headers);
    let input = read_input(&app, &facts, &operation, &parts.headers, body, &credential).await?;
    run(
        &app,
        facts,
        asked,
        credential,
        operation,
        input,
        Expected::Call,
    )
    .await
}

/// `GET /v1/call/{id}`: the query string is the input of a query.
pub(super) async fn get(
    State(app): State<Arc<App>>,
    Extension(facts): Extension<Facts>,
    operation: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Refusal> {
    let operation = named(operation)?;
    let (Parts { headers, uri, .. }, _) = request.into_parts();
    let asked = Asked::read(&headers)?;
    let query = uri.query().unwrap_or("");
    let pairs = form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect();
    let input = CallInput::Query(pairs);
    let credential = credential(&headers);
    run(
        &app,
        facts,
        asked,
        credential,
        operation,
        input,
        Expected::Query,
    )
    .await
}

/// An id that is no text in UTF-8 is the id of nothing.
fn named(operation: Result<Path<String>, PathRejection>) -> Result<String, Refusal> {
    operation.map(|Path(operation)| operation).map_err(|_| {
        CallError::new(
            ErrorCode::OPERATION_NOT_FOUND,
            "the operation's id is not UTF-8",
        )
        .into()
    })
}

async fn read_input(
    app: &App,
    facts: &Facts,
    operation: &str,
    headers: &HeaderMap,
    body: Body,
    credential: &Credential,
) -> Result<CallInput, Refusal> {
    let announced = body::announced_length(headers);
    let body_is_empty = axum::body::HttpBody::is_end_stream(&body);
    require_json(headers, body_is_empty)?;
    let small = body_is_empty || announced.is_some_and(|length| length <= STRANGERS_BODY);
    if !small {
        // Nobody without a key makes the hub hold megabytes.
        app.hub.authenticate(credential, &facts.origin).await?;
    }
    let bytes = body::read(headers, body, app.hub.body_limit(operation)).await?;
    Ok(CallInput::Json(body::parse(&bytes)?))
}

async fn run(
    app: &App,
    facts: Facts,
    asked: Asked,
    credential: Credential,
    operation: String,
    input: CallInput,
    expected: Expected,
) -> Result<Response, Refusal> {
    let event_stream = asked.event_stream;
    let by_get = expected == Expected::Query;
    let request = CallRequest {
        operation,
        input,
        credential,
        request_id: asked.request_id,
        idempotency_key: asked.idempotency_key,
        timeout: asked.timeout,
        origin: facts.origin,
        expected,
        options: CallOptions {
            target: asked.target,
            last_event_id: asked.last_event_id,
            ..CallOptions::default()
        },
    };
    if event_stream {
        let wanted = CallRequest {
            expected: Expected::Subscription,
            ..request.clone()
        };
        match app.hub.subscribe(wanted).await {
            Ok(subscription) => return Ok(stream::respond(subscription).await),
            // Whoever also takes an event stream may still ask for a plain answer.
            Err(failed) if failed.actual_kind.is_some() => {}
            Err(failed) => return Ok(failure(failed)),
        }
    }
    // A task of its own: a caller that hangs up does not stop a call half-way.
    let hub = Arc::clone(&app.hub);
    let outcome: Result<Answer, Failure> =
        match tokio::spawn(async move { hub.call(request).await }).await {
            Ok(outcome) => outcome,
            Err(ended) => {
                return match ended.try_into_panic() {
                    Ok(panic) => Ok(panicked(&*panic)),
                    Err(_) => Err(CallError::unavailable("the hub is stopping").into()),
                };
            }
        };
    match outcome {
        Ok(answer) => Ok(success(&answer)),
        Err(failed) => match failed.actual_kind {
            Some(OperationType::Subscription) => Err(not_streamed()),
            Some(_) if by_get => Err(Refusal::method("POST")),
            _ => Ok(failure(failed)),
        },
    }
}

fn not_streamed() -> Refusal {
    Refusal::with_status(
        StatusCode::NOT_ACCEPTABLE,
        CallError::validation_rule(
            "accept",
            "the operation is a subscription: its answer is a stream, asked for by Accept: text/event-stream",
        ),
    )
}
