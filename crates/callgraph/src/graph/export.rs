//! The graph as graphology JSON.

use alkhub_operations::{JsonObject, RequestId, canonical_json};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, SerializeStruct, Serializer};
use serde_json::{Value, json};

use super::{CallGraph, EdgeType, NONE};
use crate::call::CallNode;

/// A graph that is written as graphology JSON: nodes and edges sorted, so that equal graphs give equal
/// JSON.
///
/// ```
/// use alkhub_callgraph::{CallGraph, CallNode};
///
/// let mut graph = CallGraph::new();
/// graph.add_call(CallNode::new("a".parse()?, "fs.read".parse()?))?;
/// assert_eq!(graph.export().to_json()["nodes"][0]["attributes"]["status"], "pending");
/// assert_eq!(CallGraph::from_json(graph.export().to_json())?, graph);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Serialized<'a> {
    attributes: &'a JsonObject,
    nodes: Vec<&'a CallNode>,
    edges: Vec<EdgeRef<'a>>,
}

/// One edge; ordered by ends, then type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct EdgeRef<'a> {
    pub(crate) from: &'a RequestId,
    pub(crate) to: &'a RequestId,
    pub(crate) kind: EdgeType,
    pub(super) attributes: Option<&'a JsonObject>,
}

impl CallGraph {
    /// The graph in a form that can be written.
    #[must_use]
    pub fn export(&self) -> Serialized<'_> {
        let mut nodes: Vec<&CallNode> = self.calls().map(|(_, call)| call).collect();
        nodes.sort_unstable_by_key(|call| &call.request_id);
        Serialized {
            attributes: &self.attributes,
            nodes,
            edges: self.edges(),
        }
    }

    /// All edges in order.
    pub(crate) fn edges(&self) -> Vec<EdgeRef<'_>> {
        let mut edges = Vec::new();
        for (slot, node) in self.nodes() {
            let links = node.links.as_deref();
            if node.parent != NONE {
                let attributes = links.map(|some| &some.triggered);
                edges.push((node.parent, slot, EdgeType::Triggered, attributes));
            }
            let Some(links) = links else { continue };
            for (to, attributes) in &links.dependents {
                edges.push((slot, *to, EdgeType::DependsOn, Some(attributes)));
            }
            for ((to, kind), attributes) in &links.foreign {
                edges.push((slot, *to, *kind, Some(attributes)));
            }
        }
        let mut edges: Vec<EdgeRef<'_>> = edges
            .into_iter()
            .map(|(from, to, kind, attributes)| EdgeRef {
                from: &self.call(from).request_id,
                to: &self.call(to).request_id,
                kind,
                attributes: attributes.filter(|some| !some.is_empty()),
            })
            .collect();
        edges.sort_unstable_by_key(|edge| (edge.from, edge.to, edge.kind));
        edges
    }
}

impl Serialized<'_> {
    /// The JSON as a value. For large graphs serialize this instead, which gives the same without
    /// holding it in memory.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!(self)
    }

    /// The JSON as text with sorted members: equal for equal graphs.
    #[must_use]
    pub fn to_text(&self) -> String {
        canonical_json(&self.to_json())
    }

    /// True when a pair of calls has edges of two types.
    fn is_multi(&self) -> bool {
        self.edges
            .windows(2)
            .any(|pair| (pair[0].from, pair[0].to) == (pair[1].from, pair[1].to))
    }
}

impl Serialize for Serialized<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Serialized", 4)?;
        out.serialize_field("attributes", self.attributes)?;
        let multi = self.is_multi();
        out.serialize_field(
            "options",
            &json!({ "type": "directed", "multi": multi, "allowSelfLoops": false }),
        )?;
        out.serialize_field("nodes", &Nodes(&self.nodes))?;
        out.serialize_field("edges", &Edges(&self.edges))?;
        out.end()
    }
}

struct Nodes<'a>(&'a [&'a CallNode]);
struct Edges<'a>(&'a [EdgeRef<'a>]);
struct Attributes<'a>(&'a CallNode);
struct EdgeAttributes<'a>(EdgeRef<'a>);

#[derive(serde::Serialize)]
struct NodeRecord<'a> {
    key: &'a RequestId,
    attributes: Attributes<'a>,
}

#[derive(serde::Serialize)]
struct EdgeRecord<'a> {
    key: &'a str,
    source: &'a RequestId,
    target: &'a RequestId,
    attributes: EdgeAttributes<'a>,
}

impl Serialize for Nodes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|call| NodeRecord {
            key: &call.request_id,
            attributes: Attributes(call),
        }))
    }
}

impl Serialize for Edges<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_seq(Some(self.0.len()))?;
        let mut pair = None;
        for edge in self.0 {
            // The first edge of a pair has the plain key, further ones are told apart by their type.
            let mut key = format!("{}->{}", edge.from, edge.to);
            if pair.replace((edge.from, edge.to)) == Some((edge.from, edge.to)) {
                key = format!("{key}:{}", edge.kind);
            }
            out.serialize_element(&EdgeRecord {
                key: &key,
                source: edge.from,
                target: edge.to,
                attributes: EdgeAttributes(*edge),
            })?;
        }
        out.end()
    }
}

impl Serialize for Attributes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let call = self.0;
        let mut out = serializer.serialize_map(None)?;
        let mut put = Members(&mut out);
        put.some("requestId", Some(&call.request_id))?;
        put.some("operationId", Some(&call.operation_id))?;
        put.some("status", Some(&call.status))?;
        put.some("parentRequestId", call.parent_request_id.as_ref())?;
        put.some("input", call.input.as_ref())?;
        put.some("output", call.output.as_ref())?;
        put.some("error", call.error.as_ref())?;
        put.some("identity", call.identity.as_ref())?;
        put.some("requestedAt", call.requested_at.as_ref())?;
        put.some("startedAt", call.started_at.as_ref())?;
        put.some("completedAt", call.completed_at.as_ref())?;
        let metadata = Some(&call.metadata).filter(|notes| !notes.is_empty());
        put.some("metadata", metadata)?;
        put.all(&call.unknown)?;
        out.end()
    }
}

impl Serialize for EdgeAttributes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_map(None)?;
        let mut put = Members(&mut out);
        put.some("edgeType", Some(&self.0.kind))?;
        if let Some(attributes) = self.0.attributes {
            put.all(attributes)?;
        }
        out.end()
    }
}

/// Writes members, of which absent ones are left out.
struct Members<'a, M>(&'a mut M);

impl<M: SerializeMap> Members<'_, M> {
    fn some<T: Serialize>(&mut self, name: &str, value: Option<&T>) -> Result<(), M::Error> {
        match value {
            Some(value) => self.0.serialize_entry(name, value),
            None => Ok(()),
        }
    }

    fn all(&mut self, members: &JsonObject) -> Result<(), M::Error> {
        members
            .iter()
            .try_for_each(|(name, value)| self.0.serialize_entry(name, value))
    }
}
