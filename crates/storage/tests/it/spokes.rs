//! Spokes, definitions, offers.

use alkhub_storage::calls;
use alkhub_storage::enums::{
    CallStatus, OperationType, RegistrationStatus, SpokeStatus, SpokeType,
};
use alkhub_storage::ids::{AccountId, OperationId, ProjectId};
use alkhub_storage::json::{HostInfo, Metadata};
use alkhub_storage::spokes::{
    self, Disconnect, NewRegistration, NewSpoke, OperationFilter, Provider, Removal,
    RemovedRecords, SpokeChanges, SpokeFilter, Upserted,
};
use alkhub_storage::{Database, PageRequest, Scope, Spoke, StorageError, time};
use chrono::TimeDelta;
use serde_json::json;

use crate::sql::{count, run};
use crate::support::on_each_engine;
use crate::world::{account, new_operation, operations, project};

fn new(account: &AccountId, name: &str, project: Option<&ProjectId>) -> NewSpoke {
    NewSpoke {
        id: None,
        account_id: account.clone(),
        project_id: project.cloned(),
        name: name.to_owned(),
        spoke_type: SpokeType::DevEnv,
        host_info: Some(HostInfo {
            os: Some("linux".to_owned()),
            ..HostInfo::default()
        }),
        metadata: Metadata::new().with("instanceId", "h1"),
    }
}

async fn connect(db: &Database, new: NewSpoke) -> Spoke {
    let transaction = db.begin().await.unwrap();
    let spoke = spokes::connect_spoke(&transaction, new).await.unwrap();
    transaction.commit().await.unwrap();
    spoke
}

fn offer(operation: &OperationId) -> NewRegistration {
    NewRegistration {
        operation_id: operation.clone(),
        pre_remap_namespace: None,
        pre_remap_name: None,
    }
}

#[tokio::test]
async fn a_spoke_that_comes_back_gets_its_row_again() {
    on_each_engine(async |db| {
        let (ada, bob) = (account(&db, "ada").await, account(&db, "bob").await);
        let home = project(&db, "home", None, &ada.id).await;
        let first = connect(&db, new(&ada.id, "box", None)).await;
        assert_eq!(first.status, SpokeStatus::Connected);
        let gone = spokes::disconnect_spokes(db.writer(), Disconnect::Instance("h1"))
            .await
            .unwrap();
        assert_eq!(gone.len(), 1);
        assert!(gone[0].disconnected_at.is_some());
        let again = connect(&db, new(&ada.id, "box", None)).await;
        assert_eq!(
            (again.id.clone(), again.disconnected_at),
            (first.id.clone(), None)
        );
        assert!(again.updated_at > first.updated_at);
        let renamed = NewSpoke {
            id: Some(first.id.clone()),
            ..new(&ada.id, "other", Some(&home.id))
        };
        let renamed = connect(&db, renamed).await;
        assert_eq!(
            (renamed.id, renamed.name.as_str()),
            (first.id.clone(), "other")
        );
        // Neither the name nor the id of another account's row is one's own.
        let stolen = NewSpoke {
            id: Some(first.id.clone()),
            ..new(&bob.id, "other", Some(&home.id))
        };
        assert_ne!(connect(&db, stolen).await.id, first.id);
        assert_ne!(connect(&db, new(&ada.id, "other", None)).await.id, first.id);
    })
    .await;
}

#[tokio::test]
async fn spokes_are_listed_seen_touched_changed_and_deleted() {
    on_each_engine(async |db| {
        let (ada, bob) = (account(&db, "ada").await, account(&db, "bob").await);
        let home = project(&db, "home", None, &bob.id).await;
        let bound = connect(&db, new(&ada.id, "bound", Some(&home.id))).await;
        let loose = connect(&db, new(&ada.id, "loose", None)).await;
        let seen = async |scope: &Scope| {
            let page = spokes::spokes(
                db.reader(),
                scope,
                &SpokeFilter::default(),
                &PageRequest::default(),
            )
            .await
            .unwrap();
            let mut names: Vec<String> = page.items.into_iter().map(|spoke| spoke.name).collect();
            names.sort();
            names
        };
        // A spoke bound to a project is seen by those of the project.
        assert_eq!(seen(&Scope::account(ada.id.clone())).await, ["loose"]);
        assert_eq!(seen(&Scope::account(bob.id.clone())).await, ["bound"]);
        let filter = SpokeFilter {
            project: Some(home.id.clone()),
            status: Some(SpokeStatus::Connected),
            spoke_type: Some(SpokeType::DevEnv),
            ids: None,
        };
        let page = spokes::spokes(db.reader(), &Scope::All, &filter, &PageRequest::default())
            .await
            .unwrap();
        assert_eq!(page.items.len(), 1);
        assert_eq!(
            spokes::connected_spokes(db.reader(), &Scope::All)
                .await
                .unwrap()
                .len(),
            2
        );
        let named = spokes::spoke_by_name(db.reader(), &Scope::All, "loose")
            .await
            .unwrap();
        assert_eq!(named.len(), 1);
        let later = time::now() + TimeDelta::minutes(1);
        let seen = [(bound.id.clone(), later), (loose.id.clone(), later)];
        assert_eq!(spokes::touch_spokes(db.writer(), &seen).await.unwrap(), 2);
        let read = spokes::spoke_by_id(db.reader(), &Scope::All, &loose.id)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(read.last_heartbeat, Some(later));
        let changes = SpokeChanges {
            project_id: Some(Some(home.id.clone())),
            if_updated_at: Some(read.updated_at),
            ..SpokeChanges::default()
        };
        let after = spokes::update_spoke(db.writer(), &loose.id, changes)
            .await
            .unwrap();
        assert_eq!(after.project_id, Some(home.id));
        spokes::delete_spoke(db.writer(), &loose.id).await.unwrap();
        let gone = spokes::delete_spoke(db.writer(), &loose.id).await;
        assert!(matches!(gone, Err(StorageError::NotFound)));
        let counts = spokes::count_spokes_by_status(db.reader()).await.unwrap();
        assert_eq!(counts, [(SpokeStatus::Connected, 1)]);
    })
    .await;
}

