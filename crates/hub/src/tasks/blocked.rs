//! `task.blocked`: what tasks wait for, down to where work can begin.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use alkhub_operations::{CallError, Operation, OperationType, operation};
use alkhub_storage::ConnectionTrait;
use alkhub_storage::enums::TaskStatus;
use alkhub_storage::ids::{ProjectId, TaskId};
use alkhub_storage::tasks::{self as queries, TaskOutline};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::view::TaskRef;
use super::{visible_project, visible_task};
use crate::error::HubError;
use crate::state::{Call, handle};

/// Links of one chain.
const MAX_CHAIN: usize = 1_000;
/// Links of one answer.
const MAX_LINKS: usize = 20_000;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        operation::<BlockedInput, BlockedTasks>("task.blocked", OperationType::Query)
            .description(
                "For a task, or each waiting task of a project: the unfinished tasks before it, down to \
                 those that can start.",
            )
            .scopes(&["task:read"])
            .resource("project", "read")
            .handler(handle(blocked)),
    ]
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct BlockedInput {
    /// Id of a project, all of whose waiting tasks are told.
    project_id: Option<String>,
    /// Id of one task, in the place of a project.
    id: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct BlockedTasks {
    /// The tasks that wait, by slug.
    items: Vec<BlockedTask>,
    /// True when chains or tasks were left out because the answer would be too long.
    truncated: bool,
}

/// A task that waits.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct BlockedTask {
    /// The task.
    task: TaskRef,
    /// The unfinished tasks before it, nearest first, then by slug.
    chain: Vec<Link>,
    /// Slugs of those in the chain that can start now.
    can_start: Vec<String>,
}

/// An unfinished task that others wait for.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Link {
    /// The task.
    task: TaskRef,
    /// Steps from the task that waits, 1 for its own prerequisites.
    distance: u32,
    /// Slugs of the unfinished tasks it waits for itself; none where the chain ends.
    waits_for: Vec<String>,
    /// True when it is pending and waits for nothing.
    can_start: bool,
}

async fn blocked(call: Call, input: Arc<BlockedInput>) -> Result<BlockedTasks, HubError> {
    let scope = call.scope()?;
    let reader = call.database().reader();
    match (&input.project_id, &input.id) {
        (Some(project), None) => {
            let project = visible_project(reader, &scope, project).await?;
            let open = OpenTasks::load(reader, &project.id).await?;
            Ok(open.waiting())
        }
        (None, Some(id)) => {
            let task = visible_task(reader, &scope, "/id", id).await?;
            let open = OpenTasks::load(reader, &task.project_id).await?;
            let mut left = MAX_LINKS;
            let (found, truncated) = open.chain_of(&task.id, TaskRef::from(&task), &mut left);
            Ok(BlockedTasks {
                items: vec![found],
                truncated,
            })
        }
        _ => {
            let message = "give either projectId or id";
            Err(CallError::validation_field("/projectId", "one_of", message).into())
        }
    }
}

/// The unfinished tasks of a project and what each waits for.
struct OpenTasks {
    tasks: HashMap<TaskId, TaskOutline>,
    waits_for: HashMap<TaskId, Vec<TaskId>>,
}

impl OpenTasks {
    async fn load(reader: &impl ConnectionTrait, project: &ProjectId) -> Result<Self, HubError> {
        let outlines = queries::task_outlines(reader, project).await?;
        let edges = queries::edge_ends(reader, project).await?;
        Ok(Self::new(outlines, edges))
    }

    fn new(outlines: Vec<TaskOutline>, edges: Vec<(TaskId, TaskId)>) -> Self {
        let tasks: HashMap<TaskId, TaskOutline> = outlines
            .into_iter()
            .filter(|task| task.status != TaskStatus::Completed)
            .map(|task| (task.id.clone(), task))
            .collect();
        let mut waits_for: HashMap<TaskId, Vec<TaskId>> = HashMap::new();
        for (prerequisite, dependent) in edges {
            if tasks.contains_key(&prerequisite) && tasks.contains_key(&dependent) {
                waits_for.entry(dependent).or_default().push(prerequisite);
            }
        }
        for prerequisites in waits_for.values_mut() {
            prerequisites.sort_by_key(|id| tasks.get(id).map(|task| task.slug.clone()));
        }
        Self { tasks, waits_for }
    }

    /// Every task that waits for another one, by slug.
    fn waiting(&self) -> BlockedTasks {
        let mut waiting: Vec<&TaskOutline> = self
            .waits_for
            .keys()
            .filter_map(|id| self.tasks.get(id))
            .collect();
        waiting.sort_by(|a, b| a.slug.cmp(&b.slug));
        let mut answer = BlockedTasks {
            items: Vec::new(),
            truncated: false,
        };
        let mut left = MAX_LINKS;
        for task in waiting {
            if left == 0 {
                answer.truncated = true;
                break;
            }
            let (found, truncated) = self.chain_of(&task.id, named(task), &mut left);
            answer.items.push(found);
            answer.truncated |= truncated;
        }
        answer
    }

    /// The chain of one task; true when it was cut. `left` is how many links the answer still takes.
    fn chain_of(&self, id: &TaskId, task: TaskRef, left: &mut usize) -> (BlockedTask, bool) {
        let mut chain = Vec::new();
        let mut seen: HashSet<&TaskId> = HashSet::from([id]);
        let mut nearest: Vec<&TaskId> = self.before(id).iter().collect();
        let mut distance = 1;
        let mut truncated = false;
        while !nearest.is_empty() && !truncated {
            nearest.sort_by_key(|id| self.tasks.get(*id).map(|task| &task.slug));
            let mut next = Vec::new();
            for id in nearest {
                let Some(found) = self.tasks.get(id).filter(|_| seen.insert(id)) else {
                    continue;
                };
                if *left == 0 || chain.len() == MAX_CHAIN {
                    truncated = true;
                    break;
                }
                *left -= 1;
                let before = self.before(id);
                let slugs = before.iter().filter_map(|id| self.tasks.get(id));
                chain.push(Link {
                    task: named(found),
                    distance,
                    waits_for: slugs.map(|task| task.slug.clone()).collect(),
                    can_start: before.is_empty() && found.status == TaskStatus::Pending,
                });
                next.extend(before);
            }
            nearest = next;
            distance += 1;
        }
        let startable = chain.iter().filter(|link| link.can_start);
        let can_start = startable.map(|link| link.task.slug.clone()).collect();
        (
            BlockedTask {
                task,
                chain,
                can_start,
            },
            truncated,
        )
    }

    fn before(&self, id: &TaskId) -> &[TaskId] {
        self.waits_for.get(id).map_or(&[], Vec::as_slice)
    }
}

fn named(task: &TaskOutline) -> TaskRef {
    TaskRef {
        id: task.id.clone(),
        slug: task.slug.clone(),
        name: task.name.clone(),
        status: task.status,
    }
}
