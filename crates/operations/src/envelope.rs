//! Answers of operations: data, and where it came from.

mod foreign;
mod mcp;
mod wire;

pub use foreign::{HEADER_BYTES, MOST_HEADERS, from_provider, structured_content, visible_headers};
pub use mcp::{Annotations, Audience, Block, ResourceContents};
pub use wire::{EnvelopeError, looks_like_envelope};

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::error::Provider;
use crate::names::OperationId;
use crate::request_id::RequestId;

/// The sources an envelope may name, as on the wire.
pub const SOURCES: [&str; 3] = ["local", "http", "mcp"];

/// The answer of an operation.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    /// What the operation gave.
    pub data: Value,
    /// Where it came from.
    pub meta: Meta,
}

/// Where the data of an envelope came from, and what the hub adds when it answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Meta {
    /// Where it came from.
    pub source: Source,
    /// Id of the request it answers; set on answers that leave the hub.
    pub request_id: Option<RequestId>,
    /// How long it took; set on answers that leave the hub.
    pub duration: Option<Duration>,
    /// Who executed it; set on answers that leave the hub.
    pub provider: Option<Provider>,
}

/// The three sources of data.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// A handler returned it.
    Local {
        /// The operation.
        operation_id: String,
        /// When it was wrapped, ms since 1970.
        timestamp: i64,
    },
    /// An HTTP service answered it.
    Http {
        /// Status of the response.
        status_code: u16,
        /// Headers of the response.
        headers: BTreeMap<String, String>,
        /// Content type of the response; `text/event-stream` for each item of a stream.
        content_type: String,
        /// Type of the event an item of a stream came as.
        event: Option<String>,
        /// Id of that event: where the stream can be taken up again.
        event_id: Option<String>,
    },
    /// An MCP server answered it.
    Mcp {
        /// Whether the server calls it an error.
        is_error: bool,
        /// The blocks.
        content: Vec<Block>,
        /// The structured form, if there is one.
        structured_content: Option<Value>,
        /// Metadata of the server; `_meta` on the wire.
        meta: Option<Value>,
    },
}

impl Envelope {
    /// Wraps plain data of an operation that ran here, with the present time.
    #[must_use]
    pub fn local(data: Value, operation: &OperationId) -> Self {
        let operation_id = operation.as_str().to_owned();
        Self::of(
            data,
            Source::Local {
                operation_id,
                timestamp: now_ms(),
            },
        )
    }

    /// Wraps the answer of an HTTP service.
    #[must_use]
    pub fn http(
        data: Value,
        status_code: u16,
        headers: BTreeMap<String, String>,
        content_type: impl Into<String>,
    ) -> Self {
        Self::of(
            data,
            Source::Http {
                status_code,
                headers,
                content_type: content_type.into(),
                event: None,
                event_id: None,
            },
        )
    }

    /// Wraps the answer of an MCP server.
    #[must_use]
    pub fn mcp(data: Value, is_error: bool, content: Vec<Block>) -> Self {
        let source = Source::Mcp {
            is_error,
            content,
            structured_content: None,
            meta: None,
        };
        Self::of(data, source)
    }

    /// Wraps data with a source that is made already.
    #[must_use]
    pub fn of(data: Value, source: Source) -> Self {
        let meta = Meta {
            source,
            request_id: None,
            duration: None,
            provider: None,
        };
        Self { data, meta }
    }

    /// The data alone.
    #[must_use]
    pub fn unwrap(self) -> Value {
        self.data
    }
}

/// Milliseconds since 1970, negative before.
#[must_use]
pub fn now_ms() -> i64 {
    let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => millis(since),
        Err(before) => -millis(before.duration()),
    }
}
