//! How far a peer may go before its connection is closed.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use super::{Close, FRAMES_PER_SECOND};

/// Broken frames a minute.
const VIOLATIONS: u32 = 10;
/// Late or foreign answers a minute.
const LATE: u32 = 1_000;
const WINDOW: Duration = Duration::from_secs(60);

/// What a connection has done wrong.
pub(super) struct Faults {
    violations: Mutex<Count>,
    late: Mutex<Count>,
    unknown_event: AtomicBool,
    frames: Option<DefaultDirectRateLimiter>,
}

struct Count {
    since: Instant,
    number: u32,
}

impl Count {
    fn new() -> Self {
        Self {
            since: Instant::now(),
            number: 0,
        }
    }

    fn add(&mut self) -> u32 {
        if self.since.elapsed() >= WINDOW {
            *self = Self::new();
        }
        self.number += 1;
        self.number
    }
}

impl Faults {
    /// With or without a bound on frames a second.
    pub(super) fn new(limited: bool) -> Self {
        let frames = NonZeroU32::new(FRAMES_PER_SECOND)
            .filter(|_| limited)
            .map(|rate| RateLimiter::direct(Quota::per_second(rate)));
        Self {
            violations: Mutex::new(Count::new()),
            late: Mutex::new(Count::new()),
            unknown_event: AtomicBool::new(false),
            frames,
        }
    }

    /// True while the peer keeps to its rate.
    pub(super) fn admits_frame(&self) -> bool {
        self.frames
            .as_ref()
            .is_none_or(|frames| frames.check().is_ok())
    }

    /// True for the first event of an unknown name.
    pub(super) fn first_unknown_event(&self) -> bool {
        !self.unknown_event.swap(true, Ordering::Relaxed)
    }

    /// A frame broke the rules.
    pub(super) fn violation(&self) -> Result<(), Close> {
        let mut count = self
            .violations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if count.add() >= VIOLATIONS {
            Err(Close::new(1002, "too many frames that break the protocol"))
        } else {
            Ok(())
        }
    }

    /// An answer came that nobody waits for.
    pub(super) fn late(&self) -> Result<(), Close> {
        let mut count = self.late.lock().unwrap_or_else(PoisonError::into_inner);
        if count.add() >= LATE {
            Err(Close::new(1008, "too many answers that nobody waits for"))
        } else {
            Ok(())
        }
    }
}
