//! What the administrator sets on top of an operation's own definition: `operation.update`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use alkhub_operations::{
    CallError, ErrorCode, Operation, OperationSpec, OperationType, RecordPolicy, Registry,
    operation,
};
use alkhub_storage::entity::operations::Model;
use alkhub_storage::ids::OperationId;
use alkhub_storage::spokes as queries;
use arc_swap::ArcSwap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::audit::{self, Action, Entry};
use crate::error::{HubError, NOT_FOUND};
use crate::rules::{self, Issues};
use crate::scopes;
use crate::state::{Call, State, handle};

/// Key of the row's notes under which an override stands.
const NOTE: &str = "override";

/// What an operation is recorded with at most, in bytes.
const LARGEST_CAP: u64 = 16 * 1_024 * 1_024;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        operation::<OperationUpdate, Override>("operation.update", OperationType::Mutation)
            .description(
                "Sets what holds for an operation beside its own definition; null takes a value back.",
            )
            .scopes(&["operation:admin"])
            .handler(handle(update)),
    ]
}

/// What is set on top of a definition. Absent values are those of the definition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Override {
    /// False: nobody may call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) enabled: Option<bool>,
    /// Scopes it needs beside its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) required_scopes: Option<Vec<String>>,
    /// How much of its calls is recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) record: Option<RecordPolicy>,
    /// Largest input or output recorded whole, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) record_cap: Option<u64>,
    /// Time its calls have by default, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) timeout_ms: Option<u64>,
    /// Its tags.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tags: Option<Vec<String>>,
    /// Whether MCP clients see it as a tool of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mcp_tool: Option<bool>,
}

impl Override {
    /// The definition with this on top.
    fn on(&self, spec: &OperationSpec) -> OperationSpec {
        let mut spec = spec.clone();
        for scope in self.required_scopes.iter().flatten() {
            let required = &mut spec.access_control.required_scopes;
            if !required.contains(scope) {
                required.push(scope.clone());
            }
        }
        if let Some(record) = self.record {
            spec.ext.record = Some(record);
        }
        if let Some(timeout) = self.timeout_ms {
            spec.ext.timeout = Some(Duration::from_millis(timeout));
        }
        if let Some(tags) = &self.tags {
            spec.tags.clone_from(tags);
        }
        spec
    }
}

/// An operation with something on top.
struct Overridden {
    set: Override,
    /// Its own definition.
    original: OperationSpec,
}

/// All overrides, by operation.
#[derive(Default)]
pub(crate) struct Overrides {
    table: ArcSwap<HashMap<String, Arc<Overridden>>>,
    writing: Mutex<()>,
}

impl Overrides {
    /// The operation's own definition, when there is something on top of it.
    pub(crate) fn original(&self, operation: &str) -> Option<OperationSpec> {
        let table = self.table.load();
        Some(table.get(operation)?.original.clone())
    }

    /// The definition that holds.
    pub(crate) fn effective(&self, spec: OperationSpec) -> OperationSpec {
        let table = self.table.load();
        let Some(known) = table.get(spec.id().as_str()) else {
            return spec;
        };
        let effective = known.set.on(&spec);
        if known.original != spec {
            self.put(spec, known.set.clone());
        }
        effective
    }

    /// What is set on top of an operation.
    pub(crate) fn of(&self, operation: &str) -> Option<Override> {
        let table = self.table.load();
        Some(table.get(operation)?.set.clone())
    }

    /// Largest input or output of the operation that is recorded whole.
    pub(crate) fn record_cap(&self, operation: &str) -> Option<usize> {
        let table = self.table.load();
        let cap = table.get(operation)?.set.record_cap?;
        usize::try_from(cap).ok()
    }

    /// # Errors
    /// `FORBIDDEN` for an operation that is switched off.
    pub(crate) fn admit(&self, operation: &str) -> Result<(), CallError> {
        let table = self.table.load();
        let off = table
            .get(operation)
            .is_some_and(|known| known.set.enabled == Some(false));
        if off {
            let message = format!("{operation} is switched off by the administrator");
            return Err(CallError::new(ErrorCode::FORBIDDEN, message)
                .with_details(json!({ "rule": "disabled" })));
        }
        Ok(())
    }

    fn put(&self, original: OperationSpec, set: Override) {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut table = HashMap::clone(&self.table.load());
        let name = original.id().to_string();
        if set == Override::default() {
            table.remove(&name);
        } else {
            table.insert(name, Arc::new(Overridden { set, original }));
        }
        self.table.store(Arc::new(table));
    }

    /// Reads what a row has on top of its definition, before the operation is registered or while it is.
    pub(crate) fn read(&self, row: &Model, original: &OperationSpec) {
        let Some(note) = row.metadata.get(NOTE) else {
            return;
        };
        match serde_json::from_value::<Override>(note.clone()) {
            Ok(set) => self.put(original.clone(), set),
            Err(problem) => {
                let name = original.id().to_string();
                tracing::warn!(operation = name, error = %problem, "what is set on top of an operation cannot be read");
            }
        }
    }
}

