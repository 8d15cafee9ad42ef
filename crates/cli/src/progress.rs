//! Progress on stderr, for work that takes longer than a second, and only on a terminal.

use std::future::Future;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::output::Output;

const PATIENCE: Duration = Duration::from_secs(1);

/// Waits for `work`; shows a spinner once it takes longer than a second.
pub(crate) async fn while_waiting<T>(
    output: &Output,
    message: &str,
    work: impl Future<Output = T>,
) -> T {
    let mut work = std::pin::pin!(work);
    if !output.shows_progress() {
        return work.await;
    }
    tokio::select! {
        biased;
        done = &mut work => return done,
        () = tokio::time::sleep(PATIENCE) => {}
    }
    let spinner = ProgressBar::new_spinner().with_message(message.to_owned());
    spinner.enable_steady_tick(Duration::from_millis(120));
    let done = work.await;
    spinner.finish_and_clear();
    done
}

/// A bar over `total` steps that appears after a second.
pub(crate) struct Steps {
    bar: Option<ProgressBar>,
    message: &'static str,
    total: u64,
    done: u64,
    started: std::time::Instant,
    shown: bool,
}

impl Steps {
    pub(crate) fn new(output: &Output, message: &'static str, total: usize) -> Steps {
        Steps {
            bar: None,
            message,
            total: total as u64,
            done: 0,
            started: std::time::Instant::now(),
            shown: output.shows_progress(),
        }
    }

    /// One step is done.
    pub(crate) fn step(&mut self) {
        self.done += 1;
        if self.bar.is_none() && self.shown && self.started.elapsed() > PATIENCE {
            let bar = ProgressBar::new(self.total).with_message(self.message);
            if let Ok(style) = ProgressStyle::with_template("{msg} {bar:30} {pos}/{len}") {
                bar.set_style(style);
            }
            self.bar = Some(bar);
        }
        if let Some(bar) = &self.bar {
            bar.set_position(self.done);
        }
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
