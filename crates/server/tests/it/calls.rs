//! Calls: the rows of the table of surfaces that are about HTTP.

use serde_json::{Value, json};

use crate::support::{Headers, Server, refused};

#[tokio::test]
async fn case_218_valid_post_answers_an_envelope() {
    let server = Server::start().await;
    let response = server.post("hub.whoami", &json!({})).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let headers = Headers::of(&response);
    assert_eq!(headers.header("content-type"), Some("application/json"));
    assert_eq!(headers.header("cache-control"), Some("no-store"));
    assert_eq!(headers.header("x-content-type-options"), Some("nosniff"));
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["meta"]["source"], "local");
    assert_eq!(body["meta"]["operationId"], "hub.whoami");
    assert_eq!(
        body["meta"]["requestId"].as_str(),
        headers.header("x-request-id")
    );
    assert_eq!(body["data"]["account"]["email"], "admin@localhost");
}

#[tokio::test]
async fn case_218_bad_input_answers_400() {
    let server = Server::start().await;
    let (status, body, _) = refused(server.post("project.list", &json!({ "unknown": 1 }))).await;
    assert_eq!(status, 400);
    assert_eq!(body["code"], "VALIDATION_ERROR");
    assert_eq!(body["details"]["issues"][0]["path"], "/unknown", "{body}");
}

#[tokio::test]
async fn case_218_no_key_answers_401_and_says_how_to_send_one() {
    let server = Server::start().await;
    let (status, body, headers) = refused(server.bare_post("hub.info").json(&json!({}))).await;
    assert_eq!(status, 401);
    assert_eq!(body["code"], "UNAUTHENTICATED");
    assert!(
        body["message"].as_str().unwrap().contains("Bearer"),
        "{body}"
    );
    assert_eq!(
        headers.header("www-authenticate"),
        Some("Bearer realm=\"alkhub\"")
    );
}

#[tokio::test]
async fn case_218_wrong_scope_answers_403_or_404() {
    let server = Server::start().await;
    let made = server
        .call(
            "key.create",
            json!({ "name": "reader", "scopes": ["project:read"] }),
        )
        .await;
    let key = made["key"].as_str().unwrap();
    let request = server
        .bare_post("project.create")
        .bearer_auth(key)
        .json(&json!({ "name": "demo" }));
    let (status, body, _) = refused(request).await;
    assert!(
        matches!(
            (status, body["code"].as_str()),
            (403, Some("ACCESS_DENIED")) | (404, Some("OPERATION_NOT_FOUND"))
        ),
        "{status} {body}"
    );
}

#[tokio::test]
async fn case_218_unknown_operation_answers_404() {
    let server = Server::start().await;
    for name in ["no.such", "hub", "%2e%2e%2fetc", "hub.info%00", "%ff"] {
        let (status, body, _) = refused(server.post(name, &json!({}))).await;
        assert_eq!(status, 404, "{name}");
        assert_eq!(body["code"], "OPERATION_NOT_FOUND", "{name}");
    }
}

#[tokio::test]
async fn case_219_get_on_a_mutation_answers_405() {
    let server = Server::start().await;
    let (status, _, headers) = refused(server.get("/v1/call/project.create?name=demo")).await;
    assert_eq!(status, 405);
    assert_eq!(headers.header("allow"), Some("POST"));
}

#[tokio::test]
async fn case_219_text_plain_answers_415() {
    let server = Server::start().await;
    let request = server
        .bare_post("hub.info")
        .bearer_auth(&server.key)
        .header("content-type", "text/plain")
        .body("{}");
    let (status, body, _) = refused(request).await;
    assert_eq!(status, 415);
    assert_eq!(body["details"]["rule"], "content_type");
}

#[tokio::test]
async fn case_220_a_repeat_with_the_key_gets_the_recorded_answer() {
    let server = Server::start().await;
    let input = json!({ "name": "once" });
    let ask = || {
        server
            .post("project.create", &input)
            .header("idempotency-key", "make-once-1")
    };
    let first = ask().send().await.unwrap();
    assert_eq!(first.status(), 200);
    let first_headers = Headers::of(&first);
    assert_eq!(first_headers.header("idempotency-replayed"), None);
    let first: Value = first.json().await.unwrap();

    let second = ask().send().await.unwrap();
    assert_eq!(second.status(), 200);
    let second_headers = Headers::of(&second);
    assert_eq!(second_headers.header("idempotency-replayed"), Some("true"));
    assert_eq!(
        second_headers.header("x-request-id"),
        first_headers.header("x-request-id")
    );
    let second: Value = second.json().await.unwrap();
    assert_eq!(second["data"], first["data"]);

    let other = server
        .post("project.create", &json!({ "name": "another" }))
        .header("idempotency-key", "make-once-1");
    let (status, body, _) = refused(other).await;
    assert_eq!(status, 422);
    assert_eq!(body["details"]["rule"], "request_id");
}

