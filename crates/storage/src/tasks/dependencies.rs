//! Which task waits for which.

use std::collections::{BTreeMap, HashMap};

use sea_orm::ActiveValue::Set;
use sea_orm::{ConnectionTrait, EntityTrait, QueryFilter, Value};

use crate::engine::Engine;
use crate::entity::task_dependencies::{ActiveModel, Entity, Model};
use crate::entity::tasks;
use crate::error::StorageError;
use crate::ids::{ProjectId, TaskDependencyId, TaskId};
use crate::json::Metadata;
use crate::scope::column;
use crate::sql;
use crate::time;

/// Rows of a statement, the largest size that still fits first: few texts, each read once.
const SIZES: [usize; 4] = [200, 50, 10, 1];

/// A dependency to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct NewDependency {
    /// The prerequisite.
    pub depends_on_task_id: TaskId,
    /// The dependent.
    pub dependent_task_id: TaskId,
    /// 0 to 1; none = 0.9.
    pub quality_retention: Option<f64>,
}

impl NewDependency {
    /// A dependency with the retention everything has.
    pub fn new(depends_on: TaskId, dependent: TaskId) -> Self {
        Self {
            depends_on_task_id: depends_on,
            dependent_task_id: dependent,
            quality_retention: None,
        }
    }
}

/// A dependency and the task at its other end.
#[derive(Debug, Clone, PartialEq)]
pub struct Linked {
    /// The dependency.
    pub edge: Model,
    /// The task, without its body.
    pub task: tasks::Model,
}

/// Makes a dependency, unless the prerequisite already waits for the dependent. T, with the project
/// locked: two dependencies at once could close a circle
///
/// Errors: `Unique` of `unq_task_dependencies_depends_on_task`; `ForeignKey`; `Rule` of `cycle` and
/// `other_project`; `Check` when both ends are one task.
pub async fn add_dependency(
    db: &impl ConnectionTrait,
    new: NewDependency,
) -> Result<Model, StorageError> {
    if waits_for(db, &new.depends_on_task_id, &new.dependent_task_id).await? {
        return Err(StorageError::Rule {
            name: "cycle".to_owned(),
        });
    }
    let now = time::now();
    let row = ActiveModel {
        id: Set(TaskDependencyId::random()),
        depends_on_task_id: Set(new.depends_on_task_id),
        dependent_task_id: Set(new.dependent_task_id),
        quality_retention: Set(new.quality_retention),
        metadata: Set(Metadata::new()),
        created_at: Set(now),
        updated_at: Set(now),
    };
    Ok(Entity::insert(row).exec_with_returning(db).await?)
}

/// Makes dependencies as they are: the caller has looked for circles. T
///
/// Errors: `Unique` of `unq_task_dependencies_depends_on_task`; `ForeignKey`; `Rule` of
/// `other_project`; `Check` when both ends are one task.
pub async fn insert_dependencies(
    db: &impl ConnectionTrait,
    new: Vec<NewDependency>,
) -> Result<u64, StorageError> {
    let engine = Engine::of(db);
    let now = time::now();
    let mut written = 0;
    let mut left = new.as_slice();
    for size in SIZES {
        if left.len() < size {
            continue;
        }
        let text = statement(engine, size);
        while let Some((chunk, rest)) = left.split_at_checked(size) {
            let mut values: Vec<Value> = Vec::with_capacity(size * COLUMNS);
            for edge in chunk {
                values.extend([
                    TaskDependencyId::random().into_string().into(),
                    edge.depends_on_task_id.as_str().into(),
                    edge.dependent_task_id.as_str().into(),
                    edge.quality_retention.into(),
                    now.into(),
                    now.into(),
                ]);
            }
            written += sql::execute(db, &text, values).await?;
            left = rest;
        }
    }
    Ok(written)
}

/// Removes a dependency; the answer says whether it was there.
pub async fn remove_dependency(
    db: &impl ConnectionTrait,
    depends_on: &TaskId,
    dependent: &TaskId,
) -> Result<bool, StorageError> {
    let removed = sql::execute(
        db,
        "delete from task_dependencies where depends_on_task_id = $1 and dependent_task_id = $2",
        [depends_on.as_str().into(), dependent.as_str().into()],
    )
    .await?;
    Ok(removed == 1)
}

/// Removes dependencies by their ids; answers how many there were.
pub async fn delete_dependencies(
    db: &impl ConnectionTrait,
    ids: &[TaskDependencyId],
) -> Result<u64, StorageError> {
    let mine = Engine::of(db).one_of(column("task_dependencies", "id"), ids);
    Ok(Entity::delete_many()
        .filter(mine)
        .exec(db)
        .await?
        .rows_affected)
}

/// What the tasks wait for, by the slug of the prerequisite.
pub async fn dependencies(
    db: &impl ConnectionTrait,
    tasks: &[TaskId],
) -> Result<Vec<Linked>, StorageError> {
    linked(db, tasks, "dependent_task_id", "depends_on_task_id").await
}

