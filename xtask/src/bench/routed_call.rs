//! A call that goes through the hub to a program on a WebSocket, against brokers of messages.

mod crossbar;
mod nats;
mod sockets;

use std::time::Duration;

use async_trait::async_trait;

use super::figures::{Bar, Contestant, Kind, Measure, interleave};
use super::hub::HubServer;
use super::lab::Lab;
use super::load::{Connect, Figures, Load, throughput};
use super::{About, Bench, BenchError};

/// Callers under load, each with a connection.
const CALLERS: usize = 32;

/// What is sent and comes back.
const TEXT: &str = "what is sent comes back";

pub(super) struct RoutedCall;

#[async_trait]
impl Bench for RoutedCall {
    fn about(&self) -> About {
        About {
            name: "routed-call",
            work: "An unrecorded call over a WebSocket through the hub to a provider on another WebSocket, which \
                   answers what it got, against NATS request/reply and a crossbar procedure; drivers and \
                   providers are the same program",
            bar: "P5: 32 callers at least half of NATS's calls a second and at least 6 times crossbar's; one \
                  caller at most 1.5 times NATS's p50",
        }
    }

    async fn run(&self, lab: &mut Lab) -> Result<Vec<Measure>, BenchError> {
        let data = lab.directory("alkhub")?;
        let hub = HubServer::start(lab, &data).await?;
        let ours = sockets::Hub::prepare(&hub)
            .await
            .map_err(|error| failed("alkhub", &error))?;
        let nats = nats::Nats::start(lab).await?;
        let crossbar = crossbar::Crossbar::start(lab).await?;
        let turn = Duration::from_secs(if lab.quick { 1 } else { 3 });
        let rounds = lab.rounds(5);

        let mut measures = Vec::new();
        let ours = contestants("alkhub", ours, turn);
        if let Some(nats) = &nats {
            let theirs = contestants("NATS", nats.caller(), turn);
            let mut both = [
                ours(CALLERS, Figures::Throughput),
                theirs(CALLERS, Figures::Throughput),
            ];
            let kinds = throughput("32 callers", Bar::AtLeast(0.5), None);
            measures.extend(interleave(&mut both, rounds, &kinds).await?);
            let mut both = [ours(1, Figures::Latency), theirs(1, Figures::Latency)];
            let kind = Kind {
                title: "one caller".to_owned(),
                unit: "ms".to_owned(),
                bar: Some(Bar::AtMost(1.5)),
            };
            measures.extend(interleave(&mut both, rounds, &[kind]).await?);
        }
        if let Some(crossbar) = &crossbar {
            let theirs = contestants("crossbar", crossbar.caller(), turn);
            let mut both = [
                ours(CALLERS, Figures::Throughput),
                theirs(CALLERS, Figures::Throughput),
            ];
            let kinds = throughput("32 callers, crossbar", Bar::AtLeast(6.0), None);
            measures.extend(interleave(&mut both, rounds, &kinds).await?);
        }
        if nats.is_none() && crossbar.is_none() {
            let mut alone = [ours(CALLERS, Figures::Throughput)];
            let kinds = throughput("32 callers", Bar::AtLeast(0.5), None);
            measures.extend(interleave(&mut alone, rounds, &kinds).await?);
        }
        Ok(measures)
    }
}

/// Makes contestants of one way to connect.
fn contestants<C>(
    who: &'static str,
    connect: C,
    turn: Duration,
) -> Box<dyn Fn(usize, Figures) -> Box<dyn Contestant> + Send + Sync>
where
    C: Connect + Clone + Sync + 'static,
{
    Box::new(move |callers, figures| {
        Box::new(Load {
            who: who.to_owned(),
            connect: connect.clone(),
            callers,
            turn,
            figures,
        })
    })
}

fn failed(who: &str, error: &dyn std::error::Error) -> BenchError {
    BenchError::Contestant {
        who: who.to_owned(),
        what: format!("failed: {error}"),
    }
}
