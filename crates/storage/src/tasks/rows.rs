//! Many tasks at a time, as statements of many rows.
//!
//! Statements come in a few sizes only, so that the database reads each text once.

use sea_orm::{ConnectionTrait, EntityTrait, QueryFilter, Value};

use super::NewTask;
use crate::engine::Engine;
use crate::entity::tasks::Entity;
use crate::error::StorageError;
use crate::ids::TaskId;
use crate::json::Metadata;
use crate::scope::column;
use crate::sql;
use crate::time::{self, DateTimeUtc};

/// Rows of a statement, the largest size that still fits first.
const SIZES: [usize; 4] = [100, 25, 5, 1];

/// The columns, authored ones in the middle: those an upsert may change.
const COLUMNS: &[&str] = &[
    "id",
    "project_id",
    "slug",
    "status",
    "started_at",
    "completed_at",
    "created_at",
    "updated_at",
    "name",
    "path",
    "scope",
    "risk",
    "impact",
    "level",
    "priority",
    "tags",
    "assignee",
    "due_at",
    "body",
    "file_created_at",
    "file_modified_at",
    "metadata",
];

/// How many of [`COLUMNS`] are no authored ones.
const NOT_AUTHORED: usize = 8;

/// Makes tasks. T
///
/// Errors: `Unique` of `unq_tasks_project_slug`, `ForeignKey`.
pub async fn insert_tasks(
    db: &impl ConnectionTrait,
    tasks: Vec<NewTask>,
) -> Result<u64, StorageError> {
    write(db, tasks, "").await
}

/// Makes tasks, or changes the authored columns of those whose slug the project has: never their
/// status, start or end. T
pub async fn upsert_tasks(
    db: &impl ConnectionTrait,
    tasks: Vec<NewTask>,
) -> Result<u64, StorageError> {
    let engine = Engine::of(db);
    let authored: Vec<String> = COLUMNS[NOT_AUTHORED..]
        .iter()
        .map(|name| format!("{name} = excluded.{name}"))
        .collect();
    let conflict = format!(
        " on conflict (project_id, slug) do update set {}, updated_at = {}(excluded.updated_at, {})",
        authored.join(", "),
        engine.greatest(),
        engine.next_moment_sql("tasks.updated_at"),
    );
    write(db, tasks, &conflict).await
}

/// Deletes tasks with their dependencies; answers how many tasks went. T
pub async fn delete_tasks(db: &impl ConnectionTrait, ids: &[TaskId]) -> Result<u64, StorageError> {
    let mine = Engine::of(db).one_of(column("tasks", "id"), ids);
    Ok(Entity::delete_many()
        .filter(mine)
        .exec(db)
        .await?
        .rows_affected)
}

/// Replaces the notes of tasks. T
pub async fn set_task_metadata(
    db: &impl ConnectionTrait,
    notes: Vec<(TaskId, Metadata)>,
) -> Result<u64, StorageError> {
    let engine = Engine::of(db);
    let text = match engine {
        Engine::Sqlite => format!(
            "update tasks set metadata = given.value -> 'metadata', updated_at = max($2, {})
             from json_each($1) as given where tasks.id = given.value ->> 'id'",
            engine.next_moment_sql("tasks.updated_at")
        ),
        Engine::Postgres => format!(
            "update tasks set metadata = given.metadata, updated_at = greatest($2, {})
             from jsonb_to_recordset(cast($1 as jsonb)) as given(id text, metadata jsonb)
             where tasks.id = given.id",
            engine.next_moment_sql("tasks.updated_at")
        ),
    };
    let mut changed = 0;
    for chunk in notes.chunks(1_000) {
        let document: Vec<serde_json::Value> = chunk
            .iter()
            .map(|(id, metadata)| serde_json::json!({ "id": id, "metadata": metadata }))
            .collect();
        let values = [
            serde_json::Value::from(document).to_string().into(),
            time::now().into(),
        ];
        changed += sql::execute(db, &text, values).await?;
    }
    Ok(changed)
}

async fn write(
    db: &impl ConnectionTrait,
    tasks: Vec<NewTask>,
    conflict: &str,
) -> Result<u64, StorageError> {
    let engine = Engine::of(db);
    let now = time::now();
    let mut written = 0;
    let mut tasks = tasks.into_iter();
    for size in SIZES {
        if tasks.len() < size {
            continue;
        }
        let text = statement(engine, size, conflict);
        while tasks.len() >= size {
            let mut values = Vec::with_capacity(size * COLUMNS.len());
            for task in tasks.by_ref().take(size) {
                push(&mut values, task, now);
            }
            written += sql::execute(db, &text, values).await?;
        }
    }
    Ok(written)
}

fn statement(engine: Engine, rows: usize, conflict: &str) -> String {
    let mut text = format!("insert into tasks ({}) values ", COLUMNS.join(", "));
    let mut number = 0;
    for row in 0..rows {
        text.push_str(if row == 0 { "(" } else { ", (" });
        for place in 0..COLUMNS.len() {
            number += 1;
            if place > 0 {
                text.push_str(", ");
            }
            text.push_str(&sql::in_order(engine, number));
        }
        text.push(')');
    }
    text.push_str(conflict);
    text
}

/// The values of a row in the order of [`COLUMNS`].
fn push(values: &mut Vec<Value>, task: NewTask, now: DateTimeUtc) {
    let whole = |moment: Option<DateTimeUtc>| moment.map(time::whole_milliseconds);
    let word = |word: Option<&'static str>| Value::from(word);
    values.extend([
        task.id.unwrap_or_else(TaskId::random).into_string().into(),
        task.project_id.into_string().into(),
        task.slug.into(),
        task.status.as_str().into(),
        whole(task.started_at).into(),
        whole(task.completed_at).into(),
        now.into(),
        now.into(),
        task.name.into(),
        task.path.into(),
        word(task.scope.map(|word| word.as_str())),
        word(task.risk.map(|word| word.as_str())),
        word(task.impact.map(|word| word.as_str())),
        word(task.level.map(|word| word.as_str())),
        word(task.priority.map(|word| word.as_str())),
        task.tags.into(),
        task.assignee.into(),
        whole(task.due_at).into(),
        task.body.into(),
        whole(task.file_created_at).into(),
        whole(task.file_modified_at).into(),
        task.metadata.into(),
    ]);
}
