//! What the hub knows of the Model Context Protocol: the revisions it is served in, and which
//! operations clients see as tools of their own. The protocol itself is spoken by the server.

use std::sync::Arc;

use alkhub_operations::Entry;

use crate::Hub;
use crate::auth::{Principal, operation_matches};

/// The revisions that are served, oldest first.
pub const REVISIONS: [&str; 2] = ["2025-11-25", "2026-07-28"];

/// Operations that can be tools of their own at one time; more would fill the context of a model
/// with definitions it does not need.
pub const MOST_OWN_TOOLS: usize = 40;

/// How many of the operations one of the patterns fits.
pub(crate) fn count(operations: &[Arc<Entry>], patterns: &[String]) -> usize {
    let fits = |entry: &&Arc<Entry>| {
        let name = entry.id().as_str();
        patterns
            .iter()
            .any(|pattern| operation_matches(pattern, name))
    };
    operations.iter().filter(fits).count()
}

impl Hub {
    /// The operations a caller is shown as tools of their own: those one of the patterns fits, and those
    /// the administrator has chosen; never one the administrator has taken out. By name.
    #[must_use]
    pub fn own_tools(&self, principal: &Principal, patterns: &[String]) -> Vec<Arc<Entry>> {
        let overrides = &self.state.providers.overrides;
        let mut chosen = self.visible_operations(principal);
        chosen.retain(|entry| {
            let name = entry.id().as_str();
            let set = overrides.of(name).and_then(|set| set.mcp_tool);
            set.unwrap_or_else(|| {
                patterns
                    .iter()
                    .any(|pattern| operation_matches(pattern, name))
            })
        });
        chosen
    }
}
