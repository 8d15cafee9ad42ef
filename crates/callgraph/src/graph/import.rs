//! The graph from graphology JSON.

use std::collections::HashSet;

use alkhub_operations::{JsonObject, RequestId};
use serde_json::Value;

use super::{CallGraph, EdgeType, NONE};
use crate::call::CallNode;
use crate::error::GraphError;
use crate::fields::{Faults, Fields};

const IDENTITY: &str = "an object of id, scopes and resources";
const ERROR: &str = "an object of code, message and details";

/// An edge as it came, with its place for messages.
struct EdgeGiven {
    path: String,
    from: RequestId,
    to: RequestId,
    kind: EdgeType,
    attributes: JsonObject,
}

impl CallGraph {
    /// Reads a graph from graphology JSON.
    ///
    /// `null` is the same as absent. Attributes that are not ours are kept, as are edges of the types
    /// `sequential` and `conditional`; keys of edges are made anew. An edge from the parent that is
    /// missing although both calls are there is added.
    ///
    /// # Errors
    /// [`GraphError::InvalidInput`] with all faults of shape; [`GraphError::DuplicateNode`],
    /// [`GraphError::DuplicateEdge`] and [`GraphError::Cycle`].
    pub fn from_json(json: Value) -> Result<Self, GraphError> {
        let mut faults = Faults::default();
        let read = read(json, &mut faults);
        faults.finish()?;
        let (attributes, calls, edges) = read.unwrap_or_default();
        let mut graph = Self {
            attributes,
            ..Self::default()
        };
        for call in calls {
            if graph.find(&call.request_id).is_some() {
                return Err(GraphError::DuplicateNode {
                    key: call.request_id,
                });
            }
            graph.fill(call);
        }
        graph.take_edges(edges)?;
        graph.link_parents();
        match graph.any_cycle() {
            Some(cycle) => Err(GraphError::cycle(cycle)),
            None => Ok(graph),
        }
    }

    pub(super) fn link_foreign(
        &mut self,
        from: u32,
        to: u32,
        kind: EdgeType,
        attributes: JsonObject,
    ) {
        self.links(from).foreign.insert((to, kind), attributes);
        self.links(to).foreign_from.insert((from, kind));
    }

    fn take_edges(&mut self, edges: Vec<EdgeGiven>) -> Result<(), GraphError> {
        let mut faults = Faults::default();
        let mut seen = HashSet::new();
        for edge in edges {
            let EdgeGiven {
                path,
                from: from_id,
                to: to_id,
                kind,
                attributes,
            } = edge;
            if !seen.insert((from_id.clone(), to_id.clone(), kind)) {
                return Err(GraphError::DuplicateEdge {
                    from: from_id,
                    to: to_id,
                });
            }
            let (from, to) = (self.find(&from_id), self.find(&to_id));
            if from.is_none() {
                faults.add(format!("{path}/source"), "is no node of the graph");
            }
            if to.is_none() {
                faults.add(format!("{path}/target"), "is no node of the graph");
            }
            let (Some(from), Some(to)) = (from, to) else {
                continue;
            };
            if from == to {
                return Err(GraphError::cycle(vec![from_id]));
            }
            match kind {
                EdgeType::Triggered => {
                    let parent = &mut self.node_mut(to).call.parent_request_id;
                    if *parent.get_or_insert_with(|| from_id.clone()) == from_id {
                        self.link(from, to);
                        if !attributes.is_empty() {
                            self.links(to).triggered = attributes;
                        }
                    } else {
                        faults.add(path, "is not from the parent of its target");
                    }
                }
                EdgeType::DependsOn => self.link_dependency(from, to, attributes),
                EdgeType::Sequential | EdgeType::Conditional => {
                    self.link_foreign(from, to, kind, attributes);
                }
            }
        }
        faults.finish()
    }

    /// Ties calls to parents for which no edge came.
    fn link_parents(&mut self) {
        let left: Vec<(u32, RequestId)> = self
            .nodes()
            .filter(|(_, node)| node.parent == NONE)
            .filter_map(|(slot, node)| Some((slot, node.call.parent_request_id.clone()?)))
            .collect();
        for (slot, parent) in left {
            match self.find(&parent) {
                Some(parent) => self.link(parent, slot),
                None => self.wait(parent, slot),
            }
        }
    }
}

