//! Numbers over recorded calls: what is stuck, what is slow, what fails, and how much there is of it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use alkhub_operations::{CallError, ErrorCode, Operation, OperationType, operation};
use alkhub_storage::calls::{self as queries, StatsBucket, StatsGroup, StatsRequest};
use alkhub_storage::entity::call_graph_nodes::Model as Node;
use alkhub_storage::ids::OperationId;
use alkhub_storage::spokes::operations_by_ids;
use alkhub_storage::time::{DateTimeUtc, format as to_wire, now};
use alkhub_storage::{Scope, StorageError};
use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::view::{CallView, Names};
use super::{Viewer, operation_row};
use crate::error::HubError;
use crate::rules::Issues;
use crate::state::{Call, handle};

/// The period that is looked at when the caller names no beginning.
const DEFAULT_PERIOD: TimeDelta = TimeDelta::days(1);
/// Most calls a period may hold.
const MOST_CALLS: u64 = 2_000_000;
/// A call younger than this is not stuck, however fast its operation is otherwise.
const NEVER_STUCK_BEFORE: Duration = Duration::from_secs(60);
/// A call is stuck when it is this many times as old as 99 of a hundred become.
const STUCK_FACTOR: u64 = 3;
/// Rows of an answer when the caller does not say.
const DEFAULT_ROWS: u16 = 50;
const DEFAULT_TOP: u16 = 10;

const TOO_WIDE: &str = "range_too_wide: more calls or buckets in the period than can be answered";

pub(super) fn operations() -> Vec<Operation> {
    vec![
        operation::<StuckInput, Stuck>("call.stuck", OperationType::Query)
            .description(
                "Open calls that have been so for long: longer than asked, or much longer than their operation usually takes; the oldest first.",
            )
            .scopes(&["call:read"])
            .error("UNPROCESSABLE", TOO_WIDE)
            .handler(handle(stuck)),
        operation::<TopInput, Slowest>("call.slowest", OperationType::Query)
            .description("The calls of a period that ran longest.")
            .scopes(&["call:read"])
            .error("UNPROCESSABLE", TOO_WIDE)
            .handler(handle(slowest)),
        operation::<TopInput, Errors>("call.errors", OperationType::Query)
            .description("How many calls of a period failed with which code, the most frequent first.")
            .scopes(&["call:read"])
            .error("UNPROCESSABLE", TOO_WIDE)
            .handler(handle(errors)),
        operation::<StatsInput, Stats>("call.stats", OperationType::Query)
            .description(
                "Numbers of the calls of a period: how many, how many failed, percentiles of their time (nearest rank), by bucket and by operation, caller, provider or status.",
            )
            .scopes(&["call:read"])
            .error("UNPROCESSABLE", TOO_WIDE)
            .handler(handle(stats)),
    ]
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StuckInput {
    /// Open for longer than this. When absent: three times the time in which 99 of a hundred calls of
    /// the operation ended in the last day, and a minute at least.
    older_than_ms: Option<u64>,
    /// Most calls, 1 to 500; 50 when absent.
    #[schemars(range(min = 1, max = 500))]
    limit: Option<u16>,
}

/// Open calls.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Stuck {
    /// The calls, the oldest first.
    items: Vec<StuckCall>,
}

/// A call that is open for long.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct StuckCall {
    #[serde(flatten)]
    call: CallView,
    /// For how long it has been open, in milliseconds.
    age_ms: u64,
    /// From when on it counts as stuck, in milliseconds.
    threshold_ms: u64,
}

