//! Other programs, run so that none outlives the command that started it.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};
use std::{env, io};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};

/// Why a program did not do its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProcessError {
    /// It could not be started or waited for.
    #[error("cannot run {program}")]
    Start {
        /// The program's name or path.
        program: String,
        /// What the system answered.
        #[source]
        source: io::Error,
    },
    /// It ran and ended with a failure.
    #[error("{program} failed ({status}){}", tail(.output))]
    Failed {
        /// The program's name or path.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// What it wrote to standard error, when that was not shown already.
        output: String,
    },
}

/// A running program in a process group of its own. Dropped while it runs, the whole group is asked
/// to end, and killed when it does not.
#[derive(Debug)]
pub(crate) struct Group {
    child: Child,
    id: Option<Pid>,
    ask: Signal,
    patience: Duration,
}

impl Group {
    /// Starts the program with nothing on its standard input.
    pub(crate) fn spawn(command: &mut Command) -> Result<Self, ProcessError> {
        let child = command
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(|source| start_error(command, source))?;
        let id = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        Ok(Self {
            child,
            id,
            ask: Signal::TERM,
            patience: Duration::from_secs(5),
        })
    }

    /// Sets which signal asks the group to end, and how long it may take.
    pub(crate) fn stop_by(mut self, ask: Signal, patience: Duration) -> Self {
        self.ask = ask;
        self.patience = patience;
        self
    }

    /// The process id of the program itself, while it runs.
    pub(crate) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits for the program's end.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// How the program ended, `None` while it runs.
    pub(crate) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    fn ends_within(&mut self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        loop {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            pause(Duration::from_millis(10));
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let Some(id) = self.id else { return };
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        for (signal, limit) in [
            (self.ask, self.patience),
            (Signal::KILL, Duration::from_secs(5)),
        ] {
            // An error means that the group is gone, which is what is wanted.
            if kill_process_group(id, signal).is_err() || self.ends_within(limit) {
                return;
            }
        }
        eprintln!(
            "xtask: process group {} could not be stopped",
            id.as_raw_nonzero()
        );
    }
}

/// Runs a program that writes to our own terminal and tells how it ended.
pub(crate) async fn status(command: &mut Command) -> Result<ExitStatus, ProcessError> {
    let mut group = Group::spawn(command)?;
    group
        .wait()
        .await
        .map_err(|source| start_error(command, source))
}

/// Runs a program that writes to our own terminal. Errors: it did not succeed.
pub(crate) async fn run(command: &mut Command) -> Result<(), ProcessError> {
    let status = status(command).await?;
    if status.success() {
        Ok(())
    } else {
        Err(failed(command, status, String::new()))
    }
}

/// Runs a program and gives what it wrote to standard output. Errors: it did not succeed.
pub(crate) async fn read(command: &mut Command) -> Result<String, ProcessError> {
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|source| start_error(command, source))?;
    if status.success() {
        Ok(String::from_utf8_lossy(&stdout).into_owned())
    } else {
        Err(failed(
            command,
            status,
            String::from_utf8_lossy(&stderr).into_owned(),
        ))
    }
}

/// Where the program of that name stands on the path.
pub(crate) fn find(name: impl AsRef<OsStr>) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|directory| directory.join(name.as_ref()))
        .find(|file| file.is_file())
}

/// Whether the caller may do all on this machine.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[expect(
    clippy::disallowed_methods,
    reason = "only for `Drop`, which cannot await"
)]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}

fn start_error(command: &Command, source: io::Error) -> ProcessError {
    ProcessError::Start {
        program: name(command),
        source,
    }
}

fn failed(command: &Command, status: ExitStatus, output: String) -> ProcessError {
    ProcessError::Failed {
        program: name(command),
        status,
        output,
    }
}

fn name(command: &Command) -> String {
    let command = command.as_std();
    let arguments = command.get_args().take(2).map(OsStr::to_string_lossy);
    let program = PathBuf::from(command.get_program());
    let program = program
        .file_name()
        .unwrap_or(command.get_program())
        .to_string_lossy()
        .into_owned();
    std::iter::once(program.into())
        .chain(arguments)
        .collect::<Vec<_>>()
        .join(" ")
}

fn tail(output: &str) -> String {
    let lines: Vec<&str> = output.trim_end().lines().collect();
    let last = &lines[lines.len().saturating_sub(20)..];
    if last.is_empty() {
        String::new()
    } else {
        format!("\n{}", last.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn dropped_group_ends_with_its_children() {
        let directory = tempfile::tempdir().unwrap();
        let mark = directory.path().join("child");
        let script = format!(
            "sleep 600 & echo $! > '{0}.new'; mv '{0}.new' '{0}'; wait",
            mark.display()
        );
        let group = Group::spawn(Command::new("sh").args(["-c", &script])).unwrap();
        while !mark.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let child: i32 = std::fs::read_to_string(&mark)
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        drop(group);
        let child = Pid::from_raw(child).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        // The orphan is reaped by whoever adopts it; until then it may be seen as a zombie.
        while rustix::process::test_kill_process(child).is_ok() && !is_zombie(child) {
            assert!(Instant::now() < deadline, "the child outlived its group");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn failure_names_the_program_and_what_it_said() {
        let error = read(Command::new("sh").args(["-c", "echo no luck >&2; exit 3"]))
            .await
            .unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("sh -c"), "{text}");
        assert!(text.contains("no luck"), "{text}");
    }

    fn is_zombie(process: Pid) -> bool {
        std::fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero())).is_ok_and(
            |stat| {
                stat.rsplit(')')
                    .next()
                    .is_some_and(|rest| rest.trim_start().starts_with('Z'))
            },
        )
    }
}
