//! What does not fit together in a graph.

use alkhub_operations::RequestId;
use serde::Serialize;

use super::change::{has_error, in_order};
use super::{CallGraph, NONE, Node};
use crate::call::AbortPolicy;
use crate::status::CallStatus;

/// One thing that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GraphIssue {
    /// Which kind of thing.
    pub kind: IssueKind,
    /// The call it is about.
    pub request_id: RequestId,
    /// One sentence for a person.
    pub message: String,
}

/// Kinds of [`GraphIssue`].
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    strum::Display,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum IssueKind {
    /// Calls come before themselves. Changes and imports refuse that, so this would be a fault of
    /// the library.
    Cycle,
    /// The parent is not in the graph.
    DanglingReference,
    /// No edge at all, in a graph of two calls or more.
    OrphanNode,
    /// What is known of the call does not fit its status.
    StatusInconsistency,
}

impl CallGraph {
    /// Everything that does not fit together, by call. Never fails, and never stops at the first.
    #[must_use]
    pub fn validate(&self) -> Vec<GraphIssue> {
        let mut slots: Vec<u32> = self.nodes().map(|(slot, _)| slot).collect();
        self.sort(&mut slots);
        let mut issues = Vec::new();
        if let Some(cycle) = self.any_cycle()
            && let Some(first) = cycle.first()
        {
            let way: Vec<&str> = cycle.iter().map(RequestId::as_str).collect();
            issues.push(GraphIssue {
                kind: IssueKind::Cycle,
                request_id: first.clone(),
                message: format!("the calls form a cycle: {}", way.join(" → ")),
            });
        }
        for slot in slots {
            let node = self.node(slot);
            let mut add = |kind, message: String| {
                let request_id = node.call.request_id.clone();
                issues.push(GraphIssue {
                    kind,
                    request_id,
                    message,
                });
            };
            if let Some(parent) = &node.call.parent_request_id
                && node.parent == NONE
            {
                let message = format!("the parent {parent} is not in the graph");
                add(IssueKind::DanglingReference, message);
            }
            if self.len() > 1 && is_lonely(node) {
                add(IssueKind::OrphanNode, "the call has no edge".to_owned());
            }
            for message in inconsistencies(node, self.parent_status(node)) {
                add(IssueKind::StatusInconsistency, message.to_owned());
            }
        }
        issues
    }

    fn parent_status(&self, node: &Node) -> Option<CallStatus> {
        (node.parent != NONE).then(|| self.call(node.parent).status)
    }
}

fn is_lonely(node: &Node) -> bool {
    node.parent == NONE
        && node.first_child == NONE
        && node.links.as_deref().is_none_or(|links| {
            links.dependents.is_empty()
                && links.prerequisites.is_empty()
                && links.foreign.is_empty()
                && links.foreign_from.is_empty()
        })
}

fn inconsistencies(node: &Node, parent: Option<CallStatus>) -> Vec<&'static str> {
    let call = &node.call;
    let status = call.status;
    let survives =
        call.abort_policy == AbortPolicy::ContinueRunning && status == CallStatus::Running;
    let rules = [
        (
            status.is_open() && parent == Some(CallStatus::Aborted) && !survives,
            "the call is open under an aborted one",
        ),
        (
            status.is_terminal() && call.completed_at.is_none(),
            "the call has ended and has no completedAt",
        ),
        (
            status.is_open() && call.completed_at.is_some(),
            "the call is open and has a completedAt",
        ),
        (
            status == CallStatus::Running && call.started_at.is_none(),
            "the call is running and has no startedAt",
        ),
        (
            has_error(status) && call.output.is_some(),
            "the call did not succeed and has an output",
        ),
        (
            status == CallStatus::Completed && call.error.is_some(),
            "the call has succeeded and has an error",
        ),
        (!in_order(call), "the times are out of order"),
    ];
    rules
        .into_iter()
        .filter(|(broken, _)| *broken)
        .map(|(_, message)| message)
        .collect()
}