async fn stuck(call: Call, input: Arc<StuckInput>) -> Result<Stuck, HubError> {
    let viewer = Viewer::of(&call)?;
    let reader = call.database().reader();
    let now = now();
    let limit = input.limit.unwrap_or(DEFAULT_ROWS).clamp(1, 500);
    let least = match input.older_than_ms {
        Some(asked) => Duration::from_millis(asked),
        None => NEVER_STUCK_BEFORE,
    };
    let before = earlier(now, least);
    // Those an operation's own time lets go are among them, so more are read than are wanted.
    let read = match input.older_than_ms {
        Some(_) => limit,
        None => 500,
    };
    let open = queries::stuck_calls(reader, &viewer.scope, before, read).await?;
    let usual = match input.older_than_ms {
        None if !open.is_empty() => usual_times(&call, &viewer.scope, now).await?,
        _ => HashMap::new(),
    };
    let names = Names::load(&call, &open).await?;
    let items = open.iter().filter_map(|node| {
        let age = (now - node.started_at.unwrap_or(node.created_at)).num_milliseconds();
        let age_ms = u64::try_from(age).unwrap_or(0);
        let least = u64::try_from(least.as_millis()).unwrap_or(u64::MAX);
        let usual = usual.get(node.operation_id.as_str()).copied().unwrap_or(0);
        let threshold_ms = least.max(usual.saturating_mul(STUCK_FACTOR));
        (age_ms > threshold_ms).then(|| StuckCall {
            call: CallView::of(node, &names),
            age_ms,
            threshold_ms,
        })
    });
    Ok(Stuck {
        items: items.take(usize::from(limit)).collect(),
    })
}

/// In how many milliseconds 99 of a hundred calls of each operation ended in the last day.
async fn usual_times(
    call: &Call,
    scope: &Scope,
    now: DateTimeUtc,
) -> Result<HashMap<String, u64>, HubError> {
    let request = StatsRequest {
        from: now - DEFAULT_PERIOD,
        to: now,
        bucket: None,
        group: Some(StatsGroup::Operation),
        operation: None,
    };
    let found = queries::call_stats(call.database().reader(), scope, &request).await;
    Ok(found
        .map_err(too_wide)?
        .into_iter()
        .filter_map(|row| Some((row.key?, u64::try_from(row.p99?).ok()?)))
        .collect())
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TopInput {
    /// Beginning of the period; a day before its end when absent.
    from: Option<String>,
    /// End of the period; now when absent.
    to: Option<String>,
    /// Only calls of this operation, by its full name.
    operation: Option<String>,
    /// Most rows, 1 to 500; 10 when absent.
    #[schemars(range(min = 1, max = 500))]
    n: Option<u16>,
}

/// Calls by how long they ran.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Slowest {
    /// The calls, the slowest first; `runMs` is how long each ran.
    items: Vec<CallView>,
}

async fn slowest(call: Call, input: Arc<TopInput>) -> Result<Slowest, HubError> {
    let viewer = Viewer::of(&call)?;
    let period = Period::of(input.from.as_deref(), input.to.as_deref())?;
    let operation = operation_row(&call, input.operation.as_deref()).await?;
    period
        .check(&call, &viewer.scope, operation.as_ref())
        .await?;
    let n = input.n.unwrap_or(DEFAULT_TOP).clamp(1, 500);
    let reader = call.database().reader();
    let Period { from, to } = period;
    let found =
        queries::slowest_calls(reader, &viewer.scope, operation.as_ref(), from, to, n).await?;
    let nodes: Vec<Node> = found.into_iter().map(|(node, _ms)| node).collect();
    let names = Names::load(&call, &nodes).await?;
    let items = nodes.iter().map(|node| CallView::of(node, &names));
    Ok(Slowest {
        items: items.collect(),
    })
}

/// Failed calls by their code.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Errors {
    /// The codes, the most frequent first.
    items: Vec<CodeCount>,
}

/// A code and how often it came.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct CodeCount {
    /// The code.
    code: String,
    /// Calls that failed with it.
    count: u64,
}

