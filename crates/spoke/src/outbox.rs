//! Frames on their way to the hub.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use alkhub_operations::events::CallFailed;
use alkhub_operations::protocol::{EventSink, SinkClosed, encode};
use alkhub_operations::{CallError, CallEvent, ErrorCode};
use futures::future::BoxFuture;
use tokio::sync::Notify;

/// Items of subscriptions wait above this many frames or bytes.
const MOST_FRAMES: usize = 256;
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// The queue in front of one socket.
pub(crate) struct Outbox {
    queue: Mutex<Queue>,
    /// Wakes the writer.
    filled: Notify,
    /// Wakes those who wait for room.
    room: Notify,
    /// Largest frame the hub takes.
    most: AtomicUsize,
}

#[derive(Default)]
struct Queue {
    frames: VecDeque<String>,
    bytes: usize,
    state: State,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Open,
    /// What waits is still sent.
    Finishing,
    /// Nothing is sent any more.
    Closed,
}

impl Outbox {
    pub(crate) fn new(most_frame_bytes: usize) -> Self {
        Self {
            queue: Mutex::default(),
            filled: Notify::new(),
            room: Notify::new(),
            most: AtomicUsize::new(most_frame_bytes),
        }
    }

    /// The hub said how large a frame may be.
    pub(crate) fn set_most_frame_bytes(&self, bytes: usize) {
        self.most.store(bytes, Ordering::Relaxed);
    }

    /// Queues a frame that is text already. Lost when the connection is.
    pub(crate) fn text(&self, frame: String) {
        let mut queue = self.lock();
        if queue.state == State::Open {
            queue.bytes += frame.len();
            queue.frames.push_back(frame);
            drop(queue);
            self.filled.notify_one();
        }
    }

    /// Takes nothing more; what waits is sent, then the connection is closed.
    pub(crate) fn finish(&self) {
        self.end(State::Finishing);
    }

    /// The connection is gone.
    pub(crate) fn close(&self) {
        self.end(State::Closed);
    }

    /// All frames that wait, at least one; `None` at the end.
    pub(crate) async fn take(&self) -> Option<VecDeque<String>> {
        loop {
            let filled = self.filled.notified();
            {
                let mut queue = self.lock();
                if queue.state == State::Closed {
                    return None;
                }
                if !queue.frames.is_empty() {
                    queue.bytes = 0;
                    let frames = std::mem::take(&mut queue.frames);
                    drop(queue);
                    self.room.notify_waiters();
                    return Some(frames);
                }
                if queue.state == State::Finishing {
                    return None;
                }
            }
            filled.await;
        }
    }

    fn end(&self, state: State) {
        self.lock().state = state;
        self.filled.notify_one();
        self.room.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // No function here panics with a half-changed queue.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EventSink for Outbox {
    fn push(&self, event: CallEvent) -> Result<(), SinkClosed> {
        let mut frame = encode(&event);
        let most = self.most.load(Ordering::Relaxed);
        if frame.len() > most
            && let CallEvent::Responded(responded) = &event
        {
            // A frame over the limit would cost the whole connection.
            let message = format!("the answer is larger than a frame of {most} bytes");
            let error = CallError::new(ErrorCode::PAYLOAD_TOO_LARGE, message);
            let failed = CallFailed::new(
                responded.request_id.clone(),
                error.with_detail("limit", most),
            );
            frame = encode(&CallEvent::Failed(failed));
        }
        let mut queue = self.lock();
        if queue.state != State::Open {
            return Err(SinkClosed);
        }
        queue.bytes += frame.len();
        queue.frames.push_back(frame);
        drop(queue);
        self.filled.notify_one();
        Ok(())
    }

    fn ready(&self) -> BoxFuture<'_, Result<(), SinkClosed>> {
        Box::pin(async {
            loop {
                let room = self.room.notified();
                let mut room = std::pin::pin!(room);
                // Registered before the look, so that room made in between is not missed.
                room.as_mut().enable();
                {
                    let queue = self.lock();
                    if queue.state != State::Open {
                        return Err(SinkClosed);
                    }
                    if queue.frames.len() < MOST_FRAMES && queue.bytes < MOST_BYTES {
                        return Ok(());
                    }
                }
                room.await;
            }
        })
    }
}
