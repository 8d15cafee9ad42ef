//! What a recorded call costs when many have been recorded before it.

mod store;

use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;

use super::figures::{Bar, Contestant, Kind, Measure, Round, interleave};
use super::hub::HubServer;
use super::lab::Lab;
use super::load::{Figures, Http, Load, throughput};
use super::{About, Bench, BenchError, database};
use store::{Engine, Store};

/// What is called: it needs a key, has schemas, runs in the hub and asks the database nothing.
const OPERATION: &str = "/v1/call/hub.whoami";

/// Queries are recorded before they run too, as mutations are: two durable states a call.
const AHEAD: &str = "[recorder]\nahead = \"all\"\n";

/// Callers under load.
const CALLERS: usize = 32;

/// How long a turn is: short, so that what it adds is little beside the smaller history.
const TURN: Duration = Duration::from_secs(1);

pub(super) struct CallHistory;

#[async_trait]
impl Bench for CallHistory {
    fn about(&self) -> About {
        About {
            name: "call-history",
            work: "`hub.whoami` over HTTP with keep-alive, recorded durably before it runs and when it ended \
                   (recorder.ahead = all), with 1,000,000 recorded calls of three weeks in the database against 10,000; \
                   turns of a second, after each of which the calls it recorded are deleted again",
            bar: "P16: one caller at most 1.3 times the time, 32 callers at least 1 / 1.3 of the calls a second, on \
                  SQLite and on PostgreSQL",
        }
    }

    async fn run(&self, lab: &mut Lab) -> Result<Vec<Measure>, BenchError> {
        let sizes = if lab.quick {
            [100_000, 1_000]
        } else {
            [1_000_000, 10_000]
        };
        let mut measures = Vec::new();
        let mut hubs = Vec::new();
        for calls in sizes {
            let data = lab.directory(&format!("sqlite-{calls}"))?;
            let store = Store::new(Engine::Sqlite, data.join("alkhub.db").display().to_string());
            hubs.push(Hub::filled(lab, &data, store, calls).await?);
        }
        measures.extend(compare(lab, "SQLite", &hubs).await?);
        drop(hubs);

        let postgres = database::postgres(lab).await?;
        let mut hubs = Vec::new();
        for calls in sizes {
            let name = format!("calls_{calls}");
            database::create(&postgres, &name).await?;
            let data = lab.directory(&format!("postgresql-{calls}"))?;
            let store = Store::new(Engine::Postgres, postgres.url(&name));
            hubs.push(Hub::filled(lab, &data, store, calls).await?);
        }
        measures.extend(compare(lab, "PostgreSQL", &hubs).await?);
        Ok(measures)
    }
}

/// A hub with its history.
struct Hub {
    server: HubServer,
    store: Store,
    calls: usize,
}

impl Hub {
    /// Lets a hub make the tables and record one call, which those of the history are made like, and starts it anew
    /// when they are there.
    async fn filled(
        lab: &Lab,
        data: &std::path::Path,
        store: Store,
        calls: usize,
    ) -> Result<Self, BenchError> {
        let configuration = format!("{AHEAD}{}", store.configuration());
        let server = HubServer::start_with(lab, data, &configuration).await?;
        server.call("hub.whoami", &json!({})).await?;
        drop(server);
        println!("    filling {} with {calls} calls", store.name());
        store.fill(calls).await?;
        Ok(Self {
            server: HubServer::start_with(lab, data, &configuration).await?,
            store,
            calls,
        })
    }

    fn contestant(&self, callers: usize, figures: Figures) -> Box<dyn Contestant> {
        Box::new(Turn {
            load: Load {
                who: format!("{} calls", self.calls),
                connect: Http::post(self.server.host(), OPERATION, self.server.key(), "{}"),
                callers,
                turn: TURN,
                figures,
            },
            store: self.store.clone(),
        })
    }
}

/// One caller, and then many, on both hubs.
async fn compare(lab: &Lab, store: &str, hubs: &[Hub]) -> Result<Vec<Measure>, BenchError> {
    let rounds = lab.rounds(10);
    let contestants = |callers, figures| -> Vec<Box<dyn Contestant>> {
        let contestant = |hub: &Hub| hub.contestant(callers, figures);
        hubs.iter().map(contestant).collect()
    };
    let kind = Kind {
        title: format!("one caller, {store}"),
        unit: "ms".to_owned(),
        bar: Some(Bar::AtMost(1.3)),
    };
    let mut one = contestants(1, Figures::Latency);
    let mut measures = interleave(&mut one, rounds, &[kind]).await?;
    let bar = Bar::AtLeast(1.0 / 1.3);
    let kinds = throughput(&format!("32 callers, {store}"), bar, None);
    let mut many = contestants(CALLERS, Figures::Throughput);
    measures.extend(interleave(&mut many, rounds, &kinds).await?);
    Ok(measures)
}

/// A turn after which the history is as long as before.
struct Turn {
    load: Load<Http>,
    store: Store,
}

#[async_trait]
impl Contestant for Turn {
    fn who(&self) -> String {
        self.load.who()
    }

    async fn round(&mut self) -> Result<Vec<Round>, BenchError> {
        let rounds = self.load.round().await?;
        self.store.forget().await?;
        Ok(rounds)
    }
}
