//! `task.dependency.add`, `.remove` and `.list`.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use alkhub_operations::{CallError, Issue, Operation, OperationType, operation};
use alkhub_storage::ids::TaskId;
use alkhub_storage::tasks::{self as queries, NewDependency};
use alkhub_storage::{
    ConnectionTrait, Project, Scope, StorageResultExt as _, Task, TaskDependency,
};
use alkhub_taskgraph::cycles;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::graph::cycle_error;
use super::view::{DEFAULT_RETENTION, DependencyView};
use super::{about, lock_project, visible_task};
use crate::audit::{self, Action};
use crate::error::HubError;
use crate::events::TaskChange;
use crate::state::{Call, handle};

/// Most edges of one answer of `task.dependency.list`.
const MAX_EDGES: usize = 10_000;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        operation::<DependencyAdd, DependencyView>("task.dependency.add", OperationType::Mutation)
            .description("Makes a task depend on another one of its project.")
            .scopes(&["task:write"])
            .error("CONFLICT", "exists: it depends on it already")
            .error(
                "UNPROCESSABLE",
                "cycle: the prerequisite depends on the task; other_project: the tasks belong to two \
                 projects; self_dependency: they are one task",
            )
            .handler(handle(add)),
        operation::<DependencyRemove, DependencyRemoved>(
            "task.dependency.remove",
            OperationType::Mutation,
        )
        .description("Takes a dependency away; the tasks stay.")
        .scopes(&["task:write"])
        .handler(handle(remove)),
        operation::<DependencyList, DependencyEdges>("task.dependency.list", OperationType::Query)
            .description("What a task depends on and what depends on it, as far as `depth` steps.")
            .scopes(&["task:read"])
            .handler(handle(list)),
    ]
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DependencyAdd {
    /// Id of the dependent.
    task_id: String,
    /// Id of the prerequisite, which must be completed first.
    depends_on_id: String,
    /// Part of the quality of the prerequisite that survives: 0 = its failure passes through whole,
    /// 1 = the dependent does not feel it.
    #[serde(default = "default_retention")]
    #[schemars(range(min = 0.0, max = 1.0))]
    quality_retention: f64,
}

fn default_retention() -> f64 {
    DEFAULT_RETENTION
}

async fn add(call: Call, input: Arc<DependencyAdd>) -> Result<DependencyView, HubError> {
    if !(0.0..=1.0).contains(&input.quality_retention) {
        let message = "must be between 0 and 1";
        return Err(CallError::validation_field("/qualityRetention", "range", message).into());
    }
    let scope = call.scope()?;
    let transaction = call.begin().await?;
    let (task, prerequisite, project) = both_ends(&transaction, &scope, &input).await?;
    let ends = queries::edge_ends(&transaction, &project.id).await?;
    if ends.contains(&(prerequisite.id.clone(), task.id.clone())) {
        return Err(exists().into());
    }
    if let Some(path) = cycles::path(&ends, &task.id, &prerequisite.id) {
        return Err(would_close(&transaction, path).await);
    }
    // The default is left open, so that the column tells who chose a number.
    let retention = Some(input.quality_retention).filter(|part| *part != DEFAULT_RETENTION);
    let new = NewDependency {
        quality_retention: retention,
        ..NewDependency::new(prerequisite.id.clone(), task.id.clone())
    };
    let edge = queries::add_dependency(&transaction, new).await.on_unique(
        "unq_task_dependencies_depends_on_task",
        HubError::from(exists()),
    )?;
    let entry = about(&task, &project).changed(
        json!(null),
        json!({ "dependsOn": prerequisite.slug, "qualityRetention": input.quality_retention }),
    );
    audit::write(
        &transaction,
        &call.actor()?,
        Action::TaskDependencyAdded,
        entry,
    )
    .await?;
    transaction.commit().await?;
    call.state()
        .events
        .task(&project.id, Some(&task.id), TaskChange::DependenciesChanged);
    Ok(DependencyView::new(&edge, &task, &prerequisite))
}

fn exists() -> CallError {
    CallError::conflict("exists", "the task depends on the other one already")
}

/// Both tasks, in one project whose row is locked.
async fn both_ends(
    transaction: &impl ConnectionTrait,
    scope: &Scope,
    input: &DependencyAdd,
) -> Result<(Task, Task, Project), HubError> {
    let task = visible_task(transaction, scope, "/taskId", &input.task_id).await?;
    let prerequisite =
        visible_task(transaction, scope, "/dependsOnId", &input.depends_on_id).await?;
    if task.id == prerequisite.id {
        let message = "a task cannot depend on itself";
        return Err(CallError::unprocessable("self_dependency", message).into());
    }
    if task.project_id != prerequisite.project_id {
        let message = "a task depends only on tasks of its own project";
        return Err(CallError::unprocessable("other_project", message).into());
    }
    let project = lock_project(transaction, scope, task.project_id.as_str()).await?;
    // Either may have gone while the lock was waited for.
    let task = visible_task(transaction, scope, "/taskId", &input.task_id).await?;
    let prerequisite =
        visible_task(transaction, scope, "/dependsOnId", &input.depends_on_id).await?;
    Ok((task, prerequisite, project))
}

