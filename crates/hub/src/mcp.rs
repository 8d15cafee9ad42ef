//! What the hub knows of the Model Context Protocol: the revisions it is served in, and which
//! operations clients see as tools of their own. The protocol itself is spoken by the server.

use std::sync::Arc;

use alkhub_operations::Entry;

use crate::auth::operation_matches;

/// The revisions that are served, oldest first.
pub const REVISIONS: [&str; 2] = ["2025-11-25", "2026-07-28"];

/// Operations that can be tools of their own at one time; more would fill the context of a model
/// with definitions it does not need.
pub const MOST_OWN_TOOLS: usize = 40;

/// Those of the operations that one of the patterns fits, in the order given.
#[must_use]
pub fn chosen(operations: Vec<Arc<Entry>>, patterns: &[String]) -> Vec<Arc<Entry>> {
    if patterns.is_empty() {
        return Vec::new();
    }
    let mut chosen = operations;
    chosen.retain(|entry| {
        let name = entry.id().as_str();
        patterns
            .iter()
            .any(|pattern| operation_matches(pattern, name))
    });
    chosen
}
