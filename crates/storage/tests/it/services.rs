//! Queries of services and their secrets.

use alkhub_storage::enums::ClientType;
use alkhub_storage::ids::{AccountId, ClientId, OrganizationId};
use alkhub_storage::json::{EncryptedValue, JsonObject, Metadata};
use alkhub_storage::services::{self, ClientChanges, ClientFilter, NewClient};
use alkhub_storage::{Client, Database, Limits, PageRequest, Scope, StorageError, time};
use chrono::Duration;
use serde_json::json;

use crate::rows::{insert, world};
use crate::sql::{count, run, text};
use crate::support::on_each_engine;

fn client(name: &str) -> NewClient {
    NewClient {
        name: name.to_owned(),
        kind: ClientType::Custom,
        config: object(json!({"baseUrl": "https://example.com"})),
        enabled: true,
        owner_id: AccountId::from("accounts"),
        org_id: None,
        metadata: Metadata::new(),
    }
}

fn object(value: serde_json::Value) -> JsonObject {
    JsonObject(value.as_object().unwrap().clone())
}

fn encrypted(key_version: i64, data: &str) -> EncryptedValue {
    let value = json!({"keyVersion": key_version, "salt": "", "iv": "aXY=", "data": data});
    serde_json::from_value(value).unwrap()
}

async fn create(db: &Database, new: NewClient) -> Result<Client, StorageError> {
    let transaction = db.begin().await?;
    let client = services::create_client(&transaction, new).await?;
    transaction.commit().await?;
    Ok(client)
}

