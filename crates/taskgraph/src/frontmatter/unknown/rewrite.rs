//! Entries written anew where their lines cannot stand alone, and the proof that they say the same.

use std::collections::HashSet;

use super::super::scalar::Value;
use super::super::write::push_quoted;
use super::super::yaml::{Content, Tree};

/// Whether two nodes mean the same, aliases followed.
pub(super) fn equal(left: &Tree, a: usize, right: &Tree, b: usize) -> bool {
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
pub(super) fn rewrite(tree: &Tree, entries: &[(usize, usize)], limit: usize) -> Option<String> {
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
