//! How much aliases may stand for.

use std::collections::HashMap;

use super::{Content, Error, Tree};

/// Aliases in one document. The format sets no limit to aliases of empty collections; reading
/// must end nevertheless.
const MAX_ALIASES: usize = 10_000;

/// Refuses aliases that together stand for too much.
///
/// Each anchor counts its uses, itself included, and weighs as much as the heaviest thing in it:
/// 1 for a scalar, uses times weight for an alias. More than 100 is refused, so that nine levels
/// of nine aliases each end at the second level.
pub(super) fn check(tree: &Tree) -> Result<(), Error> {
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
