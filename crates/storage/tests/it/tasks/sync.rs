//! Files become tasks.

use alkhub_storage::enums::TaskStatus;
use alkhub_storage::ids::ProjectId;
use alkhub_storage::json::{Metadata, StringList};
use alkhub_storage::tasks::{self, NewDependency, StatusChange, SyncOptions, SyncReport, TaskFile};
use alkhub_storage::{Database, Scope, Task, time};

use crate::support::on_each_engine;
use crate::world::some_project;

fn file(slug: &str, depends_on: &[&str]) -> TaskFile {
    TaskFile {
        slug: slug.to_owned(),
        name: format!("Task {slug}"),
        path: Some(format!("tasks/{slug}")),
        tags: StringList::from(vec!["t".to_owned()]),
        body: Some(format!("# {slug}\n")),
        depends_on: depends_on.iter().map(|slug| (*slug).to_owned()).collect(),
        ..TaskFile::default()
    }
}

async fn sync(db: &Database, project: &ProjectId, files: Vec<TaskFile>, prune: bool) -> SyncReport {
    let transaction = db.begin().await.unwrap();
    let report = tasks::sync_tasks(&transaction, project, files, SyncOptions { prune })
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    report
}

async fn row(db: &Database, project: &ProjectId, slug: &str) -> Task {
    tasks::task_by_slug(db.reader(), &Scope::All, project, slug)
        .await
        .unwrap()
        .unwrap()
}

#[tokio::test]
async fn new_files_become_tasks_with_their_dependencies() {
    on_each_engine(async |db| {
        let project = some_project(&db).await;
        let mut begun = file("b", &["a", "nowhere"]);
        begun.status = Some(TaskStatus::InProgress);
        begun.file_modified_at = Some(time::now());
        let report = sync(&db, &project, vec![file("a", &[]), begun.clone()], false).await;
        assert_eq!(report.inserted, ["a", "b"]);
        assert_eq!((report.updated.len(), report.unchanged), (0, 0));
        assert_eq!(report.missing.len(), 1);
        let b = row(&db, &project, "b").await;
        assert_eq!(
            (b.status, b.started_at),
            (TaskStatus::InProgress, begun.file_modified_at)
        );
        assert_eq!(b.metadata["missing"], serde_json::json!(["nowhere"]));
        let linked = tasks::dependencies(db.reader(), &[b.id]).await.unwrap();
        assert_eq!(linked[0].task.slug, "a");
    })
    .await;
}

#[tokio::test]
async fn sync_never_overwrites_status() {
    on_each_engine(async |db| {
        let project = some_project(&db).await;
        sync(&db, &project, vec![file("a", &[])], false).await;
        let a = row(&db, &project, "a").await;
        let change = StatusChange {
            to: TaskStatus::InProgress,
            reopen: false,
        };
        let (moved, _) = tasks::update_task_status(db.writer(), &a.id, change)
            .await
            .unwrap();
        let mut again = file("a", &[]);
        again.name = "Other".to_owned();
        again.status = Some(TaskStatus::Pending);
        let report = sync(&db, &project, vec![again.clone()], false).await;
        assert_eq!(report.updated, ["a"]);
        let after = row(&db, &project, "a").await;
        assert_eq!((after.id, after.name.as_str()), (a.id, "Other"));
        assert_eq!(
            (after.status, after.started_at),
            (moved.status, moved.started_at)
        );
        assert!(after.updated_at > moved.updated_at);
        let report = sync(&db, &project, vec![again], false).await;
        assert_eq!((report.updated.len(), report.unchanged), (0, 1));
        assert_eq!(row(&db, &project, "a").await.updated_at, after.updated_at);
    })
    .await;
}

#[tokio::test]
async fn the_dependencies_of_a_file_replace_those_of_its_task() {
    on_each_engine(async |db| {
        let project = some_project(&db).await;
        let files = vec![file("a", &[]), file("b", &[]), file("c", &["a"])];
        sync(&db, &project, files, false).await;
        let (a, b, c) = (
            row(&db, &project, "a").await,
            row(&db, &project, "b").await,
            row(&db, &project, "c").await,
        );
        tasks::remove_dependency(db.writer(), &a.id, &c.id)
            .await
            .unwrap();
        let tuned = NewDependency {
            quality_retention: Some(0.5),
            ..NewDependency::new(a.id.clone(), c.id.clone())
        };
        tasks::add_dependency(db.writer(), tuned).await.unwrap();
        let report = sync(&db, &project, vec![file("c", &["a", "b"])], false).await;
        assert_eq!(report.updated, ["c"]);
        assert_eq!(report.gone, ["a", "b"]);
        let linked = tasks::dependencies(db.reader(), std::slice::from_ref(&c.id))
            .await
            .unwrap();
        let kept: Vec<(&str, Option<f64>)> = linked
            .iter()
            .map(|linked| (linked.task.slug.as_str(), linked.edge.quality_retention))
            .collect();
        assert_eq!(
            kept,
            [("a", Some(0.5)), ("b", None)],
            "a surviving retention is kept"
        );
        sync(&db, &project, vec![file("c", &["b"])], false).await;
        let linked = tasks::dependencies(db.reader(), &[c.id]).await.unwrap();
        assert_eq!(linked.len(), 1);
        assert_eq!(linked[0].edge.depends_on_task_id, b.id);
    })
    .await;
}

