//! The graph as graphology JSON, in and out.

use serde::ser::{Serialize, SerializeSeq, SerializeStruct, Serializer};
use serde_json::{Map, Value, json};

use super::attributes::FIELDS;
use super::{EdgeAttributes, TaskAttributes, TaskGraph};
use crate::{InvalidInput, InvalidReason, TaskgraphError};
use crate::{TaskImpact, TaskLevel, TaskPriority, TaskRisk, TaskScope, TaskStatus};

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
            let key = (key != format!("{from}->{to}")).then(|| key.into());
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
        self.live_edges().filter_map(|(_, edge)| {
            let (source, target) = (&*self.node(edge.from)?.id, &*self.node(edge.to)?.id);
            let key = edge
                .key
                .as_ref()
                .map_or_else(|| format!("{source}->{target}"), |k| k.to_string());
            Some(EdgeRecord {
                key,
                source,
                target,
                attributes: &edge.attributes,
            })
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
    key: String,
    source: &'a str,
    target: &'a str,
    attributes: &'a EdgeAttributes,
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

/// A document whose shape is right.
struct Checked<'a> {
    attributes: &'a Map<String, Value>,
    nodes: &'a [Value],
    edges: &'a [Value],
}

impl<'a> Checked<'a> {
    /// Checks the shape: for each object first the missing properties in their order, then the
    /// values in the same order.
    fn new(data: &'a Value) -> Result<Self, InvalidInput> {
        let top = object(data, "", &["attributes", "options", "nodes", "edges"])?;
        let attributes = object(&top["attributes"], "attributes", &[])?;
        let options = object(
            &top["options"],
            "options",
            &["type", "multi", "allowSelfLoops"],
        )?;
        if options["type"] != "directed" {
            return Err(InvalidInput::shape("options/type", "Expected 'directed'"));
        }
        for option in ["multi", "allowSelfLoops"] {
            if options[option] != false {
                return Err(InvalidInput::shape(
                    format!("options/{option}"),
                    "Expected false",
                ));
            }
        }
        let nodes = array(&top["nodes"], "nodes")?;
        for (number, node) in nodes.iter().enumerate() {
            let path = format!("nodes/{number}");
            let node = object(node, &path, &["key", "attributes"])?;
            string(&node["key"], &format!("{path}/key"))?;
            check_attributes(&node["attributes"], &format!("{path}/attributes"))?;
        }
        let edges = array(&top["edges"], "edges")?;
        for (number, edge) in edges.iter().enumerate() {
            let path = format!("edges/{number}");
            let edge = object(edge, &path, &["key", "source", "target"])?;
            for property in ["key", "source", "target"] {
                string(&edge[property], &format!("{path}/{property}"))?;
            }
            // An export leaves out empty attributes, so their absence is no fault.
            if let Some(attributes) = edge.get("attributes") {
                let attributes = object(attributes, &format!("{path}/attributes"), &[])?;
                if attributes
                    .get("qualityRetention")
                    .is_some_and(|value| !value.is_number())
                {
                    let field = format!("{path}/attributes/qualityRetention");
                    return Err(InvalidInput::shape(field, "Expected number"));
                }
            }
        }
        Ok(Self {
            attributes,
            nodes,
            edges,
        })
    }
}

fn check_attributes(value: &Value, path: &str) -> Result<(), InvalidInput> {
    let attributes = object(value, path, &["name"])?;
    for field in FIELDS {
        if let Some(value) = attributes.get(field)
            && let Some(message) = fault_of(field, value)
        {
            return Err(InvalidInput::shape(format!("{path}/{field}"), message));
        }
    }
    Ok(())
}

/// What is wrong with the value of a node attribute, if anything.
pub(crate) fn fault_of(field: &str, value: &Value) -> Option<&'static str> {
    let text = value.as_str();
    let valid = match field {
        "name" => {
            return if text.is_some() {
                None
            } else {
                Some("Expected string")
            };
        }
        "scope" => text.is_some_and(|text| text.parse::<TaskScope>().is_ok()),
        "risk" => text.is_some_and(|text| text.parse::<TaskRisk>().is_ok()),
        "impact" => text.is_some_and(|text| text.parse::<TaskImpact>().is_ok()),
        "level" => text.is_some_and(|text| text.parse::<TaskLevel>().is_ok()),
        "priority" => text.is_some_and(|text| text.parse::<TaskPriority>().is_ok()),
        "status" => text.is_some_and(|text| text.parse::<TaskStatus>().is_ok()),
        _ => true,
    };
    if valid {
        None
    } else {
        Some("Expected union value")
    }
}

fn object<'a>(
    value: &'a Value,
    path: &str,
    required: &[&str],
) -> Result<&'a Map<String, Value>, InvalidInput> {
    let object = value
        .as_object()
        .ok_or_else(|| InvalidInput::shape(path, "Expected object"))?;
    for property in required {
        if !object.contains_key(*property) {
            let field = if path.is_empty() {
                (*property).to_owned()
            } else {
                format!("{path}/{property}")
            };
            return Err(InvalidInput::shape(field, "Expected required property"));
        }
    }
    Ok(object)
}

fn array<'a>(value: &'a Value, path: &str) -> Result<&'a [Value], InvalidInput> {
    match value {
        Value::Array(items) => Ok(items),
        _ => Err(InvalidInput::shape(path, "Expected array")),
    }
}

fn string(value: &Value, path: &str) -> Result<(), InvalidInput> {
    if value.is_string() {
        Ok(())
    } else {
        Err(InvalidInput::shape(path, "Expected string"))
    }
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
