//! A recorded call from the socket to the disk, against the same job in TypeScript.

use std::time::Duration;

use async_trait::async_trait;
use tokio::process::Command;

use super::figures::{Bar, Contestant, Kind, Measure, interleave};
use super::hub::{self, HubServer};
use super::lab::Lab;
use super::load::{Figures, Http, Load, throughput};
use super::peers::NpmSet;
use super::{About, Bench, BenchError, database};
use crate::process::Group;

/// What is called: it needs a key, has schemas, runs in the hub and asks the database nothing.
const OPERATION: &str = "/v1/call/hub.whoami";

/// Queries are recorded before they run too, as mutations are: two durable states a call.
const AHEAD: &str = "[recorder]\nahead = \"all\"\n";

/// Callers under load.
const CALLERS: usize = 32;

/// The key of the rival, as long as one of ours.
const RIVAL_KEY: &str = "alk_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";

const RIVAL: NpmSet = NpmSet {
    name: "recorded-call",
    packages: &[
        ("hono", "4.13.19"),
        ("@hono/node-server", "2.1.9"),
        ("ajv", "8.20.0"),
        ("drizzle-orm", "0.45.4"),
        ("pg", "8.23.1"),
    ],
};

pub(super) struct RecordedCall;

#[async_trait]
impl Bench for RecordedCall {
    fn about(&self) -> About {
        About {
            name: "recorded-call",
            work: "`hub.whoami` over HTTP with keep-alive, recorded durably before it runs and when it ended \
                   (recorder.ahead = all), against the same job in hono + ajv + drizzle-orm + pg",
            bar: "P1, P2, P3: 32 callers on PostgreSQL at least 2.5 times its calls a second and at most half \
                  of its p99, on SQLite at least 1.2 times our own on PostgreSQL; one caller at most its p50 \
                  on PostgreSQL, at most 0.6 times on SQLite",
        }
    }

    async fn run(&self, lab: &mut Lab) -> Result<Vec<Measure>, BenchError> {
        let postgres = database::postgres(lab).await?;
        for name in ["ours", "theirs"] {
            database::create(&postgres, name).await?;
        }
        let url = postgres.url("ours");
        let data = lab.directory("on-postgresql")?;
        let on_postgres =
            HubServer::start_with(lab, &data, &format!("{AHEAD}[database]\nurl = \"{url}\"\n"))
                .await?;
        let data = lab.directory("on-sqlite")?;
        let on_sqlite = HubServer::start_with(lab, &data, AHEAD).await?;
        let ours = [
            ("alkhub, PostgreSQL", request(&on_postgres)),
            ("alkhub, SQLite", request(&on_sqlite)),
        ];
        let rival = match lab.npm_set(&RIVAL).await? {
            Some(directory) => Rival::start(lab, &directory, &postgres.url("theirs")).await?,
            None => None,
        };
        let theirs = rival
            .as_ref()
            .map(|rival| ("hono + drizzle + pg", rival.request.clone()));

        let turn = Duration::from_secs(if lab.quick { 1 } else { 3 });
        let rounds = lab.rounds(5);
        let load = |(who, request): &(&str, Http), callers, figures| {
            Box::new(Load {
                who: (*who).to_owned(),
                connect: request.clone(),
                callers,
                turn,
                figures,
            }) as Box<dyn Contestant>
        };
        let mut measures = Vec::new();
        let both = |first, second: Option<&(&str, Http)>, callers, figures| {
            let mut contestants = vec![load(first, callers, figures)];
            contestants.extend(second.map(|second| load(second, callers, figures)));
            contestants
        };
        let kinds = throughput(
            "P1, 32 callers, PostgreSQL",
            Bar::AtLeast(2.5),
            Some(Bar::AtMost(0.5)),
        );
        let mut contestants = both(&ours[0], theirs.as_ref(), CALLERS, Figures::Throughput);
        measures.extend(interleave(&mut contestants, rounds, &kinds).await?);
        let kinds = throughput("P2, 32 callers, SQLite", Bar::AtLeast(1.2), None);
        let mut contestants = both(&ours[1], Some(&ours[0]), CALLERS, Figures::Throughput);
        measures.extend(interleave(&mut contestants, rounds, &kinds).await?);
        for (ours, name, bound) in [(&ours[0], "PostgreSQL", 1.0), (&ours[1], "SQLite", 0.6)] {
            let kind = Kind {
                title: format!("P3, one caller, {name}"),
                unit: "ms".to_owned(),
                bar: Some(Bar::AtMost(bound)),
            };
            let mut contestants = both(ours, theirs.as_ref(), 1, Figures::Latency);
            measures.extend(interleave(&mut contestants, rounds, &[kind]).await?);
        }
        Ok(measures)
    }
}

/// The server in TypeScript's parts.
struct Rival {
    _group: Group,
    request: Http,
}

impl Rival {
    /// `None` is recorded as missing.
    async fn start(
        lab: &mut Lab,
        directory: &std::path::Path,
        database: &str,
    ) -> Result<Option<Self>, BenchError> {
        let Some(node) = lab.node(RIVAL.name).await? else {
            return Ok(None);
        };
        let port = hub::free_port()?;
        let driver = lab.workspace.root.join("bench/peers/recorded-call.mjs");
        let log = hub::output(&lab.workspace.output().join("recorded-call-rival.log"))?;
        let mut command = Command::new(node);
        command
            .arg(driver)
            .arg(directory)
            .args([database, &port.to_string(), RIVAL_KEY])
            .env("NODE_ENV", "production")
            .stdout(log.0)
            .stderr(log.1);
        let address = format!("127.0.0.1:{port}");
        let group = Group::spawn(&mut command)?;
        let group = hub::healthy(group, "hono", &format!("http://{address}/readyz")).await?;
        Ok(Some(Self {
            _group: group,
            request: Http::post(&address, OPERATION, RIVAL_KEY, "{}"),
        }))
    }
}

fn request(hub: &HubServer) -> Http {
    Http::post(hub.host(), OPERATION, hub.key(), "{}")
}
