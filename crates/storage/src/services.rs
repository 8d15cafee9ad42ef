//! Services the hub calls, and their encrypted secrets.

mod secrets;

use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, Set, Statement,
};

use crate::engine::Engine;
use crate::entity::{clients, operation_registrations};
use crate::enums::{ClientType, ProviderType, RegistrationStatus};
use crate::error::StorageError;
use crate::ids::{AccountId, ClientId, OrganizationId};
use crate::json::{JsonObject, Metadata};
use crate::page::{self, Page, PageRequest};
use crate::scope::Scope;
use crate::time::{self, DateTimeUtc};

pub use secrets::{
    ExpiringSecret, SecretName, delete_secret, load_secret_names, replace_secret_value, secret,
    secret_names, secrets_expiring, secrets_with_old_key, set_secret,
};

/// A service to be called.
#[derive(Debug, Clone, PartialEq)]
pub struct NewClient {
    /// Unique over the hub.
    pub name: String,
    /// What sort of service.
    pub kind: ClientType,
    /// Configuration of that type, checked by the caller.
    pub config: JsonObject,
    /// Off without deleting.
    pub enabled: bool,
    /// Who configures it.
    pub owner_id: AccountId,
    /// The organization; none = personal.
    pub org_id: Option<OrganizationId>,
    /// The hub's own notes.
    pub metadata: Metadata,
}

/// Columns of a client that change; none = as it was.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ClientChanges {
    /// Another name.
    pub name: Option<String>,
    /// Another configuration, whole.
    pub config: Option<JsonObject>,
    /// Notes merged key by key; a null removes a key.
    pub metadata: serde_json::Map<String, serde_json::Value>,
    /// Refuse with `Stale` unless the row was last changed at this moment.
    pub if_updated_at: Option<DateTimeUtc>,
}

/// Which clients to list; none = all.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct ClientFilter {
    /// Of one sort.
    pub kind: Option<ClientType>,
    /// Of one organization.
    pub org_id: Option<OrganizationId>,
    /// Configured by one account.
    pub owner_id: Option<AccountId>,
    /// Switched on or off.
    pub enabled: Option<bool>,
}

/// Stores a client. Needs a transaction, for the audit entry. Errors: `Unique` by name.
pub async fn create_client(
    db: &impl ConnectionTrait,
    new: NewClient,
) -> Result<clients::Model, StorageError> {
    let now = time::now();
    let row = clients::ActiveModel {
        id: Set(ClientId::random()),
        name: Set(new.name),
        kind: Set(new.kind),
        config: Set(new.config),
        enabled: Set(new.enabled),
        owner_id: Set(new.owner_id),
        org_id: Set(new.org_id),
        metadata: Set(new.metadata),
        created_at: Set(now),
        updated_at: Set(now),
    };
    Ok(row.insert(db).await?)
}

/// Changes name, configuration or notes. Needs a transaction. Errors: `NotFound`; `Unique` by name;
/// `Stale`.
pub async fn update_client(
    db: &impl ConnectionTrait,
    id: &ClientId,
    changes: ClientChanges,
) -> Result<clients::Model, StorageError> {
    let stored = locked(db, id).await?;
    if changes
        .if_updated_at
        .is_some_and(|seen| seen != time::whole_milliseconds(stored.updated_at))
    {
        return Err(StorageError::Stale);
    }
    let mut row = clients::ActiveModel {
        id: Set(id.clone()),
        ..Default::default()
    };
    if let Some(name) = changes.name {
        row.name = Set(name);
    }
    if let Some(config) = changes.config {
        row.config = Set(config);
    }
    if !changes.metadata.is_empty() {
        let mut metadata = stored.metadata;
        metadata.merge(changes.metadata);
        row.metadata = Set(metadata);
    }
    row.updated_at = Set(time::after(stored.updated_at));
    Ok(row.update(db).await?)
}

/// Switches a client on or off, and its registrations with it: on, the newest one of each operation.
/// Needs a transaction. Errors: `NotFound`.
pub async fn set_client_enabled(
    db: &impl ConnectionTrait,
    id: &ClientId,
    enabled: bool,
) -> Result<clients::Model, StorageError> {
    let stored = locked(db, id).await?;
    if stored.enabled == enabled {
        return Ok(stored);
    }
    let now = time::after(stored.updated_at);
    if enabled {
        activate_registrations(db, id, now).await?;
    } else {
        operation_registrations::Entity::update_many()
            .col_expr(
                operation_registrations::Column::Status,
                Expr::value(RegistrationStatus::Inactive),
            )
            .col_expr(operation_registrations::Column::UpdatedAt, Expr::value(now))
            .filter(operation_registrations::Column::ProviderId.eq(id.as_str()))
            .filter(operation_registrations::Column::ProviderType.eq(ProviderType::Client))
            .filter(operation_registrations::Column::Status.eq(RegistrationStatus::Active))
            .exec(db)
            .await?;
    }
    let row = clients::ActiveModel {
        id: Set(id.clone()),
        enabled: Set(enabled),
        updated_at: Set(now),
        ..Default::default()
    };
    Ok(row.update(db).await?)
}

