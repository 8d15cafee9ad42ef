//! `client.import` of OpenAPI documents.

use alkhub_operations::ErrorCode;
use serde_json::{Value, json};

use super::service::{Service, document};
use super::{LOCAL, client, import, imported};
use crate::support::{audit_actions, each_hub_with, rule};

#[tokio::test(flavor = "multi_thread")]
async fn dry_run_shows_and_does_nothing() {
    each_hub_with(LOCAL, async |hub| {
        let service = Service::start().await;
        let id = client(hub, "pets", &service, json!({})).await;
        let source = document().to_string();
        let shown = hub
            .ok("client.import", json!({ "id": id, "source": source }))
            .await;
        assert_eq!(shown["dryRun"], true);
        assert_eq!(shown["added"].as_array().unwrap().len(), 13);
        let error = hub.err("pets.listUsers", json!({})).await;
        assert_eq!(error.code, ErrorCode::OPERATION_NOT_FOUND);
        assert!(
            !audit_actions(&hub.database)
                .await
                .contains(&"client.imported".to_owned())
        );
        let done = import(hub, &id, &document()).await;
        assert_eq!(done["added"], shown["added"]);
        assert!(
            audit_actions(&hub.database)
                .await
                .contains(&"client.imported".to_owned())
        );
        let again = import(hub, &id, &document()).await;
        assert_eq!(again["unchanged"], 13, "{again}");
        assert_eq!(
            (&again["added"], &again["changed"]),
            (&json!([]), &json!([]))
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_is_shown_with_both_forms_and_removed_becomes_inactive() {
    each_hub_with(LOCAL, async |hub| {
        let service = Service::start().await;
        let id = imported(hub, "pets", &service).await;
        let mut next = document();
        next["paths"].as_object_mut().unwrap().remove("/slow");
        next["paths"]["/seen"]["get"]["description"] = json!("Looks closely");
        next["paths"]["/new"] = json!({ "get": { "operationId": "new", "responses": {} } });
        let input = json!({ "id": id, "source": next.to_string() });
        let shown = hub.ok("client.import", input).await;
        assert_eq!(shown["added"], json!(["pets.new"]));
        assert_eq!(shown["removed"], json!(["pets.slow"]));
        assert_eq!(shown["unchanged"], 11);
        let changed = &shown["changed"][0];
        assert_eq!(changed["name"], "pets.look");
        assert_eq!(changed["fields"], json!(["description"]));
        assert_eq!(changed["before"]["description"], "GET /seen");
        assert_eq!(changed["after"]["description"], "Looks closely");
        // Not approved of: as before.
        let schema = hub
            .ok("operation.schema", json!({ "name": "pets.look" }))
            .await;
        assert_eq!(schema[0]["description"], "GET /seen");

        import(hub, &id, &next).await;
        let schema = hub
            .ok("operation.schema", json!({ "name": "pets.look" }))
            .await;
        assert_eq!(schema[0]["description"], "Looks closely");
        assert_eq!(
            hub.err("pets.slow", json!({})).await.code,
            ErrorCode::NO_PROVIDER
        );
        // It comes back as it went.
        let report = import(hub, &id, &document()).await;
        assert_eq!(report["added"], json!(["pets.slow"]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn filter_include_and_exclude_choose_operations() {
    each_hub_with(LOCAL, async |hub| {
        let service = Service::start().await;
        let chosen = json!({ "include": ["list*", "look", "send"], "exclude": ["send"] });
        let id = client(hub, "pets", &service, chosen).await;
        let source = document().to_string();
        let shown = hub
            .ok("client.import", json!({ "id": id, "source": source }))
            .await;
        assert_eq!(shown["added"], json!(["pets.look", "pets.listUsers"]));
        let input = json!({ "id": id, "source": source, "filter": ["look"], "dryRun": false });
        assert_eq!(
            hub.ok("client.import", input).await["added"],
            json!(["pets.look"])
        );
        let input = json!({ "id": id, "source": source, "filter": ["list*"] });
        let shown = hub.ok("client.import", input).await;
        // What the filter leaves out is neither new nor gone.
        assert_eq!(shown["added"], json!(["pets.listUsers"]));
        assert_eq!(shown["removed"], json!([]));
        let input = json!({ "id": id, "source": source, "filter": ["nothing"] });
        assert_eq!(hub.ok("client.import", input).await["added"], json!([]));
        let input = json!({ "id": id, "source": source, "namespace": "other.pets" });
        let shown = hub.ok("client.import", input).await;
        assert_eq!(
            shown["added"],
            json!(["other.pets.look", "other.pets.listUsers"])
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn document_is_read_from_the_configured_address() {
    each_hub_with(LOCAL, async |hub| {
        let service = Service::start().await;
        *service.shared.document.lock().unwrap() = document().to_string();
        let address = json!({ "openapi": format!("{}/openapi", service.url) });
        let id = client(hub, "pets", &service, address).await;
        let shown = hub.ok("client.import", json!({ "id": id })).await;
        assert_eq!(shown["added"].as_array().unwrap().len(), 13);
        *service.shared.document.lock().unwrap() = "openapi: 3.0.0\npaths: {}".to_owned();
        let shown = hub.ok("client.import", json!({ "id": id })).await;
        assert_eq!(shown["added"], json!([]));
        service.stop();
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        let error = hub.err("client.import", json!({ "id": id })).await;
        assert_eq!(error.code, ErrorCode::EXECUTION_ERROR);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn imports_that_cannot_be_are_refused_each_by_its_name() {
    each_hub_with(LOCAL, async |hub| {
        let service = Service::start().await;
        let id = client(hub, "pets", &service, json!({})).await;
        let refused = async |more: Value| {
            let mut input = json!({ "id": id });
            for (key, value) in more.as_object().unwrap() {
                input[key] = value.clone();
            }
            hub.err("client.import", input).await
        };
        let old = refused(json!({ "source": "{\"swagger\":\"2.0\",\"paths\":{}}" })).await;
        assert_eq!(old.code, ErrorCode::UNSUPPORTED);
        let no_document = refused(json!({ "source": "{\"openapi\": [" })).await;
        assert_eq!(no_document.code, ErrorCode::VALIDATION_ERROR);
        assert_eq!(refused(json!({})).await.code, ErrorCode::VALIDATION_ERROR);
        let source = document().to_string();
        let reserved = refused(json!({ "source": source, "namespace": "hub" })).await;
        assert_eq!(reserved.code, ErrorCode::FORBIDDEN);
        let config = json!({ "kind": "gitea", "baseUrl": "https://git.example.org" });
        let vcs = hub
            .ok(
                "client.create",
                json!({ "name": "git", "type": "vcs", "config": config }),
            )
            .await;
        let error = hub
            .err(
                "client.import",
                json!({ "id": vcs["id"], "source": source }),
            )
            .await;
        assert_eq!(rule(&error), "not_importable");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_of_another_provider_are_not_taken_over() {
    each_hub_with(LOCAL, async |hub| {
        let service = Service::start().await;
        imported(hub, "pets", &service).await;
        let config = json!({ "baseUrl": service.url, "namespace": "pets" });
        let second = hub
            .ok(
                "client.create",
                json!({ "name": "second", "type": "custom", "config": config }),
            )
            .await;
        let report = import(hub, second["id"].as_str().unwrap(), &document()).await;
        assert_eq!(report["added"], json!([]));
        assert_eq!(report["refused"].as_array().unwrap().len(), 13);
        assert!(hub.ok("pets.listUsers", json!({})).await.is_array());
    })
    .await;
}
