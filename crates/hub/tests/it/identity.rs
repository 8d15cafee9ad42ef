//! Accounts and keys through the pipeline.

use alkhub_operations::ErrorCode;
use alkhub_storage::enums::AccessLevel;
use serde_json::{Value, json};

use crate::support::{each_hub, each_hub_with, rule};

#[tokio::test(flavor = "multi_thread")]
async fn address_is_unique_in_any_case() {
    each_hub(async |hub| {
        let make = |email: &str| json!({ "email": email, "displayName": "A" });
        let made = hub.ok("account.create", make(" Ann@Example.org ")).await;
        assert_eq!(made["email"], "ann@example.org");
        assert_eq!(
            (&made["accessLevel"], &made["status"]),
            (&json!("user"), &json!("active"))
        );
        let error = hub.err("account.create", make("ANN@example.org")).await;
        assert_eq!(
            (error.code.as_str(), rule(&error).as_str()),
            ("CONFLICT", "email_taken")
        );
        let found = hub
            .ok("account.get", json!({ "email": "Ann@example.org" }))
            .await;
        assert_eq!(found["id"], made["id"]);
        let listed = hub.ok("account.list", json!({ "search": "aNN" })).await;
        assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h15_fields_that_callers_may_not_set_are_unknown() {
    each_hub(async |hub| {
        for (operation, input) in [
            (
                "account.create",
                json!({ "email": "a@b", "displayName": "A", "status": "active" }),
            ),
            ("project.create", json!({ "name": "p", "ownerId": "me" })),
            (
                "key.create",
                json!({ "name": "k", "scopes": ["*"], "keyHash": "0" }),
            ),
        ] {
            let error = hub.err(operation, input).await;
            assert_eq!(error.code, ErrorCode::VALIDATION_ERROR, "{operation}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h9_key_never_has_more_than_the_one_that_made_it() {
    each_hub(async |hub| {
        let ann = hub.account("ann@example.org", AccessLevel::User).await;
        let small = hub.key(&ann, &["key:write", "task:read"]).await;
        let make = |scopes: Value| json!({ "name": "k", "scopes": scopes });
        let error = hub
            .call(&small, "key.create", make(json!(["task:write"])))
            .await
            .unwrap_err();
        assert_eq!(rule(&error), "scope_exceeds_caller");
        let error = hub
            .call(&small, "key.create", make(json!(["*"])))
            .await
            .unwrap_err();
        assert_eq!(rule(&error), "scope_exceeds_caller");
        let error = hub
            .call(&small, "key.create", make(json!(["task:raed"])))
            .await
            .unwrap_err();
        assert!(error.to_string().contains("task:read"), "{error}");
        hub.call(&small, "key.create", make(json!(["task:read"])))
            .await
            .unwrap();

        let narrow = json!({ "project": ["a", "b"] });
        let narrow = hub
            .narrowed_key(&ann, &["key:write", "task:read"], narrow)
            .await;
        let wider = json!({ "name": "k", "scopes": ["task:read"] });
        let error = hub.call(&narrow, "key.create", wider).await.unwrap_err();
        assert_eq!(rule(&error), "scope_exceeds_caller");
        let within =
            json!({ "name": "k", "scopes": ["task:read"], "resources": { "project": ["a"] } });
        hub.call(&narrow, "key.create", within).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn key_is_shown_once_and_never_its_hash() {
    each_hub(async |hub| {
        let made = hub
            .ok("key.create", json!({ "name": "k", "preset": "viewer" }))
            .await;
        let key = made["key"].as_str().unwrap();
        assert_eq!(made["apiKey"]["keyPrefix"], key[..12]);
        for (operation, input) in [
            ("key.list", json!({})),
            ("key.get", json!({ "id": made["apiKey"]["id"] })),
        ] {
            let text = hub.ok(operation, input).await.to_string();
            assert!(!text.contains(key) && !text.contains("keyHash"), "{text}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h8_last_key_of_the_last_admin_is_not_revoked_by_accident() {
    each_hub(async |hub| {
        let own = hub.ok("hub.whoami", json!({})).await["key"]["id"].clone();
        let error = hub.err("key.revoke", json!({ "id": own })).await;
        assert_eq!(rule(&error), "last_admin_key");
        hub.ok("hub.info", json!({})).await;

        let second = hub
            .ok("key.create", json!({ "name": "second", "scopes": ["*"] }))
            .await;
        let revoked = hub
            .ok("key.revoke", json!({ "id": own, "reason": "test" }))
            .await;
        assert_eq!(revoked["revoked"], json!([own]));
        let error = hub.err("hub.info", json!({})).await;
        assert_eq!(
            error.code,
            ErrorCode::UNAUTHENTICATED,
            "the cache must not remember it"
        );
        hub.call(second["key"].as_str().unwrap(), "hub.info", json!({}))
            .await
            .unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_key_is_refused_and_a_life_may_be_bounded() {
    each_hub_with(&[("auth.maxKeyDays", "30")], async |hub| {
        let make = |at: Value| json!({ "name": "k", "scopes": ["hub:read"], "expiresAt": at });
        for bad in [
            json!("2020-01-01T00:00:00Z"),
            json!("2099-01-01T00:00:00Z"),
            json!("soon"),
        ] {
            let error = hub.err("key.create", make(bad)).await;
            assert_eq!(error.code, ErrorCode::VALIDATION_ERROR);
        }
        let error = hub
            .err("key.create", json!({ "name": "k", "scopes": ["hub:read"] }))
            .await;
        assert_eq!(rule(&error), "maxKeyDays");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ceiling_of_the_access_level_holds_whatever_the_key_says() {
    each_hub(async |hub| {
        let service = hub
            .account("bot@system.invalid", AccessLevel::Service)
            .await;
        let key = hub.key(&service, &["*"]).await;
        let who = hub.call(&key, "hub.whoami", json!({})).await.unwrap();
        let scopes = who["effectiveScopes"].as_array().unwrap();
        for forbidden in ["hub:admin", "account:admin", "key:write", "org:write"] {
            assert!(!scopes.contains(&json!(forbidden)), "{forbidden}");
        }
        assert!(scopes.contains(&json!("task:write")));
        let error = hub
            .call(&key, "key.create", json!({ "name": "k", "scopes": ["*"] }))
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::OPERATION_NOT_FOUND);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h4_inactive_account_is_told_so() {
    each_hub(async |hub| {
        let ann = hub.account("ann@example.org", AccessLevel::User).await;
        let key = hub.key(&ann, &["hub:read"]).await;
        crate::support::execute(
            &hub.database,
            "update accounts set status = 'suspended' where email = 'ann@example.org'",
        )
        .await;
        let error = hub.call(&key, "hub.info", json!({})).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::ACCOUNT_INACTIVE);
        assert_eq!(error.details.unwrap()["status"], "suspended");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dry_authorization_says_what_is_missing() {
    each_hub(async |hub| {
        let ann = hub.account("ann@example.org", AccessLevel::User).await;
        let key = hub
            .narrowed_key(&ann, &["task:read"], json!({ "project": ["a"] }))
            .await;
        let check = async |operation: &str, input: Value| {
            let input = json!({ "operation": operation, "input": input });
            hub.call(&key, "key.check", input).await
        };
        let answer = check("task.create", json!({ "projectId": "a" }))
            .await
            .unwrap();
        assert_eq!(
            (&answer["allowed"], &answer["missing"]),
            (&json!(false), &json!(["task:write"]))
        );
        let answer = check("task.list", json!({ "projectId": "a" }))
            .await
            .unwrap();
        assert_eq!(answer["allowed"], true);
        let answer = check("task.list", json!({ "projectId": "b" }))
            .await
            .unwrap();
        assert_eq!(answer["allowed"], false);
        assert!(answer["reason"].is_string());
        let error = check("config.get", json!({})).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::NOT_FOUND);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn live_setting_acts_at_once_and_others_are_named() {
    each_hub(async |hub| {
        let set = |key: &str, value: Value| json!({ "key": key, "value": value });
        let changed = hub
            .ok("config.set", set("limits.concurrency", json!(7)))
            .await;
        assert_eq!(
            (&changed["value"], &changed["source"]),
            (&json!(7), &json!("live"))
        );
        assert_eq!(hub.hub.config().limits.concurrency, 7);
        let error = hub
            .err("config.set", set("server.listen", json!(["127.0.0.1:1"])))
            .await;
        assert_eq!(rule(&error), "needs_restart");
        let error = hub
            .err("config.set", set("limits.concurency", json!(7)))
            .await;
        assert!(error.to_string().contains("limits.concurrency"), "{error}");
        let error = hub
            .err("config.set", set("limits.concurrency", json!("many")))
            .await;
        assert_eq!(error.code, ErrorCode::VALIDATION_ERROR);
        let all = hub.ok("config.get", json!({})).await;
        assert!(all.as_object().unwrap().len() > 20);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mutation_with_an_action_leaves_its_audit_entry() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        hub.ok("project.update", json!({ "id": project, "vcs": "hg" }))
            .await;
        hub.ok("project.update", json!({ "id": project, "vcs": "hg" }))
            .await;
        let entries = crate::support::audit_actions(&hub.database).await;
        let count = |action: &str| entries.iter().filter(|entry| *entry == action).count();
        assert_eq!(count("hub.initialized"), 1);
        assert_eq!(count("hub.started"), 1);
        assert_eq!(count("project.created"), 1);
        assert_eq!(
            count("project.updated"),
            1,
            "an update that changes nothing is no event"
        );
    })
    .await;
}