/// The error that shows the circle: from the task over those that depend on it back to itself.
async fn would_close(transaction: &impl ConnectionTrait, ids: Vec<TaskId>) -> HubError {
    match queries::tasks_by_ids(transaction, &ids).await {
        Ok(rows) => {
            let slugs: HashMap<&TaskId, &str> = rows
                .iter()
                .map(|row| (&row.id, row.slug.as_str()))
                .collect();
            let cycle: Vec<&str> = ids.iter().filter_map(|id| slugs.get(id).copied()).collect();
            cycle_error(&[cycle]).into()
        }
        Err(failed) => failed.into(),
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DependencyRemove {
    /// Id of the dependent.
    task_id: String,
    /// Id of the prerequisite.
    depends_on_id: String,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct DependencyRemoved {
    /// False when there was no such dependency.
    removed: bool,
}

async fn remove(call: Call, input: Arc<DependencyRemove>) -> Result<DependencyRemoved, HubError> {
    let scope = call.scope()?;
    let transaction = call.begin().await?;
    let task = visible_task(&transaction, &scope, "/taskId", &input.task_id).await?;
    let prerequisite =
        visible_task(&transaction, &scope, "/dependsOnId", &input.depends_on_id).await?;
    let project = lock_project(&transaction, &scope, task.project_id.as_str()).await?;
    let removed = queries::remove_dependency(&transaction, &prerequisite.id, &task.id).await?;
    if removed {
        let entry =
            about(&task, &project).changed(json!({ "dependsOn": prerequisite.slug }), json!(null));
        audit::write(
            &transaction,
            &call.actor()?,
            Action::TaskDependencyRemoved,
            entry,
        )
        .await?;
    }
    transaction.commit().await?;
    if removed {
        call.state()
            .events
            .task(&project.id, Some(&task.id), TaskChange::DependenciesChanged);
    }
    Ok(DependencyRemoved { removed })
}

/// Which way to follow dependencies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum Direction {
    /// To what the task depends on.
    Dependencies,
    /// To what depends on the task.
    Dependents,
    /// Both ways.
    #[default]
    Both,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DependencyList {
    /// Id of the task.
    task_id: String,
    /// Which way to go; both when absent.
    #[serde(default)]
    direction: Direction,
    /// How many steps to go, 1 to 100.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 100))]
    depth: u32,
}

fn one() -> u32 {
    1
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct DependencyEdges {
    /// The dependencies, nearest first, then by slug of dependent and prerequisite.
    items: Vec<DependencyView>,
    /// True when there are more than 10,000.
    truncated: bool,
}

async fn list(call: Call, input: Arc<DependencyList>) -> Result<DependencyEdges, HubError> {
    if !(1..=100).contains(&input.depth) {
        let issue = Issue::new("/depth", "range", "must be between 1 and 100");
        return Err(CallError::validation(vec![issue], "depth must be between 1 and 100").into());
    }
    let reader = call.database().reader();
    let task = visible_task(reader, &call.scope()?, "/taskId", &input.task_id).await?;
    let edges = queries::project_edges(reader, &task.project_id).await?;
    let (found, truncated) = walk(&edges, &task.id, input.direction, input.depth);
    let ids: HashSet<&TaskId> = found
        .iter()
        .flat_map(|(_, edge)| [&edge.dependent_task_id, &edge.depends_on_task_id])
        .collect();
    let ids: Vec<TaskId> = ids.into_iter().cloned().collect();
    let rows = queries::tasks_by_ids(reader, &ids).await?;
    let rows: HashMap<&TaskId, &Task> = rows.iter().map(|row| (&row.id, row)).collect();
    let mut items: Vec<(u32, DependencyView)> = found
        .into_iter()
        .filter_map(|(step, edge)| {
            let (task, on) = (
                rows.get(&edge.dependent_task_id)?,
                rows.get(&edge.depends_on_task_id)?,
            );
            Some((step, DependencyView::new(edge, task, on)))
        })
        .collect();
    items.sort_by(|(step, a), (other, b)| {
        (step, &a.task.slug, &a.depends_on.slug).cmp(&(other, &b.task.slug, &b.depends_on.slug))
    });
    Ok(DependencyEdges {
        items: items.into_iter().map(|(_, view)| view).collect(),
        truncated,
    })
}

/// The edges up to `depth` steps away, each with its distance; true when there are too many.
fn walk<'a>(
    edges: &'a [TaskDependency],
    start: &TaskId,
    direction: Direction,
    depth: u32,
) -> (Vec<(u32, &'a TaskDependency)>, bool) {
    let mut found = Vec::new();
    let mut seen: HashSet<&TaskDependencyKey> = HashSet::new();
    let ways: &[bool] = match direction {
        Direction::Dependencies => &[true],
        Direction::Dependents => &[false],
        Direction::Both => &[true, false],
    };
    for &upwards in ways {
        let mut from: HashMap<&TaskId, Vec<&TaskDependency>> = HashMap::new();
        for edge in edges {
            let end = if upwards {
                &edge.dependent_task_id
            } else {
                &edge.depends_on_task_id
            };
            from.entry(end).or_default().push(edge);
        }
        let mut reached: HashSet<&TaskId> = HashSet::from([start]);
        let mut frontier: Vec<&TaskId> = vec![start];
        for step in 1..=depth {
            let mut next = Vec::new();
            for edge in frontier.iter().filter_map(|id| from.get(id)).flatten() {
                if !seen.insert(&edge.id) {
                    continue;
                }
                if found.len() == MAX_EDGES {
                    return (found, true);
                }
                found.push((step, *edge));
                let end = if upwards {
                    &edge.depends_on_task_id
                } else {
                    &edge.dependent_task_id
                };
                if reached.insert(end) {
                    next.push(end);
                }
            }
            frontier = next;
        }
    }
    (found, false)
}

/// What tells one edge from another.
type TaskDependencyKey = alkhub_storage::ids::TaskDependencyId;
