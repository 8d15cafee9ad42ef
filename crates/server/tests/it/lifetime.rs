//! Start and end of the server process.
//!
//! Signals reach a whole process, so these tests start this very program again as a server.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use alkhub_hub::config::{Loaded, Sources, load};
use alkhub_server::{ServeError, ServeOptions, reload_on_hangup, run};
use alkhub_storage::{Database, DatabaseOptions};
use reqwest::{Client, Response};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{Server, settings_for, until};

/// Names the data directory in the environment of a server process.
const DATA_DIR: &str = "ALKHUB_TEST_DATA_DIR";

/// The server of the tests below; without the variable there is nothing to serve.
#[tokio::test]
async fn server_process() {
    let Ok(data_dir) = std::env::var(DATA_DIR) else {
        return;
    };
    let config = settings_for(
        Path::new(&data_dir),
        &[("server.drain", "10s"), ("limits.concurrency", "2")],
    );
    let config = Arc::new(config);
    reload_on_hangup(Arc::clone(&config), move || read_file(Path::new(&data_dir))).unwrap();
    let ended = run(ServeOptions {
        config,
        announce: Box::new(|announcement| println!("SERVING {}", announcement.url)),
    })
    .await;
    let code = ended.map_or_else(|error| error.exit_code(), |()| 0);
    println!("ENDED {code}");
}

/// Settings of a file beside the data; an absent file is an empty one.
fn read_file(data_dir: &Path) -> Result<Loaded, String> {
    let path = data_dir.join("alkhub.toml");
    let text = std::fs::read_to_string(&path).map_err(|error| error.to_string())?;
    let sources = Sources {
        flags: vec![("dataDir".to_owned(), data_dir.display().to_string())],
        file: Some((path, text)),
        ..Sources::default()
    };
    load(sources).map_err(|faults| format!("{faults:?}"))
}

struct Process {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    url: String,
    key: String,
    client: Client,
}

