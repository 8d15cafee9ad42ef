//! Rows of call records: what the recorder's statements reach of what the machine can.

use std::path::PathBuf;

use async_trait::async_trait;
use tokio::process::Command;

use super::figures::{Bar, Contestant, Kind, Measure, Round, interleave};
use super::lab::Lab;
use super::{About, Bench, BenchError, database};
use crate::process;

pub(super) struct RecorderRows;

#[async_trait]
impl Bench for RecorderRows {
    fn about(&self) -> About {
        About {
            name: "recorder-rows",
            work: "Rows of ended calls a second on PostgreSQL: the recorder's statements, 1,000 rows a transaction, \
                   one after the other, against plain INSERTs of the same rows, 100 each, on 4 connections",
            bar: "P7: at least 0.6 times",
        }
    }

    async fn run(&self, lab: &mut Lab) -> Result<Vec<Measure>, BenchError> {
        let arguments = [
            "build",
            "--release",
            "--locked",
            "--package",
            "alkhub-storage",
            "--example",
            "call_rows",
        ];
        process::run(lab.workspace.cargo().args(arguments)).await?;
        let postgres = database::postgres(lab).await?;
        let rows = if lab.quick { 10_000 } else { 100_000 };
        let contestant = |who: &str, how| {
            Box::new(Rows {
                who: who.to_owned(),
                how,
                program: lab.workspace.target.join("release/examples/call_rows"),
                url: postgres.url("postgres"),
                rows,
            }) as Box<dyn Contestant>
        };
        let mut contestants = [
            contestant("alkhub", "recorder"),
            contestant("plain INSERTs", "plain"),
        ];
        let kind = Kind {
            title: "rows a second".to_owned(),
            unit: "/s".to_owned(),
            bar: Some(Bar::AtLeast(0.6)),
        };
        interleave(&mut contestants, lab.rounds(5), &[kind]).await
    }
}

/// One way to write the rows; a turn writes all of them into an empty table.
struct Rows {
    who: String,
    how: &'static str,
    program: PathBuf,
    url: String,
    rows: usize,
}

#[async_trait]
impl Contestant for Rows {
    fn who(&self) -> String {
        self.who.clone()
    }

    async fn round(&mut self) -> Result<Vec<Round>, BenchError> {
        let mut command = Command::new(&self.program);
        let rows = self.rows.to_string();
        command.args([self.url.as_str(), self.how, rows.as_str()]);
        let printed = process::read(&mut command).await?;
        let rate: f64 = printed
            .trim()
            .parse()
            .map_err(|error| BenchError::Contestant {
                who: self.who.clone(),
                what: format!("printed no figure: {error}"),
            })?;
        Ok(vec![Round {
            figure: rate,
            samples: vec![rate],
        }])
    }
}
