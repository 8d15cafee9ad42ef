//! Projects and workspaces.

use alkhub_storage::enums::{TaskStatus, WorkspaceType};
use alkhub_storage::ids::{ProjectId, WorkspaceId};
use alkhub_storage::json::{Metadata, WorkspaceExtra};
use alkhub_storage::projects::{
    self, NewWorkspace, ProjectChanges, ProjectFilter, WorkspaceChanges,
};
use alkhub_storage::{Limits, PageRequest, Scope, StorageError, time};
use chrono::TimeDelta;

use crate::sql::{count, run};
use crate::support::on_each_engine;
use crate::world::{account, member, organization, project};

#[tokio::test]
async fn a_project_is_seen_by_its_tenant_and_within_the_narrowing_of_the_key() {
    on_each_engine(async |db| {
        let (ada, bob) = (account(&db, "ada").await, account(&db, "bob").await);
        let acme = organization(&db, "acme", &ada.id).await;
        let shared = project(&db, "shared", Some(&acme.id), &bob.id).await;
        let own = project(&db, "own", None, &ada.id).await;
        let other = project(&db, "other", None, &bob.id).await;
        let seen = async |scope: &Scope| {
            let filter = ProjectFilter::default();
            let page =
                projects::list_projects(db.reader(), scope, &filter, &PageRequest::default())
                    .await
                    .unwrap();
            let mut names: Vec<String> = page.items.into_iter().map(|row| row.name).collect();
            names.sort();
            names
        };
        let ada_scope = Limits {
            orgs: vec![acme.id.clone()],
            ..Limits::new(ada.id.clone())
        };
        assert_eq!(seen(&Scope::All).await, ["other", "own", "shared"]);
        assert_eq!(seen(&ada_scope.clone().into()).await, ["own", "shared"]);
        // Who made a project of an organization does not own it.
        assert_eq!(seen(&Scope::account(bob.id.clone())).await, ["other"]);
        let orgs_only = Limits {
            personal: false,
            ..ada_scope.clone()
        };
        assert_eq!(seen(&orgs_only.into()).await, ["shared"]);
        let narrowed = |ids: &[&str]| {
            let ids = ids.iter().map(|id| ProjectId::from(*id)).collect();
            Scope::from(Limits {
                projects: Some(ids),
                ..ada_scope.clone()
            })
        };
        assert_eq!(
            seen(&narrowed(&[own.id.as_str(), other.id.as_str()])).await,
            ["own"]
        );
        assert_eq!(seen(&narrowed(&["*"])).await, ["own", "shared"]);
        let glob = format!("{}*", &shared.id.as_str()[..8]);
        assert_eq!(seen(&narrowed(&[&glob])).await, ["shared"]);
        assert!(seen(&narrowed(&[])).await.is_empty());
        let everywhere = Limits {
            everywhere: true,
            projects: Some(vec![other.id.clone()]),
            ..ada_scope.clone()
        };
        assert_eq!(seen(&everywhere.into()).await, ["other"]);
        let scope = member(&ada.id, &[&acme.id]);
        for (id, visible) in [(&shared.id, true), (&own.id, true), (&other.id, false)] {
            let found = projects::project_by_id(db.reader(), &scope, id)
                .await
                .unwrap();
            assert_eq!(found.is_some(), visible);
        }
        assert!(
            projects::projects_by_name(db.reader(), &scope, "other")
                .await
                .unwrap()
                .is_empty()
        );
    })
    .await;
}

#[tokio::test]
async fn projects_are_changed_searched_archived_and_moved() {
    on_each_engine(async |db| {
        let ada = account(&db, "ada").await;
        let acme = organization(&db, "acme", &ada.id).await;
        let made = project(&db, "Rocket_Base", None, &ada.id).await;
        project(&db, "rocketxbase", None, &ada.id).await;
        let listed = async |search: &str, include_archived| {
            let filter = ProjectFilter {
                search: Some(search.to_owned()),
                include_archived,
                ..ProjectFilter::default()
            };
            projects::list_projects(db.reader(), &Scope::All, &filter, &PageRequest::default())
                .await
                .unwrap()
                .items
                .len()
        };
        assert_eq!(
            (listed("rocket_", false).await, listed("BASE", false).await),
            (1, 2)
        );
        let changes = ProjectChanges {
            directory: Some(Some("/srv".to_owned())),
            vcs: Some(None),
            metadata: Some(made.metadata.clone().with("archivedAt", "now")),
            if_updated_at: Some(made.updated_at),
            ..ProjectChanges::default()
        };
        let after = projects::update_project(db.writer(), &made.id, changes.clone())
            .await
            .unwrap();
        assert_eq!(
            (after.directory.as_deref(), after.vcs.as_deref()),
            (Some("/srv"), None)
        );
        let stale = projects::update_project(db.writer(), &made.id, changes).await;
        assert!(matches!(stale, Err(StorageError::Stale)));
        assert_eq!(
            (listed("rocket", false).await, listed("rocket", true).await),
            (1, 2)
        );
        let transaction = db.begin().await.unwrap();
        let moved = projects::move_project(&transaction, &made.id, Some(&acme.id), &ada.id)
            .await
            .unwrap();
        assert_eq!(
            (moved.org_id.as_ref(), moved.metadata.text("ownerId")),
            (Some(&acme.id), None)
        );
        let back = projects::move_project(&transaction, &made.id, None, &ada.id)
            .await
            .unwrap();
        assert_eq!(
            (back.org_id, back.metadata.text("ownerId")),
            (None, Some(ada.id.as_str()))
        );
        transaction.commit().await.unwrap();
        projects::delete_project(db.writer(), &made.id)
            .await
            .unwrap();
        let gone = projects::delete_project(db.writer(), &made.id).await;
        assert!(matches!(gone, Err(StorageError::NotFound)));
    })
    .await;
}

