//! The audit trail: written, listed, sealed, verified and pruned.

use alkhub_storage::identity::{self, AuditFaultKind, AuditFilter, NewAuditEntry};
use alkhub_storage::ids::{AccountId, OrganizationId};
use alkhub_storage::json::{AuditDetails, AuditTarget};
use alkhub_storage::{Database, Engine, Limits, PageRequest, Scope, StorageError, time};
use chrono::TimeDelta;

use crate::sql::{count, execute, run, texts};
use crate::support::on_each_engine;
use crate::world::{account, organization};

fn entry(owner: &AccountId, org: Option<&OrganizationId>, action: &str) -> NewAuditEntry {
    NewAuditEntry {
        owner_id: owner.clone(),
        key_id: None,
        session_id: None,
        org_id: org.cloned(),
        action: action.to_owned(),
        details: AuditDetails {
            target: Some(AuditTarget {
                kind: "task".to_owned(),
                id: format!("{action}-1"),
                label: None,
            }),
            ..AuditDetails::default()
        },
    }
}

async fn append(db: &Database, entries: Vec<NewAuditEntry>) {
    let transaction = db.begin().await.unwrap();
    identity::append_audit(&transaction, entries).await.unwrap();
    transaction.commit().await.unwrap();
}

#[tokio::test]
async fn entries_are_found_by_what_they_say_and_seen_by_whom_they_concern() {
    on_each_engine(async |db| {
        let (ada, bob) = (account(&db, "ada").await, account(&db, "bob").await);
        let acme = organization(&db, "acme", &ada.id).await;
        append(
            &db,
            vec![
                entry(&ada.id, None, "task.created"),
                entry(&ada.id, Some(&acme.id), "task.deleted"),
                entry(&bob.id, Some(&acme.id), "tasks.other"),
            ],
        )
        .await;
        let listed = async |scope: &Scope, filter: &AuditFilter| {
            identity::list_audit(db.reader(), scope, filter, &PageRequest::default())
                .await
                .unwrap()
                .items
        };
        let by = |action: &str| AuditFilter {
            action: Some(action.to_owned()),
            ..AuditFilter::default()
        };
        assert_eq!(listed(&Scope::All, &AuditFilter::default()).await.len(), 3);
        assert_eq!(listed(&Scope::All, &by("task.*")).await.len(), 2);
        assert_eq!(listed(&Scope::All, &by("task.created")).await.len(), 1);
        let target = AuditFilter {
            target: Some(("task".to_owned(), "task.deleted-1".to_owned())),
            ..AuditFilter::default()
        };
        assert_eq!(listed(&Scope::All, &target).await.len(), 1);
        let mine = AuditFilter {
            organization: Some(acme.id.clone()),
            ..AuditFilter::default()
        };
        assert_eq!(listed(&Scope::All, &mine).await.len(), 2);
        // A member sees its own entries, an administrator those of the organization.
        let limits = Limits {
            orgs: vec![acme.id.clone()],
            ..Limits::new(bob.id.clone())
        };
        assert_eq!(
            listed(&limits.clone().into(), &AuditFilter::default())
                .await
                .len(),
            1
        );
        let limits = Limits {
            admin_of: vec![acme.id.clone()],
            ..limits
        };
        let seen = listed(&limits.clone().into(), &AuditFilter::default()).await;
        assert_eq!(seen.len(), 2);
        let hidden = listed(&Scope::All, &by("task.created")).await.remove(0);
        let found = identity::audit_by_id(db.reader(), &limits.into(), &hidden.id)
            .await
            .unwrap();
        assert_eq!(found, None);
        assert_eq!(
            hidden.details.ids.unwrap().owner_id.as_deref(),
            Some(ada.id.as_str())
        );
    })
    .await;
}

#[tokio::test]
async fn a_chain_shows_what_was_changed_taken_out_or_moved() {
    on_each_engine(async |db| {
        let ada = account(&db, "ada").await;
        for n in 0..5 {
            append(&db, vec![entry(&ada.id, None, &format!("task.number{n}"))]).await;
        }
        let seal = async || {
            let transaction = db.begin().await.unwrap();
            let soon = time::now() + TimeDelta::seconds(1);
            let sealed = identity::seal_audit(&transaction, soon, 3).await.unwrap();
            transaction.commit().await.unwrap();
            sealed
        };
        let verify =
            async || identity::verify_audit(db.reader(), None, None).await.unwrap();
        assert_eq!(verify().await.unsealed, 5);
        assert_eq!((seal().await, seal().await, seal().await), (3, 2, 0));
        let sound = verify().await;
        assert_eq!((sound.checked, sound.unsealed, sound.first_bad), (5, 0, None));
        assert_eq!(sound.head.len(), 64);

        // By hand, with the triggers out of the way.
        match db.engine() {
            Engine::Sqlite => {
                let names = texts(
                    &db,
                    "select name from sqlite_schema where type = 'trigger' and tbl_name = 'audit_logs'",
                )
                .await;
                for name in names.into_iter().flatten() {
                    run(&db, &format!("drop trigger {name}")).await;
                }
            }
            Engine::Postgres => run(&db, "alter table audit_logs disable trigger user").await,
        }
        run(&db, "update audit_logs set action = 'task.forged' where action = 'task.number3'").await;
        let fault = verify().await.first_bad.unwrap();
        assert_eq!(fault.kind, AuditFaultKind::Changed);
        run(&db, "update audit_logs set action = 'task.number3' where action = 'task.forged'").await;
        assert_eq!(verify().await.first_bad, None);
        run(&db, "delete from audit_logs where action = 'task.number1'").await;
        let fault = verify().await.first_bad.unwrap();
        assert_eq!(fault.kind, AuditFaultKind::Missing);
    })
    .await;
}

#[tokio::test]
async fn only_retention_removes_entries_and_the_switch_does_not_stay() {
    on_each_engine(async |db| {
        let ada = account(&db, "ada").await;
        append(
            &db,
            (0..4)
                .map(|n| entry(&ada.id, None, &format!("a.n{n}")))
                .collect(),
        )
        .await;
        let transaction = db.begin().await.unwrap();
        let soon = time::now() + TimeDelta::seconds(1);
        assert_eq!(
            identity::prune_audit(&transaction, soon, 3).await.unwrap(),
            3
        );
        transaction.commit().await.unwrap();
        assert_eq!(count(&db, "audit_logs", "1 = 1").await, 1);
        let refused = execute(&db, "delete from audit_logs").await.unwrap_err();
        let refused = StorageError::from(refused);
        assert!(
            matches!(
                refused,
                StorageError::Rule { .. } | StorageError::Immutable { .. }
            ),
            "{refused:?}"
        );
    })
    .await;
}
