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
    let collate = if engine == Engine::Postgres {
        " collate \"C\""
    } else {
        ""
    };
    let unmapped = if exclude_mapped {
        "and not exists (select 1 from mappings m where m.task_id = t.id and m.status = 'active')"
    } else {
        ""
    };
    // The index has pending tasks in this very order, so they are looked at one by one until the page is
    // full: what it costs to find an unfinished prerequisite is not paid for every task of the project.
    let walk = if engine == Engine::Sqlite {
        "indexed by hub_idx_tasks_ready"
    } else {
        ""
    };
    let rank = priority_rank("t.priority");
    let text = format!(
        "select {} from tasks t {walk}
         where t.project_id = $1 and t.status = 'pending'
           and not exists (
               select 1 from task_dependencies d join tasks p on p.id = d.depends_on_task_id
               where d.dependent_task_id = t.id and p.status <> 'completed')
           {unmapped}
         order by {rank}, t.due_at is null, t.due_at, t.slug{collate}
         limit $2",
        columns.join(", ")
    );
    let limit = limit
        .and_then(|limit| i64::try_from(limit).ok())
        .unwrap_or(i64::MAX);
    let values: Vec<Value> = vec![project.as_str().into(), limit.into()];
    rows_of(db, &text, values).await
}
