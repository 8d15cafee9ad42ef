//! Task graphs: tasks with dependencies, effort and risk, and what follows from them.
//!
//! A [`TaskInput`] is one task as its author wrote it, usually the front matter of a Markdown
//! file ([`frontmatter`], [`directory`]). Many of them make a graph, and the graph answers which
//! tasks are ready to run side by side, which chain is the longest, where the risk sits and
//! which task holds up the others.
//!
//! The crate is pure: no network, no clock, no database, no async. Only the reader of
//! [`directory`] touches files, and it can be left out with `default-features = false`.
//!
//! ```
//! use alkhub_taskgraph::frontmatter;
//!
//! let text = "---\nid: login\nname: Log users in\ndepends_on: [accounts]\nrisk: high\n---\nBody\n";
//! let task = frontmatter::parse(text)?;
//! assert_eq!(task.id, "login");
//! assert_eq!(task.depends_on, ["accounts"]);
//! # Ok::<(), alkhub_taskgraph::InvalidInput>(())
//! ```

mod analysis;
mod analyze;
pub mod cycles;
#[cfg(feature = "directory")]
pub mod directory;
mod error;
pub mod frontmatter;
mod graph;
mod labels;
pub mod render;
mod task;

pub use analysis::{
    Bottleneck, Decomposition, EvConfig, PropagationMode, ResolvedTask, RiskDistribution, RiskPath,
    Schedule, TaskCost, TaskEv, ValidationIssue, WorkflowCost, WorkflowCostOptions,
    calculate_task_ev, resolve_defaults, should_decompose_task,
};
pub use analyze::analyze;
pub use error::{InvalidInput, InvalidReason, TaskgraphError};
pub use graph::{
    DEFAULT_QUALITY_RETENTION, EdgeAttributes, TaskAttributes, TaskGraph, TaskUpdate,
    graph_from_json_str,
};
pub use labels::{TaskImpact, TaskLevel, TaskPriority, TaskRisk, TaskScope, TaskStatus};
pub use task::{DependencyEdge, Field, TaskInput};
