//! Tasks: rows, lists, dependencies, status, notes.

mod ready;
mod sync;

use alkhub_storage::enums::{MappingStatus, TaskPriority, TaskStatus};
use alkhub_storage::ids::{ProjectId, TaskId};
use alkhub_storage::json::{Metadata, StringList};
use alkhub_storage::tasks::{
    self, NOTES_MARK, NewDependency, NewTask, StatusChange, TaskChanges, TaskFilter,
};
use alkhub_storage::{Database, Order, PageRequest, Scope, StorageError, Task, time};
use chrono::TimeDelta;

use crate::sql::{count, run, text};
use crate::support::on_each_engine;
use crate::world::some_project;

pub(crate) fn new(project: &ProjectId, slug: &str) -> NewTask {
    NewTask {
        project_id: project.clone(),
        slug: slug.to_owned(),
        name: format!("Task {slug}"),
        ..NewTask::default()
    }
}

pub(crate) async fn task(db: &Database, project: &ProjectId, slug: &str) -> Task {
    tasks::create_task(db.writer(), new(project, slug))
        .await
        .unwrap()
}

fn slugs(tasks: &[Task]) -> Vec<&str> {
    tasks.iter().map(|task| task.slug.as_str()).collect()
}

#[tokio::test]
async fn a_task_is_made_found_changed_and_deleted() {
    on_each_engine(async |db| {
        let project = some_project(&db).await;
        let made = task(&db, &project, "a").await;
        let found = tasks::task_by_id(db.reader(), &Scope::All, &made.id)
            .await
            .unwrap();
        assert_eq!(found.as_ref(), Some(&made));
        let found = tasks::task_by_slug(db.reader(), &Scope::All, &project, "a")
            .await
            .unwrap();
        assert_eq!(found.as_ref(), Some(&made));
        let stranger = Scope::account("nobody".into());
        assert_eq!(
            tasks::task_by_id(db.reader(), &stranger, &made.id)
                .await
                .unwrap(),
            None
        );
        let twin = tasks::create_task(db.writer(), new(&project, "a"))
            .await
            .unwrap_err();
        assert!(twin.is_unique("unq_tasks_project_slug"), "{twin:?}");
        let other = some_project(&db).await;
        task(&db, &other, "a").await;
        let changes = TaskChanges {
            name: Some("Other".to_owned()),
            priority: Some(Some(TaskPriority::High)),
            tags: Some(StringList::from(vec!["x".to_owned()])),
            if_updated_at: Some(made.updated_at),
            ..TaskChanges::default()
        };
        let after = tasks::update_task(db.writer(), &made.id, changes.clone())
            .await
            .unwrap();
        assert_eq!(
            (after.name.as_str(), after.priority),
            ("Other", Some(TaskPriority::High))
        );
        assert_eq!(after.status, TaskStatus::Pending);
        let stale = tasks::update_task(db.writer(), &made.id, changes).await;
        assert!(matches!(stale, Err(StorageError::Stale)));
        let next = task(&db, &project, "b").await;
        let edge = NewDependency::new(made.id.clone(), next.id.clone());
        tasks::add_dependency(db.writer(), edge).await.unwrap();
        assert_eq!(tasks::delete_task(db.writer(), &made.id).await.unwrap(), 1);
        assert!(matches!(
            tasks::delete_task(db.writer(), &made.id).await,
            Err(StorageError::NotFound)
        ));
    })
    .await;
}

