//! Running a command to its end.

use std::io;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use super::{Capture, GRACE, LINGER, Spawned};

/// A command that has ended.
pub(in crate::devenv) struct Finished {
    pub(in crate::devenv) status: ExitStatus,
    pub(in crate::devenv) stdout: Capture,
    pub(in crate::devenv) stderr: Capture,
    pub(in crate::devenv) duration: Duration,
    /// True when it was ended because its time was up.
    pub(in crate::devenv) timed_out: bool,
}

/// Writes the input, reads both outputs and waits for the end. What the command leaves running is
/// ended too. Dropping the future ends all of it.
///
/// # Errors
/// When the system cannot tell how the command ended.
pub(in crate::devenv) async fn run_to_end(
    spawned: Spawned,
    input: Option<Vec<u8>>,
    timeout: Option<Duration>,
    (mut stdout, mut stderr): (Capture, Capture),
) -> io::Result<Finished> {
    let Spawned {
        mut child,
        mut session,
    } = spawned;
    let begin = Instant::now();
    let (out, err, pipe) = (child.stdout.take(), child.stderr.take(), child.stdin.take());
    let writing = async move {
        if let (Some(mut pipe), Some(input)) = (pipe, input) {
            // A command need not read what it is given.
            if let Err(error) = pipe.write_all(&input).await {
                tracing::trace!(%error, "a command did not read all of its input");
            }
        }
    };
    let mut status = None;
    let mut timed_out = false;
    {
        let pump = async {
            tokio::join!(copy(out, &mut stdout), copy(err, &mut stderr), writing);
        };
        tokio::pin!(pump);
        let mut pumped = false;
        let time_up = sleep(timeout);
        tokio::pin!(time_up);
        let linger = tokio::time::sleep(LINGER);
        tokio::pin!(linger);
        while !(status.is_some() && pumped) {
            tokio::select! {
                () = &mut pump, if !pumped => pumped = true,
                ended = child.wait(), if status.is_none() => {
                    status = Some(ended?);
                    linger.as_mut().reset(tokio::time::Instant::now() + LINGER);
                }
                () = &mut time_up, if !timed_out && status.is_none() => {
                    timed_out = true;
                    session.end(GRACE);
                }
                // Somebody it left behind holds the pipes open.
                () = &mut linger, if status.is_some() => break,
            }
        }
    }
    let status = status.ok_or_else(|| io::Error::other("the command has no exit status"))?;
    Ok(Finished {
        status,
        stdout,
        stderr,
        duration: begin.elapsed(),
        timed_out,
    })
}

/// Reads a pipe to its end. A read that fails ends it: nothing more can come.
async fn copy(pipe: Option<impl AsyncRead + Unpin>, capture: &mut Capture) {
    let Some(mut pipe) = pipe else { return };
    let mut chunk = vec![0; 16 * 1024];
    while let Ok(read) = pipe.read(&mut chunk).await
        && read > 0
    {
        capture.push(&chunk[..read]);
    }
}

/// Never without a duration.
pub(super) async fn sleep(duration: Option<Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}
