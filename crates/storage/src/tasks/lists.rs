//! Lists of tasks.

use sea_orm::sea_query::{Alias, Expr, ExprTrait, Func, NullOrdering, Query, SimpleExpr};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, IdenStatic, Iterable, Order,
    QueryFilter, QueryOrder, QuerySelect, Select,
};
use serde::Serialize;

use crate::engine::{Engine, json_array, text_array};
use crate::entity::task_dependencies;
use crate::entity::tasks::{Column, Entity, Model};
use crate::enums::{TaskImpact, TaskLevel, TaskPriority, TaskRisk, TaskScope, TaskStatus};
use crate::error::StorageError;
use crate::ids::{ProjectId, TaskId};
use crate::page::{self, Key, KeyKind, Keyset, Page, PageRequest};
use crate::row;
use crate::scope::{Scope, column};
use crate::sql;
use crate::time::DateTimeUtc;

/// Predicate of `idx_tasks_active`; as text, because neither planner proves it for parameters.
const ACTIVE: &str = "\"tasks\".\"status\" in ('pending', 'in-progress', 'blocked')";

/// Which tasks are wanted.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct TaskFilter {
    /// Of this project.
    pub project: Option<ProjectId>,
    /// In one of these statuses; empty = any.
    pub status: Vec<TaskStatus>,
    /// Whose path is this one or lies below it, or starts with it when it ends in `/`.
    pub path_prefix: Option<String>,
    /// With all of these labels.
    pub tags_all: Vec<String>,
    /// With one of these labels; empty = any.
    pub tags_any: Vec<String>,
    /// Of this assignee.
    pub assignee: Option<String>,
    /// Of this priority.
    pub priority: Option<TaskPriority>,
    /// Due before; the list is then sorted by the due date.
    pub due_before: Option<DateTimeUtc>,
    /// Part of the name or slug, without regard to case.
    pub search: Option<String>,
}

/// What analyses need of a task.
#[derive(Debug, Clone, PartialEq, FromQueryResult)]
pub struct TaskOutline {
    /// Its id.
    pub id: TaskId,
    /// Unique in the project.
    pub slug: String,
    /// Shown name.
    pub name: String,
    /// Relative path of its file.
    pub path: Option<String>,
    /// Where the work stands.
    pub status: TaskStatus,
    /// How much it touches.
    pub scope: Option<TaskScope>,
    /// How likely it goes wrong.
    pub risk: Option<TaskRisk>,
    /// How far a failure reaches.
    pub impact: Option<TaskImpact>,
    /// Sort of work.
    pub level: Option<TaskLevel>,
    /// What comes first.
    pub priority: Option<TaskPriority>,
    /// When it is due.
    pub due_at: Option<DateTimeUtc>,
}

/// Tasks the asker may see, without bodies; by creation, or by due date when the filter asks for it.
pub async fn list_tasks(
    db: &impl ConnectionTrait,
    scope: &Scope,
    filter: &TaskFilter,
    request: &PageRequest,
) -> Result<Page<Model>, StorageError> {
    let engine = Engine::of(db);
    let mut select =
        Entity::find().filter(scope.within_projects(engine, column("tasks", "project_id")));
    if let Some(project) = &filter.project {
        select = select.filter(Column::ProjectId.eq(project.clone()));
    }
    if !filter.status.is_empty() {
        select = select.filter(Column::Status.is_in(filter.status.iter().copied()));
    }
    if let Some(prefix) = &filter.path_prefix {
        select = select.filter(under(engine, prefix));
    }
    if !filter.tags_all.is_empty() {
        select = select.filter(has_tags(engine, &filter.tags_all, true));
    }
    if !filter.tags_any.is_empty() {
        select = select.filter(has_tags(engine, &filter.tags_any, false));
    }
    if let Some(assignee) = &filter.assignee {
        select = select.filter(Column::Assignee.eq(assignee.as_str()));
    }
    if let Some(priority) = filter.priority {
        select = select.filter(Column::Priority.eq(priority));
    }
    if let Some(text) = &filter.search {
        select = select.filter(
            engine
                .contains(column("tasks", "name"), text)
                .or(engine.contains(column("tasks", "slug"), text)),
        );
    }
    let Some(moment) = filter.due_before else {
        let keyset = Keyset::new(
            by_creation(engine, filter),
            request.order,
            &("tasks", filter),
        )?;
        let rows = keyset.apply(without_body(select), request)?.all(db).await?;
        return Ok(keyset.page(rows, request, |row| {
            vec![Key::Time(row.created_at), Key::Text(row.id.to_string())]
        }));
    };
    let keyset = Keyset::new(
        vec![
            (column("tasks", "due_at"), KeyKind::Time),
            (column("tasks", "id"), KeyKind::Text),
        ],
        request.order,
        &("tasks by due date", filter),
    )?;
    let select = without_body(select.filter(Column::DueAt.lt(moment)));
    let rows = keyset.apply(select, request)?.all(db).await?;
    Ok(keyset.page(rows, request, |row| {
        vec![
            Key::Time(row.due_at.unwrap_or(row.created_at)),
            Key::Text(row.id.to_string()),
        ]
    }))
}

