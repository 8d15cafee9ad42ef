//! What callers see of tasks, their dependencies and their mappings.

use alkhub_storage::enums::{
    MappingStatus, TaskImpact, TaskLevel, TaskPriority, TaskRisk, TaskScope, TaskStatus,
};
use alkhub_storage::ids::{
    MappingId, ProjectId, SessionId, SpokeId, TaskDependencyId, TaskId, WorkspaceId,
};
use alkhub_storage::time::format as to_wire;
use alkhub_storage::{Mapping, Task, TaskDependency};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

/// Part of the quality of a prerequisite that survives, when an edge does not say.
pub(super) const DEFAULT_RETENTION: f64 = alkhub_taskgraph::DEFAULT_QUALITY_RETENTION;

/// A task.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Task")]
pub(crate) struct TaskView {
    /// Id of the task.
    pub(super) id: TaskId,
    /// Its project.
    pub(super) project_id: ProjectId,
    /// Short name, unique in the project; the id of the task in files.
    pub(super) slug: String,
    /// Shown name.
    pub(super) name: String,
    /// Path of its file without extension, relative to the root of the task directory.
    pub(super) path: Option<String>,
    /// Where the work stands.
    pub(super) status: TaskStatus,
    /// How much it touches; null = not assessed.
    pub(super) scope: Option<TaskScope>,
    /// How likely it is to fail; null = not assessed.
    pub(super) risk: Option<TaskRisk>,
    /// How far a failure reaches; null = not assessed.
    pub(super) impact: Option<TaskImpact>,
    /// Kind of work.
    pub(super) level: Option<TaskLevel>,
    /// How soon it is wanted.
    pub(super) priority: Option<TaskPriority>,
    /// Labels.
    pub(super) tags: Vec<String>,
    /// Who does it: an account id, an e-mail address or a role name.
    pub(super) assignee: Option<String>,
    /// When it is due.
    pub(super) due_at: Option<String>,
    /// Markdown, notes included. Lists leave it out, and `task.get` unless asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) body: Option<Option<String>>,
    /// When its file says it was written.
    pub(super) file_created_at: Option<String>,
    /// When its file says it was changed.
    pub(super) file_modified_at: Option<String>,
    /// When work began for the first time.
    pub(super) started_at: Option<String>,
    /// When it was completed.
    pub(super) completed_at: Option<String>,
    /// Notes about the row, those of the hub among them.
    pub(super) metadata: Map<String, Value>,
    /// When the row was made.
    pub(super) created_at: String,
    /// When it was last changed.
    pub(super) updated_at: String,
}

impl TaskView {
    /// The task without its body.
    pub(super) fn brief(row: &Task) -> Self {
        Self {
            id: row.id.clone(),
            project_id: row.project_id.clone(),
            slug: row.slug.clone(),
            name: row.name.clone(),
            path: row.path.clone(),
            status: row.status,
            scope: row.scope,
            risk: row.risk,
            impact: row.impact,
            level: row.level,
            priority: row.priority,
            tags: row.tags.to_vec(),
            assignee: row.assignee.clone(),
            due_at: row.due_at.map(to_wire),
            body: None,
            file_created_at: row.file_created_at.map(to_wire),
            file_modified_at: row.file_modified_at.map(to_wire),
            started_at: row.started_at.map(to_wire),
            completed_at: row.completed_at.map(to_wire),
            metadata: row.metadata.0.clone(),
            created_at: to_wire(row.created_at),
            updated_at: to_wire(row.updated_at),
        }
    }

    /// The task with its body.
    pub(super) fn whole(row: &Task) -> Self {
        Self {
            body: Some(row.body.clone()),
            ..Self::brief(row)
        }
    }
}

/// A task named by another one.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct TaskRef {
    /// Id of the task.
    pub(super) id: TaskId,
    /// Its slug.
    pub(super) slug: String,
    /// Its name.
    pub(super) name: String,
    /// Where the work stands.
    pub(super) status: TaskStatus,
}

impl From<&Task> for TaskRef {
    fn from(row: &Task) -> Self {
        Self {
            id: row.id.clone(),
            slug: row.slug.clone(),
            name: row.name.clone(),
            status: row.status,
        }
    }
}

/// One end of a dependency, seen from the other.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Neighbour {
    /// Id of the task.
    pub(super) id: TaskId,
    /// Its slug.
    pub(super) slug: String,
    /// Its name.
    pub(super) name: String,
    /// Where the work stands.
    pub(super) status: TaskStatus,
    /// Part of the quality of the prerequisite that survives, 0 to 1.
    pub(super) quality_retention: f64,
}

/// A dependency: `task` needs `dependsOn` first.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "TaskDependency")]
pub(super) struct DependencyView {
    /// Id of the dependency.
    pub(super) id: TaskDependencyId,
    /// Id of the dependent.
    pub(super) task_id: TaskId,
    /// Id of the prerequisite.
    pub(super) depends_on_id: TaskId,
    /// The dependent.
    pub(super) task: TaskRef,
    /// The prerequisite.
    pub(super) depends_on: TaskRef,
    /// Part of the quality of the prerequisite that survives, 0 to 1.
    pub(super) quality_retention: f64,
    /// Notes about the row.
    pub(super) metadata: Map<String, Value>,
    /// When the row was made.
    pub(super) created_at: String,
    /// When it was last changed.
    pub(super) updated_at: String,
}

impl DependencyView {
    pub(super) fn new(edge: &TaskDependency, task: &Task, depends_on: &Task) -> Self {
        Self {
            id: edge.id.clone(),
            task_id: task.id.clone(),
            depends_on_id: depends_on.id.clone(),
            task: task.into(),
            depends_on: depends_on.into(),
            quality_retention: edge.quality_retention.unwrap_or(DEFAULT_RETENTION),
            metadata: edge.metadata.0.clone(),
            created_at: to_wire(edge.created_at),
            updated_at: to_wire(edge.updated_at),
        }
    }
}

/// A session that works, or worked, on a task.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Mapping")]
pub(super) struct MappingView {
    /// Id of the mapping.
    pub(super) id: MappingId,
    /// The session.
    pub(super) session_id: SessionId,
    /// Where it runs; null = in the hub, or the spoke is gone.
    pub(super) spoke_id: Option<SpokeId>,
    /// In which workspace.
    pub(super) workspace_id: Option<WorkspaceId>,
    /// The session of the coordinator.
    pub(super) parent_session_id: Option<SessionId>,
    /// The task; null when it is gone.
    pub(super) task_id: Option<TaskId>,
    /// Slug of the task when the mapping was made.
    pub(super) task: Option<String>,
    /// How the try stands.
    pub(super) status: MappingStatus,
    /// Notes about the row.
    pub(super) metadata: Map<String, Value>,
    /// When the row was made.
    pub(super) created_at: String,
    /// When it was last changed.
    pub(super) updated_at: String,
}

impl From<&Mapping> for MappingView {
    fn from(row: &Mapping) -> Self {
        Self {
            id: row.id.clone(),
            session_id: row.session_id.clone(),
            spoke_id: row.spoke_id.clone(),
            workspace_id: row.workspace_id.clone(),
            parent_session_id: row.parent_session_id.clone(),
            task_id: row.task_id.clone(),
            task: row.task_slug.clone(),
            status: row.status,
            metadata: row.metadata.0.clone(),
            created_at: to_wire(row.created_at),
            updated_at: to_wire(row.updated_at),
        }
    }
}
