//! Reading the body of a call: bounded in size, in time and in depth.

use std::time::Duration;

use alkhub_operations::{CallError, ErrorCode, Issue};
use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, EXPECT};
use axum::http::{HeaderMap, StatusCode};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use super::answer::Refusal;

/// Longest silence within a body.
const IDLE: Duration = Duration::from_secs(10);
/// Bytes of a body over its limit that are read and thrown away, so that a caller who sends before
/// it reads gets the answer and not a broken connection.
const DISCARDED: usize = 64 * 1024 * 1024;
/// Longest time spent on throwing away.
const DISCARDING: Duration = Duration::from_secs(5);
/// Levels of an input, the innermost value included.
const DEEPEST: usize = 128;

/// The body in full. Errors: 413 over `limit` bytes, 400 when it stops coming.
pub(crate) async fn read(headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes, Refusal> {
    let mut body = Incoming {
        body,
        pulled: headers.get(EXPECT).is_none(),
    };
    let announced = announced_length(headers);
    if announced.is_some_and(|length| length > limit as u64) {
        body.discard().await;
        return Err(too_large(limit));
    }
    // The length is the sender's word, so it reserves a little only.
    let mut bytes =
        BytesMut::with_capacity(announced.map_or(0, |length| length.min(65_536)) as usize);
    while let Some(part) = body.next().await? {
        if bytes.len() + part.len() > limit {
            body.discard().await;
            return Err(too_large(limit));
        }
        if bytes.is_empty() {
            // Most bodies come in one piece.
            bytes = BytesMut::from(part);
        } else {
            bytes.extend_from_slice(&part);
        }
    }
    Ok(bytes.freeze())
}

/// Length the sender announced, if it did.
pub(super) fn announced_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The input a body holds; an empty body is `{}`. Errors: 400 `VALIDATION_ERROR` with the place.
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, CallError> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Value::Object(Map::new()));
    }
    serde_json::from_slice(bytes).map_err(|fault| {
        if is_deeper_than(bytes, DEEPEST - 1) {
            return CallError::validation_field(
                "",
                "depth",
                format!("the input is nested deeper than {DEEPEST} levels"),
            );
        }
        let message = format!("the body is not JSON: {fault}");
        CallError::validation(vec![Issue::new("", "json", message.clone())], message)
            .with_detail("line", fault.line())
            .with_detail("column", fault.column())
    })
}

struct Incoming {
    body: Body,
    /// Whether the sender sends without being asked to go on.
    pulled: bool,
}

impl Incoming {
    async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        loop {
            let frame = match timeout(IDLE, self.body.frame()).await {
                Ok(Some(Ok(frame))) => frame,
                Ok(None) => return Ok(None),
                Ok(Some(Err(_))) => {
                    return Err(broken("the body ended before it was complete"));
                }
                Err(_) => {
                    return Err(broken("the body stopped coming for 10 seconds"));
                }
            };
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
    }

    async fn discard(&mut self) {
        // A sender that waits to be asked has sent nothing yet.
        if !self.pulled {
            return;
        }
        let throwing_away = async {
            let mut thrown = 0;
            while thrown < DISCARDED {
                match self.next().await {
                    Ok(Some(part)) => thrown += part.len(),
                    Ok(None) | Err(_) => break,
                }
            }
        };
        // Either way the answer is the same: the body is too large.
        let _ended = timeout(DISCARDING, throwing_away).await;
    }
}

fn too_large(limit: usize) -> Refusal {
    CallError::new(
        ErrorCode::PAYLOAD_TOO_LARGE,
        format!("the body is larger than the {limit} bytes this operation takes"),
    )
    .with_details(json!({ "limit": limit }))
    .into()
}

fn broken(message: &str) -> Refusal {
    Refusal::with_status(
        StatusCode::BAD_REQUEST,
        CallError::validation_rule("body", message),
    )
}

/// Whether lists and objects are nested deeper than `limit`. Looks at brackets outside strings
/// only, for it is asked about texts that are no JSON.
fn is_deeper_than(bytes: &[u8], limit: usize) -> bool {
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut escaped = false;
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => {
                depth += 1;
                if depth > limit {
                    return true;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(lists: usize) -> Vec<u8> {
        format!("{}1{}", "[".repeat(lists), "]".repeat(lists)).into_bytes()
    }

    #[test]
    fn empty_body_is_an_empty_object() {
        assert_eq!(parse(b"").unwrap(), json!({}));
        assert_eq!(parse(b" \r\n").unwrap(), json!({}));
        assert_eq!(parse(b"null").unwrap(), Value::Null);
    }

    #[test]
    fn fault_names_line_and_column() {
        let details = parse(b"{\n  \"a\": ,\n}").unwrap_err().details.unwrap();
        assert_eq!(details["line"], 2);
        assert_eq!(details["column"], 8);
        assert_eq!(details["issues"][0]["rule"], "json");
    }

    #[test]
    fn text_behind_the_input_is_refused() {
        assert!(parse(b"{} {}").is_err());
    }

    #[test]
    fn depth_128_is_taken_and_129_refused() {
        assert!(parse(&nested(127)).is_ok());
        let error = parse(&nested(128)).unwrap_err();
        assert_eq!(error.details.unwrap()["issues"][0]["rule"], "depth");
    }

    #[test]
    fn a_million_levels_do_not_overflow_the_stack() {
        let error = parse(&vec![b'['; 1_000_000]).unwrap_err();
        assert_eq!(error.code, ErrorCode::VALIDATION_ERROR);
        let objects = "{\"a\":".repeat(500_000).into_bytes();
        assert_eq!(
            parse(&objects).unwrap_err().details.unwrap()["issues"][0]["rule"],
            "depth"
        );
    }

    #[test]
    fn brackets_in_strings_are_no_depth() {
        let text = format!("{{\"a\": \"{}\\\"{}\"", "[".repeat(200), "[".repeat(200));
        assert!(!is_deeper_than(text.as_bytes(), 128));
    }

    #[tokio::test(start_paused = true)]
    async fn body_that_stops_coming_is_refused() {
        let silent = futures::stream::pending::<Result<Bytes, std::io::Error>>();
        let refusal = read(&HeaderMap::new(), Body::from_stream(silent), 100)
            .await
            .unwrap_err();
        assert_eq!(refusal.status(), StatusCode::BAD_REQUEST);
    }

    #[tokio::test]
    async fn body_over_its_limit_is_refused_whether_announced_or_not() {
        let limit = 100;
        for announced in [true, false] {
            let mut headers = HeaderMap::new();
            if announced {
                headers.insert(CONTENT_LENGTH, 101.into());
            }
            let refusal = read(&headers, Body::from(vec![b' '; 101]), limit)
                .await
                .unwrap_err();
            assert_eq!(refusal.status(), StatusCode::PAYLOAD_TOO_LARGE);
        }
        let whole = read(&HeaderMap::new(), Body::from(vec![b' '; 100]), limit)
            .await
            .unwrap();
        assert_eq!(whole.len(), 100);
    }
}
