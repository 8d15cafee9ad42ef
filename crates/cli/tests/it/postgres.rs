//! The commands that open a database, on PostgreSQL.

use std::time::{Duration, Instant};

use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection};
use sea_orm::sqlx::{AssertSqlSafe, Connection, Executor};

use crate::server::Server;
use crate::support::Home;

/// Names the server on which the tests run; `cargo xtask test` starts one.
const POSTGRES_URL: &str = "ALKHUB_TEST_POSTGRES_URL";

/// An empty database of this test's own; dropped by [`Empty::drop_database`].
pub(crate) struct Empty {
    name: String,
    url: String,
}

impl Empty {
    /// Its address.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn create(name: &str) -> Empty {
        let name = format!("alkhub_cli_{name}_{}", std::process::id());
        run(&format!("drop database if exists {name} with (force)"));
        run(&format!("create database {name}"));
        let (server, _) = server_url()
            .rsplit_once('/')
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .unwrap();
        Empty {
            url: format!("{server}/{name}"),
            name,
        }
    }

    pub(crate) fn drop_database(self) {
        run(&format!("drop database {} with (force)", self.name));
    }
}

fn server_url() -> String {
    std::env::var(POSTGRES_URL)
        .unwrap_or_else(|_| panic!("{POSTGRES_URL} is not set: run `cargo xtask test`"))
}

fn run(statement: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let options: PgConnectOptions = server_url().parse().unwrap();
        let mut connection = PgConnection::connect_with(&options).await.unwrap();
        connection
            .execute(AssertSqlSafe(statement.to_owned()))
            .await
            .unwrap();
        connection.close().await.unwrap();
    });
}

#[test]
fn migrate_prepares_an_empty_postgresql_and_serve_runs_on_it() {
    let database = Empty::create("migrate");
    let home = Home::new();
    let ran = home.run(&["migrate", "--database-url", &database.url]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.contains("applied"), "{}", ran.stdout);
    let again = home.run(&["migrate", "--database-url", &database.url, "--json"]);
    let report: serde_json::Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!(report["applied"], serde_json::json!([]));

    let on_it = ["--database-url", database.url.as_str()];
    let server = Server::start_with(&home, &on_it);
    assert_eq!(server.json(&["info"])["engine"], "postgres");
    server.text(&["project", "create", "demo"]);
    server.text(&["task", "create", "First", "--project", "demo"]);
    server.stop();
    let server = Server::start_with(&home, &on_it);
    assert!(
        server
            .text(&["task", "ready", "--project", "demo"])
            .contains("first")
    );
    server.stop();
    database.drop_database();
}

#[test]
fn a_database_that_cannot_be_reached_ends_with_5_at_once() {
    let took = refused_start("postgres://nobody@127.0.0.1:1/none", "0");
    assert!(took < Duration::from_secs(3), "{took:?}");
}

#[test]
fn a_database_that_says_nothing_ends_with_5_after_a_moment() {
    // The system takes the connection; nobody ever answers on it.
    let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = silent.local_addr().unwrap().port();
    let took = refused_start(&format!("postgres://nobody@127.0.0.1:{port}/none"), "0");
    assert!(took > Duration::from_secs(2), "{took:?}");
    assert!(took < Duration::from_secs(6), "{took:?}");
}

#[test]
fn a_database_is_waited_for_as_long_as_the_settings_say() {
    let took = refused_start("postgres://nobody@127.0.0.1:1/none", "3s");
    assert!(took > Duration::from_secs(2), "{took:?}");
    assert!(took < Duration::from_secs(6), "{took:?}");
}

/// How long a start took to be refused.
fn refused_start(url: &str, wait: &str) -> Duration {
    let home = Home::new();
    let wait = format!("database.startWait={wait}");
    let begun = Instant::now();
    let ran = home.run(&[
        "serve",
        "--data-dir",
        "data",
        "--database-url",
        url,
        "--set",
        &wait,
    ]);
    let took = begun.elapsed();
    assert_eq!(ran.code, Some(5), "{}", ran.stderr);
    assert!(ran.stderr.contains("step 5"), "{}", ran.stderr);
    assert!(ran.stderr.contains("cannot be reached"), "{}", ran.stderr);
    took
}
