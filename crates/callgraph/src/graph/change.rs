//! Changes of one call by whoever runs it.

use std::time::Duration;

use alkhub_operations::RequestId;

use super::CallGraph;
use crate::call::{CallErrorInfo, CallNode, CallPatch, StatusExtra, Transition, present};
use crate::error::{GraphError, InputFault};
use crate::status::CallStatus;
use crate::time::Timestamp;

impl CallGraph {
    /// Moves a call to another status. Setting the status it has is no error and changes nothing. A
    /// time before the one that came before it is raised to that one.
    ///
    /// # Errors
    /// [`GraphError::NodeNotFound`]; [`GraphError::InvalidTransition`] for a step the state machine
    /// does not have; [`GraphError::InvalidInput`] for an output or error the new status cannot have.
    pub fn update_status(
        &mut self,
        id: &RequestId,
        to: CallStatus,
        at: Timestamp,
        extra: StatusExtra,
    ) -> Result<Transition, GraphError> {
        let slot = self.slot(id)?;
        let node = self.node_mut(slot);
        let from = node.call.status;
        if from == to {
            return Ok(Transition {
                from,
                to,
                changed: false,
            });
        }
        if !from.may_become(to) {
            return Err(GraphError::InvalidTransition {
                request_id: id.clone(),
                from,
                to,
            });
        }
        let mut errors = Vec::new();
        if extra.output.is_some() && to != CallStatus::Completed {
            errors.push(fault("output", to));
        }
        if extra.error.is_some() && !has_error(to) {
            errors.push(fault("error", to));
        }
        if !errors.is_empty() {
            return Err(GraphError::InvalidInput { errors });
        }
        let call = &mut node.call;
        call.status = to;
        let at = call.raised(at);
        call.note(extra.metadata);
        if to == CallStatus::Running {
            call.started_at.get_or_insert(at);
        } else {
            call.completed_at = Some(at);
        }
        match to {
            CallStatus::Completed => {
                node.ended = true;
                if let Some(output) = extra.output {
                    node.answered = true;
                    call.output = present(Some(output));
                }
            }
            CallStatus::Failed => {
                call.output = None;
                call.error = extra.error;
            }
            CallStatus::Aborted => {
                call.output = None;
                call.error = Some(
                    extra
                        .error
                        .unwrap_or_else(|| CallErrorInfo::aborted(None, None)),
                );
            }
            CallStatus::Pending | CallStatus::Running => {}
        }
        Ok(Transition {
            from,
            to,
            changed: true,
        })
    }

    /// Fills in what is not known of a call yet; notes replace those of the same name. Nothing
    /// changes when one part of the patch is refused.
    ///
    /// # Errors
    /// [`GraphError::NodeNotFound`]; [`GraphError::Conflict`] when something else is known already;
    /// [`GraphError::InvalidInput`] for what a call of this status cannot have, such as an output on
    /// a failed one, and for times that would be out of order.
    pub fn update_call(&mut self, id: &RequestId, patch: CallPatch) -> Result<(), GraphError> {
        let slot = self.slot(id)?;
        let node = self.node_mut(slot);
        let mut call = (*node.call).clone();
        let CallPatch {
            input,
            output,
            error,
            identity,
            requested_at,
            started_at,
            completed_at,
            metadata,
        } = patch;
        let (output, input) = (present(output), present(input));
        let errors = misfits(
            &call,
            output.is_some(),
            error.is_some(),
            started_at,
            completed_at,
        );
        if !errors.is_empty() {
            return Err(GraphError::InvalidInput { errors });
        }
        fill(id, "input", &mut call.input, input)?;
        fill(id, "output", &mut call.output, output)?;
        fill(id, "error", &mut call.error, error)?;
        fill(id, "identity", &mut call.identity, identity)?;
        fill(id, "requestedAt", &mut call.requested_at, requested_at)?;
        fill(id, "startedAt", &mut call.started_at, started_at)?;
        fill(id, "completedAt", &mut call.completed_at, completed_at)?;
        if (requested_at.is_some() || started_at.is_some() || completed_at.is_some())
            && !in_order(&call)
        {
            return Err(GraphError::input("", "the times would be out of order"));
        }
        call.note(metadata);
        node.answered |= call.output.is_some();
        *node.call = call;
        Ok(())
    }

    /// Time from start to end of a call; none while it lacks one of them.
    #[must_use]
    pub fn duration(&self, id: &RequestId) -> Option<Duration> {
        self.get(id)?.duration()
    }
}

/// True when the times a call has follow each other.
pub(super) fn in_order(call: &CallNode) -> bool {
    let times = [call.requested_at, call.started_at, call.completed_at];
    times.into_iter().flatten().is_sorted()
}

pub(super) fn has_error(status: CallStatus) -> bool {
    matches!(status, CallStatus::Failed | CallStatus::Aborted)
}

/// What a call of this status cannot have.
fn misfits(
    call: &CallNode,
    output: bool,
    error: bool,
    started_at: Option<Timestamp>,
    completed_at: Option<Timestamp>,
) -> Vec<InputFault> {
    let status = call.status;
    let items = status == CallStatus::Running && call.is_subscription();
    let refused = [
        (
            "output",
            output && status != CallStatus::Completed && !items,
        ),
        ("error", error && !has_error(status)),
        (
            "startedAt",
            started_at.is_some() && status == CallStatus::Pending,
        ),
        ("completedAt", completed_at.is_some() && status.is_open()),
    ];
    refused
        .into_iter()
        .filter(|(_, refused)| *refused)
        .map(|(field, _)| fault(field, status))
        .collect()
}

fn fault(field: &str, status: CallStatus) -> InputFault {
    InputFault::new(format!("/{field}"), format!("a {status} call has none"))
}

fn fill<T: PartialEq>(
    id: &RequestId,
    name: &'static str,
    field: &mut Option<T>,
    value: Option<T>,
) -> Result<(), GraphError> {
    match (&field, value) {
        (_, None) => Ok(()),
        (None, value) => {
            *field = value;
            Ok(())
        }
        (Some(known), Some(value)) if *known == value => Ok(()),
        _ => Err(GraphError::Conflict {
            key: id.clone(),
            field: name,
        }),
    }
}
