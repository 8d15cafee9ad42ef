//! A tree of calls.

use alkhub_operations::{ErrorCode, OperationId, RequestId};
use serde::Serialize;

use super::{Cut, cut, is_false};
use crate::call::CallNode;
use crate::graph::{CallGraph, NONE};
use crate::status::CallStatus;
use crate::time::Timestamp;

/// A tree in pre-order.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CallTree {
    /// The calls; the first is the root.
    pub nodes: Vec<TreeRow>,
    /// True when it has more calls than these.
    pub more: bool,
}

/// One call of a tree. Of a hidden one only status and times are told.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TreeRow {
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
    /// When it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requested_at: Option<Timestamp>,
    /// When it was started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
    /// Code of its error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<ErrorCode>,
    /// True when the reader may not see it.
    #[serde(skip_serializing_if = "is_false")]
    pub hidden: bool,
    /// True when some of its children are not among the rows.
    #[serde(skip_serializing_if = "is_false")]
    pub more: bool,
}

/// The tree below a call; none when the call is not in the graph.
///
/// ```
/// use alkhub_callgraph::view::{Cut, call_tree};
/// use alkhub_callgraph::{CallGraph, CallNode};
///
/// let mut graph = CallGraph::new();
/// graph.add_call(CallNode::new("a".parse()?, "task.create".parse()?))?;
/// graph.add_call(CallNode::new("b".parse()?, "fs.read".parse()?).with_parent("a".parse()?))?;
/// let tree = call_tree(&graph, &"a".parse()?, Cut::default(), |_| true).unwrap();
/// assert_eq!((tree.nodes.len(), tree.nodes[1].depth, tree.more), (2, 1, false));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn call_tree(
    graph: &CallGraph,
    root: &RequestId,
    limits: Cut,
    visible: impl Fn(&CallNode) -> bool,
) -> Option<CallTree> {
    let shown = cut(graph, root, limits)?;
    let more = shown.iter().any(|row| row.more);
    let nodes = shown.into_iter().map(|row| {
        let call = graph.call(row.slot);
        let seen = visible(call).then_some(call);
        TreeRow {
            depth: row.depth,
            request_id: seen.map(|call| call.request_id.clone()),
            parent_request_id: seen.and_then(|_| visible_parent(graph, row.slot, &visible)),
            operation_id: seen.map(|call| call.operation_id.clone()),
            status: call.status,
            requested_at: call.requested_at,
            started_at: call.started_at,
            completed_at: call.completed_at,
            error_code: seen.and_then(|call| Some(call.error.as_ref()?.code.clone())),
            hidden: seen.is_none(),
            more: row.more,
        }
    });
    Some(CallTree {
        nodes: nodes.collect(),
        more,
    })
}

/// The id of the parent, unless that one is in the graph and hidden.
pub(super) fn visible_parent(
    graph: &CallGraph,
    slot: u32,
    visible: impl Fn(&CallNode) -> bool,
) -> Option<RequestId> {
    let parent = graph.parent_of(slot);
    if parent != NONE && !visible(graph.call(parent)) {
        return None;
    }
    graph.call(slot).parent_request_id.clone()
}
