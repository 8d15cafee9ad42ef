//! Graphs of calls, and of operations.
//!
//! A [`CallGraph`] holds calls: which made which, where each stands, how long it took. It is built
//! from [`CallEvent`]s in any order, or step by step by whoever runs the calls, and it keeps the rules
//! of the state machine: a call that has ended stays as it ended.
//!
//! ```
//! use alkhub_callgraph::{CallEvent, CallGraph, CallStatus};
//! use serde_json::json;
//!
//! let at = |second: u32| format!("2026-05-25T10:00:{second:02}Z");
//! let events = [
//!     json!({ "type": "call.requested", "requestId": "a", "timestamp": at(0),
//!             "operationId": "task.create", "input": { "name": "Ship" } }),
//!     json!({ "type": "call.requested", "requestId": "b", "timestamp": at(1),
//!             "operationId": "fs.read", "parentRequestId": "a", "input": {} }),
//!     json!({ "type": "call.responded", "requestId": "b", "timestamp": at(2), "output": "text" }),
//! ];
//! let events = events.into_iter().map(CallEvent::from_json).collect::<Result<Vec<_>, _>>()?;
//!
//! let (graph, report) = CallGraph::from_call_events(events);
//! assert_eq!(report.applied, 3);
//! let a = "a".parse()?;
//! assert_eq!(graph.children(&a)[0].status, CallStatus::Completed);
//! assert_eq!(graph.get(&a).map(|call| call.status), Some(CallStatus::Pending));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`LiveGraph`] is a call graph that forgets what has ended a while ago. [`stored`] and [`view`] are
//! for calls that lie in a table: trees, waterfalls, numbers.
//!
//! An [`OperationGraph`] tells which operation can feed which: whether what one gives is what the
//! other takes ([`type_compat`]).
//!
//! The crate is pure: no I/O, no clock, no async. Time is an argument. No result depends on hashing,
//! and no walk recurses over the graph.

mod call;
mod compat;
mod error;
mod event;
mod fields;
mod graph;
mod live;
mod operation_graph;
mod status;
pub mod stored;
mod time;
pub mod view;

pub use call::{AbortPolicy, CallErrorInfo, CallNode, CallPatch, StatusExtra, Transition};
pub use compat::{Mismatch, TypeCompat, type_compat};
pub use error::{GraphError, InputFault};
pub use event::{CallEvent, EventKind, Requested};
pub use graph::{
    Applied, ApplyReport, CallGraph, EdgeSet, EdgeType, GraphIssue, GraphStats, HELD_IDS,
    HELD_TIME, IssueKind, Serialized, StatusCounts,
};
pub use live::{LiveGraph, LiveLimits};
pub use operation_graph::{
    ChainMisfit, MOST_PATHS, OperationGraph, OperationNode, OperationNotFound, OperationView,
    PATH_LENGTH,
};
pub use status::CallStatus;
pub use time::{Timestamp, TimestampError};
