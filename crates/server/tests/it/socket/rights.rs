//! What keys may do over sockets, and what becomes of their calls when they may no longer.

use serde_json::{Value, json};

use super::peer::{Peer, spec};
use crate::support::{Server, refused, until};

#[tokio::test(flavor = "multi_thread")]
async fn case_h5_revoking_a_key_aborts_its_running_calls_and_closes_its_sockets() {
    let server = Server::start().await;
    let mut spoke = Peer::connect(&server).await;
    spoke
        .register("one", json!([spec("box.work", "mutation")]))
        .await;
    let (id, key) = server.key_with(&["spoke:call"]).await;
    let over_http = tokio::spawn(server.post_as(&key, "box.work", &json!({})).send());
    let first = spoke.asked().await;
    let mut client = Peer::with_key(&server, &key).await;
    let second = client.request("box.work", json!({})).await;
    assert_eq!(spoke.asked().await, second);
    let others = tokio::spawn(server.post("box.work", &json!({})).send());
    let third = spoke.asked().await;

    server.call("key.revoke", json!({ "id": id })).await;
    let closing = client.next("hub.closing").await;
    assert_eq!(closing["payload"]["reason"], "key_revoked", "{closing}");
    assert_eq!(client.close_code().await, 1008);
    let body: Value = over_http.await.unwrap().unwrap().json().await.unwrap();
    assert_eq!(body["code"], "ABORTED", "{body}");
    assert_eq!(body["details"]["by"], "hub", "{body}");
    for id in [&first, &second] {
        let told = spoke
            .next_where(|frame| {
                frame["type"] == "call.aborted" && frame["payload"]["requestId"] == id.as_str()
            })
            .await;
        assert_eq!(told["payload"]["by"], "hub", "{told}");
        spoke.confirm(id).await;
        let server = &server;
        until("its end is recorded", async || {
            let row = server.call("call.get", json!({ "requestId": id })).await;
            row["status"] == "aborted" && row["metadata"]["abort"]["confirmed"] == true
        })
        .await;
    }
    // The calls of other keys of the account go on.
    spoke.settled().await;
    assert!(!spoke.has("call.aborted"));
    spoke.respond(&third, json!(1)).await;
    assert_eq!(others.await.unwrap().unwrap().status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn case_h14_a_call_inside_of_another_has_the_rights_of_its_caller_and_not_of_its_spoke() {
    let server = Server::start().await;
    let project = server.call("project.create", json!({ "name": "p" })).await;
    let mut spoke = Peer::connect(&server).await;
    spoke
        .register("one", json!([spec("box.work", "mutation")]))
        .await;
    let (id, key) = server.key_with(&["spoke:call", "task:read"]).await;
    let call = tokio::spawn(server.post_as(&key, "box.work", &json!({})).send());
    let outer = spoke.asked().await;
    let below = json!({ "parentRequestId": outer });

    let input = json!({ "projectId": project["id"], "name": "t" });
    let create = spoke
        .request_with("task.create", input.clone(), below.clone())
        .await;
    let error = spoke.end_of(&create).await.unwrap_err();
    assert_eq!(error["code"], "ACCESS_DENIED", "{error}");
    assert_eq!(error["details"]["missing"], json!(["task:write"]));
    let unrecorded = server.post("call.get", &json!({ "requestId": create }));
    assert_eq!(unrecorded.send().await.unwrap().status(), 404);
    // Of what the caller may not even see nothing is said.
    let hidden = spoke
        .request_with("hub.jobs.list", json!({}), below.clone())
        .await;
    let error = spoke.end_of(&hidden).await.unwrap_err();
    assert_eq!(error["code"], "OPERATION_NOT_FOUND", "{error}");
    let read = json!({ "projectId": project["id"] });
    let read = spoke.request_with("task.list", read, below.clone()).await;
    assert_eq!(spoke.end_of(&read).await.unwrap()["items"], json!([]));
    let whoami = spoke.request_with("hub.whoami", json!({}), below).await;
    let whoami = spoke.end_of(&whoami).await.unwrap();
    assert_eq!(whoami["key"]["id"], id.as_str(), "{whoami}");
    // On its own it has its own.
    spoke.ask("task.create", input).await.unwrap();
    spoke.respond(&outer, json!(1)).await;
    assert_eq!(call.await.unwrap().unwrap().status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn case_h24_the_spoke_of_another_tenant_is_never_chosen() {
    let server = Server::start().await;
    let scopes = ["spoke:call", "spoke:register"];
    let ann = server.tenant("ann", &scopes).await;
    let bob = server.tenant("bob", &scopes).await;
    let offer = json!([spec("box.work", "mutation")]);
    let mut of_bob = Peer::with_key(&server, &bob).await;
    let row = of_bob.register("bobs", offer.clone()).await;
    assert_eq!(row["accepted"], json!(["box.work"]), "{row}");

    // Nobody else knows that there is such an operation.
    let request = server.post_as(&ann, "box.work", &json!({}));
    let (status, body, _) = refused(request).await;
    assert_eq!(
        (status, &body["code"]),
        (404, &json!("OPERATION_NOT_FOUND"))
    );

    let mut of_ann = Peer::with_key(&server, &ann).await;
    let offered = of_ann.register("anns", offer).await;
    assert_eq!(offered["accepted"], json!(["box.work"]), "{offered}");
    for _ in 0..5 {
        // Each of these makes hers busier and leaves his idle.
        let _running = tokio::spawn(server.post_as(&ann, "box.work", &json!({})).send());
        of_ann.asked().await;
    }
    let named = server
        .post_as(&ann, "box.work", &json!({}))
        .header("x-alkhub-spoke", row["spokeId"].as_str().unwrap());
    let (_, body, _) = refused(named).await;
    assert_eq!(body["code"], "NO_PROVIDER", "{body}");
    of_ann.close().await;
    until("hers is gone", async || {
        let request = server
            .post_as(&ann, "box.work", &json!({}))
            .header("x-alkhub-timeout-ms", "200");
        let body: Value = request.send().await.unwrap().json().await.unwrap();
        body["code"] == "NO_PROVIDER"
    })
    .await;
    of_bob.settled().await;
    assert!(!of_bob.has("call.requested"));
    let his = tokio::spawn(server.post_as(&bob, "box.work", &json!({})).send());
    let id = of_bob.asked().await;
    of_bob.respond(&id, json!("his")).await;
    assert_eq!(his.await.unwrap().unwrap().status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn scopes_set_on_an_operation_are_asked_for_beside_its_own_and_outlive_its_spoke() {
    let server = Server::with(&[("spokes.resumeGrace", "10ms")]).await;
    let mut work = spec("box.work", "mutation");
    work["accessControl"]["requiredScopes"] = json!(["project:read"]);
    let offer = json!([work]);
    let mut spoke = Peer::connect(&server).await;
    spoke.register("one", offer.clone()).await;
    let (_, plain) = server.key_with(&["spoke:call", "project:read"]).await;
    let (_, more) = server
        .key_with(&["spoke:call", "project:read", "task:write"])
        .await;
    let (_, other) = server.key_with(&["spoke:call", "task:write"]).await;
    let answered = async |spoke: &mut Peer, key: &str| -> Value {
        let call = tokio::spawn(server.post_as(key, "box.work", &json!({})).send());
        let asked = spoke.next("call.requested").await;
        let id = asked["payload"]["requestId"].as_str().unwrap().to_owned();
        spoke.respond(&id, json!(1)).await;
        assert_eq!(call.await.unwrap().unwrap().status(), 200);
        asked["payload"]["identity"]["scopes"].clone()
    };
    answered(&mut spoke, &plain).await;

    let set = json!({ "name": "box.work", "requiredScopes": ["task:read"] });
    server.call("operation.update", set).await;
    for again in [false, true] {
        if again {
            spoke.close().await;
            spoke = Peer::connect(&server).await;
            until("its row is free", async || {
                let list = server.call("spoke.list", json!({})).await;
                list["items"][0]["status"] == "disconnected"
            })
            .await;
            spoke.register("one", offer.clone()).await;
        }
        for (key, missing) in [(&plain, "task:read"), (&other, "project:read")] {
            let request = server.post_as(key, "box.work", &json!({}));
            let (status, body, _) = refused(request).await;
            assert_eq!(status, 403, "{body}");
            assert_eq!(body["details"]["missing"], json!([missing]), "{body}");
        }
        // The spoke learns of the scopes it is asked with, and of no others.
        let mut told: Vec<String> =
            serde_json::from_value(answered(&mut spoke, &more).await).unwrap();
        told.sort();
        assert_eq!(told, ["project:read", "task:read"]);
    }

    let unknown = json!({ "name": "box.work", "requiredScopes": ["task:reed"] });
    let (status, body, _) = refused(server.post("operation.update", &unknown)).await;
    assert_eq!(status, 400);
    assert_eq!(body["details"]["issues"][0]["rule"], "scope", "{body}");
    let back = json!({ "name": "box.work", "requiredScopes": null });
    server.call("operation.update", back).await;
    answered(&mut spoke, &plain).await;
}
