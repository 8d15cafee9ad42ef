//! What changed, told inside this process to whoever watches.
//!
//! An event leaves after the commit of what it tells, never before: nobody hears of what was rolled
//! back. It names rows, it does not carry them; a watcher reads them with its own rights.

use alkhub_storage::entity::spokes::Model as Spoke;
use alkhub_storage::ids::{ProjectId, TaskId};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::broadcast;

use crate::providers::Owner;
use crate::spokes::{SpokeChange, SpokeEvent};

/// Events a watcher may be behind before it is cut off.
const HELD: usize = 10_000;

/// Something that happened to the tasks of a project.
#[derive(Debug, Clone)]
pub(crate) struct TaskEvent {
    pub(crate) project: ProjectId,
    /// The one task, or none when many changed at once.
    pub(crate) task: Option<TaskId>,
    pub(crate) change: TaskChange,
}

/// What happened to a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum TaskChange {
    /// It is new.
    Created,
    /// Its authored fields, its notes or its assignee changed.
    Updated,
    /// Its status moved.
    StatusChanged,
    /// It is gone.
    Deleted,
    /// What it depends on changed.
    DependenciesChanged,
    /// An import or a sync changed tasks of the project.
    Imported,
}

/// The bus of this process.
pub(crate) struct Events {
    tasks: broadcast::Sender<TaskEvent>,
    spokes: broadcast::Sender<SpokeEvent>,
}

impl Events {
    pub(crate) fn new() -> Self {
        Self {
            tasks: broadcast::Sender::new(HELD),
            spokes: broadcast::Sender::new(HELD),
        }
    }

    /// Tells watchers; call it after the commit.
    pub(crate) fn task(&self, project: &ProjectId, task: Option<&TaskId>, change: TaskChange) {
        let event = TaskEvent {
            project: project.clone(),
            task: task.cloned(),
            change,
        };
        // Without a watcher there is nobody to tell.
        let _nobody = self.tasks.send(event);
    }

    /// Tells watchers of a spoke; call it after the commit.
    pub(crate) fn spoke(&self, row: &Spoke, owner: &Owner, change: SpokeChange) {
        let event = SpokeEvent {
            spoke: row.id.clone(),
            name: row.name.clone(),
            owner: owner.clone(),
            change,
        };
        let _nobody = self.spokes.send(event);
    }

    /// Events of spokes from now on.
    pub(crate) fn spokes(&self) -> broadcast::Receiver<SpokeEvent> {
        self.spokes.subscribe()
    }

    /// Events from now on.
    pub(crate) fn tasks(&self) -> broadcast::Receiver<TaskEvent> {
        self.tasks.subscribe()
    }
}
