//! Queries of mappings and detections.

mod detections;

use alkhub_storage::coordination::{
    self, ActiveCounts, MappingChanges, MappingFilter, NewMapping, TaskFollows,
};
use alkhub_storage::enums::{MappingStatus, TaskStatus};
use alkhub_storage::ids::{
    AccountId, MappingId, ProjectId, SessionId, SpokeId, TaskId, WorkspaceId,
};
use alkhub_storage::json::Metadata;
use alkhub_storage::{Database, Mapping, PageRequest, Scope, StorageError, Task};

use crate::rows::{insert, world};
use crate::sql::{count, run, text};
use crate::support::on_each_engine;

fn mapping(session: &str, task: Option<&str>) -> NewMapping {
    NewMapping {
        session_id: SessionId::from(session),
        spoke_id: None,
        workspace_id: None,
        parent_session_id: None,
        task_id: task.map(TaskId::from),
        metadata: Metadata::new().with("phase", "preparing"),
    }
}

async fn create(db: &Database, new: NewMapping) -> Result<Mapping, StorageError> {
    let transaction = db.begin().await?;
    let mapping = coordination::create_mapping(&transaction, new).await?;
    transaction.commit().await?;
    Ok(mapping)
}

async fn end(
    db: &Database,
    id: &MappingId,
    to: MappingStatus,
    follows: TaskFollows,
) -> Result<(Mapping, Option<Task>), StorageError> {
    let transaction = db.begin().await?;
    let outcome = coordination::set_mapping_status(&transaction, id, to, follows).await?;
    transaction.commit().await?;
    Ok(outcome)
}

/// The world without its own mapping, and some free sessions.
async fn prepare(db: &Database) {
    run(db, &world()).await;
    run(db, "delete from mappings").await;
    for id in ["s1", "s2", "s3"] {
        run(db, &insert("sessions", id, &[])).await;
    }
}

async fn task_status(db: &Database, id: &str) -> String {
    text(db, &format!("select status from tasks where id = '{id}'"))
        .await
        .unwrap()
}

fn is_rule<T: std::fmt::Debug>(outcome: &Result<T, StorageError>, rule: &str) -> bool {
    matches!(outcome, Err(StorageError::Rule { name }) if name == rule)
}

#[tokio::test]
async fn a_mapping_is_made_with_the_slug_of_its_task() {
    on_each_engine(async |db| {
        prepare(&db).await;
        let made = create(&db, mapping("s1", Some("tasks"))).await.unwrap();
        assert_eq!(made.task_slug.as_deref(), Some("tasks"));
        assert_eq!(made.status, MappingStatus::Active);
        let found = coordination::mapping_by_id(db.reader(), &Scope::All, &made.id)
            .await
            .unwrap();
        assert_eq!(found.as_ref(), Some(&made));
        let stranger = Scope::account(AccountId::from("stranger"));
        let hidden = coordination::mapping_by_id(db.reader(), &stranger, &made.id)
            .await
            .unwrap();
        assert_eq!(hidden, None);
        let of_session = coordination::mapping_of_session(db.reader(), &SessionId::from("s1"))
            .await
            .unwrap();
        assert_eq!(of_session, Some(made));
    })
    .await;
}

#[tokio::test]
async fn a_session_and_a_task_have_one_active_mapping_at_most() {
    on_each_engine(async |db| {
        prepare(&db).await;
        let first = create(&db, mapping("s1", Some("tasks"))).await.unwrap();
        assert!(is_rule(
            &create(&db, mapping("s1", None)).await,
            "session_taken"
        ));
        assert!(is_rule(
            &create(&db, mapping("s2", Some("tasks"))).await,
            "task_taken"
        ));
        end(&db, &first.id, MappingStatus::Failed, TaskFollows::Same)
            .await
            .unwrap();
        let second = create(&db, mapping("s2", Some("tasks"))).await.unwrap();
        let tries = coordination::mappings_of_task(db.reader(), &TaskId::from("tasks"))
            .await
            .unwrap();
        assert_eq!(tries.len(), 2);
        let active = coordination::active_mapping_of_task(db.reader(), &TaskId::from("tasks"))
            .await
            .unwrap();
        assert_eq!(active.map(|mapping| mapping.id), Some(second.id));
    })
    .await;
}

