//! What one key, one account and one address may ask of the hub at a time.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use alkhub_operations::{CallError, ErrorCode};
use alkhub_storage::ids::{AccountId, ApiKeyId};
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use moka::sync::Cache;

/// Keys and addresses that are remembered at once; the least used ones are forgotten first.
const REMEMBERED: u64 = 100_000;

/// Failed attempts an address has before it is refused unheard.
const FAILED_ATTEMPTS: u32 = 20;

/// How long the failed attempts of an address are counted, and how long it is then refused.
const ATTEMPT_WINDOW: Duration = Duration::from_secs(60);

/// Calls a second a key may make on average, and how many at once. A rate of 0 is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Rate {
    pub(crate) per_second: u32,
    pub(crate) burst: u32,
}

/// Calls that may run at once. 0 is no limit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Concurrency {
    pub(crate) per_key: u32,
    pub(crate) per_account: u32,
}

/// Counts what runs and what was asked.
pub(crate) struct Limits {
    rates: Cache<(ApiKeyId, Rate), Arc<DefaultDirectRateLimiter>>,
    running: Arc<Mutex<Running>>,
    attempts: Cache<IpAddr, Arc<Mutex<Attempts>>>,
    clock: DefaultClock,
}

#[derive(Default)]
struct Running {
    keys: HashMap<ApiKeyId, u32>,
    accounts: HashMap<AccountId, u32>,
}

struct Attempts {
    since: Instant,
    failed: u32,
}

impl Limits {
    pub(crate) fn new() -> Self {
        Self {
            rates: Cache::builder()
                .max_capacity(REMEMBERED)
                .time_to_idle(Duration::from_secs(600))
                .build(),
            running: Arc::default(),
            attempts: Cache::builder()
                .max_capacity(REMEMBERED)
                .time_to_live(ATTEMPT_WINDOW * 2)
                .build(),
            clock: DefaultClock::default(),
        }
    }

    /// Takes one call from the rate of the key.
    ///
    /// # Errors
    /// `RATE_LIMITED` with the time after which the next call is welcome.
    pub(crate) fn take(&self, key: &ApiKeyId, rate: Rate) -> Result<(), CallError> {
        let Some(per_second) = NonZeroU32::new(rate.per_second) else {
            return Ok(());
        };
        let burst = NonZeroU32::new(rate.burst).unwrap_or(per_second);
        // The rate is part of the cache's key: a changed setting starts a new count at once.
        let limiter = self.rates.get_with((key.clone(), rate), || {
            Arc::new(RateLimiter::direct(
                Quota::per_second(per_second).allow_burst(burst),
            ))
        });
        limiter.check().map_err(|early| {
            let wait = early.wait_time_from(self.clock.now());
            rate_limited("this key makes too many calls a second", "rate", wait)
        })
    }

    /// Counts one running call of the key and the account until the guard is dropped.
    ///
    /// # Errors
    /// `RATE_LIMITED` when the key or the account has as many running as it may.
    pub(crate) fn enter(
        &self,
        key: &ApiKeyId,
        account: &AccountId,
        allowed: Concurrency,
    ) -> Result<InFlight, CallError> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let of_key = running.keys.get(key).copied().unwrap_or(0);
        let of_account = running.accounts.get(account).copied().unwrap_or(0);
        let wait = Duration::from_secs(1);
        if allowed.per_key != 0 && of_key >= allowed.per_key {
            return Err(rate_limited(
                "this key has too many calls running",
                "concurrency",
                wait,
            ));
        }
        if allowed.per_account != 0 && of_account >= allowed.per_account {
            let message = "this account has too many calls running";
            return Err(rate_limited(message, "account_concurrency", wait));
        }
        running.keys.insert(key.clone(), of_key + 1);
        running.accounts.insert(account.clone(), of_account + 1);
        Ok(InFlight {
            running: Arc::clone(&self.running),
            key: key.clone(),
            account: account.clone(),
        })
    }

    /// Refuses an address that failed to authenticate too often.
    ///
    /// # Errors
    /// `RATE_LIMITED` until a minute after the first of its failed attempts.
    pub(crate) fn admit_address(&self, address: Option<IpAddr>) -> Result<(), CallError> {
        let Some(entry) = address.and_then(|address| self.attempts.get(&address)) else {
            return Ok(());
        };
        let attempts = entry.lock().unwrap_or_else(PoisonError::into_inner);
        let age = attempts.since.elapsed();
        if attempts.failed < FAILED_ATTEMPTS || age >= ATTEMPT_WINDOW {
            return Ok(());
        }
        let message = "too many failed attempts from this address";
        Err(rate_limited(
            message,
            "failed_attempts",
            ATTEMPT_WINDOW.saturating_sub(age),
        ))
    }

    /// Remembers one failed attempt of the address.
    pub(crate) fn count_failed_attempt(&self, address: Option<IpAddr>) {
        let Some(address) = address else { return };
        let fresh = || {
            Arc::new(Mutex::new(Attempts {
                since: Instant::now(),
                failed: 0,
            }))
        };
        let entry = self.attempts.get_with(address, fresh);
        let mut attempts = entry.lock().unwrap_or_else(PoisonError::into_inner);
        if attempts.since.elapsed() >= ATTEMPT_WINDOW {
            *attempts = Attempts {
                since: Instant::now(),
                failed: 0,
            };
        }
        attempts.failed = attempts.failed.saturating_add(1);
    }
}

