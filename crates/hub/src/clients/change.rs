//! Changing, handing over and deleting external services.

use std::sync::Arc;

use alkhub_operations::{CallError, Operation, OperationType, operation};
use alkhub_storage::StorageResultExt as _;
use alkhub_storage::enums::MembershipLevel;
use alkhub_storage::identity;
use alkhub_storage::ids::{AccountId, ClientId, OrganizationId};
use alkhub_storage::services::{self as queries, ClientChanges};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    ClientView, about, check_config, known_account, name_taken, offers, require_admin_of, visible,
    writable,
};
use crate::audit::{self, Action};
use crate::error::HubError;
use crate::live::Executor;
use crate::providers::ProviderId;
use crate::rules::{self, Issues};
use crate::state::{Call, handle};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        operation::<ClientUpdate, ClientView>("client.update", OperationType::Mutation)
            .description(
                "Changes an external service, or switches it on or off; its type is fixed.",
            )
            .scopes(&["client:write"])
            .resource("client", "write")
            .error("CONFLICT", "name_taken: another client has this name")
            .error(
                "UNPROCESSABLE",
                "blocked_address: the hub may not reach it; secret_in_config: a credential in the \
                 configuration",
            )
            .error("FORBIDDEN", "The namespace is the hub's own.")
            .error("UNSUPPORTED", "The hub starts no programs for MCP servers.")
            .handler(handle(update)),
        operation::<ClientTransfer, ClientView>("client.transfer", OperationType::Mutation)
            .description("Hands an external service over to another account or organization.")
            .scopes(&["client:write"])
            .resource("client", "write")
            .error(
                "UNPROCESSABLE",
                "not_a_member: the new owner is no member of the organization",
            )
            .handler(handle(transfer)),
        operation::<ClientDelete, ClientDeleted>("client.delete", OperationType::Mutation)
            .description(
                "Deletes an external service with its secrets; its operations are offered no more.",
            )
            .scopes(&["client:write"])
            .resource("client", "write")
            .error("CONFLICT", "in_use: calls of its operations are under way")
            .error(
                "UNPROCESSABLE",
                "confirm: the confirmation is not the client's name",
            )
            .handler(handle(delete)),
    ]
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ClientUpdate {
    /// Id of the client.
    id: String,
    /// New name.
    name: Option<String>,
    /// New configuration, as a whole. Not recorded: one that is refused may hold what it must not.
    #[schemars(extend("x-secret" = true))]
    config: Option<Map<String, Value>>,
    /// Switch it on or off.
    enabled: Option<bool>,
    /// Notes to merge; null removes a key.
    metadata: Option<Map<String, Value>>,
    /// Only if the client was not changed since.
    if_updated_at: Option<String>,
}

