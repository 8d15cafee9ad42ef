//! Documents and tools of foreign services as operations. What needs a socket is tested in the hub.

mod events;
mod hostile;
mod http;
mod mcp;
mod openapi;

use std::fmt::Write as _;

use alkhub_operations::adapters::ImportOptions;
use alkhub_operations::adapters::openapi::{Import, ImportedOperation, import};
use serde_json::{Value, json};

/// Options of a service called `pets`.
fn options() -> ImportOptions {
    ImportOptions {
        namespace: "pets".parse().unwrap(),
        client: "pets".to_owned(),
        required_scopes: Vec::new(),
        timeout: None,
    }
}

/// A document of version 3.1 with these paths.
fn document(paths: Value) -> String {
    json!({ "openapi": "3.1.0", "info": { "title": "t", "version": "2.3.4" }, "paths": paths })
        .to_string()
}

/// Imports a document; nothing in it may be refused.
fn imported(text: &str) -> Vec<ImportedOperation> {
    let Import {
        operations,
        refused,
    } = import(text, &options()).unwrap();
    assert_eq!(refused, []);
    operations
}

/// Imports the only operation of a document.
fn single(text: &str) -> ImportedOperation {
    let mut operations = imported(text);
    assert_eq!(operations.len(), 1);
    operations.remove(0)
}

/// A document of many operations, as large services have them.
fn large(count: usize) -> String {
    let mut paths = String::new();
    for number in 0..count {
        let comma = if number == 0 { "" } else { "," };
        write!(
            paths,
            r##"{comma}"/things/{number}/{{id}}":{{"get":{{"operationId":"get-{number}","parameters":[
            {{"name":"id","in":"path","required":true,"schema":{{"type":"integer"}}}},
            {{"$ref":"#/components/parameters/page"}}],
            "responses":{{"200":{{"description":"","content":{{"application/json":
            {{"schema":{{"$ref":"#/components/schemas/Thing{kind}"}}}}}}}},
            "404":{{"description":"gone","content":{{"application/json":
            {{"schema":{{"$ref":"#/components/schemas/Error"}}}}}}}}}}}}}}"##,
            kind = number % 50,
        )
        .unwrap();
    }
    let mut schemas =
        String::from(r#""Error":{"type":"object","properties":{"message":{"type":"string"}}}"#);
    for kind in 0..50 {
        write!(
            schemas,
            r##","Thing{kind}":{{"type":"object","required":["id"],"properties":{{"id":{{"type":"integer"}},
            "name":{{"type":["string","null"]}},"children":{{"type":"array",
            "items":{{"$ref":"#/components/schemas/Thing{kind}"}}}},"error":{{"$ref":"#/components/schemas/Error"}}}}}}"##
        )
        .unwrap();
    }
    format!(
        r#"{{"openapi":"3.1.0","info":{{"title":"t","version":"1.0.0"}},"paths":{{{paths}}},"components":{{
        "parameters":{{"page":{{"name":"page","in":"query","schema":{{"type":"integer"}}}}}},"schemas":{{{schemas}}}}}}}"#
    )
}
