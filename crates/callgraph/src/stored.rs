//! Calls that lie in a table, and the graph they make.

use std::collections::HashMap;

use alkhub_operations::{Identity, JsonObject, OperationId, OperationType, RequestId};
use serde_json::Value;

use crate::call::{CallErrorInfo, CallNode};
use crate::error::GraphError;
use crate::graph::{CallGraph, EdgeType};
use crate::status::CallStatus;
use crate::time::Timestamp;

/// The note that keeps the number of items of a subscription.
const ITEMS: &str = "items";

/// One row of the calls.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredCall {
    /// Id of the row; edges point to it.
    pub id: String,
    /// The call.
    pub request_id: RequestId,
    /// What was called, by name.
    pub operation_id: OperationId,
    /// Query, mutation or subscription, if known.
    pub operation_type: Option<OperationType>,
    /// Where it stands.
    pub status: CallStatus,
    /// The call that made this one.
    pub parent_request_id: Option<RequestId>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it was started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// The caller.
    pub identity: Option<Identity>,
    /// As called.
    pub input: Option<Value>,
    /// As answered.
    pub output: Option<Value>,
    /// Why it failed or was called off.
    pub error: Option<CallErrorInfo>,
    /// Notes beside the call.
    pub metadata: JsonObject,
}

/// One row of the edges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEdge {
    /// Row of the call it comes from.
    pub source_id: String,
    /// Row of the call it goes to.
    pub target_id: String,
    /// Its type.
    pub edge_type: EdgeType,
}

impl CallGraph {
    /// The graph of rows, in any order. Edges to rows that are not among them are left out; the parent
    /// that a call names counts even when its edge is not there.
    ///
    /// # Errors
    /// [`GraphError::DuplicateNode`] and [`GraphError::Cycle`], which only damaged tables give.
    ///
    /// ```
    /// use alkhub_callgraph::stored::StoredCall;
    /// use alkhub_callgraph::{CallGraph, CallStatus, Timestamp};
    ///
    /// let row = |id: &str, parent: Option<&str>| StoredCall {
    ///     id: format!("row-{id}"),
    ///     request_id: id.parse().unwrap(),
    ///     operation_id: "fs.read".parse().unwrap(),
    ///     operation_type: None,
    ///     status: CallStatus::Pending,
    ///     parent_request_id: parent.map(|parent| parent.parse().unwrap()),
    ///     created_at: Timestamp::from_millis(0),
    ///     started_at: None,
    ///     completed_at: None,
    ///     identity: None,
    ///     input: None,
    ///     output: None,
    ///     error: None,
    ///     metadata: Default::default(),
    /// };
    /// let graph = CallGraph::from_rows([row("b", Some("a")), row("a", None)], [])?;
    /// assert_eq!(graph.children(&"a".parse()?).len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_rows(
        calls: impl IntoIterator<Item = StoredCall>,
        edges: impl IntoIterator<Item = StoredEdge>,
    ) -> Result<Self, GraphError> {
        let mut calls: Vec<StoredCall> = calls.into_iter().collect();
        let mut rows: HashMap<String, (usize, RequestId)> = HashMap::new();
        for (place, call) in calls.iter().enumerate() {
            rows.insert(call.id.clone(), (place, call.request_id.clone()));
        }
        let mut dependencies = Vec::new();
        for edge in edges {
            let ends = (rows.get(&edge.source_id), rows.get(&edge.target_id));
            let (Some((_, from)), Some((place, to))) = ends else {
                continue;
            };
            match edge.edge_type {
                EdgeType::Triggered => {
                    let parent = &mut calls[*place].parent_request_id;
                    parent.get_or_insert_with(|| from.clone());
                }
                EdgeType::DependsOn => dependencies.push((from.clone(), to.clone())),
                EdgeType::Sequential | EdgeType::Conditional => {}
            }
        }
        let mut graph = Self::new();
        for call in calls {
            graph.add_call(call.into())?;
        }
        for (before, after) in dependencies {
            graph.add_dependency(&before, &after)?;
        }
        Ok(graph)
    }

    /// The rows of the calls that have one, in order.
    #[must_use]
    pub fn to_rows(&self) -> (Vec<StoredCall>, Vec<StoredEdge>) {
        let calls = self.list();
        let rows = calls
            .into_iter()
            .filter_map(StoredCall::from_call)
            .collect();
        let row_of = |id: &RequestId| self.get(id)?.row_id.clone();
        let edges = self.edges().into_iter().filter_map(|edge| {
            Some(StoredEdge {
                source_id: row_of(edge.from)?,
                target_id: row_of(edge.to)?,
                edge_type: edge.kind,
            })
        });
        (rows, edges.collect())
    }
}

impl StoredCall {
    /// The row of a call; none unless it has one and is known to have been asked for at some time.
    #[must_use]
    pub fn from_call(call: &CallNode) -> Option<Self> {
        let mut metadata = call.metadata.clone();
        if call.items > 0 {
            metadata.insert(ITEMS.to_owned(), call.items.into());
        }
        Some(Self {
            id: call.row_id.clone()?,
            request_id: call.request_id.clone(),
            operation_id: call.operation_id.clone(),
            operation_type: call.operation_type,
            status: call.status,
            parent_request_id: call.parent_request_id.clone(),
            created_at: call.requested_at?,
            started_at: call.started_at,
            completed_at: call.completed_at,
            identity: call.identity.clone(),
            input: call.input.clone(),
            output: call.output.clone(),
            error: call.error.clone(),
            metadata,
        })
    }
}

impl From<StoredCall> for CallNode {
    fn from(row: StoredCall) -> Self {
        let items = row.metadata.get(ITEMS).and_then(Value::as_u64).unwrap_or(0);
        let mut call = Self::new(row.request_id, row.operation_id);
        call.row_id = Some(row.id);
        call.operation_type = row.operation_type;
        call.status = row.status;
        call.parent_request_id = row.parent_request_id;
        call.requested_at = Some(row.created_at);
        call.started_at = row.started_at;
        call.completed_at = row.completed_at;
        call.identity = row.identity;
        call.input = row.input;
        call.output = row.output;
        call.error = row.error;
        call.metadata = row.metadata;
        call.items = items;
        call
    }
}