/// The order by creation. SQLite keeps no statistics here and would always walk through the project in this
/// order; the few tasks of one assignee are better found by their own index and sorted.
fn by_creation(engine: Engine, filter: &TaskFilter) -> Vec<(SimpleExpr, KeyKind)> {
    let unindexed = match engine {
        Engine::Sqlite if filter.assignee.is_some() => "+",
        _ => "",
    };
    [("created_at", KeyKind::Time), ("id", KeyKind::Text)]
        .map(|(name, kind)| {
            let column = Expr::cust(format!("{unindexed}\"tasks\".\"{name}\""));
            (column, kind)
        })
        .into()
}

/// Tasks of a project, without bodies.
pub async fn tasks_of_project(
    db: &impl ConnectionTrait,
    project: &ProjectId,
    status: &[TaskStatus],
    request: &PageRequest,
) -> Result<Page<Model>, StorageError> {
    let filter = TaskFilter {
        project: Some(project.clone()),
        status: status.to_vec(),
        ..TaskFilter::default()
    };
    list_tasks(db, &Scope::All, &filter, request).await
}

/// Pending, running and blocked tasks of a project: what comes first, first.
pub async fn active_tasks(
    db: &impl ConnectionTrait,
    project: &ProjectId,
) -> Result<Vec<Model>, StorageError> {
    let engine = Engine::of(db);
    Ok(without_body(Entity::find())
        .filter(Column::ProjectId.eq(project.clone()))
        .filter(Expr::cust(ACTIVE))
        .order_by_asc(Expr::cust(priority_rank("\"tasks\".\"priority\"")))
        .order_by_with_nulls(Column::DueAt, Order::Asc, NullOrdering::Last)
        .order_by_asc(engine.bytewise("tasks", "slug"))
        .all(db)
        .await?)
}

/// Tasks of a project whose path is a prefix or lies below it, by path, without bodies.
pub async fn tasks_under(
    db: &impl ConnectionTrait,
    project: &ProjectId,
    prefix: &str,
    request: &PageRequest,
) -> Result<Page<Model>, StorageError> {
    let engine = Engine::of(db);
    let keyset = Keyset::new(
        vec![
            (engine.bytewise("tasks", "path"), KeyKind::Text),
            (engine.bytewise("tasks", "slug"), KeyKind::Text),
        ],
        page::Order::Asc,
        &("tasks under", project, prefix),
    )?;
    let select = without_body(Entity::find())
        .filter(Column::ProjectId.eq(project.clone()))
        .filter(under(engine, prefix));
    let rows = keyset.apply(select, request)?.all(db).await?;
    Ok(keyset.page(rows, request, |row| {
        vec![
            Key::Text(row.path.clone().unwrap_or_default()),
            Key::Text(row.slug.clone()),
        ]
    }))
}

/// Tasks of a project with all, or one, of some labels, without bodies.
pub async fn tasks_with_tags(
    db: &impl ConnectionTrait,
    project: &ProjectId,
    tags: &[String],
    all: bool,
    request: &PageRequest,
) -> Result<Page<Model>, StorageError> {
    let mut filter = TaskFilter {
        project: Some(project.clone()),
        ..TaskFilter::default()
    };
    if all {
        filter.tags_all = tags.to_vec();
    } else {
        filter.tags_any = tags.to_vec();
    }
    list_tasks(db, &Scope::All, &filter, request).await
}

/// Outlines of all tasks of a project, by path and slug.
pub async fn task_outlines(
    db: &impl ConnectionTrait,
    project: &ProjectId,
) -> Result<Vec<TaskOutline>, StorageError> {
    outlines(db, project, None, &[]).await
}

/// Tasks of a project by path and slug, and the dependencies among them by dependent and
/// prerequisite.
pub async fn graph_rows(
    db: &impl ConnectionTrait,
    project: &ProjectId,
    prefix: Option<&str>,
    status: &[TaskStatus],
) -> Result<(Vec<TaskOutline>, Vec<task_dependencies::Model>), StorageError> {
    let tasks = outlines(db, project, prefix, status).await?;
    let mut edges = super::project_edges(db, project).await?;
    if prefix.is_some() || !status.is_empty() {
        let kept: std::collections::HashSet<&TaskId> = tasks.iter().map(|task| &task.id).collect();
        edges.retain(|edge| {
            kept.contains(&edge.depends_on_task_id) && kept.contains(&edge.dependent_task_id)
        });
    }
    Ok((tasks, edges))
}