/// What waits for the tasks, by the slug of the dependent.
pub async fn dependents(
    db: &impl ConnectionTrait,
    tasks: &[TaskId],
) -> Result<Vec<Linked>, StorageError> {
    linked(db, tasks, "depends_on_task_id", "dependent_task_id").await
}

/// What each of many tasks waits for.
pub async fn load_dependencies(
    db: &impl ConnectionTrait,
    tasks: &[TaskId],
) -> Result<BTreeMap<TaskId, Vec<Linked>>, StorageError> {
    let mut by_task: BTreeMap<TaskId, Vec<Linked>> = BTreeMap::new();
    for linked in dependencies(db, tasks).await? {
        by_task
            .entry(linked.edge.dependent_task_id.clone())
            .or_default()
            .push(linked);
    }
    Ok(by_task)
}

/// All dependencies of a project, by the slugs of dependent and prerequisite.
pub async fn project_edges(
    db: &impl ConnectionTrait,
    project: &ProjectId,
) -> Result<Vec<Model>, StorageError> {
    let engine = Engine::of(db);
    let collate = if engine == Engine::Postgres {
        " collate \"C\""
    } else {
        ""
    };
    let text = format!(
        "select d.* from tasks t
         join task_dependencies d on d.dependent_task_id = t.id
         join tasks p on p.id = d.depends_on_task_id
         where t.project_id = $1
         order by t.slug{collate}, p.slug{collate}"
    );
    sql::all(db, &text, [project.as_str().into()]).await
}

/// Both ends of all dependencies of a project, prerequisite first, in no order: what a search for
/// circles needs, of however many there are.
pub async fn edge_ends(
    db: &impl ConnectionTrait,
    project: &ProjectId,
) -> Result<Vec<(TaskId, TaskId)>, StorageError> {
    let rows = sql::rows(
        db,
        "select d.depends_on_task_id, d.dependent_task_id from tasks t
         join task_dependencies d on d.dependent_task_id = t.id
         where t.project_id = $1",
        [project.as_str().into()],
    )
    .await?;
    rows.iter()
        .map(|row| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?)))
        .collect()
}

async fn linked(
    db: &impl ConnectionTrait,
    tasks: &[TaskId],
    this_end: &str,
    other_end: &str,
) -> Result<Vec<Linked>, StorageError> {
    let engine = Engine::of(db);
    let mine = engine.one_of(column("task_dependencies", this_end), tasks);
    let edges = Entity::find().filter(mine).all(db).await?;
    let ids: Vec<&TaskId> = edges
        .iter()
        .map(|edge| {
            if other_end == "depends_on_task_id" {
                &edge.depends_on_task_id
            } else {
                &edge.dependent_task_id
            }
        })
        .collect();
    let ends: HashMap<TaskId, tasks::Model> = super::lists::without_body(
        tasks::Entity::find().filter(engine.one_of(column("tasks", "id"), &ids)),
    )
    .all(db)
    .await?
    .into_iter()
    .map(|task| (task.id.clone(), task))
    .collect();
    let mut found: Vec<Linked> = edges
        .iter()
        .zip(&ids)
        .filter_map(|(edge, id)| {
            let task = ends.get(*id)?.clone();
            Some(Linked {
                edge: edge.clone(),
                task,
            })
        })
        .collect();
    found.sort_by(|a, b| (&a.task.slug, &a.edge.id).cmp(&(&b.task.slug, &b.edge.id)));
    Ok(found)
}

/// Whether a task waits for another, directly or through others.
async fn waits_for(
    db: &impl ConnectionTrait,
    task: &TaskId,
    other: &TaskId,
) -> Result<bool, StorageError> {
    // The walk carries ids alone, so that `union` drops repeats and ends in a damaged graph as well.
    let found = sql::count(
        db,
        "with recursive walk(id) as (
             select depends_on_task_id from task_dependencies where dependent_task_id = $1
             union
             select d.depends_on_task_id from walk w
             join task_dependencies d on d.dependent_task_id = w.id
         )
         select count(*) from walk where id = $2",
        [task.as_str().into(), other.as_str().into()],
    )
    .await?;
    Ok(found > 0)
}

/// Columns that are written.
const COLUMNS: usize = 6;

fn statement(engine: Engine, rows: usize) -> String {
    let mut text = "insert into task_dependencies \
        (id, depends_on_task_id, dependent_task_id, quality_retention, created_at, updated_at) values "
        .to_owned();
    for row in 0..rows {
        text.push_str(if row == 0 { "(" } else { ", (" });
        for place in 1..=COLUMNS {
            if place > 1 {
                text.push_str(", ");
            }
            text.push_str(&sql::in_order(engine, row * COLUMNS + place));
        }
        text.push(')');
    }
    text
}