#[tokio::test]
async fn notes_stand_behind_one_mark_and_none_is_lost() {
    on_each_engine(async |db| {
        let project = some_project(&db).await;
        for (body, expected) in [
            (None, format!("{NOTES_MARK}\none\ntwo\n")),
            (Some("text"), format!("text\n{NOTES_MARK}\none\ntwo\n")),
            // The break before the mark is the mark's: what was written before stays as it was.
            (Some("text\n"), format!("text\n\n{NOTES_MARK}\none\ntwo\n")),
            (
                Some("text\n<!-- notes -->\nzero\n"),
                format!("text\n{NOTES_MARK}\nzero\none\ntwo\n"),
            ),
        ] {
            let made = NewTask {
                body: body.map(str::to_owned),
                ..new(&project, TaskId::random().as_str())
            };
            let made = tasks::create_task(db.writer(), made).await.unwrap();
            tasks::append_task_note(db.writer(), &made.id, "one\n")
                .await
                .unwrap();
            let after = tasks::append_task_note(db.writer(), &made.id, "two")
                .await
                .unwrap();
            assert_eq!(after.body, Some(expected));
            assert!(after.updated_at > made.updated_at);
        }
        let missing = tasks::append_task_note(db.writer(), &"none".into(), "x").await;
        assert!(matches!(missing, Err(StorageError::NotFound)));
    })
    .await;
}

