//! The OpenAPI 3.1 document of the operations a caller may use.
//!
//! Everything in it comes from the operation specs, so it cannot drift from what the hub does.
//! The order is fixed (operations by id, then names), so two documents of the same registry are
//! equal byte for byte.

mod errors;
mod operation;
mod schemas;

use alkhub_operations::OperationSpec;
use serde_json::{Map, Value, json};

use schemas::{Components, Side};

/// What an operation's part of the document is made from.
#[derive(Clone, Copy)]
pub(crate) struct Described<'a> {
    /// What the operation is and takes.
    pub(crate) spec: &'a OperationSpec,
    /// Whether it answers callers without a key.
    pub(crate) open: bool,
}

/// What the document says about the hub itself.
pub(crate) struct About<'a> {
    /// Address callers reach the hub under, without a slash at the end.
    pub(crate) server: &'a str,
    /// Version of the hub.
    pub(crate) version: &'a str,
}

/// The document of `operations`, which come sorted by id.
pub(crate) fn document(operations: &[Described<'_>], about: &About<'_>) -> Value {
    let mut components = Components::with_own_shapes();
    // Outputs first: a type used both ways keeps its plain name for what callers receive.
    let outputs: Vec<_> = operations
        .iter()
        .map(|operation| {
            let owner = operation.spec.id().to_string();
            let data = components.adopt(operation.spec.output_schema.json(), &owner, Side::Output);
            let errors = errors::responses(operation.spec, &mut components);
            (data, errors)
        })
        .collect();

    let mut paths = Map::new();
    for (operation, (data, errors)) in operations.iter().zip(outputs) {
        let id = operation.spec.id().to_string();
        let input = components.adopt(operation.spec.input_schema.json(), &id, Side::Input);
        let path = operation::path_item(operation, input, data, errors, &components);
        paths.insert(format!("/v1/call/{id}"), path);
    }

    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "alkhub",
            "version": about.version,
            "description": INTRODUCTION,
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "servers": [{ "url": about.server }],
        "security": [{ "bearer": [] }],
        "tags": tags(operations),
        "paths": paths,
        "components": {
            "schemas": components.into_schemas(),
            "responses": errors::common_responses(),
            "parameters": operation::header_parameters(),
            "headers": operation::answer_headers(),
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An alkhub key, as `Authorization: Bearer alk_…`; `X-API-Key` takes the same key.",
                },
            },
        },
    })
}

const INTRODUCTION: &str = "Every feature of the hub is an operation, called by \
`POST /v1/call/{id}` with the input as JSON. The answer is an envelope: `data` holds the output, `meta` says who made it and when. \
Queries also take `GET` with their input as query parameters. Failures answer `{code, message, details?}` with the status of the code. \
The document lists the operations the key it was asked with may call.";

fn tags(operations: &[Described<'_>]) -> Value {
    let mut names: Vec<String> = operations
        .iter()
        .map(|operation| operation.spec.namespace.to_string())
        .collect();
    names.sort();
    names.dedup();
    names
        .into_iter()
        .map(|name| json!({ "name": name }))
        .collect()
}

#[cfg(test)]
mod tests;
