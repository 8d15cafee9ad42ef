//! Import of a task directory, against what the database alone takes for the same rows.

use std::time::Instant;

use async_trait::async_trait;

use super::calls;
use super::figures::{Bar, Contestant, Kind, Measure, Round, interleave};
use super::hub::HubServer;
use super::lab::Lab;
use super::sqlite::Sqlite;
use super::{About, Bench, BenchError};
use crate::demo_data::{self, TaskFile};

/// Rows in one INSERT of the rival.
const BATCH: usize = 100;

pub(super) struct Import;

#[async_trait]
impl Bench for Import {
    fn about(&self) -> About {
        About {
            name: "import",
            work: "`task.import` of 5,000 files over HTTP against plain INSERTs of the same rows, 100 rows each, \
                   in one transaction (SQLite, synchronous=FULL)",
            bar: "at least half of its rows a second: at most 2 times",
        }
    }

    async fn run(&self, lab: &mut Lab) -> Result<Vec<Measure>, BenchError> {
        let files = demo_data::generate(if lab.quick { 500 } else { 5_000 }, 1);
        let plain = Plain::prepare(lab, &files).await?;
        let data = lab.directory("alkhub")?;
        let ours = Ours {
            hub: HubServer::start(lab, &data).await?,
            files,
            turn: 0,
        };
        let mut contestants: [Box<dyn Contestant>; 2] = [Box::new(ours), Box::new(plain)];
        let kind = Kind {
            title: "import".to_owned(),
            unit: "ms".to_owned(),
            bar: Some(Bar::AtMost(2.0)),
        };
        interleave(&mut contestants, lab.rounds(10), &[kind]).await
    }
}

/// The hub: each turn imports all files into a new project.
struct Ours {
    hub: HubServer,
    files: Vec<TaskFile>,
    turn: usize,
}

#[async_trait]
impl Contestant for Ours {
    fn who(&self) -> String {
        "alkhub".to_owned()
    }

    async fn round(&mut self) -> Result<Vec<Round>, BenchError> {
        self.turn += 1;
        let project = calls::project(&self.hub, &format!("bench-{}", self.turn)).await?;
        let input = calls::import_input(&project, &self.files);
        let started = Instant::now();
        self.hub.call("task.import", &input).await?;
        Ok(vec![Round::median(vec![
            started.elapsed().as_secs_f64() * 1_000.0,
        ])])
    }
}

/// The database alone: each turn inserts the rows that an import left, with ids of its own, into the
/// database of a stopped hub, indexes and triggers included.
struct Plain {
    database: Sqlite,
    turn: usize,
}

impl Plain {
    async fn prepare(lab: &Lab, files: &[TaskFile]) -> Result<Self, BenchError> {
        let data = lab.directory("plain")?;
        let hub = HubServer::start(lab, &data).await?;
        let project = calls::project(&hub, "bench").await?;
        hub.call("task.import", &calls::import_input(&project, files))
            .await?;
        drop(hub);
        let database = Sqlite::open(&data.join("alkhub.db")).await?;
        // The rows to copy stand in tables of their own, so that they do not weigh on the real ones.
        for table in ["projects", "tasks", "task_dependencies"] {
            database
                .run(&format!(
                    "create table bench_{table} as select * from {table}"
                ))
                .await?;
        }
        database
            .run("delete from task_dependencies; delete from tasks")
            .await?;
        Ok(Self { database, turn: 0 })
    }

    /// The statements of a turn: every id gets the turn's number, so that rows still fit each other.
    async fn statements(&self) -> Result<Vec<String>, BenchError> {
        let mut statements = Vec::new();
        for (table, ids) in [
            ("projects", &["id"][..]),
            ("tasks", &["id", "project_id"]),
            (
                "task_dependencies",
                &["id", "depends_on_task_id", "dependent_task_id"],
            ),
        ] {
            let columns = self.database.columns(table).await?;
            let values: Vec<String> = columns
                .iter()
                .map(|column| match column.as_str() {
                    id if ids.contains(&id) => {
                        format!(
                            "quote(printf('%08x', {}) || substr(\"{id}\", 9))",
                            self.turn
                        )
                    }
                    other => format!("quote(\"{other}\")"),
                })
                .collect();
            let rows = format!(
                "select '(' || {} || ')' from bench_{table}",
                values.join(" || ',' || ")
            );
            let rows = self.database.texts(&rows).await?;
            let names: Vec<String> = columns
                .iter()
                .map(|column| format!("\"{column}\""))
                .collect();
            for batch in rows.chunks(BATCH) {
                statements.push(format!(
                    "insert into {table} ({}) values {}",
                    names.join(","),
                    batch.join(",")
                ));
            }
        }
        Ok(statements)
    }
}

#[async_trait]
impl Contestant for Plain {
    fn who(&self) -> String {
        "plain INSERTs".to_owned()
    }

    async fn round(&mut self) -> Result<Vec<Round>, BenchError> {
        self.turn += 1;
        let statements = self.statements().await?;
        let started = Instant::now();
        self.database.run("begin immediate").await?;
        for statement in &statements {
            self.database.run(statement).await?;
        }
        self.database.run("commit").await?;
        Ok(vec![Round::median(vec![
            started.elapsed().as_secs_f64() * 1_000.0,
        ])])
    }
}