#[tokio::test]
async fn definitions_are_inserted_changed_or_left_as_they_are() {
    on_each_engine(async |db| {
        let both = || vec![new_operation("b", "one"), new_operation("a", "two")];
        let stored = spokes::upsert_operations(db.writer(), both())
            .await
            .unwrap();
        let changes: Vec<Upserted> = stored.iter().map(|(_, change)| *change).collect();
        assert_eq!(changes, [Upserted::Inserted, Upserted::Inserted]);
        assert_eq!(stored[0].0.name, "one");
        let mut again = both();
        again[1].version = "1.1.0".to_owned();
        again[1].metadata = Metadata::new().with("specHash", "x");
        let stored = spokes::upsert_operations(db.writer(), again).await.unwrap();
        let changes: Vec<Upserted> = stored.iter().map(|(_, change)| *change).collect();
        assert_eq!(changes, [Upserted::Same, Upserted::Changed]);
        assert_eq!(stored[1].0.version, "1.1.0");
        let found = spokes::operation_by_name(db.reader(), "a", "two")
            .await
            .unwrap()
            .unwrap();
        assert_eq!(found, stored[1].0);
        let noted = spokes::set_operation_metadata(
            db.writer(),
            &found.id,
            Metadata::new().with("override", json!({"enabled": false})),
        )
        .await
        .unwrap();
        assert_eq!(noted.metadata["override"]["enabled"], json!(false));
        let by_id = spokes::operation_by_id(db.reader(), &found.id)
            .await
            .unwrap();
        assert_eq!(by_id, Some(noted));
        let listed = async |filter: OperationFilter| {
            let mut names = Vec::new();
            let mut request = PageRequest::first(1);
            loop {
                let page = spokes::operations(db.reader(), &filter, &request)
                    .await
                    .unwrap();
                names.extend(page.items.into_iter().map(|row| row.name));
                match page.next_cursor {
                    Some(next) => request = request.after(Some(next)),
                    None => return names,
                }
            }
        };
        assert_eq!(
            listed(OperationFilter::default()).await,
            ["two", "one"],
            "no sentinel"
        );
        let kind = OperationFilter {
            kind: Some(OperationType::Mutation),
            ..Default::default()
        };
        assert!(listed(kind).await.is_empty());
        let tags = OperationFilter {
            tags: vec!["one".to_owned(), "a".to_owned()],
            ..Default::default()
        };
        assert_eq!(listed(tags).await, ["one"]);
        let namespace = OperationFilter {
            namespace: Some("a".to_owned()),
            ..Default::default()
        };
        assert_eq!(listed(namespace).await, ["two"]);
    })
    .await;
}

