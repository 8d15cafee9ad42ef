//! Queries of sessions.

mod copy;
mod messages;
mod parts;
mod search;

use alkhub_storage::enums::SessionStatus;
use alkhub_storage::ids::{AccountId, ProjectId, SessionId, WorkspaceId};
use alkhub_storage::json::{Metadata, SessionData};
use alkhub_storage::sessions::{self, NewSession, SessionChanges, SessionFilter};
use alkhub_storage::{Database, Limits, PageRequest, Scope, Session, StorageError, time};
use chrono::Duration;
use serde_json::{Map, json};

use crate::rows::{insert, world};
use crate::sql::{count, run};
use crate::support::on_each_engine;

fn new_session(title: &str) -> NewSession {
    NewSession {
        account_id: None,
        project_id: ProjectId::from("projects"),
        workspace_id: None,
        parent_id: None,
        title: title.to_owned(),
        role_name: None,
        data: SessionData::default(),
        metadata: Metadata::new(),
    }
}

async fn create(db: &Database, new: NewSession, slugs: &[&str]) -> Result<Session, StorageError> {
    let slugs: Vec<String> = slugs.iter().map(|slug| (*slug).to_owned()).collect();
    let transaction = db.begin().await?;
    let session = sessions::create_session(&transaction, new, &slugs).await?;
    transaction.commit().await?;
    Ok(session)
}

async fn set_status(
    db: &Database,
    id: &SessionId,
    from: SessionStatus,
    to: SessionStatus,
    notes: serde_json::Value,
) -> Result<bool, StorageError> {
    let notes = notes.as_object().cloned().unwrap_or_default();
    sessions::set_session_status(db.writer(), id, from, to, notes).await
}

async fn get(db: &Database, id: &SessionId) -> Session {
    sessions::session_by_id(db.reader(), &Scope::All, id)
        .await
        .unwrap()
        .unwrap()
}

#[tokio::test]
async fn the_first_free_slug_is_taken_inside_one_transaction() {
    on_each_engine(async |db| {
        run(&db, &world()).await;
        let first = create(&db, new_session("Fix it"), &["fix-it"])
            .await
            .unwrap();
        assert_eq!(
            (first.slug.as_str(), first.status),
            ("fix-it", SessionStatus::Idle)
        );
        let second = create(&db, new_session("Fix it"), &["fix-it", "fix-it-2k"])
            .await
            .unwrap();
        assert_eq!(second.slug, "fix-it-2k");
        let third = create(&db, new_session("Fix it"), &["fix-it"]).await;
        assert!(third.is_err_and(|error| error.is_unique("unq_sessions_slug")));
        let found = sessions::session_by_slug(db.reader(), &Scope::All, "fix-it")
            .await
            .unwrap();
        assert_eq!(found, Some(first));
    })
    .await;
}

#[tokio::test]
async fn a_workspace_of_another_project_is_refused() {
    on_each_engine(async |db| {
        run(&db, &world()).await;
        run(&db, &insert("projects", "other", &[])).await;
        run(
            &db,
            &insert("workspaces", "elsewhere", &[("project_id", "other")]),
        )
        .await;
        let elsewhere = Some(WorkspaceId::from("elsewhere"));
        let new = NewSession {
            workspace_id: elsewhere.clone(),
            ..new_session("x")
        };
        let refused = create(&db, new, &["x"]).await;
        assert!(matches!(&refused, Err(StorageError::Rule { name }) if name == "other_project"));

        let transaction = db.begin().await.unwrap();
        let changes = SessionChanges {
            workspace_id: Some(elsewhere),
            ..SessionChanges::default()
        };
        let refused =
            sessions::update_session(&transaction, &SessionId::from("sessions"), changes).await;
        assert!(matches!(&refused, Err(StorageError::Rule { name }) if name == "other_project"));
    })
    .await;
}

#[tokio::test]
async fn title_slug_workspace_and_notes_change_only_on_the_version_that_was_read() {
    on_each_engine(async |db| {
        run(&db, &world()).await;
        let made = create(&db, new_session("Old"), &["old"]).await.unwrap();
        let changes = SessionChanges {
            title: Some("New".to_owned()),
            slug: Some("new".to_owned()),
            workspace_id: Some(Some(WorkspaceId::from("workspaces"))),
            metadata: Map::from_iter([("interrupted".to_owned(), true.into())]),
            if_updated_at: Some(made.updated_at),
            ..SessionChanges::default()
        };
        let transaction = db.begin().await.unwrap();
        let changed = sessions::update_session(&transaction, &made.id, changes.clone())
            .await
            .unwrap();
        let stale = sessions::update_session(&transaction, &made.id, changes).await;
        assert!(matches!(stale, Err(StorageError::Stale)));
        transaction.commit().await.unwrap();
        assert_eq!(
            (changed.title.as_str(), changed.slug.as_str()),
            ("New", "new")
        );
        assert_eq!(changed.workspace_id, Some(WorkspaceId::from("workspaces")));
        assert_eq!(get(&db, &made.id).await, changed);

        let transaction = db.begin().await.unwrap();
        let taken = SessionChanges {
            slug: Some("sessions".to_owned()),
            ..SessionChanges::default()
        };
        let refused = sessions::update_session(&transaction, &made.id, taken).await;
        assert!(refused.is_err_and(|error| error.is_unique("unq_sessions_slug")));
    })
    .await;
}

