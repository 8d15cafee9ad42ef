//! `operation.graph|explain|paths`: what one operation gives another can take.

use std::sync::{Arc, Mutex, PoisonError};

use alkhub_callgraph::{
    MOST_PATHS, Mismatch, OperationGraph, OperationNode, OperationNotFound, PATH_LENGTH, TypeCompat,
};
use alkhub_operations::{CallError, Entry, Operation, OperationId, OperationType, operation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::live_providers;
use crate::authorize;
use crate::error::HubError;
use crate::state::{Call, handle};

/// Most operations that are compared with each other: the pairs grow with the square.
const MOST: usize = 2_000;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        operation::<GraphInput, GraphView>("operation.graph", OperationType::Query)
            .description("Which operations of this key can take what others give.")
            .error("UNPROCESSABLE", "too_many_operations")
            .handler(handle(graph)),
        operation::<Explain, Explained>("operation.explain", OperationType::Query)
            .description("Whether one operation can take what another gives, and why not.")
            .handler(handle(explain)),
        operation::<Paths, Vec<Vec<String>>>("operation.paths", OperationType::Query)
            .description("Ways from one operation to another, the shortest first.")
            .error("UNPROCESSABLE", "too_many_operations")
            .handler(handle(paths)),
    ]
}

/// The graph as it was at the last question; brought up to date at the next one.
#[derive(Default)]
pub(crate) struct KnownGraph(Mutex<OperationGraph>);

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct GraphInput {
    /// Only operations of this namespace.
    namespace: Option<String>,
}

/// Output of `operation.graph`.
#[derive(Debug, Serialize, JsonSchema)]
struct GraphView {
    /// The operations.
    nodes: Vec<NodeView>,
    /// What can feed what.
    edges: Vec<EdgeView>,
}

/// One operation.
#[derive(Debug, Serialize, JsonSchema)]
struct NodeView {
    /// Full name.
    name: String,
    /// `query`, `mutation` or `subscription`.
    #[serde(rename = "type")]
    kind: OperationType,
    /// Semantic version.
    version: String,
}

/// One can take what another gives.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct EdgeView {
    /// Gives.
    from: String,
    /// Takes.
    to: String,
    /// Members must be left out first.
    needs_projection: bool,
    /// What the input asks for beyond types; not compared.
    unchecked: Vec<String>,
}

async fn graph(call: Call, input: Arc<GraphInput>) -> Result<GraphView, HubError> {
    let namespace = input.namespace.clone();
    let wanted = move |entry: &Entry| {
        namespace
            .as_ref()
            .is_none_or(|namespace| entry.spec().namespace.as_str() == namespace)
    };
    ask(&call, wanted, |graph, visible| {
        let view = graph.view(visible);
        GraphView {
            nodes: view
                .operations()
                .map(|node| NodeView {
                    name: node.id.to_string(),
                    kind: node.operation_type,
                    version: node.version.clone(),
                })
                .collect(),
            edges: view
                .edges()
                .into_iter()
                .filter_map(|(from, to, compat)| {
                    let TypeCompat::Compatible {
                        needs_projection,
                        unchecked,
                    } = compat
                    else {
                        return None;
                    };
                    Some(EdgeView {
                        from: from.to_string(),
                        to: to.to_string(),
                        needs_projection: *needs_projection,
                        unchecked: unchecked.clone(),
                    })
                })
                .collect(),
        }
    })
    .await
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Explain {
    /// Full name of the operation that gives.
    from: String,
    /// Full name of the operation that takes.
    to: String,
}

/// Output of `operation.explain`.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Explained {
    /// `compatible`, `incompatible` or `unknown`.
    result: &'static str,
    /// Members must be left out first.
    #[serde(skip_serializing_if = "Option::is_none")]
    needs_projection: Option<bool>,
    /// What the input asks for beyond types; not compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    unchecked: Option<Vec<String>>,
    /// Where and why it does not fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    mismatches: Option<Vec<MismatchView>>,
}

/// One place where an output does not fit.
#[derive(Debug, Serialize, JsonSchema)]
struct MismatchView {
    /// `$.user.id`, `$.items[].name`.
    path: String,
    /// What the input takes.
    expected: String,
    /// What the output gives there.
    actual: String,
}

impl From<Mismatch> for MismatchView {
    fn from(mismatch: Mismatch) -> Self {
        Self {
            path: mismatch.path,
            expected: mismatch.expected,
            actual: mismatch.actual,
        }
    }
}

