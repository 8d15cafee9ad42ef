//! `hub.register` and `hub.update`: a connection says that it is a spoke, and what it offers.

use std::collections::BTreeMap;
use std::sync::Arc;

use alkhub_operations::{CallError, Issue};
use alkhub_storage::entity::spokes::Model as Spoke;
use alkhub_storage::enums::SpokeType;
use alkhub_storage::ids::{OperationId, ProjectId, SpokeId};
use alkhub_storage::json::{HostInfo, Metadata};
use alkhub_storage::spokes::{self as queries, NewRegistration, NewSpoke, Upserted};
use alkhub_storage::{DatabaseTransaction, projects};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::offers::{self, Accepted, RefusedOperation};
use super::resume::{link, resume, take_over};
use super::{Limits, default_limits};
use crate::audit::{self, Action, Entry};
use crate::auth::Principal;
use crate::connections::Connection;
use crate::error::{HubError, NOT_FOUND};
use crate::links::SpokeLink;
use crate::providers::{Owner, ProviderId, Way};
use crate::rules::{self, Issues};
use crate::state::{Call, State};

/// Longest name of a spoke, in characters.
const NAME: usize = 100;
/// Labels of a spoke.
const LABELS: usize = 32;

/// Input of `hub.register`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Register {
    /// 1 to 100 characters; with account and project it names the spoke over connections.
    name: String,
    /// The row of an earlier connection.
    spoke_id: Option<String>,
    /// What sort of machine it is.
    #[serde(default = "custom")]
    spoke_type: SpokeType,
    /// The project it works for.
    project_id: Option<String>,
    /// What it offers, each a whole `OperationSpec`.
    #[serde(default)]
    operations: Vec<Map<String, Value>>,
    /// Its machine: `os`, `arch`, `memory`, `cpu` and what else it tells.
    #[serde(default)]
    host_info: Map<String, Value>,
    /// Calls it still works on from before.
    #[serde(default)]
    pub(super) running: Vec<String>,
    /// Answers it could not send: frames `{type, payload}`.
    #[serde(default)]
    pub(super) undelivered: Vec<Map<String, Value>>,
    /// How much it takes at once.
    #[serde(default = "default_limits")]
    pub(super) limits: Limits,
    /// What it can be chosen by.
    #[serde(default)]
    pub(super) labels: BTreeMap<String, String>,
    /// Take the place of a live connection of the same spoke.
    #[serde(default)]
    replace: bool,
}

fn custom() -> SpokeType {
    SpokeType::Custom
}

/// Output of `hub.register`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Registered {
    /// The spoke's row, to be named at the next connection.
    spoke_id: String,
    /// True when it came back in time and its calls go on.
    resumed: bool,
    /// Operations that are offered now.
    accepted: Vec<String>,
    /// Operations that were not taken.
    refused: Vec<RefusedOperation>,
    /// The hub's time.
    server_time: String,
}

