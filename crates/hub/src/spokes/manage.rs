//! `spoke.list|get|update|disconnect|delete`.

use std::sync::Arc;
use std::time::Duration;

use alkhub_operations::protocol::ClosingReason;
use alkhub_operations::{CallError, Issue, Operation, OperationType, operation};
use alkhub_storage::entity::spokes::Model as Spoke;
use alkhub_storage::enums::{MembershipLevel, SpokeStatus, SpokeType};
use alkhub_storage::ids::{ProjectId, SpokeId};
use alkhub_storage::json::HostInfo;
use alkhub_storage::projects;
use alkhub_storage::spokes::{self as queries, SpokeChanges, SpokeFilter};
use alkhub_storage::time::format as to_wire;
use chrono::Utc;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Limits, SpokeChange, owner_in_row};
use crate::audit::{self, Action, Entry};
use crate::connections::Close;
use crate::error::{HubError, NOT_FOUND};
use crate::page::{PageView, list_input};
use crate::providers::{Owner, ProviderId};
use crate::rules::{self, Issues};
use crate::state::{Call, State, handle};

/// Longest time a spoke can be kept out.
const LONGEST_BAN: u64 = 366 * 24 * 60 * 60;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        operation::<SpokeList, PageView<SpokeView>>("spoke.list", OperationType::Query)
            .description("Spokes the caller may see, connected or not.")
            .scopes(&["spoke:read"])
            .handler(handle(list)),
        operation::<SpokeGet, SpokeView>("spoke.get", OperationType::Query)
            .description("One spoke, by id or name.")
            .scopes(&["spoke:read"])
            .handler(handle(get)),
        operation::<SpokeUpdate, SpokeView>("spoke.update", OperationType::Mutation)
            .description("Changes a spoke. A draining spoke gets no new calls.")
            .scopes(&["spoke:write"])
            .handler(handle(update)),
        operation::<SpokeDisconnect, Disconnected>("spoke.disconnect", OperationType::Mutation)
            .description("Closes the connection of a spoke, and keeps it out for a while if asked.")
            .scopes(&["spoke:write"])
            .handler(handle(disconnect)),
        operation::<SpokeDelete, Deleted>("spoke.delete", OperationType::Mutation)
            .description("Deletes a spoke that is not connected, with what it offered.")
            .scopes(&["spoke:admin"])
            .handler(handle(delete)),
    ]
}

/// A spoke.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SpokeView {
    /// Id of the spoke.
    id: SpokeId,
    /// Shown name, not unique.
    name: String,
    /// Whether it has a connection.
    status: SpokeStatus,
    /// What sort of machine it is.
    spoke_type: SpokeType,
    /// The project it works for.
    project_id: Option<ProjectId>,
    /// Last sign of life, written at most once a minute.
    last_heartbeat: Option<String>,
    /// What it says of its machine.
    host_info: Option<HostInfo>,
    /// Last connect.
    connected_at: Option<String>,
    /// Last disconnect.
    disconnected_at: Option<String>,
    /// Notes.
    metadata: Map<String, Value>,
    /// The hub process that holds its connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    hub_instance: Option<String>,
    /// Calls it works on now.
    in_flight: u32,
    /// Moving average of the time its calls take, in milliseconds.
    latency_ms: u64,
    /// Its clock minus the hub's, in milliseconds.
    clock_skew_ms: i64,
    /// Operations it offers now.
    operations: usize,
    /// When the row was made.
    created_at: String,
    /// When it was last changed.
    updated_at: String,
}

impl SpokeView {
    pub(super) fn of(state: &State, row: &Spoke) -> Self {
        let link = state.links.get(&row.id).filter(|link| link.connected());
        let provider = ProviderId::Spoke(row.id.clone());
        let connected = row.status == SpokeStatus::Connected;
        Self {
            id: row.id.clone(),
            name: row.name.clone(),
            status: row.status,
            spoke_type: row.spoke_type,
            project_id: row.project_id.clone(),
            last_heartbeat: row.last_heartbeat.map(to_wire),
            host_info: row.host_info.clone(),
            connected_at: row.connected_at.map(to_wire),
            disconnected_at: row.disconnected_at.map(to_wire),
            metadata: row.metadata.0.clone(),
            hub_instance: row
                .metadata
                .text("instanceId")
                .filter(|_| connected)
                .map(ToOwned::to_owned),
            in_flight: link.as_ref().map_or(0, |link| link.in_flight()),
            latency_ms: link.as_ref().map_or(0, |link| {
                u64::try_from(link.latency().as_millis()).unwrap_or(u64::MAX)
            }),
            clock_skew_ms: link.as_ref().map_or(0, |link| link.seen.skew_ms()),
            operations: state.providers.offered_by(&provider).len(),
            created_at: to_wire(row.created_at),
            updated_at: to_wire(row.updated_at),
        }
    }
}

list_input! {
    struct SpokeList {
        /// Only spokes of this project.
        project_id: Option<String>,
        /// Only spokes in this status.
        status: Option<SpokeStatus>,
        /// Only this sort of machine.
        spoke_type: Option<SpokeType>,
        /// Only spokes that offer this operation now.
        operation: Option<String>,
    }
}

