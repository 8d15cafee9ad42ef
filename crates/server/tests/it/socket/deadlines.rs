//! Time that is over, and clocks that are wrong.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::peer::{Peer, responded, spec};
use crate::support::{Server, until};

/// A spoke that runs roots and branches, and one that runs leaves.
async fn spokes(server: &Server) -> (Peer, Peer) {
    let mut outer = Peer::connect(server).await;
    let offer = json!([spec("box.root", "mutation"), spec("box.branch", "mutation")]);
    outer.register("outer", offer).await;
    let mut inner = Peer::connect(server).await;
    inner
        .register("inner", json!([spec("bin.leaf", "mutation")]))
        .await;
    (outer, inner)
}

async fn row(server: &Server, id: &str) -> Value {
    server.call("call.get", json!({ "requestId": id })).await
}

async fn ended(server: &Server, id: &str) -> Value {
    until("it has ended", async || {
        let row = row(server, id).await;
        !["pending", "running"].contains(&row["status"].as_str().unwrap())
    })
    .await;
    row(server, id).await
}

/// The tree r → a → a1, a2 in which a has little time.
#[tokio::test(flavor = "multi_thread")]
async fn case_a19_a_deadline_fails_its_call_and_aborts_what_is_below() {
    let server = Server::start().await;
    let (mut outer, mut inner) = spokes(&server).await;
    let answer = tokio::spawn(server.post("box.root", &json!({})).send());
    let r = outer.asked().await;
    let short = json!({ "parentRequestId": r, "timeoutMs": 700 });
    let started = Instant::now();
    let a = outer.request_with("box.branch", json!({}), short).await;
    assert_eq!(outer.asked().await, a);
    let mut leaves = Vec::new();
    for _ in 0..2 {
        let below = json!({ "parentRequestId": a });
        let leaf = outer.request_with("bin.leaf", json!({}), below).await;
        assert_eq!(inner.asked().await, leaf);
        leaves.push(leaf);
    }
    // As who runs them the spokes are told to stop, parents first.
    for leaf in &leaves {
        inner.stops(leaf, "deadline").await;
    }
    outer.stops(&a, "deadline").await;
    assert!(started.elapsed() >= Duration::from_millis(650));
    // As who asked for them `outer` hears how they ended.
    let failed = |id: String| {
        move |frame: &Value| frame["type"] == "call.error" && frame["payload"]["requestId"] == id
    };
    let end = outer.next_where(failed(a.clone())).await;
    assert_eq!(end["payload"]["code"], "TIMEOUT", "{end}");
    for leaf in &leaves {
        let end = outer.next_where(failed(leaf.clone())).await;
        assert!(
            ["ABORTED", "TIMEOUT"].contains(&end["payload"]["code"].as_str().unwrap()),
            "{end}"
        );
    }
    let branch = ended(&server, &a).await;
    assert_eq!(branch["status"], "failed", "{branch}");
    assert_eq!(branch["error"]["code"], "TIMEOUT", "{branch}");
    for leaf in &leaves {
        let leaf = ended(&server, leaf).await;
        assert_eq!(leaf["status"], "aborted", "{leaf}");
        assert_eq!(leaf["error"]["code"], "ABORTED", "{leaf}");
        assert_eq!(leaf["metadata"]["abort"]["by"], "deadline", "{leaf}");
    }
    // The root has its own time.
    assert_eq!(row(&server, &r).await["status"], "running");
    outer.respond(&r, json!("done")).await;
    assert_eq!(answer.await.unwrap().unwrap().status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn case_a20_a_child_has_no_more_time_than_its_parent_has_left() {
    let server = Server::start().await;
    let (mut outer, mut inner) = spokes(&server).await;
    let mut client = Peer::connect(&server).await;
    let started = Instant::now();
    let time = json!({ "timeoutMs": 1_500 });
    let r = client.request_with("box.root", json!({}), time).await;
    assert_eq!(outer.asked().await, r);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let longer = json!({ "parentRequestId": r, "timeoutMs": 3_600_000 });
    let leaf = outer.request_with("bin.leaf", json!({}), longer).await;
    let asked = inner.next("call.requested").await;
    assert_eq!(asked["payload"]["requestId"], leaf.as_str());
    let left = asked["payload"]["timeoutMs"].as_u64().unwrap();
    assert!((1..=1_200).contains(&left), "{left}");
    inner.stops(&leaf, "deadline").await;
    assert!(started.elapsed() < Duration::from_secs(10));
    let leaf = ended(&server, &leaf).await;
    assert!(
        leaf["status"] == "aborted" || leaf["error"]["code"] == "TIMEOUT",
        "{leaf}"
    );
    let error = client.end_of(&r).await.unwrap_err();
    assert_eq!(error["code"], "TIMEOUT", "{error}");
}

/// A spoke that keeps the time itself may say that it is over a moment before the hub does, or at the
/// same moment. Whoever was first: nothing goes on below.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_below_ends_when_the_provider_is_the_first_to_notice_the_deadline() {
    let server = Server::start().await;
    let (mut outer, mut inner) = spokes(&server).await;
    let mut client = Peer::connect(&server).await;
    for early in 0..12_u64 {
        let started = Instant::now();
        let time = json!({ "timeoutMs": 150 });
        let r = client.request_with("box.root", json!({}), time).await;
        let asked = outer.next("call.requested").await;
        assert_eq!(asked["payload"]["requestId"], r.as_str());
        let left = asked["payload"]["timeoutMs"].as_u64().unwrap();
        let over = tokio::time::Instant::now() + Duration::from_millis(left - early.min(left));
        let below = json!({ "parentRequestId": r });
        let leaf = outer.request_with("bin.leaf", json!({}), below).await;
        assert_eq!(inner.asked().await, leaf);
        tokio::time::sleep_until(over).await;
        outer.fail(&r, "TIMEOUT").await;
        let error = client.end_of(&r).await.unwrap_err();
        assert_eq!(error["code"], "TIMEOUT", "{error}");
        inner.stops(&leaf, "deadline").await;
        assert!(started.elapsed() < Duration::from_secs(5));
        let root = ended(&server, &r).await;
        assert_eq!(root["status"], "failed", "{root}");
        assert_eq!(root["error"]["code"], "TIMEOUT", "{root}");
        let leaf = ended(&server, &leaf).await;
        assert!(
            leaf["metadata"]["abort"]["by"] == "deadline" || leaf["error"]["code"] == "TIMEOUT",
            "{leaf}"
        );
        // What the outer spoke was told of its own call, in the rounds in which it was late.
        outer.settled().await;
        outer.forget("call.aborted");
        // An answer in between, or neither would be asked again after five rounds.
        for (peer, operation) in [(&mut outer, "box.branch"), (&mut inner, "bin.leaf")] {
            let good = client.request(operation, json!({})).await;
            assert_eq!(peer.asked().await, good);
            peer.respond(&good, json!(1)).await;
            client.end_of(&good).await.unwrap();
        }
    }
}

/// A year ahead, a year behind, and in 1970.
#[tokio::test(flavor = "multi_thread")]
async fn a_spoke_whose_clock_is_wrong_changes_no_time_of_the_hub() {
    let server = Server::start().await;
    let mut spoke = Peer::connect(&server).await;
    spoke
        .register("dreamer", json!([spec("box.work", "mutation")]))
        .await;
    let year = 365 * 24 * 3_600_000;
    let now = alkhub_operations::envelope::now_ms();
    for claimed in [now + year, now - year, 0] {
        let call = tokio::spawn(server.post("box.work", &json!({})).send());
        let id = spoke.asked().await;
        let mut frame = responded(&id, json!(1));
        frame["payload"]["output"]["meta"]["timestamp"] = json!(claimed);
        spoke.send(&frame).await;
        let body: Value = call.await.unwrap().unwrap().json().await.unwrap();
        let told = body["meta"]["timestamp"].as_i64().unwrap();
        assert!((told - now).abs() < 60_000, "{body}");
        let row = row(&server, &id).await;
        for member in ["createdAt", "startedAt", "completedAt"] {
            let time = row[member].as_str().unwrap_or_else(|| panic!("{row}"));
            let time = chrono::DateTime::parse_from_rfc3339(time).unwrap();
            assert!((time.timestamp_millis() - now).abs() < 60_000, "{row}");
        }
    }
}
