//! From YAML text to a tree that knows where each node stands.
//!
//! Built on the event parser that serde-saphyr stands on rather than on serde-saphyr itself: a
//! typed reader hides the two things needed here, whether a scalar was quoted and which bytes of
//! the source an entry covers. Limits, duplicate keys and aliases are looked after here.

mod aliases;
mod indentation;

use std::collections::{HashMap, HashSet};

use granit_parser::{Event, Parser, ScalarStyle, Span, StructureStyle};

use super::scalar::{self, Value};

/// A YAML document; nodes stand in the order of the text.
pub(super) struct Tree {
    pub(super) nodes: Vec<Node>,
    /// None for a text without any node.
    pub(super) root: Option<usize>,
}

pub(super) struct Node {
    pub(super) content: Content,
    /// Line of the parsed text, counted from 1.
    pub(super) line: usize,
    /// First byte of the node in the parsed text, after its tag and anchor.
    pub(super) start: usize,
    /// First byte after a scalar or an alias; for a collection, after its last delimiter.
    pub(super) end: usize,
}

pub(super) enum Content {
    Scalar(Scalar),
    Sequence {
        items: Vec<usize>,
        ordered_map: bool,
    },
    Mapping {
        entries: Vec<(usize, usize)>,
        flow: bool,
    },
    Alias(usize),
}

pub(super) struct Scalar {
    pub(super) text: String,
    pub(super) value: Value,
    /// Whether it is a literal or folded block, which ends only with its line break.
    pub(super) block: bool,
    /// Full name of an explicit tag.
    pub(super) tag: Option<String>,
}

pub(super) struct Error {
    pub(super) message: String,
    pub(super) line: usize,
}

/// Reads one YAML document.
pub(super) fn compose(text: &str) -> Result<Tree, Error> {
    let options = granit_parser::options! {
        emit_comments: false,
        // Looked after by `indentation`: the strictness of the parser goes further than that of
        // the format.
        strict_indentation: false,
        bom_inside_document_as_content: true,
    };
    let mut composer = Composer::new(text);
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| Error {
            message: error.info(),
            line: error.marker().line(),
        })?;
        composer.take(event, &span)?;
    }
    let tree = Tree {
        nodes: composer.nodes,
        root: composer.root,
    };
    aliases::check(&tree)?;
    Ok(tree)
}

impl Tree {
    /// The node that `node` stands for: itself unless it is an alias.
    pub(super) fn target(&self, node: usize) -> usize {
        match self.nodes[node].content {
            Content::Alias(target) => target,
            _ => node,
        }
    }

    /// The text of a scalar whose meaning is text, through an alias if need be.
    pub(super) fn text(&self, node: usize) -> Option<&str> {
        match &self.nodes[self.target(node)].content {
            Content::Scalar(Scalar {
                text,
                value: Value::Text,
                ..
            }) => Some(text),
            _ => None,
        }
    }
}

struct Composer<'t> {
    text: &'t str,
    nodes: Vec<Node>,
    root: Option<usize>,
    documents: usize,
    open: Vec<Open>,
    anchors: HashMap<usize, usize>,
    /// Open flow collections.
    flows: usize,
}

/// A collection whose end has not come yet.
struct Open {
    node: usize,
    /// A key waiting for its value.
    key: Option<usize>,
    /// Keys of a mapping so far.
    keys: HashSet<Key>,
    flow: bool,
    /// Column of a block collection, known from its first entry on.
    indent: Option<usize>,
}

/// A scalar key as far as sameness goes: by meaning, so that `1` and `0x1` are the same key but
/// `1` and `"1"` are not.
#[derive(PartialEq, Eq, Hash)]
enum Key {
    Null,
    Bool(bool),
    Number(u64),
    Text(String),
}

impl<'t> Composer<'t> {
    fn new(text: &'t str) -> Self {
        Self {
            text,
            nodes: Vec::new(),
            root: None,
            documents: 0,
            open: Vec::new(),
            anchors: HashMap::new(),
            flows: 0,
        }
    }

