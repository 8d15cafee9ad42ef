//! Queries of detections.

use std::time::Duration;

use alkhub_storage::coordination::{self, DetectionFilter, NewDetection, Raised};
use alkhub_storage::enums::Severity;
use alkhub_storage::ids::{AccountId, DetectionId, ProjectId, SessionId};
use alkhub_storage::json::DetectionDetails;
use alkhub_storage::{Database, Detection, PageRequest, Scope, StorageError, time};

use crate::rows::{insert, world};
use crate::sql::{count, run};
use crate::support::on_each_engine;

const COOLDOWN: Duration = Duration::from_secs(600);

fn finding(session: &str, severity: Severity) -> NewDetection {
    NewDetection {
        session_id: SessionId::from(session),
        anomaly_type: "REPEATED_CALL".to_owned(),
        severity,
        dedup_key: Some(format!("{session}:REPEATED_CALL:x")),
        details: DetectionDetails {
            rule: Some("repeatedCall".to_owned()),
            measured: Some(5.into()),
            ..DetectionDetails::default()
        },
        cooldown: COOLDOWN,
    }
}

async fn raise(db: &Database, new: NewDetection) -> Result<Raised, StorageError> {
    let transaction = db.begin().await?;
    let raised = coordination::raise_detection(&transaction, new).await?;
    transaction.commit().await?;
    Ok(raised)
}

async fn resolve(db: &Database, ids: &[DetectionId], by: Option<&str>) -> Vec<Detection> {
    let transaction = db.begin().await.unwrap();
    let by = by.map(AccountId::from);
    let resolved = coordination::resolve_detections(
        &transaction,
        ids,
        by.as_ref(),
        Some("looked at"),
        Some("messaged"),
    )
    .await
    .unwrap();
    transaction.commit().await.unwrap();
    resolved
}

async fn prepare(db: &Database) {
    run(db, &world()).await;
    run(db, "delete from detections").await;
}

