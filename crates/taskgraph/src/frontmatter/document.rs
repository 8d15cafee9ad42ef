//! A whole task file: the task, the keys nobody here knows, and the body.

use std::collections::HashSet;

use super::read;
use super::scalar::Value;
use super::split::is_delimiter;
use super::write::{assemble, push_quoted};
use super::yaml::{Content, Tree};
use super::{Options, Source, checked_parts};
use crate::{InvalidInput, TaskInput};

/// A task file taken apart so that it can be put together again.
///
/// Reading a file and writing it back keeps the unknown keys and the body byte for byte; the
/// known keys come out in their fixed order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Document {
    /// The keys that are known.
    pub task: TaskInput,
    /// The text of all other keys.
    pub unknown: UnknownKeys,
    /// What follows the front matter.
    pub body: String,
}

impl Document {
    /// Reads a task file.
    ///
    /// # Errors
    ///
    /// As [`super::parse`]; also unknown keys that cannot stand without the known ones, which
    /// only aliases to oneself or bombs of them achieve.
    pub fn parse(text: &str, options: &Options) -> Result<Self, InvalidInput> {
        let parts = checked_parts(text, options)?;
        let source = Source::new(parts.data, parts.data_line);
        let tree = source.compose()?;
        Ok(Self {
            task: read::task(&tree, &source, options.missing_depends_on)?,
            unknown: UnknownKeys::extract(&tree, &source, parts.data_break, options)?,
            body: parts.body.to_owned(),
        })
    }

    /// Writes the file: known keys, unknown keys, body.
    pub fn to_text(&self) -> String {
        assemble(&self.task, self.unknown.as_str(), &self.body)
    }
}

/// The text of the front-matter keys that are no task fields: whole lines, each with its line
/// break, that can stand after the known keys. Comments right above such a key belong to it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UnknownKeys(String);

impl UnknownKeys {
    /// The text, empty or ending in a line break.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes a text that was kept elsewhere, such as in a database.
    ///
    /// # Errors
    ///
    /// When the text is over the limit for front matter, is not the inside of a block mapping,
    /// names a known key, or would close the front matter.
    pub fn parse(text: &str, options: &Options) -> Result<Self, InvalidInput> {
        super::check_size(
            "the text of the unknown keys",
            text.len(),
            options.max_frontmatter_bytes,
        )?;
        let mut text = text.to_owned();
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        let (tree, entries) = compose_after_known(&text)?;
        for (key, _) in &entries {
            if let Some(key) = tree.text(*key).filter(|key| read::is_known(key)) {
                return Err(InvalidInput::shape(key, "is a field of the task itself"));
            }
        }
        Ok(Self(text))
    }

    /// Cuts the unknown keys out of a front matter.
    fn extract(
        tree: &Tree,
        source: &Source<'_>,
        last_break: &str,
        options: &Options,
    ) -> Result<Self, InvalidInput> {
        let entries = read::entries(tree, source)?;
        let unknown = |key: usize| !tree.text(key).is_some_and(read::is_known);
        let kept: Vec<(usize, usize)> = entries
            .iter()
            .copied()
            .filter(|(key, _)| unknown(*key))
            .collect();
        if kept.is_empty() {
            return Ok(Self::default());
        }
        let same = |text: &str| match compose_after_known(text) {
            Ok((other, entries)) => {
                entries.len() == kept.len()
                    && kept.iter().zip(&entries).all(|(ours, theirs)| {
                        equal(tree, ours.0, &other, theirs.0)
                            && equal(tree, ours.1, &other, theirs.1)
                    })
            }
            Err(_) => false,
        };
        let lines = Lines {
            tree,
            text: &source.text,
            entries,
            last_break,
        };
        if let Some(text) = lines.cut(&unknown).map(|text| source.original(&text)) {
            // What is compared is what a reader of the written file will see.
            if same(&text) {
                return Ok(Self(text));
            }
        }
        // The lines cannot stand alone: a flow mapping at the top, an alias to a known key.
        match rewrite(tree, &kept, options.max_frontmatter_bytes) {
            Some(text) if same(&text) => Ok(Self(text)),
            _ => Err(InvalidInput::shape(
                "",
                "the unknown keys cannot stand without the known ones",
            )),
        }
    }
}

