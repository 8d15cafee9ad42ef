//! How long to wait before the next attempt.

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// Waits that double with each failure. Each is drawn at random below its bound, so that spokes
/// which lost one hub together do not come back together.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The wait before the next attempt.
    pub(crate) fn next(&mut self) -> Duration {
        self.next_at(fastrand::f64())
    }

    /// After a success it begins anew.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    fn next_at(&mut self, draw: f64) -> Duration {
        let bound = FIRST.saturating_mul(1 << self.failures.min(6)).min(LONGEST);
        self.failures += 1;
        bound.mul_f64(draw)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_double_from_one_second_to_sixty() {
        let mut backoff = Backoff::default();
        let bounds: Vec<_> = (0..9).map(|_| backoff.next_at(1.0).as_secs()).collect();
        assert_eq!(bounds, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        backoff.reset();
        assert_eq!(backoff.next_at(0.5), Duration::from_millis(500));
    }

    #[test]
    fn waits_are_spread_over_the_whole_bound() {
        let waits: Vec<_> = (0..200).map(|_| Backoff::default().next()).collect();
        assert!(waits.iter().all(|wait| *wait <= FIRST));
        assert!(waits.iter().any(|wait| *wait < FIRST / 4));
        assert!(waits.iter().any(|wait| *wait > FIRST * 3 / 4));
    }
}
