//! What follows from a graph. Every analysis only reads.
//!
//! `topological_order`, `parallel_groups`, the critical paths, `risk_path`, `workflow_cost` and
//! `schedule` have no answer on a graph with cycles and give
//! [`TaskgraphError::CircularDependency`](crate::TaskgraphError::CircularDependency) there; the
//! others work on every graph. No analysis recurses, and all but the bottlenecks take time and
//! memory proportional to the number of tasks and edges.

mod bottlenecks;
mod cost;
mod order;
mod paths;
mod risk;
mod validation;

pub use bottlenecks::Bottleneck;
pub use cost::{
    EvConfig, PropagationMode, TaskCost, TaskEv, WorkflowCost, WorkflowCostOptions,
    calculate_task_ev,
};
pub use paths::{RiskPath, Schedule};
pub use risk::{
    Decomposition, ResolvedTask, RiskDistribution, resolve_defaults, should_decompose_task,
};
pub use validation::ValidationIssue;