async fn list(call: Call, input: Arc<SpokeList>) -> Result<PageView<SpokeView>, HubError> {
    let mut issues = Issues::default();
    if let Some(project) = &input.project_id {
        issues.take(rules::id("/projectId", project));
    }
    issues.finish()?;
    let filter = SpokeFilter {
        project: input.project_id.as_deref().map(ProjectId::from),
        status: input.status,
        spoke_type: input.spoke_type,
        ids: input.operation.as_deref().map(|operation| {
            let offers = call.state().providers.of(operation);
            let live = offers.iter().filter(|offer| offer.live());
            live.filter_map(|offer| match &offer.provider {
                ProviderId::Spoke(id) => Some(id.clone()),
                ProviderId::Client(_) => None,
            })
            .collect()
        }),
    };
    let reader = call.database().reader();
    let page = queries::spokes(reader, &call.scope()?, &filter, &input.page()).await?;
    Ok(PageView::of(page, |row| SpokeView::of(call.state(), &row)))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SpokeGet {
    /// Id of the spoke.
    id: Option<String>,
    /// Its name, in the place of `id`.
    name: Option<String>,
}

async fn get(call: Call, input: Arc<SpokeGet>) -> Result<SpokeView, HubError> {
    let reader = call.database().reader();
    let row = match (&input.id, &input.name) {
        (Some(id), None) => visible(&call, id).await?,
        (None, Some(name)) => {
            let name = one(rules::name("/name", name))?;
            let mut rows = queries::spoke_by_name(reader, &call.scope()?, &name).await?;
            if rows.len() > 1 {
                let ids: Vec<_> = rows.iter().map(|row| row.id.to_string()).collect();
                let message = format!("{} spokes have this name; give an id", rows.len());
                return Err(CallError::conflict("name_not_unique", message)
                    .with_detail("ids", json!(ids))
                    .into());
            }
            rows.pop().ok_or_else(|| CallError::not_found(NOT_FOUND))?
        }
        _ => {
            let message = "give either id or name";
            return Err(CallError::validation_field("/id", "one_of", message).into());
        }
    };
    Ok(SpokeView::of(call.state(), &row))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SpokeUpdate {
    /// Id of the spoke.
    id: String,
    /// Another project; null binds it to none.
    #[serde(default, deserialize_with = "rules::present")]
    #[schemars(with = "Option<String>")]
    project_id: Option<Option<String>>,
    /// Another name.
    name: Option<String>,
    /// How much it takes at once.
    limits: Option<Limits>,
    /// Whether it gets no new calls.
    drain: Option<bool>,
    /// Notes to merge; null removes a key.
    #[serde(default)]
    metadata: Map<String, Value>,
    /// The `updatedAt` the row must still have.
    if_updated_at: Option<String>,
}

async fn update(call: Call, input: Arc<SpokeUpdate>) -> Result<SpokeView, HubError> {
    let state = Arc::clone(call.state());
    let row = manageable(&call, &input.id).await?;
    let mut issues = Issues::default();
    let name = input
        .name
        .as_deref()
        .and_then(|name| issues.take(rules::name("/name", name)));
    let unchanged_since = issues.moment("/ifUpdatedAt", input.if_updated_at.as_deref());
    let merged = issues.take_all(rules::metadata_patch(
        "spokes",
        &row.metadata.0,
        &input.metadata,
    ));
    issues.finish()?;
    let project = match &input.project_id {
        None => None,
        Some(None) => Some(None),
        Some(Some(id)) => {
            one(rules::id("/projectId", id))?;
            let reader = call.database().reader();
            let project =
                projects::project_by_id(reader, &call.scope()?, &ProjectId::from(id.as_str()))
                    .await?
                    .ok_or_else(|| CallError::not_found(NOT_FOUND))?;
            Some(Some(project.id))
        }
    };
    let mut metadata = merged.unwrap_or_default();
    if let Some(limits) = &input.limits {
        metadata.insert("limits".to_owned(), json!(limits));
    }
    if let Some(drain) = input.drain {
        metadata.insert("drain".to_owned(), json!(drain));
    }
    let transaction = call.begin().await?;
    let changes = SpokeChanges {
        name,
        project_id: project,
        metadata: Some(metadata.into()),
        if_updated_at: unchanged_since,
        ..SpokeChanges::default()
    };
    let after = queries::update_spoke(&transaction, &row.id, changes).await?;
    let owner = owner_in_row(&transaction, &after).await?;
    let entry = Entry::about("spoke", &after.id, &after.name)
        .in_organization(owner.organization.as_ref())
        .changed(facts(&row), facts(&after));
    audit::write(&transaction, &call.actor()?, Action::SpokeUpdated, entry).await?;
    transaction.commit().await?;

    if let Some(link) = state.links.get(&after.id) {
        if let Some(limits) = &input.limits {
            link.set_limit(
                limits
                    .max_in_flight
                    .min(state.config().spokes.max_in_flight),
            );
        }
        if let Some(drain) = input.drain {
            link.set_draining(drain);
        }
    }
    let provider = ProviderId::Spoke(after.id.clone());
    state.providers.change_owner(&provider, &owner);
    state.queue.wake_all();
    state.events.spoke(&after, &owner, SpokeChange::Updated);
    Ok(SpokeView::of(&state, &after))
}

/// What an audit entry says of a spoke.
fn facts(row: &Spoke) -> Value {
    json!({
        "name": row.name, "projectId": row.project_id,
        "drain": row.metadata.get("drain"), "limits": row.metadata.get("limits"),
    })
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SpokeDisconnect {
    /// Id of the spoke.
    id: String,
    /// Why, told to the spoke.
    reason: Option<String>,
    /// How long it may not come back, in seconds.
    #[serde(default)]
    #[schemars(range(max = LONGEST_BAN))]
    ban_seconds: u64,
}

/// Output of `spoke.disconnect`.
#[derive(Debug, Serialize, JsonSchema)]
struct Disconnected {
    /// False when it had no connection.
    closed: bool,
}

async fn disconnect(call: Call, input: Arc<SpokeDisconnect>) -> Result<Disconnected, HubError> {
    let state = Arc::clone(call.state());
    let row = manageable(&call, &input.id).await?;
    let mut issues = Issues::default();
    if let Some(reason) = &input.reason {
        issues.take(rules::line("/reason", reason, 200));
    }
    issues.finish()?;
    if input.ban_seconds > 0 {
        let until = Utc::now() + Duration::from_secs(input.ban_seconds);
        let mut metadata = row.metadata.clone();
        metadata.insert("bannedUntil".to_owned(), json!(to_wire(until)));
        let transaction = call.begin().await?;
        let changes = SpokeChanges {
            metadata: Some(metadata),
            ..SpokeChanges::default()
        };
        queries::update_spoke(&transaction, &row.id, changes).await?;
        let owner = owner_in_row(&transaction, &row).await?;
        let entry = Entry::about("spoke", &row.id, &row.name)
            .in_organization(owner.organization.as_ref())
            .because(input.reason.clone());
        audit::write(&transaction, &call.actor()?, Action::SpokeBanned, entry).await?;
        transaction.commit().await?;
    }
    let connection = state
        .links
        .get(&row.id)
        .and_then(|link| link.connection())
        .and_then(|id| state.sockets.get(id));
    let Some(connection) = connection else {
        return Ok(Disconnected { closed: false });
    };
    let reason = input.reason.as_deref().unwrap_or("disconnected by request");
    connection.close(ClosingReason::Other, Close::new(1008, reason), None);
    Ok(Disconnected { closed: true })
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SpokeDelete {
    /// Id of the spoke.
    id: String,
}

/// Output of `spoke.delete`.
#[derive(Debug, Serialize, JsonSchema)]
struct Deleted {
    /// True: its row is gone.
    deleted: bool,
}

async fn delete(call: Call, input: Arc<SpokeDelete>) -> Result<Deleted, HubError> {
    let state = Arc::clone(call.state());
    let row = manageable(&call, &input.id).await?;
    let _one_at_a_time = state.registering.lock().await;
    let connected = state
        .links
        .get(&row.id)
        .is_some_and(|link| link.connected());
    if connected {
        let message = "the spoke is connected; disconnect it first";
        return Err(CallError::conflict("connected", message).into());
    }
    let transaction = call.begin().await?;
    let owner = owner_in_row(&transaction, &row).await?;
    queries::delete_spoke(&transaction, &row.id).await?;
    let entry =
        Entry::about("spoke", &row.id, &row.name).in_organization(owner.organization.as_ref());
    audit::write(&transaction, &call.actor()?, Action::SpokeDeleted, entry).await?;
    transaction.commit().await?;
    state
        .providers
        .forget_provider(&ProviderId::Spoke(row.id.clone()));
    state.events.spoke(&row, &owner, SpokeChange::Deleted);
    Ok(Deleted { deleted: true })
}

async fn visible(call: &Call, id: &str) -> Result<Spoke, HubError> {
    one(rules::id("/id", id))?;
    let reader = call.database().reader();
    queries::spoke_by_id(reader, &call.scope()?, &SpokeId::from(id))
        .await?
        .ok_or_else(|| CallError::not_found(NOT_FOUND).into())
}

/// A spoke the caller may change: its own, or one of an organization the caller administers.
async fn manageable(call: &Call, id: &str) -> Result<Spoke, HubError> {
    let row = visible(call, id).await?;
    let owner: Owner = owner_in_row(call.database().reader(), &row).await?;
    if owner.account != call.principal()?.account.id {
        call.require_level(owner.organization.as_ref(), MembershipLevel::Admin)?;
    }
    Ok(row)
}

fn one<T>(checked: Result<T, Issue>) -> Result<T, CallError> {
    checked.map_err(|issue| {
        let message = issue.to_string();
        CallError::validation(vec![issue], message)
    })
}