pub(super) async fn register(call: Call, input: Arc<Register>) -> Result<Registered, HubError> {
    let connection = connection_of(&call)?;
    let state = Arc::clone(call.state());
    let name = check(&state, &input)?;
    // One registration at a time: two with one name must not both find the row free.
    let _one_at_a_time = state.registering.lock().await;
    if connection.link().is_some() {
        let message = "this connection has registered; hub.update changes what it offers";
        return Err(CallError::conflict("already_registered", message).into());
    }
    let owner = owner_of(&call, input.project_id.as_deref()).await?;
    let offered: Vec<Value> = input
        .operations
        .iter()
        .cloned()
        .map(Value::Object)
        .collect();
    let known = find_row(&call, &input, &name).await?;
    refuse_banned(known.as_ref())?;
    let provider = known.as_ref().map(|row| ProviderId::Spoke(row.id.clone()));
    if let Some(known) = &known {
        take_over(&state, &known.id, input.replace).await?;
    }
    let principal = call.principal()?;
    let (accepted, refused) = offers::sort(&state, principal, provider.as_ref(), &owner, &offered)?;

    let labels = labels_of(principal, &input);

    let transaction = call.begin().await?;
    let row = queries::connect_spoke(
        &transaction,
        NewSpoke {
            id: known.map(|row| row.id),
            account_id: owner.account.clone(),
            project_id: owner.project.clone(),
            name,
            spoke_type: input.spoke_type,
            host_info: host_info(&input.host_info)?,
            metadata: Metadata::new()
                .with("instanceId", state.instance.id.to_string())
                .with("connectionId", connection.id.to_string())
                .with("limits", json!(input.limits))
                .with("labels", json!(labels)),
        },
    )
    .await?;
    let provider = ProviderId::Spoke(row.id.clone());
    queries::unregister(&transaction, &stored(&provider), None).await?;
    let rows = store(&transaction, &call, &provider, &owner, &accepted).await?;
    let entry = Entry::about("spoke", &row.id, &row.name)
        .in_organization(owner.organization.as_ref())
        .counted(json!({ "accepted": accepted.len(), "refused": refused.len() }));
    audit::write(&transaction, &call.actor()?, Action::SpokeRegistered, entry).await?;
    transaction.commit().await?;

    let (link, waiting) = link(&state, &row, &connection, &input, labels);
    let resumed = waiting.is_some();
    let names = offer(&state, &provider, &owner, accepted, rows, &link)?;
    connection.become_spoke(Arc::clone(&link));
    resume(&state, &link, &input, &waiting.unwrap_or_default()).await;
    state.queue.wake_all();
    state
        .events
        .spoke(&row, &owner, super::SpokeChange::Connected);
    // Registered while its socket closed: then it is gone again.
    if state.sockets.get(connection.id).is_none() {
        super::disconnected(&state, &link, connection.id).await;
    }
    Ok(Registered {
        spoke_id: row.id.to_string(),
        resumed,
        accepted: names,
        refused,
        server_time: alkhub_storage::time::format(alkhub_storage::time::now()),
    })
}

/// Input of `hub.update`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Update {
    /// Operations it offers from now on.
    #[serde(default)]
    add: Vec<Map<String, Value>>,
    /// Full names of operations it offers no more.
    #[serde(default)]
    remove: Vec<String>,
    /// What it can be chosen by, as a whole.
    labels: Option<BTreeMap<String, String>>,
    /// How much it takes at once.
    limits: Option<Limits>,
}

pub(super) async fn update(call: Call, input: Arc<Update>) -> Result<Registered, HubError> {
    let connection = connection_of(&call)?;
    let state = Arc::clone(call.state());
    let mut issues = Issues::default();
    if let Some(labels) = &input.labels {
        check_labels(&mut issues, labels);
    }
    issues.finish()?;
    let _one_at_a_time = state.registering.lock().await;
    let link = connection.link().ok_or_else(|| {
        CallError::conflict("not_registered", "this connection has not registered")
    })?;
    let provider = ProviderId::Spoke(link.id.clone());
    let row = queries::spoke_by_id(call.database().reader(), &call.scope()?, &link.id)
        .await?
        .ok_or_else(|| CallError::not_found(NOT_FOUND))?;
    let owner = owner_of(&call, row.project_id.as_ref().map(ProjectId::as_str)).await?;
    let mut after = state.providers.offered_by(&provider);
    after.retain(|name| !input.remove.contains(name));
    if after.len() + input.add.len() > state.config().spokes.max_operations {
        return Err(too_many(&state).into());
    }
    let offered: Vec<Value> = input.add.iter().cloned().map(Value::Object).collect();
    let (accepted, refused) =
        offers::sort(&state, call.principal()?, Some(&provider), &owner, &offered)?;

    let transaction = call.begin().await?;
    let removed: Vec<OperationId> = input
        .remove
        .iter()
        .filter_map(|name| state.providers.row(name))
        .collect();
    if !removed.is_empty() {
        queries::unregister(&transaction, &stored(&provider), Some(&removed)).await?;
    }
    let rows = store(&transaction, &call, &provider, &owner, &accepted).await?;
    let mut metadata = row.metadata.clone();
    if let Some(labels) = &input.labels {
        metadata.insert("labels".to_owned(), json!(labels));
    }
    if let Some(limits) = &input.limits {
        metadata.insert("limits".to_owned(), json!(limits));
    }
    let changes = queries::SpokeChanges {
        metadata: (metadata != row.metadata).then_some(metadata),
        ..queries::SpokeChanges::default()
    };
    let row = queries::update_spoke(&transaction, &link.id, changes).await?;
    transaction.commit().await?;

    state.providers.withdraw(&provider, Some(&input.remove));
    if let Some(labels) = &input.labels {
        link.set_labels(labels.clone());
    }
    if let Some(limits) = &input.limits {
        link.set_limit(
            limits
                .max_in_flight
                .min(state.config().spokes.max_in_flight),
        );
    }
    let names = offer(&state, &provider, &owner, accepted, rows, &link)?;
    state.queue.wake_all();
    state
        .events
        .spoke(&row, &owner, super::SpokeChange::Registrations);
    Ok(Registered {
        spoke_id: link.id.to_string(),
        resumed: false,
        accepted: names,
        refused,
        server_time: alkhub_storage::time::format(alkhub_storage::time::now()),
    })
}