#[tokio::test]
async fn what_was_missing_is_linked_once_it_is_there() {
    on_each_engine(async |db| {
        let project = some_project(&db).await;
        sync(&db, &project, vec![file("a", &["b", "x"])], false).await;
        let report = sync(&db, &project, vec![file("b", &[])], false).await;
        assert_eq!(
            (report.inserted, report.updated),
            (vec!["b".into()], vec!["a".into()])
        );
        assert_eq!(report.missing.len(), 1);
        let a = row(&db, &project, "a").await;
        assert_eq!(a.metadata["missing"], serde_json::json!(["x"]));
        let linked = tasks::dependencies(db.reader(), &[a.id]).await.unwrap();
        assert_eq!(linked[0].task.slug, "b");
        sync(&db, &project, vec![file("a", &["b"])], false).await;
        assert!(
            row(&db, &project, "a")
                .await
                .metadata
                .get("missing")
                .is_none()
        );
    })
    .await;
}

#[tokio::test]
async fn pending_tasks_whose_file_is_gone_are_pruned_when_asked() {
    on_each_engine(async |db| {
        let project = some_project(&db).await;
        let mut done = file("done", &[]);
        done.status = Some(TaskStatus::Completed);
        sync(
            &db,
            &project,
            vec![file("a", &[]), file("b", &["a"]), done],
            false,
        )
        .await;
        super::task(&db, &project, "by-hand").await;
        let report = sync(&db, &project, vec![file("b", &["a"])], false).await;
        assert_eq!(
            (report.gone, report.pruned),
            (vec!["a".into(), "done".into()], vec![])
        );
        let report = sync(&db, &project, vec![file("b", &["a"])], true).await;
        assert_eq!(
            (report.gone, report.pruned),
            (vec!["done".into()], vec!["a".into()])
        );
        assert_eq!(
            report.missing.len(),
            1,
            "a pruned task is no prerequisite any more"
        );
        assert_eq!(report.updated, ["b"]);
        assert!(row(&db, &project, "done").await.completed_at.is_some());
        row(&db, &project, "by-hand").await;
    })
    .await;
}

#[tokio::test]
async fn notes_survive_another_text_and_do_not_count_as_a_change() {
    on_each_engine(async |db| {
        let project = some_project(&db).await;
        sync(&db, &project, vec![file("a", &[])], false).await;
        let a = row(&db, &project, "a").await;
        tasks::append_task_note(db.writer(), &a.id, "seen")
            .await
            .unwrap();
        let report = sync(&db, &project, vec![file("a", &[])], false).await;
        assert_eq!(report.unchanged, 1);
        let mut other = file("a", &[]);
        other.body = Some("new text".to_owned());
        other.metadata = Metadata::new().with("frontmatter", "x: 1");
        sync(&db, &project, vec![other], false).await;
        let after = row(&db, &project, "a").await;
        assert_eq!(
            after.body.as_deref(),
            Some("new text\n<!-- notes -->\nseen\n")
        );
        assert_eq!(after.metadata.text("frontmatter"), Some("x: 1"));
    })
    .await;
}

#[tokio::test]
async fn a_large_directory_is_brought_in_at_once_and_again_without_a_write() {
    on_each_engine(async |db| {
        let project = some_project(&db).await;
        let files: Vec<TaskFile> = (0..1_300)
            .map(|n: u32| {
                let depends: Vec<String> = (1..=3)
                    .filter_map(|back| n.checked_sub(back * 7))
                    .map(|m| format!("t{m}"))
                    .collect();
                let depends: Vec<&str> = depends.iter().map(String::as_str).collect();
                file(&format!("t{n}"), &depends)
            })
            .collect();
        let report = sync(&db, &project, files.clone(), false).await;
        assert_eq!(report.inserted.len(), 1_300);
        let edges = tasks::project_edges(db.reader(), &project).await.unwrap();
        assert_eq!(edges.len(), 3 * 1_300 - 7 - 14 - 21);
        let report = sync(&db, &project, files, false).await;
        assert_eq!((report.unchanged, report.updated.len()), (1_300, 0));
        assert_eq!(
            tasks::project_edges(db.reader(), &project).await.unwrap(),
            edges
        );
    })
    .await;
}
