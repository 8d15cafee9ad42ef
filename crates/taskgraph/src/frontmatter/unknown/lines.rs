//! Entries of a block mapping, cut out of the source as lines.

use super::super::yaml::{Content, Tree};

/// The entries of a block mapping as lines of the source.
pub(super) struct Lines<'a> {
    pub(super) tree: &'a Tree,
    pub(super) text: &'a str,
    pub(super) entries: &'a [(usize, usize)],
    /// The line break between the last line and the closing delimiter.
    pub(super) last_break: &'a str,
}

impl Lines<'_> {
    /// The lines of the wanted entries; none when the mapping is no block mapping.
    pub(super) fn cut(&self, wanted: &dyn Fn(usize) -> bool) -> Option<String> {
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
