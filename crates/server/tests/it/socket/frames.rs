//! Frames and answers that break the rules.

use std::time::Duration;

use serde_json::{Value, json};

use super::peer::{Peer, responded, spec};
use crate::support::Server;

#[tokio::test(flavor = "multi_thread")]
async fn case_140_broken_frames_are_told_and_the_tenth_in_a_minute_closes_1002() {
    let server = Server::start().await;
    let mut peer = Peer::connect(&server).await;
    let deep = format!(
        r#"{{"type":"call.requested","payload":{}{}}}"#,
        "[".repeat(200),
        "]".repeat(200)
    );
    let texts = [
        "{not json".to_owned(),
        "[1,2]".to_owned(),
        r#"{"type":"hub.heartbeat","type":"hub.heartbeat","payload":{}}"#.to_owned(),
        deep,
    ];
    for text in texts {
        peer.send_text(text).await;
        let told = peer.next("hub.error").await;
        assert_eq!(told["payload"]["code"], "VALIDATION_ERROR", "{told}");
    }
    peer.send_binary(vec![1, 2, 3]).await;
    peer.next("hub.error").await;
    for _ in 0..4 {
        peer.send_text("nonsense".to_owned()).await;
        peer.next("hub.error").await;
    }
    peer.send_text("nonsense".to_owned()).await;
    assert_eq!(peer.close_code().await, 1002);
}

#[tokio::test(flavor = "multi_thread")]
async fn case_141_a_frame_over_the_limit_closes_1009() {
    let server = Server::with(&[("ws.maxFrameBytes", "64KiB")]).await;
    let mut peer = Peer::connect(&server).await;
    let text = "x".repeat(100 * 1024);
    peer.send_text(json!({ "type": "hub.heartbeat", "payload": { "text": text } }).to_string())
        .await;
    assert_eq!(peer.close_code().await, 1009);
}

