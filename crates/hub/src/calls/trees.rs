//! Trees of calls: what a call made, what made it, and where the time went.

use std::collections::HashSet;
use std::sync::Arc;

use alkhub_callgraph::Timestamp;
use alkhub_callgraph::view::{self, Cut, TreeRow, WaterfallRow};
use alkhub_operations::{Operation, OperationType, RequestId, operation};
use alkhub_storage::calls::{self as queries, TreeNode};
use alkhub_storage::enums::CallStatus;
use alkhub_storage::time::{format as to_wire, now};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::graph::{Loaded, stored_status};
use super::view::{Names, provider_of};
use super::{Viewer, find, not_found};
use crate::error::HubError;
use crate::state::{Call, handle};

/// Levels and calls of a tree when the caller does not say.
const DEFAULT_LIMIT: u32 = 500;
const MOST_LEVELS: u32 = 100;
const MOST_CALLS: u32 = 5_000;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        operation::<TreeInput, CallTreeView>("call.tree", OperationType::Query)
            .description("A call and all that it triggered, in pre-order.")
            .handler(handle(tree)),
        operation::<TreeInput, CallTreeView>("call.descendants", OperationType::Query)
            .description("What a call triggered, in pre-order, without the call itself.")
            .handler(handle(descendants)),
        operation::<AncestorsInput, CallTreeView>("call.ancestors", OperationType::Query)
            .description("The calls that led to a call, the nearest first.")
            .handler(handle(ancestors)),
        operation::<TreeInput, WaterfallView>("call.waterfall", OperationType::Query)
            .description(
                "Where the time of a call and of all that it triggered went, in pre-order, with the critical path marked.",
            )
            .handler(handle(waterfall)),
        operation::<TreeInput, Exported>("call.export", OperationType::Query)
            .description(
                "A call and all that it triggered as graphology JSON, without input and output.",
            )
            .handler(handle(export)),
    ]
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TreeInput {
    /// The call.
    request_id: String,
    /// Begin at the topmost call that led to it.
    #[serde(default)]
    from_root: bool,
    /// Deepest level, 0 to 100; the call itself is level 0.
    #[schemars(range(max = MOST_LEVELS))]
    max_depth: Option<u32>,
    /// Most calls, 1 to 5,000; 500 when absent. Levels are filled from the top.
    #[schemars(range(min = 1, max = MOST_CALLS))]
    limit: Option<u32>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AncestorsInput {
    /// The call.
    request_id: String,
}

/// Calls of a tree.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct CallTreeView {
    /// The calls.
    pub(super) nodes: Vec<TreeNodeView>,
    /// True when there are more calls than these.
    pub(super) more: bool,
}

/// One call of a tree. Of a hidden one only status and times are told.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct TreeNodeView {
    /// Levels from the call that was asked for.
    depth: u64,
    /// The call.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    /// The call that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_request_id: Option<String>,
    /// Full name of what was called.
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<String>,
    /// Who ran it: `hub`, or `spoke:` and its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<String>,
    /// Where it stands.
    status: CallStatus,
    /// When it was requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    requested_at: Option<String>,
    /// When it was dispatched.
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<String>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    completed_at: Option<String>,
    /// Code of its error.
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<String>,
    /// True when it may not be seen.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    hidden: bool,
    /// True when some of its children are not among these.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    more: bool,
}

impl TreeNodeView {
    fn of(row: TreeRow, loaded: &Loaded) -> Self {
        let provider = row.request_id.as_ref().and_then(|id| loaded.rows.get(id));
        Self {
            depth: u64::try_from(row.depth).unwrap_or(u64::MAX),
            provider: provider.map(provider_of),
            request_id: row.request_id.map(|id| id.to_string()),
            parent_request_id: row.parent_request_id.map(|id| id.to_string()),
            operation: row.operation_id.map(|id| id.to_string()),
            status: stored_status(row.status),
            requested_at: row.requested_at.map(|at| at.to_string()),
            started_at: row.started_at.map(|at| at.to_string()),
            completed_at: row.completed_at.map(|at| at.to_string()),
            error_code: row.error_code.map(|code| code.to_string()),
            hidden: row.hidden,
            more: row.more,
        }
    }

