//! At most so many lines of one kind a second: a fault that repeats must not fill the disk.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tracing::Level;
use tracing::callsite::Identifier;

/// Lines of one place in the program a second.
const LINES_A_SECOND: u32 = 100;

/// Counts lines by the place in the program that writes them.
#[derive(Debug, Default)]
pub(super) struct Sampling {
    windows: Mutex<HashMap<Identifier, Window>>,
}

/// Whether a line is written.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Written; before it, so many of its kind were left out.
    Write {
        /// Lines left out since the last one written.
        left_out: u64,
    },
    /// Left out.
    LeaveOut,
}

#[derive(Debug, Default)]
struct Window {
    second: u64,
    written: u32,
    left_out: u64,
}

impl Sampling {
    /// Judges a line in the given second. Errors are always written: answers name their ids.
    pub(super) fn judge(&self, level: Level, place: Identifier, second: u64) -> Verdict {
        if level == Level::ERROR {
            return Verdict::Write { left_out: 0 };
        }
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let window = windows.entry(place).or_default();
        if window.second != second {
            window.second = second;
            window.written = 0;
        }
        if window.written >= LINES_A_SECOND {
            window.left_out += 1;
            return Verdict::LeaveOut;
        }
        window.written += 1;
        Verdict::Write {
            left_out: std::mem::take(&mut window.left_out),
        }
    }
}
