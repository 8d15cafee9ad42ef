//! Ids of requests, and the rules that turn foreign ids into UUIDs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

/// Longest request id, in characters.
pub const REQUEST_ID_LENGTH: usize = 128;

/// Namespace of the UUIDv5 values made here, so that they meet no other program's.
const HASHED_IDS: Uuid = Uuid::from_u128(0x6a1c_7c0e_5b0f_4f39_9d0a_2f7e_8c51_d3b4);

/// The id that ties a request to its answers: 1–128 visible ASCII characters.
///
/// Ids made here are UUIDv4. A peer may send another form; [`RequestId::to_uuid`] gives the UUID
/// under which such a request is recorded, while the wire keeps what the peer sent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct RequestId(String);

/// Why a text is no request id or idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestIdError {
    /// Not 1–128 visible ASCII characters.
    #[error("a request id has 1 to 128 visible ASCII characters")]
    RequestId,
    /// Not 8–128 visible ASCII characters.
    #[error("an idempotency key has 8 to 128 visible ASCII characters")]
    IdempotencyKey,
}

impl RequestId {
    /// Makes a new random id (UUIDv4).
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::new_v4().to_string())
    }

    /// Checks and takes an id.
    ///
    /// # Errors
    /// [`RequestIdError::RequestId`] unless it has 1–128 visible ASCII characters.
    pub fn new(text: impl Into<String>) -> Result<Self, RequestIdError> {
        let text = text.into();
        if is_visible_ascii(&text, 1, REQUEST_ID_LENGTH) {
            Ok(Self(text))
        } else {
            Err(RequestIdError::RequestId)
        }
    }

    /// The id that a caller's idempotency key stands for: UUIDv5 of account id and key, so the same
    /// key of two accounts is two ids.
    ///
    /// # Errors
    /// [`RequestIdError::IdempotencyKey`] unless the key has 8–128 visible ASCII characters.
    pub fn from_idempotency_key(account: &str, key: &str) -> Result<Self, RequestIdError> {
        if is_visible_ascii(key, 8, REQUEST_ID_LENGTH) {
            Ok(Self(hashed("key", account, key).to_string()))
        } else {
            Err(RequestIdError::IdempotencyKey)
        }
    }

    /// The UUID under which the request is recorded: the id itself when it is a UUID, else UUIDv5
    /// of account id and id.
    #[must_use]
    pub fn to_uuid(&self, account: &str) -> Uuid {
        match Uuid::try_parse(&self.0) {
            Ok(uuid) => uuid,
            // Two accounts that both count from "1" must not meet in one record.
            Err(_) => hashed("id", account, &self.0),
        }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for RequestId {
    type Err = RequestIdError;

    fn from_str(text: &str) -> Result<Self, RequestIdError> {
        Self::new(text)
    }
}

impl From<Uuid> for RequestId {
    fn from(uuid: Uuid) -> Self {
        Self(uuid.to_string())
    }
}

impl AsRef<str> for RequestId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for RequestId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

fn is_visible_ascii(text: &str, least: usize, most: usize) -> bool {
    (least..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// UUIDv5 over purpose, account and text. NUL parts them, for it can stand in none of the three.
fn hashed(purpose: &str, account: &str, text: &str) -> Uuid {
    Uuid::new_v5(
        &HASHED_IDS,
        format!("{purpose}\0{account}\0{text}").as_bytes(),
    )
}
