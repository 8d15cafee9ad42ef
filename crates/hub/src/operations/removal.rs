//! `operation.providers` and `operation.remove`.

use std::sync::Arc;

use alkhub_operations::{CallError, ErrorCode, Operation, OperationType, operation};
use alkhub_storage::enums::RegistrationStatus;
use alkhub_storage::ids::REMOVED_OPERATION;
use alkhub_storage::spokes::{self as queries, Removal, RemovedRecords};
use alkhub_storage::time::format as to_wire;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::audit::{self, Action, Entry};
use crate::authorize;
use crate::error::{HubError, NOT_FOUND};
use crate::providers::Reach;
use crate::state::{Call, State, handle};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        operation::<Providers, Vec<ProviderView>>("operation.providers", OperationType::Query)
            .description("Who offers an operation, or has offered it.")
            .scopes(&["spoke:read"])
            .handler(handle(providers)),
        operation::<Remove, Removed>("operation.remove", OperationType::Mutation)
            .description(
                "Removes an operation that is offered no more, with a word on its records.",
            )
            .scopes(&["operation:admin"])
            .handler(handle(remove)),
    ]
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Providers {
    /// Full name of the operation.
    name: String,
}

/// One who offers an operation.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ProviderView {
    /// `hub`, `spoke` or `client`.
    provider_type: String,
    /// Id of the spoke or client; that of the hub process for the hub.
    provider_id: String,
    /// Whether it offers it now.
    status: RegistrationStatus,
    /// Whether it can be reached now.
    live: bool,
    /// Calls it works on, of all its operations.
    in_flight: u32,
    /// Share of its last calls in a row that were lost or timed out, 0 to 1.
    error_rate: f64,
    /// When it offered it last.
    #[serde(skip_serializing_if = "Option::is_none")]
    registered_at: Option<String>,
}

async fn providers(call: Call, input: Arc<Providers>) -> Result<Vec<ProviderView>, HubError> {
    let state = call.state();
    let principal = call.principal()?;
    let entry = state
        .registry
        .get(&input.name)
        .filter(|entry| authorize::may_see(state, principal, entry))
        .ok_or_else(|| CallError::not_found(NOT_FOUND))?;
    if state.providers.is_own(&entry) {
        return Ok(vec![ProviderView {
            provider_type: "hub".to_owned(),
            provider_id: state.instance.id.to_string(),
            status: RegistrationStatus::Active,
            live: true,
            in_flight: 0,
            error_rate: 0.0,
            registered_at: None,
        }]);
    }
    let row = state
        .providers
        .row(&input.name)
        .ok_or_else(|| CallError::not_found(NOT_FOUND))?;
    let stored = queries::registrations_of_operation(call.database().reader(), &row, false).await?;
    let admin_sees_all = call.config().auth.admin_sees_all;
    let offers = state.providers.of(&input.name);
    Ok(offers
        .iter()
        .filter(|offer| offer.reachable_by(principal, admin_sees_all))
        .map(|offer| {
            let described = offer.provider.described();
            let registration = stored
                .iter()
                .rev()
                .find(|registration| registration.provider_id == offer.provider.as_str());
            ProviderView {
                provider_type: described.kind.to_string(),
                provider_id: described.id,
                status: registration.map_or(RegistrationStatus::Inactive, |row| row.status),
                live: offer.live(),
                in_flight: match &offer.reach {
                    Reach::Spoke(link) => link.in_flight(),
                    Reach::Service(_) | Reach::Away => 0,
                },
                error_rate: offer.breaker.error_rate(),
                registered_at: registration.map(|row| to_wire(row.registered_at)),
            }
        })
        .collect())
}

/// What becomes of the records of calls.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Calls {
    /// The operation stays while there are any.
    #[default]
    Refuse,
    /// They are kept under the operation that stands for all removed ones.
    Reassign,
    /// They go.
    Delete,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Remove {
    /// Full name of the operation.
    name: String,
    /// What becomes of the records of its calls.
    #[serde(default)]
    calls: Calls,
    /// Also while somebody offers it.
    #[serde(default)]
    force: bool,
}

/// Output of `operation.remove`.
#[derive(Debug, Serialize, JsonSchema)]
struct Removed {
    /// Records moved or deleted.
    calls: u64,
}

async fn remove(call: Call, input: Arc<Remove>) -> Result<Removed, HubError> {
    let state = Arc::clone(call.state());
    let sentinel = input.name == "system.removed" || input.name == REMOVED_OPERATION;
    let entry = state.registry.get(&input.name);
    if sentinel
        || entry
            .as_ref()
            .is_some_and(|entry| state.providers.is_own(entry))
    {
        let message = format!("{} is the hub's own", input.name);
        return Err(CallError::forbidden(message).into());
    }
    super::require_all_in_reach(&state, call.principal()?, &input.name)?;
    // Out of the registry first: new calls get OPERATION_NOT_FOUND at once, and nothing waits on the
    // lock of the row.
    let Some(forgotten) = state.providers.forget(&state.registry, &input.name) else {
        return Err(CallError::not_found(NOT_FOUND).into());
    };
    match in_rows(&call, &input, &forgotten.row).await {
        Ok(calls) => Ok(Removed { calls }),
        Err(error) => {
            state.providers.restore(&state.registry, forgotten);
            Err(error)
        }
    }
}

async fn in_rows(
    call: &Call,
    input: &Remove,
    row: &alkhub_storage::ids::OperationId,
) -> Result<u64, HubError> {
    refuse_open(call.state(), &input.name)?;
    let records = match input.calls {
        Calls::Refuse => RemovedRecords::Refuse,
        Calls::Reassign => RemovedRecords::Reassign,
        Calls::Delete => RemovedRecords::Delete,
    };
    let transaction = call.begin().await?;
    match queries::remove_operation(&transaction, row, records, input.force).await? {
        Removal::Removed {
            calls,
            registrations,
            ..
        } => {
            let entry = Entry::about("operation", row, &input.name)
                .counted(json!({ "calls": calls, "registrations": registrations }));
            audit::write(
                &transaction,
                &call.actor()?,
                Action::OperationRemoved,
                entry,
            )
            .await?;
            transaction.commit().await?;
            Ok(calls)
        }
        Removal::RunningCalls(open) => Err(running(open)),
        Removal::ActiveProviders(active) => {
            let message = format!("{active} providers offer it; give force to take that back");
            Err(conflict("active_provider", message, active))
        }
        Removal::HasCalls(calls) => {
            let message =
                format!("there are records of {calls} calls; give calls=reassign or calls=delete");
            Err(conflict("has_calls", message, calls))
        }
    }
}

/// Calls that are open here may not have a row yet.
fn refuse_open(state: &State, name: &str) -> Result<(), HubError> {
    let open = state.live.open_calls(|call, _| call.operation == name);
    match u64::try_from(open.len()) {
        Ok(0) => Ok(()),
        Ok(open) => Err(running(open)),
        Err(_) => Err(running(u64::MAX)),
    }
}

fn running(open: u64) -> HubError {
    let message = format!("{open} calls of it are open; abort them first");
    conflict("running_calls", message, open)
}

fn conflict(rule: &str, message: String, count: u64) -> HubError {
    CallError::new(ErrorCode::CONFLICT, message)
        .with_details(json!({ "rule": rule, "count": count }))
        .into()
}
