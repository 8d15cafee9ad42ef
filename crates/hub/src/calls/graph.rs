//! Rows of calls as a graph, with what the caller may see of it.

use std::collections::{HashMap, HashSet};

use alkhub_callgraph::stored::StoredCall;
use alkhub_callgraph::{CallErrorInfo, CallGraph, CallStatus as Status, GraphError, Timestamp};
use alkhub_operations::{ErrorCode, OperationId, RequestId};
use alkhub_storage::calls::{self as queries, TreeNode};
use alkhub_storage::entity::call_graph_nodes::Model as Node;
use alkhub_storage::enums::CallStatus;
use serde_json::json;

use super::Viewer;
use super::view::Names;
use crate::error::{HubError, unforeseen};
use crate::state::Call;

/// Calls of a table as a graph.
pub(super) struct Loaded {
    pub(super) graph: CallGraph,
    /// The rows, by request id.
    pub(super) rows: HashMap<RequestId, Node>,
    visible: HashSet<RequestId>,
    /// Whether calls were left out already when the rows were read.
    pub(super) truncated: bool,
}

impl Loaded {
    /// The call and what it called, one level and one call more than is wanted: so a cut is noticed.
    pub(super) async fn tree(
        call: &Call,
        viewer: &Viewer,
        root: &str,
        depth: u32,
        limit: u32,
    ) -> Result<Self, HubError> {
        let reader = call.database().reader();
        let (depth, limit) = (depth.saturating_add(1), limit.saturating_add(1));
        let tree = queries::call_tree(reader, &viewer.scope, root, depth, limit).await?;
        let names = Names::load(call, tree.nodes.iter().map(|found| &found.node)).await?;
        Self::of(viewer, tree.nodes, &names, tree.truncated)
    }

    /// The graph of these rows, parents before children.
    pub(super) fn of(
        viewer: &Viewer,
        found: Vec<TreeNode>,
        names: &Names,
        truncated: bool,
    ) -> Result<Self, HubError> {
        let mut below_own: HashSet<String> = HashSet::new();
        let mut visible = HashSet::new();
        let mut rows = HashMap::new();
        let mut stored = Vec::with_capacity(found.len());
        for TreeNode {
            node,
            visible: seen,
            ..
        } in found
        {
            let parent = node.parent_request_id.as_ref();
            let mine =
                viewer.owns(&node) || parent.is_some_and(|parent| below_own.contains(parent));
            if mine {
                below_own.insert(node.request_id.clone());
            }
            let Some(call) = stored_call(&node, &names.of(&node)) else {
                tracing::warn!(id = %node.id, "a row of the calls is damaged and left out");
                continue;
            };
            let id = call.request_id.clone();
            if seen || mine {
                visible.insert(id.clone());
            }
            rows.insert(id, node);
            stored.push(call);
        }
        let graph = CallGraph::from_rows(stored, []).map_err(damaged)?;
        Ok(Self {
            graph,
            rows,
            visible,
            truncated,
        })
    }

    pub(super) fn sees(&self, id: &RequestId) -> bool {
        self.visible.contains(id)
    }

    /// The graph for somebody outside: what may not be seen has a made-up name, its status and its
    /// times.
    pub(super) fn masked(&self) -> Result<CallGraph, HubError> {
        let calls = self.graph.list();
        let hidden: HashMap<&RequestId, RequestId> = calls
            .iter()
            .map(|call| &call.request_id)
            .filter(|id| !self.sees(id))
            .enumerate()
            .filter_map(|(number, id)| {
                let name = RequestId::new(format!("hidden-{}", number + 1)).ok()?;
                Some((id, name))
            })
            .collect();
        let mut graph = CallGraph::new();
        for call in calls {
            let mut copy = call.clone();
            copy.row_id = None;
            copy.metadata.remove("inputMac");
            if let Some(name) = hidden.get(&call.request_id) {
                copy.request_id = name.clone();
                if let Some(name) = hidden_operation() {
                    copy.operation_id = name;
                }
                copy.error = None;
                copy.metadata.clear();
                copy.unknown.insert("hidden".to_owned(), json!(true));
            }
            if let Some(parent) = &call.parent_request_id
                && let Some(name) = hidden.get(parent)
            {
                copy.parent_request_id = Some(name.clone());
            }
            graph.add_call(copy).map_err(damaged)?;
        }
        Ok(graph)
    }
}

fn damaged(error: GraphError) -> HubError {
    unforeseen(&error).into()
}

/// The row in the form of the graph, without input, output, identity and error details. None for a row
/// with a request id or a name that could never have been recorded.
fn stored_call(node: &Node, name: &str) -> Option<StoredCall> {
    Some(StoredCall {
        id: node.id.to_string(),
        request_id: RequestId::new(node.request_id.as_str()).ok()?,
        operation_id: name.parse().ok().or_else(removed_operation)?,
        operation_type: None,
        status: status_of(node.status),
        parent_request_id: node
            .parent_request_id
            .as_deref()
            .and_then(|parent| RequestId::new(parent).ok()),
        created_at: Timestamp::from(node.created_at),
        started_at: node.started_at.map(Timestamp::from),
        completed_at: node.completed_at.map(Timestamp::from),
        identity: None,
        input: None,
        output: None,
        error: node.error.as_ref().map(|error| {
            CallErrorInfo::new(ErrorCode::other(error.code.clone()), error.message.clone())
        }),
        metadata: node.metadata.0.clone(),
    })
}

/// Stands for operations whose name is not known any more.
fn removed_operation() -> Option<OperationId> {
    "hub.removed".parse().ok()
}

/// Stands for operations the caller may not see.
fn hidden_operation() -> Option<OperationId> {
    "hub.hidden".parse().ok()
}

fn status_of(status: CallStatus) -> Status {
    match status {
        CallStatus::Pending => Status::Pending,
        CallStatus::Running => Status::Running,
        CallStatus::Completed => Status::Completed,
        CallStatus::Failed => Status::Failed,
        CallStatus::Aborted => Status::Aborted,
    }
}

/// The same status in the words of the table.
pub(super) fn stored_status(status: Status) -> CallStatus {
    match status {
        Status::Pending => CallStatus::Pending,
        Status::Running => CallStatus::Running,
        Status::Completed => CallStatus::Completed,
        Status::Failed => CallStatus::Failed,
        Status::Aborted => CallStatus::Aborted,
    }
}
