//! What the hub does on its own, asked about and started over HTTP.

use alkhub_storage::{Database, meta};
use serde_json::{Value, json};

use crate::support::{Server, refused};

fn job<'a>(jobs: &'a Value, name: &str) -> &'a Value {
    let mut jobs = jobs.as_array().unwrap().iter();
    jobs.find(|job| job["name"] == name).expect("the job")
}

/// Writes what is kept of a job, as another process would.
async fn keep(database: &Database, name: &str, value: &Value) {
    let transaction = database.begin().await.unwrap();
    let key = format!("job:{name}");
    meta::put(&transaction, &key, value).await.unwrap();
    transaction.commit().await.unwrap();
}

#[tokio::test]
async fn jobs_are_listed_run_and_remembered() {
    let server = Server::start().await;
    let response = server.get("/v1/call/hub.jobs.list").send().await.unwrap();
    assert_eq!(response.status(), 200);
    let body: Value = response.json().await.unwrap();
    let before = job(&body["data"], "keys.touch");
    assert_eq!(before["eachSeconds"], 60);
    assert!(!before["does"].as_str().unwrap().is_empty());
    assert!(before["lastRun"].is_null(), "{before}");

    let ran = server
        .call("hub.jobs.run", json!({ "name": "keys.touch" }))
        .await;
    assert_eq!(ran["result"]["ok"], true, "{ran}");
    assert!(ran["durationMs"].is_u64(), "{ran}");
    let listed = server.call("hub.jobs.list", json!({})).await;
    let after = job(&listed, "keys.touch");
    assert_eq!(after, &ran);
    let time = |name: &str| {
        let text = after[name].as_str().unwrap();
        chrono::DateTime::parse_from_rfc3339(text).unwrap()
    };
    assert_eq!((time("nextRun") - time("lastRun")).num_seconds(), 60);
    assert!(job(&listed, "calls.prune")["lastRun"].is_null());
}

#[tokio::test]
async fn jobs_are_refused_by_name_by_right_and_while_they_run() {
    let server = Server::start().await;
    let unknown = server.post("hub.jobs.run", &json!({ "name": "keys.invent" }));
    let (status, body, _) = refused(unknown).await;
    assert_eq!(status, 404);
    let message = body["message"].as_str().unwrap();
    assert!(message.contains("keys.touch"), "{message}");

    let (_, reader) = server.key_with(&["hub:read"]).await;
    for (operation, input) in [
        ("hub.jobs.list", json!({})),
        ("hub.jobs.run", json!({ "name": "keys.touch" })),
    ] {
        let (status, body, _) = refused(server.post_as(&reader, operation, &input)).await;
        assert_eq!(status, 403, "{body}");
        assert_eq!(body["details"]["missing"], json!(["hub:admin"]), "{body}");
    }

    let database = server.database().await;
    let later = alkhub_storage::time::now() + chrono::TimeDelta::minutes(5);
    let held = json!({ "holder": "other.1", "until": alkhub_storage::time::format(later) });
    keep(&database, "keys.touch", &held).await;
    let running = server.post("hub.jobs.run", &json!({ "name": "keys.touch" }));
    let (status, body, _) = refused(running).await;
    assert_eq!(status, 409);
    assert_eq!(body["details"]["rule"], "already_running", "{body}");
}

/// The clock was an hour ahead when the job ran last, and was set right since.
#[tokio::test]
async fn a_job_whose_last_run_lies_in_the_future_runs_and_is_dated_by_the_clock_of_now() {
    let server = Server::start().await;
    let listed = server.call("hub.jobs.list", json!({})).await;
    assert!(job(&listed, "calls.prune")["lastRun"].is_null());
    let database = server.database().await;
    let now = alkhub_storage::time::now();
    let ahead = alkhub_storage::time::format(now + chrono::TimeDelta::hours(1));
    let behind = alkhub_storage::time::format(now - chrono::TimeDelta::hours(1));
    let kept = json!({
        "holder": "former.1", "until": behind, "lastRun": ahead,
        "durationMs": 1, "result": { "ok": true, "rows": 0 },
    });
    keep(&database, "calls.prune", &kept).await;
    let ran = server
        .call("hub.jobs.run", json!({ "name": "calls.prune" }))
        .await;
    assert!(ran["lastRun"].as_str().unwrap() < ahead.as_str(), "{ran}");
    let listed = server.call("hub.jobs.list", json!({})).await;
    assert_eq!(job(&listed, "calls.prune"), &ran);
}
