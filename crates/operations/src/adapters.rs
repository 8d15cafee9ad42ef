//! Foreign services as operations: OpenAPI documents and the tools of MCP servers.
//!
//! Nothing here reaches a service. An adapter reads what a service says of itself and gives
//! [`OperationSpec`](crate::OperationSpec)s; for each call it makes the request as plain data and
//! turns the response, again plain data, into an [`Envelope`](crate::Envelope) or a
//! [`CallError`](crate::CallError). Sockets, credentials and the guard over addresses are the host's.
//!
//! Documents come from strangers: sizes, nesting and counts are bounded, and one operation that cannot
//! be taken is refused with its reason while the others are imported.

pub mod events;
pub mod http;
pub mod mcp;
pub mod names;
pub mod openapi;
mod yaml;

use serde::{Deserialize, Serialize};

use crate::names::Namespace;

/// Most operations of one import.
pub const MOST_OPERATIONS: usize = 5_000;
/// The scope every imported operation asks for: without one, anybody could spend the service's
/// credentials.
pub const CALL_SCOPE: &str = "client:call";

/// What the configuration of a service decides about its operations.
#[derive(Debug, Clone)]
pub struct ImportOptions {
    /// Namespace of all operations; whether it is reserved is the host's question.
    pub namespace: Namespace,
    /// Name of the service, told in `_meta`.
    pub client: String,
    /// Scopes asked beside [`CALL_SCOPE`].
    pub required_scopes: Vec<String>,
    /// Deadline of a call that asks for none.
    pub timeout: Option<std::time::Duration>,
}

/// An operation, tool or document part that is not imported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// How the service calls it.
    pub name: String,
    /// Why it is not imported.
    pub why: String,
}

impl Refused {
    pub(crate) fn new(name: impl Into<String>, why: impl Into<String>) -> Self {
        let cut = |text: String, most: usize| text.chars().take(most).collect();
        Self {
            name: cut(name.into(), 200),
            why: cut(why.into(), 500),
        }
    }
}

impl ImportOptions {
    /// What every imported operation asks of its caller.
    #[must_use]
    pub(crate) fn access_control(&self) -> crate::AccessControl {
        let mut scopes = vec![CALL_SCOPE.to_owned()];
        for scope in &self.required_scopes {
            if !scopes.contains(scope) {
                scopes.push(scope.clone());
            }
        }
        crate::AccessControl {
            required_scopes: scopes,
            ..crate::AccessControl::none()
        }
    }
}

/// A version as the registry takes it: the text if it is a semantic version, else `0.0.0+…` of what
/// of it may stand there.
pub(crate) fn version(text: &str) -> semver::Version {
    if let Ok(version) = semver::Version::parse(text) {
        return version;
    }
    let build: String = text
        .chars()
        .map(|character| match character {
            letter if letter.is_ascii_alphanumeric() => letter,
            _ => '-',
        })
        .take(64)
        .collect();
    let mut version = semver::Version::new(0, 0, 0);
    if let Ok(build) = semver::BuildMetadata::new(&build) {
        version.build = build;
    }
    version
}

/// The beginning of a text, at most this many characters.
pub(crate) fn cut(text: &str, characters: usize) -> String {
    text.chars().take(characters).collect()
}