async fn explain(call: Call, input: Arc<Explain>) -> Result<Explained, HubError> {
    let (from, to) = (id(&input.from)?, id(&input.to)?);
    let names = [input.from.clone(), input.to.clone()];
    let wanted = move |entry: &Entry| names.iter().any(|name| name == entry.id().as_str());
    let found = ask(&call, wanted, move |graph, visible| {
        graph.view(visible).explain(&from, &to)
    })
    .await?;
    Ok(match found.map_err(not_found)? {
        TypeCompat::Compatible {
            needs_projection,
            unchecked,
        } => Explained {
            result: "compatible",
            needs_projection: Some(needs_projection),
            unchecked: Some(unchecked),
            mismatches: None,
        },
        TypeCompat::Incompatible { mismatches } => Explained {
            result: "incompatible",
            mismatches: Some(mismatches.into_iter().map(Into::into).collect()),
            ..Explained::default()
        },
        TypeCompat::Unknown => Explained {
            result: "unknown",
            ..Explained::default()
        },
    })
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Paths {
    /// Full name of the first operation.
    from: String,
    /// Full name of the last.
    to: String,
    /// Longest way, in steps.
    #[serde(default = "four")]
    #[schemars(range(min = 1, max = PATH_LENGTH))]
    max_len: usize,
    /// Most ways.
    #[serde(default = "ten")]
    #[schemars(range(min = 1, max = MOST_PATHS))]
    limit: usize,
}

fn four() -> usize {
    4
}

fn ten() -> usize {
    10
}

async fn paths(call: Call, input: Arc<Paths>) -> Result<Vec<Vec<String>>, HubError> {
    let (from, to) = (id(&input.from)?, id(&input.to)?);
    let (longest, most) = (input.max_len, input.limit);
    let found = ask(
        &call,
        |_| true,
        move |graph, visible| graph.view(visible).paths(&from, &to, longest, most),
    )
    .await?;
    let found = found.map_err(not_found)?;
    let names = |path: Vec<OperationId>| path.iter().map(ToString::to_string).collect();
    Ok(found.into_iter().map(names).collect())
}

fn id(name: &str) -> Result<OperationId, CallError> {
    name.parse()
        .map_err(|_no_name| CallError::not_found(format!("there is no operation {name}")))
}

fn not_found(missing: OperationNotFound) -> CallError {
    CallError::not_found(format!("there is no operation {} for this key", missing.id))
}

/// Asks the graph of the operations that are wanted, that somebody provides now, and that the caller
/// may call.
async fn ask<T: Send + 'static>(
    call: &Call,
    wanted: impl Fn(&Entry) -> bool,
    question: impl FnOnce(&OperationGraph, &dyn Fn(&OperationId) -> bool) -> T + Send + 'static,
) -> Result<T, HubError> {
    let state = Arc::clone(call.state());
    let principal = call.principal()?;
    let mut live = state.registry.list();
    live.retain(|entry| live_providers(&state, entry) > 0);
    let mut visible: Vec<OperationId> = live
        .iter()
        .filter(|entry| wanted(entry) && authorize::may_call(&state, principal, entry))
        .map(|entry| entry.id().clone())
        .collect();
    visible.sort();
    if live.len() > MOST {
        let message = format!(
            "{} operations are offered; at most {MOST} are compared with each other",
            live.len()
        );
        return Err(CallError::unprocessable("too_many_operations", message).into());
    }
    let answer = tokio::task::spawn_blocking(move || {
        let known = &state.operation_graph.0;
        let mut graph = known.lock().unwrap_or_else(PoisonError::into_inner);
        bring_up_to_date(&mut graph, &live);
        question(&graph, &|id| visible.binary_search(id).is_ok())
    });
    answer
        .await
        .map_err(|died| CallError::internal(&died).into())
}

/// Takes in what is new, takes out what is gone. What was compared before is not compared again.
fn bring_up_to_date(graph: &mut OperationGraph, live: &[Arc<Entry>]) {
    let gone: Vec<OperationId> = graph
        .view(&|_| true)
        .operations()
        .filter(|node| {
            live.binary_search_by(|entry| entry.id().cmp(&node.id))
                .is_err()
        })
        .map(|node| node.id.clone())
        .collect();
    for id in gone {
        graph.remove(&id);
    }
    for entry in live {
        let spec = entry.spec();
        let node = OperationNode {
            id: entry.id().clone(),
            operation_type: spec.kind,
            version: spec.version.to_string(),
            input_schema: spec.input_schema.json().clone(),
            output_schema: spec.output_schema.json().clone(),
        };
        if graph.get(entry.id()) != Some(&node) {
            graph.insert(node);
        }
    }
}
