//! Can the hub serve now? Asked by load balancers, by `hub.health` and by people.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::Hub;
use crate::state::State;

/// The database has this long to answer.
const PING: Duration = Duration::from_secs(1);

/// Above this share of taken room in the recorder's queue the hub is not ready.
const QUEUE_FULL: f64 = 0.9;

/// The checks and what they found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    /// True when every check is good and no stop is under way.
    pub ready: bool,
    /// The checks by name.
    pub checks: BTreeMap<&'static str, bool>,
    /// True when the hub is stopping.
    pub draining: bool,
}

impl Hub {
    /// Looks whether the hub can serve.
    pub async fn readiness(&self) -> Readiness {
        of(&self.state).await
    }
}

pub(crate) async fn of(state: &State) -> Readiness {
    let database = matches!(
        tokio::time::timeout(PING, state.database.ping()).await,
        Ok(Ok(()))
    );
    let checks = BTreeMap::from([
        ("database", database),
        (
            "recorder",
            !state.recorder.stalled() && state.recorder.fill() < QUEUE_FULL,
        ),
    ]);
    let draining = state.draining();
    Readiness {
        ready: !draining && checks.values().all(|good| *good),
        checks,
        draining,
    }
}
