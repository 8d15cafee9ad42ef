//! Where the risk sits, what unassessed tasks count for, and which tasks are too large.

use serde::Serialize;

use crate::{TaskAttributes, TaskGraph};
use crate::{TaskImpact, TaskLevel, TaskPriority, TaskRisk, TaskScope, TaskStatus};

/// Tasks by risk, each list in node order. No default is applied: what is not assessed, missing
/// references included, is in `unspecified`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct RiskDistribution<'g> {
    /// Tasks of trivial risk.
    pub trivial: Vec<&'g str>,
    /// Tasks of low risk.
    pub low: Vec<&'g str>,
    /// Tasks of medium risk.
    pub medium: Vec<&'g str>,
    /// Tasks of high risk.
    pub high: Vec<&'g str>,
    /// Tasks of critical risk.
    pub critical: Vec<&'g str>,
    /// Tasks whose risk nobody assessed.
    pub unspecified: Vec<&'g str>,
}

/// A task with every assessment filled in and the numbers that follow from them.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResolvedTask<'a> {
    /// What the task is called.
    pub name: &'a str,
    /// Medium unless assessed.
    pub risk: TaskRisk,
    /// Narrow unless assessed.
    pub scope: TaskScope,
    /// Isolated unless assessed.
    pub impact: TaskImpact,
    /// No default: null unless given.
    pub level: Option<TaskLevel>,
    /// No default: null unless given.
    pub priority: Option<TaskPriority>,
    /// No default: null unless given.
    pub status: Option<TaskStatus>,
    /// Effort, 1 to 5.
    pub cost_estimate: f64,
    /// Language-model tokens.
    pub token_estimate: u32,
    /// Probability of success.
    pub success_probability: f64,
    /// Probability of failure.
    pub risk_weight: f64,
    /// Weight of a failure, 1 to 3.
    pub impact_weight: f64,
}

/// Whether a task should be split, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Decomposition {
    /// Whether there is a reason.
    pub should_decompose: bool,
    /// The reasons, risk before scope.
    pub reasons: Vec<String>,
}

/// Fills in what is not assessed: medium risk, narrow scope, isolated impact.
pub fn resolve_defaults(attributes: &TaskAttributes) -> ResolvedTask<'_> {
    let risk = attributes.risk.unwrap_or(TaskRisk::Medium);
    let scope = attributes.scope.unwrap_or(TaskScope::Narrow);
    let impact = attributes.impact.unwrap_or(TaskImpact::Isolated);
    ResolvedTask {
        name: &attributes.name,
        risk,
        scope,
        impact,
        level: attributes.level,
        priority: attributes.priority,
        status: attributes.status,
        cost_estimate: scope.cost_estimate(),
        token_estimate: scope.token_estimate(),
        success_probability: risk.success_probability(),
        risk_weight: risk.risk_weight(),
        impact_weight: impact.impact_weight(),
    }
}

/// Whether a task is so risky or so wide that it should be split. What is not assessed never is
/// a reason.
///
/// ```
/// use alkhub_taskgraph::{TaskAttributes, TaskRisk, should_decompose_task};
///
/// let task = TaskAttributes { risk: Some(TaskRisk::High), ..TaskAttributes::named("x") };
/// assert_eq!(should_decompose_task(&task).reasons, ["risk: high — failure probability 0.35"]);
/// ```
pub fn should_decompose_task(attributes: &TaskAttributes) -> Decomposition {
    let mut reasons = Vec::new();
    if let Some(risk @ (TaskRisk::High | TaskRisk::Critical)) = attributes.risk {
        reasons.push(format!(
            "risk: {risk} — failure probability {:.2}",
            risk.risk_weight()
        ));
    }
    if let Some(scope @ (TaskScope::Broad | TaskScope::System)) = attributes.scope {
        reasons.push(format!(
            "scope: {scope} — cost estimate {:.1}",
            scope.cost_estimate()
        ));
    }
    Decomposition {
        should_decompose: !reasons.is_empty(),
        reasons,
    }
}

impl TaskGraph {
    /// Tasks by risk.
    pub fn risk_distribution(&self) -> RiskDistribution<'_> {
        let mut distribution = RiskDistribution::default();
        for (id, attributes) in self.tasks() {
            let list = match attributes.risk {
                Some(TaskRisk::Trivial) => &mut distribution.trivial,
                Some(TaskRisk::Low) => &mut distribution.low,
                Some(TaskRisk::Medium) => &mut distribution.medium,
                Some(TaskRisk::High) => &mut distribution.high,
                Some(TaskRisk::Critical) => &mut distribution.critical,
                None => &mut distribution.unspecified,
            };
            list.push(id);
        }
        distribution
    }
}
