//! Spokes that go away with calls under way.

use std::time::{Duration, Instant};

use alkhub_storage::identity::{AuditFilter, list_audit};
use alkhub_storage::{Order, PageRequest, Scope};
use serde_json::{Value, json};

use super::peer::{Peer, idempotent, responded, spec};
use crate::support::{Server, until};

/// The connection breaks off with the call under way.
async fn server_with_grace(grace: &str) -> Server {
    Server::with(&[("spokes.resumeGrace", grace)]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn case_h20_a_call_that_may_not_run_twice_is_lost_with_its_spoke_after_the_grace() {
    let server = server_with_grace("300ms").await;
    let mut spoke = Peer::connect(&server).await;
    let offer = json!([spec("box.work", "mutation")]);
    spoke.register("dies", offer.clone()).await;
    let call = tokio::spawn(server.post("box.work", &json!({})).send());
    let id = spoke.asked().await;
    let mut other = Peer::connect(&server).await;
    other.register("lives", offer).await;
    let started = Instant::now();
    spoke.close().await;
    let body: Value = call.await.unwrap().unwrap().json().await.unwrap();
    assert_eq!(body["code"], "PROVIDER_LOST", "{body}");
    assert!(started.elapsed() >= Duration::from_millis(250));
    let row = server.call("call.get", json!({ "requestId": id })).await;
    assert_eq!(row["status"], "failed");
    assert_eq!(row["error"]["code"], "PROVIDER_LOST");
    other.settled().await;
    assert!(!other.has("call.requested"));
}

#[tokio::test(flavor = "multi_thread")]
async fn case_a22_an_idempotent_call_goes_to_another_spoke_under_the_same_row() {
    let server = server_with_grace("300ms").await;
    let mut spoke = Peer::connect(&server).await;
    let offer = json!([idempotent("box.work", "mutation")]);
    spoke.register("dies", offer.clone()).await;
    let call = tokio::spawn(server.post("box.work", &json!({ "n": 1 })).send());
    let id = spoke.asked().await;
    let mut other = Peer::connect(&server).await;
    other.register("lives", offer).await;
    spoke.close().await;
    let again = other.next("call.requested").await;
    assert_eq!(again["payload"]["input"], json!({ "n": 1 }));
    let again = again["payload"]["requestId"].as_str().unwrap().to_owned();
    assert_eq!(again, id);
    other.respond(&again, json!("done")).await;
    let body: Value = call.await.unwrap().unwrap().json().await.unwrap();
    assert_eq!(body["data"], "done");
    let row = server.call("call.get", json!({ "requestId": id })).await;
    assert_eq!(row["status"], "completed");
    assert_eq!(row["metadata"]["attempt"], 2, "{row}");
}

#[tokio::test(flavor = "multi_thread")]
async fn case_135_h22_a_spoke_back_in_time_answers_what_it_was_running() {
    let server = server_with_grace("10s").await;
    let mut spoke = Peer::connect(&server).await;
    let offer = json!([spec("box.work", "mutation")]);
    let row = spoke.register("back", offer.clone()).await;
    let running = tokio::spawn(server.post("box.work", &json!({})).send());
    let first = spoke.asked().await;
    let done = tokio::spawn(server.post("box.work", &json!({})).send());
    let second = spoke.asked().await;
    let forgotten = tokio::spawn(server.post("box.work", &json!({})).send());
    spoke.asked().await;
    spoke.close().await;
    until("the loss is noted", async || {
        let list = server.call("spoke.list", json!({})).await;
        list["items"][0]["status"] == "disconnected"
    })
    .await;

    let mut spoke = Peer::connect(&server).await;
    let mut frame = responded(&second, json!("meanwhile"));
    frame.as_object_mut().unwrap().remove("id");
    let back = spoke
        .ask(
            "hub.register",
            json!({
                "name": "back", "spokeId": row["spokeId"], "operations": offer,
                "running": [first], "undelivered": [frame],
            }),
        )
        .await
        .unwrap();
    assert_eq!(back["spokeId"], row["spokeId"]);
    assert_eq!(back["resumed"], true);
    let body: Value = done.await.unwrap().unwrap().json().await.unwrap();
    assert_eq!(body["data"], "meanwhile", "{body}");
    let body: Value = forgotten.await.unwrap().unwrap().json().await.unwrap();
    assert_eq!(body["code"], "PROVIDER_LOST");
    spoke.respond(&first, json!("at last")).await;
    let body: Value = running.await.unwrap().unwrap().json().await.unwrap();
    assert_eq!(body["data"], "at last");
}

#[tokio::test(flavor = "multi_thread")]
async fn case_h22_a_spoke_back_too_late_has_its_row_but_not_its_calls() {
    let server = server_with_grace("50ms").await;
    let mut spoke = Peer::connect(&server).await;
    let offer = json!([spec("box.work", "mutation")]);
    let row = spoke.register("late", offer.clone()).await;
    let call = tokio::spawn(server.post("box.work", &json!({})).send());
    let id = spoke.asked().await;
    spoke.close().await;
    let body: Value = call.await.unwrap().unwrap().json().await.unwrap();
    assert_eq!(body["code"], "PROVIDER_LOST");
    let mut spoke = Peer::connect(&server).await;
    let input = json!({ "name": "late", "operations": offer, "running": [id] });
    let back = spoke.ask("hub.register", input).await.unwrap();
    assert_eq!(back["spokeId"], row["spokeId"]);
    assert_eq!(back["resumed"], false);
    // What it still works on nobody waits for.
    spoke.stops(&id, "hub").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn case_136_an_answer_to_the_call_of_another_spoke_is_ignored_and_audited() {
    let server = Server::start().await;
    let mut good = Peer::connect(&server).await;
    good.register("good", json!([spec("box.work", "mutation")]))
        .await;
    let mut bad = Peer::connect(&server).await;
    bad.register("bad", json!([spec("bin.work", "mutation")]))
        .await;
    let call = tokio::spawn(server.post("box.work", &json!({})).send());
    let id = good.asked().await;
    bad.respond(&id, json!("forged")).await;
    bad.settled().await;
    good.respond(&id, json!("true")).await;
    let body: Value = call.await.unwrap().unwrap().json().await.unwrap();
    assert_eq!(body["data"], "true");
    let row = server.call("call.get", json!({ "requestId": id })).await;
    assert_eq!(row["status"], "completed");
    assert_eq!(row["output"], "true", "{row}");
    assert!(row["metadata"]["late"].is_null(), "{row}");

    let database = server.database().await;
    let audited = || async {
        let page = PageRequest::first(500).in_order(Order::Desc);
        let filter = AuditFilter::default();
        let rows = list_audit(database.reader(), &Scope::All, &filter, &page).await;
        let mut rows = rows.unwrap().items.into_iter();
        rows.find(|row| row.action == "access.denied")
    };
    until("it is audited", async || audited().await.is_some()).await;
    let row = audited().await.unwrap();
    assert_eq!(row.details.request_id.as_ref(), Some(&id));
    let reason = row.details.reason.unwrap();
    assert!(reason.contains("another spoke"), "{reason}");
    let whoami = server.call("hub.whoami", json!({})).await;
    assert_eq!(json!(row.owner_id), whoami["account"]["id"]);
    assert_eq!(json!(row.key_id), whoami["key"]["id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn case_h23_one_connection_holds_a_row_until_another_replaces_it() {
    let server = Server::start().await;
    let mut old = Peer::connect(&server).await;
    let offer = json!([spec("box.work", "mutation")]);
    let row = old.register("one", offer.clone()).await;
    let mut new = Peer::connect(&server).await;
    let mut input = json!({ "name": "one", "operations": offer });
    let refused = new.ask("hub.register", input.clone()).await.unwrap_err();
    assert_eq!(refused["code"], "CONFLICT");
    assert_eq!(refused["details"]["rule"], "already_connected");
    input["replace"] = json!(true);
    let registered = new.ask("hub.register", input).await.unwrap();
    assert_eq!(registered["spokeId"], row["spokeId"]);
    assert_eq!(old.close_code().await, 4001);
    // The end of the old socket changes nothing for the new one.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let view = server
        .call("spoke.get", json!({ "id": row["spokeId"] }))
        .await;
    assert_eq!(view["status"], "connected", "{view}");
    let call = tokio::spawn(server.post("box.work", &json!({})).send());
    let id = new.asked().await;
    new.respond(&id, json!(1)).await;
    assert_eq!(call.await.unwrap().unwrap().status(), 200);
}
