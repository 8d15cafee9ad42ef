//! What services offer, made callable: after an import, after a change of the client, and at the start
//! of the hub, without reaching the service.

use std::sync::Arc;

use alkhub_operations::adapters::http::HttpPlan;
use alkhub_operations::{AnyHandler, OperationId as OperationName, OperationSpec};
use alkhub_storage::entity::{clients, operation_registrations, operations};
use alkhub_storage::enums::RegistrationStatus;
use alkhub_storage::ids::{ClientId, OperationId};
use alkhub_storage::services::{self, ClientFilter};
use alkhub_storage::spokes as queries;
use alkhub_storage::{PageRequest, Scope, StorageError};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::http::HttpService;
use super::mcp::Server;
use super::types::{self, ClientConfig};
use crate::catalog;
use crate::error::HubError;
use crate::providers::{Owner, ProviderId, Way};
use crate::state::State;

/// Key of an operation's notes under which stands how the service is asked for it.
pub(super) const BINDING: &str = "binding";

/// How a service is asked for one operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub(super) enum Binding {
    /// By an HTTP request.
    Http {
        /// How it is made.
        plan: HttpPlan,
    },
    /// By a call of a tool.
    #[serde(rename_all = "camelCase")]
    Tool {
        /// The server's name of the tool.
        tool: String,
        /// Whether the tool says what it answers.
        has_output_schema: bool,
    },
}

/// A service that handlers can be made for.
pub(super) enum Reached {
    Http(Arc<HttpService>),
    Mcp(Arc<Server>),
}

impl Reached {
    /// The service of a client; none when it offers no operations or its configuration is faulty.
    pub(super) async fn of(state: &State, row: &clients::Model) -> Option<Self> {
        match types::of_row(row.kind, &row.config)? {
            ClientConfig::Custom(config) => {
                let services = Arc::clone(&state.services);
                let service = HttpService::new(row.id.clone(), &config, services).ok()?;
                Some(Self::Http(Arc::new(service)))
            }
            ClientConfig::Mcp(config) => {
                let server = super::server_of(state, row, config).await;
                Some(Self::Mcp(server))
            }
            ClientConfig::Llm(_) | ClientConfig::Vcs(_) | ClientConfig::Compute(_) => None,
        }
    }

    /// The handler of an operation; none for a binding of another sort of service.
    fn handler(&self, operation: &OperationName, binding: Binding) -> Option<AnyHandler> {
        match (self, binding) {
            (Self::Http(service), Binding::Http { plan }) => Some(service.handler(plan)),
            (
                Self::Mcp(server),
                Binding::Tool {
                    tool,
                    has_output_schema,
                },
            ) => Some(server.handler(operation.clone(), tool, has_output_schema)),
            _ => None,
        }
    }
}

/// Whose a client is.
pub(super) fn owner(row: &clients::Model) -> Owner {
    Owner {
        account: row.owner_id.clone(),
        organization: row.org_id.clone(),
        project: None,
    }
}

/// Makes operations of a client callable.
pub(super) async fn offer(
    state: &State,
    row: &clients::Model,
    offered: Vec<(OperationId, OperationSpec, Binding)>,
) -> Result<(), HubError> {
    let Some(reached) = Reached::of(state, row).await else {
        return Ok(());
    };
    let operations = offered
        .into_iter()
        .map(|(id, spec, binding)| {
            let handler = reached.handler(&spec.id(), binding);
            (id, spec, handler.map_or(Way::Away, Way::Handler))
        })
        .collect();
    state
        .providers
        .offer(
            &state.registry,
            &ProviderId::Client(row.id.clone()),
            &owner(row),
            operations,
        )
        .map_err(|error| HubError::Call(crate::error::unforeseen(&error)))?;
    state.queue.wake_all();
    Ok(())
}

/// Takes operations of a client back, or all of them.
pub(super) fn withdraw(state: &State, client: &ClientId, operations: Option<&[String]>) {
    let provider = ProviderId::Client(client.clone());
    state.providers.withdraw(&provider, operations);
}

/// Offers what a client has registered, as its row says now; a client that is switched off offers
/// nothing.
pub(super) async fn offer_registered(
    state: &State,
    row: &clients::Model,
) -> Result<usize, HubError> {
    withdraw(state, &row.id, None);
    if !row.enabled {
        return Ok(0);
    }
    let offered = registered(state, row).await?;
    let count = offered.len();
    offer(state, row, offered).await?;
    Ok(count)
}

/// What a client has registered, as it is stored.
async fn registered(
    state: &State,
    row: &clients::Model,
) -> Result<Vec<(OperationId, OperationSpec, Binding)>, StorageError> {
    let reader = state.database.reader();
    let provider = queries::Provider::Client(row.id.clone());
    let active: Vec<operation_registrations::Model> =
        queries::registrations_of_provider(reader, &provider)
            .await?
            .into_iter()
            .filter(|registration| registration.status == RegistrationStatus::Active)
            .collect();
    let ids: Vec<OperationId> = active.iter().map(|one| one.operation_id.clone()).collect();
    let mut offered = Vec::with_capacity(ids.len());
    for operation in queries::operations_by_ids(reader, &ids).await? {
        match stored(&operation) {
            Ok((spec, binding)) => offered.push((operation.id, spec, binding)),
            Err(problem) => {
                let name = format!("{}.{}", operation.namespace, operation.name);
                tracing::warn!(
                    operation = name,
                    problem,
                    "a stored operation cannot be offered"
                );
            }
        }
    }
    Ok(offered)
}

fn stored(row: &operations::Model) -> Result<(OperationSpec, Binding), String> {
    let spec = catalog::spec_of(row).map_err(|error| error.to_string())?;
    let binding = row.metadata.get(BINDING).unwrap_or(&Value::Null);
    let binding = Binding::deserialize(binding).map_err(|error| error.to_string())?;
    Ok((spec, binding))
}

/// Offers what the clients that are switched on have registered, at the start of the hub. A
/// configuration that no longer fits is told in the log and stops nobody else.
///
/// # Errors
/// When the store fails.
pub(crate) async fn restore(state: &Arc<State>) -> Result<(), HubError> {
    state.services.belongs_to(state);
    let reader = state.database.reader();
    let mut page = PageRequest::first(500);
    loop {
        let filter = ClientFilter::default();
        let found = services::list_clients(reader, &Scope::All, &filter, &page).await?;
        for row in &found.items {
            if let Err(problem) = types::checked(&row.name, row.kind, &row.config.0) {
                let problem = alkhub_operations::CallError::from(problem);
                tracing::warn!(client = %row.name, %problem, "the configuration of a client no longer fits");
            }
            offer_registered(state, row).await?;
        }
        match found.next_cursor {
            Some(cursor) => page.cursor = Some(cursor),
            None => return Ok(()),
        }
    }
}

/// A service no longer has an operation: it is not called there again until it is imported anew.
pub(super) async fn lost(state: &Arc<State>, client: &ClientId, operation: &OperationName) {
    let name = operation.to_string();
    withdraw(state, client, Some(std::slice::from_ref(&name)));
    let Some(row) = state.providers.row(&name) else {
        return;
    };
    let noted = async {
        let transaction = state.database.begin().await?;
        let provider = queries::Provider::Client(client.clone());
        queries::unregister(&transaction, &provider, Some(&[row])).await?;
        transaction.commit().await?;
        Ok::<_, HubError>(())
    };
    if let Err(problem) = noted.await {
        tracing::warn!(operation = name, error = %problem, "the loss of an operation was not noted");
    }
}
