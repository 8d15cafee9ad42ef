//! Calls of imported operations: what is sent, what comes back, and what goes wrong.

use std::sync::atomic::Ordering;
use std::time::Duration;

use alkhub_operations::envelope::Source;
use alkhub_operations::{ErrorCode, ProviderKind};
use alkhub_storage::enums::AccessLevel;
use serde_json::{Value, json};

use super::service::Service;
use super::{LOCAL, client, imported};
use crate::support::{each_hub_with, request};

#[tokio::test(flavor = "multi_thread")]
async fn call_sends_what_the_document_says_and_hides_cookies() {
    each_hub_with(LOCAL, async |hub| {
        let service = Service::start().await;
        let id = imported(hub, "pets", &service).await;
        let input = json!({ "q": "a b&c", "X-Trace": "t1" });
        let answer = hub
            .send(request(Some(&hub.admin_key), "pets.look", input))
            .await
            .unwrap();
        let data = &answer.envelope.data;
        assert_eq!(data["uri"], "/seen?q=a%20b%26c");
        assert_eq!(data["headers"]["x-trace"], "t1");
        // The caller's key stays with the hub.
        assert!(!data.to_string().contains(&hub.admin_key));
        assert!(data["headers"].get("authorization").is_none());
        let Source::Http {
            status_code,
            headers,
            ..
        } = &answer.envelope.meta.source
        else {
            panic!("an answer of HTTP: {:?}", answer.envelope.meta);
        };
        assert_eq!(
            (*status_code, headers["x-served-by"].as_str()),
            (200, "test")
        );
        assert!(!headers.contains_key("set-cookie"));
        let provider = answer.envelope.meta.provider.unwrap();
        assert_eq!((provider.kind, provider.id), (ProviderKind::Client, id));

        for body in [json!(false), json!(0), json!(""), json!({ "a": [1] })] {
            let sent = hub.ok("pets.send", json!({ "body": body })).await;
            assert_eq!(sent["body"], body.to_string());
            assert_eq!(sent["headers"]["content-type"], "application/json");
        }
        let sent = hub
            .ok("pets.put", json!({ "name": "a/b", "body": null }))
            .await;
        assert_eq!(sent["uri"], "/seen/a%2Fb");
        let error = hub.err("pets.put", json!({ "name": ".." })).await;
        assert_eq!(error.code, ErrorCode::VALIDATION_ERROR);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn imported_operations_ask_for_client_call_and_are_seen_by_their_tenant_alone() {
    each_hub_with(LOCAL, async |hub| {
        let service = Service::start().await;
        imported(hub, "pets", &service).await;
        let admin = hub.ok("hub.whoami", json!({})).await["account"]["id"].clone();
        let admin = alkhub_storage::ids::AccountId::from(admin.as_str().unwrap());
        let without = hub.key(&admin, &["client:read"]).await;
        let error = hub
            .call(&without, "pets.listUsers", json!({}))
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::ACCESS_DENIED);
        let with = hub.key(&admin, &["client:call"]).await;
        assert!(hub.call(&with, "pets.listUsers", json!({})).await.is_ok());
        // Another tenant does not even learn that there is such an operation.
        let ann = hub.account("ann@example.org", AccessLevel::User).await;
        let key = hub.key(&ann, &["client:call"]).await;
        let error = hub
            .call(&key, "pets.listUsers", json!({}))
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::OPERATION_NOT_FOUND);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn case_196_and_197_failures_of_the_service_are_told_apart() {
    each_hub_with(LOCAL, async |hub| {
        let service = Service::start().await;
        imported(hub, "pets", &service).await;
        let error = hub.err("pets.status", json!({ "status": 404 })).await;
        assert_eq!(error.code, ErrorCode::EXECUTION_ERROR);
        assert_eq!(error.message, "HTTP 404: Not Found");
        let details = error.details.as_ref().unwrap();
        assert_eq!(details["body"], json!({ "why": "asked for" }));
        assert_eq!(details["provider"]["type"], "client");
        assert_eq!(error.http_status(), 502);
        let error = hub.err("pets.status", json!({ "status": 500 })).await;
        assert_eq!(error.message, "HTTP 500: Internal Server Error");
        let error = hub.err("pets.broken", json!({})).await;
        assert_eq!(error.code, ErrorCode::EXECUTION_ERROR);
        let error = hub.err("pets.large", json!({})).await;
        assert_eq!(error.details.unwrap()["reason"], "too_large");

        let mut slow = request(Some(&hub.admin_key), "pets.slow", json!({}));
        slow.timeout = Some(Duration::from_millis(300));
        let failure = hub.send(slow).await.unwrap_err();
        assert_eq!(failure.error.code, ErrorCode::TIMEOUT);
        // The request ended with the call.
        for _ in 0..50 {
            if service.shared.dropped.load(Ordering::SeqCst) == 1 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(service.shared.dropped.load(Ordering::SeqCst), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn service_that_is_down_is_told_and_not_asked_again_and_again() {
    each_hub_with(LOCAL, async |hub| {
        let service = Service::start().await;
        imported(hub, "pets", &service).await;
        service.stop();
        tokio::time::sleep(Duration::from_millis(100)).await;
        for _ in 0..5 {
            let error = hub.err("pets.listUsers", json!({})).await;
            assert_eq!(error.code, ErrorCode::EXECUTION_ERROR, "{error:?}");
            let reason = error.details.unwrap()["reason"].clone();
            assert!(
                [json!("connect"), json!("closed")].contains(&reason),
                "{reason}"
            );
        }
        // Five in a row: the breaker is open.
        assert_eq!(
            hub.err("pets.listUsers", json!({})).await.code,
            ErrorCode::NO_PROVIDER
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn output_that_breaks_its_schema_is_not_handed_on() {
    each_hub_with(LOCAL, async |hub| {
        let service = Service::start().await;
        let id = client(hub, "pets", &service, json!({})).await;
        let mut document = super::service::document();
        document["paths"]["/users"]["get"]["responses"]["200"]["content"]["application/json"]["schema"] =
            json!({ "type": "object" });
        super::import(hub, &id, &document).await;
        let error = hub.err("pets.listUsers", json!({})).await;
        assert_eq!(error.code, ErrorCode::OUTPUT_INVALID);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn imported_operations_are_there_after_a_restart_without_asking_the_service() {
    use crate::support::start;
    let service = Service::start().await;
    alkhub_storage::testing::each_engine(async |database| {
        let directory = tempfile::tempdir().unwrap();
        let started = start(database.url(), directory.path(), LOCAL)
            .await
            .unwrap();
        let key = {
            use secrecy::ExposeSecret as _;
            started.first_key.unwrap().expose_secret().to_owned()
        };
        let call = async |hub: &alkhub_hub::Hub, operation: &str, input: Value| {
            let outcome = hub.call(request(Some(&key), operation, input)).await;
            outcome
                .map(|answer| answer.envelope.data)
                .map_err(|failure| failure.error)
        };
        let config = json!({ "baseUrl": service.url, "namespace": "pets" });
        let input = json!({ "name": "pets", "type": "custom", "config": config });
        let made = call(&started.hub, "client.create", input).await.unwrap();
        let source = super::service::document().to_string();
        let input = json!({ "id": made["id"], "dryRun": false, "source": source });
        call(&started.hub, "client.import", input).await.unwrap();
        started.hub.shutdown(Duration::from_secs(5)).await;
        drop(started.hub);

        let requests = service.shared.seen.lock().unwrap().len();
        let again = start(database.url(), directory.path(), LOCAL)
            .await
            .unwrap();
        assert_eq!(service.shared.seen.lock().unwrap().len(), requests);
        let users = call(&again.hub, "pets.listUsers", json!({})).await.unwrap();
        assert_eq!(users[0]["name"], "ann");
        again.hub.shutdown(Duration::from_secs(5)).await;
    })
    .await;
}
