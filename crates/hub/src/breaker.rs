//! Stops calls to a provider that keeps failing, and lets one through now and then to see.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Failures in a row that open it.
const FAILURES: u32 = 5;
/// First and longest time it stays open.
const OPEN: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(300));

/// State of one provider.
#[derive(Debug, Default)]
pub(crate) struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    open_for: Duration,
    open_until: Option<Instant>,
    /// A probe is under way since then.
    probing: Option<Instant>,
}

impl Breaker {
    /// True when a call may be sent. Of an open one, one caller is let through once its time is over.
    pub(crate) fn admits(&self, now: Instant) -> bool {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match state.open_until {
            None => true,
            Some(until) => until <= now && !state.is_probing(now),
        }
    }

    /// Failures in a row, as a share of those that open it.
    pub(crate) fn error_rate(&self) -> f64 {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        f64::from(state.failures.min(FAILURES)) / f64::from(FAILURES)
    }

    /// A call is sent.
    pub(crate) fn sent(&self, now: Instant) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.open_until.is_some() {
            state.probing = Some(now);
        }
    }

    /// A call came back, with whatever answer: the provider is there.
    pub(crate) fn answered(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = State::default();
    }

    /// The provider was lost or did not answer in time.
    pub(crate) fn failed(&self, now: Instant) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.failures += 1;
        state.probing = None;
        if state.failures >= FAILURES {
            let doubled = state.open_for * 2;
            state.open_for = doubled.clamp(OPEN.0, OPEN.1);
            state.open_until = Some(now + state.open_for);
        }
    }
}

impl State {
    /// A probe that never came back does not close the way for ever.
    fn is_probing(&self, now: Instant) -> bool {
        self.probing
            .is_some_and(|since| now.duration_since(since) < self.open_for.max(OPEN.0))
    }
}

#[cfg(test)]
mod tests {
    use super::{Breaker, FAILURES, OPEN};
    use std::time::{Duration, Instant};

    #[test]
    fn five_failures_in_a_row_open_it_and_one_probe_closes_it() {
        let (breaker, start) = (Breaker::default(), Instant::now());
        for _ in 1..FAILURES {
            breaker.failed(start);
            assert!(breaker.admits(start));
        }
        breaker.failed(start);
        assert!(!breaker.admits(start + OPEN.0 - Duration::from_millis(1)));
        let later = start + OPEN.0;
        assert!(breaker.admits(later));
        breaker.sent(later);
        assert!(!breaker.admits(later), "only one probe at a time");
        breaker.answered();
        assert!(breaker.admits(later));
    }

    #[test]
    fn a_probe_that_fails_doubles_the_time_up_to_five_minutes() {
        let (breaker, mut now) = (Breaker::default(), Instant::now());
        for _ in 0..FAILURES {
            breaker.failed(now);
        }
        let mut waited = OPEN.0;
        for _ in 0..10 {
            now += waited;
            assert!(breaker.admits(now));
            breaker.sent(now);
            breaker.failed(now);
            waited = (waited * 2).min(OPEN.1);
            assert!(!breaker.admits(now + waited - Duration::from_millis(1)));
        }
        assert_eq!(waited, OPEN.1);
    }
}
