//! Numbers over recorded calls. Percentiles are nearest rank on both engines.

use sea_orm::{ConnectionTrait, FromQueryResult, Value};

use crate::engine::Engine;
use crate::entity::call_graph_nodes::Model;
use crate::enums::CallStatus;
use crate::error::StorageError;
use crate::ids::OperationId;
use crate::scope::Scope;
use crate::time::DateTimeUtc;
use crate::{row, sql};

use super::lookups::without_payload;

/// Most buckets of an answer.
const MOST_BUCKETS: i64 = 10_000;
/// Most rows that are looked at.
const MOST_ROWS: u64 = 2_000_000;
/// 2000-01-01 in milliseconds, where buckets begin.
const ORIGIN: i64 = 946_684_800_000;

/// Length of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatsBucket {
    /// A minute.
    Minute,
    /// An hour.
    Hour,
    /// A day in UTC.
    Day,
}

impl StatsBucket {
    fn milliseconds(self) -> i64 {
        match self {
            Self::Minute => 60_000,
            Self::Hour => 3_600_000,
            Self::Day => 86_400_000,
        }
    }
}

/// What calls are told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatsGroup {
    /// The operation's id.
    Operation,
    /// The caller's account.
    Caller,
    /// The spoke that ran it.
    Provider,
    /// The status.
    Status,
}

/// Which numbers are wanted.
#[derive(Debug, Clone)]
pub struct StatsRequest {
    /// Calls requested not before.
    pub from: DateTimeUtc,
    /// Calls requested before.
    pub to: DateTimeUtc,
    /// Length of the buckets; none = the whole period is one.
    pub bucket: Option<StatsBucket>,
    /// What they are told apart by.
    pub group: Option<StatsGroup>,
    /// Only of this operation.
    pub operation: Option<OperationId>,
}

/// Numbers of the calls of one bucket and group. Times are whole milliseconds.
#[derive(Debug, Clone, PartialEq, FromQueryResult)]
pub struct CallStats {
    /// Beginning of the bucket, in milliseconds since 1970.
    pub bucket_ms: i64,
    /// Value of what they are told apart by.
    pub key: Option<String>,
    /// All calls.
    pub count: i64,
    /// Failed ones.
    pub errors: i64,
    /// Half of the timed ones took at most this long.
    pub p50: Option<i64>,
    /// 95 of a hundred.
    pub p95: Option<i64>,
    /// 99 of a hundred.
    pub p99: Option<i64>,
    /// The longest.
    pub max: Option<i64>,
    /// Mean time between request and dispatch.
    pub mean_queue: Option<f64>,
}

/// Numbers of the calls of a period that the asker may see.
///
/// Errors: `Rule` of `range_too_wide` over 10,000 buckets or 2 million calls.
pub async fn call_stats(
    db: &impl ConnectionTrait,
    scope: &Scope,
    request: &StatsRequest,
) -> Result<Vec<CallStats>, StorageError> {
    let too_wide = || StorageError::Rule {
        name: "range_too_wide".to_owned(),
    };
    if let Some(bucket) = request.bucket {
        let span = (request.to - request.from).num_milliseconds();
        if span / bucket.milliseconds() > MOST_BUCKETS {
            return Err(too_wide());
        }
    }
    let operation = request.operation.as_ref();
    let rows = count_calls(db, scope, operation, request.from, request.to).await?;
    if rows > MOST_ROWS {
        return Err(too_wide());
    }
    let engine = Engine::of(db);
    let range = Range::new(db, scope, operation, request.from, request.to);
    let key = match request.group {
        None => "cast(null as text)".to_owned(),
        Some(StatsGroup::Operation) => "operation_id".to_owned(),
        Some(StatsGroup::Caller) => "caller_account_id".to_owned(),
        Some(StatsGroup::Provider) => engine.json_text_sql("call_graph_nodes.metadata", "spokeId"),
        Some(StatsGroup::Status) => "status".to_owned(),
    };
    let rows = format!(
        "select {} as bucket_ms, {key} as key, status, {} as ms, {} as queue
         from call_graph_nodes where {}",
        bucket_sql(engine, request.bucket, request.from),
        duration_sql(engine, "call_graph_nodes"),
        queue_sql(engine),
        range.requested(),
    );
    let text = match engine {
        Engine::Postgres => format!(
            "with r as ({rows})
             select bucket_ms, key, count(*) as count,
                 count(*) filter (where status = 'failed') as errors,
                 percentile_disc(0.5) within group (order by ms) as p50,
                 percentile_disc(0.95) within group (order by ms) as p95,
                 percentile_disc(0.99) within group (order by ms) as p99,
                 max(ms) as max, cast(avg(queue) as double precision) as mean_queue
             from r group by bucket_ms, key order by bucket_ms, key collate \"C\" nulls first"
        ),
        Engine::Sqlite => format!(
            "with r as ({rows}), ranked as (
                 select *, row_number() over (partition by bucket_ms, key, ms is null order by ms) as place,
                     count(ms) over (partition by bucket_ms, key) as timed
                 from r)
             select bucket_ms, key, count(*) as count,
                 count(*) filter (where status = 'failed') as errors,
                 max(ms) filter (where ms is not null and place = max(1, {})) as p50,
                 max(ms) filter (where ms is not null and place = max(1, {})) as p95,
                 max(ms) filter (where ms is not null and place = max(1, {})) as p99,
                 max(ms) as max, avg(queue) as mean_queue
             from ranked group by bucket_ms, key order by bucket_ms, key nulls first",
            rank_sql(50),
            rank_sql(95),
            rank_sql(99),
        ),
    };
    sql::all(db, &text, range.values).await
}

