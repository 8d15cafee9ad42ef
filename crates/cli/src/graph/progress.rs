//! Progress on stderr once work takes longer than a second, and only on a terminal.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::output::Output;

const PATIENCE: Duration = Duration::from_secs(1);

/// Runs `work` and shows a spinner when it takes long.
pub(super) fn while_working<T: Send>(
    output: &Output,
    message: &'static str,
    work: impl FnOnce() -> T + Send,
) -> T {
    if !output.shows_progress() {
        return work();
    }
    let waiting = thread::current();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let worker = scope.spawn(|| {
            let result = work();
            done.store(true, Ordering::Release);
            waiting.unpark();
            result
        });
        let until = Instant::now() + PATIENCE;
        while !done.load(Ordering::Acquire) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || worker.is_finished() {
                break;
            }
            thread::park_timeout(left);
        }
        let spinner = (!done.load(Ordering::Acquire)).then(|| {
            let spinner = ProgressBar::new_spinner().with_message(message);
            spinner.enable_steady_tick(Duration::from_millis(120));
            spinner
        });
        let result = worker.join();
        if let Some(spinner) = spinner {
            spinner.finish_and_clear();
        }
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// A bar over steps that several threads take.
pub(super) struct Bar {
    message: &'static str,
    started: Instant,
    shown: bool,
    done: AtomicU64,
    bar: OnceLock<ProgressBar>,
}

impl Bar {
    pub(super) fn new(output: &Output, message: &'static str) -> Self {
        Self {
            message,
            started: Instant::now(),
            shown: output.shows_progress(),
            done: AtomicU64::new(0),
            bar: OnceLock::new(),
        }
    }

    /// One of `total` steps is done.
    pub(super) fn step(&self, total: usize) {
        if !self.shown {
            return;
        }
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if self.started.elapsed() < PATIENCE {
            return;
        }
        let bar = self.bar.get_or_init(|| {
            let bar = ProgressBar::new(total as u64).with_message(self.message);
            if let Ok(style) = ProgressStyle::with_template("{msg} {bar:30} {pos}/{len}") {
                bar.set_style(style);
            }
            bar
        });
        bar.set_position(done);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.get() {
            bar.finish_and_clear();
        }
    }
}
