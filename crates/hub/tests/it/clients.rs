//! External services through the pipeline, against servers of the test's own.

mod calls;
mod guard;
mod imports;
mod management;
mod mcp;
mod service;
mod streams;
mod tools;

use serde_json::{Value, json};

use crate::support::TestHub;
use service::Service;

/// Settings with which services of the test's own machine may be reached.
const LOCAL: &[(&str, &str)] = &[("clients.allowNetworks", "127.0.0.1/32")];

/// A client of the type custom at a service, switched on.
async fn client(hub: &TestHub, name: &str, service: &Service, more: Value) -> String {
    let mut config = json!({ "baseUrl": service.url, "namespace": name });
    for (key, value) in more.as_object().unwrap() {
        config[key] = value.clone();
    }
    let made = hub
        .ok(
            "client.create",
            json!({ "name": name, "type": "custom", "config": config }),
        )
        .await;
    made["id"].as_str().unwrap().to_owned()
}

/// A client whose operations are imported.
async fn imported(hub: &TestHub, name: &str, service: &Service) -> String {
    let id = client(hub, name, service, json!({})).await;
    import(hub, &id, &service::document()).await;
    id
}

/// Imports a document for good and gives the report.
async fn import(hub: &TestHub, id: &str, document: &Value) -> Value {
    let input = json!({ "id": id, "dryRun": false, "source": document.to_string() });
    hub.ok("client.import", input).await
}