#[tokio::test]
async fn each_listed_transition_is_made_and_every_other_refused() {
    use SessionStatus::{Archived, Busy, Idle, Retry};
    const LISTED: &[(SessionStatus, SessionStatus)] = &[
        (Idle, Busy),
        (Busy, Idle),
        (Busy, Retry),
        (Retry, Retry),
        (Retry, Busy),
        (Retry, Idle),
        (Idle, Archived),
        (Archived, Idle),
    ];
    on_each_engine(async |db| {
        run(&db, &world()).await;
        let id = SessionId::from("sessions");
        for from in SessionStatus::ALL {
            for to in SessionStatus::ALL {
                run(&db, &format!("update sessions set status = '{from}'")).await;
                let outcome = set_status(&db, &id, *from, *to, json!({})).await;
                if from == to || LISTED.contains(&(*from, *to)) {
                    assert!(matches!(outcome, Ok(true)), "{from} to {to}: {outcome:?}");
                    assert_eq!(get(&db, &id).await.status, *to);
                } else {
                    assert!(
                        matches!(
                            outcome,
                            Err(StorageError::IllegalTransition {
                                table: "sessions",
                                ..
                            })
                        ),
                        "{from} to {to}: {outcome:?}"
                    );
                    assert_eq!(get(&db, &id).await.status, *from);
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_status_changes_only_from_the_one_it_had() {
    on_each_engine(async |db| {
        run(&db, &world()).await;
        let id = SessionId::from("sessions");
        let before = get(&db, &id).await;
        let lost = set_status(
            &db,
            &id,
            SessionStatus::Busy,
            SessionStatus::Idle,
            json!({}),
        )
        .await;
        assert!(matches!(lost, Ok(false)));
        let same = set_status(
            &db,
            &id,
            SessionStatus::Idle,
            SessionStatus::Idle,
            json!({}),
        )
        .await;
        assert!(matches!(same, Ok(true)));
        assert_eq!(get(&db, &id).await, before, "nothing was written");
        let none = SessionId::random();
        let gone = set_status(
            &db,
            &none,
            SessionStatus::Idle,
            SessionStatus::Busy,
            json!({}),
        )
        .await;
        assert!(matches!(gone, Ok(false)));
    })
    .await;
}

#[tokio::test]
async fn a_transition_writes_what_belongs_to_it() {
    use SessionStatus::{Archived, Busy, Idle, Retry};
    on_each_engine(async |db| {
        run(&db, &world()).await;
        run(&db, "update sessions set metadata = '{\"kept\": 1}'").await;
        let id = SessionId::from("sessions");
        set_status(&db, &id, Idle, Busy, json!({})).await.unwrap();
        let plan = json!({"retry": {"attempt": 1, "message": "slow \"down\""}});
        set_status(&db, &id, Busy, Retry, plan).await.unwrap();
        let plan = json!({"retry": {"attempt": 2}});
        set_status(&db, &id, Retry, Retry, plan).await.unwrap();
        let session = get(&db, &id).await;
        assert_eq!(session.metadata.get("retry"), Some(&json!({"attempt": 2})));
        set_status(&db, &id, Retry, Idle, json!({"interrupted": true}))
            .await
            .unwrap();
        let session = get(&db, &id).await;
        assert_eq!(
            json!(session.metadata),
            json!({"kept": 1, "interrupted": true})
        );
        set_status(&db, &id, Idle, Archived, json!({"interrupted": null}))
            .await
            .unwrap();
        let session = get(&db, &id).await;
        assert!(session.archived_at.is_some());
        assert_eq!(json!(session.metadata), json!({"kept": 1}));
        set_status(&db, &id, Archived, Idle, json!({}))
            .await
            .unwrap();
        assert_eq!(get(&db, &id).await.archived_at, None);
    })
    .await;
}

#[tokio::test]
async fn sessions_are_listed_by_each_filter_and_hidden_from_strangers() {
    on_each_engine(async |db| {
        run(&db, &world()).await;
        run(
            &db,
            "update projects set metadata = '{\"ownerId\": \"accounts\"}'",
        )
        .await;
        let parent = SessionId::from("sessions");
        let made = NewSession {
            account_id: Some(AccountId::from("accounts")),
            workspace_id: Some(WorkspaceId::from("workspaces")),
            parent_id: Some(parent.clone()),
            role_name: Some("worker".to_owned()),
            ..new_session("Repair 100% of_it")
        };
        let made = create(&db, made, &["repair"]).await.unwrap();
        run(&db, &insert("projects", "other", &[])).await;
        run(
            &db,
            &insert("sessions", "theirs", &[("project_id", "other")]),
        )
        .await;

        let list = async |scope: &Scope, filter: SessionFilter| {
            let page = PageRequest::default();
            let found = sessions::list_sessions(db.reader(), scope, &filter, &page)
                .await
                .unwrap();
            let mut slugs: Vec<String> = found.items.into_iter().map(|row| row.slug).collect();
            slugs.sort();
            slugs
        };
        let all = SessionFilter::default();
        assert_eq!(
            list(&Scope::All, all.clone()).await,
            ["repair", "sessions", "theirs"]
        );
        let future = time::now() + Duration::hours(1);
        let only = [
            SessionFilter {
                workspace_id: made.workspace_id.clone(),
                ..all.clone()
            },
            SessionFilter {
                account_id: made.account_id.clone(),
                ..all.clone()
            },
            SessionFilter {
                role_name: Some("worker".to_owned()),
                ..all.clone()
            },
            SessionFilter {
                parent_id: Some(parent),
                ..all.clone()
            },
            SessionFilter {
                search: Some("100% OF_".to_owned()),
                ..all.clone()
            },
        ];
        for filter in only {
            assert_eq!(
                list(&Scope::All, filter.clone()).await,
                ["repair"],
                "{filter:?}"
            );
        }
        let none = [
            SessionFilter {
                search: Some("100_ of".to_owned()),
                ..all.clone()
            },
            SessionFilter {
                from: Some(future),
                ..all.clone()
            },
            SessionFilter {
                to: Some(made.created_at - Duration::days(1)),
                ..all.clone()
            },
            SessionFilter {
                status: vec![SessionStatus::Busy, SessionStatus::Retry],
                ..all.clone()
            },
        ];
        for filter in none {
            assert!(
                list(&Scope::All, filter.clone()).await.is_empty(),
                "{filter:?}"
            );
        }
        let project = SessionFilter {
            project_id: Some(ProjectId::from("other")),
            ..all.clone()
        };
        assert_eq!(list(&Scope::All, project).await, ["theirs"]);

        let owner = Scope::account(AccountId::from("accounts"));
        assert_eq!(list(&owner, all.clone()).await, ["repair", "sessions"]);
        let narrowed = Scope::from(Limits {
            sessions: Some(vec![made.id.clone()]),
            ..Limits::new(AccountId::from("accounts"))
        });
        assert_eq!(list(&narrowed, all.clone()).await, ["repair"]);
        let stranger = Scope::account(AccountId::from("stranger"));
        assert!(list(&stranger, all).await.is_empty());
        let hidden = sessions::session_by_id(db.reader(), &stranger, &made.id)
            .await
            .unwrap();
        assert_eq!(hidden, None);
        let hidden = sessions::session_by_slug(db.reader(), &stranger, "repair")
            .await
            .unwrap();
        assert_eq!(hidden, None);
    })
    .await;
}

#[tokio::test]
async fn open_sessions_are_those_not_archived() {
    on_each_engine(async |db| {
        run(&db, &world()).await;
        for status in ["busy", "retry", "archived"] {
            run(&db, &insert("sessions", status, &[("status", status)])).await;
        }
        let project = ProjectId::from("projects");
        let mut open: Vec<String> = sessions::open_sessions(db.reader(), Some(&project))
            .await
            .unwrap()
            .into_iter()
            .map(|session| session.slug)
            .collect();
        open.sort();
        assert_eq!(open, ["busy", "retry", "sessions"]);
        let none = ProjectId::from("none");
        assert!(
            sessions::open_sessions(db.reader(), Some(&none))
                .await
                .unwrap()
                .is_empty()
        );
        assert_eq!(
            sessions::open_sessions(db.reader(), None)
                .await
                .unwrap()
                .len(),
            3
        );
        let mut counts =
            sessions::count_sessions_by_status(db.reader(), &Scope::All, Some(&project))
                .await
                .unwrap();
        counts.sort();
        assert_eq!(counts.len(), 4);
        assert!(counts.iter().all(|(_, number)| *number == 1));
    })
    .await;
}

#[tokio::test]
async fn a_tree_goes_down_level_by_level_to_its_depth() {
    on_each_engine(async |db| {
        run(&db, &world()).await;
        let mut parent = "sessions".to_owned();
        for level in 1..=12 {
            let id = format!("level {level}");
            run(&db, &insert("sessions", &id, &[("parent_id", &parent)])).await;
            parent = id;
        }
        run(
            &db,
            &insert("sessions", "sibling", &[("parent_id", "sessions")]),
        )
        .await;
        let root = SessionId::from("sessions");
        let tree = async |depth| {
            sessions::session_tree(db.reader(), &Scope::All, &root, depth)
                .await
                .unwrap()
                .into_iter()
                .map(|found| (found.depth, found.session.slug))
                .collect::<Vec<_>>()
        };
        let two = tree(2).await;
        assert_eq!(two.len(), 3);
        assert_eq!((two[0].0, two[1].0), (1, 1));
        assert_eq!(two[2], (2, "level 2".to_owned()));
        assert_eq!(tree(99).await.last().map(|found| found.0), Some(10));
        let children = sessions::session_children(db.reader(), &Scope::All, &root)
            .await
            .unwrap();
        assert_eq!(children.len(), 2);
        let stranger = Scope::account(AccountId::from("stranger"));
        assert!(
            sessions::session_tree(db.reader(), &stranger, &root, 10)
                .await
                .unwrap()
                .is_empty()
        );
    })
    .await;
}

#[tokio::test]
async fn a_deleted_session_takes_what_is_in_it() {
    on_each_engine(async |db| {
        run(&db, &world()).await;
        run(
            &db,
            &insert("sessions", "child", &[("parent_id", "sessions")]),
        )
        .await;
        let transaction = db.begin().await.unwrap();
        let id = SessionId::from("sessions");
        let gone = sessions::delete_session(&transaction, &id).await.unwrap();
        let again = sessions::delete_session(&transaction, &id).await;
        assert!(matches!(again, Err(StorageError::NotFound)));
        transaction.commit().await.unwrap();
        assert_eq!(
            (
                gone.messages,
                gone.parts,
                gone.mappings,
                gone.detections,
                gone.children
            ),
            (1, 1, 1, 1, 1)
        );
        assert_eq!(count(&db, "parts", "true").await, 0);
        assert_eq!(count(&db, "sessions", "parent_id is null").await, 1);
    })
    .await;
}

#[tokio::test]
async fn idle_sessions_are_archived_and_archived_ones_pruned_but_not_under_a_mapping() {
    on_each_engine(async |db| {
        run(&db, &world()).await;
        let old = "2026-01-01T00:00:00+00:00";
        for (id, status) in [("idle", "idle"), ("mapped", "idle"), ("busy", "busy")] {
            let fields = [("status", status), ("updated_at", old)];
            run(&db, &insert("sessions", id, &fields)).await;
        }
        run(
            &db,
            &insert("mappings", "active", &[("session_id", "mapped")]),
        )
        .await;
        let archive = async |before, limit| {
            let transaction = db.begin().await.unwrap();
            let done = sessions::archive_idle_sessions(&transaction, before, limit)
                .await
                .unwrap();
            transaction.commit().await.unwrap();
            done
        };
        let before = time::parse("2026-02-01T00:00:00Z").unwrap();
        assert!(archive(before, 0).await.is_empty());
        assert_eq!(archive(before, 10).await, [SessionId::from("idle")]);
        assert!(
            get(&db, &SessionId::from("idle"))
                .await
                .archived_at
                .is_some()
        );

        let prune = async |before| {
            let transaction = db.begin().await.unwrap();
            let done = sessions::prune_sessions(&transaction, before, 10)
                .await
                .unwrap();
            transaction.commit().await.unwrap();
            done
        };
        assert!(prune(before).await.is_empty(), "archived just now");
        let soon = time::now() + Duration::seconds(5);
        assert_eq!(prune(soon).await, [SessionId::from("idle")]);
        assert_eq!(count(&db, "sessions", "true").await, 3);
    })
    .await;
}

#[tokio::test]
async fn busy_sessions_in_which_nothing_was_written_are_stale() {
    on_each_engine(async |db| {
        run(&db, &world()).await;
        let old = [("updated_at", "2026-01-01T00:00:00+00:00")];
        for (id, status) in [
            ("silent", "busy"),
            ("waits", "retry"),
            ("talks", "busy"),
            ("idle", "idle"),
        ] {
            run(&db, &insert("sessions", id, &[old[0], ("status", status)])).await;
        }
        run(&db, &insert("messages", "talk", &[("session_id", "talks")])).await;
        let part = [("session_id", "talks"), ("message_id", "talk")];
        run(&db, &insert("parts", "talk", &part)).await;
        let since = time::parse("2026-02-01T00:00:00Z").unwrap();
        let mut stale: Vec<String> = sessions::stale_busy_sessions(db.reader(), since)
            .await
            .unwrap()
            .into_iter()
            .map(|session| session.slug)
            .collect();
        stale.sort();
        assert_eq!(stale, ["silent", "waits"]);
    })
    .await;
}
