//! Answers: outcomes of calls and refusals, as HTTP responses.

use alkhub_hub::{Answer, Failure};
use alkhub_operations::{CallError, ErrorCode, RequestId};
use axum::body::Body;
use axum::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;

use super::asked::X_REQUEST_ID;

const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const KEY_ROTATED: HeaderName = HeaderName::from_static("x-alkhub-key-rotated");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A request that is answered with an error.
#[derive(Debug)]
pub(crate) struct Refusal(Box<Parts>);

#[derive(Debug)]
struct Parts {
    status: StatusCode,
    error: CallError,
    allow: Option<&'static str>,
}

impl Refusal {
    /// A refusal by HTTP itself, whose status is not that of the code.
    pub(crate) fn with_status(status: StatusCode, error: CallError) -> Self {
        Refusal(Box::new(Parts {
            status,
            error,
            allow: None,
        }))
    }

    /// 405: the path is known, the method is not one of `allow`.
    pub(crate) fn method(allow: &'static str) -> Self {
        let error =
            CallError::validation_rule("method", format!("this address takes {allow} only"));
        let mut refusal = Refusal::with_status(StatusCode::METHOD_NOT_ALLOWED, error);
        refusal.0.allow = Some(allow);
        refusal
    }

    /// Status of the answer.
    #[cfg(test)]
    pub(crate) fn status(&self) -> StatusCode {
        self.0.status
    }
}

impl From<CallError> for Refusal {
    fn from(error: CallError) -> Self {
        Refusal::with_status(status_of(&error), error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Parts {
            status,
            error,
            allow,
        } = *self.0;
        let mut response = json(status, &error);
        let headers = response.headers_mut();
        if let Some(allow) = allow {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(
                WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"alkhub\""),
            );
        }
        if let Some(seconds) = retry_after(&error) {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(error.code);
        response
    }
}

/// 200 with the envelope, whatever status the provider of an external service gave.
pub(super) fn success(answer: &Answer) -> Response {
    let mut response = json(StatusCode::OK, &answer.envelope);
    mark(
        response.headers_mut(),
        &answer.request_id,
        answer.replayed,
        answer.rotated_to.as_deref(),
    );
    response
}

/// The error of a call.
pub(super) fn failure(failure: Failure) -> Response {
    let status = failure
        .declared_status
        .and_then(|status| StatusCode::from_u16(status).ok())
        .unwrap_or_else(|| status_of(&failure.error));
    let mut response = Refusal::with_status(status, failure.error).into_response();
    mark(
        response.headers_mut(),
        &failure.request_id,
        failure.replayed,
        failure.rotated_to.as_deref(),
    );
    response
}

/// A response with the value as JSON.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    let body = match serde_json::to_vec(value) {
        Ok(body) => body,
        Err(error) => {
            // What is answered here is made of JSON already, so this is a fault of the hub.
            let error = CallError::internal(&error);
            return Refusal::from(error).into_response();
        }
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

/// Puts the request's id on the answer, unless the answer names its call already.
pub(super) fn mark_request(headers: &mut HeaderMap, id: &RequestId) {
    if !headers.contains_key(X_REQUEST_ID)
        && let Ok(value) = HeaderValue::from_str(id.as_str())
    {
        headers.insert(X_REQUEST_ID, value);
    }
}

/// Puts what is known of a call on its answer.
pub(super) fn mark(
    headers: &mut HeaderMap,
    id: &RequestId,
    replayed: bool,
    rotated_to: Option<&str>,
) {
    mark_request(headers, id);
    if replayed {
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
    }
    if let Some(value) = rotated_to.and_then(|key| HeaderValue::from_str(key).ok()) {
        headers.insert(KEY_ROTATED, value);
    }
}

fn status_of(error: &CallError) -> StatusCode {
    StatusCode::from_u16(error.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Whole seconds, rounded up: a caller that waits so long has waited long enough.
fn retry_after(error: &CallError) -> Option<u64> {
    if !error.code.retryable() {
        return None;
    }
    let milliseconds = error
        .details
        .as_ref()
        .and_then(|details| details.get("retryAfterMs"))
        .and_then(Value::as_u64);
    match milliseconds {
        Some(milliseconds) => Some(milliseconds.div_ceil(1000).max(1)),
        // Always named, so that no caller comes back at once.
        None if error.code == ErrorCode::UNAVAILABLE => Some(2),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn header(response: &Response, name: &str) -> Option<String> {
        let value = response.headers().get(name)?;
        Some(value.to_str().unwrap().to_owned())
    }

    #[test]
    fn status_is_that_of_the_code() {
        for (code, status) in [
            (ErrorCode::NOT_FOUND, 404),
            (ErrorCode::STALE, 409),
            (ErrorCode::TIMEOUT, 504),
            (ErrorCode::UNSUPPORTED, 501),
        ] {
            let response = Refusal::from(CallError::new(code, "no")).into_response();
            assert_eq!(response.status().as_u16(), status);
        }
    }

    #[test]
    fn unauthenticated_answers_say_how_to_authenticate() {
        let response = Refusal::from(CallError::unauthenticated("no key")).into_response();
        assert_eq!(
            header(&response, "www-authenticate").as_deref(),
            Some("Bearer realm=\"alkhub\"")
        );
    }

    #[test]
    fn retry_after_is_rounded_up_and_only_for_what_may_be_retried() {
        let limited = |milliseconds: u64| {
            let error = CallError::new(ErrorCode::RATE_LIMITED, "slow down")
                .with_details(json!({ "retryAfterMs": milliseconds }));
            header(&Refusal::from(error).into_response(), "retry-after")
        };
        assert_eq!(limited(1).as_deref(), Some("1"));
        assert_eq!(limited(1000).as_deref(), Some("1"));
        assert_eq!(limited(1001).as_deref(), Some("2"));
        let unavailable = Refusal::from(CallError::unavailable("away")).into_response();
        assert_eq!(header(&unavailable, "retry-after").as_deref(), Some("2"));
        let conflict = CallError::conflict("x", "no").with_detail("retryAfterMs", 5);
        assert_eq!(
            header(&Refusal::from(conflict).into_response(), "retry-after"),
            None
        );
    }

    #[test]
    fn method_refusal_names_what_is_allowed() {
        let response = Refusal::method("POST").into_response();
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(header(&response, "allow").as_deref(), Some("POST"));
    }
}
