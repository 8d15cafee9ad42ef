//! What the operations work on: the roots, the settings, and the processes that outlive a call.

use std::collections::hash_map::DefaultHasher;
use std::ffi::OsString;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alkhub_operations::{CallError, Context};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::errors::DevError;
use super::exec::GRACE;
use super::paths::Roots;
use super::process::Processes;

/// The member of a call's metadata in which the hub names the caller's session and its worktree.
const SESSION_KEY: &str = "alkhub.session";
const FALLBACK_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Writers of one file wait for each other; of two files, only when they share one of these locks.
const WRITE_LOCKS: usize = 32;

/// How an environment is set up; the settings of the spoke's file.
#[derive(Debug, Clone)]
pub struct EnvironmentOptions {
    /// The directories nothing may leave. At least one; relative paths begin at the first.
    pub roots: Vec<PathBuf>,
    /// The shell that runs commands as `SHELL -c COMMAND`; without it bash, else sh.
    pub shell: Option<PathBuf>,
    /// Patterns, relative to a root, of what the operations on files may not touch. A pattern that
    /// matches a directory closes all that is in it.
    pub deny: Vec<String>,
    /// Most shell commands and processes at once.
    pub max_processes: usize,
    /// Variables of the spoke's own environment that commands get; all others are withheld.
    pub env_pass: Vec<String>,
    /// What the branch of a worktree begins with when no branch is named.
    pub branch_prefix: String,
    /// The session all calls belong to, for a spoke that serves one; a call may name its own.
    pub session: Option<SessionPlace>,
}

/// A session and where it works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionPlace {
    /// Id of the session.
    pub id: String,
    /// Its worktree, from which its relative paths begin.
    #[serde(default)]
    pub worktree: Option<PathBuf>,
    /// The branch of that worktree.
    #[serde(default)]
    pub branch: Option<String>,
}

/// Why an environment cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    /// No root was given.
    #[error("at least one root directory is needed")]
    NoRoot,
    /// A root is absent or cannot be read.
    #[error("root {} cannot be used", .path.display())]
    Root {
        /// The root as given.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A root is no directory.
    #[error("root {} is no directory", .0.display())]
    NotADirectory(PathBuf),
    /// A deny pattern is malformed.
    #[error("deny pattern {pattern:?} is malformed")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        source: globset::Error,
    },
    /// The shell is no file.
    #[error("shell {} does not exist", .0.display())]
    Shell(PathBuf),
    /// There is no room for any process.
    #[error("maxProcesses must be at least 1")]
    NoProcesses,
    /// Commands need an asynchronous runtime.
    #[error("an environment is opened inside a tokio runtime")]
    NoRuntime,
}

/// A developer's machine as the operations see it. Cheap to clone; processes started through it end
/// with its last clone.
#[derive(Clone)]
pub struct Environment {
    inner: Arc<Inner>,
}

struct Inner {
    roots: Roots,
    shell: PathBuf,
    variables: Vec<(OsString, OsString)>,
    branch_prefix: String,
    session: Option<SessionPlace>,
    permits: Arc<Semaphore>,
    most_processes: usize,
    processes: Processes,
    write_locks: Vec<Mutex<()>>,
    worktrees: tokio::sync::Mutex<()>,
    runtime: tokio::runtime::Handle,
}

impl EnvironmentOptions {
    /// The defaults, for these roots.
    #[must_use]
    pub fn new(roots: impl IntoIterator<Item = PathBuf>) -> Self {
        Self {
            roots: roots.into_iter().collect(),
            ..Self::default()
        }
    }
}

impl Default for EnvironmentOptions {
    fn default() -> Self {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Self {
            roots: Vec::new(),
            shell: None,
            deny: owned(&[".git/config", "**/.env", "**/*.pem", "**/id_*"]),
            max_processes: 32,
            env_pass: owned(&["PATH", "HOME", "LANG", "TERM", "USER"]),
            branch_prefix: "wt/".to_owned(),
            session: None,
        }
    }
}

