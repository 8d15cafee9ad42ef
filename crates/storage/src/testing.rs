//! For tests: one body on every engine, each time with a database of its own.
//!
//! SQLite lies in a directory that is removed afterwards. On PostgreSQL a database is copied from a
//! migrated template on the server that the variable `ALKHUB_TEST_POSTGRES_URL` names; without it the
//! test fails, because a test that did not run on both engines proves nothing.

pub mod full_disk;

use std::ops::Deref;
use std::sync::atomic::{AtomicU32, Ordering};

use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection};
use sea_orm::sqlx::{self, Connection, Executor};
use tempfile::TempDir;

use crate::database::{Database, DatabaseOptions};
use crate::engine::Engine;
use crate::migrate;

/// Names the server on which PostgreSQL tests run.
pub const POSTGRES_URL: &str = "ALKHUB_TEST_POSTGRES_URL";

/// Tests of many processes make the template one at a time.
const TEMPLATE_LOCK: i64 = 0x616c_6b74;

/// Runs `body` on SQLite and then on PostgreSQL, each with an empty, migrated database.
pub async fn each_engine<F>(body: F)
where
    F: AsyncFn(TestDatabase),
{
    let server = postgres_url();
    body(TestDatabase::sqlite().await).await;
    let database = TestDatabase::postgres_at(&server).await;
    let name = database.name.clone();
    body(database).await;
    if let Some(name) = name {
        drop_database(&server, &name).await;
    }
}

/// An empty, migrated database; the caller's own.
#[derive(Debug)]
pub struct TestDatabase {
    database: Database,
    url: String,
    name: Option<String>,
    /// Removed with the value.
    directory: Option<TempDir>,
}

impl TestDatabase {
    /// A file in a directory of its own.
    pub async fn sqlite() -> Self {
        let directory = tempfile::tempdir().expect("a directory for the test");
        let options = DatabaseOptions::sqlite_file(&directory.path().join("hub.db"));
        let database = Database::connect(&options).await.expect("SQLite opens");
        database.migrate().await.expect("SQLite migrates");
        Self {
            database,
            url: options.url,
            name: None,
            directory: Some(directory),
        }
    }

    /// A database on the server named by [`POSTGRES_URL`]; it stays there until the server goes.
    pub async fn postgres() -> Self {
        Self::postgres_at(&postgres_url()).await
    }

    async fn postgres_at(server: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let template = template(server).await;
        let name = format!(
            "alkhub_test_{}_{}",
            std::process::id(),
            NUMBER.fetch_add(1, Ordering::Relaxed)
        );
        let mut connection = maintenance(server).await;
        run(
            &mut connection,
            &format!("drop database if exists {name} with (force)"),
        )
        .await;
        run(
            &mut connection,
            &format!("create database {name} template {template}"),
        )
        .await;
        let url = with_database(server, &name);
        let database = Database::connect(&DatabaseOptions::new(&url))
            .await
            .expect("PostgreSQL opens");
        Self {
            database,
            url,
            name: Some(name),
            directory: None,
        }
    }

    /// Closes it and, on PostgreSQL, drops it.
    pub async fn remove(self) {
        let Self {
            database,
            name,
            directory,
            ..
        } = self;
        database.close().await.expect("the database closes");
        drop(directory);
        if let Some(name) = name {
            drop_database(&postgres_url(), &name).await;
        }
    }

    /// Its address, for a second connection.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The directory of the file; none on PostgreSQL.
    pub fn directory(&self) -> Option<&std::path::Path> {
        self.directory.as_ref().map(TempDir::path)
    }
}

impl Deref for TestDatabase {
    type Target = Database;

    fn deref(&self) -> &Database {
        &self.database
    }
}

fn postgres_url() -> String {
    std::env::var(POSTGRES_URL).unwrap_or_else(|_| {
        panic!(
            "{POSTGRES_URL} is not set: run `cargo xtask test`, which starts a server for the tests"
        )
    })
}

/// Name of a database with the schema of the migrations as they are now; made when it is missing.
async fn template(server: &str) -> String {
    let name = format!(
        "alkhub_template_{}",
        &migrate::fingerprint(Engine::Postgres)[..16]
    );
    let mut connection = maintenance(server).await;
    run(
        &mut connection,
        &format!("select pg_advisory_lock({TEMPLATE_LOCK})"),
    )
    .await;
    let exists: bool =
        sqlx::query_scalar("select count(*) > 0 from pg_database where datname = $1")
            .bind(&name)
            .fetch_one(&mut connection)
            .await
            .expect("the server lists its databases");
    if !exists {
        // Under another name until it is complete: a test that dies half way leaves no false one.
        let unfinished = format!("{name}_unfinished");
        run(
            &mut connection,
            &format!("drop database if exists {unfinished} with (force)"),
        )
        .await;
        run(
            &mut connection,
            &format!("create database {unfinished} template template0"),
        )
        .await;
        let options = DatabaseOptions {
            max_connections: Some(1),
            ..DatabaseOptions::new(with_database(server, &unfinished))
        };
        let database = Database::connect(&options)
            .await
            .expect("the template opens");
        database.migrate().await.expect("the template migrates");
        database.close().await.expect("the template closes");
        run(
            &mut connection,
            &format!("alter database {unfinished} rename to {name}"),
        )
        .await;
    }
    // The lock goes with the connection.
    connection.close().await.expect("the connection closes");
    name
}

async fn drop_database(server: &str, name: &str) {
    let mut connection = maintenance(server).await;
    run(
        &mut connection,
        &format!("drop database if exists {name} with (force)"),
    )
    .await;
}

async fn maintenance(server: &str) -> PgConnection {
    let options: PgConnectOptions = server.parse().expect("the address of the server");
    PgConnection::connect_with(&options)
        .await
        .expect("the server of the tests answers")
}

async fn run(connection: &mut PgConnection, sql: &str) {
    connection
        .execute(sqlx::AssertSqlSafe(sql.to_owned()))
        .await
        .expect("the server obeys");
}

/// The same address with another database.
fn with_database(server: &str, name: &str) -> String {
    let (address, parameters) = match server.split_once('?') {
        Some((address, parameters)) => (address, format!("?{parameters}")),
        None => (server, String::new()),
    };
    let host_ends = address
        .find("://")
        .and_then(|scheme| {
            address[scheme + 3..]
                .find('/')
                .map(|slash| scheme + 3 + slash)
        })
        .unwrap_or(address.len());
    format!("{}/{name}{parameters}", &address[..host_ends])
}
