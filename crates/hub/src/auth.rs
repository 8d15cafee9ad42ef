//! Who is calling: from a key to a principal.
//!
//! Checksum, hash, cache, database, in this order: text that cannot be a key never reaches the
//! database, and a key that was seen a moment ago does not either.

mod principal;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use alkhub_operations::protocol::ClosingReason;
use alkhub_operations::{CallError, ErrorCode};
use alkhub_storage::enums::AccountStatus;
use alkhub_storage::identity as queries;
use alkhub_storage::ids::ApiKeyId;
use alkhub_storage::{Database, StorageError};
use chrono::{DateTime, Utc};
use moka::Expiry;
use moka::sync::Cache;
use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;

pub use principal::{Membership, Narrowing, Principal, operation_matches};

use crate::keys;

/// What a caller showed to say who they are.
#[derive(Debug, Clone)]
pub enum Credential {
    /// Nothing.
    None,
    /// One key.
    Key(SecretString),
    /// Something that cannot be a key: two that differ, another scheme, spaces, over 200 characters.
    Malformed,
}

/// Where a call came from.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The surface that took the call.
    pub surface: Surface,
    /// The caller's address, when there is one.
    pub ip: Option<IpAddr>,
    /// The caller's program, as it names itself.
    pub user_agent: Option<String>,
}

impl Origin {
    /// The hub itself.
    #[must_use]
    pub fn internal() -> Self {
        Self {
            surface: Surface::Internal,
            ip: None,
            user_agent: None,
        }
    }
}

/// The ways into the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "lowercase")]
pub enum Surface {
    /// HTTP.
    Http,
    /// A WebSocket connection.
    WebSocket,
    /// The Model Context Protocol.
    Mcp,
    /// The hub itself.
    Internal,
}

/// Why somebody was not let in. The caller is not told which; log and audit are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Refusal {
    Missing,
    Malformed,
    BadChecksum,
    Unknown,
    Disabled,
    Expired,
    Revoked,
}

impl Refusal {
    /// What a connection is told that is closed for it.
    pub(crate) fn closing(self) -> ClosingReason {
        match self {
            Self::Expired => ClosingReason::KeyExpired,
            _ => ClosingReason::KeyRevoked,
        }
    }
}

/// The outcome of a look-up.
pub(crate) enum Authentication {
    Accepted(Arc<Principal>),
    Refused {
        why: Refusal,
        key_prefix: Option<String>,
    },
    /// Good key, but its account may not act.
    Inactive(Arc<Principal>),
}

/// How long look-ups are remembered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CacheTimes {
    pub(crate) hit: Duration,
    pub(crate) miss: Duration,
    pub(crate) size: u64,
}

/// Looks keys up, with a cache in front of the database.
pub(crate) struct Authenticator {
    database: Database,
    cache: Cache<String, Option<Arc<Principal>>>,
    // Counts the clearings: a look-up that began before one must not fill the cache after it.
    generation: Mutex<u64>,
}

impl Authenticator {
    pub(crate) fn new(database: Database, times: CacheTimes) -> Self {
        let cache = Cache::builder()
            .max_capacity(times.size)
            .expire_after(Times(times))
            .build();
        Self {
            database,
            cache,
            generation: Mutex::new(0),
        }
    }

    /// Finds who stands behind a credential.
    ///
    /// # Errors
    /// `UNAVAILABLE` when the database does not answer and the cache does not know the key: never
    /// "yes" by default.
    pub(crate) async fn authenticate(
        &self,
        credential: &Credential,
    ) -> Result<Authentication, CallError> {
        let refused = |why| {
            Ok(Authentication::Refused {
                why,
                key_prefix: None,
            })
        };
        let key = match credential {
            Credential::None => return refused(Refusal::Missing),
            Credential::Malformed => return refused(Refusal::Malformed),
            Credential::Key(key) => key,
        };
        if !keys::well_formed(key.expose_secret()) {
            return refused(Refusal::BadChecksum);
        }
        let hash = keys::hash(key);
        let Some(principal) = self.look_up(&hash).await? else {
            let key_prefix = Some(keys::shown_prefix(key));
            return Ok(Authentication::Refused {
                why: Refusal::Unknown,
                key_prefix,
            });
        };
        Ok(judge(principal, Utc::now()))
    }