/// The calls that took longest, of those the asker may see, with their milliseconds and without input
/// and output: of one operation by when they were requested, of all by when they were dispatched.
pub async fn slowest_calls(
    db: &impl ConnectionTrait,
    scope: &Scope,
    operation: Option<&OperationId>,
    from: DateTimeUtc,
    to: DateTimeUtc,
    limit: u16,
) -> Result<Vec<(Model, u64)>, StorageError> {
    let engine = Engine::of(db);
    let mut range = Range::new(db, scope, operation, from, to);
    let period = match operation {
        Some(_) => range.requested(),
        None => range.dispatched(),
    };
    let limit = range.also(i64::from(limit));
    let text = format!(
        "select {}, {} as ms from call_graph_nodes
         where {period} and started_at is not null and completed_at is not null
         order by ms desc, created_at, id limit {limit}",
        without_payload(engine),
        duration_sql(engine, "call_graph_nodes")
    );
    sql::rows(db, &text, range.values)
        .await?
        .iter()
        .map(|row| {
            let ms: i64 = row.try_get("", "ms")?;
            Ok((
                Model::from_query_result(row, "")?,
                u64::try_from(ms).unwrap_or(0),
            ))
        })
        .collect()
}

/// How many calls failed with each code in a period, of those the asker may see; the most frequent
/// first.
pub async fn errors_by_code(
    db: &impl ConnectionTrait,
    scope: &Scope,
    operation: Option<&OperationId>,
    from: DateTimeUtc,
    to: DateTimeUtc,
    limit: u16,
) -> Result<Vec<(String, u64)>, StorageError> {
    let engine = Engine::of(db);
    let code = format!(
        "coalesce({}, '')",
        engine.json_text_sql("call_graph_nodes.error", "code")
    );
    let ordered = if engine == Engine::Postgres {
        "code collate \"C\""
    } else {
        "code"
    };
    let mut range = Range::new(db, scope, operation, from, to);
    let limit = range.also(i64::from(limit));
    let text = format!(
        "select code, number from (
             select {code} as code, count(*) as number from call_graph_nodes
             where status = 'failed' and {}
             group by 1) counted
         order by number desc, {ordered} limit {limit}",
        range.requested()
    );
    sql::rows(db, &text, range.values)
        .await?
        .iter()
        .map(|row| {
            let number: i64 = row.try_get_by_index(1)?;
            Ok((row.try_get_by_index(0)?, u64::try_from(number).unwrap_or(0)))
        })
        .collect()
}

