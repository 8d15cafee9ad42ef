//! The hub killed at any moment of an import: all of it is there afterwards, or none, what was
//! answered is never lost, and no call of the former run is left open.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sea_orm::sqlx::{self, Connection, PgConnection, SqliteConnection};

use crate::postgres::Empty;
use crate::server::Server;
use crate::support::Home;

/// Kills in one test.
const ROUNDS: u32 = 20;

/// Files of one import; each task depends on the one before.
const FILES: u32 = 300;

#[test]
fn killed_import_is_there_whole_or_not_at_all_on_sqlite() {
    survive_kills(&[]);
}

#[test]
fn killed_import_is_there_whole_or_not_at_all_on_postgresql() {
    let database = Empty::create("kill");
    survive_kills(&["--database-url", database.url()]);
    database.drop_database();
}

fn survive_kills(settings: &[&str]) {
    let home = Home::new();
    for number in 0..FILES {
        let before = number
            .checked_sub(1)
            .map_or_else(String::new, |number| format!("t{number}"));
        let text = format!(
            "---\nid: t{number}\nname: Task {number}\ndepends_on: [{before}]\n---\n\nText {number}.\n"
        );
        home.file(&format!("tasks/t{number}.md"), &text);
    }
    let mut server = Server::start_with(&home, settings);
    let whole = unhurried(&server);
    let mut seen = [0_u32; 2];
    let mut interrupted = 0;
    for round in 0..ROUNDS {
        let project = format!("p{round}");
        server.json(&["project", "create", &project]);
        let arguments = [
            "--data-dir",
            "data",
            "--json",
            "task",
            "import",
            "tasks",
            "--project",
            &project,
        ];
        let importing = home
            .command(&arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Moments spread over the whole import, and a little beyond its end.
        std::thread::park_timeout(whole * (round + 1) / (ROUNDS - 4));
        kill(server.pid());
        let answered = importing.wait_with_output().unwrap().status.success();
        drop(server);

        server = Server::start_with(&home, settings);
        // Before anything is called again: what is open now was left open.
        let calls = Calls::read(&home, settings);
        assert_eq!(
            calls.open, 0,
            "round {round}: calls of the former run are open"
        );
        interrupted = calls.interrupted;
        let found = server.json(&["project", "show", &project]);
        let tasks = found["counts"]["tasks"].as_u64().unwrap();
        assert!(
            tasks == 0 || tasks == u64::from(FILES),
            "round {round}: {tasks} tasks"
        );
        assert!(
            !answered || tasks != 0,
            "round {round}: an answered import is gone"
        );
        seen[usize::from(tasks != 0)] += 1;
        let again = server.json(&["task", "import", "tasks", "--project", &project]);
        assert!(
            again.is_object(),
            "round {round}: the project takes the import again"
        );
    }
    assert!(seen[1] > 0, "no import ever ended: the kills came too soon");
    assert!(
        interrupted > 0,
        "no call was ever open: the kills came too late"
    );
}

/// What the database says of calls.
struct Calls {
    /// Neither completed nor failed nor aborted.
    open: i64,
    /// Ended by a start, in place of the process that was gone.
    interrupted: i64,
}

impl Calls {
    fn read(home: &Home, settings: &[&str]) -> Self {
        let open = "select count(*) from call_graph_nodes where status in ('pending', 'running')";
        let interrupted = "select count(*) from call_graph_nodes where status = 'failed'
            and cast(error as text) like '%INTERRUPTED%'";
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            match settings {
                [_, url] => {
                    let mut database = PgConnection::connect(url).await.unwrap();
                    let open = sqlx::query_scalar(open)
                        .fetch_one(&mut database)
                        .await
                        .unwrap();
                    let interrupted = sqlx::query_scalar(interrupted)
                        .fetch_one(&mut database)
                        .await
                        .unwrap();
                    database.close().await.unwrap();
                    Self { open, interrupted }
                }
                _ => {
                    let file = home.path().join("data/alkhub.db");
                    let url = format!("sqlite://{}?mode=ro", file.display());
                    let mut database = SqliteConnection::connect(&url).await.unwrap();
                    let open = sqlx::query_scalar(open)
                        .fetch_one(&mut database)
                        .await
                        .unwrap();
                    let interrupted = sqlx::query_scalar(interrupted)
                        .fetch_one(&mut database)
                        .await
                        .unwrap();
                    database.close().await.unwrap();
                    Self { open, interrupted }
                }
            }
        })
    }
}

/// How long the import takes when nobody disturbs it.
fn unhurried(server: &Server<'_>) -> Duration {
    server.json(&["project", "create", "unhurried"]);
    let started = Instant::now();
    server.json(&["task", "import", "tasks", "--project", "unhurried"]);
    started.elapsed()
}

fn kill(pid: u32) {
    let killed = Command::new("kill")
        .args(["-9", &pid.to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
}
