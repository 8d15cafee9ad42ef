//! How calls are shown.

use std::collections::HashMap;

use alkhub_storage::entity::call_graph_nodes::Model as Node;
use alkhub_storage::enums::CallStatus;
use alkhub_storage::ids::{AccountId, CallGraphNodeId, OperationId, REMOVED_OPERATION};
use alkhub_storage::json::{CallFailure, CallIdentity};
use alkhub_storage::spokes::operations_by_ids;
use alkhub_storage::time::format as to_wire;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::error::HubError;
use crate::state::Call;

/// Notes that mean nothing outside of the hub.
const INTERNAL: &[&str] = &["inputMac"];

/// A recorded call.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct CallView {
    /// Id of the row.
    id: CallGraphNodeId,
    /// Id of the call.
    request_id: String,
    /// Full name of what was called.
    operation: String,
    /// The call that made this one; null at the top.
    parent_request_id: Option<String>,
    /// The calling account; null for the hub itself.
    caller_account_id: Option<AccountId>,
    /// Where it stands.
    status: CallStatus,
    /// Who ran it: `hub`, or `spoke:` and its id.
    provider: String,
    /// Why it failed or was called off.
    error: Option<FailureView>,
    /// When it was requested.
    created_at: String,
    /// When it was dispatched.
    started_at: Option<String>,
    /// When it ended.
    completed_at: Option<String>,
    /// When the row was last changed.
    updated_at: String,
    /// Milliseconds between request and dispatch.
    queue_ms: Option<u64>,
    /// Milliseconds between dispatch and end.
    run_ms: Option<u64>,
    /// The hub's notes: `projectId`, `sessionId`, `spokeId`, `attempt`, `abort` and so on.
    metadata: Map<String, Value>,
}

/// Why a call failed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
struct FailureView {
    /// For programs.
    code: String,
    /// For people.
    message: String,
    /// What belongs to the code.
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Value>,
}

/// A recorded call with what went in and came out.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct CallDetails {
    #[serde(flatten)]
    call: CallView,
    /// The caller at call time; only where the input is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<CallIdentity>,
    /// As called: redacted, and cut when it was large.
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<Value>,
    /// As answered, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<Value>,
    /// True when input and output were asked for and may not be seen.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    withheld: bool,
}

impl CallView {
    pub(super) fn of(node: &Node, names: &Names) -> Self {
        let metadata = node.metadata.0.iter();
        Self {
            id: node.id.clone(),
            request_id: node.request_id.clone(),
            operation: names.of(node),
            parent_request_id: node.parent_request_id.clone(),
            caller_account_id: node.caller_account_id.clone(),
            status: node.status,
            provider: provider_of(node),
            error: node.error.as_ref().map(FailureView::brief),
            created_at: to_wire(node.created_at),
            started_at: node.started_at.map(to_wire),
            completed_at: node.completed_at.map(to_wire),
            updated_at: to_wire(node.updated_at),
            queue_ms: node
                .started_at
                .map(|started| milliseconds(started - node.created_at)),
            run_ms: node
                .started_at
                .zip(node.completed_at)
                .map(|(started, ended)| milliseconds(ended - started)),
            metadata: metadata
                .filter(|(key, _)| !INTERNAL.contains(&key.as_str()))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
        }
    }
}

impl FailureView {
    /// Without the details, which are made of the input more often than not.
    fn brief(failure: &CallFailure) -> Self {
        Self {
            code: failure.code.clone(),
            message: failure.message.clone(),
            details: None,
        }
    }
}

impl CallDetails {
    /// With input, output and all that goes with them.
    pub(super) fn whole(node: Node, names: &Names) -> Self {
        let mut call = CallView::of(&node, names);
        if let (Some(shown), Some(failure)) = (&mut call.error, &node.error) {
            shown.details.clone_from(&failure.details);
        }
        Self {
            call,
            identity: node.identity,
            input: node.input,
            output: node.output,
            withheld: false,
        }
    }

    /// Without them; `withheld` when they were asked for.
    pub(super) fn outside(node: &Node, names: &Names, withheld: bool) -> Self {
        Self {
            call: CallView::of(node, names),
            identity: None,
            input: None,
            output: None,
            withheld,
        }
    }
}

/// Full names of the operations of some calls.
#[derive(Default)]
pub(super) struct Names(HashMap<OperationId, String>);

impl Names {
    /// The names for these calls; those that nobody offers any more come from their rows.
    pub(super) async fn load(
        call: &Call,
        nodes: impl IntoIterator<Item = &Node>,
    ) -> Result<Self, HubError> {
        let mut known = HashMap::new();
        let mut unknown = Vec::new();
        for node in nodes {
            let id = &node.operation_id;
            if known.contains_key(id) || unknown.contains(id) {
                continue;
            }
            match call.state().providers.name_of(id) {
                Some(name) => {
                    known.insert(id.clone(), name);
                }
                None if id.as_str() == REMOVED_OPERATION => {}
                None => unknown.push(id.clone()),
            }
        }
        if !unknown.is_empty() {
            for row in operations_by_ids(call.database().reader(), &unknown).await? {
                known.insert(row.id, format!("{}.{}", row.namespace, row.name));
            }
        }
        Ok(Self(known))
    }

    /// What a call called; for a removed operation the name it had.
    pub(super) fn of(&self, node: &Node) -> String {
        if let Some(name) = self.0.get(&node.operation_id) {
            return name.clone();
        }
        let removed = node.metadata.get("removedOperation");
        let part = |name: &str| removed.and_then(|removed| removed.get(name)?.as_str());
        match (part("namespace"), part("name")) {
            (Some(namespace), Some(name)) => format!("{namespace}.{name}"),
            _ => node.operation_id.to_string(),
        }
    }
}

/// Who ran a call.
pub(super) fn provider_of(node: &Node) -> String {
    match node.metadata.text("spokeId") {
        Some(spoke) => format!("spoke:{spoke}"),
        None => "hub".to_owned(),
    }
}

fn milliseconds(span: chrono::TimeDelta) -> u64 {
    u64::try_from(span.num_milliseconds()).unwrap_or(0)
}