#[tokio::test]
async fn of_a_hundred_spawns_of_one_task_one_wins() {
    on_each_engine(async |db| {
        prepare(&db).await;
        for number in 0..100 {
            run(&db, &insert("sessions", &format!("spawn {number}"), &[])).await;
        }
        let mut attempts = tokio::task::JoinSet::new();
        for number in 0..100 {
            let db: Database = (*db).clone();
            attempts.spawn(async move {
                create(&db, mapping(&format!("spawn {number}"), Some("tasks"))).await
            });
        }
        let outcomes = attempts.join_all().await;
        let won = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        let lost = outcomes
            .iter()
            .filter(|outcome| is_rule(outcome, "task_taken"))
            .count();
        assert_eq!((won, lost), (1, 99), "{outcomes:?}");
        assert_eq!(count(&db, "mappings", "status = 'active'").await, 1);
    })
    .await;
}

#[tokio::test]
async fn task_and_workspace_lie_in_the_project_of_the_session() {
    on_each_engine(async |db| {
        prepare(&db).await;
        run(&db, &insert("projects", "other", &[])).await;
        run(&db, &insert("tasks", "theirs", &[("project_id", "other")])).await;
        run(
            &db,
            &insert("workspaces", "elsewhere", &[("project_id", "other")]),
        )
        .await;
        assert!(is_rule(
            &create(&db, mapping("s1", Some("theirs"))).await,
            "other_project"
        ));
        let elsewhere = NewMapping {
            workspace_id: Some(WorkspaceId::from("elsewhere")),
            ..mapping("s1", None)
        };
        assert!(is_rule(&create(&db, elsewhere).await, "other_project"));
        assert!(matches!(
            create(&db, mapping("s1", Some("none"))).await,
            Err(StorageError::NotFound)
        ));
        assert!(matches!(
            create(&db, mapping("none", None)).await,
            Err(StorageError::NotFound)
        ));

        let made = create(&db, mapping("s1", None)).await.unwrap();
        let transaction = db.begin().await.unwrap();
        let changes = MappingChanges {
            workspace_id: Some(WorkspaceId::from("elsewhere")),
            ..MappingChanges::default()
        };
        let moved = coordination::update_mapping(&transaction, &made.id, changes).await;
        assert!(is_rule(&moved, "other_project"));
    })
    .await;
}

#[tokio::test]
async fn notes_and_place_of_a_mapping_change_while_it_runs() {
    on_each_engine(async |db| {
        prepare(&db).await;
        let made = create(&db, mapping("s1", None)).await.unwrap();
        let mut notes = serde_json::Map::new();
        notes.insert("phase".to_owned(), "running".into());
        let transaction = db.begin().await.unwrap();
        let changes = MappingChanges {
            spoke_id: Some(SpokeId::from("spokes")),
            workspace_id: Some(WorkspaceId::from("workspaces")),
            metadata: notes,
        };
        let changed = coordination::update_mapping(&transaction, &made.id, changes)
            .await
            .unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(changed.metadata.text("phase"), Some("running"));
        let on_spoke = coordination::mappings_of_spoke(
            db.reader(),
            &SpokeId::from("spokes"),
            Some(MappingStatus::Active),
        )
        .await
        .unwrap();
        assert_eq!(on_spoke, std::slice::from_ref(&changed));
        let there = coordination::mappings_of_workspace(
            db.reader(),
            &WorkspaceId::from("workspaces"),
            None,
        )
        .await
        .unwrap();
        assert_eq!(there, [changed]);
    })
    .await;
}