/// One running call; dropping it gives its place back.
pub(crate) struct InFlight {
    running: Arc<Mutex<Running>>,
    key: ApiKeyId,
    account: AccountId,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        leave(&mut running.keys, &self.key);
        leave(&mut running.accounts, &self.account);
    }
}

fn leave<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, u32>, who: &K) {
    // An entry that falls to zero goes, so that the map holds only those with running calls.
    if let Some(count) = counts.get_mut(who) {
        *count -= 1;
        if *count == 0 {
            counts.remove(who);
        }
    }
}

fn rate_limited(message: &str, kind: &str, wait: Duration) -> CallError {
    let retry_after_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
    CallError::new(ErrorCode::RATE_LIMITED, message)
        .with_details(serde_json::json!({ "limit": kind, "retryAfterMs": retry_after_ms }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retry_after(error: &CallError) -> u64 {
        error.details.as_ref().unwrap()["retryAfterMs"]
            .as_u64()
            .unwrap()
    }

    #[test]
    fn burst_is_allowed_and_the_next_call_is_told_when_to_come_back() {
        let limits = Limits::new();
        let key = ApiKeyId::random();
        let rate = Rate {
            per_second: 1,
            burst: 3,
        };
        for _ in 0..3 {
            limits.take(&key, rate).unwrap();
        }
        let error = limits.take(&key, rate).unwrap_err();
        assert_eq!(error.code, ErrorCode::RATE_LIMITED);
        assert!((1..=1_000).contains(&retry_after(&error)));
        limits.take(&ApiKeyId::random(), rate).unwrap();
        limits
            .take(
                &key,
                Rate {
                    per_second: 0,
                    burst: 0,
                },
            )
            .unwrap();
    }

    #[test]
    fn running_calls_are_counted_by_key_and_by_account_until_dropped() {
        let limits = Limits::new();
        let (one, two, account) = (ApiKeyId::random(), ApiKeyId::random(), AccountId::random());
        let allowed = Concurrency {
            per_key: 2,
            per_account: 3,
        };
        let first = limits.enter(&one, &account, allowed).unwrap();
        let _second = limits.enter(&one, &account, allowed).unwrap();
        assert!(limits.enter(&one, &account, allowed).is_err());
        let _third = limits.enter(&two, &account, allowed).unwrap();
        assert!(limits.enter(&two, &account, allowed).is_err());
        drop(first);
        let _fourth = limits.enter(&two, &account, allowed).unwrap();
    }

    #[test]
    fn address_is_refused_after_twenty_failed_attempts() {
        let limits = Limits::new();
        let address = Some(IpAddr::from([192, 0, 2, 1]));
        for _ in 0..FAILED_ATTEMPTS {
            limits.admit_address(address).unwrap();
            limits.count_failed_attempt(address);
        }
        assert!(retry_after(&limits.admit_address(address).unwrap_err()) <= 60_000);
        limits
            .admit_address(Some(IpAddr::from([192, 0, 2, 2])))
            .unwrap();
    }
}
