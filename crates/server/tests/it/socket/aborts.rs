//! Aborts over trees of calls on several spokes.
//!
//! The tree of most cases: r, run by `outer`, calls a, run by `outer` as well, and b, run by `inner`; a calls
//! a1 and a2, run by `inner`.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::peer::{Peer, spec};
use crate::support::{Server, until};

type Answer = JoinHandle<Result<reqwest::Response, reqwest::Error>>;

/// The tree of this module, all of it running.
struct Tree {
    server: Server,
    outer: Peer,
    inner: Peer,
    answer: Answer,
    r: String,
    a: String,
    a1: String,
    a2: String,
    b: String,
}

impl Tree {
    async fn grown(settings: &[(&str, &str)]) -> Self {
        let server = Server::with(settings).await;
        let mut outer = Peer::connect(&server).await;
        let offer = json!([spec("box.root", "mutation"), spec("box.branch", "mutation")]);
        outer.register("outer", offer).await;
        let mut inner = Peer::connect(&server).await;
        let offer = json!([spec("bin.leaf", "mutation")]);
        inner.register("inner", offer).await;
        let answer = tokio::spawn(server.post("box.root", &json!({})).send());
        let r = outer.asked().await;
        let a = child(&mut outer, &r, "box.branch").await;
        assert_eq!(outer.asked().await, a);
        let mut leaves = Vec::new();
        for parent in [&a, &a, &r] {
            let leaf = child(&mut outer, parent, "bin.leaf").await;
            assert_eq!(inner.asked().await, leaf);
            leaves.push(leaf);
        }
        let b = leaves.pop().unwrap();
        let a2 = leaves.pop().unwrap();
        let a1 = leaves.pop().unwrap();
        Tree {
            server,
            outer,
            inner,
            answer,
            r,
            a,
            a1,
            a2,
            b,
        }
    }

    fn abort(&self, id: &str) -> Answer {
        tokio::spawn(
            self.server
                .post("call.abort", &json!({ "requestId": id }))
                .send(),
        )
    }

    fn abort_but_what_runs(&self, id: &str) -> Answer {
        abort_but_what_runs(&self.server, id)
    }

    async fn row(&self, id: &str) -> Value {
        self.server
            .call("call.get", json!({ "requestId": id }))
            .await
    }
}

/// Running calls below it are to go on.
fn abort_but_what_runs(server: &Server, id: &str) -> Answer {
    let input = json!({ "requestId": id, "policy": "continue-running" });
    tokio::spawn(server.post("call.abort", &input).send())
}

/// A spoke calls from inside a call it runs.
async fn child(peer: &mut Peer, parent: &str, operation: &str) -> String {
    let below = json!({ "parentRequestId": parent });
    peer.request_with(operation, json!({}), below).await
}