type Parts = (JsonObject, Vec<CallNode>, Vec<EdgeGiven>);

fn read(json: Value, faults: &mut Faults) -> Option<Parts> {
    let members = faults.object(json, "")?;
    let mut fields = Fields::new(members, "", faults);
    let attributes = fields.object("attributes").unwrap_or_default();
    let options = fields.object("options");
    let nodes = list(&mut fields, "nodes");
    let edges = list(&mut fields, "edges");
    if let Some(options) = options {
        check_options(options, faults);
    }
    let mut calls = Vec::with_capacity(nodes.len());
    for (place, node) in nodes.into_iter().enumerate() {
        calls.extend(read_node(node, &format!("/nodes/{place}"), faults));
    }
    let mut given = Vec::with_capacity(edges.len());
    for (place, edge) in edges.into_iter().enumerate() {
        given.extend(read_edge(edge, format!("/edges/{place}"), faults));
    }
    Some((without_nulls(attributes), calls, given))
}

fn list(fields: &mut Fields<'_>, name: &str) -> Vec<Value> {
    match fields.take(name) {
        None => Vec::new(),
        Some(Value::Array(items)) => items,
        Some(_) => {
            fields.fault(name, "must be a list");
            Vec::new()
        }
    }
}

fn check_options(options: JsonObject, faults: &mut Faults) {
    let mut fields = Fields::new(options, "/options", faults);
    let kind: Option<String> = fields.text("type");
    if kind.is_some_and(|kind| kind != "directed") {
        fields.fault("type", "must be directed");
    }
    if fields.read("allowSelfLoops", "true or false") == Some(true) {
        fields.fault("allowSelfLoops", "must be false");
    }
    // Both are taken: the pairs that have two edges show by themselves.
    let _: Option<bool> = fields.read("multi", "true or false");
}

fn read_node(node: Value, path: &str, faults: &mut Faults) -> Option<CallNode> {
    let members = faults.object(node, path)?;
    let mut fields = Fields::new(members, path, faults);
    let key: Option<RequestId> = fields.required_text("key");
    let attributes = fields.object("attributes").unwrap_or_default();
    let mut fields = Fields::new(attributes, &format!("{path}/attributes"), faults);
    let request_id: Option<RequestId> = fields.text("requestId");
    if let (Some(key), Some(request_id)) = (&key, &request_id)
        && key != request_id
    {
        fields.fault("requestId", "is not the key of the node");
    }
    let operation_id = fields.required_text("operationId");
    let status = fields.required_text("status");
    let parent_request_id: Option<RequestId> = fields.text("parentRequestId");
    let input = fields.take("input");
    let output = fields.take("output");
    let error = fields.read("error", ERROR);
    let identity = fields.read("identity", IDENTITY);
    let requested_at = fields.text("requestedAt");
    let started_at = fields.text("startedAt");
    let completed_at = fields.text("completedAt");
    let metadata = fields.object("metadata").unwrap_or_default();
    let mut call = CallNode::new(key?, operation_id?);
    call.status = status?;
    call.parent_request_id = parent_request_id;
    call.input = input;
    call.output = output;
    call.error = error;
    call.identity = identity;
    call.requested_at = requested_at;
    call.started_at = started_at;
    call.completed_at = completed_at;
    call.metadata = metadata;
    call.unknown = fields.rest();
    Some(call)
}

fn read_edge(edge: Value, path: String, faults: &mut Faults) -> Option<EdgeGiven> {
    let members = faults.object(edge, &path)?;
    let mut fields = Fields::new(members, &path, faults);
    let _: Option<String> = fields.text("key");
    let from = fields.required_text("source");
    let to = fields.required_text("target");
    let attributes = fields.object("attributes").unwrap_or_default();
    let mut fields = Fields::new(attributes, &format!("{path}/attributes"), faults);
    let kind = fields.required_text("edgeType");
    let attributes = fields.rest();
    Some(EdgeGiven {
        path,
        from: from?,
        to: to?,
        kind: kind?,
        attributes,
    })
}

fn without_nulls(mut members: JsonObject) -> JsonObject {
    members.retain(|_, value| !value.is_null());
    members
}
