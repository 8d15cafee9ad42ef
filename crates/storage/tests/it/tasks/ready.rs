//! Ready tasks are those of the definition, whatever was changed, in whatever order, by whomever.

use alkhub_storage::enums::{TaskPriority, TaskStatus};
use alkhub_storage::ids::{ProjectId, TaskId};
use alkhub_storage::tasks::{self, NewDependency, NewTask, StatusChange};
use alkhub_storage::testing::TestDatabase;
use alkhub_storage::{Database, Engine, projects, time};
use chrono::TimeDelta;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use super::{new, task};
use crate::sql::{execute, texts};
use crate::world::some_project;

/// Tasks of a random project.
const TASKS: usize = 7;

#[derive(Debug, Clone)]
enum Step {
    /// New tasks, or other priorities and due dates for old ones, as an import writes them.
    Upsert(Vec<(usize, usize, usize, usize)>),
    /// A change of status by the rules.
    Move(usize, usize),
    /// Changes of status by hand-written SQL, several tasks at once.
    Force(Vec<usize>, usize),
    Rename(usize, usize),
    Depend(Vec<(usize, usize)>),
    Independ(Vec<(usize, usize)>),
    Delete(Vec<usize>),
    DeleteProject,
    /// The steps happen and are undone.
    Undone(Vec<Step>),
}

fn step() -> impl Strategy<Value = Step> {
    let task = 0..TASKS;
    let some = prop::collection::btree_set(0..TASKS, 1..4)
        .prop_map(|set| set.into_iter().collect::<Vec<_>>());
    let edges = prop::collection::btree_set((0..TASKS, 0..TASKS), 1..5)
        .prop_map(|set| set.into_iter().filter(|(a, b)| a != b).collect::<Vec<_>>());
    let rows = prop::collection::btree_map(0..TASKS, (0..5_usize, 0..5_usize, 0..3_usize), 1..6)
        .prop_map(|map| {
            map.into_iter()
                .map(|(task, (status, priority, due))| (task, status, priority, due))
                .collect::<Vec<_>>()
        });
    let plain = prop_oneof![
        4 => rows.prop_map(Step::Upsert),
        4 => (task.clone(), 0..5_usize).prop_map(|(task, to)| Step::Move(task, to)),
        3 => (some.clone(), 0..5_usize).prop_map(|(tasks, to)| Step::Force(tasks, to)),
        1 => (task.clone(), task).prop_map(|(task, to)| Step::Rename(task, to)),
        5 => edges.clone().prop_map(Step::Depend),
        2 => edges.prop_map(Step::Independ),
        1 => some.prop_map(Step::Delete),
    ];
    prop_oneof![
        20 => plain.clone(),
        1 => Just(Step::DeleteProject),
        2 => prop::collection::vec(plain, 1..4).prop_map(Step::Undone),
    ]
}

#[test]
fn ready_tasks_are_those_of_the_definition_after_any_changes() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let config = Config {
            cases: if std::env::var_os("ALKHUB_TEST_LONG").is_some() {
                200
            } else {
                16
            },
            failure_persistence: None,
            ..Config::default()
        };
        TestRunner::new(config)
            .run(&prop::collection::vec(step(), 10..60), |steps| {
                runtime.block_on(async {
                    let database = match engine {
                        Engine::Sqlite => TestDatabase::sqlite().await,
                        Engine::Postgres => TestDatabase::postgres().await,
                    };
                    let wrong = first_difference(&database, &steps).await;
                    database.remove().await;
                    match wrong {
                        Some(wrong) => Err(TestCaseError::fail(format!("{engine}: {wrong}"))),
                        None => Ok(()),
                    }
                })
            })
            .unwrap();
    }
}

/// The first step after which the two answers differ.
async fn first_difference(db: &Database, steps: &[Step]) -> Option<String> {
    let mut project = some_project(db).await;
    for step in steps {
        match step {
            Step::DeleteProject => {
                projects::delete_project(db.writer(), &project)
                    .await
                    .unwrap();
                let left = texts(db, "select task_id from hub_ready_tasks").await;
                if !left.is_empty() {
                    return Some(format!("{left:?} outlive their project"));
                }
                project = some_project(db).await;
            }
            Step::Undone(steps) => {
                let transaction = db.begin().await.unwrap();
                for step in steps {
                    // A refused statement ends the transaction on PostgreSQL.
                    if apply(&transaction, &project, step).await.is_err() {
                        break;
                    }
                }
                transaction.rollback().await.unwrap();
            }
            plain => {
                let transaction = db.begin().await.unwrap();
                match apply(&transaction, &project, plain).await {
                    Ok(()) => transaction.commit().await.unwrap(),
                    Err(_) => transaction.rollback().await.unwrap(),
                }
            }
        }
        let found: Vec<Option<String>> = tasks::ready_tasks(db.reader(), &project, false, None)
            .await
            .unwrap()
            .into_iter()
            .map(|task| Some(task.id.into_string()))
            .collect();
        let defined = by_definition(db, &project).await;
        if found != defined {
            return Some(format!("{step:?}\nfound   {found:?}\ndefined {defined:?}"));
        }
    }
    None
}