#[tokio::test]
async fn numbers_of_a_project_count_what_is_in_it() {
    on_each_engine(async |db| {
        run(&db, &crate::rows::world()).await;
        let id = ProjectId::from("projects");
        run(
            &db,
            "update call_graph_nodes set metadata = '{\"projectId\": \"projects\"}' \
             where id = 'call-graph-nodes'",
        )
        .await;
        let counts = projects::project_counts(db.reader(), &id).await.unwrap();
        assert_eq!(
            (counts.workspaces, counts.sessions),
            (1, count(&db, "sessions", "1 = 1").await)
        );
        assert_eq!(counts.tasks, count(&db, "tasks", "1 = 1").await);
        let since = time::now() - TimeDelta::days(1);
        let stats = projects::project_stats(db.reader(), &id, since)
            .await
            .unwrap();
        assert_eq!(stats.tasks, [(TaskStatus::Pending, counts.tasks)]);
        assert_eq!(stats.calls.iter().map(|(_, number)| number).sum::<u64>(), 1);
        let later = time::now() + TimeDelta::days(1);
        let stats = projects::project_stats(db.reader(), &id, later)
            .await
            .unwrap();
        assert!(stats.calls.is_empty());
        assert_eq!(
            projects::active_mappings(db.reader(), &id).await.unwrap(),
            1
        );
        let nowhere = WorkspaceId::from("none");
        let active = projects::active_mappings_of_workspace(db.reader(), &nowhere)
            .await
            .unwrap();
        assert_eq!(active, 0);
    })
    .await;
}

#[tokio::test]
async fn two_workspaces_of_a_project_do_not_share_a_directory() {
    on_each_engine(async |db| {
        let ada = account(&db, "ada").await;
        let home = project(&db, "home", None, &ada.id).await;
        let other = project(&db, "other", None, &ada.id).await;
        let new = |project: &ProjectId, directory: Option<&str>| NewWorkspace {
            project_id: project.clone(),
            kind: WorkspaceType::Container,
            branch: Some("main".to_owned()),
            name: None,
            directory: directory.map(str::to_owned),
            extra: Some(WorkspaceExtra {
                kind: Some("worktree".to_owned()),
                ..WorkspaceExtra::default()
            }),
            metadata: Metadata::new(),
        };
        let writer = db.writer();
        let first = projects::create_workspace(writer, new(&home.id, Some("/a")))
            .await
            .unwrap();
        let taken = projects::create_workspace(writer, new(&home.id, Some("/a"))).await;
        assert!(matches!(&taken, Err(StorageError::Rule { name }) if name == "directory_taken"));
        projects::create_workspace(writer, new(&other.id, Some("/a")))
            .await
            .unwrap();
        projects::create_workspace(writer, new(&home.id, None))
            .await
            .unwrap();
        let second = projects::create_workspace(writer, new(&home.id, Some("/b")))
            .await
            .unwrap();
        let directory = |path: &str| WorkspaceChanges {
            directory: Some(Some(path.to_owned())),
            ..WorkspaceChanges::default()
        };
        let taken = projects::update_workspace(writer, &second.id, directory("/a")).await;
        assert!(matches!(&taken, Err(StorageError::Rule { name }) if name == "directory_taken"));
        projects::update_workspace(writer, &second.id, directory("/b"))
            .await
            .unwrap();
        let found = projects::workspace_in_directory(writer, &home.id, "/a")
            .await
            .unwrap();
        assert_eq!(found.as_ref(), Some(&first));
        let page = PageRequest::default();
        let main = projects::workspaces_of(writer, &home.id, Some("main"), &page)
            .await
            .unwrap();
        assert_eq!(main.items.len(), 3);
        let none = projects::workspaces_of(writer, &home.id, Some("x"), &page)
            .await
            .unwrap();
        assert!(none.items.is_empty());
        let stranger = Scope::account("nobody".into());
        let hidden = projects::workspace_by_id(writer, &stranger, &first.id)
            .await
            .unwrap();
        assert_eq!(hidden, None);
        projects::delete_workspace(writer, &first.id).await.unwrap();
        let gone = projects::delete_workspace(writer, &first.id).await;
        assert!(matches!(gone, Err(StorageError::NotFound)));
    })
    .await;
}