/// Gives a client to another owner or organization (none = personal). Needs a transaction. Errors:
/// `NotFound`; `ForeignKey` for an unknown account or organization.
pub async fn transfer_client(
    db: &impl ConnectionTrait,
    id: &ClientId,
    owner: AccountId,
    org: Option<OrganizationId>,
) -> Result<clients::Model, StorageError> {
    let stored = locked(db, id).await?;
    let row = clients::ActiveModel {
        id: Set(id.clone()),
        owner_id: Set(owner),
        org_id: Set(org),
        updated_at: Set(time::after(stored.updated_at)),
        ..Default::default()
    };
    Ok(row.update(db).await?)
}

/// Deletes a client with its secrets and registrations. Needs a transaction. Errors: `NotFound`.
pub async fn delete_client(db: &impl ConnectionTrait, id: &ClientId) -> Result<(), StorageError> {
    let deleted = clients::Entity::delete_by_id(id.clone()).exec(db).await?;
    if deleted.rows_affected == 0 {
        Err(StorageError::NotFound)
    } else {
        Ok(())
    }
}

/// The client with an id, if the asker may see it.
pub async fn client_by_id(
    db: &impl ConnectionTrait,
    scope: &Scope,
    id: &ClientId,
) -> Result<Option<clients::Model>, StorageError> {
    Ok(clients::Entity::find_by_id(id.clone())
        .filter(scope.clients(Engine::of(db)))
        .one(db)
        .await?)
}

/// The client with a name, if the asker may see it.
pub async fn client_by_name(
    db: &impl ConnectionTrait,
    scope: &Scope,
    name: &str,
) -> Result<Option<clients::Model>, StorageError> {
    Ok(clients::Entity::find()
        .filter(clients::Column::Name.eq(name))
        .filter(scope.clients(Engine::of(db)))
        .one(db)
        .await?)
}

/// Clients the asker may see, newest first.
pub async fn list_clients(
    db: &impl ConnectionTrait,
    scope: &Scope,
    filter: &ClientFilter,
    request: &PageRequest,
) -> Result<Page<clients::Model>, StorageError> {
    let mut select = clients::Entity::find().filter(scope.clients(Engine::of(db)));
    if let Some(kind) = filter.kind {
        select = select.filter(clients::Column::Kind.eq(kind));
    }
    if let Some(org) = &filter.org_id {
        select = select.filter(clients::Column::OrgId.eq(org.clone()));
    }
    if let Some(owner) = &filter.owner_id {
        select = select.filter(clients::Column::OwnerId.eq(owner.clone()));
    }
    if let Some(enabled) = filter.enabled {
        select = select.filter(clients::Column::Enabled.eq(enabled));
    }
    page::by_creation(db, select, "clients", filter, request, |row| {
        (row.created_at, row.id.to_string())
    })
    .await
}

/// Clients whose configuration a check finds fault with, by name, with what it found. For the start
/// of the hub: stored rows are never refused.
pub async fn invalid_clients<Issue>(
    db: &impl ConnectionTrait,
    check: impl Fn(&clients::Model) -> Vec<Issue>,
) -> Result<Vec<(ClientId, Vec<Issue>)>, StorageError> {
    let rows = clients::Entity::find()
        .order_by(
            Engine::of(db).bytewise("clients", "name"),
            sea_orm::Order::Asc,
        )
        .all(db)
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let issues = check(&row);
            (row.id, issues)
        })
        .filter(|(_, issues)| !issues.is_empty())
        .collect())
}

async fn locked(db: &impl ConnectionTrait, id: &ClientId) -> Result<clients::Model, StorageError> {
    clients::Entity::find_by_id(id.clone())
        .lock_exclusive()
        .one(db)
        .await?
        .ok_or(StorageError::NotFound)
}

async fn activate_registrations(
    db: &impl ConnectionTrait,
    id: &ClientId,
    now: DateTimeUtc,
) -> Result<(), StorageError> {
    let statement = Statement::from_sql_and_values(
        db.get_database_backend(),
        "update operation_registrations set status = 'active', registered_at = $2, updated_at = $2
         where status = 'inactive' and id in (
            select id from (
                select id, row_number() over (
                    partition by operation_id order by registered_at desc, id desc
                ) as place
                from operation_registrations
                where provider_id = $1 and provider_type = 'client'
            ) as ranked
            where place = 1
         )",
        [id.as_str().into(), now.into()],
    );
    db.execute_raw(statement).await?;
    Ok(())
}
