//! A directory of its own for each test, and the operations over it in a registry.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use alkhub_operations::{CallError, Caller, Context, EnvelopeStream, Registry, RequestId};
use alkhub_spoke::devenv::{Environment, EnvironmentOptions, operations};
use futures::StreamExt;
use serde_json::{Value, json};
use tempfile::TempDir;

/// The environment under test. `project` is its root; what lies beside it is outside.
pub(crate) struct Machine {
    pub(crate) environment: Environment,
    pub(crate) registry: Arc<Registry>,
    directory: TempDir,
}

impl Machine {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    /// With other options than the default ones.
    pub(crate) fn with(change: impl FnOnce(&mut EnvironmentOptions)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let project = directory.path().join("project");
        fs::create_dir(&project).unwrap();
        let mut options = EnvironmentOptions::new([project]);
        change(&mut options);
        let environment = Environment::open(options).unwrap();
        let registry = Registry::new();
        registry
            .register_all(operations(environment.clone()))
            .unwrap();
        Self {
            environment,
            registry: Arc::new(registry),
            directory,
        }
    }

    /// The real path of the root.
    pub(crate) fn root(&self) -> PathBuf {
        self.environment.roots().next().unwrap().to_owned()
    }

    /// The real path of the directory the root lies in.
    pub(crate) fn outside(&self) -> PathBuf {
        self.directory.path().canonicalize().unwrap()
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.root().join(relative)
    }

    /// Puts a file under the root.
    pub(crate) fn put(&self, relative: &str, content: impl AsRef<[u8]>) {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn text(&self, relative: &str) -> String {
        fs::read_to_string(self.path(relative)).unwrap()
    }

    /// The data of a call that succeeds.
    pub(crate) async fn call(&self, id: &str, input: Value) -> Value {
        self.try_call(id, input, context())
            .await
            .unwrap_or_else(|error| panic!("{id}: {error} {:?}", error.details))
    }

    /// The error of a call that fails.
    pub(crate) async fn fail(&self, id: &str, input: Value) -> CallError {
        match self.try_call(id, input, context()).await {
            Ok(data) => panic!("{id} succeeded: {data}"),
            Err(error) => error,
        }
    }

    pub(crate) async fn try_call(
        &self,
        id: &str,
        input: Value,
        ctx: Context,
    ) -> Result<Value, CallError> {
        let answer = self.registry.execute(id, input, ctx).await?;
        Ok(answer.data)
    }

    pub(crate) fn subscribe(&self, id: &str, input: Value, ctx: Context) -> EnvelopeStream {
        self.registry.subscribe(id, input, ctx).unwrap()
    }

    /// All items of a subscription that ends well.
    pub(crate) async fn items(&self, id: &str, input: Value) -> Vec<Value> {
        self.subscribe(id, input, context())
            .map(|item| item.unwrap().data)
            .collect()
            .await
    }

    /// The first error of a subscription.
    pub(crate) async fn fail_stream(&self, id: &str, input: Value) -> CallError {
        let mut items = self.subscribe(id, input, context());
        items.next().await.unwrap().unwrap_err()
    }
}

pub(crate) fn context() -> Context {
    Context::new(RequestId::random(), Caller::Anonymous)
}

/// The context of a call that the hub makes for a session in a worktree.
pub(crate) fn context_of_session(worktree: &Path, branch: &str) -> Context {
    let session = json!({ "id": "ses_1", "worktree": worktree, "branch": branch });
    let metadata = json!({ "alkhub.session": session });
    let Value::Object(metadata) = metadata else {
        unreachable!()
    };
    context().with_metadata(metadata)
}

/// Code and status, which are declared together.
pub(crate) fn told(error: &CallError) -> (&str, u16) {
    (error.code.as_str(), error.http_status())
}

/// Waits until something is so, and fails when it is not in time.
pub(crate) async fn eventually(within: Duration, mut so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !so() {
        assert!(begin.elapsed() < within, "not so after {within:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// True while a process runs; one that has ended and not been waited for does not.
pub(crate) fn runs(pid: i32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    !stat
        .rsplit_once(')')
        .unwrap()
        .1
        .trim_start()
        .starts_with(['Z', 'X'])
}

/// The process ids that a command has written, one a line, once there are `count` of them.
pub(crate) async fn pids(path: &Path, count: usize) -> Vec<i32> {
    let read = || -> Vec<i32> {
        let text = fs::read_to_string(path).unwrap_or_default();
        let whole = text
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n'));
        whole.map(|line| line.trim().parse().unwrap()).collect()
    };
    eventually(Duration::from_secs(5), || read().len() == count).await;
    read()
}
