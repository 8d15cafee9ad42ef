//! From YAML text to a tree that knows where each node stands.
//!
//! Built on the event parser that serde-saphyr stands on rather than on serde-saphyr itself: a
//! typed reader hides the two things needed here, whether a scalar was quoted and which bytes of
//! the source an entry covers. Limits, duplicate keys and aliases are looked after here.

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

/// Aliases in one document. The format sets no limit to aliases of empty collections; reading
/// must end nevertheless.
const MAX_ALIASES: usize = 10_000;

/// Reads one YAML document.
pub(super) fn compose(text: &str) -> Result<Tree, Error> {
    let options = granit_parser::options! {
        emit_comments: false,
        strict_indentation: true,
        bom_inside_document_as_content: true,
    };
    let mut composer = Composer::default();
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
    check_aliases(&tree)?;
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

#[derive(Default)]
struct Composer {
    nodes: Vec<Node>,
    root: Option<usize>,
    documents: usize,
    open: Vec<Open>,
    anchors: HashMap<usize, usize>,
}

/// A collection whose end has not come yet.
struct Open {
    node: usize,
    /// A key waiting for its value.
    key: Option<usize>,
    /// Keys of a mapping so far.
    keys: HashSet<Key>,
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

impl Composer {
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
            Event::SequenceStart(_, anchor, tag) => {
                let ordered_map =
                    core(tag.as_deref()).is_some_and(|tag| tag == "tag:yaml.org,2002:omap");
                let node = self.add(
                    Content::Sequence {
                        items: Vec::new(),
                        ordered_map,
                    },
                    anchor,
                    span,
                )?;
                self.open.push(Open {
                    node,
                    key: None,
                    keys: HashSet::new(),
                });
                Ok(())
            }
            Event::MappingStart(style, anchor, _) => {
                let flow = style == StructureStyle::Flow;
                let node = self.add(
                    Content::Mapping {
                        entries: Vec::new(),
                        flow,
                    },
                    anchor,
                    span,
                )?;
                self.open.push(Open {
                    node,
                    key: None,
                    keys: HashSet::new(),
                });
                Ok(())
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(open) = self.open.pop() {
                    self.nodes[open.node].end = span.end.byte_offset().unwrap_or_default();
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

/// Refuses aliases that together stand for too much.
///
/// Each anchor counts its uses, itself included, and weighs as much as the heaviest thing in it:
/// 1 for a scalar, uses times weight for an alias. More than 100 is refused, so that nine levels
/// of nine aliases each end at the second level.
fn check_aliases(tree: &Tree) -> Result<(), Error> {
    let mut uses: HashMap<usize, (u64, Option<u64>)> = HashMap::new();
    let mut aliases = 0;
    for node in &tree.nodes {
        let Content::Alias(target) = node.content else {
            continue;
        };
        aliases += 1;
        let count = uses.get(&target).map_or(1, |(count, _)| *count) + 1;
        let known = uses.get(&target).and_then(|(_, weight)| *weight);
        let weight = known.unwrap_or_else(|| weight(tree, target, &uses));
        uses.insert(target, (count, Some(weight)));
        if aliases > MAX_ALIASES || count.saturating_mul(weight) > 100 {
            return Err(Error {
                message: "the aliases stand for too much".to_owned(),
                line: node.line,
            });
        }
    }
    Ok(())
}

/// The heaviest thing in `node`.
fn weight(tree: &Tree, node: usize, uses: &HashMap<usize, (u64, Option<u64>)>) -> u64 {
    let mut heaviest = 0;
    let mut waiting = vec![node];
    while let Some(node) = waiting.pop() {
        match &tree.nodes[node].content {
            Content::Scalar(_) => heaviest = heaviest.max(1),
            Content::Alias(target) => {
                let (count, weight) = uses.get(target).copied().unwrap_or((1, None));
                heaviest = heaviest.max(count.saturating_mul(weight.unwrap_or(0)));
            }
            Content::Sequence { items, .. } => waiting.extend(items),
            Content::Mapping { entries, .. } => {
                waiting.extend(entries.iter().flat_map(|(key, value)| [*key, *value]));
            }
        }
    }
    heaviest
}
