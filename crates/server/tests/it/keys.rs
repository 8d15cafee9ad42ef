//! Bad and good keys, and where they may stand.

use serde_json::{Value, json};

use crate::support::{Server, refused};

#[tokio::test]
async fn key_is_taken_from_either_header() {
    let server = Server::start().await;
    let by_header = server
        .bare_post("hub.whoami")
        .header("x-api-key", &server.key);
    assert_eq!(by_header.send().await.unwrap().status(), 200);
    let both = server
        .bare_post("hub.whoami")
        .header("x-api-key", &server.key)
        .bearer_auth(&server.key);
    assert_eq!(both.send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn two_keys_that_differ_basic_and_spaces_answer_401() {
    let server = Server::start().await;
    let key = &server.key;
    let requests = [
        server
            .bare_post("hub.whoami")
            .bearer_auth(key)
            .header("x-api-key", "alk_other"),
        server
            .bare_post("hub.whoami")
            .bearer_auth(key)
            .header("authorization", "Bearer alk_other"),
        server
            .bare_post("hub.whoami")
            .basic_auth("admin", Some(key)),
        server
            .bare_post("hub.whoami")
            .bearer_auth(format!("{} {}", &key[..20], &key[20..])),
        server.bare_post("hub.whoami").bearer_auth("a".repeat(201)),
        server.bare_post("hub.whoami").header("authorization", key),
    ];
    for request in requests {
        let (status, body, headers) = refused(request).await;
        assert_eq!(status, 401);
        assert_eq!(body["code"], "UNAUTHENTICATED");
        assert!(headers.header("www-authenticate").is_some());
    }
}

#[tokio::test]
async fn wrong_unknown_and_revoked_keys_have_one_body() {
    let server = Server::start().await;
    let made = server
        .call(
            "key.create",
            json!({ "name": "short-lived", "scopes": ["project:read"] }),
        )
        .await;
    let revoked = made["key"].as_str().unwrap().to_owned();
    server
        .call("key.revoke", json!({ "id": made["apiKey"]["id"] }))
        .await;
    // One character changed: the checksum no longer fits.
    let mut changed = server.key.clone();
    let other = if changed.ends_with('a') { "b" } else { "a" };
    changed.replace_range(changed.len() - 1.., other);

    let mut bodies = Vec::new();
    for key in [revoked, changed, "alk_nonsense".to_owned()] {
        let (status, body, _) = refused(server.bare_post("hub.whoami").bearer_auth(key)).await;
        assert_eq!(status, 401);
        bodies.push(body);
    }
    assert!(
        bodies.windows(2).all(|pair| pair[0] == pair[1]),
        "{bodies:?}"
    );
}

#[tokio::test]
async fn a_query_parameter_is_never_a_key() {
    let server = Server::start().await;
    for name in ["key", "api_key", "access_token", "x-api-key"] {
        let request = server.client.get(format!(
            "{}/v1/call/hub.whoami?{name}={}",
            server.url, server.key
        ));
        let (status, _, _) = refused(request).await;
        assert_eq!(status, 401, "{name}");
    }
}

#[tokio::test]
async fn an_open_operation_needs_no_key() {
    let server = Server::start().await;
    let response = server
        .client
        .get(format!("{}/v1/call/hub.health", server.url))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["data"]["status"], "ok");
}
