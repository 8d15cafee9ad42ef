//! One process that outlives calls.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use alkhub_operations::CallError;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::ChildStdin;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::{Listed, State};
use crate::devenv::environment::Environment;
use crate::devenv::errors::{DevError, PROCESS_ENDED};
use crate::devenv::exec::{Capture, GRACE, Keep, LINGER, Spawned, exit_code, signal_name};
use crate::devenv::fs::time_text;

/// How much of the end of its output is kept, bytes.
pub(super) const TAIL: usize = 64 * 1024;
/// Requests to end it that may wait.
const ASKED: usize = 8;

/// A process. Dropping it ends the process.
pub(in crate::devenv) struct Managed {
    handle: String,
    name: Option<String>,
    command: String,
    pid: u32,
    started_at: String,
    input: tokio::sync::Mutex<Option<ChildStdin>>,
    tail: Arc<Mutex<Capture>>,
    /// Asks the task to end the process within this time; closed, it asks too.
    stop: mpsc::Sender<Duration>,
    end: watch::Receiver<Option<End>>,
}

/// How a process ended.
#[derive(Debug, Clone)]
pub(super) struct End {
    pub(super) exit_code: Option<i32>,
    pub(super) signal: Option<String>,
}

impl Managed {
    pub(super) fn new(
        mut spawned: Spawned,
        command: String,
        name: Option<String>,
        environment: &Environment,
    ) -> Self {
        let (stop, asked) = mpsc::channel(ASKED);
        let (ended, end) = watch::channel(None);
        let tail = Arc::new(Mutex::new(Capture::new(TAIL, Keep::Tail)));
        let input = spawned.child.stdin.take();
        let pid = spawned.session.pid();
        let task = keep(spawned, Arc::clone(&tail), asked, ended);
        environment.runtime().spawn(task);
        Self {
            handle: uuid::Uuid::new_v4().to_string(),
            name,
            command,
            pid,
            started_at: time_text(SystemTime::now()),
            input: tokio::sync::Mutex::new(input),
            tail,
            stop,
            end,
        }
    }

    pub(super) fn handle(&self) -> &str {
        &self.handle
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    pub(super) fn state(&self) -> State {
        if self.end.borrow().is_some() {
            State::Exited
        } else {
            State::Running
        }
    }

    pub(super) fn listed(&self, tail: Option<usize>) -> Listed {
        let end = self.end.borrow().clone();
        Listed {
            handle: self.handle.clone(),
            name: self.name.clone(),
            command: self.command.clone(),
            pid: self.pid,
            state: self.state(),
            exit_code: end.and_then(|end| end.exit_code),
            started_at: self.started_at.clone(),
            tail: tail.map(|bytes| lock(&self.tail).last(bytes)),
        }
    }

    /// Writes to its input.
    ///
    /// # Errors
    /// `PROCESS_ENDED` when it has ended or closed its input.
    pub(super) async fn send(&self, data: &[u8], eof: bool) -> Result<(), CallError> {
        let closed = || DevError::other(PROCESS_ENDED, "the process reads no more input");
        let mut end = self.end.clone();
        let mut input = self.input.lock().await;
        let pipe = input.as_mut().ok_or_else(closed)?;
        let writing = async {
            pipe.write_all(data).await?;
            pipe.flush().await
        };
        let written = tokio::select! {
            // Its children may hold the pipe open without reading it.
            ended = end.wait_for(Option::is_some) => {
                ended.map(drop).map_err(|_gone| closed())?;
                return Err(closed().into());
            }
            written = writing => written,
        };
        if eof || written.is_err() {
            *input = None;
        }
        written.map_err(|_broken| closed().into())
    }

    /// Ends it, with all it started, and waits until it has ended.
    pub(super) async fn stop(&self, grace: Duration) -> End {
        // Refused when it has ended already, or when enough others wait for its end.
        let asked = self.stop.try_send(grace).is_ok();
        let mut end = self.end.clone();
        let ended = end.wait_for(Option::is_some).await.ok();
        let told = ended.and_then(|end| end.clone());
        tracing::debug!(handle = %self.handle, asked, "a process was stopped");
        // A task that the runtime dropped has killed it and could not say how it ended.
        told.unwrap_or(End {
            exit_code: None,
            signal: None,
        })
    }
}

/// Reads the output, waits for the end, and ends it when asked or when nobody holds it any more.
async fn keep(
    spawned: Spawned,
    tail: Arc<Mutex<Capture>>,
    mut asked: mpsc::Receiver<Duration>,
    ended: watch::Sender<Option<End>>,
) {
    let Spawned {
        mut child,
        mut session,
    } = spawned;
    let mut readers = JoinSet::new();
    if let Some(pipe) = child.stdout.take() {
        readers.spawn(read(pipe, Arc::clone(&tail)));
    }
    if let Some(pipe) = child.stderr.take() {
        readers.spawn(read(pipe, tail));
    }
    let mut held = true;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status,
            grace = asked.recv(), if held => {
                held = grace.is_some();
                session.end(grace.unwrap_or(GRACE));
            }
        }
    };
    // What it leaves running goes too.
    drop(session);
    let reading = async { while readers.join_next().await.is_some() {} };
    if tokio::time::timeout(LINGER, reading).await.is_err() {
        tracing::trace!("the output of an ended process is still held open");
    }
    let end = match status {
        Ok(status) => End {
            exit_code: Some(exit_code(status)),
            signal: signal_name(status),
        },
        Err(error) => {
            tracing::warn!(%error, "the system cannot tell how a process ended");
            End {
                exit_code: None,
                signal: None,
            }
        }
    };
    ended.send_replace(Some(end));
}

async fn read(mut pipe: impl AsyncRead + Unpin, tail: Arc<Mutex<Capture>>) {
    let mut chunk = vec![0; 16 * 1024];
    while let Ok(read) = pipe.read(&mut chunk).await
        && read > 0
    {
        lock(&tail).push(&chunk[..read]);
    }
}

fn lock(tail: &Mutex<Capture>) -> MutexGuard<'_, Capture> {
    // Output is whole after each push.
    tail.lock().unwrap_or_else(PoisonError::into_inner)
}
