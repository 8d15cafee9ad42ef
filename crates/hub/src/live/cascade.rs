//! The abort cascade: one critical section that collects a call and what is below it and ends all of it
//! in memory; then whoever executes is told, parents before children.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use alkhub_operations::AbortBy;
use alkhub_operations::protocol::AbortAnswer;
use alkhub_storage::enums::CallStatus;
use alkhub_storage::ids::SpokeId;
use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CallKey, Executor, LiveCall, LiveCalls, Node, Stop};

/// What becomes of running calls below an aborted one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Policy {
    /// They are aborted.
    #[default]
    AbortDependents,
    /// They go on; only what has not started is aborted.
    ContinueRunning,
}

/// What became of one call of the tree.
pub(crate) struct Collected {
    pub(crate) call: Arc<LiveCall>,
    pub(crate) fate: Fate,
}

/// The fate of a call in a cascade.
pub(crate) enum Fate {
    /// Ended now. The confirmation is that of the spoke that ran it, if one did.
    Stopped {
        by: AbortBy,
        confirmation: Confirmation,
    },
    /// It was over before.
    AlreadyFinished,
    /// It runs on.
    Survived,
}

/// How it is known that a stopped call has stopped.
pub(crate) enum Confirmation {
    /// It ran here or nowhere: dropped.
    Here,
    /// A spoke was told; this tells when it has answered.
    Told {
        spoke: SpokeId,
        answer: BoxFuture<'static, AbortAnswer>,
    },
    /// Its spoke is not connected.
    Unreachable { spoke: SpokeId },
}

/// What happens to the call at the top.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Top {
    /// It is aborted as well.
    Abort,
    /// Its time is over: it fails, what is below is aborted by the deadline.
    TimeOut,
    /// It ended already; only what is below is aborted.
    BelowOnly,
}

impl LiveCalls {
    /// Ends a call and all below it in memory, then tells whoever executes. The calls in pre-order:
    /// parents first, siblings in the order of their requests.
    ///
    /// From the moment this returns nothing can start below. The rows are written by the calls' own
    /// tasks, which find their token fired.
    pub(crate) fn stop(&self, root: &str, top: Top, stop: &Stop, policy: Policy) -> Vec<Collected> {
        let mut nodes = self.lock();
        let collected = collect(&mut nodes, root, top, stop, policy);
        // Under the lock: an order given here is the order on every connection.
        collected
            .into_iter()
            .map(|(call, fate, executor)| {
                let fate = match fate {
                    Marked::Stopped(by) => Fate::Stopped {
                        by,
                        confirmation: tell(&call, &executor, by, stop),
                    },
                    Marked::AlreadyFinished => Fate::AlreadyFinished,
                    Marked::Survived => Fate::Survived,
                };
                Collected { call, fate }
            })
            .collect()
    }

    /// The time of a call is over: the highest ancestor whose time is over as well fails with it, and
    /// all below is aborted by the deadline.
    pub(crate) fn time_out(&self, key: &str, now: Instant) -> Vec<Collected> {
        let top = {
            let nodes = self.lock();
            let mut top = key.to_owned();
            let mut next = nodes.get(key).and_then(|node| node.call.parent.clone());
            while let Some(node) = next.as_ref().and_then(|parent| nodes.get(parent)) {
                let over = node.call.deadline.is_some_and(|deadline| deadline <= now);
                if !over || !node.open() {
                    break;
                }
                top.clone_from(&node.call.key);
                next.clone_from(&node.call.parent);
            }
            top
        };
        let stop = Stop {
            by: AbortBy::Deadline,
            reason: None,
        };
        self.stop(&top, Top::TimeOut, &stop, Policy::AbortDependents)
    }
}

enum Marked {
    Stopped(AbortBy),
    AlreadyFinished,
    Survived,
}

fn collect(
    nodes: &mut HashMap<CallKey, Node>,
    root: &str,
    top: Top,
    stop: &Stop,
    policy: Policy,
) -> Vec<(Arc<LiveCall>, Marked, Executor)> {
    let mut collected = Vec::new();
    // The next to visit is on top; children are pushed in reverse so that the first comes first.
    let mut stack = vec![root.to_owned()];
    while let Some(key) = stack.pop() {
        let is_root = key == root;
        let Some(node) = nodes.get_mut(&key) else {
            continue;
        };
        let call = Arc::clone(&node.call);
        let executor = node.executor.clone();
        let running = node.status == CallStatus::Running;
        let may_survive = policy == Policy::ContinueRunning || call.continue_running;
        if is_root && top == Top::BelowOnly {
            // Its own end stands.
        } else if !node.open() {
            collected.push((call, Marked::AlreadyFinished, executor));
        } else if !is_root && running && may_survive {
            collected.push((call, Marked::Survived, executor));
            continue;
        } else {
            let by = if is_root { stop.by } else { below(stop.by) };
            if is_root && top == Top::TimeOut {
                node.status = CallStatus::Failed;
                node.timed_out = true;
            } else {
                node.status = CallStatus::Aborted;
                node.stop = Some(Stop {
                    by,
                    reason: stop.reason.clone(),
                });
            }
            collected.push((call, Marked::Stopped(by), executor));
        }
        stack.extend(node.children.values().rev().cloned());
    }
    collected
}

/// Who ended what is below a call that this one ended.
fn below(by: AbortBy) -> AbortBy {
    match by {
        AbortBy::Deadline => AbortBy::Deadline,
        AbortBy::Hub => AbortBy::Hub,
        _ => AbortBy::Parent,
    }
}

fn tell(call: &LiveCall, executor: &Executor, by: AbortBy, stop: &Stop) -> Confirmation {
    let confirmation = match executor {
        Executor::Spoke(link) => link.abort(&call.key, by, stop.reason.as_deref()),
        Executor::Here | Executor::None => Confirmation::Here,
    };
    call.token.cancel();
    confirmation
}
