//! Every operation of the hub, and the row each has in the database.

use alkhub_operations::{Operation, OperationSpec};
use alkhub_storage::enums::OperationType;
use alkhub_storage::json::Metadata;
use alkhub_storage::spokes::NewOperation;
use serde_json::{Map, Value, json};

use crate::{identity, projects, spokes, system, tasks};

/// All operations, domain by domain.
pub(crate) fn operations() -> Vec<Operation> {
    [
        system::operations(),
        identity::operations(),
        projects::operations(),
        spokes::operations(),
        tasks::operations(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The row of an operation. What has no column goes under `metadata.spec`.
///
/// # Errors
/// When a spec does not have the shape its columns have: a fault of the program.
pub(crate) fn row_of(spec: &OperationSpec) -> Result<NewOperation, serde_json::Error> {
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
            .with("builtIn", true)
            .with("specHash", spec.spec_hash()),
    })
}

fn kind_of(spec: &OperationSpec) -> OperationType {
    use alkhub_operations::OperationType::{Mutation, Query, Subscription};
    match spec.kind {
        Query => OperationType::Query,
        Mutation => OperationType::Mutation,
        Subscription => OperationType::Subscription,
    }
}
