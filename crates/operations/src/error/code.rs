//! The codes of errors, their HTTP statuses, and who may use which.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// HTTP status of a declared code that says no other.
const DECLARED_STATUS: u16 = 422;

/// The code of an error: one of the constants, or one that an operation declares.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(transparent)]
pub struct ErrorCode(Cow<'static, str>);

/// Who may send a code without a word from the operation's declaration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    /// One of the library's seven: never declared, for everybody knows them.
    Library,
    /// The hub's own word: a client acts on it, so no other provider may declare it.
    HubOnly,
    /// The hub's, but any operation may declare it.
    Declarable,
}

/// Makes the constants and the one table they are looked up in.
macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident $status:literal $family:ident $retry:ident;)*) => {
        impl ErrorCode {
            $($(#[$doc])* pub const $name: Self = Self(Cow::Borrowed(stringify!($name)));)*

            /// Every code that is known without a declaration.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];
        }

        const TABLE: &[(&str, u16, Family, Retry)] =
            &[$((stringify!($name), $status, Family::$family, Retry::$retry)),*];
    };
}

/// Whether a caller may try the same call again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The same call will fail the same way.
    No,
    /// It may help, nobody knows.
    Maybe,
    /// Only if the operation may run twice.
    IfIdempotent,
    /// After reading the state anew.
    AfterReading,
    /// Yes, after the time the answer names.
    Yes,
}

codes! {
    /// No such operation, or the caller may not know of it.
    OPERATION_NOT_FOUND 404 Library No;
    /// Known caller; a scope or resource is missing (`details.missing`).
    ACCESS_DENIED 403 Library No;
    /// The input breaks the schema or a stated rule (`details.issues` or `details.rule`).
    VALIDATION_ERROR 400 Library No;
    /// The deadline passed.
    TIMEOUT 504 Library IfIdempotent;
    /// The call, its parent or its session was aborted (`details.by`).
    ABORTED 409 Library No;
    /// The handler failed; 502 when the provider is somebody else (`details.provider`).
    EXECUTION_ERROR 500 Library Maybe;
    /// Anything unforeseen (`details.errorId`).
    UNKNOWN_ERROR 500 Library Maybe;
    /// No key, or one that does not count.
    UNAUTHENTICATED 401 HubOnly No;
    /// The key is good, its account is not active (`details.status`).
    ACCOUNT_INACTIVE 403 HubOnly No;
    /// No such row, or none the caller may see.
    NOT_FOUND 404 Declarable No;
    /// A unique rule is broken, or the state of things forbids it (`details.rule`).
    CONFLICT 409 Declarable No;
    /// Nobody may.
    FORBIDDEN 403 Declarable No;
    /// The row has changed since it was read (`details.updatedAt`).
    STALE 409 Declarable AfterReading;
    /// Other rows hold this one (`details.by`).
    IN_USE 409 Declarable No;
    /// A body, frame or field is over its limit (`details.limit`).
    PAYLOAD_TOO_LARGE 413 Declarable No;
    /// Well-formed but meaningless together (`details.rule`).
    UNPROCESSABLE 422 Declarable No;
    /// A rate, concurrency or queue limit (`details.retryAfterMs`).
    RATE_LIMITED 429 HubOnly Yes;
    /// A token or money budget is spent.
    BUDGET_EXCEEDED 402 HubOnly No;
    /// The operation is known, nobody offers it now.
    NO_PROVIDER 503 HubOnly Yes;
    /// The provider's connection ended during the call (`details.started`).
    PROVIDER_LOST 502 HubOnly IfIdempotent;
    /// The process that ran it died.
    INTERRUPTED 500 HubOnly IfIdempotent;
    /// The call ran, its record could not be written (`details.executed`).
    RECORD_FAILED 500 Declarable No;
    /// The output breaks the operation's own schema (`details.issues`).
    OUTPUT_INVALID 502 HubOnly No;
    /// Not able to serve now.
    UNAVAILABLE 503 HubOnly Yes;
    /// This build or configuration has no such feature.
    UNSUPPORTED 501 Declarable No;
}

impl ErrorCode {
    /// A code of any spelling, as it came from a peer or a declaration.
    #[must_use]
    pub fn other(text: impl Into<String>) -> Self {
        Self(Cow::Owned(text.into()))
    }

    /// The code as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The HTTP status; 422 for a code that is not one of the constants.
    #[must_use]
    pub fn http_status(&self) -> u16 {
        self.row().map_or(DECLARED_STATUS, |row| row.1)
    }

    /// Whether the caller may try again.
    #[must_use]
    pub fn retry(&self) -> Retry {
        self.row().map_or(Retry::No, |row| row.3)
    }

    /// True when the same call may succeed later without anybody's doing (`retry` is `Yes`).
    #[must_use]
    pub fn retryable(&self) -> bool {
        self.retry() == Retry::Yes
    }

    /// True for the seven that no operation may declare.
    #[must_use]
    pub fn is_library(&self) -> bool {
        self.family() == Some(Family::Library)
    }

    /// True for those only the hub may raise or declare.
    #[must_use]
    pub fn is_hub_only(&self) -> bool {
        self.family() == Some(Family::HubOnly)
    }

    /// True for one of the constants.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.row().is_some()
    }

    /// True when the spelling is `[A-Z][A-Z0-9_]{1,63}`, which a declared code must have.
    #[must_use]
    pub fn is_well_formed(&self) -> bool {
        let text = self.as_str();
        (2..=64).contains(&text.len())
            && text.starts_with(|first: char| first.is_ascii_uppercase())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
    }

    fn family(&self) -> Option<Family> {
        self.row().map(|row| row.2)
    }

    fn row(&self) -> Option<&'static (&'static str, u16, Family, Retry)> {
        TABLE.iter().find(|row| row.0 == self.as_str())
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl From<&'static str> for ErrorCode {
    fn from(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl From<String> for ErrorCode {
    fn from(text: String) -> Self {
        Self::other(text)
    }
}

impl PartialEq<str> for ErrorCode {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for ErrorCode {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}
