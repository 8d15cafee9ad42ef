//! Retention: recorded calls go by age, a whole tree at a time.

use std::sync::Arc;
use std::time::Duration;

use alkhub_operations::{CallError, Issue, Operation, OperationType, operation};
use alkhub_storage::calls::{self as queries, PrunePosition, PruneRequest};
use alkhub_storage::time::{DateTimeUtc, now};
use alkhub_storage::{Scope, StorageError};
use chrono::TimeDelta;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::audit::{self, Action, Actor, Entry};
use crate::config::CallsConfig;
use crate::error::HubError;
use crate::rules::{self, Issues};
use crate::state::{Call, State, handle};

/// Calls removed in one transaction.
const BATCH: u32 = 1_000;
/// Between two transactions, so that the recorder has its turn.
const PAUSE: Duration = Duration::from_millis(5);

pub(super) fn operations() -> Vec<Operation> {
    vec![
        operation::<PruneInput, PruneReport>("call.prune", OperationType::Mutation)
            .description(
                "Removes old records of calls, a whole tree at a time; trees with an open call stay. Without dryRun=false it only says what would go.",
            )
            .scopes(&["call:admin"])
            .handler(handle(prune_calls)),
    ]
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PruneInput {
    /// A time, or an age such as `30d`: trees requested before go. The setting `calls.maxAge` when
    /// absent.
    older_than: Option<String>,
    /// The same for trees in which a call failed. The setting `calls.failedMaxAge` when absent.
    failed_older_than: Option<String>,
    /// Calls that stay at most; the oldest trees go first. The setting `calls.maxRows` when absent.
    #[schemars(range(min = 1))]
    max_rows: Option<u64>,
    /// Only say what would go.
    #[serde(default = "yes")]
    dry_run: bool,
}

fn yes() -> bool {
    true
}

/// What went, or would go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PruneReport {
    /// Whole trees.
    pub(crate) trees: u64,
    /// Calls.
    pub(crate) nodes: u64,
    /// Edges between calls.
    pub(crate) edges: u64,
}

/// Which records are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Retention {
    /// Trees requested before go; none = all stay.
    older_than: Option<DateTimeUtc>,
    /// Those with a failed call only when requested before this; none = they stay.
    failed_older_than: Option<DateTimeUtc>,
    /// Calls that stay at most.
    max_rows: Option<u64>,
}

impl Retention {
    /// That of the settings.
    pub(crate) fn of(config: &CallsConfig, now: DateTimeUtc) -> Self {
        Self {
            older_than: before(now, config.max_age),
            failed_older_than: before(now, config.failed_max_age),
            max_rows: Some(config.max_rows).filter(|most| *most > 0),
        }
    }
}

/// Whether a run of [`prune`] does it or only counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Run {
    /// Remove.
    Remove,
    /// Count what would be removed; every transaction is rolled back.
    Count,
}

async fn prune_calls(call: Call, input: Arc<PruneInput>) -> Result<PruneReport, HubError> {
    // Trees of all tenants go: a scope that everybody may give to a key is not enough.
    if !call.principal()?.is_admin() {
        let message = "only administrators of the hub remove records of calls";
        return Err(CallError::access_denied(message).into());
    }
    let now = now();
    let mut retention = Retention::of(&call.config().calls, now);
    let mut issues = Issues::default();
    if let Some(given) = &input.older_than {
        retention.older_than = issues.take(moment("/olderThan", given, now));
    }
    if let Some(given) = &input.failed_older_than {
        retention.failed_older_than = issues.take(moment("/failedOlderThan", given, now));
    }
    issues.finish()?;
    if input.max_rows.is_some() {
        retention.max_rows = input.max_rows;
    }
    let run = match input.dry_run {
        true => Run::Count,
        false => Run::Remove,
    };
    Ok(prune(call.state(), &retention, &call.actor()?, run).await?)
}