fn connection_of(call: &Call) -> Result<Arc<Connection>, HubError> {
    call.connection().ok_or_else(|| {
        let message = "only a WebSocket connection can register as a spoke; connect to /ws";
        CallError::unprocessable("websocket_only", message).into()
    })
}

/// What the spoke says, and what the invitation of its key said.
fn labels_of(principal: &Principal, input: &Register) -> BTreeMap<String, String> {
    let mut labels = input.labels.clone();
    let invited = principal
        .key
        .metadata
        .get("labels")
        .and_then(Value::as_object);
    for (name, value) in invited.into_iter().flatten() {
        if let Some(value) = value.as_str() {
            labels.insert(name.clone(), value.to_owned());
        }
    }
    labels
}

fn check(state: &State, input: &Register) -> Result<String, HubError> {
    let mut issues = Issues::default();
    let name = issues.take(rules::name("/name", &input.name));
    if input.name.trim().chars().count() > NAME {
        issues.add(Issue::new(
            "/name",
            "maxLength",
            format!("must have at most {NAME} characters"),
        ));
    }
    if let Some(id) = &input.spoke_id {
        issues.take(rules::id("/spokeId", id));
    }
    if let Some(id) = &input.project_id {
        issues.take(rules::id("/projectId", id));
    }
    check_labels(&mut issues, &input.labels);
    issues.finish()?;
    if input.operations.len() > state.config().spokes.max_operations {
        return Err(too_many(state).into());
    }
    Ok(name.unwrap_or_default())
}

pub(super) fn check_labels(issues: &mut Issues, labels: &BTreeMap<String, String>) {
    if labels.len() > LABELS {
        issues.add(Issue::new(
            "/labels",
            "maxProperties",
            format!("must have at most {LABELS} labels"),
        ));
    }
    for (name, value) in labels {
        let field = alkhub_operations::issue::pointer_join("/labels", name);
        issues.take(rules::line(&field, name, 64));
        issues.take(rules::line(&field, value, 200));
    }
}

fn too_many(state: &State) -> CallError {
    let most = state.config().spokes.max_operations;
    CallError::validation_field(
        "/operations",
        "maxItems",
        format!("a spoke offers at most {most} operations"),
    )
}

fn host_info(given: &Map<String, Value>) -> Result<Option<HostInfo>, HubError> {
    if given.is_empty() {
        return Ok(None);
    }
    serde_json::from_value(Value::Object(given.clone()))
        .map(Some)
        .map_err(|error| {
            CallError::validation_field("/hostInfo", "hostInfo", error.to_string()).into()
        })
}

