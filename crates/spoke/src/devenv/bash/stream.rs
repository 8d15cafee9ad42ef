//! `bash.stream`

use std::time::Duration;

use alkhub_operations::{CallError, Operation, OperationType, operation};
use futures::stream::{self, Stream, StreamExt};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use super::{Input, MOST_TIME, STARTING};
use crate::devenv::environment::Environment;
use crate::devenv::errors::{Declare, DevError};
use crate::devenv::exec::{GRACE, LINGER, Spawned, TextChunks, exit_code, signal_name};
use crate::devenv::work::Work;

/// Pieces of output that wait for a slow reader; then the command waits.
const QUEUE: usize = 16;

/// A piece of output, or last of all how the command ended.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
enum Item {
    Output(Piece),
    End(End),
}

#[derive(Debug, Serialize, JsonSchema)]
struct Piece {
    /// Which of the two outputs.
    stream: Channel,
    /// What was written; bytes that are no UTF-8 are replaced.
    data: String,
}

#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Channel {
    Stdout,
    Stderr,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct End {
    /// 0 is success; 128 and the signal's number when a signal ended it.
    exit_code: i32,
    /// The signal that ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    signal: Option<String>,
    /// True when an output was longer than what is given.
    truncated: bool,
    /// True when it was ended because its time was up.
    timed_out: bool,
}

type Sender = mpsc::Sender<Result<Item, CallError>>;

pub(super) fn define(environment: &Environment) -> Operation {
    let environment = environment.clone();
    operation::<Input, Item>("bash.stream", OperationType::Subscription)
        .title("Run a command and follow it")
        .description(
            "Runs a shell command and gives its output as it comes, last of all its exit code. Of an \
             output longer than maxOutputBytes only the begin is given. Stopping the subscription \
             ends the command and all it started: TERM, and KILL five seconds later.",
        )
        .tags(&["shell"])
        .timeout(MOST_TIME)
        .fails_with(&[STARTING])
        .stream(move |ctx, input| {
            match Work::new(&environment, &ctx).and_then(|work| Ok((input.start(&work)?, work))) {
                Ok((spawned, work)) => follow(&work, spawned, input).left_stream(),
                Err(error) => stream::once(async { Err(error) }).right_stream(),
            }
        })
}

/// The command runs in a task of its own, so that its time is up also while nobody reads.
fn follow(
    work: &Work,
    spawned: Spawned,
    input: Input,
) -> impl Stream<Item = Result<Item, CallError>> + use<> {
    let (sender, receiver) = mpsc::channel(QUEUE);
    work.environment.runtime().spawn(async move {
        tokio::select! {
            last = run(spawned, input, &sender) => {
                // Nobody reads any more: then nobody needs to know.
                if sender.send(last).await.is_err() {
                    tracing::trace!("the end of a command reached nobody");
                }
            }
            // The stream was dropped; with the future above the command ends.
            () = sender.closed() => {}
        }
    });
    stream::unfold(receiver, |mut receiver| async {
        let item = receiver.recv().await?;
        Some((item, receiver))
    })
}

async fn run(spawned: Spawned, input: Input, sender: &Sender) -> Result<Item, CallError> {
    let timeout = input.timeout();
    let limit = input.max_output_bytes;
    let Spawned {
        mut child,
        mut session,
    } = spawned;
    let (out, err, pipe) = (child.stdout.take(), child.stderr.take(), child.stdin.take());
    let writing = async {
        if let (Some(mut pipe), Some(text)) = (pipe, input.stdin)
            && let Err(error) = pipe.write_all(text.as_bytes()).await
        {
            tracing::trace!(%error, "a command did not read all of its input");
        }
    };
    let (mut out_cut, mut err_cut) = (false, false);
    let mut status = None;
    let mut timed_out = false;
    {
        let pump = async {
            tokio::join!(
                give(out, Channel::Stdout, limit, sender, &mut out_cut),
                give(err, Channel::Stderr, limit, sender, &mut err_cut),
                writing,
            );
        };
        tokio::pin!(pump);
        let mut pumped = false;
        let time_up = tokio::time::sleep(timeout);
        tokio::pin!(time_up);
        let linger = tokio::time::sleep(Duration::ZERO);
        tokio::pin!(linger);
        while !(status.is_some() && pumped) {
            tokio::select! {
                () = &mut pump, if !pumped => pumped = true,
                ended = child.wait(), if status.is_none() => {
                    let ended = ended.map_err(|error| DevError::of_io("the command", error))?;
                    status = Some(ended);
                    linger.as_mut().reset(tokio::time::Instant::now() + LINGER);
                }
                () = &mut time_up, if !timed_out && status.is_none() => {
                    timed_out = true;
                    session.end(GRACE);
                }
                // Somebody it left behind holds the pipes open, and there is nothing to give.
                () = &mut linger, if status.is_some() => {
                    if sender.capacity() == QUEUE {
                        break;
                    }
                    linger.as_mut().reset(tokio::time::Instant::now() + LINGER);
                }
            }
        }
    }
    let status = status.ok_or_else(|| {
        let error = std::io::Error::other("it has no exit status");
        DevError::of_io("the command", error)
    })?;
    Ok(Item::End(End {
        exit_code: exit_code(status),
        signal: signal_name(status),
        truncated: out_cut || err_cut,
        timed_out,
    }))
}

/// Gives what comes out of a pipe, up to a limit; reads on behind it, so that the command does not
/// wait for ever.
async fn give(
    pipe: Option<impl AsyncRead + Unpin>,
    channel: Channel,
    limit: usize,
    sender: &Sender,
    cut: &mut bool,
) {
    let Some(mut pipe) = pipe else { return };
    let mut text = TextChunks::default();
    let mut left = limit;
    let mut chunk = vec![0; 16 * 1024];
    while let Ok(read) = pipe.read(&mut chunk).await
        && read > 0
    {
        let given = read.min(left);
        left -= given;
        *cut |= given < read;
        let data = text.push(&chunk[..given]);
        if !send(sender, channel, data).await {
            return;
        }
    }
    send(sender, channel, text.finish()).await;
}

/// False when nobody reads any more.
async fn send(sender: &Sender, stream: Channel, data: String) -> bool {
    if data.is_empty() {
        return true;
    }
    let piece = Piece { stream, data };
    sender.send(Ok(Item::Output(piece))).await.is_ok()
}
