use alkhub_operations::ErrorCode;
use alkhub_storage::enums::{AccessLevel, MembershipLevel};
use serde_json::{Value, json};

use super::service::{Service, document};
use super::{LOCAL, client, imported};
use crate::support::{audit_actions, each_hub, each_hub_with, rule};

fn custom(namespace: &str) -> Value {
    json!({ "baseUrl": "https://example.org/v1", "namespace": namespace })
}

#[tokio::test(flavor = "multi_thread")]
async fn types_tell_their_configuration_and_their_secrets() {
    each_hub(async |hub| {
        let types = hub.ok("client.types", json!({})).await;
        let names: Vec<_> = types
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["type"].clone())
            .collect();
        assert_eq!(
            json!(names),
            json!(["llm-provider", "vcs", "compute", "mcp-server", "custom"])
        );
        assert_eq!(
            types[4]["secretKeys"],
            json!(["token", "username", "password"])
        );
        assert_eq!(types[3]["importable"], true);
        assert_eq!(types[0]["importable"], false);
        for one in types.as_array().unwrap() {
            assert!(one["configSchema"]["properties"].is_object(), "{one}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_is_made_changed_listed_and_deleted() {
    each_hub(async |hub| {
        let configs = [
            ("llm-provider", json!({ "baseUrl": "https://api.example.org/v1", "dialect": "openai",
                "models": [{ "id": "m", "price": { "input": 1.5, "output": 2.0 } }] })),
            ("vcs", json!({ "kind": "gitea", "baseUrl": "https://git.example.org" })),
            ("compute", json!({ "kind": "vast-ai", "baseUrl": "https://example.org", "defaults": { "gpu": 1 } })),
            ("mcp-server", json!({ "transport": "http", "url": "https://example.org/mcp", "namespace": "files" })),
            ("custom", custom("pets")),
        ];
        for (kind, config) in configs {
            let input = json!({ "name": kind, "type": kind, "config": config });
            let made = hub.ok("client.create", input).await;
            assert_eq!(made["config"], config);
            assert_eq!(made["enabled"], true);
            assert_eq!(made["secrets"], json!([]));
            let by_name = hub.ok("client.get", json!({ "name": kind })).await;
            assert_eq!(by_name["id"], made["id"]);
            let listed = hub.ok("client.list", json!({ "type": kind })).await;
            assert_eq!(listed["items"].as_array().unwrap().len(), 1);
            let changed = hub
                .ok("client.update", json!({ "id": made["id"], "enabled": false, "metadata": { "a": 1 } }))
                .await;
            assert_eq!(changed["enabled"], false);
            assert_eq!(changed["metadata"], json!({ "a": 1 }));
            let error = hub
                .err("client.delete", json!({ "id": made["id"], "confirm": "other" }))
                .await;
            assert_eq!(rule(&error), "confirm");
            let input = json!({ "id": made["id"], "confirm": kind });
            assert_eq!(hub.ok("client.delete", input).await["deleted"], true);
        }
        let actions = audit_actions(&hub.database).await;
        for action in ["client.created", "client.updated", "client.deleted"] {
            assert_eq!(actions.iter().filter(|one| *one == action).count(), 5, "{action}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faulty_configurations_are_refused_with_their_place() {
    each_hub(async |hub| {
        for (kind, config, path) in [
            ("custom", json!({ "namespace": "a" }), "/config/baseUrl"),
            ("custom", json!({ "baseUrl": "https://x.org", "namespace": "a", "extra": 1 }), "/config/extra"),
            ("custom", json!({ "baseUrl": "ftp://x.org", "namespace": "a" }), "/config/baseUrl"),
            ("custom", json!({ "baseUrl": "file:///etc/passwd", "namespace": "a" }), "/config/baseUrl"),
            ("custom", json!({ "baseUrl": "https://x.org", "namespace": "A B" }), "/config/namespace"),
            ("custom", json!({ "baseUrl": "https://x.org", "namespace": "a", "requiredScopes": ["no:such"] }),
                "/config/requiredScopes/0"),
            ("custom", json!({ "baseUrl": "https://x.org", "namespace": "a", "headers": { "a b": "x" } }),
                "/config/headers/a b"),
            ("vcs", json!({ "kind": "cvs", "baseUrl": "https://x.org" }), "/config/kind"),
        ] {
            let error = hub
                .err("client.create", json!({ "name": "x", "type": kind, "config": config }))
                .await;
            assert_eq!(error.code, ErrorCode::VALIDATION_ERROR, "{config}");
            assert_eq!(error.details.unwrap()["issues"][0]["path"], path, "{config}");
        }
        let reserved = json!({ "name": "x", "type": "custom", "config": custom("task") });
        assert_eq!(hub.err("client.create", reserved).await.code, ErrorCode::FORBIDDEN);
        let input = json!({ "name": "x", "type": "custom", "config": custom("pets") });
        hub.ok("client.create", input.clone()).await;
        assert_eq!(rule(&hub.err("client.create", input).await), "name_taken");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn case_211_mcp_server_without_address_and_program_is_told_what_it_lacks() {
    each_hub(async |hub| {
        let config = json!({ "transport": "http", "namespace": "files" });
        let error = hub
            .err(
                "client.create",
                json!({ "name": "files", "type": "mcp-server", "config": config }),
            )
            .await;
        assert_eq!(
            error.message,
            "Invalid MCP server config for files: must have either 'url' or 'command'"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_an_organization_are_written_by_its_administrators_alone() {
    each_hub(async |hub| {
        let owner = hub.account("owner@example.org", AccessLevel::User).await;
        let member = hub.account("member@example.org", AccessLevel::User).await;
        let stranger = hub.account("stranger@example.org", AccessLevel::User).await;
        let organization = hub.organization("acme", &owner).await;
        hub.member(&organization, &member, MembershipLevel::Member).await;
        let key = async |account| hub.key(account, &["client:write"]).await;
        let (owner_key, member_key, stranger_key) =
            (key(&owner).await, key(&member).await, key(&stranger).await);
        let input = json!({ "name": "pets", "type": "custom", "config": custom("pets"), "orgId": organization });
        let error = hub.call(&member_key, "client.create", input.clone()).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::ACCESS_DENIED);
        let made = hub.call(&owner_key, "client.create", input).await.unwrap();
        let id = json!({ "id": made["id"] });
        assert!(hub.call(&member_key, "client.get", id.clone()).await.is_ok());
        let hidden = hub.call(&stranger_key, "client.get", id.clone()).await.unwrap_err();
        let absent = hub.call(&stranger_key, "client.get", json!({ "id": "none" })).await.unwrap_err();
        assert_eq!(json!(hidden), json!(absent));
        let change = json!({ "id": made["id"], "enabled": false });
        let error = hub.call(&member_key, "client.update", change).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::ACCESS_DENIED);
        let narrowed = hub
            .narrowed_key(&owner, &["client:write"], json!({ "client": ["other"] }))
            .await;
        let error = hub.call(&narrowed, "client.get", id).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::NOT_FOUND);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn client_is_handed_over_to_members_only() {
    each_hub(async |hub| {
        let ann = hub.account("ann@example.org", AccessLevel::User).await;
        let bob = hub.account("bob@example.org", AccessLevel::User).await;
        let organization = hub.organization("acme", &ann).await;
        let key = hub.key(&ann, &["client:write"]).await;
        let input = json!({ "name": "pets", "type": "custom", "config": custom("pets") });
        let made = hub.call(&key, "client.create", input).await.unwrap();
        assert_eq!(made["ownerId"], json!(ann));
        // Bob is not visible to Ann yet.
        let give = json!({ "id": made["id"], "newOwnerId": bob, "orgId": organization });
        let error = hub
            .call(&key, "client.transfer", give.clone())
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::NOT_FOUND);
        let error = hub.err("client.transfer", give.clone()).await;
        assert_eq!(rule(&error), "not_a_member");
        hub.member(&organization, &bob, MembershipLevel::Admin)
            .await;
        let given = hub.call(&key, "client.transfer", give).await.unwrap();
        assert_eq!(given["ownerId"], json!(bob));
        assert_eq!(given["orgId"], json!(organization));
        // Back to a personal one: then it is Bob's alone.
        let bobs = hub.key(&bob, &["client:write"]).await;
        let own = json!({ "id": made["id"], "newOwnerId": bob, "orgId": null });
        hub.call(&bobs, "client.transfer", own).await.unwrap();
        let error = hub
            .call(&key, "client.get", json!({ "id": made["id"] }))
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::NOT_FOUND);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_go_with_their_client_and_come_back_when_it_is_switched_on() {
    each_hub_with(LOCAL, async |hub| {
        let service = Service::start().await;
        let id = imported(hub, "pets", &service).await;
        assert!(hub.ok("pets.listUsers", json!({})).await.is_array());
        hub.ok("client.update", json!({ "id": id, "enabled": false }))
            .await;
        assert_eq!(
            hub.err("pets.listUsers", json!({})).await.code,
            ErrorCode::NO_PROVIDER
        );
        let error = hub
            .err(
                "client.import",
                json!({ "id": id, "source": document().to_string() }),
            )
            .await;
        assert_eq!(rule(&error), "disabled");
        hub.ok("client.update", json!({ "id": id, "enabled": true }))
            .await;
        assert!(hub.ok("pets.listUsers", json!({})).await.is_array());
        hub.ok("client.delete", json!({ "id": id, "confirm": "pets" }))
            .await;
        assert_eq!(
            hub.err("pets.listUsers", json!({})).await.code,
            ErrorCode::OPERATION_NOT_FOUND
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn client_with_calls_under_way_is_not_deleted() {
    each_hub_with(LOCAL, async |hub| {
        let service = Service::start().await;
        let id = imported(hub, "pets", &service).await;
        let slow = hub.call(&hub.admin_key, "pets.slow", json!({}));
        let delete = async {
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            hub.err("client.delete", json!({ "id": id, "confirm": "pets" }))
                .await
        };
        tokio::select! {
            _ = slow => panic!("the call is slow"),
            error = delete => assert_eq!(rule(&error), "in_use"),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_secret_is_told_when_it_is_needed() {
    each_hub_with(LOCAL, async |hub| {
        let service = Service::start().await;
        let auth = json!({ "auth": { "kind": "bearer" } });
        let id = client(hub, "pets", &service, auth).await;
        super::import(hub, &id, &document()).await;
        let error = hub.err("pets.listUsers", json!({})).await;
        assert_eq!(error.code, ErrorCode::CONFLICT);
        assert_eq!(rule(&error), "secret_missing");
        let error = hub.err("client.test", json!({ "id": id })).await;
        assert_eq!(rule(&error), "secret_missing");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn test_tells_whether_the_service_is_there() {
    each_hub_with(LOCAL, async |hub| {
        let service = Service::start().await;
        let id = client(hub, "pets", &service, json!({})).await;
        let tested = hub.ok("client.test", json!({ "id": id })).await;
        assert_eq!(tested["ok"], true, "{tested}");
        service.stop();
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        let tested = hub.ok("client.test", json!({ "id": id })).await;
        assert_eq!(tested["ok"], false, "{tested}");
        let actions = audit_actions(&hub.database).await;
        assert_eq!(
            actions.iter().filter(|one| *one == "client.tested").count(),
            2
        );
    })
    .await;
}