impl Process {
    fn start(data_dir: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "lifetime::server_process", "--nocapture"])
            .env(DATA_DIR, data_dir)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = next_with(&mut lines, "SERVING ");
        let key = std::fs::read_to_string(data_dir.join("local-key")).unwrap();
        Process {
            child,
            lines,
            url,
            key: key.trim().to_owned(),
            client: Client::new(),
        }
    }

    /// Starts calls that cannot end while the database is held: one more than may run at once. When
    /// the one too many has been refused, the others run for certain.
    async fn start_calls(&self) -> JoinSet<reqwest::Result<Response>> {
        let mut calls = JoinSet::new();
        for number in 0..3 {
            calls.spawn(
                self.client
                    .post(format!("{}/v1/call/project.create", self.url))
                    .bearer_auth(&self.key)
                    .json(&json!({ "name": format!("project {number}") }))
                    .send(),
            );
        }
        let first = calls.join_next().await.unwrap().unwrap().unwrap();
        assert_eq!(first.status(), 429, "{}", first.text().await.unwrap());
        calls
    }

    fn terminate(&self) {
        self.signal("-TERM");
    }

    fn signal(&self, signal: &str) {
        let told = Command::new("kill")
            .args([signal, &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(told.success());
    }

    async fn ready(&self) -> Option<u16> {
        let request = self.client.get(format!("{}/readyz", self.url));
        Some(request.send().await.ok()?.status().as_u16())
    }

    async fn whoami(&self) -> u16 {
        let request = self
            .client
            .get(format!("{}/v1/call/hub.whoami", self.url))
            .bearer_auth(&self.key);
        request.send().await.unwrap().status().as_u16()
    }

    /// Exit code of the server.
    async fn ended(mut self) -> String {
        tokio::task::spawn_blocking(move || {
            let code = next_with(&mut self.lines, "ENDED ");
            self.child.wait().unwrap();
            code
        })
        .await
        .unwrap()
    }
}

fn next_with(lines: &mut impl Iterator<Item = std::io::Result<String>>, start: &str) -> String {
    lines
        .map(|line| line.unwrap())
        // The test harness writes the name of the test on the same line.
        .find_map(|line| line.split_once(start).map(|(_, rest)| rest.to_owned()))
        .expect("the process says what it does")
}

/// Holds the one writing place of the database, so that a mutation waits.
async fn hold_database(data_dir: &Path) -> alkhub_storage::DatabaseTransaction {
    let path = data_dir.join("alkhub.db");
    let database = Database::connect(&DatabaseOptions::sqlite_file(&path))
        .await
        .unwrap();
    database.begin().await.unwrap()
}

#[tokio::test]
async fn h65_stop_waits_for_running_calls_and_exits_0() {
    let data_dir = tempfile::tempdir().unwrap();
    let process = Process::start(data_dir.path());
    // The key is known from now on, so that calls get as far as the database's writing place.
    assert_eq!(process.whoami().await, 200);
    let held = hold_database(data_dir.path()).await;
    let calls = process.start_calls().await;
    process.terminate();
    until("readiness turns to 503", || async {
        process.ready().await == Some(503)
    })
    .await;
    let refused = process
        .client
        .post(format!("{}/v1/call/hub.info", process.url))
        .bearer_auth(&process.key)
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"));
    let body: Value = refused.json().await.unwrap();
    assert_eq!(body["code"], "UNAVAILABLE");

    held.rollback().await.unwrap();
    for answered in calls.join_all().await {
        assert_eq!(answered.unwrap().status(), 200);
    }
    assert_eq!(process.ended().await, "0");
    assert!(!data_dir.path().join("hub.json").exists());
}

#[tokio::test]
async fn h65_second_signal_ends_at_once_with_exit_1() {
    let data_dir = tempfile::tempdir().unwrap();
    let process = Process::start(data_dir.path());
    // The key is known from now on, so that calls get as far as the database's writing place.
    assert_eq!(process.whoami().await, 200);
    let held = hold_database(data_dir.path()).await;
    let _calls = process.start_calls().await;
    process.terminate();
    until("readiness turns to 503", || async {
        process.ready().await == Some(503)
    })
    .await;
    process.terminate();
    assert_eq!(process.ended().await, "1");
    assert!(!data_dir.path().join("hub.json").exists());
    held.rollback().await.unwrap();
}

#[tokio::test]
async fn stop_ends_open_streams() {
    let data_dir = tempfile::tempdir().unwrap();
    let process = Process::start(data_dir.path());
    let project: Value = process
        .client
        .post(format!("{}/v1/call/project.create", process.url))
        .bearer_auth(&process.key)
        .json(&json!({ "name": "watched" }))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let stream = process
        .client
        .post(format!("{}/v1/call/task.watch", process.url))
        .bearer_auth(&process.key)
        .header("accept", "text/event-stream")
        .json(&json!({ "projectId": project["data"]["id"] }))
        .send()
        .await
        .unwrap();
    assert_eq!(stream.status(), 200);
    process.terminate();
    let text = stream.text().await.unwrap();
    assert!(text.contains("event: error"), "{text}");
    assert!(text.contains("\"UNAVAILABLE\""), "{text}");
    assert_eq!(process.ended().await, "0");
}

#[tokio::test]
async fn h62_hangup_takes_over_a_good_file_and_nothing_of_a_faulty_one() {
    let data_dir = tempfile::tempdir().unwrap();
    let process = Process::start(data_dir.path());
    let file = data_dir.path().join("alkhub.toml");
    let origins = || async {
        let answer: Value = process
            .client
            .get(format!(
                "{}/v1/call/config.get?key=server.corsOrigins",
                process.url
            ))
            .bearer_auth(&process.key)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        answer["data"]["server.corsOrigins"]["value"].clone()
    };
    std::fs::write(&file, "[server]\ncorsOrigins = [\"https://one.example\"]\n").unwrap();
    process.signal("-HUP");
    until("the new origin counts", || async {
        origins().await == json!(["https://one.example"])
    })
    .await;

    std::fs::write(
        &file,
        "[server]\ncorsOrigins = [\"https://two.example\"]\nlisten = 17\n",
    )
    .unwrap();
    process.signal("-HUP");
    // Nothing outside shows that a faulty file was looked at; a change would show soon.
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(origins().await, json!(["https://one.example"]));
    process.terminate();
    assert_eq!(process.ended().await, "0");
}

#[tokio::test]
async fn second_start_finds_its_data_and_is_silent_about_keys() {
    let data_dir = tempfile::tempdir().unwrap();
    let first = Process::start(data_dir.path());
    let made = first
        .client
        .post(format!("{}/v1/call/project.create", first.url))
        .bearer_auth(&first.key)
        .json(&json!({ "name": "kept" }))
        .send()
        .await
        .unwrap();
    assert_eq!(made.status(), 200);
    let key = first.key.clone();
    first.terminate();
    assert_eq!(first.ended().await, "0");

    let second = Process::start(data_dir.path());
    assert_eq!(second.key, key);
    let page: Value = second
        .client
        .get(format!("{}/v1/call/project.list", second.url))
        .bearer_auth(&second.key)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(page["data"]["items"][0]["name"], "kept");
    second.terminate();
    assert_eq!(second.ended().await, "0");
}

#[tokio::test]
async fn file_names_the_address_and_the_process_while_it_runs() {
    let server = Server::start().await;
    let path = server.data_dir.path().join("hub.json");
    let content: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(
        content,
        json!({ "url": server.url, "pid": std::process::id() })
    );
}

async fn start_error(data_dir: &Path, settings: &[(&str, &str)]) -> ServeError {
    run(ServeOptions {
        config: Arc::new(settings_for(data_dir, settings)),
        announce: Box::new(|_| panic!("nothing is served")),
    })
    .await
    .unwrap_err()
}

#[tokio::test]
async fn public_address_is_listened_on_once_allowed() {
    let server = Server::with(&[
        ("server.listen", "0.0.0.0:0"),
        ("server.allowInsecure", "true"),
    ])
    .await;
    assert!(
        server.url.starts_with("http://127.0.0.1:"),
        "{}",
        server.url
    );
    server.call("hub.info", json!({})).await;
}

#[tokio::test]
async fn taken_port_ends_with_exit_7_or_gives_the_next_one() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let data_dir = tempfile::tempdir().unwrap();
    let error = start_error(data_dir.path(), &[("server.listen", &address)]).await;
    assert_eq!(error.exit_code(), 7, "{error}");
    assert_eq!(error.step(), Some((12, "listeners")));
    assert!(!data_dir.path().join("hub.json").exists());

    let server = Server::with(&[
        ("server.listen", &address),
        ("server.listenFallback", "true"),
    ])
    .await;
    assert_ne!(server.url, format!("http://{address}"));
    server.call("hub.info", json!({})).await;
}

#[tokio::test]
async fn several_addresses_are_served() {
    let server = Server::with(&[("server.listen", "127.0.0.1:0,127.0.0.2:0")]).await;
    assert!(server.url.starts_with("http://127.0.0.1:"));
    server.call("hub.info", json!({})).await;
}

#[tokio::test]
async fn h63_second_hub_on_one_directory_ends_with_exit_3() {
    let server = Server::start().await;
    let error = start_error(server.data_dir.path(), &[]).await;
    assert_eq!(error.exit_code(), 3, "{error}");
    server.call("hub.info", json!({})).await;
}

#[tokio::test]
async fn silent_connection_is_closed() {
    use tokio::io::AsyncReadExt;

    let server = Server::start().await;
    let address = server.url.strip_prefix("http://").unwrap();
    let mut silent = tokio::net::TcpStream::connect(address).await.unwrap();
    let mut buffer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(15), silent.read_to_end(&mut buffer));
    read.await.expect("closed within 15 seconds").unwrap();
}
