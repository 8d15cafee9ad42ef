//! Watching the tasks of a project.

use alkhub_operations::{CallError, Context, ErrorCode, Operation, OperationType, operation};
use alkhub_storage::ids::{ProjectId, TaskId};
use alkhub_storage::tasks as queries;
use futures::Stream;
use futures::stream;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::view::TaskView;
use super::visible_project;
use crate::error::HubError;
use crate::events::{TaskChange, TaskEvent};
use crate::state::{Call, call_of};

/// Tasks one watcher may name.
const MAX_IDS: usize = 500;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        operation::<TaskWatch, TaskChanged>("task.watch", OperationType::Subscription)
            .description("Tells each change of a project's tasks as it happens, from now on.")
            .scopes(&["task:read"])
            .resource("project", "read")
            .stream(watch),
    ]
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TaskWatch {
    /// Project whose tasks are watched.
    project_id: String,
    /// Only these tasks.
    #[schemars(length(max = MAX_IDS))]
    ids: Option<Vec<String>>,
}

/// One change.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct TaskChanged {
    /// Id of the task; null when many changed at once.
    task_id: Option<TaskId>,
    /// The task as it is now, without its body; null when it is gone, or when many changed at once.
    task: Option<TaskView>,
    /// What happened.
    change: TaskChange,
}

enum Watching {
    /// Nothing was looked at yet.
    Asked(Box<(Context, TaskWatch)>),
    Running(Box<Running>),
    Over,
}

struct Running {
    call: Call,
    project: ProjectId,
    ids: Option<Vec<TaskId>>,
    events: Receiver<TaskEvent>,
}

fn watch(
    context: Context,
    input: TaskWatch,
) -> impl Stream<Item = Result<TaskChanged, CallError>> + Send + 'static {
    stream::unfold(
        Watching::Asked(Box::new((context, input))),
        |watching| async {
            let mut running = match watching {
                Watching::Asked(asked) => match begin(asked.0, asked.1).await {
                    Ok(running) => Box::new(running),
                    Err(error) => return Some((Err(error.into()), Watching::Over)),
                },
                Watching::Running(running) => running,
                Watching::Over => return None,
            };
            match running.next().await {
                Some(Ok(changed)) => Some((Ok(changed), Watching::Running(running))),
                Some(Err(error)) => Some((Err(error.into()), Watching::Over)),
                None => None,
            }
        },
    )
}

async fn begin(context: Context, input: TaskWatch) -> Result<Running, HubError> {
    let call = call_of(context)?;
    // Listening begins before the look at the project, so that nothing falls in between.
    let events = call.state().events.tasks();
    let project =
        visible_project(call.database().reader(), &call.scope()?, &input.project_id).await?;
    let ids = input
        .ids
        .map(|ids| ids.into_iter().map(TaskId::from).collect());
    Ok(Running {
        project: project.id,
        ids,
        events,
        call,
    })
}

impl Running {
    async fn next(&mut self) -> Option<Result<TaskChanged, HubError>> {
        loop {
            match self.events.recv().await {
                Ok(event) if self.watches(&event) => return Some(self.read(event).await),
                Ok(_of_others) => {}
                Err(RecvError::Lagged(missed)) => return Some(Err(too_slow(missed).into())),
                Err(RecvError::Closed) => return None,
            }
        }
    }

    fn watches(&self, event: &TaskEvent) -> bool {
        event.project == self.project
            && match (&self.ids, &event.task) {
                (Some(ids), Some(task)) => ids.contains(task),
                _ => true,
            }
    }

    /// Reads the row with the watcher's own rights, as they are now.
    async fn read(&self, event: TaskEvent) -> Result<TaskChanged, HubError> {
        let task = match &event.task {
            Some(id) if event.change != TaskChange::Deleted => {
                let scope = self.call.scope()?;
                queries::task_by_id(self.call.database().reader(), &scope, id).await?
            }
            _ => None,
        };
        Ok(TaskChanged {
            task_id: event.task,
            task: task.as_ref().map(TaskView::brief),
            change: event.change,
        })
    }
}

fn too_slow(missed: u64) -> CallError {
    CallError::new(
        ErrorCode::ABORTED,
        "the watcher read too slowly; read the list and watch again",
    )
    .with_details(json!({ "by": "hub", "reason": "slow_consumer", "missed": missed }))
}