/// Reads `text` as it will stand in a file, after a known key; gives its own entries.
fn compose_after_known(text: &str) -> Result<(Tree, Vec<(usize, usize)>), InvalidInput> {
    if let Some(line) = text.split('\n').position(is_delimiter) {
        return Err(InvalidInput::shape("", "a line closes the front matter").at_line(line + 1));
    }
    let whole = format!("id: x\n{text}");
    let data = whole.strip_suffix('\n').unwrap_or(&whole);
    let data = data.strip_suffix('\r').unwrap_or(data);
    // The known key takes the line before the text, so that lines are those of the text.
    let source = Source::new(data, 0);
    let tree = source.compose()?;
    match read::entries(&tree, &source)?.split_first() {
        Some(((key, value), entries))
            if tree.text(*key) == Some("id") && tree.text(*value) == Some("x") =>
        {
            let entries = entries.to_vec();
            Ok((tree, entries))
        }
        _ => Err(InvalidInput::shape(
            "",
            "the text is no list of keys that can follow others",
        )),
    }
}

/// The entries of a block mapping as lines of the source.
struct Lines<'a> {
    tree: &'a Tree,
    text: &'a str,
    entries: &'a [(usize, usize)],
    /// The line break between the last line and the closing delimiter.
    last_break: &'a str,
}

impl Lines<'_> {
    /// The lines of the wanted entries; none when the mapping is no block mapping.
    fn cut(&self, wanted: &dyn Fn(usize) -> bool) -> Option<String> {
        let root = self.tree.root?;
        let Content::Mapping { flow: false, .. } = self.tree.nodes[root].content else {
            return None;
        };
        let first = self.tree.nodes[self.entries.first()?.0].start;
        let indent = first - self.line_start(first);
        let mut out = String::new();
        for (number, (key, _)) in self.entries.iter().enumerate() {
            if !wanted(*key) {
                continue;
            }
            let start = self.start(*key, indent, number);
            let end = match self.entries.get(number + 1) {
                Some((next, _)) if wanted(*next) => self.start(*next, indent, number + 1),
                Some((next, _)) => self.line_start(self.tree.nodes[*next].start),
                None => self.text.len(),
            };
            let last = self
                .entries
                .get(number + 1)
                .map_or(self.tree.nodes.len(), |(next, _)| *next);
            let region = self.text.get(start..end)?;
            let kept = trim(region, indent, self.block_start(last, start));
            for line in kept.split_inclusive('\n') {
                out.push_str(
                    line.get(indent..)
                        .unwrap_or_else(|| line.trim_start_matches(' ')),
                );
            }
            // The break of the last line is not part of the text.
            if end == self.text.len() && kept.len() == region.len() {
                out.push_str(self.last_break);
            }
        }
        Some(out)
    }

    fn line_start(&self, at: usize) -> usize {
        self.text[..at].rfind('\n').map_or(0, |end| end + 1)
    }

    /// Where an entry begins, the comments right above it included.
    fn start(&self, key: usize, indent: usize, number: usize) -> usize {
        let mut start = self.line_start(self.tree.nodes[key].start);
        // Never up into the entry before: its own first line is no comment, so this ends there.
        let floor = match number
            .checked_sub(1)
            .and_then(|before| self.entries.get(before))
        {
            Some((before, _)) => self.tree.nodes[*before].start,
            None => 0,
        };
        while start > floor {
            let above = self.line_start(start - 1);
            if !is_comment(&self.text[above..start], indent) {
                break;
            }
            start = above;
        }
        start
    }

    /// Where the last node before node `end` begins, counted from `region`, if it is a block
    /// scalar.
    fn block_start(&self, end: usize, region: usize) -> Option<usize> {
        let node = &self.tree.nodes[end.checked_sub(1)?];
        match &node.content {
            Content::Scalar(scalar) if scalar.block => Some(node.start.saturating_sub(region)),
            _ => None,
        }
    }
}

/// Takes blank lines and comments off the end of an entry. In a block scalar blank lines may be
/// content, so there only what begins with a comment goes.
fn trim(region: &str, indent: usize, block: Option<usize>) -> &str {
    let mut end = region.len();
    if let Some(block) = block {
        let mut at = 0;
        for line in region.split_inclusive('\n') {
            if at > block && is_comment(line, indent) {
                return &region[..at];
            }
            at += line.len();
        }
        return region;
    }
    for line in region.split_inclusive('\n').rev() {
        if !line.trim().is_empty() && !is_comment(line, indent) {
            break;
        }
        end -= line.len();
    }
    &region[..end]
}

