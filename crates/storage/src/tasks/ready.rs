//! Which tasks can be begun.

use sea_orm::{ConnectionTrait, IdenStatic, Iterable, Value};

use super::lists::rows_of;
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
    let unmapped = if exclude_mapped {
        "and not exists (select 1 from mappings m where m.task_id = t.id and m.status = 'active')"
    } else {
        ""
    };
    // The table has ready tasks alone, and its index has them in this very order: a page is read from the
    // beginning, and tasks that wait cost nothing. On SQLite the join says that it comes first.
    let join = match engine {
        Engine::Sqlite => "cross join",
        Engine::Postgres => "join",
    };
    let text = format!(
        "select {} from hub_ready_tasks r {join} tasks t on t.id = r.task_id
         where r.project_id = $1 {unmapped}
         order by r.priority_rank, r.due_at, r.slug
         limit $2",
        columns.join(", ")
    );
    let limit = limit
        .and_then(|limit| i64::try_from(limit).ok())
        .unwrap_or(i64::MAX);
    let values: Vec<Value> = vec![project.as_str().into(), limit.into()];
    rows_of(db, &text, values).await
}
