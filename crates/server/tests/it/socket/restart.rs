//! What becomes of calls when the hub's process is killed and started again.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use alkhub_server::{ServeOptions, run};
use reqwest::Client;
use serde_json::{Value, json};

use super::peer::{Peer, responded, spec};
use crate::support::{settings_for, until};

/// Names the data directory in the environment of a server process.
const DATA_DIR: &str = "ALKHUB_TEST_RESTART_DATA_DIR";

/// The server of the tests below; without the variable there is nothing to serve.
#[tokio::test(flavor = "multi_thread")]
async fn server_process() {
    let Ok(data_dir) = std::env::var(DATA_DIR) else {
        return;
    };
    let settings = [("calls.recoveryGrace", "2s"), ("spokes.resumeGrace", "1s")];
    let config = settings_for(Path::new(&data_dir), &settings);
    let ended = run(ServeOptions {
        config: Arc::new(config),
        announce: Box::new(|announcement| println!("SERVING {}", announcement.url)),
    })
    .await;
    println!("ENDED {}", ended.is_ok());
}

/// A hub that can be killed.
struct Process {
    child: Child,
    url: String,
    key: String,
}

impl Process {
    fn start(data_dir: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "socket::restart::server_process", "--nocapture"])
            .env(DATA_DIR, data_dir)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let url = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map(|line| line.unwrap())
            .find_map(|line| line.split_once("SERVING ").map(|(_, url)| url.to_owned()))
            .expect("the process serves");
        let key = std::fs::read_to_string(data_dir.join("local-key")).unwrap();
        Process {
            child,
            url,
            key: key.trim().to_owned(),
        }
    }

    async fn row(&self, id: &str) -> Value {
        let mut body: Value = Client::new()
            .post(format!("{}/v1/call/call.get", self.url))
            .bearer_auth(&self.key)
            .json(&json!({ "requestId": id }))
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        assert!(body["data"].is_object(), "{body}");
        body["data"].take()
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

/// A hub that was killed while a spoke worked on these many calls, started again.
async fn killed_with(calls: usize, data_dir: &Path) -> (Process, Vec<String>) {
    let first = Process::start(data_dir);
    let mut spoke = Peer::at(&first.url, &first.key).await;
    spoke
        .register("worker", json!([spec("box.work", "mutation")]))
        .await;
    let mut client = Peer::at(&first.url, &first.key).await;
    let mut ids = Vec::new();
    for _ in 0..calls {
        let id = client.request("box.work", json!({})).await;
        assert_eq!(spoke.asked().await, id);
        let first = &first;
        until("its beginning is recorded", async || {
            first.row(&id).await["status"] == "running"
        })
        .await;
        ids.push(id);
    }
    first.kill();
    (Process::start(data_dir), ids)
}

#[tokio::test(flavor = "multi_thread")]
async fn case_p26_p27_a_spoke_that_returns_says_what_became_of_its_calls() {
    let data_dir = tempfile::tempdir().unwrap();
    let (hub, ids) = killed_with(3, data_dir.path()).await;
    let [adopted, done, forgotten] = ids.as_slice() else {
        panic!("three calls");
    };
    for id in [adopted, done, forgotten] {
        assert_eq!(hub.row(id).await["status"], "running");
    }
    let mut spoke = Peer::at(&hub.url, &hub.key).await;
    let mut frame = responded(done, json!("meanwhile"));
    frame.as_object_mut().unwrap().remove("id");
    let input = json!({
        "name": "worker", "operations": [spec("box.work", "mutation")],
        "running": [adopted], "undelivered": [frame],
    });
    spoke.ask("hub.register", input).await.unwrap();
    until("the undelivered one is completed", async || {
        hub.row(done).await["status"] == "completed"
    })
    .await;
    until("the forgotten one has failed", async || {
        let row = hub.row(forgotten).await;
        row["status"] == "failed" && row["error"]["code"] == "INTERRUPTED"
    })
    .await;
    // Longer than the grace: what was adopted runs on until it is answered.
    tokio::time::sleep(std::time::Duration::from_millis(2_500)).await;
    assert_eq!(hub.row(adopted).await["status"], "running");
    spoke.respond(adopted, json!("at last")).await;
    until("the adopted one is completed", async || {
        hub.row(adopted).await["status"] == "completed"
    })
    .await;
    assert!(!spoke.has("hub.error"));
}

#[tokio::test(flavor = "multi_thread")]
async fn case_p27_calls_of_a_spoke_that_never_returns_fail_after_the_grace() {
    let data_dir = tempfile::tempdir().unwrap();
    let (hub, ids) = killed_with(1, data_dir.path()).await;
    assert_eq!(hub.row(&ids[0]).await["status"], "running");
    until("it has failed", async || {
        let row = hub.row(&ids[0]).await;
        row["status"] == "failed" && row["error"]["code"] == "INTERRUPTED"
    })
    .await;
}
