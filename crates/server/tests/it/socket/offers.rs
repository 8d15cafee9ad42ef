//! What spokes offer, which of them is chosen, and how they are managed.

use serde_json::{Value, json};

use super::peer::{Peer, spec};
use crate::support::{Server, until};

fn rules_of(answer: &Value) -> Vec<String> {
    let refused = answer["refused"].as_array().unwrap().iter();
    refused
        .map(|one| {
            one["rule"]
                .as_str()
                .or(one["code"].as_str())
                .unwrap()
                .to_owned()
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn case_h21_bad_offers_are_refused_beside_a_good_one() {
    let server = Server::start().await;
    let mut spoke = Peer::connect(&server).await;
    let reserved = spec("hub.mine", "query");
    let mut remote = spec("box.remote", "query");
    remote["inputSchema"] = json!({ "$ref": "https://example.com/schema.json" });
    let mut large = spec("box.large", "query");
    large["inputSchema"] = json!({ "type": "object", "description": "x".repeat(300 * 1024) });
    let offer = json!([reserved, remote, large, spec("box.good", "query")]);
    let answer = spoke.register("mixed", offer).await;
    assert_eq!(answer["accepted"], json!(["box.good"]));
    let refused = answer["refused"].as_array().unwrap();
    let reasons = [
        ("hub.mine", "FORBIDDEN", "the hub's own"),
        ("box.remote", "VALIDATION_ERROR", "leaves the schema"),
        ("box.large", "VALIDATION_ERROR", "the limit is 262144"),
    ];
    assert_eq!(refused.len(), reasons.len(), "{answer}");
    for (one, (name, code, message)) in refused.iter().zip(reasons) {
        assert_eq!(one["name"], name, "{one}");
        assert_eq!(one["code"], code, "{one}");
        assert!(one["message"].as_str().unwrap().contains(message), "{one}");
    }
    // The good one is there for callers, the others are not.
    let call = tokio::spawn(server.post("box.good", &json!({})).send());
    let id = spoke.asked().await;
    spoke.respond(&id, json!(1)).await;
    assert_eq!(call.await.unwrap().unwrap().status(), 200);
    for name in ["hub.mine", "box.remote", "box.large"] {
        let unknown = server.post(name, &json!({})).send().await.unwrap();
        assert_eq!(unknown.status(), 404, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spec_that_differs_from_that_of_another_spoke_is_refused() {
    let server = Server::start().await;
    let mut first = Peer::connect(&server).await;
    first
        .register("first", json!([spec("box.work", "query")]))
        .await;
    let mut second = Peer::connect(&server).await;
    let mut other = spec("box.work", "query");
    other["inputSchema"] = json!({ "type": "object", "required": ["n"] });
    let answer = second.register("second", json!([other])).await;
    assert_eq!(answer["accepted"], json!([]), "{answer}");
    assert_eq!(rules_of(&answer), ["spec_mismatch"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_adds_and_removes_operations() {
    let server = Server::start().await;
    let mut spoke = Peer::connect(&server).await;
    spoke
        .register("one", json!([spec("box.old", "query")]))
        .await;
    let change = json!({ "add": [spec("box.new", "query")], "remove": ["box.old"] });
    spoke.ask("hub.update", change).await.unwrap();
    let call = tokio::spawn(server.post("box.new", &json!({})).send());
    let id = spoke.asked().await;
    spoke.respond(&id, json!(1)).await;
    assert_eq!(call.await.unwrap().unwrap().status(), 200);
    let gone = server.post("box.old", &json!({})).send().await.unwrap();
    let body: Value = gone.json().await.unwrap();
    assert!(
        ["NO_PROVIDER", "OPERATION_NOT_FOUND"].contains(&body["code"].as_str().unwrap()),
        "{body}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_goes_to_the_spoke_it_names_and_else_to_the_least_busy() {
    let server = Server::start().await;
    let (mut east, mut west) = (Peer::connect(&server).await, Peer::connect(&server).await);
    let mut rows = Vec::new();
    for (peer, name) in [(&mut east, "east"), (&mut west, "west")] {
        let input = json!({
            "name": name, "operations": [spec("box.work", "mutation")], "labels": { "side": name },
        });
        let row = peer.ask("hub.register", input).await.unwrap();
        rows.push(row["spokeId"].as_str().unwrap().to_owned());
    }
    let mut client = Peer::connect(&server).await;
    for (side, peer) in [("west", &mut west), ("east", &mut east)] {
        let target = json!({ "metadata": { "target": { "labels": { "side": side } } } });
        let id = client.request_with("box.work", json!({}), target).await;
        assert_eq!(peer.asked().await, id);
        peer.respond(&id, json!(side)).await;
        assert_eq!(client.end_of(&id).await.unwrap(), side);
    }
    let named = server.post("box.work", &json!({}));
    let named = tokio::spawn(named.header("x-alkhub-spoke", &rows[1]).send());
    let busy = west.asked().await;
    // The other one has nothing to do.
    let free = client.request("box.work", json!({})).await;
    assert_eq!(east.asked().await, free);
    west.respond(&busy, json!(1)).await;
    east.respond(&free, json!(1)).await;
    assert_eq!(named.await.unwrap().unwrap().status(), 200);
    let target = json!({ "metadata": { "target": { "labels": { "side": "north" } } } });
    let nobody = client.request_with("box.work", json!({}), target).await;
    let error = client.end_of(&nobody).await.unwrap_err();
    assert_eq!(error["code"], "NO_PROVIDER");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spoke_that_drains_gets_no_new_calls() {
    let server = Server::start().await;
    let mut spoke = Peer::connect(&server).await;
    let row = spoke
        .register("one", json!([spec("box.work", "mutation")]))
        .await;
    let id = row["spokeId"].clone();
    let drain = json!({ "id": id, "drain": true });
    server.call("spoke.update", drain).await;
    let refused = server.post("box.work", &json!({})).send().await.unwrap();
    let body: Value = refused.json().await.unwrap();
    assert_eq!(body["code"], "NO_PROVIDER", "{body}");
    server
        .call("spoke.update", json!({ "id": id, "drain": false }))
        .await;
    let call = tokio::spawn(server.post("box.work", &json!({})).send());
    let asked = spoke.asked().await;
    spoke.respond(&asked, json!(1)).await;
    assert_eq!(call.await.unwrap().unwrap().status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spoke_is_watched_put_out_for_a_time_and_deleted() {
    let server = Server::with(&[("spokes.resumeGrace", "50ms")]).await;
    let mut watcher = Peer::connect(&server).await;
    let watch = watcher.request("spoke.watch", json!({})).await;
    watcher.settled().await;
    let mut spoke = Peer::connect(&server).await;
    let row = spoke
        .register("one", json!([spec("box.work", "mutation")]))
        .await;
    let change = watcher.end_of(&watch).await.unwrap();
    assert_eq!(change["spokeId"], row["spokeId"]);
    assert_eq!(change["change"], "connected");
    let id = row["spokeId"].clone();
    let input = json!({ "id": id, "reason": "maintenance", "banSeconds": 60 });
    let closed = server.call("spoke.disconnect", input).await;
    assert_eq!(closed["closed"], true);
    spoke.next("hub.closing").await;
    spoke.close_code().await;
    let mut again = Peer::connect(&server).await;
    let input = json!({ "name": "one", "operations": [] });
    let refused = again.ask("hub.register", input).await.unwrap_err();
    assert_eq!(refused["code"], "FORBIDDEN", "{refused}");
    until("it is disconnected", async || {
        let view = server.call("spoke.get", json!({ "id": id })).await;
        view["status"] == "disconnected"
    })
    .await;
    server.call("spoke.delete", json!({ "id": id })).await;
    let list = server.call("spoke.list", json!({})).await;
    assert_eq!(list["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_admits_one_machine_and_others_get_401() {
    let server = Server::start().await;
    let invited = server.call("spoke.invite", json!({})).await;
    let enroll = |token: Value| {
        let input = json!({ "token": token, "name": "machine" });
        server.bare_post("spoke.enroll").json(&input).send()
    };
    let first = enroll(invited["token"].clone()).await.unwrap();
    assert_eq!(first.status(), 200);
    let body: Value = first.json().await.unwrap();
    let key = body["data"]["key"].as_str().unwrap();
    let mut spoke = Peer::with_key(&server, key).await;
    spoke
        .register("machine", json!([spec("box.work", "mutation")]))
        .await;
    let again = enroll(invited["token"].clone()).await.unwrap();
    assert_eq!(again.status(), 401);
    assert_eq!(enroll(json!("unknown")).await.unwrap().status(), 401);
    let short = server
        .call("spoke.invite", json!({ "ttlSeconds": 1 }))
        .await;
    tokio::time::sleep(std::time::Duration::from_millis(1_200)).await;
    let expired = enroll(short["token"].clone()).await.unwrap();
    assert_eq!(expired.status(), 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_is_disabled_and_enabled_and_shows_its_providers() {
    let server = Server::start().await;
    let mut spoke = Peer::connect(&server).await;
    spoke
        .register("one", json!([spec("box.work", "mutation")]))
        .await;
    let providers = server
        .call("operation.providers", json!({ "name": "box.work" }))
        .await;
    assert_eq!(providers[0]["providerType"], "spoke", "{providers}");
    assert_eq!(providers[0]["live"], true);
    let off = json!({ "name": "box.work", "enabled": false });
    server.call("operation.update", off).await;
    let refused = server.post("box.work", &json!({})).send().await.unwrap();
    let body: Value = refused.json().await.unwrap();
    assert_eq!(body["code"], "FORBIDDEN", "{body}");
    let on = json!({ "name": "box.work", "enabled": null, "timeoutMs": 100 });
    server.call("operation.update", on).await;
    let slow = server.post("box.work", &json!({})).send().await.unwrap();
    let body: Value = slow.json().await.unwrap();
    assert_eq!(body["code"], "TIMEOUT", "{body}");
    for (operation, input) in [
        ("operation.graph", json!({})),
        (
            "operation.explain",
            json!({ "from": "box.work", "to": "box.work" }),
        ),
        (
            "operation.paths",
            json!({ "from": "box.work", "to": "box.work" }),
        ),
    ] {
        server.call(operation, input).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn case_p7_p8_p10_an_operation_is_removed_once_nothing_holds_it() {
    let server = Server::with(&[("spokes.resumeGrace", "10ms")]).await;
    let mut spoke = Peer::connect(&server).await;
    spoke
        .register("one", json!([spec("box.work", "mutation")]))
        .await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let call = tokio::spawn(server.post("box.work", &json!({})).send());
        let id = spoke.asked().await;
        spoke.respond(&id, json!(1)).await;
        assert_eq!(call.await.unwrap().unwrap().status(), 200);
        ids.push(id);
    }
    let running = tokio::spawn(server.post("box.work", &json!({})).send());
    let last = spoke.asked().await;
    let remove = async |calls: &str| -> Value {
        let input = json!({ "name": "box.work", "calls": calls, "force": true });
        let answer = server.post("operation.remove", &input).send().await;
        answer.unwrap().json().await.unwrap()
    };
    for calls in ["refuse", "reassign", "delete"] {
        let body = remove(calls).await;
        assert_eq!(body["details"]["rule"], "running_calls", "{body}");
    }
    spoke.respond(&last, json!(1)).await;
    assert_eq!(running.await.unwrap().unwrap().status(), 200);
    spoke.close().await;
    let body = remove("refuse").await;
    assert_eq!(body["details"]["rule"], "has_calls", "{body}");
    let body = remove("reassign").await;
    assert_eq!(body["data"]["calls"], 4, "{body}");
    let row = server
        .call("call.get", json!({ "requestId": ids[0] }))
        .await;
    assert_eq!(
        row["metadata"]["removedOperation"]["namespace"], "box",
        "{row}"
    );
    assert_eq!(row["metadata"]["removedOperation"]["name"], "work", "{row}");
    for name in ["system.removed", "hub.whoami"] {
        let input = json!({ "name": name });
        let answer = server.post("operation.remove", &input).send().await;
        let body: Value = answer.unwrap().json().await.unwrap();
        assert_eq!(body["code"], "FORBIDDEN", "{body}");
    }
}
