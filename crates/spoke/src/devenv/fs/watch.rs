//! `fs.watch`

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use alkhub_operations::{CallError, Context, Operation, OperationType, operation};
use futures::stream::{self, Stream, StreamExt};
use globset::GlobMatcher;
use notify::event::{ModifyKind, RenameMode};
use notify::{Config, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::walk::is_temporary;
use crate::devenv::environment::Environment;
use crate::devenv::errors::{Declare, DevError, PATHS, WATCH_FAILED};
use crate::devenv::paths::filter_glob;
use crate::devenv::work::Work;

/// Changes that wait for a slow reader; what comes on top is replaced by one `overflow`.
const QUEUE: usize = 1_024;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Input {
    /// The directory, with all that is in it, or one file.
    #[schemars(length(min = 1, max = 4096))]
    path: String,
    /// Only paths that match; without a slash it is matched against names at any depth.
    #[schemars(length(min = 1, max = 1000))]
    glob: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Change {
    /// What changed, as other operations take it.
    path: String,
    /// How it changed.
    kind: ChangeKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum ChangeKind {
    /// It is new, or was moved here.
    Created,
    /// Its content or its properties changed.
    Modified,
    /// It is gone, or was moved away.
    Removed,
    /// Changes were lost: look at everything under the path anew.
    Overflow,
}

pub(super) fn define(environment: &Environment) -> Operation {
    let environment = environment.clone();
    operation::<Input, Change>("fs.watch", OperationType::Subscription)
        .title("Watch a directory")
        .description(
            "Tells changes below a path until it is stopped. Repositories' own directories are left \
             out unless the path lies in one.",
        )
        .tags(&["files"])
        .fails_with(&[PATHS, &[WATCH_FAILED]])
        .stream(move |ctx, input| {
            let environment = environment.clone();
            stream::once(start(environment, ctx, input)).flat_map(|started| match started {
                Ok(changes) => changes.map(Ok).left_stream(),
                Err(error) => stream::once(async { Err(error) }).right_stream(),
            })
        })
}

/// Sets the watch up, on a thread where it may wait: large trees take a while.
async fn start(
    environment: Environment,
    ctx: Context,
    input: Input,
) -> Result<impl Stream<Item = Change>, CallError> {
    let task = move || {
        let work = Work::new(&environment, &ctx)?;
        let located = work.locate(&input.path)?;
        let start = located.absolute();
        let filter = Filter {
            wanted: filter_glob(input.glob.as_deref())?,
            inside_git: in_git(&start),
            start: start.clone(),
            work,
        };
        let (sender, receiver) = mpsc::channel(QUEUE);
        let lost = Arc::new(AtomicBool::new(false));
        let watcher = watcher(filter.clone(), sender, lost.clone())
            .and_then(|mut watcher| {
                watcher.watch(&start, RecursiveMode::Recursive)?;
                Ok(watcher)
            })
            .map_err(|error| failed(&filter, error))?;
        Ok::<_, CallError>(Watching {
            _watcher: watcher,
            receiver,
            lost,
            filter,
        })
    };
    let watching = tokio::task::spawn_blocking(task)
        .await
        .map_err(|error| CallError::internal(&error))??;
    // Dropping the stream drops the watcher with it.
    Ok(stream::unfold(watching, |mut watching| async {
        let change = watching.next().await?;
        Some((change, watching))
    }))
}

struct Watching {
    _watcher: RecommendedWatcher,
    receiver: mpsc::Receiver<Change>,
    lost: Arc<AtomicBool>,
    filter: Filter,
}

impl Watching {
    async fn next(&mut self) -> Option<Change> {
        // What was queued before the loss is told first.
        if self.receiver.is_empty() && self.lost.swap(false, Ordering::AcqRel) {
            return Some(Change {
                path: self.filter.work.shown(&self.filter.start),
                kind: ChangeKind::Overflow,
            });
        }
        self.receiver.recv().await
    }
}

fn watcher(
    filter: Filter,
    sender: mpsc::Sender<Change>,
    lost: Arc<AtomicBool>,
) -> notify::Result<RecommendedWatcher> {
    let handle = move |event: notify::Result<notify::Event>| {
        let event = match event {
            Ok(event) if !event.need_rescan() => event,
            // The system's own queue ran over, or the backend does not know what happened.
            Ok(_) => {
                lost.store(true, Ordering::Release);
                return;
            }
            Err(error) => {
                tracing::debug!(%error, "a watch failed in part");
                return;
            }
        };
        for (path, kind) in changes(&event) {
            let Some(change) = filter.change(path, kind) else {
                continue;
            };
            if sender.try_send(change).is_err() {
                lost.store(true, Ordering::Release);
            }
        }
    };
    let config = Config::default().with_follow_symlinks(false);
    RecommendedWatcher::new(handle, config)
}

/// The changes one event of the system stands for.
fn changes(event: &notify::Event) -> Vec<(&PathBuf, ChangeKind)> {
    let all = |kind| event.paths.iter().map(move |path| (path, kind)).collect();
    match event.kind {
        EventKind::Create(_) | EventKind::Modify(ModifyKind::Name(RenameMode::To)) => {
            all(ChangeKind::Created)
        }
        EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(RenameMode::From)) => {
            all(ChangeKind::Removed)
        }
        // Its two halves have been told by events of their own.
        EventKind::Modify(ModifyKind::Name(RenameMode::Both)) => Vec::new(),
        EventKind::Modify(ModifyKind::Name(_)) => event
            .paths
            .iter()
            .map(|path| {
                let here = path.symlink_metadata().is_ok();
                let kind = if here {
                    ChangeKind::Created
                } else {
                    ChangeKind::Removed
                };
                (path, kind)
            })
            .collect(),
        EventKind::Modify(_) | EventKind::Any => all(ChangeKind::Modified),
        EventKind::Access(_) | EventKind::Other => Vec::new(),
    }
}

#[derive(Clone)]
struct Filter {
    work: Work,
    start: PathBuf,
    wanted: Option<GlobMatcher>,
    inside_git: bool,
}

impl Filter {
    fn change(&self, path: &Path, kind: ChangeKind) -> Option<Change> {
        let below = path.strip_prefix(&self.start).ok()?;
        let left_out = path.file_name().is_some_and(is_temporary)
            || (!self.inside_git && in_git(below))
            || self.work.environment.bounds().denies(path)
            || self
                .wanted
                .as_ref()
                .is_some_and(|glob| !glob.is_match(below));
        (!left_out).then(|| Change {
            path: self.work.shown(path),
            kind,
        })
    }
}

fn in_git(path: &Path) -> bool {
    path.components()
        .any(|component| component.as_os_str() == ".git")
}

fn failed(filter: &Filter, error: notify::Error) -> DevError {
    let path = filter.work.shown(&filter.start);
    match error.kind {
        notify::ErrorKind::PathNotFound => DevError::FileNotFound { path },
        notify::ErrorKind::Io(source) => match DevError::of_io(path.clone(), source) {
            DevError::Io { source, .. } => {
                DevError::other(WATCH_FAILED, format!("{path} cannot be watched: {source}"))
            }
            told => told,
        },
        other => DevError::other(
            WATCH_FAILED,
            format!("{path} cannot be watched: {}", notify::Error::new(other)),
        ),
    }
}
