//! Queries of the call graph: the statements of the recorder, look-ups, statistics, retention.

mod lists;
mod lookups;
mod prune;
mod record;
mod statistics;

pub use lists::{CallFilter, calls, live_calls, stuck_calls};
pub use lookups::{
    CallTree, TreeNode, call_ancestors, call_by_id, call_by_request_id, call_tree, edges_from,
    edges_into, recorded_call,
};
pub use prune::{PrunePosition, PruneRequest, Pruned, prune_calls};
pub use record::{
    CallEnd, Inserted, NewCall, NewEdge, Running, finish_calls, insert_calls, insert_edges,
    lock_operations, mark_running, patch_calls,
};
pub use statistics::{
    CallStats, StatsBucket, StatsGroup, StatsRequest, call_stats, calls_of_operation_count,
    count_calls, count_calls_by_status, errors_by_code, slowest_calls,
};