#[tokio::test]
async fn a_dependency_closes_no_circle_and_stays_in_its_project() {
    on_each_engine(async |db| {
        let project = some_project(&db).await;
        let (a, b, c) = (
            task(&db, &project, "a").await,
            task(&db, &project, "b").await,
            task(&db, &project, "c").await,
        );
        let add = async |from: &Task, to: &Task| {
            tasks::add_dependency(
                db.writer(),
                NewDependency::new(from.id.clone(), to.id.clone()),
            )
            .await
        };
        add(&a, &b).await.unwrap();
        add(&b, &c).await.unwrap();
        let circle = add(&c, &a).await;
        assert!(matches!(&circle, Err(StorageError::Rule { name }) if name == "cycle"));
        let twin = add(&a, &b).await.unwrap_err();
        assert!(
            twin.is_unique("unq_task_dependencies_depends_on_task"),
            "{twin:?}"
        );
        let own = add(&a, &a).await;
        assert!(matches!(&own, Err(StorageError::Check { .. })), "{own:?}");
        let foreign = task(&db, &some_project(&db).await, "x").await;
        let foreign = add(&a, &foreign).await;
        assert!(matches!(&foreign, Err(StorageError::Rule { name }) if name == "other_project"));

        let before = tasks::dependencies(db.reader(), &[c.id.clone(), b.id.clone()])
            .await
            .unwrap();
        let names: Vec<&str> = before
            .iter()
            .map(|linked| linked.task.slug.as_str())
            .collect();
        assert_eq!(names, ["a", "b"]);
        let after = tasks::dependents(db.reader(), std::slice::from_ref(&a.id))
            .await
            .unwrap();
        assert_eq!(after[0].task.slug, "b");
        let loaded = tasks::load_dependencies(db.reader(), &[b.id.clone(), c.id.clone()])
            .await
            .unwrap();
        assert_eq!(
            (loaded.len(), loaded[&c.id][0].task.slug.as_str()),
            (2, "b")
        );
        let edges = tasks::project_edges(db.reader(), &project).await.unwrap();
        assert_eq!(edges.len(), 2);
        assert_eq!(edges[0].dependent_task_id, b.id);
        assert!(
            tasks::remove_dependency(db.writer(), &a.id, &b.id)
                .await
                .unwrap()
        );
        assert!(
            !tasks::remove_dependency(db.writer(), &a.id, &b.id)
                .await
                .unwrap()
        );
        add(&c, &a).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_status_is_followed_by_the_active_mapping() {
    on_each_engine(async |db| {
        run(&db, &crate::rows::world()).await;
        let id = TaskId::from("tasks");
        run(&db, "update mappings set task_id = 'tasks', task = 'tasks'").await;
        let to = async |status, reopen| {
            let transaction = db.begin().await.unwrap();
            let change = StatusChange { to: status, reopen };
            let done = tasks::update_task_status(&transaction, &id, change).await;
            transaction.commit().await.unwrap();
            done
        };
        use TaskStatus::{Blocked, Completed, InProgress, Pending};
        let (task, mapping) = to(InProgress, false).await.unwrap();
        let started = task.started_at.unwrap();
        assert_eq!(mapping.unwrap().status, MappingStatus::Active);
        to(Blocked, false).await.unwrap();
        let refused = to(Completed, false).await;
        assert!(matches!(
            refused,
            Err(StorageError::IllegalTransition { .. })
        ));
        to(InProgress, false).await.unwrap();
        let (task, mapping) = to(Completed, false).await.unwrap();
        assert_eq!(
            (task.started_at, task.completed_at.is_some()),
            (Some(started), true)
        );
        assert_eq!(mapping.unwrap().status, MappingStatus::Completed);
        let (same, mapping) = to(Completed, false).await.unwrap();
        assert_eq!((same.updated_at, mapping), (task.updated_at, None));
        assert!(to(Pending, false).await.is_err());
        let (task, _) = to(Pending, true).await.unwrap();
        assert_eq!((task.status, task.completed_at), (Pending, None));
        let counts = tasks::count_tasks_by_status(db.reader(), None)
            .await
            .unwrap();
        assert_eq!(counts.iter().map(|(_, number)| number).sum::<u64>(), 2);
    })
    .await;
}

#[tokio::test]
async fn tasks_are_listed_by_every_filter() {
    on_each_engine(async |db| {
        let project = some_project(&db).await;
        let due = time::now() + TimeDelta::days(1);
        let rows = [
            (
                "a",
                "src/a",
                TaskStatus::Pending,
                vec!["x", "y"],
                Some(due),
                Some("ada"),
            ),
            ("B", "src", TaskStatus::Completed, vec!["y"], None, None),
            (
                "c",
                "src2/c",
                TaskStatus::Blocked,
                vec![],
                Some(due - TimeDelta::hours(1)),
                None,
            ),
            (
                "d_",
                "src/A%",
                TaskStatus::Pending,
                vec!["x"],
                None,
                Some("ada"),
            ),
        ];
        for (slug, path, status, tags, due_at, assignee) in rows {
            let row = NewTask {
                path: Some(path.to_owned()),
                status,
                tags: tags.into_iter().collect(),
                due_at,
                assignee: assignee.map(str::to_owned),
                priority: (slug == "c").then_some(TaskPriority::Critical),
                body: Some("long".to_owned()),
                ..new(&project, slug)
            };
            tasks::create_task(db.writer(), row).await.unwrap();
        }
        let texts = |texts: &[&str]| -> Vec<String> {
            texts.iter().map(|text| (*text).to_owned()).collect()
        };
        let base = TaskFilter {
            project: Some(project.clone()),
            ..TaskFilter::default()
        };
        let listed = async |filter: &TaskFilter| {
            let request = PageRequest::default().in_order(Order::Asc);
            let page = tasks::list_tasks(db.reader(), &Scope::All, filter, &request)
                .await
                .unwrap();
            assert!(
                page.items.iter().all(|task| task.body.is_none()),
                "bodies are left out"
            );
            page.items
                .into_iter()
                .map(|task| task.slug)
                .collect::<Vec<_>>()
        };
        let prefix = |prefix: &str| TaskFilter {
            path_prefix: Some(prefix.to_owned()),
            ..base.clone()
        };
        for (filter, expected) in [
            (base.clone(), vec!["a", "B", "c", "d_"]),
            (
                TaskFilter {
                    status: vec![TaskStatus::Pending, TaskStatus::Blocked],
                    ..base.clone()
                },
                vec!["a", "c", "d_"],
            ),
            (prefix("src"), vec!["a", "B", "d_"]),
            (prefix("src/"), vec!["a", "d_"]),
            (prefix("src/A%"), vec!["d_"]),
            (prefix("s%c"), vec![]),
            (
                TaskFilter {
                    tags_all: texts(&["y", "x"]),
                    ..base.clone()
                },
                vec!["a"],
            ),
            (
                TaskFilter {
                    tags_any: texts(&["y", "x"]),
                    ..base.clone()
                },
                vec!["a", "B", "d_"],
            ),
            (
                TaskFilter {
                    tags_any: texts(&["z"]),
                    ..base.clone()
                },
                vec![],
            ),
            (
                TaskFilter {
                    assignee: Some("ada".to_owned()),
                    ..base.clone()
                },
                vec!["a", "d_"],
            ),
            (
                TaskFilter {
                    priority: Some(TaskPriority::Critical),
                    ..base.clone()
                },
                vec!["c"],
            ),
            (
                TaskFilter {
                    due_before: Some(due + TimeDelta::hours(1)),
                    ..base.clone()
                },
                vec!["c", "a"],
            ),
            (
                TaskFilter {
                    search: Some("TASK D_".to_owned()),
                    ..base.clone()
                },
                vec!["d_"],
            ),
            (
                TaskFilter {
                    search: Some("b".to_owned()),
                    ..base.clone()
                },
                vec!["B"],
            ),
        ] {
            assert_eq!(listed(&filter).await, expected, "{filter:?}");
        }
        let page = PageRequest::default();
        let under = tasks::tasks_under(db.reader(), &project, "src", &page)
            .await
            .unwrap();
        assert_eq!(
            slugs(&under.items),
            ["B", "d_", "a"],
            "by the bytes of the path"
        );
        let first = tasks::tasks_under(db.reader(), &project, "src", &PageRequest::first(1))
            .await
            .unwrap();
        let rest = PageRequest::first(2).after(first.next_cursor);
        let rest = tasks::tasks_under(db.reader(), &project, "src", &rest)
            .await
            .unwrap();
        assert_eq!(
            (slugs(&rest.items), rest.next_cursor),
            (vec!["d_", "a"], None)
        );
        let active = tasks::active_tasks(db.reader(), &project).await.unwrap();
        assert_eq!(slugs(&active), ["c", "a", "d_"]);
        let tags: Vec<String> = texts(&["x"]);
        let tagged = tasks::tasks_with_tags(db.reader(), &project, &tags, true, &page)
            .await
            .unwrap();
        assert_eq!(tagged.items.len(), 2);
        let pending = tasks::tasks_of_project(db.reader(), &project, &[TaskStatus::Pending], &page)
            .await
            .unwrap();
        assert_eq!(pending.items.len(), 2);
        let outlines = tasks::task_outlines(db.reader(), &project).await.unwrap();
        let order: Vec<&str> = outlines.iter().map(|task| task.slug.as_str()).collect();
        assert_eq!(order, ["B", "d_", "a", "c"]);
        let (some, edges) = tasks::graph_rows(db.reader(), &project, Some("src/"), &[])
            .await
            .unwrap();
        assert_eq!((some.len(), edges.len()), (2, 0));
    })
    .await;
}

#[tokio::test]
async fn a_due_list_is_paged_without_gaps() {
    on_each_engine(async |db| {
        let project = some_project(&db).await;
        let due = time::now();
        for n in 0..9 {
            // Three share each date, so that the id decides.
            let row = NewTask {
                due_at: Some(due + TimeDelta::hours(n / 3)),
                ..new(&project, &format!("t{n}"))
            };
            tasks::create_task(db.writer(), row).await.unwrap();
        }
        let filter = TaskFilter {
            due_before: Some(due + TimeDelta::days(1)),
            ..TaskFilter::default()
        };
        let mut request = PageRequest::first(2).in_order(Order::Asc);
        let mut seen = Vec::new();
        loop {
            let page = tasks::list_tasks(db.reader(), &Scope::All, &filter, &request)
                .await
                .unwrap();
            seen.extend(page.items.into_iter().map(|task| (task.due_at, task.id)));
            match page.next_cursor {
                Some(next) => request = request.after(Some(next)),
                None => break,
            }
        }
        assert_eq!(seen.len(), 9);
        assert!(seen.is_sorted());
    })
    .await;
}

#[tokio::test]
async fn a_task_is_ready_when_all_it_waits_for_is_completed() {
    on_each_engine(async |db| {
        let project = some_project(&db).await;
        let due = time::now();
        let make = async |slug: &str, status, priority, due_at| {
            let row = NewTask { status, priority, due_at, ..new(&project, slug) };
            tasks::create_task(db.writer(), row).await.unwrap()
        };
        use TaskStatus::{Completed, InProgress, Pending};
        let done = make("done", Completed, None, None).await;
        let running = make("running", InProgress, None, None).await;
        let waits = make("waits", Pending, Some(TaskPriority::Critical), None).await;
        let plain = make("plain", Pending, None, None).await;
        make("low", Pending, Some(TaskPriority::Low), None).await;
        make("late", Pending, Some(TaskPriority::High), Some(due + TimeDelta::days(1))).await;
        make("soon", Pending, Some(TaskPriority::High), Some(due)).await;
        make("never", Pending, Some(TaskPriority::High), None).await;
        make("Again", Pending, Some(TaskPriority::High), None).await;
        let edges = vec![
            NewDependency::new(done.id.clone(), plain.id.clone()),
            NewDependency::new(done.id.clone(), waits.id.clone()),
            NewDependency::new(running.id.clone(), waits.id.clone()),
        ];
        tasks::insert_dependencies(db.writer(), edges).await.unwrap();
        let ready = async |exclude, limit| {
            tasks::ready_tasks(db.reader(), &project, exclude, limit).await.unwrap()
        };
        let all = ready(true, None).await;
        assert_eq!(slugs(&all), ["soon", "late", "Again", "never", "low", "plain"]);
        assert_eq!(slugs(&ready(true, Some(2)).await), ["soon", "late"]);
        run(
            &db,
            &format!(
                "insert into sessions (id, project_id, slug, title) values ('s', '{project}', 's', 's');
                 insert into mappings (id, session_id, task_id) values ('m', 's', '{}')",
                plain.id
            ),
        )
        .await;
        assert_eq!(ready(true, None).await.len(), 5);
        assert_eq!(ready(false, None).await.len(), 6);
    })
    .await;
}

#[tokio::test]
async fn many_rows_are_written_by_few_statements() {
    on_each_engine(async |db| {
        let project = some_project(&db).await;
        let rows: Vec<NewTask> = (0..250)
            .map(|n| new(&project, &format!("t{n:03}")))
            .collect();
        assert_eq!(
            tasks::insert_tasks(db.writer(), rows.clone())
                .await
                .unwrap(),
            250
        );
        let mut changed = rows;
        for row in &mut changed {
            row.status = TaskStatus::Completed;
            row.name = "changed".to_owned();
            row.metadata = Metadata::new().with("files", 1);
        }
        tasks::upsert_tasks(db.writer(), changed).await.unwrap();
        assert_eq!(
            count(&db, "tasks", "name = 'changed' and status = 'pending'").await,
            250
        );
        let ids: Vec<TaskId> = tasks::task_outlines(db.reader(), &project)
            .await
            .unwrap()
            .into_iter()
            .map(|task| task.id)
            .collect();
        let notes = ids
            .iter()
            .map(|id| (id.clone(), Metadata::new().with("n", id.as_str())));
        let notes: Vec<(TaskId, Metadata)> = notes.collect();
        assert_eq!(
            tasks::set_task_metadata(db.writer(), notes).await.unwrap(),
            250
        );
        let one = tasks::tasks_by_ids(db.reader(), &ids[..1])
            .await
            .unwrap()
            .remove(0);
        assert_eq!(one.metadata.text("n"), Some(ids[0].as_str()));
        let edges = ids
            .windows(2)
            .map(|pair| NewDependency::new(pair[0].clone(), pair[1].clone()));
        assert_eq!(
            tasks::insert_dependencies(db.writer(), edges.collect())
                .await
                .unwrap(),
            249
        );
        let edges = tasks::project_edges(db.reader(), &project).await.unwrap();
        let gone: Vec<_> = edges.iter().take(9).map(|edge| edge.id.clone()).collect();
        assert_eq!(
            tasks::delete_dependencies(db.writer(), &gone)
                .await
                .unwrap(),
            9
        );
        assert_eq!(
            tasks::delete_tasks(db.writer(), &ids[..50]).await.unwrap(),
            50
        );
        let left = text(&db, "select cast(count(*) as text) from tasks").await;
        assert_eq!(left.as_deref(), Some("200"));
    })
    .await;
}