/// Puts the definition that holds in the place of an operation's own one.
///
/// # Errors
/// When the registry does not take it.
pub(crate) fn apply(
    registry: &Registry,
    overrides: &Overrides,
    operation: &str,
) -> Result<(), alkhub_operations::RegistryError> {
    let (Some(entry), Some(original)) = (registry.get(operation), overrides.original(operation))
    else {
        return Ok(());
    };
    let mut changed = entry.operation().clone();
    changed.spec = overrides.effective(original);
    registry.replace(changed).map(|_former| ())
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct OperationUpdate {
    /// Full name of the operation.
    name: String,
    /// False: nobody may call it.
    #[serde(default, deserialize_with = "rules::present")]
    #[schemars(with = "Option<bool>")]
    enabled: Option<Option<bool>>,
    /// Scopes it needs beside its own.
    #[serde(default, deserialize_with = "rules::present")]
    #[schemars(with = "Option<Vec<String>>")]
    required_scopes: Option<Option<Vec<String>>>,
    /// How much of its calls is recorded.
    #[serde(default, deserialize_with = "rules::present")]
    #[schemars(with = "Option<RecordPolicy>")]
    record: Option<Option<RecordPolicy>>,
    /// Largest input or output recorded whole, in bytes.
    #[serde(default, deserialize_with = "rules::present")]
    #[schemars(with = "Option<u64>")]
    record_cap: Option<Option<u64>>,
    /// Time its calls have by default, in milliseconds.
    #[serde(default, deserialize_with = "rules::present")]
    #[schemars(with = "Option<u64>")]
    timeout_ms: Option<Option<u64>>,
    /// Its tags.
    #[serde(default, deserialize_with = "rules::present")]
    #[schemars(with = "Option<Vec<String>>")]
    tags: Option<Option<Vec<String>>>,
    /// Whether MCP clients see it as a tool of its own.
    #[serde(default, deserialize_with = "rules::present")]
    #[schemars(with = "Option<bool>")]
    mcp_tool: Option<Option<bool>>,
}

async fn update(call: Call, input: Arc<OperationUpdate>) -> Result<Override, HubError> {
    let state = Arc::clone(call.state());
    let entry = state
        .registry
        .get(&input.name)
        .ok_or_else(|| CallError::not_found(NOT_FOUND))?;
    let principal = call.principal()?;
    if state.providers.is_own(&entry) && !principal.is_admin() {
        // It would hold for every tenant.
        let message = "what holds for the hub's own operations is set by an administrator";
        return Err(CallError::access_denied(message).into());
    }
    super::require_all_in_reach(&state, principal, &input.name)?;
    check(&state, &input, entry.spec())?;
    let row = state
        .providers
        .row(&input.name)
        .ok_or_else(|| CallError::not_found(NOT_FOUND))?;
    let original = state
        .providers
        .overrides
        .original(&input.name)
        .unwrap_or_else(|| entry.spec().clone());
    let before = state
        .providers
        .overrides
        .of(&input.name)
        .unwrap_or_default();
    let mut after = before.clone();
    set(&mut after.enabled, &input.enabled);
    set(&mut after.required_scopes, &input.required_scopes);
    set(&mut after.record, &input.record);
    set(&mut after.record_cap, &input.record_cap);
    set(&mut after.timeout_ms, &input.timeout_ms);
    set(&mut after.tags, &input.tags);
    set(&mut after.mcp_tool, &input.mcp_tool);
    store(&call, &row, &before, &after).await?;
    let changed = after.on(&original);
    state.providers.overrides.put(original, after.clone());
    let mut operation = entry.operation().clone();
    operation.spec = changed;
    state
        .registry
        .replace(operation)
        .map_err(|error| CallError::internal(&error))?;
    Ok(after)
}

fn set<T: Clone>(field: &mut Option<T>, given: &Option<Option<T>>) {
    if let Some(value) = given {
        field.clone_from(value);
    }
}

fn check(state: &State, input: &OperationUpdate, spec: &OperationSpec) -> Result<(), CallError> {
    let mut issues = Issues::default();
    let mut refuse = |field: &str, rule: &str, message: String| {
        issues.add(alkhub_operations::Issue::new(field, rule, message));
    };
    for scope in input.required_scopes.iter().flatten().flatten() {
        if let Err(problem) = scopes::check(scope) {
            refuse("/requiredScopes", "scope", problem.to_string());
        }
    }
    if input.record == Some(Some(RecordPolicy::None)) && spec.kind != OperationType::Query {
        let message = "what may change something leaves a record".to_owned();
        refuse("/record", "record", message);
    }
    let longest = state.config().calls.max_deadline.as_millis();
    if let Some(Some(timeout)) = input.timeout_ms
        && !(1..=longest).contains(&u128::from(timeout))
    {
        let message = format!("must be from 1 to {longest} (calls.maxDeadline)");
        refuse("/timeoutMs", "range", message);
    }
    if let Some(Some(cap)) = input.record_cap
        && !(1_024..=LARGEST_CAP).contains(&cap)
    {
        let message = format!("must be from 1024 to {LARGEST_CAP}");
        refuse("/recordCap", "range", message);
    }
    if let Some(Some(tags)) = &input.tags {
        issues.take_all(rules::tags("/tags", tags));
    }
    issues.finish()
}

async fn store(
    call: &Call,
    row: &OperationId,
    before: &Override,
    after: &Override,
) -> Result<(), HubError> {
    let transaction = call.begin().await?;
    let stored = queries::operation_by_id(&transaction, row)
        .await?
        .ok_or_else(|| CallError::not_found(NOT_FOUND))?;
    let mut metadata = stored.metadata.clone();
    metadata.insert(NOTE.to_owned(), json!(after));
    queries::set_operation_metadata(&transaction, row, metadata).await?;
    let name = format!("{}.{}", stored.namespace, stored.name);
    let entry = Entry::about("operation", row, &name).changed(json!(before), json!(after));
    audit::write(
        &transaction,
        &call.actor()?,
        Action::OperationOverrideSet,
        entry,
    )
    .await?;
    transaction.commit().await?;
    Ok(())
}