async fn errors(call: Call, input: Arc<TopInput>) -> Result<Errors, HubError> {
    let viewer = Viewer::of(&call)?;
    let period = Period::of(input.from.as_deref(), input.to.as_deref())?;
    let operation = operation_row(&call, input.operation.as_deref()).await?;
    period
        .check(&call, &viewer.scope, operation.as_ref())
        .await?;
    let n = input.n.unwrap_or(DEFAULT_TOP).clamp(1, 500);
    let reader = call.database().reader();
    let Period { from, to } = period;
    let found =
        queries::errors_by_code(reader, &viewer.scope, operation.as_ref(), from, to, n).await?;
    let items = found.into_iter();
    Ok(Errors {
        items: items
            .map(|(code, count)| CodeCount { code, count })
            .collect(),
    })
}

/// Length of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
enum Bucket {
    /// A minute.
    #[serde(rename = "1m")]
    Minute,
    /// An hour.
    #[serde(rename = "1h")]
    Hour,
    /// A day in UTC.
    #[serde(rename = "1d")]
    Day,
}

/// What calls are told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum Group {
    /// The operation.
    Operation,
    /// The calling account.
    Caller,
    /// Who ran it.
    Provider,
    /// The status.
    Status,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StatsInput {
    /// Beginning of the period; a day before its end when absent.
    from: Option<String>,
    /// End of the period; now when absent.
    to: Option<String>,
    /// Only calls of this operation, by its full name.
    operation: Option<String>,
    /// Length of the buckets; the whole period is one when absent.
    bucket: Option<Bucket>,
    /// What calls are told apart by.
    group_by: Option<Group>,
}

/// Numbers of a period.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Stats {
    /// Beginning of the period.
    from: String,
    /// End of the period.
    to: String,
    /// A row for each bucket and key with calls.
    items: Vec<StatsRow>,
}

/// Numbers of the calls of one bucket and key. Calls without beginning or end are counted, not timed.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct StatsRow {
    /// Beginning of the bucket.
    bucket: String,
    /// The operation's name, the account's id, `hub` or `spoke:` and its id, or the status; null
    /// where nothing is told apart, or nothing is known.
    key: Option<String>,
    /// All calls.
    count: u64,
    /// Failed ones.
    errors: u64,
    /// Half of them ran at most this many milliseconds.
    p50_ms: Option<u64>,
    /// 95 of a hundred.
    p95_ms: Option<u64>,
    /// 99 of a hundred.
    p99_ms: Option<u64>,
    /// The longest.
    max_ms: Option<u64>,
    /// Mean milliseconds between request and dispatch.
    mean_queue_ms: Option<f64>,
}

async fn stats(call: Call, input: Arc<StatsInput>) -> Result<Stats, HubError> {
    let viewer = Viewer::of(&call)?;
    let period = Period::of(input.from.as_deref(), input.to.as_deref())?;
    let operation = operation_row(&call, input.operation.as_deref()).await?;
    let request = StatsRequest {
        from: period.from,
        to: period.to,
        bucket: input.bucket.map(|bucket| match bucket {
            Bucket::Minute => StatsBucket::Minute,
            Bucket::Hour => StatsBucket::Hour,
            Bucket::Day => StatsBucket::Day,
        }),
        group: input.group_by.map(|group| match group {
            Group::Operation => StatsGroup::Operation,
            Group::Caller => StatsGroup::Caller,
            Group::Provider => StatsGroup::Provider,
            Group::Status => StatsGroup::Status,
        }),
        operation: operation.clone(),
    };
    let reader = call.database().reader();
    let rows = match queries::call_stats(reader, &viewer.scope, &request).await {
        Ok(rows) => rows,
        Err(StorageError::Rule { .. }) => {
            period
                .check(&call, &viewer.scope, operation.as_ref())
                .await?;
            let seconds = (period.to - period.from).num_seconds();
            let details = json!({ "rule": "range_too_wide", "seconds": seconds });
            return Err(wide(details).into());
        }
        Err(other) => return Err(other.into()),
    };
    let names = match input.group_by {
        Some(Group::Operation) => {
            names_of(&call, rows.iter().filter_map(|row| row.key.as_ref())).await?
        }
        _ => HashMap::new(),
    };
    let whole = |number: i64| u64::try_from(number).unwrap_or(0);
    let items = rows.into_iter().map(|row| StatsRow {
        bucket: DateTime::<Utc>::from_timestamp_millis(row.bucket_ms)
            .map(to_wire)
            .unwrap_or_default(),
        key: match input.group_by {
            Some(Group::Operation) => row.key.map(|key| names.get(&key).cloned().unwrap_or(key)),
            Some(Group::Provider) => Some(match row.key {
                Some(spoke) => format!("spoke:{spoke}"),
                None => "hub".to_owned(),
            }),
            _ => row.key,
        },
        count: whole(row.count),
        errors: whole(row.errors),
        p50_ms: row.p50.map(whole),
        p95_ms: row.p95.map(whole),
        p99_ms: row.p99.map(whole),
        max_ms: row.max.map(whole),
        mean_queue_ms: row.mean_queue,
    });
    let mut items: Vec<StatsRow> = items.collect();
    // The rows come by the ids of the operations, which say nothing to a reader.
    items.sort_by(|a, b| (&a.bucket, &a.key).cmp(&(&b.bucket, &b.key)));
    Ok(Stats {
        from: to_wire(period.from),
        to: to_wire(period.to),
        items,
    })
}