    /// Forgets everything that was looked up: after any change of a key, an account, a membership.
    pub(crate) fn forget(&self) {
        let mut generation = self
            .generation
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *generation += 1;
        self.cache.invalidate_all();
    }

    async fn look_up(&self, hash: &str) -> Result<Option<Arc<Principal>>, CallError> {
        if let Some(known) = self.cache.get(hash) {
            return Ok(known);
        }
        let before = *self
            .generation
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let found = self.load(hash).await.map_err(|problem| {
            tracing::warn!(error = %problem, "a key could not be looked up");
            CallError::new(ErrorCode::UNAVAILABLE, "the database is not available")
                .with_details(serde_json::json!({ "retryAfterMs": 2_000 }))
        })?;
        let generation = self
            .generation
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if *generation == before {
            self.cache.insert(hash.to_owned(), found.clone());
        }
        Ok(found)
    }

    async fn load(&self, hash: &str) -> Result<Option<Arc<Principal>>, StorageError> {
        let Some((key, account)) = queries::api_key_by_hash(self.database.reader(), hash).await?
        else {
            return Ok(None);
        };
        if !bool::from(key.key_hash.as_bytes().ct_eq(hash.as_bytes())) {
            return Ok(None);
        }
        let organizations = queries::organizations_of(self.database.reader(), &account.id).await?;
        Ok(Some(Arc::new(Principal::new(account, key, organizations))))
    }
}

/// Decides by the clock and the rows, which the cache may hold for a while.
fn judge(principal: Arc<Principal>, now: DateTime<Utc>) -> Authentication {
    let key = &principal.key;
    let refusal = if key.revoked_at.is_some() {
        Some(Refusal::Revoked)
    } else if !key.enabled {
        Some(Refusal::Disabled)
    } else if key.expires_at.is_some_and(|at| at <= now) {
        Some(Refusal::Expired)
    } else {
        None
    };
    match refusal {
        Some(why) => {
            let key_prefix = Some(key.key_prefix.clone());
            Authentication::Refused { why, key_prefix }
        }
        None if principal.account.status != AccountStatus::Active => {
            Authentication::Inactive(principal)
        }
        None => Authentication::Accepted(principal),
    }
}

/// The one answer to everybody who is not let in.
pub(crate) fn unauthenticated(why: Refusal) -> CallError {
    let message = match why {
        Refusal::Missing => {
            "no API key given: send it as \"Authorization: Bearer <key>\" or \"X-API-Key: <key>\""
        }
        _ => "the API key is not valid",
    };
    CallError::new(ErrorCode::UNAUTHENTICATED, message)
}

/// The answer to a good key whose account is suspended or deactivated.
pub(crate) fn account_inactive(principal: &Principal) -> CallError {
    let status = principal.account.status;
    CallError::new(
        ErrorCode::ACCOUNT_INACTIVE,
        format!("this account is {status}"),
    )
    .with_details(serde_json::json!({ "status": status }))
}

/// Hits are kept long, misses short: guessing must not hammer the database.
struct Times(CacheTimes);

impl Expiry<String, Option<Arc<Principal>>> for Times {
    fn expire_after_create(
        &self,
        _hash: &String,
        found: &Option<Arc<Principal>>,
        _now: Instant,
    ) -> Option<Duration> {
        Some(if found.is_some() {
            self.0.hit
        } else {
            self.0.miss
        })
    }
}

/// The keys used since the last time this was asked, with the moment of their last use.
#[derive(Default)]
pub(crate) struct LastUsed {
    used: Mutex<std::collections::HashMap<ApiKeyId, DateTime<Utc>>>,
}

impl LastUsed {
    pub(crate) fn note(&self, key: &ApiKeyId, at: DateTime<Utc>) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.insert(key.clone(), at);
    }

    pub(crate) fn take(&self) -> Vec<(ApiKeyId, DateTime<Utc>)> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.drain().collect()
    }
}
