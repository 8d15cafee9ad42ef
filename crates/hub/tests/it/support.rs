//! A started hub for each engine, and the accounts and keys that tests call it with.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use alkhub_hub::config::{Sources, load};
use alkhub_hub::{
    Answer, CallInput, CallOptions, CallRequest, Credential, Expected, Failure, Hub, HubOptions,
    Origin, Surface,
};
use alkhub_operations::{CallError, RequestId};
use alkhub_storage::enums::{AccessLevel, MembershipLevel};
use alkhub_storage::ids::{AccountId, OrganizationId};
use alkhub_storage::testing::{TestDatabase, each_engine};
use alkhub_storage::{Database, identity};
use futures::StreamExt as _;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A hub with an empty database; its first administrator's key is at hand.
pub(crate) struct TestHub {
    pub(crate) hub: Arc<Hub>,
    /// The same database, by a connection of the test's own.
    pub(crate) database: TestDatabase,
    pub(crate) admin_key: String,
    data_dir: TempDir,
}

/// Runs the body with a fresh hub on SQLite, then on PostgreSQL.
pub(crate) async fn each_hub<F>(body: F)
where
    F: AsyncFn(&TestHub),
{
    each_hub_with(&[], body).await;
}

/// As [`each_hub`], with settings.
pub(crate) async fn each_hub_with<F>(settings: &[(&str, &str)], body: F)
where
    F: AsyncFn(&TestHub),
{
    each_engine(async |database| {
        let test = TestHub::start(database, settings).await;
        body(&test).await;
        test.hub.shutdown(Duration::from_secs(5)).await;
    })
    .await;
}

/// Starts a hub on a database and a data directory.
pub(crate) async fn start(
    url: &str,
    data_dir: &std::path::Path,
    settings: &[(&str, &str)],
) -> Result<alkhub_hub::Started, alkhub_hub::StartError> {
    let mut flags = vec![
        ("dataDir".to_owned(), data_dir.display().to_string()),
        ("database.url".to_owned(), url.to_owned()),
        ("limits.rate".to_owned(), "0".to_owned()),
    ];
    for (key, value) in settings {
        flags.retain(|(known, _)| known != key);
        flags.push(((*key).to_owned(), (*value).to_owned()));
    }
    let loaded = load(Sources {
        flags,
        ..Sources::default()
    })
    .expect("settings of a test");
    Hub::start(HubOptions {
        config: Arc::new(loaded.config),
    })
    .await
}

impl TestHub {
    async fn start(database: TestDatabase, settings: &[(&str, &str)]) -> Self {
        let data_dir = tempfile::tempdir().expect("a data directory");
        let started = start(database.url(), data_dir.path(), settings)
            .await
            .expect("the hub starts");
        let first_key = started.first_key.expect("a first start makes a key");
        Self {
            hub: started.hub,
            database,
            admin_key: first_key.expose_secret().to_owned(),
            data_dir,
        }
    }

    /// Calls an operation and gives the output.
    pub(crate) async fn call(
        &self,
        key: &str,
        operation: &str,
        input: Value,
    ) -> Result<Value, CallError> {
        let outcome = self.hub.call(request(Some(key), operation, input)).await;
        outcome
            .map(|answer| answer.envelope.data)
            .map_err(|failure| failure.error)
    }

    /// Calls an operation as the administrator; it must succeed.
    pub(crate) async fn ok(&self, operation: &str, input: Value) -> Value {
        match self.call(&self.admin_key, operation, input.clone()).await {
            Ok(output) => output,
            Err(error) => panic!("{operation} {input}: {error:?}"),
        }
    }

    /// Calls an operation as the administrator; it must fail.
    pub(crate) async fn err(&self, operation: &str, input: Value) -> CallError {
        match self.call(&self.admin_key, operation, input.clone()).await {
            Ok(output) => panic!("{operation} {input} succeeded: {output}"),
            Err(error) => error,
        }
    }

    /// Calls a query or mutation, or begins a subscription and waits a moment for a refusal.
    pub(crate) async fn try_once(
        &self,
        key: &str,
        operation: &str,
        input: Value,
    ) -> Result<Value, CallError> {
        self.try_request(request(Some(key), operation, input)).await
    }

    /// As [`TestHub::try_once`], for a request that is made already.
    pub(crate) async fn try_request(&self, request: CallRequest) -> Result<Value, CallError> {
        let stream = request.operation.ends_with(".watch") || request.operation == "hub.events";
        if !stream {
            let outcome = self.hub.call(request).await;
            return outcome
                .map(|answer| answer.envelope.data)
                .map_err(|failure| failure.error);
        }
        let request = CallRequest {
            expected: Expected::Subscription,
            options: CallOptions::default(),
            ..request
        };
        let mut subscription = self
            .hub
            .subscribe(request)
            .await
            .map_err(|failure| failure.error)?;
        let first = tokio::time::timeout(Duration::from_millis(300), subscription.items.next());
        match first.await {
            Ok(Some(Err(error))) => Err(error),
            _ => Ok(Value::Null),
        }
    }

    /// Calls with a request id or idempotency key of the caller's.
    pub(crate) async fn send(&self, request: CallRequest) -> Result<Answer, Failure> {
        self.hub.call(request).await
    }