#[tokio::test]
async fn an_offer_is_active_once_and_comes_back_with_its_spoke() {
    on_each_engine(async |db| {
        let ada = account(&db, "ada").await;
        let spoke = connect(&db, new(&ada.id, "box", None)).await;
        let provider = Provider::Spoke(spoke.id.clone());
        let rows = operations(&db, "n", &["a", "b", "c"]).await;
        let offers: Vec<NewRegistration> = rows.iter().map(|row| offer(&row.id)).collect();
        let made = spokes::register(db.writer(), &provider, &offers)
            .await
            .unwrap();
        let again = spokes::register(db.writer(), &provider, &offers)
            .await
            .unwrap();
        assert_eq!(made, again, "an active offer stays as it is");
        spokes::disconnect_spokes(
            db.writer(),
            Disconnect::Spokes(std::slice::from_ref(&spoke.id)),
        )
        .await
        .unwrap();
        assert!(
            spokes::active_registrations(db.reader())
                .await
                .unwrap()
                .is_empty()
        );
        let mut remapped = offers.clone();
        remapped[1].pre_remap_name = Some("bee".to_owned());
        let back = spokes::register(db.writer(), &provider, &remapped[..2])
            .await
            .unwrap();
        assert_eq!(back[0].id, made[0].id, "the old row is used again");
        assert_eq!(back[1].pre_remap_name.as_deref(), Some("bee"));
        assert!(back[0].registered_at >= made[0].registered_at);
        assert_eq!(
            spokes::active_registrations(db.reader())
                .await
                .unwrap()
                .len(),
            2
        );
        let of = async |active_only| {
            spokes::registrations_of_operation(db.reader(), &rows[2].id, active_only)
                .await
                .unwrap()
                .len()
        };
        assert_eq!((of(true).await, of(false).await), (0, 1));
        let mine = spokes::registrations_of_provider(db.reader(), &provider)
            .await
            .unwrap();
        assert_eq!(mine.len(), 3);
        let ids: Vec<OperationId> = rows.iter().map(|row| row.id.clone()).collect();
        assert_eq!(
            spokes::load_registrations(db.reader(), &ids)
                .await
                .unwrap()
                .len(),
            2
        );
        let taken = spokes::unregister(db.writer(), &provider, Some(&ids[..1]))
            .await
            .unwrap();
        assert_eq!(taken, 1);
        assert_eq!(
            spokes::unregister(db.writer(), &provider, None)
                .await
                .unwrap(),
            1
        );
        let unknown = Provider::Spoke("none".into());
        let refused = spokes::register(db.writer(), &unknown, &offers).await;
        assert!(matches!(&refused, Err(StorageError::Rule { name }) if name == "unknown_provider"));
        run(
            &db,
            &format!(
                "insert into operation_registrations
                     (id, operation_id, provider_type, provider_id, status, registered_at)
                 values ('old', '{}', 'spoke', '{}', 'inactive', '2020-01-01T00:00:00.000+00:00')",
                ids[0], spoke.id
            ),
        )
        .await;
        let soon = time::now() + TimeDelta::seconds(1);
        assert_eq!(
            spokes::prune_registrations(db.writer(), soon)
                .await
                .unwrap(),
            1
        );
        assert_eq!(
            count(&db, "operation_registrations", "status = 'inactive'").await,
            3
        );
        let (kept, _) = (&mine[0], RegistrationStatus::Active);
        assert_eq!(kept.provider_id, spoke.id.as_str());
    })
    .await;
}

#[tokio::test]
async fn a_removed_operation_leaves_its_records_as_asked() {
    on_each_engine(async |db| {
        let ada = account(&db, "ada").await;
        let spoke = connect(&db, new(&ada.id, "box", None)).await;
        let provider = Provider::Spoke(spoke.id);
        let rows = operations(&db, "n", &["a", "b"]).await;
        let (a, b) = (rows[0].id.clone(), rows[1].id.clone());
        let mut calls_made = vec![
            crate::calls::new(&a, "r1", None),
            crate::calls::new(&b, "r2", None),
        ];
        calls_made[1].status = CallStatus::Completed;
        calls::insert_calls(db.writer(), &calls_made).await.unwrap();
        spokes::register(db.writer(), &provider, &[offer(&a)])
            .await
            .unwrap();
        let remove = async |id: &OperationId, records, force| {
            let transaction = db.begin().await.unwrap();
            let done = spokes::remove_operation(&transaction, id, records, force).await;
            transaction.commit().await.unwrap();
            done
        };
        use RemovedRecords::{Delete, Reassign, Refuse};
        assert_eq!(
            remove(&a, Reassign, true).await.unwrap(),
            Removal::RunningCalls(1)
        );
        calls::finish_calls(
            db.writer(),
            &[calls::CallEnd {
                request_id: "r1".to_owned(),
                status: CallStatus::Completed,
                output: None,
                error: None,
                completed_at: time::now(),
                metadata: serde_json::Map::new(),
            }],
        )
        .await
        .unwrap();
        assert_eq!(
            remove(&a, Reassign, false).await.unwrap(),
            Removal::ActiveProviders(1)
        );
        assert_eq!(
            remove(&a, Refuse, true).await.unwrap(),
            Removal::HasCalls(1)
        );
        let Removal::Removed {
            calls: moved,
            registrations,
            ..
        } = remove(&a, Reassign, true).await.unwrap()
        else {
            panic!("it is removed");
        };
        assert_eq!((moved, registrations), (1, 1));
        let kept = calls::recorded_call(db.reader(), "r1")
            .await
            .unwrap()
            .unwrap();
        assert_eq!(kept.operation_id.as_str(), "__removed__");
        assert_eq!(kept.metadata["removedOperation"]["name"], json!("a"));
        assert!(matches!(
            remove(&b, Delete, false).await.unwrap(),
            Removal::Removed { calls: 1, .. }
        ));
        assert!(
            calls::recorded_call(db.reader(), "r2")
                .await
                .unwrap()
                .is_none()
        );
        assert!(matches!(
            remove(&b, Delete, false).await,
            Err(StorageError::NotFound)
        ));
        let sentinel = remove(&"__removed__".into(), Delete, true).await;
        assert!(matches!(&sentinel, Err(StorageError::Rule { name }) if name == "sentinel"));
    })
    .await;
}
