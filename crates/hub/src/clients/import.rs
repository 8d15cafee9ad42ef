//! `client.import`: a document or a list of tools becomes operations.

mod candidates;
mod compare;

use std::sync::Arc;

use alkhub_operations::adapters::Refused;
use alkhub_operations::{CallError, ErrorCode, Operation, OperationType, operation};
use alkhub_storage::entity::clients;
use alkhub_storage::ids::{ClientId, OperationId};
use alkhub_storage::json::Metadata;
use alkhub_storage::services;
use alkhub_storage::spokes::{self as queries, NewOperation, NewRegistration};
use alkhub_storage::{ConnectionTrait, Scope};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::offers::{self, BINDING, Binding};
use super::{about, writable};
use crate::audit::{self, Action, Actor};
use crate::catalog;
use crate::error::HubError;
use crate::state::{Call, State, handle};
use candidates::{Candidate, Candidates};
use compare::{Compared, compare};

/// Most changed operations that are shown with their schemas.
const SHOWN: usize = 200;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        operation::<ClientImport, ImportReport>("client.import", OperationType::Mutation)
            .description(
                "Makes operations of a service's OpenAPI document or of an MCP server's tools. Shows by \
                 default what it would do; with dryRun=false it does it.",
            )
            .scopes(&["client:write", "operation:admin"])
            .resource("client", "write")
            .error(
                "UNPROCESSABLE",
                "not_importable: clients of this type have no operations",
            )
            .error("CONFLICT", "disabled: the client is switched off; secret_missing")
            .error("FORBIDDEN", "The namespace is the hub's own.")
            .error("UNSUPPORTED", "The document is not of OpenAPI 3.0 or 3.1.")
            .long_details()
            .handler(handle(import)),
    ]
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ClientImport {
    /// Id of the client.
    id: String,
    /// Names or patterns with `*` of the operations this is about; all without it.
    #[serde(default)]
    filter: Vec<String>,
    /// Namespace in the place of the configured one.
    namespace: Option<String>,
    /// Only show what would be done.
    #[serde(default = "yes")]
    dry_run: bool,
    /// Text of an OpenAPI document, JSON or YAML, in the place of the configured address.
    source: Option<String>,
}

fn yes() -> bool {
    true
}

/// What an import does, or would do.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ImportReport {
    /// True when nothing was done.
    dry_run: bool,
    /// Full names of new operations.
    added: Vec<String>,
    /// Operations whose definition changes; an import with dryRun=false approves of it.
    changed: Vec<ChangedOperation>,
    /// Full names of operations the service no longer has; they become inactive.
    removed: Vec<String>,
    /// What is not imported.
    refused: Vec<RefusedView>,
    /// Operations that stay as they are.
    unchanged: usize,
}

/// An operation whose definition changes.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ChangedOperation {
    /// Full name.
    name: String,
    /// Which parts differ.
    fields: Vec<&'static str>,
    /// The parts as they are; left out for all but the first 200.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Value>,
    /// The parts as they will be.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<Value>,
}

/// Something that is not imported.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct RefusedView {
    /// How the service calls it.
    name: String,
    /// Why it is not imported.
    why: String,
}

impl From<Refused> for RefusedView {
    fn from(refused: Refused) -> Self {
        Self {
            name: refused.name,
            why: refused.why,
        }
    }
}

async fn import(call: Call, input: Arc<ClientImport>) -> Result<ImportReport, HubError> {
    let reader = call.database().reader();
    let row = writable(&call, reader, &ClientId::from(input.id.clone())).await?;
    if !row.enabled {
        let message = "the client is switched off; switch it on first";
        return Err(CallError::conflict("disabled", message).into());
    }
    let state = call.state();
    let candidates = candidates::gather(
        state,
        &row,
        input.namespace.as_deref(),
        &input.filter,
        input.source.as_deref(),
    )
    .await?;
    if input.dry_run {
        let compared = compare(reader, &row, candidates).await?;
        return Ok(report(&compared, true));
    }
    let transaction = call.begin().await?;
    let row = services::client_by_id(&transaction, &call.scope()?, &row.id)
        .await?
        .ok_or_else(|| CallError::not_found(crate::error::NOT_FOUND))?;
    let compared = compare(&transaction, &row, candidates).await?;
    let report = report(&compared, false);
    let taken = Taken::all(compared);
    let offered = store(&transaction, &row, &call.actor()?, &taken).await?;
    transaction.commit().await?;
    take_effect(state, &row, offered, &taken).await?;
    Ok(report)
}

/// An import that the hub makes by itself, because a server says that its tools changed: new tools are
/// taken and gone ones become inactive; of changed ones the new definition is kept until somebody
/// imports it.
pub(super) async fn refresh(state: &Arc<State>, client: &ClientId) {
    if let Err(problem) = try_refresh(state, client).await {
        let problem = CallError::from(problem);
        tracing::warn!(%client, %problem, "the changed tools of a server could not be read");
    }
}

