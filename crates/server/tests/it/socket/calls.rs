//! Calls through the hub to a spoke.

use serde_json::json;

use super::peer::{Peer, spec};
use crate::support::Server;

#[tokio::test(flavor = "multi_thread")]
async fn a_call_over_http_is_answered_by_the_spoke_that_offers_the_operation() {
    let server = Server::start().await;
    let mut spoke = Peer::connect(&server).await;
    assert_eq!(spoke.hello["payload"]["protocol"], "alkhub.v1");
    let registered = spoke
        .register("build1", json!([spec("box.echo", "mutation")]))
        .await;
    assert_eq!(registered["accepted"], json!(["box.echo"]));

    let call = server.post("box.echo", &json!({ "text": "hello" })).send();
    let call = tokio::spawn(call);
    let asked = spoke.next("call.requested").await;
    let id = asked["payload"]["requestId"].as_str().unwrap().to_owned();
    assert_eq!(asked["payload"]["input"], json!({ "text": "hello" }));
    assert_eq!(asked["payload"]["operationId"], "box.echo");
    spoke.respond(&id, json!({ "text": "hello" })).await;
    let response = call.await.unwrap().unwrap();
    assert_eq!(response.status(), 200);
    let body: serde_json::Value = response.json().await.unwrap();
    assert_eq!(body["data"], json!({ "text": "hello" }));
    assert_eq!(body["meta"]["provider"]["type"], "spoke");
    assert_eq!(body["meta"]["operationId"], "box.echo");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_over_a_socket_gets_the_same_answer_as_over_http() {
    let server = Server::start().await;
    let mut client = Peer::connect(&server).await;
    let over_socket = client.ask("hub.whoami", json!({})).await.unwrap();
    let over_http = server.call("hub.whoami", json!({})).await;
    assert_eq!(over_socket["account"], over_http["account"]);
    let refused = client.ask("no.such", json!({})).await.unwrap_err();
    assert_eq!(refused["code"], "OPERATION_NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aborted_call_stops_on_the_spoke_and_its_caller_hears_of_it_at_once() {
    let server = Server::start().await;
    let mut spoke = Peer::connect(&server).await;
    spoke
        .register("build1", json!([spec("box.work", "mutation")]))
        .await;
    let mut client = Peer::connect(&server).await;
    let root = client.request("box.work", json!({})).await;
    let asked = spoke.next("call.requested").await;
    assert_eq!(asked["payload"]["requestId"], root.as_str());
    client
        .send(&json!({
            "type": "call.aborted", "id": root,
            "payload": { "requestId": root, "by": "caller", "reason": "enough" },
        }))
        .await;
    let told = spoke.next("call.aborted").await;
    assert_eq!(told["payload"]["by"], "caller");
    assert_eq!(told["payload"]["reason"], "enough");
    let ended = client.end_of(&root).await.unwrap_err();
    assert_eq!(ended["requestId"], root.as_str());
}
