//! The recorded graph of calls that spokes make inside of calls.

use serde_json::json;

use super::peer::{Peer, spec};
use crate::support::Server;

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_a_spoke_makes_hang_below_the_call_it_runs_and_are_aborted_with_it() {
    let server = Server::start().await;
    let mut outer = Peer::connect(&server).await;
    outer
        .register("outer", json!([spec("box.work", "mutation")]))
        .await;
    let mut inner = Peer::connect(&server).await;
    inner
        .register("inner", json!([spec("bin.step", "mutation")]))
        .await;

    let call = server.post("box.work", &json!({})).send();
    let call = tokio::spawn(call);
    let asked = outer.next("call.requested").await;
    let root = asked["payload"]["requestId"].as_str().unwrap().to_owned();
    let child = uuid::Uuid::new_v4().to_string();
    outer
        .send(&json!({
            "type": "call.requested", "id": child,
            "payload": {
                "requestId": child, "operationId": "bin.step", "input": {},
                "parentRequestId": root,
            },
        }))
        .await;
    let step = inner.next("call.requested").await;
    let step = step["payload"]["requestId"].as_str().unwrap().to_owned();

    let tree = server.call("call.tree", json!({ "requestId": root })).await;
    let nodes = tree["nodes"].as_array().unwrap();
    assert_eq!(nodes.len(), 2, "{tree}");
    assert_eq!(nodes[1]["operation"], "bin.step");
    assert_eq!(nodes[1]["parentRequestId"], root.as_str());
    assert!(nodes[1]["provider"].as_str().unwrap().starts_with("spoke:"));
    assert_eq!(nodes[1]["status"], "running");

    // Both confirm; then the report is complete.
    let abort = server.post(
        "call.abort",
        &json!({ "requestId": root, "reason": "enough" }),
    );
    let abort = tokio::spawn(abort.send());
    for (peer, id) in [(&mut outer, &root), (&mut inner, &step)] {
        let told = peer.next("call.aborted").await;
        assert_eq!(told["payload"]["requestId"], id.as_str());
        peer.send(&json!({
            "type": "call.aborted", "id": id,
            "payload": { "requestId": id, "by": "provider" },
        }))
        .await;
    }
    let report: serde_json::Value = abort.await.unwrap().unwrap().json().await.unwrap();
    let report = &report["data"];
    assert_eq!(report["aborted"], json!([root, step]), "{report}");
    assert_eq!(report["complete"], true);
    assert_eq!(call.await.unwrap().unwrap().status(), 409);

    let later = server
        .call("call.abortReport", json!({ "requestId": root }))
        .await;
    assert_eq!(later["aborted"], report["aborted"]);
    let waterfall = server
        .call("call.waterfall", json!({ "requestId": root }))
        .await;
    assert_eq!(waterfall["rows"][1]["abort"], "aborted");
}
