//! Where the time of a tree of calls went.

use std::collections::HashSet;

use alkhub_operations::{OperationId, RequestId};
use serde::Serialize;
use serde_json::Value;

use super::tree::visible_parent;
use super::{Cut, cut, is_false};
use crate::call::CallNode;
use crate::graph::CallGraph;
use crate::status::CallStatus;
use crate::time::Timestamp;

/// The rows of a waterfall in pre-order.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Waterfall {
    /// The calls; the first is the root.
    pub rows: Vec<WaterfallRow>,
    /// True when the tree has more calls than these.
    pub more: bool,
}

/// One call of a waterfall. Times are whole milliseconds. Of a hidden call only status and times are
/// told.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WaterfallRow {
    /// Levels below the root.
    pub depth: usize,
    /// The call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
    /// The call that made it, unless that one is hidden.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_request_id: Option<RequestId>,
    /// What was called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation_id: Option<OperationId>,
    /// Where it stands.
    pub status: CallStatus,
    /// From the root's request to its start, or to its own request if it never started. Negative
    /// only where clocks disagreed; none when one of the times is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset_ms: Option<i64>,
    /// From its request to its start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_ms: Option<u64>,
    /// From its start to its end, or to now while it is open; none if it never started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_ms: Option<u64>,
    /// The part of `run_ms` in which none of its children ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub self_ms: Option<u64>,
    /// True while it is open.
    #[serde(skip_serializing_if = "is_false")]
    pub live: bool,
    /// True on the critical path of the tree.
    pub critical: bool,
    /// How often it was sent, when more than once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u64>,
    /// What an abort came to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub abort: Option<AbortOutcome>,
    /// True when the reader may not see it.
    #[serde(skip_serializing_if = "is_false")]
    pub hidden: bool,
    /// True when some of its children are not among the rows.
    #[serde(skip_serializing_if = "is_false")]
    pub more: bool,
}

/// What an abort came to for one call, by the notes `abort` and `detachedFrom`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, strum::Display, strum::IntoStaticStr,
)]
#[serde(rename_all = "camelCase")]
#[strum(serialize_all = "camelCase")]
pub enum AbortOutcome {
    /// It is aborted, and whoever ran it has said so.
    Aborted,
    /// It goes on although the call that made it was aborted.
    Survived,
    /// Whoever ran it was told and said nothing.
    Unconfirmed,
    /// Whoever ran it was not connected.
    Unreachable,
}

/// The waterfall of the tree below a call; none when the call is not in the graph.
pub fn waterfall(
    graph: &CallGraph,
    root: &RequestId,
    limits: Cut,
    now: Timestamp,
    visible: impl Fn(&CallNode) -> bool,
) -> Option<Waterfall> {
    let shown = cut(graph, root, limits)?;
    let start = graph.find(root)?;
    let origin = graph.call(start).requested_at;
    let critical: HashSet<u32> = graph.critical_slots(start).into_iter().collect();
    let more = shown.iter().any(|row| row.more);
    let rows = shown.into_iter().map(|row| {
        let call = graph.call(row.slot);
        let seen = visible(call).then_some(call);
        let run = run_of(call, now);
        let begin = call.started_at.or(call.requested_at);
        WaterfallRow {
            depth: row.depth,
            request_id: seen.map(|call| call.request_id.clone()),
            parent_request_id: seen.and_then(|_| visible_parent(graph, row.slot, &visible)),
            operation_id: seen.map(|call| call.operation_id.clone()),
            status: call.status,
            offset_ms: begin
                .zip(origin)
                .map(|(begin, origin)| begin.as_millis() - origin.as_millis()),
            queue_ms: call
                .started_at
                .zip(call.requested_at)
                .map(|(started, requested)| milliseconds(requested, started)),
            run_ms: run.map(|(from, to)| milliseconds(from, to)),
            self_ms: run.map(|run| own_time(graph, row.slot, run, now)),
            live: call.status.is_open(),
            critical: critical.contains(&row.slot),
            attempt: seen.and_then(|call| call.metadata.get("attempt")?.as_u64()),
            abort: seen.and_then(abort_outcome),
            hidden: seen.is_none(),
            more: row.more,
        }
    });
    Some(Waterfall {
        rows: rows.collect(),
        more,
    })
}

/// From when to when a call ran, so far.
fn run_of(call: &CallNode, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
    let from = call.started_at?;
    let to = if call.status.is_open() {
        now
    } else {
        call.completed_at?
    };
    Some((from, to.max(from)))
}

/// Milliseconds of a run in which no child ran.
fn own_time(graph: &CallGraph, slot: u32, run: (Timestamp, Timestamp), now: Timestamp) -> u64 {
    let (from, to) = run;
    let mut covered: Vec<(Timestamp, Timestamp)> = graph
        .children_of(slot)
        .filter_map(|child| run_of(graph.call(child), now))
        .map(|(begin, end)| (begin.max(from), end.min(to)))
        .filter(|(begin, end)| begin < end)
        .collect();
    covered.sort_unstable();
    let mut own = 0;
    let mut free_from = from;
    for (begin, end) in covered {
        own += milliseconds(free_from, begin);
        free_from = free_from.max(end);
    }
    own + milliseconds(free_from, to)
}

fn abort_outcome(call: &CallNode) -> Option<AbortOutcome> {
    if call.status != CallStatus::Aborted {
        let survived = call.metadata.contains_key("detachedFrom");
        return survived.then_some(AbortOutcome::Survived);
    }
    let abort = call.metadata.get("abort");
    let says = |name: &str| {
        abort
            .and_then(|abort| abort.get(name))
            .and_then(Value::as_bool)
    };
    Some(if says("unreachable") == Some(true) {
        AbortOutcome::Unreachable
    } else if says("confirmed") == Some(false) {
        AbortOutcome::Unconfirmed
    } else {
        AbortOutcome::Aborted
    })
}

fn milliseconds(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.since(from).as_millis()).unwrap_or(u64::MAX)
}
