//! What every operation starts from: the environment, where the caller's paths begin, and whether
//! somebody still waits.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use alkhub_operations::{AbortBy, CallError, Context, Operation, OperationBuilder, RequestId};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::environment::{Environment, SessionPlace};
use super::errors::DevError;
use super::paths::Located;

/// One call's view of the environment.
#[derive(Clone)]
pub(super) struct Work {
    pub(super) environment: Environment,
    /// Real directory where relative paths begin.
    pub(super) base: PathBuf,
    pub(super) session: Option<SessionPlace>,
    cancellation: CancellationToken,
    request: RequestId,
}

impl Work {
    pub(super) fn new(environment: &Environment, ctx: &Context) -> Result<Self, CallError> {
        let session = environment.session_of(ctx)?;
        Ok(Self {
            base: environment.base_of(session.as_ref())?,
            environment: environment.clone(),
            session,
            cancellation: ctx.cancellation().clone(),
            request: ctx.request_id().clone(),
        })
    }

    /// See [`super::paths::Roots::locate`].
    pub(super) fn locate(&self, path: &str) -> Result<Located, DevError> {
        self.environment.bounds().locate(&self.base, path)
    }

    /// See [`super::paths::Roots::locate_entry`].
    pub(super) fn locate_entry(&self, path: &str) -> Result<Located, DevError> {
        self.environment.bounds().locate_entry(&self.base, path)
    }

    /// The directory a command runs in: the one that is asked for, else where paths begin.
    pub(super) fn directory(&self, workdir: Option<&str>) -> Result<PathBuf, DevError> {
        let Some(workdir) = workdir else {
            return Ok(self.base.clone());
        };
        let located = self.locate(workdir)?;
        located.require_directory()?;
        Ok(located.absolute())
    }

    /// The environment of a command of this session.
    pub(super) fn variables(&self) -> Vec<(OsString, OsString)> {
        let mut variables = self.environment.variables().to_vec();
        if let Some(session) = &self.session {
            variables.push(("ALKHUB_SESSION_ID".into(), session.id.clone().into()));
            if session.worktree.is_some() {
                variables.push((
                    "ALKHUB_WORKTREE_PATH".into(),
                    self.base.clone().into_os_string(),
                ));
            }
            if let Some(branch) = &session.branch {
                variables.push(("ALKHUB_WORKTREE_BRANCH".into(), branch.clone().into()));
            }
        }
        variables
    }

    /// Fails once nobody waits for the result any more; long loops ask it again and again.
    pub(super) fn still_wanted(&self) -> Result<(), CallError> {
        if self.cancellation.is_cancelled() {
            Err(CallError::aborted(&self.request, AbortBy::Caller))
        } else {
            Ok(())
        }
    }

    /// `path` as the caller may give it back.
    pub(super) fn shown(&self, path: &Path) -> String {
        super::paths::shown_from(path, &self.base)
    }
}

/// Finishes an operation with a function that reads and writes files, on a thread where it may wait.
pub(super) fn blocking<I, O>(
    builder: OperationBuilder<I, O>,
    environment: &Environment,
    run: fn(&Work, I) -> Result<O, CallError>,
) -> Operation
where
    I: DeserializeOwned + JsonSchema + Send + 'static,
    O: Serialize + JsonSchema + Send + 'static,
{
    let environment = environment.clone();
    builder.handler(move |ctx, input| {
        let environment = environment.clone();
        async move {
            // Locating the worktree asks the file system too, so it belongs on that thread.
            let task = move || run(&Work::new(&environment, &ctx)?, input);
            tokio::task::spawn_blocking(task)
                .await
                .map_err(|error| CallError::internal(&error))?
        }
    })
}
