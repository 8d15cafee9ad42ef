//! Running commands: each in a session of its own, which ends as a whole.

mod capture;
mod run;
mod session;
mod text;

pub(super) use capture::{Capture, Keep};
pub(super) use run::run_to_end;
pub(super) use session::{Spawned, spawn};
pub(super) use text::TextChunks;

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

/// From TERM to KILL.
pub(super) const GRACE: Duration = Duration::from_secs(5);
/// How long the pipes of a command are read on after its end, for what its children still write.
pub(super) const LINGER: Duration = Duration::from_millis(250);

/// A program to start.
#[derive(Debug, Clone)]
pub(super) struct CommandLine {
    pub(super) program: OsString,
    pub(super) arguments: Vec<OsString>,
    pub(super) directory: PathBuf,
    /// All of its environment.
    pub(super) variables: Vec<(OsString, OsString)>,
    /// Whether its input is written to; else it is empty.
    pub(super) writable: bool,
}

/// How a command ended, as shells tell it: 128 and the number of the signal when one ended it.
pub(super) fn exit_code(status: ExitStatus) -> i32 {
    status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

/// The signal that ended a command.
pub(super) fn signal_name(status: ExitStatus) -> Option<String> {
    let number = status.signal()?;
    let name = match number {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        other => return Some(format!("signal {other}")),
    };
    Some(name.to_owned())
}
