//! What is done to envelopes that come from foreign providers, and how data is shown over MCP.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Block, Envelope, Source};
use crate::error::{CallError, ErrorCode};
use crate::names::OperationId;

/// Most headers that are handed on.
pub const MOST_HEADERS: usize = 64;
/// Longest header that is handed on, name and value together, in bytes.
pub const HEADER_BYTES: usize = 4 * 1024;

/// How far a provider's clock may be off before its timestamp is replaced, in ms.
const CLOCK_TOLERANCE_MS: u64 = 60 * 60 * 1000;

/// Makes an envelope of a foreign provider fit to be handed on.
///
/// - `local`: the operation is the one that was called; a timestamp more than 1 h off `now_ms` is
///   replaced.
/// - `http`: headers as [`visible_headers`].
/// - what the hub adds to `meta` is not taken from a provider.
///
/// # Errors
/// `EXECUTION_ERROR` for an `mcp` envelope with `isError: true`: an error in the guise of an answer.
pub fn from_provider(
    mut envelope: Envelope,
    called: &OperationId,
    credential_header: Option<&str>,
    now_ms: i64,
) -> Result<Envelope, CallError> {
    let mut failure = None;
    match &mut envelope.meta.source {
        Source::Local {
            operation_id,
            timestamp,
        } => {
            called.as_str().clone_into(operation_id);
            if timestamp.abs_diff(now_ms) > CLOCK_TOLERANCE_MS {
                *timestamp = now_ms;
            }
        }
        Source::Http { headers, .. } => {
            *headers = visible_headers(std::mem::take(headers), credential_header);
        }
        Source::Mcp {
            is_error: true,
            content,
            ..
        } => failure = Some(mcp_failure(called, content)),
        Source::Mcp { .. } => {}
    }
    envelope.meta.request_id = None;
    envelope.meta.duration = None;
    envelope.meta.provider = None;
    match failure {
        Some(error) => Err(error),
        None => Ok(envelope),
    }
}

/// The headers of a service's response that a caller may see: names in lower case; without cookies,
/// credentials, challenges, those of proxies, and the header that carries the service's credential;
/// at most 64 of at most 4 KiB.
#[must_use]
pub fn visible_headers(
    headers: impl IntoIterator<Item = (String, String)>,
    credential_header: Option<&str>,
) -> BTreeMap<String, String> {
    const HIDDEN: [&str; 4] = [
        "set-cookie",
        "set-cookie2",
        "authorization",
        "www-authenticate",
    ];
    headers
        .into_iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
        .filter(|(name, value)| {
            !HIDDEN.contains(&name.as_str())
                && !name.starts_with("proxy-")
                && !credential_header.is_some_and(|hidden| name.eq_ignore_ascii_case(hidden))
                && name.len() + value.len() <= HEADER_BYTES
        })
        .take(MOST_HEADERS)
        .collect()
}

/// Data as the structured content of an MCP tool: itself if it is an object, else `{"value": data}`.
#[must_use]
pub fn structured_content(data: &Value) -> Value {
    if data.is_object() {
        data.clone()
    } else {
        json!({ "value": data })
    }
}

fn mcp_failure(called: &OperationId, content: &[Block]) -> CallError {
    let texts: Vec<String> = content
        .iter()
        .map(|block| match block {
            Block::Text { text, .. } => text.clone(),
            other => json!(other).to_string(),
        })
        .collect();
    let message = format!("MCP tool {called} returned error: {}", texts.join("; "));
    CallError::new(ErrorCode::EXECUTION_ERROR, message)
        .with_details(json!({ "isError": true, "content": content }))
}