/// How many tasks have each status; of one project, or of all.
pub async fn count_tasks_by_status(
    db: &impl ConnectionTrait,
    project: Option<&ProjectId>,
) -> Result<Vec<(TaskStatus, u64)>, StorageError> {
    match project {
        Some(project) => {
            row::count_by(
                db,
                "tasks",
                "status",
                "project_id = $1",
                [project.as_str().into()],
            )
            .await
        }
        None => row::count_by(db, "tasks", "status", "1 = 1", []).await,
    }
}

/// The same query with null in place of each body: bodies are large, and lists do not show them.
pub(super) fn without_body(select: Select<Entity>) -> Select<Entity> {
    let mut select = select.select_only();
    for column in Column::iter().filter(|column| !matches!(column, Column::Body)) {
        select = select.column(column);
    }
    select.expr_as(Expr::cust("cast(null as text)"), Column::Body.as_str())
}

/// Number of a priority, what comes first first; as in `hub_startable_tasks`.
pub(super) fn priority_rank(column: &str) -> String {
    format!(
        "case {column} when 'critical' then 0 when 'high' then 1 when 'medium' then 2 \
         when 'low' then 3 else 4 end"
    )
}

async fn outlines(
    db: &impl ConnectionTrait,
    project: &ProjectId,
    prefix: Option<&str>,
    status: &[TaskStatus],
) -> Result<Vec<TaskOutline>, StorageError> {
    let engine = Engine::of(db);
    let mut select = Entity::find().filter(Column::ProjectId.eq(project.clone()));
    if let Some(prefix) = prefix {
        select = select.filter(under(engine, prefix));
    }
    if !status.is_empty() {
        select = select.filter(Column::Status.is_in(status.iter().copied()));
    }
    let mut rows = select
        .select_only()
        .columns([
            Column::Id,
            Column::Slug,
            Column::Name,
            Column::Path,
            Column::Status,
            Column::Scope,
            Column::Risk,
            Column::Impact,
            Column::Level,
            Column::Priority,
            Column::DueAt,
        ])
        .into_model::<TaskOutline>()
        .all(db)
        .await?;
    // Rows without a path come first, as null sorts on neither engine by itself.
    rows.sort_by(|a, b| (&a.path, &a.slug).cmp(&(&b.path, &b.slug)));
    Ok(rows)
}

/// Whether a path is `prefix` or lies below it.
fn under(engine: Engine, prefix: &str) -> SimpleExpr {
    let path = column("tasks", "path");
    if prefix.is_empty() || prefix.ends_with('/') {
        return engine.in_prefix(path, prefix);
    }
    path.clone()
        .eq(prefix)
        .or(engine.in_prefix(path, &format!("{prefix}/")))
}

/// Whether a task has all, or one, of some labels; on SQLite always together with a project.
fn has_tags(engine: Engine, tags: &[String], all: bool) -> SimpleExpr {
    match (engine, all) {
        (Engine::Postgres, true) => {
            let wanted = serde_json::Value::from(tags.to_vec());
            column("tasks", "tags")
                .binary(sea_orm::sea_query::BinOper::Custom("@>"), Expr::val(wanted))
        }
        (Engine::Postgres, false) => column("tasks", "tags").binary(
            sea_orm::sea_query::BinOper::Custom("?|"),
            Expr::val(text_array(tags)),
        ),
        (Engine::Sqlite, true) => {
            let mut wanted: Vec<&String> = tags.iter().collect();
            wanted.sort_unstable();
            wanted.dedup();
            let number = i64::try_from(wanted.len()).unwrap_or(i64::MAX);
            let found = labels(tags)
                .expr(Expr::cust("count(distinct \"label\".\"value\")"))
                .to_owned();
            SimpleExpr::SubQuery(None, Box::new(found.into())).eq(number)
        }
        (Engine::Sqlite, false) => Expr::exists(labels(tags).expr(Expr::val(1)).to_owned()),
    }
}

/// The labels of a task that are among some.
fn labels(wanted: &[String]) -> sea_orm::sea_query::SelectStatement {
    let listed = Query::select()
        .column((Alias::new("wanted"), Alias::new("value")))
        .from_function(
            Func::cust("json_each").arg(Expr::val(json_array(wanted))),
            Alias::new("wanted"),
        )
        .to_owned();
    Query::select()
        .from_function(
            Func::cust("json_each").arg(column("tasks", "tags")),
            Alias::new("label"),
        )
        .and_where(column("label", "value").in_subquery(listed))
        .to_owned()
}

/// Keeps the short form of raw queries in one place.
pub(super) async fn rows_of(
    db: &impl ConnectionTrait,
    text: &str,
    values: Vec<sea_orm::Value>,
) -> Result<Vec<Model>, StorageError> {
    sql::all(db, text, values).await
}
