//! Who gets in over a socket, what they may do, and how they are put out.

use serde_json::{Value, json};

use super::peer::{Peer, spec};
use crate::support::Server;

#[tokio::test(flavor = "multi_thread")]
async fn a_key_may_be_shown_in_the_first_frame_and_a_wrong_one_closes_1008() {
    let server = Server::start().await;
    let mut peer = Peer::without_key(&server).await;
    peer.send(&json!({ "type": "hub.auth", "payload": { "key": server.key } }))
        .await;
    peer.next("hub.hello").await;
    peer.ask("hub.whoami", json!({})).await.unwrap();
    let mut peer = Peer::without_key(&server).await;
    peer.send(&json!({ "type": "hub.auth", "payload": { "key": "alk_wrong" } }))
        .await;
    assert_eq!(peer.close_code().await, 1008);
    let mut peer = Peer::without_key(&server).await;
    peer.send(&json!({ "type": "hub.heartbeat", "payload": {} }))
        .await;
    assert_eq!(peer.close_code().await, 1008);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_shows_no_key_in_five_seconds_closes_1008() {
    let server = Server::start().await;
    let mut peer = Peer::without_key(&server).await;
    assert_eq!(peer.close_code().await, 1008);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_has_no_more_connections_than_its_limit() {
    let server = Server::with(&[("limits.sockets", "1")]).await;
    let _one = Peer::connect(&server).await;
    let mut two = Peer::without_key(&server).await;
    two.send(&json!({ "type": "hub.auth", "payload": { "key": server.key } }))
        .await;
    assert_eq!(two.close_code().await, 1008);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spoke_registers_over_a_socket_only_and_once() {
    let server = Server::start().await;
    let input = json!({ "name": "one", "operations": [] });
    let over_http = server.post("hub.register", &input).send().await.unwrap();
    let body: Value = over_http.json().await.unwrap();
    assert_eq!(body["details"]["rule"], "websocket_only", "{body}");
    let mut peer = Peer::connect(&server).await;
    let early = peer.ask("hub.update", json!({})).await.unwrap_err();
    assert_eq!(early["details"]["rule"], "not_registered");
    peer.ask("hub.register", input.clone()).await.unwrap();
    let again = peer.ask("hub.register", input).await.unwrap_err();
    assert_eq!(again["details"]["rule"], "already_registered");
}

#[tokio::test(flavor = "multi_thread")]
async fn case_130_a_parent_that_this_connection_does_not_run_is_refused() {
    let server = Server::start().await;
    let mut spoke = Peer::connect(&server).await;
    spoke
        .register("one", json!([spec("box.work", "mutation")]))
        .await;
    let mut client = Peer::connect(&server).await;
    let root = client.request("box.work", json!({})).await;
    spoke.asked().await;
    for parent in [root.as_str(), "nobody-knows-it"] {
        let below = json!({ "parentRequestId": parent });
        let id = client.request_with("hub.whoami", json!({}), below).await;
        let error = client.end_of(&id).await.unwrap_err();
        assert_eq!(error["code"], "VALIDATION_ERROR");
        assert_eq!(error["details"]["rule"], "parent", "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn case_131_calls_nest_only_so_deep() {
    let server = Server::with(&[("calls.maxDepth", "4")]).await;
    let mut spoke = Peer::connect(&server).await;
    spoke
        .register("one", json!([spec("box.work", "mutation")]))
        .await;
    let mut client = Peer::connect(&server).await;
    let mut parent = client.request("box.work", json!({})).await;
    assert_eq!(spoke.asked().await, parent);
    let mut depth = 1;
    let error = loop {
        let below = json!({ "parentRequestId": parent });
        let id = spoke.request_with("box.work", json!({}), below).await;
        let next = spoke
            .next_where(|frame| frame["payload"]["requestId"] == id.as_str())
            .await;
        if next["type"] == "call.error" {
            break next["payload"].clone();
        }
        depth += 1;
        parent = id;
    };
    assert_eq!(error["code"], "UNPROCESSABLE");
    assert_eq!(error["details"]["rule"], "too_deep");
    assert_eq!(depth, 4);
}
