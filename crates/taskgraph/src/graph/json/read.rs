//! Graphology JSON read straight into a graph, without the document as a tree beside it.
//!
//! Only what is right is read this way. At anything else the reader gives up, and the document is
//! read as a tree, whose check names the first fault. So nothing here says what is wrong, and the
//! two ways never disagree: what is read here is what the other way would read.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::{Map, Value};

use super::is_usual_key;
use crate::graph::shape::check_options;
use crate::graph::{EdgeAttributes, NONE, TaskAttributes, TaskGraph};

/// Edges whose ends are looked up together.
const BLOCK: usize = 512;

/// The graph, or none when the document must be looked at more closely.
pub(super) fn graph(text: &str) -> Option<TaskGraph> {
    let mut graph = TaskGraph::new();
    let mut json = serde_json::Deserializer::from_str(text);
    Document(&mut graph).deserialize(&mut json).ok()?;
    json.end().ok()?;
    (!graph.repeats_an_edge()).then_some(graph)
}

/// Gives up. Nobody reads the message.
fn unusual<E: de::Error>() -> E {
    E::custom("to be read as a tree")
}

/// A text, as it stands in the document where that is possible.
struct Text<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Text<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a text")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Reader)
    }
}

/// The document as a whole.
struct Document<'g>(&'g mut TaskGraph);

impl<'de> DeserializeSeed<'de> for Document<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Document<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a graph")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let (mut options, mut attributes) = (None, None);
        let (mut nodes, mut edges) = (false, false);
        let mut waiting: Vec<Edge<'de>> = Vec::new();
        while let Some(Text(key)) = map.next_key()? {
            match &*key {
                "options" => options = Some(map.next_value::<Value>()?),
                "attributes" => attributes = Some(map.next_value::<Map<String, Value>>()?),
                "nodes" if !nodes => {
                    nodes = true;
                    map.next_value_seed(Nodes(self.0))?;
                }
                "edges" if nodes && !edges => {
                    edges = true;
                    map.next_value_seed(Edges(self.0))?;
                }
                // Sorted by name the edges come first; they wait for their ends.
                "edges" if !edges => {
                    edges = true;
                    waiting = map.next_value()?;
                }
                "nodes" | "edges" => return Err(unusual()),
                _ => skip(&mut map)?,
            }
        }
        let options = options.ok_or_else(unusual)?;
        check_options(&options).map_err(|_| unusual::<A::Error>())?;
        if !nodes || !edges {
            return Err(unusual());
        }
        add(self.0, &mut waiting, &mut Vec::new()).ok_or_else(unusual::<A::Error>)?;
        self.0.attributes = attributes.ok_or_else(unusual)?;
        Ok(())
    }
}

/// Reads a value nobody wants as carefully as the others: the tree would be.
fn skip<'de, A: MapAccess<'de>>(map: &mut A) -> Result<(), A::Error> {
    map.next_value::<Value>().map(drop)
}

struct Nodes<'g>(&'g mut TaskGraph);

impl<'de> DeserializeSeed<'de> for Nodes<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Nodes<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("nodes")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut nodes: A) -> Result<(), A::Error> {
        while let Some(Node { key, attributes }) = nodes.next_element()? {
            let slot = self.0.insert_node(&key, attributes, false);
            slot.ok_or_else(unusual::<A::Error>)?;
        }
        Ok(())
    }
}

struct Node<'de> {
    key: Cow<'de, str>,
    attributes: TaskAttributes,
}

