//! Operations on external services, and what makes their own operations callable.

mod change;
mod guard;
mod http;
mod import;
mod mcp;
mod offers;
mod probe;
mod secrets;
mod services;
mod types;

use std::sync::Arc;

use alkhub_operations::{CallError, Operation, OperationType, operation};
use alkhub_storage::StorageResultExt as _;
use alkhub_storage::entity::clients;
use alkhub_storage::enums::{ClientType, MembershipLevel};
use alkhub_storage::ids::{AccountId, ClientId, OrganizationId};
use alkhub_storage::services::{self as queries, ClientFilter, NewClient, SecretName};
use alkhub_storage::time::format as to_wire;
use alkhub_storage::{ConnectionTrait, StorageError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub(crate) use offers::restore;
pub(crate) use services::Services;

use crate::audit::{self, Action, Entry};
use crate::error::{HubError, NOT_FOUND};
use crate::page::{PageView, list_input};
use crate::rules::{self, Issues};
use crate::state::{Call, State, handle};
use types::{ClientConfig, McpServer, service_url};

pub(crate) fn operations() -> Vec<Operation> {
    let mut operations = vec![
        operation::<alkhub_operations::Empty, Vec<TypeView>>("client.types", OperationType::Query)
            .description(
                "The types of external services, what each is configured with, and its secrets.",
            )
            .scopes(&["client:read"])
            .handler(handle(types_of_clients)),
        operation::<ClientCreate, ClientView>("client.create", OperationType::Mutation)
            .description("Makes an external service known: the caller's own, or an organization's.")
            .scopes(&["client:write"])
            .error("CONFLICT", "name_taken: another client has this name")
            .error(
                "UNPROCESSABLE",
                "blocked_address: the hub may not reach it; secret_in_config: a credential in the \
                 configuration",
            )
            .error("FORBIDDEN", "The namespace is the hub's own.")
            .error("UNSUPPORTED", "The hub starts no programs for MCP servers.")
            .handler(handle(create)),
        operation::<ClientGet, ClientView>("client.get", OperationType::Query)
            .description("One external service by id or by its name.")
            .scopes(&["client:read"])
            .resource("client", "read")
            .handler(handle(get)),
        operation::<ClientList, PageView<ClientView>>("client.list", OperationType::Query)
            .description("The visible external services, newest first.")
            .scopes(&["client:read"])
            .handler(handle(list)),
    ];
    operations.extend(change::operations());
    operations.extend(probe::operations());
    operations.extend(import::operations());
    operations
}

/// A type of external service.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct TypeView {
    /// The type.
    #[serde(rename = "type")]
    kind: ClientType,
    /// JSON Schema of its configuration.
    config_schema: Value,
    /// Names of its secrets; `env.<NAME>` stands for one of each variable.
    secret_keys: Vec<&'static str>,
    /// Whether its operations can be imported.
    importable: bool,
}

async fn types_of_clients(
    _call: Call,
    _input: Arc<alkhub_operations::Empty>,
) -> Result<Vec<TypeView>, HubError> {
    types::TYPES
        .into_iter()
        .map(|kind| {
            Ok(TypeView {
                kind,
                config_schema: types::schema(kind)?.json().clone(),
                secret_keys: types::secret_keys(kind).to_vec(),
                importable: matches!(kind, ClientType::McpServer | ClientType::Custom),
            })
        })
        .collect()
}

/// An external service.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ClientView {
    /// Id of the client.
    id: ClientId,
    /// Its name, unique over the hub.
    name: String,
    /// What sort of service it is.
    #[serde(rename = "type")]
    kind: ClientType,
    /// Its configuration; never a credential.
    config: Map<String, Value>,
    /// False when it is switched off.
    enabled: bool,
    /// Who answers for it.
    owner_id: AccountId,
    /// Its organization; null for a personal client.
    org_id: Option<OrganizationId>,
    /// Notes.
    metadata: Map<String, Value>,
    /// Which secrets are stored.
    secrets: Vec<SecretView>,
    /// When the row was made.
    created_at: String,
    /// When it was last changed.
    updated_at: String,
}

/// What may be told of a secret.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct SecretView {
    /// Its name within the client.
    key: String,
    /// Known end; null = unknown.
    expires_at: Option<String>,
    /// Number of the data key it is encrypted with.
    key_version: i64,
}

