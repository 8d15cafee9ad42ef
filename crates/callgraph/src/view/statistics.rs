//! Numbers of calls by operation.

use std::collections::BTreeMap;

use alkhub_operations::OperationId;
use serde::Serialize;

use crate::call::CallNode;
use crate::status::CallStatus;

/// Numbers of the calls of one operation. Times are whole milliseconds from start to end; calls that
/// lack one of both are counted and not timed.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OperationStats {
    /// The operation.
    pub operation_id: OperationId,
    /// All calls.
    pub count: u64,
    /// Failed ones.
    pub errors: u64,
    /// Half of the timed ones took at most this long.
    pub p50_ms: Option<u64>,
    /// 95 of a hundred.
    pub p95_ms: Option<u64>,
    /// 99 of a hundred.
    pub p99_ms: Option<u64>,
    /// The longest.
    pub max_ms: Option<u64>,
    /// Mean time between request and start, of those that have both.
    pub mean_queue_ms: Option<f64>,
}

#[derive(Default)]
struct Gathered {
    count: u64,
    errors: u64,
    times: Vec<u64>,
    queued: u64,
    queue_total: u64,
}

/// Numbers by operation, in the order of their ids.
#[must_use]
pub fn operation_stats<'a>(calls: impl IntoIterator<Item = &'a CallNode>) -> Vec<OperationStats> {
    let mut by_operation: BTreeMap<&OperationId, Gathered> = BTreeMap::new();
    let whole = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    for call in calls {
        let gathered = by_operation.entry(&call.operation_id).or_default();
        gathered.count += 1;
        gathered.errors += u64::from(call.status == CallStatus::Failed);
        gathered.times.extend(call.duration().map(whole));
        if let (Some(requested), Some(started)) = (call.requested_at, call.started_at) {
            gathered.queued += 1;
            gathered.queue_total += whole(started.since(requested));
        }
    }
    by_operation
        .into_iter()
        .map(|(operation_id, mut gathered)| {
            gathered.times.sort_unstable();
            let times = &gathered.times;
            #[expect(clippy::cast_precision_loss, reason = "a mean needs no more digits")]
            let mean = gathered.queue_total as f64 / gathered.queued as f64;
            OperationStats {
                operation_id: operation_id.clone(),
                count: gathered.count,
                errors: gathered.errors,
                p50_ms: nearest_rank(times, 50),
                p95_ms: nearest_rank(times, 95),
                p99_ms: nearest_rank(times, 99),
                max_ms: times.last().copied(),
                mean_queue_ms: (gathered.queued > 0).then_some(mean),
            }
        })
        .collect()
}

/// The least of sorted values that so many of a hundred do not exceed: always one of the values, as
/// databases give it by `percentile_disc`.
///
/// ```
/// use alkhub_callgraph::view::nearest_rank;
///
/// assert_eq!(nearest_rank(&[10, 20, 30, 40], 50), Some(20));
/// assert_eq!(nearest_rank(&[10, 20, 30, 40], 95), Some(40));
/// assert_eq!(nearest_rank(&[], 50), None);
/// ```
#[must_use]
pub fn nearest_rank(sorted: &[u64], percent: usize) -> Option<u64> {
    let place = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(place - 1).or(sorted.last()).copied()
}