#[tokio::test]
async fn the_task_follows_its_mapping_in_one_commit() {
    on_each_engine(async |db| {
        let cases = [
            (
                "in-progress",
                MappingStatus::Completed,
                TaskFollows::Same,
                "completed",
            ),
            (
                "in-progress",
                MappingStatus::Failed,
                TaskFollows::Same,
                "failed",
            ),
            (
                "in-progress",
                MappingStatus::Aborted,
                TaskFollows::Same,
                "pending",
            ),
            (
                "in-progress",
                MappingStatus::Aborted,
                TaskFollows::To(TaskStatus::Failed),
                "failed",
            ),
            (
                "in-progress",
                MappingStatus::Aborted,
                TaskFollows::To(TaskStatus::Blocked),
                "blocked",
            ),
            (
                "in-progress",
                MappingStatus::Aborted,
                TaskFollows::Stays,
                "in-progress",
            ),
            (
                "blocked",
                MappingStatus::Failed,
                TaskFollows::Same,
                "failed",
            ),
            (
                "blocked",
                MappingStatus::Aborted,
                TaskFollows::Same,
                "pending",
            ),
            (
                "blocked",
                MappingStatus::Aborted,
                TaskFollows::To(TaskStatus::Blocked),
                "blocked",
            ),
            // Moved by somebody else already.
            (
                "pending",
                MappingStatus::Completed,
                TaskFollows::Same,
                "pending",
            ),
            (
                "failed",
                MappingStatus::Aborted,
                TaskFollows::Same,
                "failed",
            ),
        ];
        prepare(&db).await;
        for (from, to, follows, expected) in cases {
            run(&db, "delete from mappings").await;
            run(
                &db,
                &format!("update tasks set status = '{from}', completed_at = null"),
            )
            .await;
            let made = create(&db, mapping("s1", Some("tasks"))).await.unwrap();
            let (mapping, task) = end(&db, &made.id, to, follows).await.unwrap();
            let task = task.unwrap();
            assert_eq!(mapping.status, to);
            assert_eq!(task.status.as_str(), expected, "{from} {to} {follows:?}");
            assert_eq!(task_status(&db, "tasks").await, expected);
            assert_eq!(task.completed_at.is_some(), expected == "completed");
        }
    })
    .await;
}

#[tokio::test]
async fn a_blocked_task_is_not_completed_by_its_mapping() {
    on_each_engine(async |db| {
        prepare(&db).await;
        run(&db, "update tasks set status = 'blocked'").await;
        let made = create(&db, mapping("s1", Some("tasks"))).await.unwrap();
        let refused = end(&db, &made.id, MappingStatus::Completed, TaskFollows::Same).await;
        assert!(
            matches!(
                refused,
                Err(StorageError::IllegalTransition {
                    table: "tasks",
                    from: "blocked",
                    to: "completed"
                })
            ),
            "{refused:?}"
        );
        assert_eq!(task_status(&db, "tasks").await, "blocked");
        let still = coordination::active_mapping_of_session(db.reader(), &SessionId::from("s1"))
            .await
            .unwrap();
        assert_eq!(
            still.map(|mapping| mapping.updated_at),
            Some(made.updated_at)
        );
    })
    .await;
}

#[tokio::test]
async fn pairs_broken_by_hand_are_found_and_no_others() {
    on_each_engine(async |db| {
        prepare(&db).await;
        run(&db, "update tasks set status = 'in-progress'").await;
        let made = create(&db, mapping("s1", Some("tasks"))).await.unwrap();
        create(&db, mapping("s2", None)).await.unwrap();
        assert!(
            coordination::status_mismatches(db.reader())
                .await
                .unwrap()
                .is_empty()
        );
        for status in ["pending", "completed", "failed"] {
            run(
                &db,
                &format!("update tasks set status = '{status}' where id = 'tasks'"),
            )
            .await;
            let found = coordination::status_mismatches(db.reader()).await.unwrap();
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].0.id, made.id);
            assert_eq!(found[0].1.status.as_str(), status);
        }
    })
    .await;
}

