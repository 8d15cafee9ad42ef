//! Frames on their way to a peer.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use alkhub_operations::CallEvent;
use alkhub_operations::protocol::{Control, EventSink, SinkClosed, encode};
use futures::future::BoxFuture;
use tokio::sync::Notify;

/// How long the queue may be full before the connection is closed.
const FULL: Duration = Duration::from_secs(10);

/// How a connection is closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    /// WebSocket close code.
    pub code: u16,
    /// Why, at most 123 bytes of it are sent.
    pub reason: String,
}

impl Close {
    /// A close with this code and reason.
    #[must_use]
    pub fn new(code: u16, reason: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.into(),
        }
    }
}

/// The frames that wait for a peer. Whoever owns the socket takes them with [`Outbox::next`].
pub struct Outbox {
    queue: Mutex<Queue>,
    /// Wakes the writer.
    written: Notify,
    /// Wakes those who wait for room.
    room: Notify,
    /// Wakes whoever must close although the writer is stuck.
    cut: Notify,
    most_frames: usize,
    most_bytes: usize,
}

#[derive(Default)]
struct Queue {
    frames: VecDeque<String>,
    bytes: usize,
    full_since: Option<Instant>,
    close: Option<Close>,
    shut: bool,
}

impl Outbox {
    pub(super) fn new(most_frames: usize, most_bytes: usize) -> Self {
        Self {
            queue: Mutex::default(),
            written: Notify::new(),
            room: Notify::new(),
            cut: Notify::new(),
            most_frames,
            most_bytes,
        }
    }

    /// The frames that wait now, in order; waits for the first. `Err` says how to close, once
    /// everything before is sent.
    ///
    /// # Errors
    /// How the connection is to be closed.
    pub async fn next(&self, frames: &mut Vec<String>) -> Result<(), Close> {
        loop {
            let written = self.written.notified();
            {
                let mut queue = self.lock();
                if !queue.frames.is_empty() {
                    frames.extend(queue.frames.drain(..));
                    queue.bytes = 0;
                    queue.full_since = None;
                    drop(queue);
                    self.room.notify_waiters();
                    return Ok(());
                }
                if let Some(close) = &queue.close {
                    return Err(close.clone());
                }
                if queue.shut {
                    return Err(Close::new(1001, "closed"));
                }
            }
            written.await;
        }
    }

    /// The frames that wait now, without waiting for any.
    pub fn take(&self, frames: &mut Vec<String>) {
        let mut queue = self.lock();
        frames.extend(queue.frames.drain(..));
        queue.bytes = 0;
    }

    /// Resolves when the connection must be closed although its peer does not read.
    pub async fn cut(&self) -> Close {
        loop {
            let cut = self.cut.notified();
            {
                let queue = self.lock();
                let stuck = queue
                    .full_since
                    .is_some_and(|since| since.elapsed() >= FULL);
                if stuck {
                    return Close::new(1013, "the peer does not read");
                }
            }
            // Looked at again in a while: nobody may push any more.
            let _looked = tokio::time::timeout(Duration::from_secs(1), cut).await;
        }
    }

    /// Queues a frame of the connection's own.
    pub(super) fn control(&self, control: &Control) {
        self.text(control.to_text());
    }

    /// Queues a frame. What does not fit into twice the bounds is not kept: the peer is then cut.
    pub(super) fn text(&self, frame: String) {
        let mut queue = self.lock();
        if queue.shut {
            return;
        }
        queue.bytes += frame.len();
        queue.frames.push_back(frame);
        let full = queue.frames.len() >= self.most_frames || queue.bytes >= self.most_bytes;
        if full && queue.full_since.is_none() {
            queue.full_since = Some(Instant::now());
        }
        let over = queue.frames.len() >= 8 * self.most_frames || queue.bytes >= 2 * self.most_bytes;
        if over {
            queue.full_since = Instant::now().checked_sub(FULL).or(queue.full_since);
            queue.shut = true;
        }
        drop(queue);
        self.written.notify_one();
        if over {
            self.cut.notify_waiters();
        }
    }

    /// Closes the connection once everything that waits is sent.
    pub(super) fn close(&self, close: Close) {
        let mut queue = self.lock();
        queue.close.get_or_insert(close);
        drop(queue);
        self.written.notify_one();
    }

    /// Nothing can be sent any more.
    pub(super) fn shut(&self) {
        let mut queue = self.lock();
        queue.shut = true;
        queue.frames.clear();
        queue.bytes = 0;
        drop(queue);
        self.written.notify_one();
        self.room.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EventSink for Outbox {
    fn push(&self, event: CallEvent) -> Result<(), SinkClosed> {
        if self.lock().shut {
            return Err(SinkClosed);
        }
        self.text(encode(&event));
        Ok(())
    }

    fn ready(&self) -> BoxFuture<'_, Result<(), SinkClosed>> {
        Box::pin(async {
            loop {
                let room = self.room.notified();
                {
                    let queue = self.lock();
                    if queue.shut {
                        return Err(SinkClosed);
                    }
                    // Half of it is left to answers, which nobody holds back.
                    if queue.frames.len() < self.most_frames / 2
                        && queue.bytes < self.most_bytes / 2
                    {
                        return Ok(());
                    }
                }
                room.await;
            }
        })
    }
}