async fn names_of(
    call: &Call,
    ids: impl Iterator<Item = &String>,
) -> Result<HashMap<String, String>, HubError> {
    let mut names = HashMap::new();
    let mut unknown: Vec<OperationId> = Vec::new();
    for id in ids {
        let row = OperationId::from(id.as_str());
        match call.state().providers.name_of(&row) {
            Some(name) => {
                names.insert(id.clone(), name);
            }
            None => unknown.push(row),
        }
    }
    unknown.sort();
    unknown.dedup();
    if !unknown.is_empty() {
        for row in operations_by_ids(call.database().reader(), &unknown).await? {
            names.insert(
                row.id.to_string(),
                format!("{}.{}", row.namespace, row.name),
            );
        }
    }
    Ok(names)
}

/// From when to when.
#[derive(Debug, Clone, Copy)]
struct Period {
    from: DateTimeUtc,
    to: DateTimeUtc,
}

impl Period {
    fn of(from: Option<&str>, to: Option<&str>) -> Result<Self, HubError> {
        let mut issues = Issues::default();
        let to = issues.moment("/to", to);
        let from = issues.moment("/from", from);
        issues.finish()?;
        let to = to.unwrap_or_else(now);
        let from = from.unwrap_or(to - DEFAULT_PERIOD);
        if from > to {
            let message = "the period ends before it begins";
            return Err(CallError::validation_rule("range", message).into());
        }
        Ok(Self { from, to })
    }

    /// # Errors
    /// `UNPROCESSABLE` `range_too_wide` when the period holds too many calls.
    async fn check(
        self,
        call: &Call,
        scope: &Scope,
        operation: Option<&OperationId>,
    ) -> Result<(), HubError> {
        let reader = call.database().reader();
        let count = queries::count_calls(reader, scope, operation, self.from, self.to).await?;
        if count > MOST_CALLS {
            let details = json!({ "rule": "range_too_wide", "count": count, "limit": MOST_CALLS });
            return Err(wide(details).into());
        }
        Ok(())
    }
}

fn wide(details: serde_json::Value) -> CallError {
    let message = "the period is too wide; take a shorter one or longer buckets";
    CallError::new(ErrorCode::UNPROCESSABLE, message).with_details(details)
}

fn too_wide(error: StorageError) -> HubError {
    match error {
        StorageError::Rule { .. } => wide(json!({ "rule": "range_too_wide" })).into(),
        other => other.into(),
    }
}

fn earlier(now: DateTimeUtc, by: Duration) -> DateTimeUtc {
    TimeDelta::from_std(by)
        .ok()
        .and_then(|by| now.checked_sub_signed(by))
        .unwrap_or(DateTimeUtc::UNIX_EPOCH)
}