async fn try_refresh(state: &Arc<State>, client: &ClientId) -> Result<(), HubError> {
    let reader = state.database.reader();
    let Some(row) = services::client_by_id(reader, &Scope::All, client).await? else {
        return Ok(());
    };
    if !row.enabled {
        return Ok(());
    }
    let candidates = candidates::gather(state, &row, None, &[], None).await?;
    let transaction = state.database.begin().await?;
    let compared = compare(&transaction, &row, candidates).await?;
    let nothing_new =
        compared.added.is_empty() && compared.changed.is_empty() && compared.removed.is_empty();
    if nothing_new {
        return Ok(());
    }
    for (known, candidate) in &compared.changed {
        let mut metadata = known.metadata.clone();
        metadata.insert("pendingSpec".to_owned(), json!(candidate.spec));
        if metadata != known.metadata {
            queries::set_operation_metadata(&transaction, &known.id, metadata).await?;
        }
    }
    let taken = Taken::without_changes(compared);
    let actor = crate::start::hub_actor(state);
    let offered = store(&transaction, &row, &actor, &taken).await?;
    transaction.commit().await?;
    take_effect(state, &row, offered, &taken).await
}

/// What of a comparison is done.
struct Taken {
    /// New operations, and changed ones that are approved of.
    written: Vec<Candidate>,
    removed: Vec<(OperationId, String)>,
    added: usize,
    changed: usize,
    waiting: usize,
    refused: usize,
}

impl Taken {
    fn all(compared: Compared) -> Self {
        let (added, changed) = (compared.added.len(), compared.changed.len());
        let changes = compared.changed.into_iter().map(|(_, candidate)| candidate);
        Self {
            written: compared.added.into_iter().chain(changes).collect(),
            removed: compared.removed,
            added,
            changed,
            waiting: 0,
            refused: compared.refused.len(),
        }
    }

    fn without_changes(compared: Compared) -> Self {
        Self {
            added: compared.added.len(),
            changed: 0,
            waiting: compared.changed.len(),
            refused: compared.refused.len(),
            written: compared.added,
            removed: compared.removed,
        }
    }
}

/// Writes definitions, registrations and the audit entry.
async fn store(
    transaction: &impl ConnectionTrait,
    row: &clients::Model,
    actor: &Actor,
    taken: &Taken,
) -> Result<Vec<OperationId>, HubError> {
    let provider = queries::Provider::Client(row.id.clone());
    let rows = taken
        .written
        .iter()
        .map(row_of)
        .collect::<Result<Vec<_>, _>>()?;
    let stored = queries::upsert_operations(transaction, rows).await?;
    let offered: Vec<NewRegistration> = stored
        .iter()
        .zip(&taken.written)
        .map(|((operation, _), candidate)| NewRegistration {
            operation_id: operation.id.clone(),
            pre_remap_namespace: None,
            pre_remap_name: match &candidate.binding {
                Binding::Tool { tool, .. } if *tool != operation.name => Some(tool.clone()),
                _ => None,
            },
        })
        .collect();
    queries::register(transaction, &provider, &offered).await?;
    let removed: Vec<OperationId> = taken.removed.iter().map(|(id, _)| id.clone()).collect();
    if !removed.is_empty() {
        queries::unregister(transaction, &provider, Some(&removed)).await?;
    }
    let entry = about(row).counted(json!({
        "added": taken.added,
        "changed": taken.changed,
        "waiting": taken.waiting,
        "removed": removed.len(),
        "refused": taken.refused,
    }));
    audit::write(transaction, actor, Action::ClientImported, entry).await?;
    Ok(stored
        .into_iter()
        .map(|(operation, _)| operation.id)
        .collect())
}

fn row_of(candidate: &Candidate) -> Result<NewOperation, HubError> {
    let mut row = catalog::row_of(&candidate.spec, catalog::Origin::Offered)
        .map_err(|error| CallError::internal(&error))?;
    // Merged into the notes that are there; null takes away what waited for approval.
    let notes = Metadata::new()
        .with(BINDING, json!(candidate.binding))
        .with("pendingSpec", Value::Null);
    row.metadata.0.extend(notes.0);
    Ok(row)
}

/// After the commit: the operations can be called, or no longer.
async fn take_effect(
    state: &State,
    row: &clients::Model,
    ids: Vec<OperationId>,
    taken: &Taken,
) -> Result<(), HubError> {
    let offered = ids
        .into_iter()
        .zip(&taken.written)
        .map(|(id, candidate)| (id, candidate.spec.clone(), candidate.binding.clone()))
        .collect();
    offers::offer(state, row, offered).await?;
    if !taken.removed.is_empty() {
        let names: Vec<String> = taken.removed.iter().map(|(_, name)| name.clone()).collect();
        offers::withdraw(state, &row.id, Some(&names));
    }
    Ok(())
}

fn report(compared: &Compared, dry_run: bool) -> ImportReport {
    let name = |candidate: &Candidate| candidate.spec.id().to_string();
    ImportReport {
        dry_run,
        added: compared.added.iter().map(name).collect(),
        changed: compared
            .changed
            .iter()
            .enumerate()
            .map(|(index, (known, candidate))| {
                let (fields, before, after) = compare::difference(known, candidate);
                let shown = index < SHOWN;
                ChangedOperation {
                    name: name(candidate),
                    fields,
                    before: shown.then_some(before),
                    after: shown.then_some(after),
                }
            })
            .collect(),
        removed: compared
            .removed
            .iter()
            .map(|(_, name)| name.clone())
            .collect(),
        refused: compared.refused.iter().cloned().map(Into::into).collect(),
        unchanged: compared.unchanged,
    }
}

/// The error of a client without operations.
pub(super) fn not_importable() -> CallError {
    CallError::unprocessable(
        "not_importable",
        "only clients of the types mcp-server and custom have operations to import",
    )
}

/// The error of a document that is not read.
pub(super) fn unsupported(message: String) -> CallError {
    CallError::new(ErrorCode::UNSUPPORTED, message)
}
