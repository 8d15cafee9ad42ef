//! What is shown of a graph: trees, waterfalls, numbers.
//!
//! Trees are told as lists in pre-order, each row with its depth, so that a deep one nests no JSON. A
//! call the reader may not see keeps its place and its times and loses everything else.

mod statistics;
mod tree;
mod waterfall;

pub use statistics::{OperationStats, nearest_rank, operation_stats};
pub use tree::{CallTree, TreeRow, call_tree};
pub use waterfall::{AbortOutcome, Waterfall, WaterfallRow, waterfall};

use std::collections::HashSet;

use alkhub_operations::RequestId;

use crate::graph::{CallGraph, EdgeSet};

/// How much of a tree is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// Deepest level; the root is level 0.
    pub depth: usize,
    /// Most calls. Levels are filled from the top, so no branch starves another.
    pub limit: usize,
}

impl Default for Cut {
    /// 100 levels, 500 calls.
    fn default() -> Self {
        Self {
            depth: 100,
            limit: 500,
        }
    }
}

/// One call that is shown.
struct Shown {
    slot: u32,
    depth: usize,
    /// Some of its children are not.
    more: bool,
}

/// The calls of a tree that are shown, in pre-order. None when the root is not there.
fn cut(graph: &CallGraph, root: &RequestId, cut: Cut) -> Option<Vec<Shown>> {
    let root = graph.find(root)?;
    let mut shown = HashSet::from([root]);
    let mut level = vec![root];
    let mut depth = 0;
    while !level.is_empty() && depth < cut.depth && shown.len() < cut.limit {
        let mut next: Vec<u32> = level
            .into_iter()
            .flat_map(|slot| graph.children_of(slot))
            .collect();
        graph.sort(&mut next);
        next.truncate(cut.limit - shown.len());
        shown.extend(&next);
        level = next;
        depth += 1;
    }
    let mut rows = Vec::with_capacity(shown.len());
    let mut stack = vec![(root, 0)];
    while let Some((slot, depth)) = stack.pop() {
        let mut children = graph.after(slot, EdgeSet::Triggered);
        let all = children.len();
        children.retain(|child| shown.contains(child));
        rows.push(Shown {
            slot,
            depth,
            more: children.len() < all,
        });
        stack.extend(children.into_iter().rev().map(|child| (child, depth + 1)));
    }
    Some(rows)
}

/// For fields that are only written when they are true.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(value: &bool) -> bool {
    !*value
}