    fn take(&mut self, event: Event<'_>, span: &Span) -> Result<(), Error> {
        let core = |tag: Option<&granit_parser::Tag>| {
            tag.map(|tag| format!("{}{}", tag.handle(), tag.suffix()))
        };
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(error("more than one document", span));
                }
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                let tag = core(tag.as_deref());
                let plain = style == ScalarStyle::Plain;
                let value = scalar::resolve(&text, plain, tag.as_deref());
                let block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                let quoted = matches!(style, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted);
                if quoted && self.flows == 0 {
                    indentation::check_quoted(self.text, span, self.indent())?;
                }
                let text = text.into_owned();
                self.add(
                    Content::Scalar(Scalar {
                        text,
                        value,
                        block,
                        tag,
                    }),
                    anchor,
                    span,
                )?;
                Ok(())
            }
            Event::SequenceStart(style, anchor, tag) => {
                let ordered_map =
                    core(tag.as_deref()).is_some_and(|tag| tag == "tag:yaml.org,2002:omap");
                let content = Content::Sequence {
                    items: Vec::new(),
                    ordered_map,
                };
                self.enter(content, anchor, style, span)
            }
            Event::MappingStart(style, anchor, _) => {
                let flow = style == StructureStyle::Flow;
                let content = Content::Mapping {
                    entries: Vec::new(),
                    flow,
                };
                self.enter(content, anchor, style, span)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.open.pop() else {
                    return Ok(());
                };
                let end = span.end.byte_offset().unwrap_or_default();
                self.nodes[open.node].end = end;
                if open.flow {
                    self.flows -= 1;
                    if self.flows == 0 {
                        let start = &self.nodes[open.node];
                        let span = (start.start, end, start.line);
                        indentation::check_flow(self.text, span, self.indent())?;
                    }
                }
                Ok(())
            }
            Event::Alias(anchor) => {
                let Some(&target) = self.anchors.get(&anchor) else {
                    return Err(error("an alias names no anchor", span));
                };
                self.add(Content::Alias(target), 0, span)?;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Adds a collection and goes into it.
    fn enter(
        &mut self,
        content: Content,
        anchor: usize,
        style: StructureStyle,
        span: &Span,
    ) -> Result<(), Error> {
        let flow = style == StructureStyle::Flow;
        // A sequence shows its column by its first dash. Where none is seen, its dashes stand in
        // the column of the mapping around it.
        let indent = match &content {
            Content::Sequence { .. } if !flow => {
                let start = span.start.byte_offset().unwrap_or_default();
                let at_dash = self
                    .text
                    .get(start..)
                    .is_some_and(|rest| rest.starts_with('-'));
                if at_dash {
                    Some(span.start.col())
                } else {
                    self.indent()
                }
            }
            _ => None,
        };
        let node = self.add(content, anchor, span)?;
        self.flows += usize::from(flow);
        self.open.push(Open {
            node,
            key: None,
            keys: HashSet::new(),
            flow,
            indent,
        });
        Ok(())
    }

    /// Column of the innermost block collection; none outside of all.
    fn indent(&self) -> Option<usize> {
        self.open.iter().rev().find(|open| !open.flow)?.indent
    }

    /// Adds a node and hangs it into the innermost open collection.
    fn add(&mut self, content: Content, anchor: usize, span: &Span) -> Result<usize, Error> {
        let node = self.nodes.len();
        let key = key_of(&content);
        self.nodes.push(Node {
            content,
            line: span.start.line(),
            start: span.start.byte_offset().unwrap_or_default(),
            end: span.end.byte_offset().unwrap_or_default(),
        });
        // The parser numbers anchors from 1.
        if anchor != 0 {
            self.anchors.insert(anchor, node);
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(node);
        };
        match &mut self.nodes[open.node].content {
            Content::Sequence { items, .. } => items.push(node),
            Content::Mapping { entries, .. } => match open.key.take() {
                Some(key) => entries.push((key, node)),
                None => {
                    if open.indent.is_none() && !open.flow {
                        indentation::check_first_key(self.text, span)?;
                        open.indent = span.indent;
                    }
                    if key.is_some_and(|key| !open.keys.insert(key)) {
                        return Err(error("map keys must be unique", span));
                    }
                    open.key = Some(node);
                }
            },
            Content::Scalar(_) | Content::Alias(_) => {}
        }
        Ok(node)
    }
}

fn error(message: &str, span: &Span) -> Error {
    Error {
        message: message.to_owned(),
        line: span.start.line(),
    }
}

/// What makes a key the same as another; collections, aliases, dates and NaN never are.
fn key_of(content: &Content) -> Option<Key> {
    let Content::Scalar(scalar) = content else {
        return None;
    };
    match scalar.value {
        Value::Null => Some(Key::Null),
        Value::Bool(value) => Some(Key::Bool(value)),
        Value::Number(number) if number.is_nan() => None,
        // Adding zero makes the two zeros one.
        Value::Number(number) => Some(Key::Number((number + 0.0).to_bits())),
        Value::Text => Some(Key::Text(scalar.text.clone())),
        Value::Other => None,
    }
}