async fn data(answer: Answer) -> Value {
    let mut body: Value = answer.await.unwrap().unwrap().json().await.unwrap();
    if body["data"].is_null() {
        body
    } else {
        body["data"].take()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn case_a1_an_abort_of_the_root_tells_everybody_parents_first() {
    let mut tree = Tree::grown(&[]).await;
    let abort = tree.abort(&tree.r);
    // On each connection parents come before children, and siblings in the order of their requests.
    let (r, a) = (tree.r.clone(), tree.a.clone());
    let told = tree
        .outer
        .next_where(|frame| frame["type"] == "call.aborted" && told_to_run(frame, &[&r, &a]))
        .await;
    assert_eq!(told["payload"]["requestId"], r.as_str());
    tree.outer.confirm(&r).await;
    tree.outer
        .next_where(|frame| frame["type"] == "call.aborted" && told_to_run(frame, &[&a]))
        .await;
    tree.outer.confirm(&a).await;
    for id in [&tree.a1, &tree.a2, &tree.b] {
        tree.inner.stops(id, "parent").await;
    }
    let report = data(abort).await;
    assert_eq!(report["complete"], true, "{report}");
    assert_eq!(
        report["aborted"],
        json!([tree.r, tree.a, tree.a1, tree.a2, tree.b])
    );
    assert_eq!(data(tree.answer).await["code"], "ABORTED");
}

fn told_to_run(frame: &Value, ids: &[&String]) -> bool {
    ids.iter()
        .any(|id| frame["payload"]["requestId"] == id.as_str())
}

#[tokio::test(flavor = "multi_thread")]
async fn case_a2_a3_an_abort_of_a_branch_leaves_the_rest_and_what_is_over() {
    let mut tree = Tree::grown(&[("calls.abortWait", "2s")]).await;
    tree.inner.respond(&tree.a1, json!(1)).await;
    let a1 = tree.a1.clone();
    tree.outer.end_of(&a1).await.unwrap();
    let abort = tree.abort(&tree.a);
    tree.inner.stops(&tree.a2, "parent").await;
    tree.outer.confirm(&tree.a.clone()).await;
    let report = data(abort).await;
    assert_eq!(report["aborted"], json!([tree.a, tree.a2]), "{report}");
    assert_eq!(report["alreadyFinished"], json!([tree.a1]));
    for id in [&tree.r, &tree.b] {
        assert_eq!(tree.row(id).await["status"], "running");
    }
    assert_eq!(tree.row(&tree.a2).await["status"], "aborted");
}

/// Running calls below an aborted one survive when the abort asks for it, and may go on calling.
#[tokio::test(flavor = "multi_thread")]
async fn case_a5_a7_a8_running_calls_survive_and_go_on_calling() {
    let mut tree = Tree::grown(&[]).await;
    let abort = tree.abort_but_what_runs(&tree.r);
    let (r, a) = (tree.r.clone(), tree.a.clone());
    tree.outer.stops(&r, "caller").await;
    let report = data(abort).await;
    assert_eq!(report["aborted"], json!([tree.r]), "{report}");
    // What is below a survivor is not even looked at.
    assert_eq!(report["survived"], json!([tree.a, tree.b]), "{report}");
    assert_eq!(report["complete"], true, "{report}");
    for id in [&tree.a, &tree.b] {
        let tree = &tree;
        until("it is noted that it goes on alone", async || {
            let row = tree.row(id).await;
            assert_eq!(row["status"], "running", "{row}");
            row["metadata"]["detachedFrom"] == tree.r.as_str()
        })
        .await;
    }
    for id in [&tree.a1, &tree.a2] {
        assert_eq!(tree.row(id).await["status"], "running");
    }
    let later = tree
        .server
        .call("call.abortReport", json!({ "requestId": tree.r }))
        .await;
    assert_eq!(later["survived"], report["survived"], "{later}");

    let next = child(&mut tree.outer, &a, "bin.leaf").await;
    assert_eq!(tree.inner.asked().await, next);
    tree.inner.respond(&next, json!("done")).await;
    assert_eq!(tree.outer.end_of(&next).await.unwrap(), "done");
    let row = tree.row(&next).await;
    assert_eq!(row["status"], "completed", "{row}");
    assert_eq!(row["parentRequestId"], a.as_str(), "{row}");
    let none = child(&mut tree.outer, &r, "bin.leaf").await;
    let refused = tree.outer.end_of(&none).await.unwrap_err();
    assert_eq!(refused["code"], "ABORTED", "{refused}");
    // Nobody but the root was told to stop.
    tree.inner.settled().await;
    assert!(!tree.inner.has("call.aborted"));
    tree.outer.settled().await;
    assert!(!tree.outer.has("call.aborted"));
}

#[tokio::test(flavor = "multi_thread")]
async fn case_a6_what_has_not_started_is_aborted_although_running_calls_survive() {
    let server = Server::start().await;
    let mut outer = Peer::connect(&server).await;
    outer
        .register("outer", json!([spec("box.root", "mutation")]))
        .await;
    let mut inner = Peer::connect(&server).await;
    let input = json!({
        "name": "small", "operations": [spec("bin.leaf", "mutation")], "limits": { "maxInFlight": 1 },
    });
    inner.ask("hub.register", input).await.unwrap();
    let answer = tokio::spawn(server.post("box.root", &json!({})).send());
    let r = outer.asked().await;
    let runs = child(&mut outer, &r, "bin.leaf").await;
    assert_eq!(inner.asked().await, runs);
    let waits = child(&mut outer, &r, "bin.leaf").await;
    until("it waits", async || {
        let row = server.post("call.get", &json!({ "requestId": waits }));
        let body: Value = row.send().await.unwrap().json().await.unwrap();
        body["data"]["status"] == "pending"
    })
    .await;
    let abort = abort_but_what_runs(&server, &r);
    outer.stops(&r, "caller").await;
    let report = data(abort).await;
    assert_eq!(report["survived"], json!([runs]), "{report}");
    assert_eq!(report["aborted"], json!([r, waits]), "{report}");
    assert_eq!(data(answer).await["code"], "ABORTED");
    let refused = outer.end_of(&waits).await.unwrap_err();
    assert_eq!(refused["code"], "ABORTED", "{refused}");
    inner.respond(&runs, json!(1)).await;
    outer.end_of(&runs).await.unwrap();
    // The place is free, and nobody is sent to it.
    inner.settled().await;
    assert!(!inner.has("call.requested"));
    assert!(!inner.has("call.aborted"));
}

#[tokio::test(flavor = "multi_thread")]
async fn case_a9_a_child_of_an_aborted_call_is_refused_without_a_row() {
    let mut tree = Tree::grown(&[("calls.abortWait", "50ms")]).await;
    data(tree.abort(&tree.r)).await;
    // All of it is recorded by now; still the spoke may not know yet.
    for parent in [tree.r.clone(), tree.a.clone()] {
        let late = child(&mut tree.outer, &parent, "bin.leaf").await;
        let error = tree.outer.end_of(&late).await.unwrap_err();
        assert_eq!(error["code"], "ABORTED", "{error}");
        let row = tree
            .server
            .post("call.get", &json!({ "requestId": late }))
            .send();
        assert_eq!(row.await.unwrap().status(), 404);
    }
    tree.inner.settled().await;
    assert!(!tree.inner.has("call.requested"));
    // A call that ended by itself is over for its spoke as well, and that is its fault.
    let call = tokio::spawn(tree.server.post("box.root", &json!({})).send());
    let over = tree.outer.asked().await;
    tree.outer.respond(&over, json!(1)).await;
    assert_eq!(call.await.unwrap().unwrap().status(), 200);
    let late = child(&mut tree.outer, &over, "bin.leaf").await;
    let error = tree.outer.end_of(&late).await.unwrap_err();
    assert_eq!(error["code"], "VALIDATION_ERROR", "{error}");
    assert_eq!(error["details"]["rule"], "parent", "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn case_a10_a11_a_spoke_that_is_away_is_told_when_it_returns() {
    let tree = Tree::grown(&[("spokes.resumeGrace", "10s"), ("calls.abortWait", "200ms")]).await;
    let Tree {
        server,
        inner,
        a1,
        a2,
        b,
        ..
    } = tree;
    inner.close().await;
    until("it is away", async || {
        let list = server.call("spoke.list", json!({})).await;
        list.to_string().contains("disconnected")
    })
    .await;
    let report = server.call("call.abort", json!({ "requestId": a1 })).await;
    assert_eq!(report["unreachable"], json!([a1]), "{report}");
    assert_eq!(report["complete"], false);
    let mut inner = Peer::connect(&server).await;
    let input = json!({
        "name": "inner", "operations": [spec("bin.leaf", "mutation")], "running": [a1, a2, b],
    });
    let back = inner.ask("hub.register", input).await.unwrap();
    assert_eq!(back["resumed"], true);
    inner.stops(&a1, "hub").await;
    inner.settled().await;
    assert!(!inner.has("call.aborted"));
}

#[tokio::test(flavor = "multi_thread")]
async fn case_a12_a13_a_silent_spoke_is_unconfirmed_and_its_late_answer_is_noted() {
    let mut tree = Tree::grown(&[("calls.abortWait", "300ms")]).await;
    let started = Instant::now();
    let report = data(tree.abort(&tree.a2)).await;
    assert!(started.elapsed() >= Duration::from_millis(250));
    assert_eq!(report["unconfirmed"], json!([tree.a2]), "{report}");
    assert_eq!(report["complete"], false);
    tree.inner.respond(&tree.a2, json!("too late")).await;
    let (server, a2) = (&tree.server, &tree.a2);
    until("the late answer is noted", async || {
        let row = server.call("call.get", json!({ "requestId": a2 })).await;
        assert_eq!(row["status"], "aborted");
        row["metadata"]["late"]["event"] == "call.responded"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn case_a14_two_aborts_at_once_send_one_frame() {
    let mut tree = Tree::grown(&[("calls.abortWait", "2s")]).await;
    let (one, two) = (tree.abort(&tree.b), tree.abort(&tree.b));
    tree.inner.stops(&tree.b, "caller").await;
    let (one, two) = (data(one).await, data(two).await);
    // The one that comes second finds it aborted: in memory as finished, or in its row, which may not
    // know yet that it is confirmed.
    let mine = json!([tree.b]);
    for report in [&one, &two] {
        let found = ["aborted", "alreadyFinished", "unconfirmed"]
            .iter()
            .filter(|list| report[**list] == mine);
        assert_eq!(found.count(), 1, "{report}");
    }
    assert!(
        one["aborted"] == mine || two["aborted"] == mine,
        "{one} {two}"
    );
    let (server, b) = (&tree.server, &tree.b);
    until("the confirmation is noted", async || {
        let later = json!({ "requestId": b });
        let later = server.call("call.abortReport", later).await;
        later["aborted"] == mine && later["complete"] == true
    })
    .await;
    tree.inner.settled().await;
    assert!(!tree.inner.has("call.aborted"));
}

#[tokio::test(flavor = "multi_thread")]
async fn case_a21_children_go_on_when_their_parent_ends_by_itself() {
    let mut tree = Tree::grown(&[]).await;
    tree.outer.respond(&tree.a.clone(), json!("done")).await;
    let (server, a) = (&tree.server, &tree.a);
    until("the branch is over", async || {
        let row = server.call("call.get", json!({ "requestId": a })).await;
        row["status"] == "completed"
    })
    .await;
    tree.inner.respond(&tree.a1, json!("later")).await;
    let a1 = tree.a1.clone();
    assert_eq!(tree.outer.end_of(&a1).await.unwrap(), "later");
    assert_eq!(tree.row(&tree.a2).await["status"], "running");
}

#[tokio::test(flavor = "multi_thread")]
async fn case_a25_a_call_goes_on_when_its_caller_is_gone() {
    let server = Server::start().await;
    let mut spoke = Peer::connect(&server).await;
    spoke
        .register("one", json!([spec("box.work", "mutation")]))
        .await;
    let mut client = Peer::connect(&server).await;
    let id = client.request("box.work", json!({})).await;
    assert_eq!(spoke.asked().await, id);
    client.close().await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    spoke.respond(&id, json!(1)).await;
    until("it is completed", async || {
        let row = server.call("call.get", json!({ "requestId": id })).await;
        row["status"] == "completed"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn case_a24_a_subscription_ends_when_its_consumer_is_gone() {
    let server = Server::with(&[("spokes.resumeGrace", "100ms")]).await;
    let mut spoke = Peer::connect(&server).await;
    spoke
        .register("one", json!([spec("box.ticks", "subscription")]))
        .await;
    let mut client = Peer::connect(&server).await;
    let id = client.request("box.ticks", json!({})).await;
    assert_eq!(spoke.asked().await, id);
    client.close().await;
    let told = spoke.next("call.aborted").await;
    assert_eq!(told["payload"]["requestId"], id.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn case_a26_a_call_that_waits_for_a_busy_spoke_is_taken_out_and_beyond_the_queue_refused() {
    let server = Server::with(&[("dispatch.queuePerOperation", "1")]).await;
    let mut spoke = Peer::connect(&server).await;
    let input = json!({
        "name": "small", "operations": [spec("box.work", "mutation")], "limits": { "maxInFlight": 1 },
    });
    spoke.ask("hub.register", input).await.unwrap();
    let mut client = Peer::connect(&server).await;
    let running = client.request("box.work", json!({})).await;
    assert_eq!(spoke.asked().await, running);
    let waiting = client.request("box.work", json!({})).await;
    until("it waits", async || {
        let row = server.post("call.get", &json!({ "requestId": waiting }));
        row.send().await.unwrap().status() == 200
    })
    .await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let refused = client.ask("box.work", json!({})).await.unwrap_err();
    assert_eq!(refused["code"], "RATE_LIMITED", "{refused}");
    let report = server
        .call("call.abort", json!({ "requestId": waiting }))
        .await;
    assert_eq!(report["aborted"], json!([waiting]), "{report}");
    client.end_of(&waiting).await.unwrap_err();
    let next = client.request("box.work", json!({})).await;
    spoke.respond(&running, json!(1)).await;
    client.end_of(&running).await.unwrap();
    assert_eq!(spoke.asked().await, next);
    assert!(!spoke.has("call.aborted"));
}