/// Whether a line is a comment in the column of the keys. Nothing else can begin with `#` there.
fn is_comment(line: &str, indent: usize) -> bool {
    line.get(..indent)
        .is_some_and(|blank| blank.trim_start_matches(' ').is_empty())
        && line.get(indent..).is_some_and(|rest| rest.starts_with('#'))
}

/// Whether two nodes mean the same, aliases followed.
fn equal(left: &Tree, a: usize, right: &Tree, b: usize) -> bool {
    let mut waiting = vec![(a, b)];
    // Pairs seen before are equal as far as they were looked at; aliases may lead in circles.
    let mut seen = HashSet::new();
    while let Some((a, b)) = waiting.pop() {
        let (a, b) = (left.target(a), right.target(b));
        if !seen.insert((a, b)) {
            continue;
        }
        match (&left.nodes[a].content, &right.nodes[b].content) {
            (Content::Scalar(a), Content::Scalar(b)) => {
                let same_number = matches!(
                    (&a.value, &b.value),
                    (Value::Number(a), Value::Number(b)) if a.to_bits() == b.to_bits()
                );
                let same = a.tag == b.tag
                    && match (&a.value, &b.value) {
                        (Value::Text | Value::Other, _) => a.text == b.text && a.value == b.value,
                        _ => same_number || a.value == b.value,
                    };
                if !same {
                    return false;
                }
            }
            (Content::Sequence { items: a, .. }, Content::Sequence { items: b, .. }) => {
                if a.len() != b.len() {
                    return false;
                }
                waiting.extend(a.iter().copied().zip(b.iter().copied()));
            }
            (Content::Mapping { entries: a, .. }, Content::Mapping { entries: b, .. }) => {
                if a.len() != b.len() {
                    return false;
                }
                for (a, b) in a.iter().zip(b) {
                    waiting.push((a.0, b.0));
                    waiting.push((a.1, b.1));
                }
            }
            _ => return false,
        }
    }
    true
}

/// Writes entries anew, one a line in flow style, aliases replaced by what they name. None when
/// that becomes longer than `limit` bytes.
fn rewrite(tree: &Tree, entries: &[(usize, usize)], limit: usize) -> Option<String> {
    enum Step {
        Node(usize),
        Text(&'static str),
    }
    let mut out = String::new();
    let mut steps = Vec::new();
    for (key, value) in entries.iter().rev() {
        let explicit = !matches!(tree.nodes[tree.target(*key)].content, Content::Scalar(_));
        steps.extend([Step::Text("\n"), Step::Node(*value)]);
        steps.push(Step::Text(if explicit { "\n: " } else { ": " }));
        steps.push(Step::Node(*key));
        steps.push(Step::Text(if explicit { "? " } else { "" }));
    }
    while let Some(step) = steps.pop() {
        if out.len() > limit {
            return None;
        }
        let node = match step {
            Step::Text(text) => {
                out.push_str(text);
                continue;
            }
            Step::Node(node) => tree.target(node),
        };
        match &tree.nodes[node].content {
            Content::Scalar(scalar) => {
                if let Some(tag) = &scalar.tag {
                    out.push_str("!<");
                    out.push_str(tag);
                    out.push_str("> ");
                }
                match scalar.value {
                    Value::Null if scalar.text.is_empty() => out.push_str("null"),
                    Value::Null | Value::Bool(_) | Value::Number(_) => out.push_str(&scalar.text),
                    Value::Text | Value::Other => push_quoted(&mut out, &scalar.text),
                }
            }
            Content::Sequence { items, .. } => {
                steps.push(Step::Text("]"));
                for (place, item) in items.iter().enumerate().rev() {
                    steps.push(Step::Node(*item));
                    if place > 0 {
                        steps.push(Step::Text(", "));
                    }
                }
                out.push('[');
            }
            Content::Mapping { entries, .. } => {
                steps.push(Step::Text("}"));
                for (place, (key, value)) in entries.iter().enumerate().rev() {
                    steps.extend([Step::Node(*value), Step::Text(": "), Step::Node(*key)]);
                    if place > 0 {
                        steps.push(Step::Text(", "));
                    }
                }
                out.push('{');
            }
            Content::Alias(_) => return None,
        }
    }
    Some(out)
}