#[tokio::test]
async fn an_open_anomaly_is_counted_and_not_told_twice() {
    on_each_engine(async |db| {
        prepare(&db).await;
        let first = raise(&db, finding("sessions", Severity::Low))
            .await
            .unwrap();
        let Raised::New(row) = &first else {
            panic!("{first:?}")
        };
        assert_eq!(row.details.count, Some(1));
        assert_eq!(row.details.first_seen_at, row.details.last_seen_at);

        let second = raise(&db, finding("sessions", Severity::High))
            .await
            .unwrap();
        let Raised::Repeated {
            detection,
            risen: true,
        } = &second
        else {
            panic!("{second:?}")
        };
        assert_eq!(
            (detection.id.clone(), detection.severity),
            (row.id.clone(), Severity::High)
        );
        assert_eq!(detection.details.count, Some(2));
        assert_eq!(detection.details.first_seen_at, row.details.first_seen_at);

        let third = raise(&db, finding("sessions", Severity::Medium))
            .await
            .unwrap();
        let Raised::Repeated {
            detection,
            risen: false,
        } = &third
        else {
            panic!("{third:?}")
        };
        assert_eq!(detection.severity, Severity::High, "a severity never falls");
        assert_eq!(count(&db, "detections", "true").await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_resolved_anomaly_stays_quiet_for_its_cooldown() {
    on_each_engine(async |db| {
        prepare(&db).await;
        let first = raise(&db, finding("sessions", Severity::Low))
            .await
            .unwrap();
        let id = first.detection().id.clone();
        let resolved = resolve(&db, std::slice::from_ref(&id), Some("accounts")).await;
        assert_eq!(resolved[0].resolved_by, Some(AccountId::from("accounts")));
        assert_eq!(resolved[0].details.note.as_deref(), Some("looked at"));
        assert_eq!(resolved[0].details.action.as_deref(), Some("messaged"));
        assert_eq!(resolved[0].details.auto, None);
        assert_eq!(
            resolve(&db, std::slice::from_ref(&id), None).await,
            resolved,
            "again: the same answer"
        );

        let quiet = raise(&db, finding("sessions", Severity::High))
            .await
            .unwrap();
        assert!(
            matches!(&quiet, Raised::Cooling(row) if row.id == id),
            "{quiet:?}"
        );
        let eager = NewDetection {
            cooldown: Duration::ZERO,
            ..finding("sessions", Severity::High)
        };
        let again = raise(&db, eager).await.unwrap();
        assert!(
            matches!(&again, Raised::New(row) if row.id != id),
            "{again:?}"
        );
        // Now one resolved and one open row share the key: the open one counts.
        let more = raise(&db, finding("sessions", Severity::Low))
            .await
            .unwrap();
        assert_eq!(more.detection().id, again.detection().id);
    })
    .await;
}

#[tokio::test]
async fn findings_without_a_key_or_with_another_one_are_rows_of_their_own() {
    on_each_engine(async |db| {
        prepare(&db).await;
        let keyless = NewDetection {
            dedup_key: None,
            ..finding("sessions", Severity::Low)
        };
        raise(&db, keyless.clone()).await.unwrap();
        raise(&db, keyless).await.unwrap();
        raise(&db, finding("sessions", Severity::Low))
            .await
            .unwrap();
        assert_eq!(count(&db, "detections", "true").await, 3);
        let gone = raise(&db, finding("none", Severity::Low)).await;
        assert!(matches!(gone, Err(StorageError::NotFound)));
    })
    .await;
}

#[tokio::test]
async fn the_same_anomaly_seen_many_times_at_once_is_one_row() {
    on_each_engine(async |db| {
        prepare(&db).await;
        let mut attempts = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let db: Database = (*db).clone();
            attempts.spawn(async move { raise(&db, finding("sessions", Severity::Low)).await });
        }
        let outcomes = attempts.join_all().await;
        let new = outcomes
            .iter()
            .filter(|outcome| matches!(outcome, Ok(Raised::New(_))))
            .count();
        assert_eq!(new, 1, "{outcomes:?}");
        assert!(outcomes.iter().all(Result::is_ok));
        let most = outcomes
            .iter()
            .flatten()
            .filter_map(|raised| raised.detection().details.count)
            .max();
        assert_eq!(most, Some(20));
    })
    .await;
}

#[tokio::test]
async fn what_is_open_in_a_session_is_resolved_by_the_hub_at_once() {
    on_each_engine(async |db| {
        prepare(&db).await;
        run(&db, &insert("detections", "stall", &[])).await;
        raise(&db, finding("sessions", Severity::Low))
            .await
            .unwrap();
        let session = SessionId::from("sessions");
        let transaction = db.begin().await.unwrap();
        let stalls = coordination::resolve_detections_of_session(
            &transaction,
            &session,
            Some("SESSION_STALL"),
        )
        .await
        .unwrap();
        assert_eq!(stalls.len(), 1);
        assert_eq!(
            (stalls[0].details.auto, &stalls[0].resolved_by),
            (Some(true), &None)
        );
        let rest = coordination::resolve_detections_of_session(&transaction, &session, None)
            .await
            .unwrap();
        assert_eq!(rest.len(), 1);
        transaction.commit().await.unwrap();
        assert_eq!(count(&db, "detections", "resolved_at is null").await, 0);
    })
    .await;
}

#[tokio::test]
async fn detections_are_listed_counted_and_hidden_from_strangers() {
    on_each_engine(async |db| {
        prepare(&db).await;
        run(&db, &insert("projects", "other", &[])).await;
        run(
            &db,
            &insert("sessions", "theirs", &[("project_id", "other")]),
        )
        .await;
        let ours = raise(&db, finding("sessions", Severity::Low))
            .await
            .unwrap();
        let theirs = raise(&db, finding("theirs", Severity::High)).await.unwrap();
        resolve(&db, &[theirs.detection().id.clone()], None).await;

        let list = async |scope: &Scope, filter: DetectionFilter| {
            let page = PageRequest::default();
            let found = coordination::list_detections(db.reader(), scope, &filter, &page)
                .await
                .unwrap();
            found
                .items
                .into_iter()
                .map(|row| row.session_id.to_string())
                .collect::<Vec<_>>()
        };
        let all = DetectionFilter::default();
        assert_eq!(list(&Scope::All, all.clone()).await.len(), 2);
        let open = DetectionFilter {
            open: Some(true),
            ..all.clone()
        };
        assert_eq!(list(&Scope::All, open).await, ["sessions"]);
        let closed = DetectionFilter {
            open: Some(false),
            ..all.clone()
        };
        assert_eq!(list(&Scope::All, closed).await, ["theirs"]);
        let high = DetectionFilter {
            severity: Some(Severity::High),
            ..all.clone()
        };
        assert_eq!(list(&Scope::All, high).await, ["theirs"]);
        let project = Some(ProjectId::from("projects"));
        let of = DetectionFilter {
            project_id: project.clone(),
            ..all.clone()
        };
        assert_eq!(list(&Scope::All, of).await, ["sessions"]);
        let of = DetectionFilter {
            session_id: Some(SessionId::from("theirs")),
            ..all.clone()
        };
        assert_eq!(list(&Scope::All, of).await, ["theirs"]);
        let of = DetectionFilter {
            anomaly_type: Some("SESSION_STALL".to_owned()),
            ..all.clone()
        };
        assert!(list(&Scope::All, of).await.is_empty());
        let stranger = Scope::account(AccountId::from("stranger"));
        assert!(list(&stranger, all).await.is_empty());

        let id = &ours.detection().id;
        let seen = coordination::detection_by_id(db.reader(), &Scope::All, id)
            .await
            .unwrap();
        assert_eq!(seen.as_ref(), Some(ours.detection()));
        assert_eq!(
            coordination::detection_by_id(db.reader(), &stranger, id)
                .await
                .unwrap(),
            None
        );
        let counts = coordination::count_open_detections_by_severity(
            db.reader(),
            &Scope::All,
            project.as_ref(),
        )
        .await
        .unwrap();
        assert_eq!(counts, [(Severity::Low, 1)]);
        let ids = [SessionId::from("sessions"), SessionId::from("theirs")];
        let loaded = coordination::load_open_detections(db.reader(), &ids)
            .await
            .unwrap();
        assert_eq!(loaded.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn old_resolved_detections_are_pruned_oldest_first() {
    on_each_engine(async |db| {
        prepare(&db).await;
        for (id, day) in [("d1", "01"), ("d2", "02"), ("d3", "03")] {
            let resolved = format!("2026-01-{day}T00:00:00+00:00");
            run(
                &db,
                &insert("detections", id, &[("resolved_at", &resolved)]),
            )
            .await;
        }
        run(&db, &insert("detections", "open", &[])).await;
        let before = time::parse("2026-01-03T00:00:00Z").unwrap();
        let prune = async |limit| {
            let transaction = db.begin().await.unwrap();
            let pruned = coordination::prune_detections(&transaction, before, limit)
                .await
                .unwrap();
            transaction.commit().await.unwrap();
            pruned
        };
        assert_eq!(prune(1).await, 1);
        assert_eq!(count(&db, "detections", "id = 'd1'").await, 0);
        assert_eq!(prune(10).await, 1);
        assert_eq!(prune(10).await, 0);
        assert_eq!(count(&db, "detections", "true").await, 2);
    })
    .await;
}