impl<'de> Deserialize<'de> for Node<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Node<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a node")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node<'de>, A::Error> {
                let (mut key, mut attributes) = (None, None);
                while let Some(Text(property)) = map.next_key()? {
                    match &*property {
                        "key" => key = Some(map.next_value::<Text<'_>>()?.0),
                        "attributes" => attributes = Some(map.next_value::<NodeAttributes>()?.0),
                        _ => skip(&mut map)?,
                    }
                }
                Ok(Node {
                    key: key.ok_or_else(unusual)?,
                    attributes: attributes.ok_or_else(unusual)?,
                })
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

struct NodeAttributes(TaskAttributes);

impl<'de> Deserialize<'de> for NodeAttributes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = NodeAttributes;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("attributes of a node")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<NodeAttributes, A::Error> {
                let mut read = TaskAttributes::default();
                let mut name = None;
                while let Some(Text(property)) = map.next_key()? {
                    match &*property {
                        "name" => name = Some(map.next_value::<String>()?),
                        "scope" => read.scope = Some(label(&mut map)?),
                        "risk" => read.risk = Some(label(&mut map)?),
                        "impact" => read.impact = Some(label(&mut map)?),
                        "level" => read.level = Some(label(&mut map)?),
                        "priority" => read.priority = Some(label(&mut map)?),
                        "status" => read.status = Some(label(&mut map)?),
                        _ => {
                            let value = map.next_value()?;
                            let other = read.other.get_or_insert_default();
                            other.insert(property.into_owned(), value);
                        }
                    }
                }
                read.name = name.ok_or_else(unusual)?;
                Ok(NodeAttributes(read))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

fn label<'de, A: MapAccess<'de>, T: std::str::FromStr>(map: &mut A) -> Result<T, A::Error> {
    let Text(text) = map.next_value()?;
    text.parse().map_err(|_| unusual())
}

struct Edges<'g>(&'g mut TaskGraph);

impl<'de> DeserializeSeed<'de> for Edges<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Edges<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("edges")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut edges: A) -> Result<(), A::Error> {
        let mut block: Vec<Edge<'de>> = Vec::with_capacity(BLOCK);
        let mut slots = Vec::with_capacity(2 * BLOCK);
        loop {
            let edge = edges.next_element()?;
            let ended = edge.is_none();
            block.extend(edge);
            if block.len() == BLOCK || ended {
                add(self.0, &mut block, &mut slots).ok_or_else(unusual::<A::Error>)?;
            }
            if ended {
                return Ok(());
            }
        }
    }
}

/// Adds the edges of a block; none when an end is no task or both ends are the same.
fn add(graph: &mut TaskGraph, block: &mut Vec<Edge<'_>>, slots: &mut Vec<u32>) -> Option<()> {
    slots.clear();
    let ends = block.iter().flat_map(|edge| [&*edge.source, &*edge.target]);
    graph.ids.get_all(ends, slots);
    for (edge, ends) in block.drain(..).zip(slots.chunks_exact(2)) {
        let (from, to) = (ends[0], ends[1]);
        if from == NONE || to == NONE || from == to {
            return None;
        }
        let key = (!is_usual_key(&edge.key, &edge.source, &edge.target)).then(|| edge.key.into());
        graph.push_edge_with(from, to, key, edge.attributes);
    }
    Some(())
}

struct Edge<'de> {
    key: Cow<'de, str>,
    source: Cow<'de, str>,
    target: Cow<'de, str>,
    attributes: EdgeAttributes,
}

impl<'de> Deserialize<'de> for Edge<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Edge<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an edge")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Edge<'de>, A::Error> {
                let (mut key, mut source, mut target) = (None, None, None);
                let mut attributes = EdgeAttributes::default();
                while let Some(Text(property)) = map.next_key()? {
                    match &*property {
                        "key" => key = Some(map.next_value::<Text<'_>>()?.0),
                        "source" => source = Some(map.next_value::<Text<'_>>()?.0),
                        "target" => target = Some(map.next_value::<Text<'_>>()?.0),
                        "attributes" => attributes = map.next_value::<ReadEdgeAttributes>()?.0,
                        _ => skip(&mut map)?,
                    }
                }
                Ok(Edge {
                    key: key.ok_or_else(unusual)?,
                    source: source.ok_or_else(unusual)?,
                    target: target.ok_or_else(unusual)?,
                    attributes,
                })
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

struct ReadEdgeAttributes(EdgeAttributes);

impl<'de> Deserialize<'de> for ReadEdgeAttributes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = ReadEdgeAttributes;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("attributes of an edge")
            }

            fn visit_map<A: MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<ReadEdgeAttributes, A::Error> {
                let mut read = EdgeAttributes::default();
                while let Some(Text(property)) = map.next_key()? {
                    if property == "qualityRetention" {
                        read.quality_retention = Some(map.next_value()?);
                    } else {
                        let value = map.next_value()?;
                        let other = read.other.get_or_insert_default();
                        other.insert(property.into_owned(), value);
                    }
                }
                Ok(ReadEdgeAttributes(read))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}
