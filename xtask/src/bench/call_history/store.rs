//! A database that gets a history of calls, and loses what was added to it.

use chrono::{DateTime, TimeDelta, Utc};

use crate::bench::BenchError;
use crate::bench::database;

/// Calls that one statement adds.
const CHUNK: usize = 50_000;

/// How far back the history goes: less than what the hub removes as too old.
const DAYS: i64 = 21;

/// Whose database it is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Engine {
    Sqlite,
    Postgres,
}

/// The database of one hub.
#[derive(Debug, Clone)]
pub(super) struct Store {
    engine: Engine,
    place: String,
    /// The history is before it, what the bench records after it.
    end: DateTime<Utc>,
}

impl Store {
    /// The database at that path or address.
    pub(super) fn new(engine: Engine, place: String) -> Self {
        Self {
            engine,
            place,
            end: Utc::now() - TimeDelta::seconds(60),
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self.engine {
            Engine::Sqlite => "SQLite",
            Engine::Postgres => "PostgreSQL",
        }
    }

    /// What the hub must be told to use it.
    pub(super) fn configuration(&self) -> String {
        match self.engine {
            Engine::Sqlite => String::new(),
            Engine::Postgres => format!("[database]\nurl = \"{}\"\n", self.place),
        }
    }

    /// Adds so many calls while no hub runs, made like the one that it recorded, and leaves the database as it is
    /// some time later: statistics made, nothing left to be moved from the log.
    pub(super) async fn fill(&self, calls: usize) -> Result<(), BenchError> {
        let (before, after): (&[&str], &[&str]) = match self.engine {
            // Not durable while it is made: that is not what is measured.
            Engine::Sqlite => (
                &["pragma synchronous = off", "pragma cache_size = -524288"],
                &["pragma wal_checkpoint(truncate)"],
            ),
            Engine::Postgres => (
                &["set synchronous_commit = off"],
                &["vacuum analyze", "checkpoint"],
            ),
        };
        let texts = |list: &[&str]| list.iter().copied().map(str::to_owned).collect::<Vec<_>>();
        let mut statements = texts(before);
        for from in (0..calls).step_by(CHUNK) {
            statements.push(self.chunk(from, calls.min(from + CHUNK), calls));
        }
        statements.extend(texts(after));
        self.run(&statements).await
    }

    /// Deletes what was recorded since the history's end.
    pub(super) async fn forget(&self) -> Result<(), BenchError> {
        let delete = format!(
            "delete from call_graph_nodes where created_at > '{}'",
            self.end()
        );
        match self.engine {
            Engine::Sqlite => self.run(&[delete]).await,
            // As the server would do on its own, only that it does so at some time within a turn.
            Engine::Postgres => {
                self.run(&[delete, "vacuum call_graph_nodes".to_owned()])
                    .await
            }
        }
    }

    async fn run(&self, statements: &[String]) -> Result<(), BenchError> {
        let url = match self.engine {
            Engine::Sqlite => format!("sqlite:{}?mode=rw", self.place),
            Engine::Postgres => self.place.clone(),
        };
        database::run(&url, statements).await
    }

    fn end(&self) -> String {
        self.end.format("%Y-%m-%dT%H:%M:%S%.3f+00:00").to_string()
    }

    /// The statement that adds the calls of these numbers, of so many in all. They are of all operations in turn;
    /// one in fifty failed and one was aborted.
    fn chunk(&self, from: usize, to: usize, all: usize) -> String {
        let end = self.end();
        let seconds = (DAYS * 86_400) as f64 / all as f64;
        let age = format!("(({all} - n) * {seconds})");
        let (uuid, moment, numbers, error) = match self.engine {
            Engine::Sqlite => (
                "lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) \
                 || '-a' || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6)))",
                format!(
                    "strftime('%Y-%m-%dT%H:%M:%f+00:00', '{end}', printf('-%.3f seconds', {age}))"
                ),
                format!(
                    "(with recursive numbers(n) as (values ({from}) union all select n + 1 from numbers where n + 1 < {to}) \
                     select n from numbers)"
                ),
                "",
            ),
            Engine::Postgres => (
                "gen_random_uuid()::text",
                format!("timestamptz '{end}' - {age} * interval '1 second'"),
                format!("generate_series({from}, {to} - 1) as n"),
                "::jsonb",
            ),
        };
        format!(
            "insert into call_graph_nodes (id, request_id, operation_id, identity, caller_account_id, status, input, \
             output, error, started_at, completed_at, metadata, created_at, updated_at)
             select {uuid}, {uuid}, kinds.id, model.identity, model.caller_account_id,
                 case n % 50 when 0 then 'failed' when 1 then 'aborted' else 'completed' end,
                 model.input, case when n % 50 < 2 then null else model.output end,
                 case when n % 50 < 2 then '{{\"code\":\"EXECUTION_ERROR\",\"message\":\"the service answered 502\"}}'{error} end,
                 moment, moment, model.metadata, moment, moment
             from (select n, n % (select count(*) from operations) as turn, {moment} as moment from {numbers}) as moments
             join (select id, row_number() over (order by id) - 1 as place from operations) as kinds
                 on kinds.place = moments.turn
             cross join (
                 select identity, caller_account_id, input, output, metadata from call_graph_nodes
                 where created_at > '{end}' order by created_at limit 1
             ) as model"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_is_made_of_chunks_and_lies_before_what_is_forgotten() {
        let store = Store::new(Engine::Sqlite, "alkhub.db".to_owned());
        let text = store.chunk(50_000, 60_000, 60_000);
        assert!(
            text.contains("values (50000)") && text.contains("n + 1 < 60000"),
            "{text}"
        );
        assert!(text.contains(&store.end()), "{text}");
        assert!(store.end < Utc::now());
    }
}
