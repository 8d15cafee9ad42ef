//! The graph as graphology JSON, in and out.

mod read;

use std::borrow::Cow;

use serde::ser::{Serialize, SerializeSeq, SerializeStruct, Serializer};
use serde_json::{Map, Value, json};

use super::shape::Checked;
use super::{EdgeAttributes, TaskAttributes, TaskGraph};
use crate::{InvalidInput, InvalidReason, TaskgraphError};

/// Reads a graph from the text of graphology JSON.
///
/// Time and memory are proportional to the length of the text, whatever it says; nesting beyond
/// 128 levels is refused.
///
/// # Errors
///
/// [`TaskgraphError::InvalidInput`] for text that is no JSON, otherwise as
/// [`TaskGraph::from_json`].
///
/// ```
/// use alkhub_taskgraph::{TaskGraph, graph_from_json_str};
///
/// let mut graph = TaskGraph::new();
/// graph.add_task("a", alkhub_taskgraph::TaskAttributes::named("First"))?;
/// let text = graph.to_json().to_string();
/// assert_eq!(graph_from_json_str(&text)?.to_json(), graph.to_json());
/// # Ok::<(), alkhub_taskgraph::TaskgraphError>(())
/// ```
pub fn graph_from_json_str(text: &str) -> Result<TaskGraph, TaskgraphError> {
    if let Some(graph) = read::graph(text) {
        return Ok(graph);
    }
    // Something is wrong or unusual; the whole document in memory tells what comes first.
    let data: Value = serde_json::from_str(text).map_err(|error| {
        let message = format!("JSON parse error: {error}");
        InvalidInput::new(InvalidReason::Syntax, "", message).at_line(error.line())
    })?;
    TaskGraph::from_json(&data)
}

impl TaskGraph {
    /// Reads a graph from graphology JSON.
    ///
    /// Edges keep the key they come with, and properties nobody here knows are kept. An edge may
    /// lack its attributes.
    ///
    /// # Errors
    ///
    /// [`TaskgraphError::InvalidInput`] for the first fault of shape, with its path;
    /// [`TaskgraphError::DuplicateNode`], [`TaskgraphError::TaskNotFound`] for the missing end
    /// of an edge, [`TaskgraphError::SelfDependency`], [`TaskgraphError::DuplicateEdge`].
    pub fn from_json(data: &Value) -> Result<Self, TaskgraphError> {
        let mut graph = Self::new();
        graph.import_json(data)?;
        Ok(graph)
    }

    /// Adds the nodes and edges of graphology JSON to this graph.
    ///
    /// # Errors
    ///
    /// As [`Self::from_json`]; what came before a fault of content stays in the graph.
    pub fn import_json(&mut self, data: &Value) -> Result<(), TaskgraphError> {
        let data = Checked::new(data)?;
        self.attributes.extend(data.attributes.clone());
        self.reserve_nodes(data.nodes.len());
        for node in data.nodes {
            let attributes = node.get("attributes").and_then(Value::as_object);
            let attributes = attributes
                .map(TaskAttributes::from_untyped)
                .unwrap_or_default();
            self.add_node(text(node, "key"), attributes)?;
        }
        self.reserve_edges(data.edges.len());
        for edge in data.edges {
            let (from, to) = (text(edge, "source"), text(edge, "target"));
            let key = text(edge, "key");
            let key = (!is_usual_key(key, from, to)).then(|| key.into());
            self.add_edge(from, to, key, edge_attributes(edge))?;
        }
        Ok(())
    }

    /// The graph as graphology JSON. For large graphs serialize the graph itself instead, which
    /// gives the same without holding it in memory.
    pub fn to_json(&self) -> Value {
        let nodes: Vec<Value> = self
            .tasks()
            .map(|(id, attributes)| json!({ "key": id, "attributes": attributes }))
            .collect();
        let edges: Vec<Value> = self
            .edge_records()
            .map(|edge| {
                json!({
                    "key": edge.key, "source": edge.source, "target": edge.target,
                    "attributes": edge.attributes,
                })
            })
            .collect();
        json!({
            "options": { "type": "directed", "multi": false, "allowSelfLoops": false },
            "attributes": self.attributes,
            "nodes": nodes,
            "edges": edges,
        })
    }

    fn edge_records(&self) -> impl Iterator<Item = EdgeRecord<'_>> {
        self.edges.with_slots().map(|(slot, edge)| {
            let (source, target) = (self.ids.text(edge.from), self.ids.text(edge.to));
            let key = self.edges.key(slot);
            EdgeRecord {
                key: key.map_or_else(|| format!("{source}->{target}").into(), Cow::Borrowed),
                source,
                target,
                attributes: EdgeRecordAttributes {
                    quality_retention: self.edges.retention(slot),
                    other: self.edges.other(slot),
                },
            }
        })
    }
}

/// Graphology JSON, nodes and edges written one by one.
impl Serialize for TaskGraph {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("TaskGraph", 4)?;
        out.serialize_field(
            "options",
            &json!({ "type": "directed", "multi": false, "allowSelfLoops": false }),
        )?;
        out.serialize_field("attributes", &self.attributes)?;
        out.serialize_field("nodes", &Nodes(self))?;
        out.serialize_field("edges", &Edges(self))?;
        out.end()
    }
}

struct Nodes<'a>(&'a TaskGraph);
struct Edges<'a>(&'a TaskGraph);

#[derive(serde::Serialize)]
struct NodeRecord<'a> {
    key: &'a str,
    attributes: &'a TaskAttributes,
}

#[derive(serde::Serialize)]
struct EdgeRecord<'a> {
    key: Cow<'a, str>,
    source: &'a str,
    target: &'a str,
    attributes: EdgeRecordAttributes<'a>,
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct EdgeRecordAttributes<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    quality_retention: Option<f64>,
    #[serde(flatten)]
    other: Option<&'a Map<String, Value>>,
}

impl Serialize for Nodes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut nodes = serializer.serialize_seq(Some(self.0.task_count()))?;
        for (key, attributes) in self.0.tasks() {
            nodes.serialize_element(&NodeRecord { key, attributes })?;
        }
        nodes.end()
    }
}

impl Serialize for Edges<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut edges = serializer.serialize_seq(Some(self.0.edge_count()))?;
        for edge in self.0.edge_records() {
            edges.serialize_element(&edge)?;
        }
        edges.end()
    }
}

/// Whether a key is the one an edge has unless another is said: `from->to`.
fn is_usual_key(key: &str, from: &str, to: &str) -> bool {
    key.len() == from.len() + 2 + to.len()
        && key.starts_with(from)
        && key.ends_with(to)
        && &key.as_bytes()[from.len()..from.len() + 2] == b"->"
}

/// A text that the check has seen.
fn text<'a>(object: &'a Value, property: &str) -> &'a str {
    object
        .get(property)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn edge_attributes(edge: &Value) -> EdgeAttributes {
    let Some(attributes) = edge.get("attributes").and_then(Value::as_object) else {
        return EdgeAttributes::default();
    };
    let mut other = attributes.clone();
    let retention = other.remove("qualityRetention");
    EdgeAttributes {
        quality_retention: retention.and_then(|value| value.as_f64()),
        other: (!other.is_empty()).then(|| Box::new(other)),
    }
}