/// How many calls of an operation are open, and how many are recorded in all.
pub async fn calls_of_operation_count(
    db: &impl ConnectionTrait,
    operation: &OperationId,
) -> Result<(u64, u64), StorageError> {
    #[derive(FromQueryResult)]
    struct Counted {
        live: i64,
        total: i64,
    }
    let counted: Counted = sql::one(
        db,
        "select count(*) filter (where status in ('pending', 'running')) as live,
             count(*) as total from call_graph_nodes where operation_id = $1",
        [operation.as_str().into()],
    )
    .await?
    .ok_or_else(|| StorageError::unexpected("counts without an answer"))?;
    Ok((
        u64::try_from(counted.live).unwrap_or(0),
        u64::try_from(counted.total).unwrap_or(0),
    ))
}

/// How many calls the asker may see were requested in a period.
pub async fn count_calls(
    db: &impl ConnectionTrait,
    scope: &Scope,
    operation: Option<&OperationId>,
    from: DateTimeUtc,
    to: DateTimeUtc,
) -> Result<u64, StorageError> {
    let range = Range::new(db, scope, operation, from, to);
    let text = format!(
        "select count(*) from call_graph_nodes where {}",
        range.requested()
    );
    sql::count(db, &text, range.values).await
}

/// How many calls have each status.
pub async fn count_calls_by_status(
    db: &impl ConnectionTrait,
) -> Result<Vec<(CallStatus, u64)>, StorageError> {
    row::count_by(db, "call_graph_nodes", "status", "1 = 1", []).await
}

/// The part of a `where` that says which calls: those of a period the asker may see, of all operations
/// or one.
struct Range {
    visible: String,
    operation: bool,
    /// Number of parameters the scope has.
    before: usize,
    values: Vec<Value>,
}

impl Range {
    fn new(
        db: &impl ConnectionTrait,
        scope: &Scope,
        operation: Option<&OperationId>,
        from: DateTimeUtc,
        to: DateTimeUtc,
    ) -> Self {
        let (visible, mut values) = scope.calls_sql(Engine::of(db));
        let before = values.len();
        values.extend([from.into(), to.into()]);
        values.extend(operation.map(|id| Value::from(id.as_str())));
        Self {
            visible,
            operation: operation.is_some(),
            before,
            values,
        }
    }

    /// Takes one more value; gives its parameter.
    fn also(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("${}", self.values.len())
    }

    fn requested(&self) -> String {
        self.by("created_at")
    }

    fn dispatched(&self) -> String {
        self.by("started_at")
    }

    fn by(&self, time: &str) -> String {
        let (from, to, id) = (self.before + 1, self.before + 2, self.before + 3);
        let operation = match self.operation {
            true => format!("call_graph_nodes.operation_id = ${id} and "),
            false => String::new(),
        };
        let visible = &self.visible;
        format!(
            "{operation}call_graph_nodes.{time} >= ${from} and call_graph_nodes.{time} < ${to}
             and ({visible})"
        )
    }
}

/// Whole milliseconds a call ran; null when it has no beginning or no end.
pub(super) fn duration_sql(engine: Engine, table: &str) -> String {
    format!(
        "({} - {})",
        milliseconds_sql(engine, &format!("{table}.completed_at")),
        milliseconds_sql(engine, &format!("{table}.started_at"))
    )
}

fn queue_sql(engine: Engine) -> String {
    format!(
        "({} - {})",
        milliseconds_sql(engine, "call_graph_nodes.started_at"),
        milliseconds_sql(engine, "call_graph_nodes.created_at")
    )
}

/// Milliseconds since 1970 of a time column.
fn milliseconds_sql(engine: Engine, column: &str) -> String {
    match engine {
        // julianday is exact to the millisecond for these decades.
        Engine::Sqlite => {
            format!("cast(round((julianday({column}) - 2440587.5) * 86400000) as integer)")
        }
        Engine::Postgres => format!("cast(floor(extract(epoch from {column}) * 1000) as bigint)"),
    }
}

fn bucket_sql(engine: Engine, bucket: Option<StatsBucket>, from: DateTimeUtc) -> String {
    match bucket {
        None => format!("cast({} as bigint)", from.timestamp_millis()),
        Some(bucket) => {
            let width = bucket.milliseconds();
            let at = milliseconds_sql(engine, "call_graph_nodes.created_at");
            format!("({at} - ({at} - {ORIGIN}) % {width})")
        }
    }
}

/// Nearest rank: the least place that covers so many of a hundred.
fn rank_sql(percent: u32) -> String {
    format!("(timed * {percent} + 99) / 100")
}