#[tokio::test]
async fn case_220_caller_that_hangs_up_does_not_stop_the_mutation() {
    use tokio::io::AsyncWriteExt;

    let server = Server::start().await;
    let address = server.url.strip_prefix("http://").unwrap();
    let body = json!({ "name": "left-alone" }).to_string();
    let head = format!(
        "POST /v1/call/project.create HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nIdempotency-Key: left-alone-1\r\n\r\n{body}",
        server.key,
        body.len(),
    );
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    // Closing before the server has read could lose the request itself.
    stream.shutdown().await.unwrap();
    drop(stream);

    crate::support::until("the project is there", || async {
        let page = server.call("project.list", json!({})).await;
        page["items"].as_array().unwrap().len() == 1
    })
    .await;
    let repeat = server
        .post("project.create", &json!({ "name": "left-alone" }))
        .header("idempotency-key", "left-alone-1")
        .send()
        .await
        .unwrap();
    assert_eq!(repeat.status(), 200);
    assert_eq!(repeat.headers()["idempotency-replayed"], "true");
}

#[tokio::test]
async fn query_by_get_takes_its_input_from_the_query_string() {
    let server = Server::start().await;
    for name in ["one", "two", "three"] {
        server.call("project.create", json!({ "name": name })).await;
    }
    let response = server
        .get("/v1/call/project.list?limit=2&order=asc")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["data"]["items"].as_array().unwrap().len(), 2);
    let (status, _, _) = refused(server.get("/v1/call/project.list?nonsense=1")).await;
    assert_eq!(status, 400);
    let (status, _, _) = refused(server.get("/v1/call/project.list?limit=many")).await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn empty_body_is_an_empty_input() {
    let server = Server::start().await;
    let request = server.bare_post("hub.info").bearer_auth(&server.key);
    assert_eq!(request.send().await.unwrap().status(), 200);
    let request = server
        .bare_post("hub.info")
        .bearer_auth(&server.key)
        .header("content-type", "application/json; charset=utf-8");
    assert_eq!(request.send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn request_id_of_the_caller_names_the_call() {
    let server = Server::start().await;
    let id = "7d9f2a8e-3f0b-4c55-9c2e-0a4f3f1c1c11";
    let response = server
        .post("hub.info", &json!({}))
        .header("x-request-id", id)
        .send()
        .await
        .unwrap();
    assert_eq!(response.headers()["x-request-id"], id);
    let (status, body, _) = refused(
        server
            .post("hub.info", &json!({}))
            .header("x-request-id", "17"),
    )
    .await;
    assert_eq!(status, 400);
    assert_eq!(body["details"]["header"], "x-request-id");
    let (status, _, headers) = refused(
        server
            .post("no.such", &json!({}))
            .header("x-request-id", id),
    )
    .await;
    assert_eq!(status, 404);
    assert_eq!(headers.header("x-request-id"), Some(id));
}

#[tokio::test]
async fn bad_headers_answer_400() {
    let server = Server::start().await;
    for (name, value) in [
        ("idempotency-key", "short"),
        ("idempotency-key", "with space in it"),
        ("x-alkhub-timeout-ms", "soon"),
        ("x-alkhub-timeout-ms", "0"),
    ] {
        let (status, body, _) =
            refused(server.post("hub.info", &json!({})).header(name, value)).await;
        assert_eq!(status, 400, "{name}");
        assert_eq!(body["details"]["header"], name);
    }
}

#[tokio::test]
async fn unknown_address_answers_404_in_the_error_shape() {
    let server = Server::start().await;
    for path in [
        "/",
        "/v1",
        "/v1/call",
        "/v1/call/",
        "/v2/call/hub.info",
        "/v1/call/hub.info/x",
    ] {
        let (status, body, _) = refused(server.get(path)).await;
        assert_eq!(status, 404, "{path}");
        assert_eq!(body["code"], "NOT_FOUND", "{path}");
    }
}

#[tokio::test]
async fn known_address_with_another_method_answers_405_with_allow() {
    let server = Server::start().await;
    for (method, path, allow) in [
        ("DELETE", "/v1/call/hub.info", "GET, HEAD, POST"),
        ("PUT", "/v1/call/hub.info", "GET, HEAD, POST"),
        ("OPTIONS", "/v1/call/hub.info", "GET, HEAD, POST"),
        ("POST", "/healthz", "GET, HEAD"),
        ("POST", "/v1/openapi.json", "GET, HEAD"),
        ("OPTIONS", "/v1/docs", "GET, HEAD"),
    ] {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let request = server
            .client
            .request(method, format!("{}{path}", server.url));
        let (status, _, headers) = refused(request).await;
        assert_eq!(status, 405, "{path}");
        assert_eq!(headers.header("allow"), Some(allow), "{path}");
    }
}

#[tokio::test]
async fn http2_without_tls_is_spoken() {
    let server = Server::start().await;
    let client = reqwest::Client::builder()
        .http2_prior_knowledge()
        .build()
        .unwrap();
    let calls = (0..20).map(|_| {
        client
            .post(format!("{}/v1/call/hub.info", server.url))
            .bearer_auth(&server.key)
            .json(&json!({}))
            .send()
    });
    for response in futures::future::join_all(calls).await {
        let response = response.unwrap();
        assert_eq!(response.version(), reqwest::Version::HTTP_2);
        assert_eq!(response.status(), 200);
    }
}

#[tokio::test]
async fn rate_limit_answers_429_with_retry_after() {
    let server = Server::with(&[("limits.rate", "1"), ("limits.burst", "1")]).await;
    let mut limited = None;
    for _ in 0..20 {
        let response = server.post("hub.info", &json!({})).send().await.unwrap();
        if response.status() == 429 {
            limited = Some(response);
            break;
        }
    }
    let response = limited.expect("one of twenty calls at once is over the limit");
    let seconds: u64 = response.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=2).contains(&seconds));
}