#[tokio::test(flavor = "multi_thread")]
async fn case_142_an_unknown_event_is_told_once_and_an_unknown_member_is_ignored() {
    let server = Server::start().await;
    let mut peer = Peer::connect(&server).await;
    for _ in 0..20 {
        peer.send(&json!({ "type": "call.invented", "payload": { "requestId": "a" } }))
            .await;
    }
    peer.settled().await;
    peer.next("hub.error").await;
    assert!(!peer.has("hub.error"));
    let id = peer
        .request_with("hub.whoami", json!({}), json!({ "colour": "green" }))
        .await;
    peer.end_of(&id).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn case_143_a_bad_request_with_a_readable_id_is_answered_under_it() {
    let server = Server::start().await;
    let mut peer = Peer::connect(&server).await;
    let id = uuid::Uuid::new_v4().to_string();
    peer.send(&json!({
        "type": "call.requested", "id": id,
        "payload": { "requestId": id, "operationId": 7, "input": {} },
    }))
    .await;
    let error = peer.end_of(&id).await.unwrap_err();
    assert_eq!(error["code"], "VALIDATION_ERROR");
}

#[tokio::test(flavor = "multi_thread")]
async fn case_137_an_id_that_differs_and_a_wrong_direction_are_violations() {
    let server = Server::start().await;
    let mut peer = Peer::connect(&server).await;
    peer.send(&json!({
        "type": "call.requested", "id": "one",
        "payload": { "requestId": "two", "operationId": "hub.whoami", "input": {} },
    }))
    .await;
    peer.next_where(|frame| frame["type"] == "hub.error" || frame["type"] == "call.error")
        .await;
    peer.send(&peer.hello.clone()).await;
    peer.next("hub.error").await;
    peer.ask("hub.whoami", json!({})).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn case_115_116_late_answers_are_dropped_and_a_thousand_close_1008() {
    let server = Server::start().await;
    let mut spoke = Peer::connect(&server).await;
    spoke
        .register("late", json!([spec("box.echo", "mutation")]))
        .await;
    let call = tokio::spawn(server.post("box.echo", &json!({})).send());
    let id = spoke.asked().await;
    spoke.respond(&id, json!(1)).await;
    for _ in 0..998 {
        spoke.respond(&id, json!(2)).await;
    }
    let body: Value = call.await.unwrap().unwrap().json().await.unwrap();
    assert_eq!(body["data"], 1);
    spoke.settled().await;
    for _ in 0..2 {
        spoke.send(&responded("nobody-knows-it", json!(3))).await;
    }
    assert_eq!(spoke.close_code().await, 1008);
}

#[tokio::test(flavor = "multi_thread")]
async fn case_128_129_a_request_id_again_runs_nothing_twice() {
    let server = Server::start().await;
    let mut spoke = Peer::connect(&server).await;
    spoke
        .register("once", json!([spec("box.echo", "mutation")]))
        .await;
    let (mut one, mut two) = (Peer::connect(&server).await, Peer::connect(&server).await);
    let id = one.request("box.echo", json!({ "n": 1 })).await;
    let asked = spoke.asked().await;
    let again = json!({ "requestId": id });
    two.request_with("box.echo", json!({ "n": 1 }), again.clone())
        .await;
    two.settled().await;
    spoke.respond(&asked, json!("once")).await;
    assert_eq!(one.end_of(&id).await.unwrap(), "once");
    assert_eq!(two.end_of(&id).await.unwrap(), "once");
    // When it is over it is answered from its record.
    two.request_with("box.echo", json!({ "n": 1 }), again.clone())
        .await;
    assert_eq!(two.end_of(&id).await.unwrap(), "once");
    two.request_with("box.echo", json!({ "n": 2 }), again.clone())
        .await;
    let error = two.end_of(&id).await.unwrap_err();
    assert_eq!(error["code"], "UNPROCESSABLE");
    assert_eq!(error["details"]["rule"], "request_id");
    spoke.settled().await;
    assert!(!spoke.has("call.requested"));
}

#[tokio::test(flavor = "multi_thread")]
async fn input_that_breaks_its_schema_never_reaches_the_spoke_and_output_fails_the_call() {
    let server = Server::start().await;
    let mut spoke = Peer::connect(&server).await;
    let mut strict = spec("box.count", "mutation");
    strict["inputSchema"] = json!({ "type": "object", "required": ["n"] });
    strict["outputSchema"] = json!({ "type": "integer" });
    spoke.register("strict", json!([strict])).await;
    let refused = server.post("box.count", &json!({})).send().await.unwrap();
    assert_eq!(refused.status(), 400);
    spoke.settled().await;
    assert!(!spoke.has("call.requested"));

    let call = tokio::spawn(server.post("box.count", &json!({ "n": 1 })).send());
    let id = spoke.asked().await;
    spoke.respond(&id, json!("three")).await;
    let body: Value = call.await.unwrap().unwrap().json().await.unwrap();
    assert_eq!(body["code"], "OUTPUT_INVALID");
    let row = server.call("call.get", json!({ "requestId": id })).await;
    assert_eq!(row["status"], "failed");
    assert_eq!(row["error"]["code"], "OUTPUT_INVALID");
}

#[tokio::test(flavor = "multi_thread")]
async fn case_119_an_output_that_is_no_envelope_fails_the_call() {
    let server = Server::start().await;
    let mut spoke = Peer::connect(&server).await;
    spoke
        .register("bare", json!([spec("box.echo", "mutation")]))
        .await;
    for output in [json!({ "result": 1 }), Value::Null, json!("text")] {
        let call = tokio::spawn(server.post("box.echo", &json!({})).send());
        let id = spoke.asked().await;
        spoke
            .send(&json!({
                "type": "call.responded", "id": id,
                "payload": { "requestId": id, "output": output },
            }))
            .await;
        let body: Value = call.await.unwrap().unwrap().json().await.unwrap();
        assert_eq!(body["code"], "OUTPUT_INVALID", "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn case_160_a_stream_ends_with_the_item_that_breaks_its_schema() {
    let server = Server::start().await;
    let mut spoke = Peer::connect(&server).await;
    let mut ticks = spec("box.ticks", "subscription");
    ticks["outputSchema"] = json!({ "type": "integer" });
    spoke.register("ticks", json!([ticks])).await;
    let mut client = Peer::connect(&server).await;
    let id = client
        .request_with("box.ticks", json!({}), json!({ "credit": 10 }))
        .await;
    let asked = spoke.asked().await;
    for item in [json!(1), json!(2), json!("three")] {
        spoke.respond(&asked, item).await;
    }
    assert_eq!(client.end_of(&id).await.unwrap(), 1);
    assert_eq!(client.end_of(&id).await.unwrap(), 2);
    let error = client.end_of(&id).await.unwrap_err();
    assert_eq!(error["code"], "OUTPUT_INVALID", "{error}");
    let told = spoke.next("call.aborted").await;
    assert_eq!(told["payload"]["requestId"], asked.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn case_163_a_stream_goes_on_behind_an_item_when_its_operation_can() {
    let server = Server::start().await;
    let mut spoke = Peer::connect(&server).await;
    let mut kept = spec("box.kept", "subscription");
    kept["_meta"] = json!({ "resumable": true });
    spoke
        .register("streams", json!([kept, spec("box.ticks", "subscription")]))
        .await;
    let mut client = Peer::connect(&server).await;
    let behind = json!({ "resumeAfter": 5 });
    let id = client
        .request_with("box.ticks", json!({}), behind.clone())
        .await;
    let error = client.end_of(&id).await.unwrap_err();
    assert_eq!(error["code"], "UNPROCESSABLE", "{error}");
    assert_eq!(error["details"]["rule"], "not_resumable", "{error}");
    let row = server.post("call.get", &json!({ "requestId": id })).send();
    assert_eq!(row.await.unwrap().status(), 404);
    let response = server
        .post("box.ticks", &json!({}))
        .header("accept", "text/event-stream")
        .header("last-event-id", "5")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 422);
    spoke.settled().await;
    assert!(!spoke.has("call.requested"));

    let id = client.request_with("box.kept", json!({}), behind).await;
    let asked = spoke.next("call.requested").await;
    assert_eq!(asked["payload"]["resumeAfter"], 5, "{asked}");
    let mut item = responded(&id, json!("sixth"));
    item["payload"]["seq"] = json!(6);
    spoke.send(&item).await;
    let item = client.next("call.responded").await;
    assert_eq!(item["payload"]["seq"], 6, "{item}");
    assert_eq!(item["payload"]["output"]["data"], "sixth");
}

#[tokio::test(flavor = "multi_thread")]
async fn case_112_114_a_spoke_that_never_answers_is_told_that_the_time_is_over() {
    let server = Server::start().await;
    let mut spoke = Peer::connect(&server).await;
    spoke
        .register("silent", json!([spec("box.work", "mutation")]))
        .await;
    let mut client = Peer::connect(&server).await;
    let later = alkhub_operations::envelope::now_ms() + 3_600_000;
    let started = std::time::Instant::now();
    let time = json!({ "timeoutMs": 100, "deadline": later });
    let id = client.request_with("box.work", json!({}), time).await;
    let asked = spoke.asked().await;
    let error = client.end_of(&id).await.unwrap_err();
    assert_eq!(error["code"], "TIMEOUT");
    assert!(started.elapsed() < Duration::from_secs(5));
    spoke.stops(&asked, "deadline").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn case_113_a_deadline_in_the_past_is_never_sent() {
    let server = Server::start().await;
    let mut spoke = Peer::connect(&server).await;
    spoke
        .register("idle", json!([spec("box.work", "mutation")]))
        .await;
    let mut client = Peer::connect(&server).await;
    let past = alkhub_operations::envelope::now_ms() - 60_000;
    let id = client
        .request_with("box.work", json!({}), json!({ "deadline": past }))
        .await;
    let error = client.end_of(&id).await.unwrap_err();
    assert_eq!(error["code"], "TIMEOUT", "{error}");
    spoke.settled().await;
    assert!(!spoke.has("call.requested"));
}