impl Environment {
    /// Checks the options and makes the environment.
    ///
    /// # Errors
    /// [`EnvironmentError`], which names the option that cannot be used.
    pub fn open(options: EnvironmentOptions) -> Result<Self, EnvironmentError> {
        if options.max_processes == 0 {
            return Err(EnvironmentError::NoProcesses);
        }
        let runtime = tokio::runtime::Handle::try_current()
            .map_err(|_not_inside| EnvironmentError::NoRuntime)?;
        let roots = Roots::open(&options.roots, &options.deny)?;
        let inner = Inner {
            roots,
            shell: shell(options.shell)?,
            variables: passed_variables(&options.env_pass),
            branch_prefix: options.branch_prefix,
            session: options.session,
            permits: Arc::new(Semaphore::new(
                options.max_processes.min(Semaphore::MAX_PERMITS),
            )),
            most_processes: options.max_processes,
            processes: Processes::default(),
            write_locks: (0..WRITE_LOCKS).map(|_| Mutex::new(())).collect(),
            worktrees: tokio::sync::Mutex::new(()),
            runtime,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Ends every process that `process.start` began, and waits for it and for the commands of calls
    /// that have ended already; at most about seven seconds.
    pub async fn shutdown(&self) {
        self.inner.processes.stop_all().await;
        let all = u32::try_from(self.inner.most_processes).unwrap_or(u32::MAX);
        let gone = self.inner.permits.acquire_many(all);
        if tokio::time::timeout(GRACE + Duration::from_secs(2), gone)
            .await
            .is_err()
        {
            tracing::warn!("commands still run");
        }
    }

    /// The real paths of the roots, in the order they were given.
    pub fn roots(&self) -> impl Iterator<Item = &Path> {
        self.inner.roots.real_paths()
    }

    pub(super) fn bounds(&self) -> &Roots {
        &self.inner.roots
    }

    pub(super) fn shell(&self) -> &Path {
        &self.inner.shell
    }

    pub(super) fn branch_prefix(&self) -> &str {
        &self.inner.branch_prefix
    }

    pub(super) fn processes(&self) -> &Processes {
        &self.inner.processes
    }

    pub(super) fn permits(&self) -> &Arc<Semaphore> {
        &self.inner.permits
    }

    pub(super) fn most_processes(&self) -> usize {
        self.inner.most_processes
    }

    pub(super) fn runtime(&self) -> &tokio::runtime::Handle {
        &self.inner.runtime
    }

    /// Held while worktrees are made or removed, so that a check and what follows it are one step.
    pub(super) async fn worktree_lock(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.inner.worktrees.lock().await
    }

    /// Held while a file is read, compared and replaced.
    pub(super) fn write_lock(&self, path: &Path) -> MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        path.hash(&mut hasher);
        let count = self.inner.write_locks.len() as u64;
        let index = usize::try_from(hasher.finish() % count).unwrap_or(0);
        // It guards no data of its own.
        self.inner.write_locks[index]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// What commands get of the spoke's own environment.
    pub(super) fn variables(&self) -> &[(OsString, OsString)] {
        &self.inner.variables
    }

    /// The session a call belongs to: the one the hub names, else the spoke's own.
    pub(super) fn session_of(&self, ctx: &Context) -> Result<Option<SessionPlace>, CallError> {
        match ctx.metadata().get(SESSION_KEY) {
            None => Ok(self.inner.session.clone()),
            Some(named) => serde_json::from_value(named.clone())
                .map(Some)
                .map_err(|error| {
                    let message = format!("metadata {SESSION_KEY} does not read: {error}");
                    CallError::validation_rule("metadata", message)
                }),
        }
    }

    /// Where the relative paths of a session begin: a real directory under a root.
    pub(super) fn base_of(&self, session: Option<&SessionPlace>) -> Result<PathBuf, DevError> {
        let first = self.inner.roots.first();
        let Some(worktree) = session.and_then(|session| session.worktree.as_deref()) else {
            return Ok(first.to_owned());
        };
        let located = self
            .inner
            .roots
            .locate(first, &worktree.to_string_lossy())?;
        located.require_directory()?;
        Ok(located.absolute())
    }
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Environment")
            .field("roots", &self.roots().collect::<Vec<_>>())
            .field("shell", &self.inner.shell)
            .finish_non_exhaustive()
    }
}

fn shell(chosen: Option<PathBuf>) -> Result<PathBuf, EnvironmentError> {
    if let Some(shell) = chosen {
        return if shell.is_file() {
            Ok(shell)
        } else {
            Err(EnvironmentError::Shell(shell))
        };
    }
    [
        "/bin/bash",
        "/usr/bin/bash",
        "/usr/local/bin/bash",
        "/bin/sh",
    ]
    .iter()
    .map(PathBuf::from)
    .find(|shell| shell.is_file())
    .ok_or_else(|| EnvironmentError::Shell(PathBuf::from("/bin/sh")))
}

fn passed_variables(names: &[String]) -> Vec<(OsString, OsString)> {
    let mut passed: Vec<(OsString, OsString)> = names
        .iter()
        .filter_map(|name| Some((OsString::from(name), std::env::var_os(name)?)))
        .collect();
    if passed.iter().all(|(name, _)| name != "PATH") {
        passed.push(("PATH".into(), FALLBACK_PATH.into()));
    }
    passed
}