    /// A new account.
    pub(crate) async fn account(&self, email: &str, level: AccessLevel) -> AccountId {
        let input = json!({ "email": email, "displayName": email, "accessLevel": level });
        let account = self.ok("account.create", input).await;
        AccountId::from(account["id"].as_str().expect("an id"))
    }

    /// A new key of an account.
    pub(crate) async fn key(&self, owner: &AccountId, scopes: &[&str]) -> String {
        self.narrowed_key(owner, scopes, json!({})).await
    }

    /// A new key of an account, narrowed to rows.
    pub(crate) async fn narrowed_key(
        &self,
        owner: &AccountId,
        scopes: &[&str],
        resources: Value,
    ) -> String {
        let input =
            json!({ "name": "test", "ownerId": owner, "scopes": scopes, "resources": resources });
        let made = self.ok("key.create", input).await;
        made["key"].as_str().expect("a key").to_owned()
    }

    /// A new organization with its owner.
    pub(crate) async fn organization(&self, name: &str, owner: &AccountId) -> OrganizationId {
        let database: &Database = &self.database;
        let transaction = database.begin().await.expect("a transaction");
        let new = identity::NewOrganization {
            name: name.to_owned(),
            slug: name.to_owned(),
            owner_id: owner.clone(),
            gitea_org_name: None,
            data: None,
            metadata: alkhub_storage::json::Metadata::new(),
        };
        let organization = identity::create_organization(&transaction, new)
            .await
            .expect("an organization");
        transaction.commit().await.expect("commit");
        organization.id
    }

    /// A spoke that was connected once, bound to a project.
    pub(crate) async fn spoke(&self, account: &AccountId, project: &str) -> String {
        let database: &Database = &self.database;
        let transaction = database.begin().await.expect("a transaction");
        let new = alkhub_storage::spokes::NewSpoke {
            id: None,
            account_id: account.clone(),
            project_id: Some(project.into()),
            name: "box".to_owned(),
            spoke_type: alkhub_storage::enums::SpokeType::Custom,
            host_info: None,
            metadata: alkhub_storage::json::Metadata::new(),
        };
        let spoke = alkhub_storage::spokes::connect_spoke(&transaction, new)
            .await
            .expect("a spoke");
        transaction.commit().await.expect("commit");
        spoke.id.to_string()
    }

    /// Makes an account a member of an organization.
    pub(crate) async fn member(
        &self,
        organization: &OrganizationId,
        account: &AccountId,
        level: MembershipLevel,
    ) {
        let database: &Database = &self.database;
        let transaction = database.begin().await.expect("a transaction");
        identity::add_member(&transaction, organization, account, level)
            .await
            .expect("a member");
        transaction.commit().await.expect("commit");
    }

    /// A project of an organization or of the administrator; its id.
    pub(crate) async fn project(
        &self,
        name: &str,
        organization: Option<&OrganizationId>,
    ) -> String {
        let project = self
            .ok(
                "project.create",
                json!({ "name": name, "orgId": organization }),
            )
            .await;
        project["id"].as_str().expect("an id").to_owned()
    }

    /// The directory of keys and lock.
    pub(crate) fn data_dir(&self) -> &std::path::Path {
        self.data_dir.path()
    }
}

/// A request as a surface makes it.
pub(crate) fn request(key: Option<&str>, operation: &str, input: Value) -> CallRequest {
    CallRequest {
        operation: operation.to_owned(),
        input: CallInput::Json(input),
        credential: key.map_or(Credential::None, |key| {
            Credential::Key(SecretString::from(key.to_owned()))
        }),
        request_id: None,
        idempotency_key: None,
        timeout: None,
        origin: origin(),
        expected: Expected::Call,
        options: CallOptions::default(),
    }
}

/// The same with an id of the caller's.
pub(crate) fn with_id(mut request: CallRequest, id: RequestId) -> CallRequest {
    request.request_id = Some(id);
    request
}

/// Where the calls of tests come from.
pub(crate) fn origin() -> Origin {
    Origin {
        surface: Surface::Http,
        ip: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        user_agent: Some("test".to_owned()),
    }
}

/// The rule an error names.
pub(crate) fn rule(error: &CallError) -> String {
    let details = error.details.as_ref().unwrap_or(&Value::Null);
    details["rule"]
        .as_str()
        .or_else(|| details["issues"][0]["rule"].as_str())
        .unwrap_or_default()
        .to_owned()
}

/// Runs SQL that no repository offers, as hand-written SQL would.
pub(crate) async fn execute(database: &Database, sql: &str) {
    use alkhub_storage::ConnectionTrait as _;
    database
        .writer()
        .execute_unprepared(sql)
        .await
        .expect("the statement runs");
}

/// The actions in the audit log, oldest first.
pub(crate) async fn audit_actions(database: &Database) -> Vec<String> {
    use alkhub_storage::identity::AuditFilter;
    use alkhub_storage::{Order, PageRequest, Scope};
    let page = PageRequest::first(500).in_order(Order::Asc);
    let entries = identity::list_audit(
        database.reader(),
        &Scope::All,
        &AuditFilter::default(),
        &page,
    )
    .await;
    entries
        .expect("the audit log")
        .items
        .into_iter()
        .map(|entry| entry.action)
        .collect()
}