#[tokio::test]
async fn a_client_is_stored_found_changed_and_deleted() {
    on_each_engine(async |db| {
        run(&db, &world()).await;
        let made = create(&db, client("weather")).await.unwrap();
        let twin = create(&db, client("weather")).await;
        assert!(twin.is_err_and(|error| error.is_unique("unq_clients_name")));
        let found = services::client_by_name(db.reader(), &Scope::All, "weather")
            .await
            .unwrap();
        assert_eq!(found, Some(made.clone()));

        let transaction = db.begin().await.unwrap();
        let changes = ClientChanges {
            config: Some(object(json!({"baseUrl": "https://other.example.com"}))),
            metadata: object(json!({"checkedAt": "today"})).0,
            if_updated_at: Some(made.updated_at),
            ..ClientChanges::default()
        };
        let changed = services::update_client(&transaction, &made.id, changes.clone())
            .await
            .unwrap();
        let stale = services::update_client(&transaction, &made.id, changes).await;
        assert!(matches!(stale, Err(StorageError::Stale)), "{stale:?}");
        transaction.commit().await.unwrap();
        assert_eq!(changed.config["baseUrl"], "https://other.example.com");
        assert_eq!(changed.metadata.text("checkedAt"), Some("today"));

        let transaction = db.begin().await.unwrap();
        services::delete_client(&transaction, &made.id)
            .await
            .unwrap();
        let again = services::delete_client(&transaction, &made.id).await;
        assert!(matches!(again, Err(StorageError::NotFound)));
        transaction.commit().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn clients_are_seen_by_their_owner_or_organization_only() {
    on_each_engine(async |db| {
        run(&db, &world()).await;
        run(&db, &insert("accounts", "other", &[])).await;
        let personal = create(&db, client("personal")).await.unwrap();
        let shared = NewClient {
            org_id: Some(OrganizationId::from("organizations")),
            owner_id: AccountId::from("other"),
            kind: ClientType::Vcs,
            enabled: false,
            ..client("shared")
        };
        let shared = create(&db, shared).await.unwrap();

        let owner = Scope::account(AccountId::from("accounts"));
        let stranger = Scope::account(AccountId::from("stranger"));
        let member = Scope::from(Limits {
            orgs: vec![OrganizationId::from("organizations")],
            ..Limits::new(AccountId::from("stranger"))
        });
        let sees = async |scope: &Scope, id: &ClientId| {
            services::client_by_id(db.reader(), scope, id)
                .await
                .unwrap()
                .is_some()
        };
        assert!(sees(&owner, &personal.id).await && !sees(&owner, &shared.id).await);
        assert!(!sees(&stranger, &personal.id).await && !sees(&stranger, &shared.id).await);
        assert!(!sees(&member, &personal.id).await && sees(&member, &shared.id).await);
        assert!(sees(&Scope::All, &personal.id).await && sees(&Scope::All, &shared.id).await);

        let names = async |scope: &Scope, filter: ClientFilter| {
            let page = PageRequest::default();
            let found = services::list_clients(db.reader(), scope, &filter, &page)
                .await
                .unwrap();
            let mut names: Vec<String> =
                found.items.into_iter().map(|client| client.name).collect();
            names.sort();
            names
        };
        let all = ClientFilter::default();
        assert_eq!(
            names(&Scope::All, all.clone()).await,
            ["clients", "personal", "shared"]
        );
        assert_eq!(names(&owner, all.clone()).await, ["clients", "personal"]);
        assert_eq!(names(&member, all).await, ["shared"]);
        let vcs = ClientFilter {
            kind: Some(ClientType::Vcs),
            ..ClientFilter::default()
        };
        assert_eq!(names(&Scope::All, vcs).await, ["shared"]);
        let on = ClientFilter {
            enabled: Some(true),
            ..ClientFilter::default()
        };
        assert_eq!(names(&Scope::All, on).await, ["clients", "personal"]);
        let of = ClientFilter {
            owner_id: Some(AccountId::from("other")),
            ..ClientFilter::default()
        };
        assert_eq!(names(&Scope::All, of).await, ["shared"]);
        let org = OrganizationId::from("organizations");
        let of = ClientFilter {
            org_id: Some(org),
            ..ClientFilter::default()
        };
        assert_eq!(names(&Scope::All, of).await, ["shared"]);
    })
    .await;
}

#[tokio::test]
async fn a_switched_off_client_offers_nothing_until_it_is_on_again() {
    on_each_engine(async |db| {
        run(&db, &world()).await;
        let made = create(&db, client("weather")).await.unwrap();
        let provider = [
            ("provider_type", "client"),
            ("provider_id", made.id.as_str()),
        ];
        run(&db, &insert("operation_registrations", "now", &provider)).await;
        let old = [
            ("provider_type", "client"),
            ("provider_id", made.id.as_str()),
            ("status", "inactive"),
            ("registered_at", "2020-01-01T00:00:00+00:00"),
        ];
        run(&db, &insert("operation_registrations", "before", &old)).await;

        let switch = async |enabled: bool| {
            let transaction = db.begin().await.unwrap();
            let client = services::set_client_enabled(&transaction, &made.id, enabled)
                .await
                .unwrap();
            transaction.commit().await.unwrap();
            assert_eq!(client.enabled, enabled);
            client
        };
        let active = "provider_type = 'client' and status = 'active'";
        switch(false).await;
        assert_eq!(count(&db, "operation_registrations", active).await, 0);
        let on = switch(true).await;
        assert_eq!(count(&db, "operation_registrations", active).await, 1);
        assert_eq!(
            count(
                &db,
                "operation_registrations",
                "id = 'now' and status = 'active'"
            )
            .await,
            1
        );
        assert_eq!(
            switch(true).await,
            on,
            "switched on again: nothing is written"
        );
        assert_eq!(
            count(
                &db,
                "operation_registrations",
                "id = 'operation-registrations' and status = 'active'"
            )
            .await,
            1,
            "the spoke's registration is not touched"
        );
    })
    .await;
}

#[tokio::test]
async fn a_client_passes_to_another_owner_and_organization() {
    on_each_engine(async |db| {
        run(&db, &world()).await;
        run(&db, &insert("accounts", "heir", &[])).await;
        let made = create(&db, client("weather")).await.unwrap();
        let org = OrganizationId::from("organizations");
        let transaction = db.begin().await.unwrap();
        let moved =
            services::transfer_client(&transaction, &made.id, AccountId::from("heir"), Some(org))
                .await
                .unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(moved.owner_id, AccountId::from("heir"));
        assert!(moved.org_id.is_some());

        let transaction = db.begin().await.unwrap();
        let refused =
            services::transfer_client(&transaction, &made.id, AccountId::random(), None).await;
        assert!(
            matches!(refused, Err(StorageError::ForeignKey { .. })),
            "{refused:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn invalid_configurations_are_reported_by_name() {
    on_each_engine(async |db| {
        run(&db, &world()).await;
        create(&db, client("b")).await.unwrap();
        create(&db, client("a")).await.unwrap();
        let issues = services::invalid_clients(db.reader(), |client| {
            if client.config.contains_key("openapi") {
                vec![]
            } else {
                vec![client.name.clone()]
            }
        })
        .await
        .unwrap();
        let names: Vec<String> = issues.into_iter().flat_map(|(_, issues)| issues).collect();
        assert_eq!(names, ["a", "b", "clients"]);
    })
    .await;
}

#[tokio::test]
async fn a_secret_is_set_replaced_named_and_deleted() {
    on_each_engine(async |db| {
        run(&db, &world()).await;
        let made = create(&db, client("weather")).await.unwrap();
        let end = time::now() + Duration::days(1);
        let set = async |key: &str, value: EncryptedValue, end| {
            let transaction = db.begin().await.unwrap();
            let row = services::set_secret(&transaction, &made.id, key, value, end)
                .await
                .unwrap();
            transaction.commit().await.unwrap();
            row
        };
        let first = set("token", encrypted(1, "b25l"), None).await;
        let second = set("token", encrypted(2, "dHdv"), Some(end)).await;
        assert_eq!(first.id, second.id);
        assert!(second.updated_at >= first.updated_at);
        set("password", encrypted(2, "cA=="), None).await;

        let stored = services::secret(db.reader(), &made.id, "token")
            .await
            .unwrap()
            .unwrap();
        assert_eq!(stored.value, encrypted(2, "dHdv"));
        assert_eq!(
            services::secret(db.reader(), &made.id, "none")
                .await
                .unwrap(),
            None
        );
        let names = services::secret_names(db.reader(), &made.id).await.unwrap();
        let told: Vec<_> = names
            .iter()
            .map(|name| (name.key.as_str(), name.key_version, name.expires_at))
            .collect();
        assert_eq!(told, [("password", 2, None), ("token", 2, Some(end))]);
        let other = ClientId::from("clients");
        let loaded = services::load_secret_names(db.reader(), &[made.id.clone(), other.clone()])
            .await
            .unwrap();
        assert_eq!((loaded[&made.id].len(), loaded[&other].len()), (2, 1));

        let expiring = services::secrets_expiring(db.reader(), end + Duration::seconds(1))
            .await
            .unwrap();
        assert_eq!(expiring.len(), 1);
        assert_eq!(
            (expiring[0].key.as_str(), expiring[0].expires_at),
            ("token", end)
        );
        assert!(
            services::secrets_expiring(db.reader(), end)
                .await
                .unwrap()
                .is_empty()
        );

        let transaction = db.begin().await.unwrap();
        assert!(
            services::delete_secret(&transaction, &made.id, "token")
                .await
                .unwrap()
        );
        assert!(
            !services::delete_secret(&transaction, &made.id, "token")
                .await
                .unwrap()
        );
        transaction.commit().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn secrets_under_an_older_data_key_are_found_and_replaced_one_by_one() {
    on_each_engine(async |db| {
        run(&db, &world()).await;
        run(&db, "delete from client_secrets").await;
        let made = create(&db, client("weather")).await.unwrap();
        let transaction = db.begin().await.unwrap();
        for (key, version) in [("a", 1), ("b", 2), ("c", 10)] {
            services::set_secret(
                &transaction,
                &made.id,
                key,
                encrypted(version, "eA=="),
                None,
            )
            .await
            .unwrap();
        }
        transaction.commit().await.unwrap();

        let mut replaced = 0;
        loop {
            let transaction = db.begin().await.unwrap();
            let old = services::secrets_with_old_key(&transaction, 10, 1)
                .await
                .unwrap();
            let Some(row) = old.into_iter().next() else {
                break;
            };
            services::replace_secret_value(&transaction, &row.id, encrypted(10, "eQ=="))
                .await
                .unwrap();
            transaction.commit().await.unwrap();
            replaced += 1;
        }
        assert_eq!(replaced, 2);
        let names = services::secret_names(db.reader(), &made.id).await.unwrap();
        assert!(names.iter().all(|name| name.key_version == 10));
        let value = text(
            &db,
            "select cast(\"value\" as text) from client_secrets limit 1",
        )
        .await;
        assert!(value.is_some_and(|value| value.contains("keyVersion")));
    })
    .await;
}