async fn update(call: Call, input: Arc<ClientUpdate>) -> Result<ClientView, HubError> {
    let id = ClientId::from(input.id.clone());
    let seen = writable(&call, call.database().reader(), &id).await?;
    let mut issues = Issues::default();
    let name = input
        .name
        .as_deref()
        .and_then(|name| issues.take(rules::name("/name", name)));
    let none = Map::new();
    let patch = input.metadata.as_ref().unwrap_or(&none);
    issues.take_all(rules::metadata_patch("clients", &seen.metadata.0, patch));
    let unchanged_since = issues.moment("/ifUpdatedAt", input.if_updated_at.as_deref());
    issues.finish()?;
    // Before the transaction: names are resolved.
    if let Some(config) = &input.config {
        let name = name.as_deref().unwrap_or(&seen.name);
        check_config(&call, name, seen.kind, config).await?;
    }

    let transaction = call.begin().await?;
    let before = writable(&call, &transaction, &id).await?;
    rules::unchanged(unchanged_since, before.updated_at)?;
    let changes = ClientChanges {
        name,
        config: input.config.clone().map(Into::into),
        metadata: patch.clone(),
        if_updated_at: None,
    };
    let mut after = before.clone();
    if changes.name.is_some() || changes.config.is_some() || !changes.metadata.is_empty() {
        after = queries::update_client(&transaction, &id, changes)
            .await
            .on_unique("unq_clients_name", HubError::from(name_taken()))?;
    }
    if let Some(enabled) = input.enabled {
        after = queries::set_client_enabled(&transaction, &id, enabled).await?;
    }
    let view = ClientView::with_secrets(&transaction, &after).await?;
    let (old, new) = rules::changed_fields(
        &json!(ClientView::of(&before, Vec::new())),
        &json!(ClientView::of(&after, Vec::new())),
    );
    if new.is_empty() {
        return Ok(view);
    }
    let entry = about(&after).changed(Value::Object(old), Value::Object(new));
    audit::write(&transaction, &call.actor()?, Action::ClientUpdated, entry).await?;
    transaction.commit().await?;
    // Also when only the name changed: handlers know the service as its row says.
    offers::offer_registered(call.state(), &after).await?;
    if !after.enabled {
        call.state().services.servers.lock().await.remove(&after.id);
    }
    Ok(view)
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ClientTransfer {
    /// Id of the client.
    id: String,
    /// Account that answers for it from now on.
    new_owner_id: String,
    /// Organization it belongs to from now on; null makes it personal, absent leaves it where it is.
    #[serde(default, deserialize_with = "rules::present")]
    org_id: Option<Option<String>>,
}

async fn transfer(call: Call, input: Arc<ClientTransfer>) -> Result<ClientView, HubError> {
    let id = ClientId::from(input.id.clone());
    let transaction = call.begin().await?;
    let before = visible(&call, &transaction, &id).await?;
    if call.principal()?.account.id != before.owner_id {
        call.require_level(before.org_id.as_ref(), MembershipLevel::Admin)?;
    }
    let owner = AccountId::from(input.new_owner_id.clone());
    known_account(&call, &owner).await?;
    let org = match &input.org_id {
        None => before.org_id.clone(),
        Some(asked) => asked.clone().map(OrganizationId::from),
    };
    if let Some(organization) = &org {
        if before.org_id.as_ref() != Some(organization) {
            require_admin_of(&call, organization)?;
        }
        if identity::membership(&transaction, organization, &owner)
            .await?
            .is_none()
        {
            let message = "the new owner is no member of the organization";
            return Err(CallError::unprocessable("not_a_member", message).into());
        }
    }
    let after = queries::transfer_client(&transaction, &id, owner, org).await?;
    let view = ClientView::with_secrets(&transaction, &after).await?;
    let (old, new) = rules::changed_fields(
        &json!(ClientView::of(&before, Vec::new())),
        &json!(ClientView::of(&after, Vec::new())),
    );
    let entry = about(&after).changed(Value::Object(old), Value::Object(new));
    audit::write(
        &transaction,
        &call.actor()?,
        Action::ClientTransferred,
        entry,
    )
    .await?;
    transaction.commit().await?;
    offers::offer_registered(call.state(), &after).await?;
    Ok(view)
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ClientDelete {
    /// Id of the client.
    id: String,
    /// The client's name, as a confirmation.
    confirm: String,
    /// Only if the client was not changed since.
    if_updated_at: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ClientDeleted {
    /// Always true.
    deleted: bool,
    /// Operations it offered, which nobody offers any more.
    operations: usize,
    /// Secrets that went with it.
    secrets: usize,
}

async fn delete(call: Call, input: Arc<ClientDelete>) -> Result<ClientDeleted, HubError> {
    let mut issues = Issues::default();
    let unchanged_since = issues.moment("/ifUpdatedAt", input.if_updated_at.as_deref());
    issues.finish()?;
    let state = call.state();
    let id = ClientId::from(input.id.clone());
    let transaction = call.begin().await?;
    let row = writable(&call, &transaction, &id).await?;
    rules::unchanged(unchanged_since, row.updated_at)?;
    if input.confirm != row.name {
        let message = "the confirmation must be the client's name";
        return Err(CallError::unprocessable("confirm", message).into());
    }
    let provider = ProviderId::Client(id.clone());
    let operations = state.providers.offered_by(&provider);
    let running = state
        .live
        .open_calls(|call, executor| {
            matches!(executor, Executor::Here) && operations.contains(&call.operation)
        })
        .len();
    if running > 0 {
        let message = "calls of its operations are under way; switch it off and try again";
        return Err(CallError::conflict("in_use", message)
            .with_detail("calls", running)
            .into());
    }
    let secrets = queries::secret_names(&transaction, &id).await?.len();
    queries::delete_client(&transaction, &id).await?;
    let counts = json!({ "operations": operations.len(), "secrets": secrets });
    let entry = about(&row).counted(counts);
    audit::write(&transaction, &call.actor()?, Action::ClientDeleted, entry).await?;
    transaction.commit().await?;
    state.providers.forget_provider(&provider);
    state.services.servers.lock().await.remove(&id);
    Ok(ClientDeleted {
        deleted: true,
        operations: operations.len(),
        secrets,
    })
}
