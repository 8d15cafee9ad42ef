//! H30: what a configuration may not hold and where the hub may not be sent.

use alkhub_operations::ErrorCode;
use serde_json::json;

use super::service::Service;
use super::{LOCAL, client, imported};
use crate::support::{each_hub, each_hub_with, request, rule};

#[tokio::test(flavor = "multi_thread")]
async fn h30_credential_in_a_configuration_is_refused() {
    each_hub(async |hub| {
        for config in [
            json!({ "headers": { "Authorization": "Bearer abc" } }),
            json!({ "headers": { "X-Api-Key": "abc" } }),
            json!({ "headers": { "X-Custom": hub.admin_key } }),
            json!({ "baseUrl": "https://user:pass@example.org" }),
            json!({ "baseUrl": "https://example.org/?token=abc" }),
        ] {
            let mut whole = json!({ "baseUrl": "https://example.org", "namespace": "pets" });
            for (key, value) in config.as_object().unwrap() {
                whole[key] = value.clone();
            }
            let input = json!({ "name": "x", "type": "custom", "config": whole });
            let call = request(Some(&hub.admin_key), "client.create", input);
            let failure = hub.send(call).await.unwrap_err();
            let error = failure.error;
            assert_eq!(error.code, ErrorCode::UNPROCESSABLE, "{config}");
            assert_eq!(rule(&error), "secret_in_config", "{config}");
            assert!(!json!(error).to_string().contains("abc"), "{error:?}");
            // Nor is it in the record of the call that was refused.
            let reader = hub.database.reader();
            let id = failure.request_id.to_string();
            let recorded = alkhub_storage::calls::recorded_call(reader, &id)
                .await
                .unwrap();
            let recorded = recorded.unwrap().input.unwrap();
            assert_eq!(recorded["config"], "[redacted]");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h30_addresses_that_are_not_public_are_refused() {
    each_hub(async |hub| {
        for address in [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f.0.0.1/",
            "http://localhost:8080/",
            "http://10.1.2.3/",
            "http://192.168.0.1/",
            "http://169.254.169.254/latest/meta-data",
            "http://0.0.0.0/",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[fe80::1]/",
            "http://[fd00::1]/",
            "http://224.0.0.1/",
        ] {
            let config = json!({ "baseUrl": address, "namespace": "pets" });
            let error = hub
                .err(
                    "client.create",
                    json!({ "name": "x", "type": "custom", "config": config }),
                )
                .await;
            assert_eq!(rule(&error), "blocked_address", "{address}: {error:?}");
            let config = json!({ "transport": "http", "url": address, "namespace": "pets" });
            let error = hub
                .err(
                    "client.create",
                    json!({ "name": "x", "type": "mcp-server", "config": config }),
                )
                .await;
            assert_eq!(rule(&error), "blocked_address", "{address}: {error:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn case_199_redirect_to_an_address_that_is_not_public_is_refused() {
    each_hub_with(LOCAL, async |hub| {
        let service = Service::start().await;
        imported(hub, "pets", &service).await;
        // Only 127.0.0.1 is allowed.
        for location in [
            "http://127.0.0.2:1/",
            "http://169.254.169.254/",
            "http://[::1]/",
        ] {
            *service.shared.location.lock().unwrap() = location.to_owned();
            let error = hub.err("pets.redirect", json!({})).await;
            assert_eq!(error.code, ErrorCode::EXECUTION_ERROR, "{location}");
            let details = error.details.unwrap();
            assert_eq!(details["reason"], "blocked_address", "{location}");
        }
        *service.shared.location.lock().unwrap() = "file:///etc/passwd".to_owned();
        let error = hub.err("pets.redirect", json!({})).await;
        assert_eq!(error.details.unwrap()["reason"], "redirect");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_within_the_service_are_followed_three_times_and_elsewhere_without_credentials() {
    each_hub_with(LOCAL, async |hub| {
        let service = Service::start().await;
        let other = Service::start().await;
        let headers = json!({ "headers": { "X-Team": "acme" } });
        let id = client(hub, "pets", &service, headers).await;
        super::import(hub, &id, &super::service::document()).await;
        *service.shared.location.lock().unwrap() = "/seen?from=redirect".to_owned();
        hub.ok("pets.redirect", json!({})).await;
        let seen = service.last_seen();
        assert_eq!(seen["uri"], "/seen?from=redirect");
        assert_eq!(seen["headers"]["x-team"], "acme");
        *service.shared.location.lock().unwrap() = format!("{}/seen", other.url);
        hub.ok("pets.redirect", json!({})).await;
        let seen = other.last_seen();
        assert!(seen["headers"].get("x-team").is_none(), "{seen}");
        let error = hub
            .err("pets.redirectPost", json!({ "body": { "a": 1 } }))
            .await;
        assert_eq!(error.details.unwrap()["reason"], "redirect");
        let error = hub.err("pets.again", json!({})).await;
        assert_eq!(error.details.unwrap()["reason"], "redirect");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h30_address_that_is_no_longer_allowed_is_refused_at_the_next_call() {
    each_hub(async |hub| {
        let local = json!({ "key": "clients.allowNetworks", "value": ["127.0.0.1/32"] });
        hub.ok("config.set", local).await;
        let service = Service::start().await;
        let id = imported(hub, "pets", &service).await;
        // A name, not an address: what it leads to is checked when it is resolved.
        let port = service.url.rsplit(':').next().unwrap();
        let config = json!({ "baseUrl": format!("http://localhost:{port}"), "namespace": "pets" });
        hub.ok("client.update", json!({ "id": id, "config": config }))
            .await;
        hub.ok("pets.listUsers", json!({})).await;
        let none = json!({ "key": "clients.allowNetworks", "value": [] });
        hub.ok("config.set", none).await;
        let literal = json!({ "baseUrl": service.url, "namespace": "pets" });
        let error = hub
            .err("client.update", json!({ "id": id, "config": literal }))
            .await;
        assert_eq!(rule(&error), "blocked_address");
        let error = hub.err("client.test", json!({ "id": "none" })).await;
        assert_eq!(error.code, ErrorCode::NOT_FOUND);
        let tested = hub.ok("client.test", json!({ "id": id })).await;
        assert_eq!(tested["ok"], false, "{tested}");
    })
    .await;
}
