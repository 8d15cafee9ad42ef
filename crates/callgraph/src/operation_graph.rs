//! Which operation can feed which.
//!
//! An edge says that what one operation gives is what another takes ([`type_compat`]). It is a
//! relation, not an order: two operations over the same thing feed each other. Only compatible pairs
//! have an edge; [`OperationView::explain`] compares any pair.

mod json;
mod view;

pub use view::{ChainMisfit, MOST_PATHS, OperationView, PATH_LENGTH};

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use alkhub_operations::{OperationId, OperationSpec, OperationType, canonical_json, sha256_hex};
use petgraph::stable_graph::{NodeIndex, StableDiGraph};
use serde_json::Value;

use crate::compat::{TypeCompat, type_compat};

/// Most comparisons that are kept; they are thrown away when there are more.
const MOST_KEPT: usize = 100_000;

/// One operation of the graph.
#[derive(Debug, Clone, PartialEq)]
pub struct OperationNode {
    /// Its id; key of the node.
    pub id: OperationId,
    /// Query, mutation or subscription.
    pub operation_type: OperationType,
    /// Its version.
    pub version: String,
    /// What it takes.
    pub input_schema: Value,
    /// What it gives; of a subscription one item.
    pub output_schema: Value,
}

/// An operation is not in the graph, or may not be known of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no operation {id}")]
pub struct OperationNotFound {
    /// What was asked for.
    pub id: OperationId,
}

/// Operations, and which can feed which.
///
/// ```
/// use alkhub_callgraph::{OperationGraph, OperationNode};
/// use alkhub_operations::OperationType;
/// use serde_json::json;
///
/// let text = |name: &str| json!({ "type": "object", "required": [name], "properties": { name: { "type": "string" } } });
/// let operation = |id: &str, takes, gives| OperationNode {
///     id: id.parse().unwrap(),
///     operation_type: OperationType::Query,
///     version: "1.0.0".to_owned(),
///     input_schema: text(takes),
///     output_schema: text(gives),
/// };
/// let mut graph = OperationGraph::new();
/// graph.insert(operation("user.find", "name", "id"));
/// graph.insert(operation("user.tasks", "id", "tasks"));
/// let view = graph.view(&|_| true);
/// assert_eq!(view.consumers(&"user.find".parse()?)?, ["user.tasks"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct OperationGraph {
    graph: StableDiGraph<Vertex, Arc<TypeCompat>>,
    index: BTreeMap<OperationId, NodeIndex>,
    /// Comparisons by the hashes of output and input: providers come and go with the same schemas.
    kept: HashMap<(Arc<str>, Arc<str>), Arc<TypeCompat>>,
}

#[derive(Debug, Clone)]
struct Vertex {
    operation: OperationNode,
    input_hash: Arc<str>,
    output_hash: Arc<str>,
}

impl OperationGraph {
    /// An empty graph.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of operations.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// True without any operation.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Adds an operation, in the place of the one of its id, and compares it with all others.
    pub fn insert(&mut self, operation: OperationNode) {
        if let Some(place) = self.index.get(&operation.id) {
            if self.graph[*place].operation == operation {
                return;
            }
            let id = operation.id.clone();
            self.remove(&id);
        }
        let id = operation.id.clone();
        let others: Vec<NodeIndex> = self.index.values().copied().collect();
        let here = self.graph.add_node(Vertex {
            input_hash: hash(&operation.input_schema),
            output_hash: hash(&operation.output_schema),
            operation,
        });
        self.index.insert(id, here);
        for other in others {
            for (from, to) in [(here, other), (other, here)] {
                let found = self.compared(from, to);
                if found.is_compatible() {
                    self.graph.add_edge(from, to, found);
                }
            }
        }
    }

    /// Takes an operation out. None when it is not there.
    pub fn remove(&mut self, id: &OperationId) -> Option<OperationNode> {
        let place = self.index.remove(id)?;
        self.graph.remove_node(place).map(|vertex| vertex.operation)
    }

    /// The operation of this id.
    #[must_use]
    pub fn get(&self, id: &OperationId) -> Option<&OperationNode> {
        let place = self.index.get(id)?;
        self.graph
            .node_weight(*place)
            .map(|vertex| &vertex.operation)
    }

    /// The graph as somebody sees it who may know of these operations only: of all others there is no
    /// trace in any answer.
    pub fn view<'a>(&'a self, visible: &'a dyn Fn(&OperationId) -> bool) -> OperationView<'a> {
        OperationView::new(self, visible)
    }

    /// The comparison of an output with an input, made now or before.
    fn compared(&mut self, from: NodeIndex, to: NodeIndex) -> Arc<TypeCompat> {
        let (gives, takes) = (&self.graph[from], &self.graph[to]);
        let key = (gives.output_hash.clone(), takes.input_hash.clone());
        if let Some(known) = self.kept.get(&key) {
            return known.clone();
        }
        if self.kept.len() >= MOST_KEPT {
            self.kept.clear();
        }
        let found = type_compat(
            &gives.operation.output_schema,
            &takes.operation.input_schema,
        );
        let found = Arc::new(found);
        self.kept.insert(key, found.clone());
        found
    }
}

impl FromIterator<OperationNode> for OperationGraph {
    fn from_iter<I: IntoIterator<Item = OperationNode>>(operations: I) -> Self {
        let mut graph = Self::new();
        for operation in operations {
            graph.insert(operation);
        }
        graph
    }
}

impl From<&OperationSpec> for OperationNode {
    fn from(spec: &OperationSpec) -> Self {
        Self {
            id: OperationId::join(&spec.namespace, &spec.name),
            operation_type: spec.kind,
            version: spec.version.to_string(),
            input_schema: spec.input_schema.json().clone(),
            output_schema: spec.output_schema.json().clone(),
        }
    }
}

fn hash(schema: &Value) -> Arc<str> {
    sha256_hex(&canonical_json(schema)).into()
}