async fn apply(
    db: &impl sea_orm::ConnectionTrait,
    project: &ProjectId,
    step: &Step,
) -> Result<(), alkhub_storage::StorageError> {
    let statuses = TaskStatus::ALL;
    match step {
        Step::Upsert(rows) => {
            let due = |days: usize| {
                let days = i64::try_from(days).unwrap();
                (days > 0)
                    .then(|| time::parse("2027-01-01T00:00:00Z").unwrap() + TimeDelta::days(days))
            };
            let rows = rows
                .iter()
                .map(|(task, status, priority, days)| NewTask {
                    id: Some(id(project, *task)),
                    status: statuses[*status],
                    priority: TaskPriority::ALL.get(*priority).copied(),
                    due_at: due(*days),
                    ..new(project, &format!("t{task}"))
                })
                .collect();
            tasks::upsert_tasks(db, rows).await?;
        }
        Step::Move(task, to) => {
            let change = StatusChange {
                to: statuses[*to],
                reopen: true,
            };
            tasks::update_task_status(db, &id(project, *task), change).await?;
        }
        Step::Force(some, to) => {
            let ids: Vec<String> = some
                .iter()
                .map(|task| format!("'{}'", id(project, *task)))
                .collect();
            let text = format!(
                "update tasks set status = '{}' where id in ({})",
                statuses[*to],
                ids.join(", ")
            );
            db.execute_unprepared(&text).await?;
        }
        Step::Rename(task, to) => {
            let changes = tasks::TaskChanges {
                slug: Some(format!("T{to}")),
                ..tasks::TaskChanges::default()
            };
            tasks::update_task(db, &id(project, *task), changes).await?;
        }
        Step::Depend(edges) => {
            let edges = edges
                .iter()
                .map(|(from, to)| NewDependency::new(id(project, *from), id(project, *to)))
                .collect();
            tasks::insert_dependencies(db, edges).await?;
        }
        Step::Independ(edges) => {
            for (from, to) in edges {
                tasks::remove_dependency(db, &id(project, *from), &id(project, *to)).await?;
            }
        }
        Step::Delete(some) => {
            let ids: Vec<TaskId> = some.iter().map(|task| id(project, *task)).collect();
            tasks::delete_tasks(db, &ids).await?;
        }
        Step::DeleteProject | Step::Undone(_) => unreachable!("not within a transaction"),
    }
    Ok(())
}

fn id(project: &ProjectId, task: usize) -> TaskId {
    TaskId::from(format!("{project}-{task}"))
}

/// Ids of ready tasks in their order, as the definition has it.
async fn by_definition(db: &Database, project: &ProjectId) -> Vec<Option<String>> {
    let collate = match db.engine() {
        Engine::Sqlite => "",
        Engine::Postgres => " collate \"C\"",
    };
    let text = format!(
        "select t.id from tasks t
         where t.project_id = '{project}' and t.status = 'pending'
            and not exists (
                select 1 from task_dependencies d join tasks p on p.id = d.depends_on_task_id
                where d.dependent_task_id = t.id and p.status <> 'completed')
         order by case t.priority when 'critical' then 0 when 'high' then 1 when 'medium' then 2
            when 'low' then 3 else 4 end, t.due_at is null, t.due_at, t.slug{collate}"
    );
    texts(db, &text).await
}

/// On PostgreSQL transactions overlap: none sees what the other has not committed.
#[tokio::test]
async fn the_last_two_prerequisites_completed_at_once_make_a_task_ready() {
    let database = TestDatabase::postgres().await;
    let db: &Database = &database;
    let project = some_project(db).await;
    let (first, second, waiting) = (
        task(db, &project, "first").await,
        task(db, &project, "second").await,
        task(db, &project, "waiting").await,
    );
    let edges = vec![
        NewDependency::new(first.id.clone(), waiting.id.clone()),
        NewDependency::new(second.id.clone(), waiting.id.clone()),
    ];
    tasks::insert_dependencies(db.writer(), edges)
        .await
        .unwrap();
    let complete = |id: &TaskId| format!("update tasks set status = 'completed' where id = '{id}'");
    overlap(db, &complete(&first.id), &complete(&second.id)).await;
    assert_eq!(ready(db, &project).await, ["waiting"]);
    database.remove().await;
}

#[tokio::test]
async fn a_dependency_made_while_its_prerequisite_is_completed_does_not_block() {
    let database = TestDatabase::postgres().await;
    let db: &Database = &database;
    let project = some_project(db).await;
    let (first, waiting) = (
        task(db, &project, "first").await,
        task(db, &project, "waiting").await,
    );
    let complete = format!(
        "update tasks set status = 'completed' where id = '{}'",
        first.id
    );
    let depend = format!(
        "insert into task_dependencies (id, depends_on_task_id, dependent_task_id)
         values ('e', '{}', '{}')",
        first.id, waiting.id
    );
    overlap(db, &complete, &depend).await;
    assert_eq!(ready(db, &project).await, ["waiting"]);
    execute(db, "delete from task_dependencies").await.unwrap();
    let again = format!(
        "update tasks set status = 'pending' where id = '{}'",
        first.id
    );
    execute(db, &again).await.unwrap();
    overlap(db, &depend, &complete).await;
    assert_eq!(ready(db, &project).await, ["waiting"]);
    database.remove().await;
}

async fn ready(db: &Database, project: &ProjectId) -> Vec<String> {
    let ready = tasks::ready_tasks(db.reader(), project, false, None).await;
    ready.unwrap().into_iter().map(|task| task.slug).collect()
}

/// Begins the second statement before the first is committed, and commits both.
async fn overlap(db: &Database, first: &str, second: &str) {
    use sea_orm::ConnectionTrait as _;
    let one = db.begin().await.unwrap();
    one.execute_unprepared(first).await.unwrap();
    let other = db.begin().await.unwrap();
    let both = async {
        other.execute_unprepared(second).await.unwrap();
        other.commit().await.unwrap();
    };
    let commit = async {
        // The other one waits by now, or has not seen what is not committed.
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        one.commit().await.unwrap();
    };
    tokio::join!(both, commit);
}
