//! Every operation of the hub, and the row each has in the database.

use alkhub_operations::{Operation, OperationSpec};
use alkhub_storage::spokes::NewOperation;
use serde_json::{Map, json};

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
pub(crate) fn row_of(spec: &OperationSpec) -> NewOperation {
    let mut metadata = Map::new();
    metadata.insert("spec".to_owned(), json!(spec.ext));
    metadata.insert("builtIn".to_owned(), json!(true));
    metadata.insert("specHash".to_owned(), json!(spec.spec_hash()));
    NewOperation {
        namespace: spec.namespace.to_string(),
        name: spec.name.to_string(),
        version: spec.version.to_string(),
        kind: kind_of(spec),
        title: spec.title.clone(),
        description: spec.description.clone(),
        tags: spec.tags.clone().into(),
        input_schema: spec.input_schema.json().clone(),
        output_schema: spec.output_schema.json().clone(),
        error_schemas: json!(spec.error_schemas),
        access_control: json!(spec.access_control),
        meta: spec.meta.clone().map(Into::into),
        metadata,
    }
}

fn kind_of(spec: &OperationSpec) -> alkhub_storage::enums::OperationType {
    use alkhub_operations::OperationType::{Mutation, Query, Subscription};
    match spec.kind {
        Query => alkhub_storage::enums::OperationType::Query,
        Mutation => alkhub_storage::enums::OperationType::Mutation,
        Subscription => alkhub_storage::enums::OperationType::Subscription,
    }
}
