//! YAML read into JSON, bounded: nesting, number of nodes, and what aliases make of them.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Number, Value};

/// Deepest nesting.
const DEPTH: usize = 128;
/// Most nodes, those that aliases repeat counted each time.
const NODES: usize = 4_000_000;

/// Why a text is no document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct YamlError {
    pub(crate) message: String,
    /// Counted from 1.
    pub(crate) line: usize,
}

/// A collection whose end has not come.
enum Open {
    List(Vec<Value>),
    Map {
        members: Map<String, Value>,
        key: Option<String>,
        /// What `<<` brings in, nearest first.
        merged: Vec<Map<String, Value>>,
    },
}

/// Reads the one document of a text.
pub(crate) fn read(text: &str) -> Result<Value, YamlError> {
    let options = granit_parser::options! {
        emit_comments: false,
        strict_indentation: false,
    };
    let mut reader = Reader::default();
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| YamlError {
            message: error.info(),
            line: error.marker().line(),
        })?;
        reader.take(event).map_err(|message| YamlError {
            message: message.to_owned(),
            line: span.start.line(),
        })?;
    }
    Ok(reader.root.unwrap_or(Value::Null))
}

#[derive(Default)]
struct Reader {
    /// Open collections with the anchor of each and the number of nodes when it began.
    open: Vec<(Open, usize, usize)>,
    root: Option<Value>,
    documents: usize,
    nodes: usize,
    /// Values by anchor, with the number of their nodes.
    anchors: HashMap<usize, (Value, usize)>,
}

impl Reader {
    fn take(&mut self, event: Event<'_>) -> Result<(), &'static str> {
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err("more than one document");
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && tag.is_none();
                if self.wants_key() {
                    return self.key(text.into_owned());
                }
                let value = if plain {
                    meaning(&text)
                } else {
                    Value::from(text.into_owned())
                };
                self.add(value, 1, anchor)?;
            }
            Event::SequenceStart(_, anchor, _) => self.enter(Open::List(Vec::new()), anchor)?,
            Event::MappingStart(_, anchor, _) => {
                let map = Open::Map {
                    members: Map::new(),
                    key: None,
                    merged: Vec::new(),
                };
                self.enter(map, anchor)?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some((open, anchor, began)) = self.open.pop() {
                    let value = match open {
                        Open::List(items) => Value::Array(items),
                        Open::Map {
                            mut members,
                            merged,
                            ..
                        } => {
                            for (key, value) in merged.into_iter().flatten() {
                                members.entry(key).or_insert(value);
                            }
                            Value::Object(members)
                        }
                    };
                    if anchor != 0 {
                        let nodes = self.nodes - began;
                        self.anchors.insert(anchor, (value.clone(), nodes));
                    }
                    self.place(value)?;
                }
            }
            Event::Alias(anchor) => {
                let (value, nodes) = self
                    .anchors
                    .get(&anchor)
                    .ok_or("an alias names nothing that is complete")?;
                if self.nodes.saturating_add(*nodes) > NODES {
                    return Err("the aliases make too many nodes");
                }
                let (value, nodes) = (value.clone(), *nodes);
                if self.wants_key() {
                    return match value {
                        Value::String(key) => self.key(key),
                        _ => Err("a key must be a text"),
                    };
                }
                self.add(value, nodes, 0)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn enter(&mut self, collection: Open, anchor: usize) -> Result<(), &'static str> {
        if self.wants_key() {
            return Err("a key must be a text");
        }
        if self.open.len() >= DEPTH {
            return Err("nested too deep");
        }
        self.count(1)?;
        self.open.push((collection, anchor, self.nodes - 1));
        Ok(())
    }

    fn wants_key(&self) -> bool {
        matches!(self.open.last(), Some((Open::Map { key: None, .. }, ..)))
    }

    fn key(&mut self, text: String) -> Result<(), &'static str> {
        self.count(1)?;
        if let Some((Open::Map { key, .. }, ..)) = self.open.last_mut() {
            *key = Some(text);
        }
        Ok(())
    }

    fn add(&mut self, value: Value, nodes: usize, anchor: usize) -> Result<(), &'static str> {
        self.count(nodes)?;
        if anchor != 0 {
            self.anchors.insert(anchor, (value.clone(), nodes));
        }
        self.place(value)
    }

    fn place(&mut self, value: Value) -> Result<(), &'static str> {
        match self.open.last_mut() {
            None => self.root = Some(value),
            Some((Open::List(items), ..)) => items.push(value),
            Some((
                Open::Map {
                    members,
                    key,
                    merged,
                },
                ..,
            )) => {
                let key = key.take().ok_or("a value without a key")?;
                match (key.as_str(), value) {
                    ("<<", Value::Object(more)) => merged.push(more),
                    ("<<", Value::Array(several)) => {
                        merged.extend(several.into_iter().filter_map(|one| match one {
                            Value::Object(more) => Some(more),
                            _ => None,
                        }));
                    }
                    (_, value) => {
                        members.insert(key, value);
                    }
                }
            }
        }
        Ok(())
    }

    fn count(&mut self, nodes: usize) -> Result<(), &'static str> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > NODES {
            return Err("too many nodes");
        }
        Ok(())
    }
}

/// A plain scalar by the core schema of YAML 1.2.
fn meaning(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    number(text).map_or_else(|| Value::from(text), Value::Number)
}

fn number(text: &str) -> Option<Number> {
    if let Some(digits) = text.strip_prefix("0x") {
        return u64::from_str_radix(digits, 16).ok().map(Number::from);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return u64::from_str_radix(digits, 8).ok().map(Number::from);
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let mut bytes = unsigned.bytes();
    let begins = matches!(bytes.next(), Some(b'0'..=b'9' | b'.'));
    let of_numbers =
        |byte: u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-');
    if !begins || !bytes.all(of_numbers) {
        return None;
    }
    let text = text.strip_prefix('+').unwrap_or(text);
    if let Ok(whole) = text.parse::<i64>() {
        return Some(whole.into());
    }
    if let Ok(whole) = text.parse::<u64>() {
        return Some(whole.into());
    }
    text.parse::<f64>().ok().and_then(Number::from_f64)
}