/// Removes what is not kept, in transactions of a thousand calls, leaves first: a stop in between
/// detaches nobody. One audit entry in the last transaction tells how much it was.
pub(crate) async fn prune(
    state: &State,
    retention: &Retention,
    actor: &Actor,
    run: Run,
) -> Result<PruneReport, StorageError> {
    let mut report = PruneReport::default();
    if let Some(older_than) = retention.older_than {
        let pass = Pass {
            older_than,
            failed_older_than: retention.failed_older_than,
            enough: None,
        };
        pass.run(state, run, &mut report).await?;
    }
    if let Some(most) = retention.max_rows {
        let now = now();
        let reader = state.database.reader();
        let end = now + TimeDelta::days(1);
        let all = queries::count_calls(reader, &Scope::All, None, DateTimeUtc::UNIX_EPOCH, end);
        let mut left = all.await?;
        if run == Run::Count {
            left = left.saturating_sub(report.nodes);
        }
        if left > most {
            let pass = Pass {
                older_than: now,
                failed_older_than: Some(now),
                // What the first pass counted is there still and comes first.
                enough: Some(match run {
                    Run::Remove => left - most,
                    Run::Count => left - most + report.nodes,
                }),
            };
            if run == Run::Count {
                report = PruneReport::default();
            }
            pass.run(state, run, &mut report).await?;
        }
    }
    if run == Run::Remove && report.nodes > 0 {
        let entry = Entry::default().counted(json!(report));
        let transaction = state.database.begin().await?;
        audit::write(&transaction, actor, Action::CallPruned, entry).await?;
        transaction.commit().await?;
    }
    Ok(report)
}

/// One walk over the trees, oldest first.
struct Pass {
    older_than: DateTimeUtc,
    failed_older_than: Option<DateTimeUtc>,
    /// Calls with which it is enough.
    enough: Option<u64>,
}

impl Pass {
    async fn run(
        &self,
        state: &State,
        run: Run,
        report: &mut PruneReport,
    ) -> Result<(), StorageError> {
        let mut after: Option<PrunePosition> = None;
        let mut gone = 0;
        loop {
            let request = PruneRequest {
                older_than: self.older_than,
                failed_older_than: self.failed_older_than,
                after: after.clone(),
                limit: match run {
                    Run::Remove => BATCH,
                    // Rolled back, a part of a tree would be met again.
                    Run::Count => u32::MAX,
                },
                // At least the tree that was begun.
                enough: self.enough.map(|enough| enough.saturating_sub(gone).max(1)),
            };
            let transaction = state.database.begin().await?;
            let pruned = queries::prune_calls(&transaction, &request).await?;
            match run {
                Run::Remove => transaction.commit().await?,
                Run::Count => transaction.rollback().await?,
            }
            gone += pruned.nodes;
            report.trees += pruned.trees;
            report.nodes += pruned.nodes;
            report.edges += pruned.edges;
            let enough = self.enough.is_some_and(|enough| gone >= enough);
            if !pruned.partial && (enough || pruned.next.is_none()) {
                return Ok(());
            }
            after = pruned.next;
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// A time, or an age before now.
fn moment(field: &str, text: &str, now: DateTimeUtc) -> Result<DateTimeUtc, Issue> {
    match rules::duration(field, text) {
        Ok(age) => before(now, age).ok_or_else(|| {
            let message = "must be a time, or an age that is not zero, such as 30d";
            Issue::new(field, "age", message)
        }),
        Err(_no_age) => rules::time(field, text).map_err(|_no_time| {
            let message = "must be a time of RFC 3339 with an offset, or an age such as 30d";
            Issue::new(field, "date-time", message)
        }),
    }
}

/// None for an age of zero: it means that nothing goes.
fn before(now: DateTimeUtc, age: Duration) -> Option<DateTimeUtc> {
    if age.is_zero() {
        return None;
    }
    now.checked_sub_signed(TimeDelta::from_std(age).ok()?)
}
