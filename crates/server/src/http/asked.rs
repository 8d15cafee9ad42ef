//! What the headers of a call ask for: its id, its time, and the form of its answer.

use std::time::Duration;

use alkhub_hub::Target;
use alkhub_operations::{CallError, ErrorCode, RequestId};
use axum::http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use serde_json::json;
use uuid::Uuid;

use super::answer::Refusal;

/// Name of the header that carries a call's id, both ways.
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const TIMEOUT: HeaderName = HeaderName::from_static("x-alkhub-timeout-ms");
const SPOKE: HeaderName = HeaderName::from_static("x-alkhub-spoke");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The headers of a call, checked.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Asked {
    /// Id the caller gave; not used beside an idempotency key.
    pub(super) request_id: Option<RequestId>,
    /// Key under which the call runs at most once.
    pub(super) idempotency_key: Option<String>,
    /// How long the call may take.
    pub(super) timeout: Option<Duration>,
    /// Whether the caller can read an event stream.
    pub(super) event_stream: bool,
    /// The spoke that is to take the call.
    pub(super) target: Option<Target>,
    /// The last event of a stream that the caller has.
    pub(super) last_event_id: Option<String>,
}

impl Asked {
    /// Reads the headers. Errors: 400 `VALIDATION_ERROR` naming the header at fault.
    pub(super) fn read(headers: &HeaderMap) -> Result<Self, Refusal> {
        let request_id = single(headers, &X_REQUEST_ID)?
            .map(|text| {
                Uuid::try_parse(text)
                    .map(RequestId::from)
                    .map_err(|_| faulty(&X_REQUEST_ID, "a UUID"))
            })
            .transpose()?;
        let idempotency_key = single(headers, &IDEMPOTENCY_KEY)?
            .map(|text| {
                let good =
                    (8..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
                good.then(|| text.to_owned())
                    .ok_or_else(|| faulty(&IDEMPOTENCY_KEY, "8 to 128 visible ASCII characters"))
            })
            .transpose()?;
        let timeout = single(headers, &TIMEOUT)?
            .map(|text| {
                text.parse::<u64>()
                    .ok()
                    .filter(|milliseconds| *milliseconds > 0)
                    .map(Duration::from_millis)
                    .ok_or_else(|| faulty(&TIMEOUT, "a whole number of milliseconds, at least 1"))
            })
            .transpose()?;
        Ok(Asked {
            request_id: request_id.filter(|_| idempotency_key.is_none()),
            idempotency_key,
            timeout,
            event_stream: accepts(headers, "text", "event-stream"),
            target: single(headers, &SPOKE)?.map(|spoke| Target {
                spoke_id: Some(spoke.to_owned()),
                ..Target::default()
            }),
            last_event_id: single(headers, &LAST_EVENT_ID)?
                .filter(|id| !id.is_empty())
                .map(ToOwned::to_owned),
        })
    }
}

/// The id a request gave itself, if it is one; for answers made before a call is read.
pub(super) fn given_request_id(headers: &HeaderMap) -> Option<RequestId> {
    let text = headers.get(X_REQUEST_ID)?.to_str().ok()?;
    Uuid::try_parse(text).ok().map(RequestId::from)
}

/// Refuses a body that is not JSON in UTF-8 (415).
pub(super) fn require_json(headers: &HeaderMap, body_is_empty: bool) -> Result<(), Refusal> {
    if headers.contains_key(CONTENT_ENCODING) {
        return Err(unsupported_media("a compressed body is not accepted"));
    }
    let Some(value) = headers.get(CONTENT_TYPE) else {
        if body_is_empty {
            return Ok(());
        }
        return Err(unsupported_media(
            "the body needs the header Content-Type: application/json",
        ));
    };
    let json = value
        .to_str()
        .ok()
        .and_then(|text| text.parse::<mime::Mime>().ok())
        .is_some_and(|kind| {
            kind.type_() == mime::APPLICATION
                && kind.subtype() == mime::JSON
                && kind.suffix().is_none()
                && kind
                    .get_param(mime::CHARSET)
                    .is_none_or(|charset| charset == mime::UTF_8)
        });
    if json {
        Ok(())
    } else {
        Err(unsupported_media(
            "the body must be JSON in UTF-8: Content-Type: application/json",
        ))
    }
}

/// Whether the `Accept` headers name the type outright; wildcards do not count.
pub(super) fn accepts(headers: &HeaderMap, kind: &str, subtype: &str) -> bool {
    headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|part| part.trim().parse::<mime::Mime>().ok())
        .any(|found| found.type_() == kind && found.subtype() == subtype)
}

fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let Some(first) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(faulty(name, "given once"));
    }
    first
        .to_str()
        .map(Some)
        .map_err(|_| faulty(name, "visible ASCII characters"))
}

fn faulty(name: &HeaderName, wanted: &str) -> Refusal {
    let error = CallError::new(
        ErrorCode::VALIDATION_ERROR,
        format!("the header {name} must be {wanted}"),
    );
    error
        .with_details(json!({ "rule": "header", "header": name.as_str() }))
        .into()
}

fn unsupported_media(message: &str) -> Refusal {
    Refusal::with_status(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        CallError::validation_rule("content_type", message),
    )
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn status(result: Result<Asked, Refusal>) -> Option<u16> {
        result.err().map(|refusal| refusal.status().as_u16())
    }

    #[test]
    fn request_id_must_be_a_uuid() {
        let id = "7d9f2a8e-3f0b-4c55-9c2e-0a4f3f1c1c11";
        let asked = Asked::read(&headers(&[("x-request-id", id)])).unwrap();
        assert_eq!(asked.request_id.unwrap().as_str(), id);
        assert_eq!(
            status(Asked::read(&headers(&[("x-request-id", "abc")]))),
            Some(400)
        );
        assert_eq!(
            status(Asked::read(&headers(&[
                ("x-request-id", id),
                ("x-request-id", id)
            ]))),
            Some(400)
        );
    }

    #[test]
    fn idempotency_key_wins_over_the_request_id() {
        let asked = Asked::read(&headers(&[
            ("x-request-id", "7d9f2a8e-3f0b-4c55-9c2e-0a4f3f1c1c11"),
            ("idempotency-key", "deploy-17"),
        ]))
        .unwrap();
        assert_eq!(asked.request_id, None);
        assert_eq!(asked.idempotency_key.as_deref(), Some("deploy-17"));
    }

    #[test]
    fn idempotency_key_has_8_to_128_visible_characters() {
        for bad in ["1234567", "has space here", &"k".repeat(129), "übergross"] {
            assert_eq!(
                status(Asked::read(&headers(&[("idempotency-key", bad)]))),
                Some(400),
                "{bad}"
            );
        }
        for good in ["12345678", &"k".repeat(128)] {
            assert_eq!(
                status(Asked::read(&headers(&[("idempotency-key", good)]))),
                None
            );
        }
    }

    #[test]
    fn timeout_is_a_positive_number_of_milliseconds() {
        for bad in ["0", "-1", "1.5", "1s", ""] {
            assert_eq!(
                status(Asked::read(&headers(&[("x-alkhub-timeout-ms", bad)]))),
                Some(400),
                "{bad}"
            );
        }
        let asked = Asked::read(&headers(&[("x-alkhub-timeout-ms", "1500")])).unwrap();
        assert_eq!(asked.timeout, Some(Duration::from_millis(1500)));
    }

    #[test]
    fn content_type_takes_parameters_but_no_other_type() {
        for good in [
            "application/json",
            "application/json; charset=utf-8",
            "application/json;charset=UTF-8; v=1",
            "Application/JSON",
        ] {
            assert!(
                require_json(&headers(&[("content-type", good)]), false).is_ok(),
                "{good}"
            );
        }
        for bad in [
            "text/plain",
            "application/json; charset=latin1",
            "application/ld+json",
            "application/x-www-form-urlencoded",
            "nonsense",
        ] {
            let refusal = require_json(&headers(&[("content-type", bad)]), true).unwrap_err();
            assert_eq!(
                refusal.status(),
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "{bad}"
            );
        }
    }

    #[test]
    fn only_an_empty_body_needs_no_content_type() {
        assert!(require_json(&HeaderMap::new(), true).is_ok());
        assert!(require_json(&HeaderMap::new(), false).is_err());
    }

    #[test]
    fn event_stream_must_be_named() {
        assert!(!accepts(
            &headers(&[("accept", "*/*")]),
            "text",
            "event-stream"
        ));
        assert!(accepts(
            &headers(&[("accept", "application/json, text/event-stream;q=0.5")]),
            "text",
            "event-stream"
        ));
    }
}
