//! Rows that tests of several domains begin with.

use alkhub_storage::enums::OperationType;
use alkhub_storage::identity::{self, NewAccount, NewApiKey, NewOrganization};
use alkhub_storage::ids::{AccountId, OrganizationId, ProjectId};
use alkhub_storage::json::{AccessControl, ErrorDefinitions, Metadata, ResourceMap, StringList};
use alkhub_storage::projects::{self, NewProject};
use alkhub_storage::spokes::{self, NewOperation};
use alkhub_storage::{Account, ApiKey, Database, Limits, Operation, Organization, Project, Scope};
use serde_json::json;

/// An account with the address `<name>@example.com`.
pub(crate) async fn account(db: &Database, name: &str) -> Account {
    let new = NewAccount {
        email: format!("{name}@example.com"),
        display_name: Some(name.to_owned()),
        ..NewAccount::default()
    };
    identity::create_account(db.writer(), new).await.unwrap()
}

/// An organization of that name and its owner.
pub(crate) async fn organization(db: &Database, name: &str, owner: &AccountId) -> Organization {
    let new = NewOrganization {
        name: name.to_owned(),
        slug: name.to_owned(),
        owner_id: owner.clone(),
        gitea_org_name: None,
        data: None,
        metadata: Metadata::new(),
    };
    let transaction = db.begin().await.unwrap();
    let made = identity::create_organization(&transaction, new)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    made
}

/// A project of an organization, or a personal one.
pub(crate) async fn project(
    db: &Database,
    name: &str,
    organization: Option<&OrganizationId>,
    owner: &AccountId,
) -> Project {
    let new = NewProject {
        org_id: organization.cloned(),
        name: name.to_owned(),
        directory: None,
        repo_url: None,
        vcs: Some("git".to_owned()),
        icon_url: None,
        icon_color: None,
        metadata: Metadata::new().with("ownerId", owner.as_str()),
    };
    projects::create_project(db.writer(), new).await.unwrap()
}

/// A project and nothing else, for tests that need one.
pub(crate) async fn some_project(db: &Database) -> ProjectId {
    let owner = account(db, &format!("owner-{}", AccountId::random())).await;
    project(db, "project", None, &owner.id).await.id
}

/// A live key.
pub(crate) async fn key(db: &Database, owner: &AccountId, hash: &str) -> ApiKey {
    identity::create_api_key(db.writer(), new_key(owner, hash))
        .await
        .unwrap()
}

/// A key that is still to be made.
pub(crate) fn new_key(owner: &AccountId, hash: &str) -> NewApiKey {
    NewApiKey {
        owner_id: owner.clone(),
        name: Some(hash.to_owned()),
        description: None,
        key_hash: hash.to_owned(),
        key_prefix: format!("alk_{hash}"),
        scopes: StringList::from(vec!["*".to_owned()]),
        resources: ResourceMap::default(),
        expires_at: None,
        metadata: Metadata::new(),
    }
}

/// A definition that is still to be stored.
pub(crate) fn new_operation(namespace: &str, name: &str) -> NewOperation {
    NewOperation {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        version: "1.0.0".to_owned(),
        kind: OperationType::Query,
        title: None,
        description: "does something".to_owned(),
        tags: StringList::from(vec!["a".to_owned(), name.to_owned()]),
        input_schema: json!({"type": "object"}),
        output_schema: json!({}),
        error_schemas: ErrorDefinitions::default(),
        access_control: AccessControl::default(),
        protocol_meta: None,
        metadata: Metadata::new(),
    }
}

/// Stored definitions of these names in a namespace.
pub(crate) async fn operations(db: &Database, namespace: &str, names: &[&str]) -> Vec<Operation> {
    let new = names
        .iter()
        .map(|name| new_operation(namespace, name))
        .collect();
    let transaction = db.begin().await.unwrap();
    let stored = spokes::upsert_operations(&transaction, new).await.unwrap();
    transaction.commit().await.unwrap();
    stored.into_iter().map(|(operation, _)| operation).collect()
}

/// What a member of some organizations may see.
pub(crate) fn member(account: &AccountId, orgs: &[&OrganizationId]) -> Scope {
    let orgs = orgs.iter().map(|id| (*id).clone()).collect();
    Limits {
        orgs,
        ..Limits::new(account.clone())
    }
    .into()
}