    fn above(found: &TreeNode, names: &Names, parent_seen: bool) -> Self {
        let node = &found.node;
        let seen = found.visible;
        Self {
            depth: u64::from(found.depth),
            request_id: seen.then(|| node.request_id.clone()),
            parent_request_id: node
                .parent_request_id
                .clone()
                .filter(|_| seen && parent_seen),
            operation: seen.then(|| names.of(node)),
            provider: seen.then(|| provider_of(node)),
            status: node.status,
            requested_at: Some(to_wire(node.created_at)),
            started_at: node.started_at.map(to_wire),
            completed_at: node.completed_at.map(to_wire),
            error_code: node
                .error
                .as_ref()
                .filter(|_| seen)
                .map(|error| error.code.clone()),
            hidden: !seen,
            more: false,
        }
    }
}

/// The rows of a waterfall.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct WaterfallView {
    /// The calls in pre-order; the first is the root.
    rows: Vec<WaterfallNodeView>,
    /// True when there are more calls than these.
    more: bool,
}

/// One call of a waterfall. Times are whole milliseconds. Of a hidden call only status and times are
/// told.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct WaterfallNodeView {
    /// Levels below the root.
    depth: u64,
    /// The call.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    /// The call that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_request_id: Option<String>,
    /// Full name of what was called.
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<String>,
    /// Who ran it: `hub`, or `spoke:` and its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<String>,
    /// Where it stands.
    status: CallStatus,
    /// Code of its error.
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<String>,
    /// From the root's request to its start, or to its own request if it never started.
    #[serde(skip_serializing_if = "Option::is_none")]
    offset_ms: Option<i64>,
    /// From its request to its start.
    #[serde(skip_serializing_if = "Option::is_none")]
    queue_ms: Option<u64>,
    /// From its start to its end, or to now while it is open; absent if it never started.
    #[serde(skip_serializing_if = "Option::is_none")]
    run_ms: Option<u64>,
    /// The part of it in which none of its children ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    self_ms: Option<u64>,
    /// True while it is open.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    live: bool,
    /// True on the critical path.
    critical: bool,
    /// How often it was sent, when more than once.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u64>,
    /// What an abort came to: `aborted`, `survived`, `unconfirmed` or `unreachable`.
    #[serde(skip_serializing_if = "Option::is_none")]
    abort: Option<String>,
    /// True when it may not be seen.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    hidden: bool,
    /// True when some of its children are not among these.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    more: bool,
}

impl WaterfallNodeView {
    fn of(row: WaterfallRow, loaded: &Loaded) -> Self {
        let node = row.request_id.as_ref().and_then(|id| loaded.rows.get(id));
        let error = node.and_then(|node| node.error.as_ref());
        Self {
            depth: u64::try_from(row.depth).unwrap_or(u64::MAX),
            provider: node.map(provider_of),
            error_code: error.map(|error| error.code.clone()),
            request_id: row.request_id.map(|id| id.to_string()),
            parent_request_id: row.parent_request_id.map(|id| id.to_string()),
            operation: row.operation_id.map(|id| id.to_string()),
            status: stored_status(row.status),
            offset_ms: row.offset_ms,
            queue_ms: row.queue_ms,
            run_ms: row.run_ms,
            self_ms: row.self_ms,
            live: row.live,
            critical: row.critical,
            attempt: row.attempt,
            abort: row.abort.map(|outcome| outcome.to_string()),
            hidden: row.hidden,
            more: row.more,
        }
    }
}

/// A graph as graphology JSON.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(transparent)]
struct Exported(Value);

/// What is shown of the tree below a call.
pub(super) fn tree_view(loaded: &Loaded, root: &RequestId, limits: Cut) -> Option<CallTreeView> {
    let tree = view::call_tree(&loaded.graph, root, limits, |call| {
        loaded.sees(&call.request_id)
    })?;
    Some(CallTreeView {
        more: tree.more || loaded.truncated,
        nodes: tree
            .nodes
            .into_iter()
            .map(|row| TreeNodeView::of(row, loaded))
            .collect(),
    })
}