#[tokio::test]
async fn children_come_with_session_and_task_and_counts_respect_limits() {
    on_each_engine(async |db| {
        prepare(&db).await;
        run(
            &db,
            "update sessions set account_id = 'accounts' where id in ('s1', 's2')",
        )
        .await;
        let child = |session: &str, task: Option<&str>| NewMapping {
            parent_session_id: Some(SessionId::from("sessions")),
            spoke_id: Some(SpokeId::from("spokes")),
            ..mapping(session, task)
        };
        let first = create(&db, child("s1", Some("tasks"))).await.unwrap();
        let second = create(&db, child("s2", None)).await.unwrap();
        create(&db, mapping("s3", None)).await.unwrap();

        let parent = SessionId::from("sessions");
        let children = coordination::children_of(db.reader(), &parent, None)
            .await
            .unwrap();
        let told: Vec<_> = children
            .iter()
            .map(|child| {
                (
                    child.session.id.as_str(),
                    child.task.as_ref().map(|task| task.id.as_str()),
                )
            })
            .collect();
        assert_eq!(told.len(), 2);
        assert!(told.contains(&("s1", Some("tasks"))) && told.contains(&("s2", None)));

        let counts = async || {
            coordination::active_counts(
                db.reader(),
                &ProjectId::from("projects"),
                Some(&SpokeId::from("spokes")),
                Some(&parent),
                Some(&AccountId::from("accounts")),
            )
            .await
            .unwrap()
        };
        assert_eq!(
            counts().await,
            ActiveCounts {
                project: 3,
                spoke: 2,
                parent: 2,
                account: 2
            }
        );
        end(&db, &second.id, MappingStatus::Aborted, TaskFollows::Same)
            .await
            .unwrap();
        assert_eq!(
            counts().await,
            ActiveCounts {
                project: 2,
                spoke: 1,
                parent: 1,
                account: 1
            }
        );

        let active = coordination::children_of(db.reader(), &parent, Some(MappingStatus::Active))
            .await
            .unwrap();
        assert_eq!(active.len(), 1);
        let loaded = coordination::load_mappings_of_tasks(db.reader(), &[TaskId::from("tasks")])
            .await
            .unwrap();
        assert_eq!(loaded[&TaskId::from("tasks")].id, first.id);
        let sessions = [
            SessionId::from("s1"),
            SessionId::from("s2"),
            SessionId::from("sessions"),
        ];
        let loaded = coordination::load_mappings_of_sessions(db.reader(), &sessions)
            .await
            .unwrap();
        assert_eq!(loaded.len(), 2);
        let mut by_status = coordination::count_mappings_by_status(db.reader(), &Scope::All, None)
            .await
            .unwrap();
        by_status.sort();
        assert_eq!(
            by_status,
            [(MappingStatus::Active, 2), (MappingStatus::Aborted, 1)]
        );
    })
    .await;
}

#[tokio::test]
async fn mappings_are_listed_by_what_they_belong_to() {
    on_each_engine(async |db| {
        prepare(&db).await;
        run(&db, &insert("projects", "other", &[])).await;
        run(
            &db,
            &insert("sessions", "theirs", &[("project_id", "other")]),
        )
        .await;
        let ours = create(&db, mapping("s1", Some("tasks"))).await.unwrap();
        create(&db, mapping("theirs", None)).await.unwrap();
        let list = async |filter: MappingFilter| {
            let page = PageRequest::default();
            let found = coordination::list_mappings(db.reader(), &Scope::All, &filter, &page)
                .await
                .unwrap();
            found
                .items
                .into_iter()
                .map(|mapping| mapping.session_id.to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(list(MappingFilter::default()).await.len(), 2);
        let project = Some(ProjectId::from("projects"));
        let filters = [
            MappingFilter {
                project_id: project,
                ..MappingFilter::default()
            },
            MappingFilter {
                task_id: Some(TaskId::from("tasks")),
                ..MappingFilter::default()
            },
            MappingFilter {
                session_id: Some(ours.session_id.clone()),
                ..MappingFilter::default()
            },
        ];
        for filter in filters {
            assert_eq!(list(filter).await, ["s1"]);
        }
        let none = MappingFilter {
            status: Some(MappingStatus::Failed),
            parent_session_id: Some(SessionId::from("s1")),
            spoke_id: Some(SpokeId::from("spokes")),
            ..MappingFilter::default()
        };
        assert!(list(none).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_reader_never_sees_a_completed_mapping_beside_a_task_in_progress() {
    on_each_engine(async |db| {
        prepare(&db).await;
        run(&db, "update tasks set status = 'in-progress'").await;
        let made = create(&db, mapping("s1", Some("tasks"))).await.unwrap();
        let transaction = db.begin().await.unwrap();
        coordination::set_mapping_status(
            &transaction,
            &made.id,
            MappingStatus::Completed,
            TaskFollows::Same,
        )
        .await
        .unwrap();
        let pair = "select mappings.status || ' ' || tasks.status
                    from mappings join tasks on tasks.id = mappings.task_id";
        assert_eq!(text(&db, pair).await.as_deref(), Some("active in-progress"));
        transaction.commit().await.unwrap();
        assert_eq!(
            text(&db, pair).await.as_deref(),
            Some("completed completed")
        );
    })
    .await;
}
