//! The operations of a developer's machine: files, shell commands, long-lived processes and git,
//! all inside the directories the spoke was started for.
//!
//! [`Environment::open`] checks the roots and the settings once; [`operations`] gives the typed
//! operations over them. What holds for all of them:
//!
//! - A path is relative to the caller's worktree, or to the first root. It is normalised as text,
//!   symlinks are resolved, and the result must lie under a root. Files are then opened component by
//!   component without following links, so a link put in the way afterwards is met with a refusal.
//! - What the deny patterns match is closed to the operations on files and to paths given to git. A
//!   shell command can read whatever the user of the spoke can: give `bash.*` and `process.*` only to
//!   roles that may.
//! - A command runs in a session of its own, without a terminal. When its call is aborted or times
//!   out, everything in that session gets TERM, and KILL five seconds later.

mod bash;
mod environment;
mod errors;
mod exec;
mod fs;
mod git;
mod host_info;
mod paths;
mod process;
mod work;

pub use environment::{Environment, EnvironmentError, EnvironmentOptions, SessionPlace};
pub use host_info::{HostInfo, host_info};

use alkhub_operations::Operation;

/// Every operation of the environment, ready to be registered and offered.
///
/// The processes that `process.start` began end with the last clone of `environment`, the ones inside
/// these operations included.
#[must_use]
pub fn operations(environment: Environment) -> Vec<Operation> {
    let mut all = fs::operations(&environment);
    all.extend(bash::operations(&environment));
    all.extend(process::operations(&environment));
    all.extend(git::operations(&environment));
    all
}
