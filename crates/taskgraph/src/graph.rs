//! The task graph itself: nodes, edges, and the three orders that results show.
//!
//! Edges run from prerequisite to dependent. Three orders are kept, and every result follows
//! them: nodes in order of insertion, edges in order of insertion, and the neighbours of a node
//! in *neighbour order*: first the ids that are the decimal text of an integer from 0 to
//! 4294967294, ascending by value, then all others in the order their edge was inserted.

mod adjacency;
mod attributes;
mod build;
mod edges;
mod ids;
mod index;
mod json;
mod layout;
mod mutate;
mod query;
mod shape;

pub(crate) use adjacency::Adjacency;
pub use attributes::{EdgeAttributes, TaskAttributes, TaskUpdate};
pub(crate) use attributes::{FIELDS, Labels};
pub use json::graph_from_json_str;
pub(crate) use layout::Layout;
pub(crate) use shape::fault_of;

use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value};

use edges::{Edge, Edges};
use ids::Ids;
use index::{IN, Index, OUT};

/// Retention of an edge of which nothing else is said.
pub const DEFAULT_QUALITY_RETENTION: f64 = 0.9;

/// A directed graph of tasks: at most one edge from one task to another, none to itself. Cycles
/// between different tasks are a legal state.
///
/// ```
/// use alkhub_taskgraph::{TaskGraph, TaskInput};
///
/// let graph = TaskGraph::from_tasks(&[
///     TaskInput::new("ship", "Ship it").depending_on(["build", "test"]),
///     TaskInput::new("test", "Test it").depending_on(["build"]),
///     TaskInput::new("build", "Build it"),
/// ])?;
/// assert_eq!(graph.topological_order()?, ["build", "test", "ship"]);
/// assert_eq!(graph.parallel_groups()?, [["build"], ["test"], ["ship"]]);
/// assert_eq!(graph.dependencies("ship")?, ["build", "test"]);
/// # Ok::<(), alkhub_taskgraph::TaskgraphError>(())
/// ```
#[derive(Clone, Default)]
pub struct TaskGraph {
    /// In node order; a removed node leaves a gap.
    nodes: Vec<Option<Node>>,
    /// The ids of the nodes by slot, and back.
    ids: Ids,
    edges: Edges,
    /// Which edges a node has.
    index: OnceLock<Index>,
    /// Attributes of the graph as a whole; only JSON brings any.
    attributes: Map<String, Value>,
    /// How many nodes are only named by dependencies.
    orphans: usize,
    /// What the analyses walk on; thrown away by every change.
    layout: OnceLock<Arc<Layout>>,
}

/// No slot; also an id that is no array index.
const NONE: u32 = u32::MAX;

#[derive(Clone)]
struct Node {
    attributes: TaskAttributes,
    /// Value of an id that is an array index, else [`NONE`].
    array_index: u32,
    /// Made by a dependency that names no task.
    orphan: bool,
}

impl TaskGraph {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of nodes, those included that only a dependency names.
    pub fn task_count(&self) -> usize {
        self.ids.len()
    }

    /// Number of edges.
    pub fn edge_count(&self) -> usize {
        self.edges.len()
    }

    /// Whether there is no node.
    pub fn is_empty(&self) -> bool {
        self.ids.len() == 0
    }

    /// Nodes in order with their slots.
    fn live_nodes(&self) -> impl Iterator<Item = (u32, &Node)> {
        self.nodes
            .iter()
            .enumerate()
            .filter_map(|(slot, node)| Some((slot as u32, node.as_ref()?)))
    }

    fn index(&self) -> &Index {
        self.index.get_or_init(|| Index::new(self))
    }

    /// Edges of a node on one side in order of insertion.
    fn edges_of(&self, node: u32, side: usize) -> impl Iterator<Item = &Edge> {
        self.index()
            .edges_of(node, side)
            .filter_map(|slot| self.edges.get(slot))
    }

    fn node(&self, slot: u32) -> Option<&Node> {
        self.nodes.get(slot as usize)?.as_ref()
    }

    /// What the analyses walk on.
    pub(crate) fn layout(&self) -> &Layout {
        self.layout.get_or_init(|| Arc::new(Layout::new(self)))
    }
}

impl std::fmt::Debug for TaskGraph {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TaskGraph")
            .field("tasks", &self.task_count())
            .field("edges", &self.edge_count())
            .finish_non_exhaustive()
    }
}

/// The value of an id that is an array index, else [`NONE`].
fn array_index(id: &str) -> u32 {
    let canonical = match id.as_bytes() {
        [b'0'] => true,
        [b'1'..=b'9', rest @ ..] => rest.len() < 10 && rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    // 4294967295 is no index, and it is what NONE is.
    if canonical {
        id.parse().unwrap_or(NONE)
    } else {
        NONE
    }
}

#[cfg(test)]
mod tests {
    use super::{NONE, array_index};

    #[test]
    fn array_indexes_are_canonical_decimal_numbers_below_the_last() {
        for (id, value) in [
            ("0", 0),
            ("7", 7),
            ("10", 10),
            ("4294967294", 4_294_967_294),
        ] {
            assert_eq!(array_index(id), value);
        }
        for id in [
            "",
            "07",
            "-1",
            "1.0",
            "1e3",
            "4294967295",
            "4294967296",
            "99999999999",
            "+1",
            "1 ",
            "٣",
        ] {
            assert_eq!(array_index(id), NONE, "{id}");
        }
    }
}
