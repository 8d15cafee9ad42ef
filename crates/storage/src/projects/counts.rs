//! Numbers of what belongs to a project.

use sea_orm::{ConnectionTrait, FromQueryResult};

use crate::engine::Engine;
use crate::enums::{CallStatus, SessionStatus, TaskStatus};
use crate::error::StorageError;
use crate::ids::{ProjectId, WorkspaceId};
use crate::time::DateTimeUtc;
use crate::{row, sql};

/// Rows that belong to a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProjectCounts {
    /// Workspaces; go with the project.
    pub workspaces: u64,
    /// Sessions; go with the project.
    pub sessions: u64,
    /// Tasks; go with the project.
    pub tasks: u64,
    /// Spokes; stay, unbound.
    pub spokes: u64,
}

/// What goes on in a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectStats {
    /// Tasks by status.
    pub tasks: Vec<(TaskStatus, u64)>,
    /// Sessions by status.
    pub sessions: Vec<(SessionStatus, u64)>,
    /// Calls about the project since the moment asked for, by status.
    pub calls: Vec<(CallStatus, u64)>,
    /// Open detections in its sessions.
    pub open_detections: u64,
}

#[derive(FromQueryResult)]
struct Counted {
    workspaces: i64,
    sessions: i64,
    tasks: i64,
    spokes: i64,
}

/// How many rows belong to a project.
pub async fn project_counts(
    db: &impl ConnectionTrait,
    id: &ProjectId,
) -> Result<ProjectCounts, StorageError> {
    let counted: Counted = sql::one(
        db,
        "select (select count(*) from workspaces where project_id = $1) as workspaces,
                (select count(*) from sessions where project_id = $1) as sessions,
                (select count(*) from tasks where project_id = $1) as tasks,
                (select count(*) from spokes where project_id = $1) as spokes",
        [id.as_str().into()],
    )
    .await?
    .ok_or_else(|| StorageError::unexpected("counts without an answer"))?;
    let number =
        |n: i64| u64::try_from(n).map_err(|_| StorageError::unexpected("a negative count"));
    Ok(ProjectCounts {
        workspaces: number(counted.workspaces)?,
        sessions: number(counted.sessions)?,
        tasks: number(counted.tasks)?,
        spokes: number(counted.spokes)?,
    })
}

/// What goes on in a project; calls are counted from `since` on.
pub async fn project_stats(
    db: &impl ConnectionTrait,
    id: &ProjectId,
    since: DateTimeUtc,
) -> Result<ProjectStats, StorageError> {
    let project = Engine::of(db).json_text_sql("metadata", "projectId");
    let mine = || [id.as_str().into()];
    Ok(ProjectStats {
        tasks: row::count_by(db, "tasks", "status", "project_id = $1", mine()).await?,
        sessions: row::count_by(db, "sessions", "status", "project_id = $1", mine()).await?,
        calls: row::count_by(
            db,
            "call_graph_nodes",
            "status",
            &format!("created_at >= $1 and {project} = $2"),
            [since.into(), id.as_str().into()],
        )
        .await?,
        open_detections: sql::count(
            db,
            "select count(*) from detections d join sessions s on s.id = d.session_id
             where s.project_id = $1 and d.resolved_at is null",
            mine(),
        )
        .await?,
    })
}

/// How many agents work in a project: active mappings of its sessions.
pub async fn active_mappings(
    db: &impl ConnectionTrait,
    id: &ProjectId,
) -> Result<u64, StorageError> {
    sql::count(
        db,
        "select count(*) from mappings m join sessions s on s.id = m.session_id
         where s.project_id = $1 and m.status = 'active'",
        [id.as_str().into()],
    )
    .await
}

/// How many agents work in a workspace.
pub async fn active_mappings_of_workspace(
    db: &impl ConnectionTrait,
    id: &WorkspaceId,
) -> Result<u64, StorageError> {
    sql::count(
        db,
        "select count(*) from mappings where workspace_id = $1 and status = 'active'",
        [id.as_str().into()],
    )
    .await
}
