//! Requests from pages: the hub's own, listed ones, and others.

use serde_json::json;

use crate::support::{Headers, Server, refused};

#[tokio::test]
async fn foreign_origin_answers_403() {
    let server = Server::start().await;
    for origin in ["https://evil.example", "null"] {
        let request = server.post("hub.info", &json!({})).header("origin", origin);
        let (status, body, _) = refused(request).await;
        assert_eq!(status, 403, "{origin}");
        assert_eq!(body["code"], "FORBIDDEN");
    }
}

#[tokio::test]
async fn foreign_name_from_a_browser_answers_403() {
    let server = Server::start().await;
    let request = server
        .post("hub.info", &json!({}))
        .header("host", "rebound.example")
        .header("sec-fetch-site", "same-origin");
    let (status, _, _) = refused(request).await;
    assert_eq!(status, 403);
}

#[tokio::test]
async fn own_origin_is_answered_without_cors_headers() {
    let server = Server::start().await;
    let response = server
        .post("hub.info", &json!({}))
        .header("origin", &server.url)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    let headers = Headers::of(&response);
    for name in [
        "access-control-allow-origin",
        "access-control-expose-headers",
        "vary",
    ] {
        assert_eq!(headers.header(name), None, "{name}");
    }
}

#[tokio::test]
async fn listed_origin_may_ask_first_and_read_the_answer() {
    let server = Server::with(&[("server.corsOrigins", "https://board.example")]).await;
    let asked = server
        .client
        .request(
            reqwest::Method::OPTIONS,
            format!("{}/v1/call/hub.info", server.url),
        )
        .header("origin", "https://board.example")
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "authorization,content-type",
        )
        .send()
        .await
        .unwrap();
    assert_eq!(asked.status(), 200);
    let headers = Headers::of(&asked);
    assert_eq!(
        headers.header("access-control-allow-origin"),
        Some("https://board.example")
    );
    assert!(
        headers
            .header("access-control-allow-headers")
            .unwrap()
            .contains("authorization")
    );
    let answered = server
        .post("hub.info", &json!({}))
        .header("origin", "https://board.example")
        .send()
        .await
        .unwrap();
    assert_eq!(answered.status(), 200);
    assert_eq!(
        Headers::of(&answered).header("access-control-allow-origin"),
        Some("https://board.example")
    );
}

#[tokio::test]
async fn cors_origins_act_at_once() {
    let server = Server::start().await;
    let ask = || {
        server
            .post("hub.info", &json!({}))
            .header("origin", "https://board.example")
    };
    assert_eq!(ask().send().await.unwrap().status(), 403);
    server
        .call(
            "config.set",
            json!({ "key": "server.corsOrigins", "value": ["https://board.example"] }),
        )
        .await;
    assert_eq!(ask().send().await.unwrap().status(), 200);
}