async fn load(call: &Call, input: &TreeInput) -> Result<(Loaded, RequestId, Cut), HubError> {
    let viewer = Viewer::of(call)?;
    let asked = find(call, &viewer, &input.request_id).await?;
    let mut top = asked.request_id;
    if input.from_root {
        let reader = call.database().reader();
        let above = queries::call_ancestors(reader, &viewer.scope, &top).await?;
        if let Some(last) = above.into_iter().next_back() {
            top = last.node.request_id;
        }
    }
    let depth = input.max_depth.unwrap_or(MOST_LEVELS).min(MOST_LEVELS);
    let limit = input.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MOST_CALLS);
    let loaded = Loaded::tree(call, &viewer, &top, depth, limit).await?;
    let root = RequestId::new(top).map_err(|_no_id| not_found())?;
    Ok((loaded, root, cut(depth, limit)))
}

/// Levels and calls that are shown.
pub(super) fn cut(depth: u32, limit: u32) -> Cut {
    Cut {
        depth: usize::try_from(depth).unwrap_or(usize::MAX),
        limit: usize::try_from(limit).unwrap_or(usize::MAX),
    }
}

async fn tree(call: Call, input: Arc<TreeInput>) -> Result<CallTreeView, HubError> {
    let (loaded, root, limits) = load(&call, &input).await?;
    tree_view(&loaded, &root, limits).ok_or_else(not_found)
}

async fn descendants(call: Call, input: Arc<TreeInput>) -> Result<CallTreeView, HubError> {
    let (loaded, root, limits) = load(&call, &input).await?;
    let mut tree = tree_view(&loaded, &root, limits).ok_or_else(not_found)?;
    tree.nodes.remove(0);
    Ok(tree)
}

async fn ancestors(call: Call, input: Arc<AncestorsInput>) -> Result<CallTreeView, HubError> {
    let viewer = Viewer::of(&call)?;
    let asked = find(&call, &viewer, &input.request_id).await?;
    let reader = call.database().reader();
    let above = queries::call_ancestors(reader, &viewer.scope, &asked.request_id).await?;
    let names = Names::load(&call, above.iter().map(|found| &found.node)).await?;
    let nodes = above.iter().enumerate().map(|(place, found)| {
        // The last one may name a parent that is not recorded, and hides nobody.
        let parent_seen = above.get(place + 1).is_none_or(|parent| parent.visible);
        TreeNodeView::above(found, &names, parent_seen)
    });
    Ok(CallTreeView {
        nodes: nodes.collect(),
        more: false,
    })
}

async fn waterfall(call: Call, input: Arc<TreeInput>) -> Result<WaterfallView, HubError> {
    let (loaded, root, limits) = load(&call, &input).await?;
    let waterfall = view::waterfall(
        &loaded.graph,
        &root,
        limits,
        Timestamp::from(now()),
        |call| loaded.sees(&call.request_id),
    )
    .ok_or_else(not_found)?;
    Ok(WaterfallView {
        more: waterfall.more || loaded.truncated,
        rows: waterfall
            .rows
            .into_iter()
            .map(|row| WaterfallNodeView::of(row, &loaded))
            .collect(),
    })
}

async fn export(call: Call, input: Arc<TreeInput>) -> Result<Exported, HubError> {
    let (mut loaded, root, limits) = load(&call, &input).await?;
    // One level and one call more than wanted were read.
    let tree = view::call_tree(&loaded.graph, &root, limits, |_| true).ok_or_else(not_found)?;
    let shown: HashSet<&RequestId> = tree
        .nodes
        .iter()
        .filter_map(|row| row.request_id.as_ref())
        .collect();
    let extra: Vec<RequestId> = loaded
        .rows
        .keys()
        .filter(|id| !shown.contains(id))
        .cloned()
        .collect();
    for id in extra {
        if loaded.graph.remove_call(&id).is_ok() {
            loaded.rows.remove(&id);
        }
    }
    let mut json = loaded.masked()?.export().to_json();
    if let Some(attributes) = json.get_mut("attributes").and_then(Value::as_object_mut) {
        attributes.insert("more".to_owned(), json!(tree.more || loaded.truncated));
    }
    Ok(Exported(json))
}
