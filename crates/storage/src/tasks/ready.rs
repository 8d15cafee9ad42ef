//! Which tasks can be begun.

use sea_orm::{ConnectionTrait, IdenStatic, Iterable, Value};

use super::lists::{priority_rank, rows_of};
use crate::engine::Engine;
use crate::entity::tasks::{Column, Model};
use crate::error::StorageError;
use crate::ids::ProjectId;

/// Pending tasks whose prerequisites are all completed: what comes first, first; without bodies.
///
/// `exclude_mapped` leaves out tasks an agent works at already. `limit` is pushed into the query.
pub async fn ready_tasks(
    db: &impl ConnectionTrait,
    project: &ProjectId,
    exclude_mapped: bool,
    limit: Option<u64>,
) -> Result<Vec<Model>, StorageError> {
    let engine = Engine::of(db);
    let columns: Vec<String> = Column::iter()
        .map(|column| match column {
            Column::Body => "cast(null as text) as body".to_owned(),
            other => format!("t.{}", other.as_str()),
        })
        .collect();
    // The candidates are sorted first, on narrow rows, and looked at one by one until the page is full:
    // what an unfinished prerequisite costs to find is not paid for every task of the project. The
    // limit of the inner query keeps the planners from merging the two.
    let (fence, collate) = match engine {
        Engine::Sqlite => ("limit -1", ""),
        Engine::Postgres => ("offset 0", " collate \"C\""),
    };
    let unmapped = if exclude_mapped {
        "and not exists (select 1 from mappings m where m.task_id = c.id and m.status = 'active')"
    } else {
        ""
    };
    let rank = priority_rank("priority");
    let text = format!(
        "select {} from (
             select c.id, c.rank, c.due_at, c.slug from (
                 select id, {rank} as rank, due_at, slug from tasks
                 where project_id = $1 and status = 'pending'
                 order by rank, due_at is null, due_at, slug{collate} {fence}
             ) c
             where not exists (
                 select 1 from task_dependencies d join tasks p on p.id = d.depends_on_task_id
                 where d.dependent_task_id = c.id and p.status <> 'completed')
             {unmapped}
             limit $2
         ) r join tasks t on t.id = r.id
         order by r.rank, r.due_at is null, r.due_at, r.slug{collate}",
        columns.join(", ")
    );
    let limit = limit.and_then(|limit| i64::try_from(limit).ok()).unwrap_or(i64::MAX);
    let values: Vec<Value> = vec![project.as_str().into(), limit.into()];
    rows_of(db, &text, values).await
}
