//! Every operation of the hub, and the row each has in the database.

use alkhub_operations::spec::{SpecError, SpecOwner};
use alkhub_operations::{Operation, OperationSpec};
use alkhub_storage::entity::operations;
use alkhub_storage::enums::OperationType;
use alkhub_storage::json::Metadata;
use alkhub_storage::spokes::NewOperation;
use serde_json::{Map, Value, json};

use crate::{
    calls, clients, identity, jobs, news, operations as about_operations, projects, spokes, system,
    tasks,
};

/// All operations, domain by domain.
pub(crate) fn all() -> Vec<Operation> {
    [
        system::operations(),
        jobs::operations(),
        news::operations(),
        identity::operations(),
        projects::operations(),
        spokes::operations(),
        about_operations::operations(),
        tasks::operations(),
        calls::operations(),
        clients::operations(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Who defines an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The hub.
    BuiltIn,
    /// A spoke or a service.
    Offered,
}

/// The row of an operation. What has no column goes under `metadata.spec`.
///
/// # Errors
/// When a spec does not have the shape its columns have: a fault of the program.
pub(crate) fn row_of(
    spec: &OperationSpec,
    origin: Origin,
) -> Result<NewOperation, serde_json::Error> {
    let wire = serde_json::to_value(spec)?;
    let extension: Map<String, Value> = ["idempotent", "record", "timeoutMs", "resourceIdFrom"]
        .iter()
        .filter_map(|key| {
            wire.get(*key)
                .map(|value| ((*key).to_owned(), value.clone()))
        })
        .collect();
    Ok(NewOperation {
        namespace: spec.namespace.to_string(),
        name: spec.name.to_string(),
        version: spec.version.to_string(),
        kind: kind_of(spec),
        title: spec.title.clone(),
        description: spec.description.clone(),
        tags: spec.tags.clone().into(),
        input_schema: spec.input_schema.json().clone(),
        output_schema: spec.output_schema.json().clone(),
        error_schemas: serde_json::from_value(json!(spec.error_schemas))?,
        access_control: serde_json::from_value(json!(spec.access_control))?,
        protocol_meta: spec.meta.clone().map(Into::into),
        metadata: Metadata::new()
            .with("spec", extension)
            .with("builtIn", origin == Origin::BuiltIn)
            .with("specHash", spec.spec_hash()),
    })
}

/// The definition in a row, as [`row_of`] stored it.
///
/// # Errors
/// When the row does not hold a definition that could be registered.
pub(crate) fn spec_of(row: &operations::Model) -> Result<OperationSpec, SpecError> {
    let mut wire = json!({
        "namespace": row.namespace,
        "name": row.name,
        "version": row.version,
        "type": row.kind,
        "title": row.title,
        "description": row.description,
        "tags": row.tags,
        "inputSchema": row.input_schema,
        "outputSchema": row.output_schema,
        "errorSchemas": row.error_schemas,
        "accessControl": row.access_control,
        "_meta": row.protocol_meta,
    });
    if let (Value::Object(wire), Some(Value::Object(extension))) =
        (&mut wire, row.metadata.get("spec"))
    {
        wire.extend(extension.clone());
        wire.retain(|_, value| !value.is_null());
    }
    OperationSpec::from_json(&wire, SpecOwner::Host)
}

/// True for a row of the hub's own operations.
pub(crate) fn is_built_in(row: &operations::Model) -> bool {
    row.metadata.get("builtIn") == Some(&Value::Bool(true))
}

fn kind_of(spec: &OperationSpec) -> OperationType {
    use alkhub_operations::OperationType::{Mutation, Query, Subscription};
    match spec.kind {
        Query => OperationType::Query,
        Mutation => OperationType::Mutation,
        Subscription => OperationType::Subscription,
    }
}