impl ClientView {
    fn of(row: &clients::Model, secrets: Vec<SecretName>) -> Self {
        Self {
            id: row.id.clone(),
            name: row.name.clone(),
            kind: row.kind,
            config: row.config.0.clone(),
            enabled: row.enabled,
            owner_id: row.owner_id.clone(),
            org_id: row.org_id.clone(),
            metadata: row.metadata.0.clone(),
            secrets: secrets
                .into_iter()
                .map(|secret| SecretView {
                    key: secret.key,
                    expires_at: secret.expires_at.map(to_wire),
                    key_version: secret.key_version,
                })
                .collect(),
            created_at: to_wire(row.created_at),
            updated_at: to_wire(row.updated_at),
        }
    }

    async fn with_secrets(
        database: &impl ConnectionTrait,
        row: &clients::Model,
    ) -> Result<Self, StorageError> {
        let secrets = queries::secret_names(database, &row.id).await?;
        Ok(Self::of(row, secrets))
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ClientCreate {
    /// Name, unique over the hub, 1 to 200 characters.
    name: String,
    /// What sort of service it is.
    #[serde(rename = "type")]
    kind: ClientType,
    /// Its configuration, as `client.types` tells for the type; never a credential. Not recorded: one
    /// that is refused may hold what it must not.
    #[schemars(extend("x-secret" = true))]
    config: Map<String, Value>,
    /// Organization it belongs to; personal when absent.
    org_id: Option<String>,
    /// Who answers for it; the caller when absent. Only administrators name others.
    owner_id: Option<String>,
    /// Switched on.
    #[serde(default = "yes")]
    enabled: bool,
    /// Notes, at most 16 KiB.
    metadata: Option<Map<String, Value>>,
}

fn yes() -> bool {
    true
}

async fn create(call: Call, input: Arc<ClientCreate>) -> Result<ClientView, HubError> {
    let principal = call.principal()?;
    let mut issues = Issues::default();
    let name = issues
        .take(rules::name("/name", &input.name))
        .unwrap_or_default();
    let none = Map::new();
    let given = input.metadata.as_ref().unwrap_or(&none);
    let metadata = issues
        .take_all(rules::metadata_patch("clients", &none, given))
        .unwrap_or_default();
    issues.finish()?;
    if principal.narrowing.ids("client").is_some() {
        // A key narrowed to clients makes none outside of them.
        return Err(CallError::not_found(NOT_FOUND).into());
    }
    let org_id = input.org_id.clone().map(OrganizationId::from);
    if let Some(organization) = &org_id {
        require_admin_of(&call, organization)?;
    }
    let owner_id = owner_asked_for(&call, input.owner_id.as_deref()).await?;
    check_config(&call, &name, input.kind, &input.config).await?;

    let new = NewClient {
        name,
        kind: input.kind,
        config: input.config.clone().into(),
        enabled: input.enabled,
        owner_id,
        org_id,
        metadata: metadata.into(),
    };
    let transaction = call.begin().await?;
    let row = queries::create_client(&transaction, new)
        .await
        .on_unique("unq_clients_name", HubError::from(name_taken()))?;
    audit::write(
        &transaction,
        &call.actor()?,
        Action::ClientCreated,
        about(&row),
    )
    .await?;
    transaction.commit().await?;
    Ok(ClientView::of(&row, Vec::new()))
}

/// The configuration, if it keeps every rule; addresses are resolved and looked at.
async fn check_config(
    call: &Call,
    name: &str,
    kind: ClientType,
    config: &Map<String, Value>,
) -> Result<ClientConfig, HubError> {
    let checked = types::checked(name, kind, config)?;
    if checked.starts_program() {
        if !call.config().clients.allow_stdio {
            return Err(mcp::stdio_refused().into());
        }
        // It runs on the hub's machine, as the hub.
        if !call.principal()?.is_admin() {
            let message = "only administrators configure programs that the hub starts";
            return Err(CallError::access_denied(message).into());
        }
    }
    for (field, address) in checked.addresses() {
        let url =
            service_url(address).map_err(|why| CallError::validation_field(field, "url", why))?;
        call.state()
            .services
            .guard()
            .check(&url)
            .await
            .map_err(|blocked| {
                CallError::unprocessable("blocked_address", blocked.to_string())
                    .with_detail("path", field)
            })?;
    }
    Ok(checked)
}

/// The owner a new client gets.
async fn owner_asked_for(call: &Call, asked: Option<&str>) -> Result<AccountId, HubError> {
    let principal = call.principal()?;
    let own = principal.account.id.clone();
    let Some(asked) = asked.filter(|asked| *asked != own.as_str()) else {
        return Ok(own);
    };
    if !principal.is_admin() {
        let message = "only administrators make clients of other accounts";
        return Err(CallError::access_denied(message).into());
    }
    let asked = AccountId::from(asked.to_owned());
    known_account(call, &asked).await?;
    Ok(asked)
}

/// An account the caller may see.
async fn known_account(call: &Call, account: &AccountId) -> Result<(), HubError> {
    let reader = call.database().reader();
    let visible =
        alkhub_storage::identity::account_visible(reader, &call.scope()?, account).await?;
    match visible {
        true => Ok(()),
        false => Err(CallError::not_found(NOT_FOUND).into()),
    }
}

/// Clients of an organization are its administrators' to make. One the caller is no member of is not
/// visible, so it is not found.
fn require_admin_of(call: &Call, organization: &OrganizationId) -> Result<(), HubError> {
    let principal = call.principal()?;
    let everywhere = principal.is_admin() && call.config().auth.admin_sees_all;
    let visible = principal.narrowing.allows("org", organization.as_ref())
        && (everywhere || principal.level_in(organization).is_some());
    if !visible {
        return Err(CallError::not_found(NOT_FOUND).into());
    }
    call.require_level(Some(organization), MembershipLevel::Admin)
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ClientGet {
    /// Id of the client.
    id: Option<String>,
    /// Its whole name, in the place of an id.
    name: Option<String>,
}

async fn get(call: Call, input: Arc<ClientGet>) -> Result<ClientView, HubError> {
    let scope = call.scope()?;
    let reader = call.database().reader();
    let row = match (&input.id, &input.name) {
        (Some(id), None) => visible(&call, reader, &ClientId::from(id.clone())).await?,
        (None, Some(name)) => queries::client_by_name(reader, &scope, name.trim())
            .await?
            .ok_or_else(|| CallError::not_found(NOT_FOUND))?,
        _ => {
            return Err(
                CallError::validation_field("/id", "one_of", "give either id or name").into(),
            );
        }
    };
    Ok(ClientView::with_secrets(reader, &row).await?)
}

/// The client, if the caller may see it.
async fn visible(
    call: &Call,
    database: &impl ConnectionTrait,
    id: &ClientId,
) -> Result<clients::Model, HubError> {
    queries::client_by_id(database, &call.scope()?, id)
        .await?
        .ok_or_else(|| CallError::not_found(NOT_FOUND).into())
}

/// The client, if the caller may change it: its owner, or an administrator of its organization.
async fn writable(
    call: &Call,
    database: &impl ConnectionTrait,
    id: &ClientId,
) -> Result<clients::Model, HubError> {
    let row = visible(call, database, id).await?;
    call.require_level(row.org_id.as_ref(), MembershipLevel::Admin)?;
    Ok(row)
}

list_input! {
    struct ClientList {
        /// Only clients of this type.
        #[serde(rename = "type")]
        kind: Option<ClientType>,
        /// Only clients of this organization.
        org_id: Option<String>,
        /// Only clients that are switched on, or off.
        enabled: Option<bool>,
    }
}

async fn list(call: Call, input: Arc<ClientList>) -> Result<PageView<ClientView>, HubError> {
    let filter = ClientFilter {
        kind: input.kind,
        org_id: input.org_id.clone().map(OrganizationId::from),
        owner_id: None,
        enabled: input.enabled,
    };
    let reader = call.database().reader();
    let page = queries::list_clients(reader, &call.scope()?, &filter, &input.page()).await?;
    let ids: Vec<ClientId> = page.items.iter().map(|row| row.id.clone()).collect();
    let mut secrets = queries::load_secret_names(reader, &ids).await?;
    Ok(PageView::of(page, |row| {
        let own = secrets.remove(&row.id).unwrap_or_default();
        ClientView::of(&row, own)
    }))
}

/// The MCP server of a client: the one that is there, unless its configuration changed since.
async fn server_of(state: &State, row: &clients::Model, config: McpServer) -> Arc<mcp::Server> {
    let mut servers = state.services.servers.lock().await;
    if let Some(known) = servers.get(&row.id)
        && known.config == config
        && known.name == row.name
    {
        return Arc::clone(known);
    }
    let server = Arc::new(mcp::Server::new(
        row.id.clone(),
        row.name.clone(),
        config,
        &state.services,
    ));
    servers.insert(row.id.clone(), Arc::clone(&server));
    server
}

fn name_taken() -> CallError {
    CallError::conflict("name_taken", "another client has this name").with_detail("field", "name")
}

/// An audit entry about a client.
fn about(row: &clients::Model) -> Entry {
    Entry::about("client", &row.id, &row.name).in_organization(row.org_id.as_ref())
}
