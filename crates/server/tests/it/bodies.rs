//! Bodies that are no good: too large, too deep, broken.

use reqwest::Body;
use serde_json::json;

use crate::support::{Server, refused};

const MEGABYTE: usize = 1024 * 1024;

fn padded(bytes: usize) -> Vec<u8> {
    let mut body = vec![b' '; bytes];
    body[..2].copy_from_slice(b"{}");
    body
}

#[tokio::test]
async fn twenty_megabytes_are_refused_by_all_but_imports() {
    let server = Server::start().await;
    let request = server
        .bare_post("hub.info")
        .bearer_auth(&server.key)
        .header("content-type", "application/json")
        .body(padded(20 * MEGABYTE));
    let (status, body, _) = refused(request).await;
    assert_eq!(status, 413);
    assert_eq!(body["code"], "PAYLOAD_TOO_LARGE");
    assert_eq!(body["details"]["limit"], 4 * MEGABYTE);

    let import = server
        .bare_post("task.import")
        .bearer_auth(&server.key)
        .header("content-type", "application/json")
        .body(padded(20 * MEGABYTE));
    let (status, body, _) = refused(import).await;
    assert_eq!(status, 400, "{body}");
}

#[tokio::test]
async fn a_body_of_unknown_length_is_bounded_as_well() {
    let server = Server::start().await;
    let parts = (0..20).map(|_| Ok::<_, std::io::Error>(vec![b' '; MEGABYTE]));
    let request = server
        .bare_post("hub.info")
        .bearer_auth(&server.key)
        .header("content-type", "application/json")
        .body(Body::wrap_stream(futures::stream::iter(parts)));
    let (status, _, _) = refused(request).await;
    assert_eq!(status, 413);
}

#[tokio::test]
async fn a_stranger_cannot_make_the_hub_read_megabytes() {
    let server = Server::start().await;
    let request = server
        .bare_post("task.import")
        .header("content-type", "application/json")
        .body(padded(3 * MEGABYTE));
    let (status, _, _) = refused(request).await;
    assert_eq!(status, 401);
}

#[tokio::test]
async fn deeply_nested_json_is_refused_and_the_hub_lives() {
    let server = Server::start().await;
    for depth in [129, 100_000, 1_000_000] {
        let request = server
            .bare_post("hub.info")
            .bearer_auth(&server.key)
            .header("content-type", "application/json")
            .body("[".repeat(depth));
        let (status, body, _) = refused(request).await;
        assert_eq!(status, 400, "{depth}");
        assert_eq!(body["details"]["issues"][0]["rule"], "depth", "{depth}");
    }
    server.call("hub.info", json!({})).await;
}

#[tokio::test]
async fn broken_json_is_refused_with_its_place() {
    let server = Server::start().await;
    let request = server
        .bare_post("hub.info")
        .bearer_auth(&server.key)
        .header("content-type", "application/json")
        .body("{\n  \"a\": ,\n}");
    let (status, body, _) = refused(request).await;
    assert_eq!(status, 400);
    assert_eq!(body["code"], "VALIDATION_ERROR");
    assert_eq!(body["details"]["line"], 2);
    assert_eq!(body["details"]["column"], 8);
}

#[tokio::test]
async fn null_and_lists_are_no_input() {
    let server = Server::start().await;
    for body in ["null", "[]", "1", "\"text\""] {
        let request = server
            .bare_post("hub.info")
            .bearer_auth(&server.key)
            .header("content-type", "application/json")
            .body(body);
        let (status, answer, _) = refused(request).await;
        assert_eq!(status, 400, "{body}");
        assert_eq!(answer["code"], "VALIDATION_ERROR");
    }
}
