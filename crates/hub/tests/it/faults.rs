//! What happens to calls when the disk is full, when the database goes away, and when two hubs or two
//! writers want the same.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use alkhub_hub::{CallRequest, Hub};
use alkhub_operations::{CallError, ErrorCode};
use alkhub_storage::testing::{TestDatabase, full_disk};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{each_hub, execute, request, rule, start};

/// How long a hub may need to notice that there is room, or a database, again.
const RECOVERY: Duration = Duration::from_secs(20);

/// How long a caller waits for a change to begin.
const DEADLINE: Duration = Duration::from_secs(5);

/// Longest wait for the answer that there is no database.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn full_disk_refuses_changes_answers_queries_and_is_left_without_a_restart() {
    let database = TestDatabase::sqlite().await;
    let data_dir = tempfile::tempdir().unwrap();
    let hub = Caller::start(database.url(), data_dir.path()).await;
    let project = hub.ok("project.create", json!({ "name": "full" })).await;
    let project = project["id"].as_str().unwrap();
    let mut kept = Vec::new();
    let mut refused = Vec::new();
    // Small ones too, since what is half full still takes some of them.
    let create = async |slug: &str, size: usize| {
        let body = "x".repeat(size);
        let input = json!({ "projectId": project, "name": slug, "slug": slug, "body": body });
        hub.call("task.create", input).await
    };
    create("before", 200_000).await.unwrap();
    kept.push("before".to_owned());

    full_disk::begin(database.url());
    let error = create("large", 200_000).await.unwrap_err();
    assert_disk_full(&error);
    refused.push("large".to_owned());
    for number in 0..40 {
        let slug = format!("t{number}");
        match create(&slug, if number % 4 == 0 { 100 } else { 8_000 }).await {
            Ok(_) => kept.push(slug),
            Err(error) => {
                assert_disk_full(&error);
                // Work that was done before its record found no room is told as such.
                let executed = error.details.as_ref().map(|details| &details["executed"]);
                if executed != Some(&json!(true)) {
                    refused.push(slug);
                }
            }
        }
        let listed = hub
            .ok("task.list", json!({ "projectId": project, "limit": 500 }))
            .await;
        assert_whole(&listed, &kept, &refused);
    }
    assert!(refused.len() > 10, "only {refused:?} were refused");
    let found = hub.ok("project.get", json!({ "id": project })).await;
    assert_eq!(found["name"], "full");

    full_disk::end(database.url());
    let begun = Instant::now();
    while let Err(error) = create("after", 200_000).await {
        assert_disk_full(&error);
        assert!(begun.elapsed() < RECOVERY, "still full: {error:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    kept.push("after".to_owned());
    let listed = hub
        .ok("task.list", json!({ "projectId": project, "limit": 500 }))
        .await;
    assert_whole(&listed, &kept, &refused);
    let ready = hub
        .ok("task.ready", json!({ "projectId": project, "limit": 500 }))
        .await;
    assert_eq!(
        ready.as_array().unwrap().len(),
        listed["items"].as_array().unwrap().len()
    );
    hub.hub.shutdown(Duration::from_secs(5)).await;
}

fn assert_disk_full(error: &CallError) {
    assert_eq!(error.code, ErrorCode::UNAVAILABLE, "{error:?}");
    assert_eq!(error.code.http_status(), 503);
    let details = error.details.as_ref().unwrap();
    assert!(details["retryAfterMs"].is_u64(), "{error:?}");
    if details["executed"] != true {
        assert_eq!(rule(error), "disk_full", "{error:?}");
        assert!(error.message.contains("full"), "{error:?}");
    }
}

/// Everything answered is there, nothing refused is.
fn assert_whole(listed: &Value, kept: &[String], refused: &[String]) {
    let slugs: Vec<&str> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|task| task["slug"].as_str().unwrap())
        .collect();
    for slug in kept {
        assert!(
            slugs.contains(&slug.as_str()),
            "{slug} was answered and is gone"
        );
    }
    for slug in refused {
        assert!(
            !slugs.contains(&slug.as_str()),
            "{slug} was refused and is there"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn database_that_goes_away_and_comes_back_loses_nothing_that_was_answered() {
    let server = Guest::start();
    let data_dir = tempfile::tempdir().unwrap();
    let hub = Caller::start(&server.url(), data_dir.path()).await;
    let call = async |operation: &str, input: Value| {
        let begun = Instant::now();
        let outcome = hub.call_within(operation, input, Some(DEADLINE)).await;
        let took = begun.elapsed();
        assert!(took < PATIENCE, "{operation} took {took:?}");
        outcome
    };
    let project = call("project.create", json!({ "name": "p" }))
        .await
        .unwrap();
    let create = async |slug: &str| {
        call(
            "task.create",
            json!({ "projectId": project["id"], "name": slug, "slug": slug }),
        )
        .await
    };
    let mut answered = Vec::new();
    for round in 0..2 {
        let slug = format!("before{round}");
        create(&slug).await.unwrap();
        answered.push(slug);

        server.stop();
        for number in 0..3 {
            let error = create(&format!("lost{round}-{number}")).await.unwrap_err();
            assert_away(&error);
            // A query waits longer for a connection than this caller would; it may take its time.
            let list = json!({ "projectId": project["id"] });
            let begun = Instant::now();
            let error = hub.call("task.list", list).await.unwrap_err();
            assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
            assert_eq!(error.code, ErrorCode::UNAVAILABLE, "{error:?}");
        }
        assert!(!hub.hub.readiness().await.ready);

        server.start_again();
        let begun = Instant::now();
        let slug = format!("after{round}");
        while let Err(error) = create(&slug).await {
            assert_away(&error);
            assert!(begun.elapsed() < RECOVERY, "still away: {error:?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        answered.push(slug);
    }
    let listed = call(
        "task.list",
        json!({ "projectId": project["id"], "limit": 500 }),
    )
    .await
    .unwrap();
    let mut slugs: Vec<&str> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|task| task["slug"].as_str().unwrap())
        .collect();
    slugs.sort_unstable();
    answered.sort();
    assert_eq!(slugs, answered);
    assert!(hub.hub.readiness().await.ready);
    hub.hub.shutdown(Duration::from_secs(5)).await;
}

fn assert_away(error: &CallError) {
    assert_eq!(error.code, ErrorCode::UNAVAILABLE, "{error:?}");
    assert_eq!(error.code.http_status(), 503);
    assert!(error.message.contains("database"), "{error:?}");
    let details = error.details.as_ref().unwrap();
    assert!(details["retryAfterMs"].is_u64(), "{error:?}");
    assert_ne!(details["executed"], true, "{error:?}");
}

#[tokio::test]
async fn two_who_begin_one_task_at_once_get_one_answer_and_one_conflict() {
    each_hub(async |hub| {
        let project = hub.project("race", None).await;
        for round in 0..10 {
            let task = hub
                .ok(
                    "task.create",
                    json!({ "projectId": project, "name": format!("t{round}") }),
                )
                .await;
            let begin = async || {
                let input = json!({
                    "id": task["id"], "status": "in-progress", "expected": "pending",
                });
                hub.call(&hub.admin_key, "task.updateStatus", input).await
            };
            let outcomes = tokio::join!(Box::pin(begin()), Box::pin(begin()), Box::pin(begin()));
            let outcomes = [outcomes.0, outcomes.1, outcomes.2];
            let won = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
            assert_eq!(won, 1, "{outcomes:?}");
            for error in outcomes.into_iter().filter_map(Result::err) {
                assert_eq!(error.code, ErrorCode::CONFLICT, "{error:?}");
                assert_eq!(error.code.http_status(), 409);
                assert_eq!(rule(&error), "unexpected_status");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn second_hub_on_a_data_directory_is_refused_and_harms_nobody() {
    each_hub(async |hub| {
        let refused = match start(hub.database.url(), hub.data_dir(), &[]).await {
            Ok(_) => panic!("two hubs run on one data directory"),
            Err(error) => error,
        };
        assert_eq!(refused.exit_code(), 3);
        let told = refused.to_string();
        let pid = std::process::id().to_string();
        assert!(
            told.contains("already uses the data directory") && told.contains(&pid),
            "{told}"
        );
        hub.project("goes-on", None).await;
    })
    .await;
}

#[tokio::test]
async fn damaged_installation_key_refuses_the_start_and_says_how_to_go_on() {
    alkhub_storage::testing::each_engine(async |database| {
        let data_dir = tempfile::tempdir().unwrap();
        let first = start(database.url(), data_dir.path(), &[]).await.unwrap();
        first.hub.shutdown(Duration::from_secs(5)).await;
        drop(first);
        for damaged in [
            "\"\"",
            "{}",
            "{\"hex\": \"\"}",
            "{\"hex\": \"00ff\"}",
            "{\"hex\": 7}",
        ] {
            let text = format!(
                "update hub_meta set \"value\" = '{damaged}' where \"key\" = 'installationKey'"
            );
            execute(&database, &text).await;
            let refused = match start(database.url(), data_dir.path(), &[]).await {
                Ok(_) => panic!("a hub starts with the installation key {damaged}"),
                Err(error) => error,
            };
            assert_ne!(refused.exit_code(), 0);
            let told = refused.to_string();
            assert!(
                told.contains("installationKey of hub_meta is damaged"),
                "{told}"
            );
            assert!(told.contains("restore it from a backup"), "{told}");
        }
        execute(
            &database,
            "delete from hub_meta where \"key\" = 'installationKey'",
        )
        .await;
        let again = start(database.url(), data_dir.path(), &[]).await.unwrap();
        again.hub.shutdown(Duration::from_secs(5)).await;
    })
    .await;
}

/// A hub and its first key.
struct Caller {
    hub: Arc<Hub>,
    key: String,
}

impl Caller {
    async fn start(url: &str, data_dir: &Path) -> Self {
        let started = start(url, data_dir, &[]).await.unwrap();
        let key = started.first_key.unwrap();
        Self {
            hub: started.hub,
            key: key.expose_secret().to_owned(),
        }
    }

    async fn call(&self, operation: &str, input: Value) -> Result<Value, CallError> {
        self.call_within(operation, input, None).await
    }

    async fn call_within(
        &self,
        operation: &str,
        input: Value,
        timeout: Option<Duration>,
    ) -> Result<Value, CallError> {
        let request = CallRequest {
            timeout,
            ..request(Some(&self.key), operation, input)
        };
        let outcome = self.hub.call(request).await;
        outcome
            .map(|answer| answer.envelope.data)
            .map_err(|failure| failure.error)
    }

    async fn ok(&self, operation: &str, input: Value) -> Value {
        let outcome = self.call(operation, input).await;
        outcome.unwrap_or_else(|error| panic!("{operation}: {error:?}"))
    }
}

/// A PostgreSQL of this test's own, which it may stop.
struct Guest {
    control: PathBuf,
    directory: TempDir,
    port: u16,
}

impl Guest {
    fn start() -> Self {
        let variable = |name: &str| {
            PathBuf::from(std::env::var_os(name).unwrap_or_else(|| {
                panic!("{name} is not set: run `cargo xtask test`, which prepares it")
            }))
        };
        let parent = variable("ALKHUB_TEST_PG_DIR");
        let port = std::net::TcpListener::bind(("127.0.0.1", 0))
            .and_then(|listener| listener.local_addr())
            .unwrap()
            .port();
        let guest = Self {
            control: variable("ALKHUB_TEST_PG_CTL"),
            directory: TempDir::new_in(parent).unwrap(),
            port,
        };
        // The server's user makes the directory itself, inside of one that everybody may enter.
        open_to_all(guest.directory.path());
        guest.control(&["initdb", "-o", "-A trust -U postgres -E UTF8"]);
        guest.start_again();
        guest
    }

    fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    fn start_again(&self) {
        let options = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories=",
            self.port
        );
        let log = self.directory.path().join("log");
        self.control(&[
            "start",
            "-w",
            "-s",
            "-o",
            &options,
            "-l",
            &log.display().to_string(),
        ]);
    }

    /// Stops it the hard way: nothing is said to those who are connected.
    fn stop(&self) {
        self.control(&["stop", "-m", "immediate", "-w", "-s"]);
    }

    fn control(&self, words: &[&str]) {
        let ran = Command::new(&self.control)
            .args(words)
            .arg("-D")
            .arg(self.directory.path().join("data"))
            .stdout(std::process::Stdio::null())
            .status()
            .unwrap();
        assert!(ran.success(), "pg_ctl {words:?}: {ran}");
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // A test that failed half-way may have stopped it already.
        let stopped = Command::new(&self.control)
            .args(["stop", "-m", "immediate", "-w", "-s", "-D"])
            .arg(self.directory.path().join("data"))
            .stderr(std::process::Stdio::null())
            .status();
        // A second panic on the way out would hide the first.
        if !std::thread::panicking() {
            assert!(stopped.is_ok(), "the server may still run: {stopped:?}");
        }
    }
}

fn open_to_all(directory: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o777)).unwrap();
}
