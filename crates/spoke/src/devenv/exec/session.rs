//! A command with all that it starts: one session of the system.
//!
//! A session is more than a process group: a shell with job control gives each job a group of its
//! own, but all of them stay in its session. What calls `setsid` itself leaves it, as daemons do.

use std::io;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;

use super::{CommandLine, GRACE};

/// How often it is looked whether something is left.
const LOOK: Duration = Duration::from_millis(25);
/// How long after KILL it is looked; the system may need a moment.
const AFTER_KILL: Duration = Duration::from_secs(1);

/// A started command and the session it leads.
pub(in crate::devenv) struct Spawned {
    pub(in crate::devenv) child: Child,
    pub(in crate::devenv) session: Session,
}

/// Everything a command started. Dropping it ends what is left of it: TERM now, KILL later.
pub(in crate::devenv) struct Session {
    leader: Pid,
    runtime: Handle,
    /// One of the spoke's processes, until nothing of it is left.
    permit: Option<OwnedSemaphorePermit>,
    ending: bool,
}

/// Starts a command.
///
/// # Errors
/// What the system says: no such program, no permission, no memory.
pub(in crate::devenv) fn spawn(
    line: &CommandLine,
    runtime: &Handle,
    permit: Option<OwnedSemaphorePermit>,
) -> io::Result<Spawned> {
    let mut command = Command::new(&line.program);
    command
        .args(&line.arguments)
        .current_dir(&line.directory)
        .env_clear()
        .envs(line.variables.iter().map(|(name, value)| (name, value)))
        .stdin(if line.writable {
            Stdio::piped()
        } else {
            Stdio::null()
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    #[expect(
        unsafe_code,
        reason = "the standard library has no safe way to begin a session; setsid is safe between \
                  fork and exec, and nothing else happens there"
    )]
    // SAFETY: the closure makes one system call and allocates nothing.
    unsafe {
        command.pre_exec(|| rustix::process::setsid().map(drop).map_err(io::Error::from));
    }
    let child = command.spawn()?;
    let leader = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .and_then(Pid::from_raw)
        .ok_or_else(|| io::Error::other("the started process has no id"))?;
    let session = Session {
        leader,
        runtime: runtime.clone(),
        permit,
        ending: false,
    };
    Ok(Spawned { child, session })
}

impl Session {
    /// Process id of the command.
    pub(in crate::devenv) fn pid(&self) -> u32 {
        self.leader.as_raw_nonzero().get().unsigned_abs()
    }

    /// Begins to end all of it: TERM now, KILL after `grace`. A second call may only hasten it.
    pub(in crate::devenv) fn end(&mut self, grace: Duration) {
        self.ending = true;
        let killer = Killer {
            leader: self.leader,
            permit: self.permit.take(),
            done: false,
        };
        if grace.is_zero() {
            signal(self.leader, Signal::KILL);
        } else {
            signal(self.leader, Signal::TERM);
            // What is stopped would not see it.
            signal(self.leader, Signal::CONT);
        }
        // A runtime that is shut down drops the task at once, and the killer kills.
        self.runtime.spawn(killer.run(grace));
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if !self.ending && !is_empty(self.leader) {
            self.end(GRACE);
        }
    }
}

/// Sees to it that a session ends, whatever happens to the task it runs in.
struct Killer {
    leader: Pid,
    permit: Option<OwnedSemaphorePermit>,
    done: bool,
}

impl Killer {
    async fn run(mut self, grace: Duration) {
        let begin = Instant::now();
        while !is_empty(self.leader) {
            let waited = begin.elapsed();
            if waited >= grace {
                signal(self.leader, Signal::KILL);
            }
            if waited >= grace + AFTER_KILL {
                tracing::warn!(
                    session = self.leader.as_raw_nonzero().get(),
                    "a command is not gone a second after it was killed"
                );
                break;
            }
            tokio::time::sleep(LOOK).await;
        }
        self.done = true;
        drop(self.permit.take());
    }
}

impl Drop for Killer {
    fn drop(&mut self) {
        if !self.done {
            signal(self.leader, Signal::KILL);
        }
    }
}

/// Sends a signal to every process group of a session.
fn signal(leader: Pid, signal: Signal) {
    for group in groups(leader) {
        match kill_process_group(group, signal) {
            // It ended by itself in the meantime.
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => {
                tracing::debug!(group = group.as_raw_nonzero().get(), %error, "a signal failed");
            }
        }
    }
}

/// True when nothing of a session runs any more; an ended process nobody has waited for does not
/// count where the system tells.
#[cfg(target_os = "linux")]
fn is_empty(leader: Pid) -> bool {
    members(leader).is_empty()
}

#[cfg(not(target_os = "linux"))]
fn is_empty(leader: Pid) -> bool {
    rustix::process::test_kill_process_group(leader).is_err()
}

/// The process groups of a session.
#[cfg(target_os = "linux")]
fn groups(leader: Pid) -> Vec<Pid> {
    let mut groups = members(leader);
    groups.sort_unstable_by_key(|group| group.as_raw_nonzero());
    groups.dedup();
    groups
}

#[cfg(not(target_os = "linux"))]
fn groups(leader: Pid) -> Vec<Pid> {
    vec![leader]
}

/// The process group of every running process of a session.
#[cfg(target_os = "linux")]
fn members(leader: Pid) -> Vec<Pid> {
    let session = leader.as_raw_nonzero().get();
    let Ok(processes) = std::fs::read_dir("/proc") else {
        // Without it, the group of the command itself is all that is known.
        return if rustix::process::test_kill_process_group(leader).is_ok() {
            vec![leader]
        } else {
            Vec::new()
        };
    };
    processes
        .filter_map(|entry| {
            let entry = entry.ok()?;
            entry.file_name().to_str()?.parse::<u32>().ok()?;
            // A process that has just ended has no such file any more.
            let text = std::fs::read(entry.path().join("stat")).ok()?;
            let process = parse_stat(&text)?;
            let runs = !matches!(process.state, b'Z' | b'X');
            (runs && process.session == session).then_some(process.group)
        })
        .filter_map(Pid::from_raw)
        .collect()
}

#[cfg(target_os = "linux")]
struct Stat {
    state: u8,
    group: i32,
    session: i32,
}

/// `PID (NAME) STATE PPID GROUP SESSION …`; the name may hold spaces and parentheses.
#[cfg(target_os = "linux")]
fn parse_stat(text: &[u8]) -> Option<Stat> {
    let behind = text.iter().rposition(|byte| *byte == b')')? + 1;
    let mut fields = std::str::from_utf8(&text[behind..])
        .ok()?
        .split_whitespace();
    let state = *fields.next()?.as_bytes().first()?;
    fields.next()?;
    Some(Stat {
        state,
        group: fields.next()?.parse().ok()?,
        session: fields.next()?.parse().ok()?,
    })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_confuse_the_fields() {
        let stat = parse_stat(b"42 (a) b (c) S 7 40 39 0 -1 4194304").unwrap();
        assert_eq!((stat.state, stat.group, stat.session), (b'S', 40, 39));
    }
}