/// Whose the spoke is: the caller's, and of the project's organization. The caller must see the
/// project; every member of its organization may bring spokes into it.
async fn owner_of(call: &Call, project: Option<&str>) -> Result<Owner, HubError> {
    let account = call.principal()?.account.id.clone();
    let Some(project) = project else {
        return Ok(Owner {
            account,
            organization: None,
            project: None,
        });
    };
    let project = projects::project_by_id(
        call.database().reader(),
        &call.scope()?,
        &ProjectId::from(project),
    )
    .await?
    .ok_or_else(|| CallError::not_found(NOT_FOUND))?;
    Ok(Owner {
        account,
        organization: project.org_id.clone(),
        project: Some(project.id),
    })
}

/// The row of an earlier connection: by id, which must be the caller's, else by name and project.
async fn find_row(call: &Call, input: &Register, name: &str) -> Result<Option<Spoke>, HubError> {
    let reader = call.database().reader();
    let mine = |row: &Spoke| {
        row.metadata.text("accountId") == call.principal().ok().map(|p| p.account.id.as_str())
    };
    if let Some(id) = &input.spoke_id {
        let row = queries::spoke_by_id(reader, &call.scope()?, &SpokeId::from(id.as_str())).await?;
        return match row.filter(mine) {
            Some(row) => Ok(Some(row)),
            None => Err(CallError::not_found(NOT_FOUND).into()),
        };
    }
    let rows = queries::spoke_by_name(reader, &call.scope()?, name).await?;
    Ok(rows.into_iter().rev().find(|row| {
        mine(row) && row.project_id.as_ref().map(ProjectId::as_str) == input.project_id.as_deref()
    }))
}

fn refuse_banned(row: Option<&Spoke>) -> Result<(), HubError> {
    let until = row
        .and_then(|row| row.metadata.text("bannedUntil"))
        .and_then(|until| rules::time("", until).ok());
    match until {
        Some(until) if until > alkhub_storage::time::now() => {
            let message = format!("this spoke may not connect before {until}");
            Err(CallError::forbidden(message).into())
        }
        _ => Ok(()),
    }
}

fn stored(provider: &ProviderId) -> queries::Provider {
    match provider {
        ProviderId::Spoke(id) => queries::Provider::Spoke(id.clone()),
        ProviderId::Client(id) => queries::Provider::Client(id.clone()),
    }
}

/// Writes what is offered; gives the rows' ids in the order of the operations.
async fn store(
    transaction: &DatabaseTransaction,
    call: &Call,
    provider: &ProviderId,
    owner: &Owner,
    accepted: &[Accepted],
) -> Result<Vec<OperationId>, HubError> {
    let rows = accepted.iter().map(|one| one.row.clone()).collect();
    let stored_rows = queries::upsert_operations(transaction, rows).await?;
    let mut offered = Vec::with_capacity(stored_rows.len());
    for (row, change) in &stored_rows {
        offered.push(NewRegistration {
            operation_id: row.id.clone(),
            pre_remap_namespace: None,
            pre_remap_name: None,
        });
        let action = match change {
            Upserted::Inserted => Action::OperationAdded,
            Upserted::Changed => Action::OperationChanged,
            Upserted::Same => continue,
        };
        let name = format!("{}.{}", row.namespace, row.name);
        let entry =
            Entry::about("operation", &row.id, &name).in_organization(owner.organization.as_ref());
        audit::write(transaction, &call.actor()?, action, entry).await?;
    }
    queries::register(transaction, &stored(provider), &offered).await?;
    Ok(stored_rows.into_iter().map(|(row, _)| row.id).collect())
}

/// Makes what is offered callable; gives the names.
fn offer(
    state: &State,
    provider: &ProviderId,
    owner: &Owner,
    accepted: Vec<Accepted>,
    rows: Vec<OperationId>,
    link: &Arc<SpokeLink>,
) -> Result<Vec<String>, HubError> {
    let names = accepted
        .iter()
        .map(|one| one.spec.id().to_string())
        .collect();
    let operations = accepted
        .into_iter()
        .zip(rows)
        .map(|(one, row)| (row, one.spec, Way::Spoke(Arc::clone(link))))
        .collect();
    state
        .providers
        .offer(&state.registry, provider, owner, operations)
        .map_err(|error| CallError::internal(&error))?;
    Ok(names)
}
