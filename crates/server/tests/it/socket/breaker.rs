//! Spokes that do not answer, and whom their places go to.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::peer::{Peer, spec};
use crate::support::{Server, until};

/// Registers a spoke that takes one call at a time.
async fn small(server: &Server) -> Peer {
    let mut spoke = Peer::connect(server).await;
    let input = json!({
        "name": "small", "operations": [spec("box.work", "mutation")], "limits": { "maxInFlight": 1 },
    });
    spoke.ask("hub.register", input).await.unwrap();
    spoke
}

async fn pending(server: &Server, id: &str) {
    until("it waits", async || {
        let row = server.post("call.get", &json!({ "requestId": id })).send();
        let body: Value = row.await.unwrap().json().await.unwrap();
        body["data"]["status"] == "pending"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spoke_that_never_answers_gets_no_calls_for_a_while_and_then_one_to_see() {
    let server = Server::start().await;
    let mut spoke = Peer::connect(&server).await;
    spoke
        .register("silent", json!([spec("box.work", "mutation")]))
        .await;
    let mut client = Peer::connect(&server).await;
    let short = json!({ "timeoutMs": 100 });
    let mut opened = Instant::now();
    for round in 1..=5 {
        let id = client
            .request_with("box.work", json!({}), short.clone())
            .await;
        assert_eq!(spoke.asked().await, id, "round {round}");
        opened = Instant::now();
        let error = client.end_of(&id).await.unwrap_err();
        assert_eq!(error["code"], "TIMEOUT", "{error}");
        spoke.stops(&id, "deadline").await;
    }
    let refused = client.ask("box.work", json!({})).await.unwrap_err();
    assert_eq!(refused["code"], "NO_PROVIDER", "{refused}");
    spoke.settled().await;
    assert!(!spoke.has("call.requested"));

    tokio::time::sleep_until((opened + Duration::from_secs(11)).into()).await;
    let probe = client.request("box.work", json!({})).await;
    assert_eq!(spoke.asked().await, probe);
    let refused = client.ask("box.work", json!({})).await.unwrap_err();
    assert_eq!(refused["code"], "NO_PROVIDER", "{refused}");
    spoke.respond(&probe, json!(1)).await;
    client.end_of(&probe).await.unwrap();
    // It answered: it has calls as before.
    let (one, two) = (
        client.request("box.work", json!({})).await,
        client.request("box.work", json!({})).await,
    );
    for id in [&one, &two] {
        assert_eq!(&spoke.asked().await, id);
        spoke.respond(id, json!(1)).await;
        client.end_of(id).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_their_callers_give_up_say_nothing_against_the_spoke() {
    let server = Server::start().await;
    let mut spoke = Peer::connect(&server).await;
    spoke
        .register("busy", json!([spec("box.work", "mutation")]))
        .await;
    let mut client = Peer::connect(&server).await;
    for _ in 0..6 {
        let id = client.request("box.work", json!({})).await;
        assert_eq!(spoke.asked().await, id);
        client
            .send(&json!({
                "type": "call.aborted", "id": id,
                "payload": { "requestId": id, "by": "caller" },
            }))
            .await;
        spoke.stops(&id, "caller").await;
    }
    let id = client.request("box.work", json!({})).await;
    assert_eq!(spoke.asked().await, id);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_place_of_a_call_whose_time_is_over_goes_to_the_next_who_waits() {
    let server = Server::start().await;
    let mut spoke = small(&server).await;
    let mut client = Peer::connect(&server).await;
    let short = json!({ "timeoutMs": 1_000 });
    let running = client.request_with("box.work", json!({}), short).await;
    assert_eq!(spoke.asked().await, running);
    let waiting = client.request("box.work", json!({})).await;
    pending(&server, &waiting).await;
    let error = client.end_of(&running).await.unwrap_err();
    assert_eq!(error["code"], "TIMEOUT", "{error}");
    assert_eq!(spoke.asked().await, waiting);
    spoke.respond(&waiting, json!(1)).await;
    client.end_of(&waiting).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_place_of_an_aborted_call_goes_to_the_next_who_waits() {
    let server = Server::start().await;
    let mut spoke = small(&server).await;
    let mut client = Peer::connect(&server).await;
    let running = client.request("box.work", json!({})).await;
    assert_eq!(spoke.asked().await, running);
    let waiting = client.request("box.work", json!({})).await;
    pending(&server, &waiting).await;
    let abort = json!({ "requestId": running });
    let abort = tokio::spawn(server.post("call.abort", &abort).send());
    spoke.stops(&running, "caller").await;
    assert_eq!(abort.await.unwrap().unwrap().status(), 200);
    assert_eq!(spoke.asked().await, waiting);
    spoke.respond(&waiting, json!(1)).await;
    client.end_of(&waiting).await.unwrap();
}
