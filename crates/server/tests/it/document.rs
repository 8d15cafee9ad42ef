//! The served OpenAPI document and the reference page.

use std::collections::BTreeSet;

use reqwest::header::ACCEPT;
use serde_json::{Value, json};

use crate::support::{Headers, Server, refused};

async fn fetched(server: &Server) -> Value {
    let response = server.get("/v1/openapi.json").send().await.unwrap();
    assert_eq!(response.status(), 200);
    response.json().await.unwrap()
}

fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get("$ref") {
                found.insert(reference);
            }
            members.values().for_each(|inner| references(inner, found));
        }
        Value::Array(inner) => inner.iter().for_each(|inner| references(inner, found)),
        _ => {}
    }
}

fn operation_ids(document: &Value) -> BTreeSet<String> {
    let paths = document["paths"].as_object().unwrap();
    paths
        .iter()
        .map(|(path, item)| {
            let id = item["post"]["operationId"].as_str().unwrap();
            assert_eq!(path, &format!("/v1/call/{id}"));
            id.to_owned()
        })
        .collect()
}

#[tokio::test]
async fn case_223_document_has_no_unresolved_reference() {
    let server = Server::start().await;
    let document = fetched(&server).await;
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap_or("?");
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    assert!(!document.to_string().contains("\"$defs\""));
}

#[tokio::test]
async fn case_223_document_lists_every_operation_of_the_caller_and_no_other() {
    let server = Server::start().await;
    let all = operation_ids(&fetched(&server).await);
    for expected in [
        "hub.info",
        "key.create",
        "project.create",
        "task.create",
        "task.import",
    ] {
        assert!(all.contains(expected), "{expected}");
    }
    let made = server
        .call(
            "key.create",
            json!({ "name": "reader", "scopes": ["project:read"] }),
        )
        .await;
    let response = server
        .client
        .get(format!("{}/v1/openapi.json", server.url))
        .bearer_auth(made["key"].as_str().unwrap())
        .send()
        .await
        .unwrap();
    let few = operation_ids(&response.json().await.unwrap());
    assert!(few.is_subset(&all));
    assert!(few.contains("project.list"));
    assert!(!few.contains("project.create"));
    assert!(!few.contains("key.create"));
}

/// The document in the repository is the one the hub serves. After a change of operations run the
/// tests with `INSTA_UPDATE=always` and review the difference: it is what users will notice.
#[tokio::test]
async fn case_223_document_equals_the_file_in_the_repository() {
    let server = Server::start().await;
    let mut document = fetched(&server).await;
    document["info"]["version"] = json!("[version]");
    document["servers"][0]["url"] = json!("[address]");
    insta::assert_json_snapshot!("openapi", document);
}

#[tokio::test]
async fn document_needs_a_key() {
    let server = Server::start().await;
    for path in ["/v1/openapi.json", "/v1/docs"] {
        let (status, _, _) = refused(server.client.get(format!("{}{path}", server.url))).await;
        assert_eq!(status, 401);
        let wrong = server
            .client
            .get(format!("{}{path}", server.url))
            .bearer_auth("alk_wrong");
        let (status, _, _) = refused(wrong).await;
        assert_eq!(status, 401);
    }
}

#[tokio::test]
async fn servers_are_the_public_address_or_the_one_listened_on() {
    let server = Server::start().await;
    assert_eq!(fetched(&server).await["servers"][0]["url"], server.url);
    let response = {
        let server = Server::with(&[("server.publicUrl", "https://hub.example")]).await;
        // Announced is the public address; the local one stands in the data directory.
        let file = std::fs::read(server.data_dir.path().join("hub.json")).unwrap();
        let local: Value = serde_json::from_slice(&file).unwrap();
        let local = local["url"].as_str().unwrap();
        server
            .client
            .get(format!("{local}/v1/openapi.json"))
            .bearer_auth(&server.key)
            .send()
            .await
            .unwrap()
            .json::<Value>()
            .await
            .unwrap()
    };
    assert_eq!(response["servers"][0]["url"], "https://hub.example");
}

#[tokio::test]
async fn page_shows_every_operation_and_asks_for_nothing_from_outside() {
    let server = Server::start().await;
    let response = server.get("/v1/docs").send().await.unwrap();
    assert_eq!(response.status(), 200);
    let headers = Headers::of(&response);
    assert_eq!(
        headers.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    let policy = headers.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    let page = response.text().await.unwrap();
    for id in operation_ids(&fetched(&server).await) {
        assert!(page.contains(&format!("<article id=\"{id}\">")), "{id}");
    }
    for forbidden in ["<script", "<link", "<img", "<iframe", "@import", "url("] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    assert!(page.contains("alkhub call task.create --input"));
    assert!(!page.contains(&server.key));
}

#[tokio::test]
async fn browser_without_a_key_is_told_how_to_fetch_the_page() {
    let server = Server::start().await;
    let response = server
        .client
        .get(format!("{}/v1/docs", server.url))
        .header(ACCEPT, "text/html,application/xhtml+xml")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 401);
    let page = response.text().await.unwrap();
    assert!(page.contains("curl -H"));
    assert!(page.contains(&server.url));
    assert!(!page.contains("task.create"));
}

#[tokio::test]
async fn the_protocol_of_the_socket_is_described_without_a_key() {
    let server = Server::start().await;
    let url = format!("{}/v1/asyncapi.json", server.url);
    let response = server.client.get(url).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let document: Value = response.json().await.unwrap();
    assert_eq!(document["asyncapi"], "3.0.0");
    let hub = &document["servers"]["hub"];
    assert_eq!(
        format!("http://{}", hub["host"].as_str().unwrap()),
        server.url
    );
    assert_eq!(
        (&hub["protocol"], &hub["pathname"]),
        (&json!("ws"), &json!("/ws"))
    );
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap_or("?");
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}
