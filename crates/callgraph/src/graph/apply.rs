//! Events into the graph.

use super::{CallGraph, Node};
use crate::call::{CallErrorInfo, CallNode, present};
use crate::error::GraphError;
use crate::event::{CallEvent, EventKind, Requested};
use crate::status::CallStatus;
use crate::time::Timestamp;
use alkhub_operations::{RecordPolicy, RequestId};
use serde_json::Value;

/// What an event did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// The graph tells more now.
    Applied,
    /// It said what was known; nothing changed.
    Duplicate,
    /// The call had ended before in another way; its state did not change.
    Late,
    /// Its request is not here yet; it is applied when that comes.
    Held,
    /// It contradicts what is known; nothing changed.
    Conflict(GraphError),
}

/// How many events did what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ApplyReport {
    /// Changed the graph; held ones count again when they are applied.
    pub applied: u64,
    /// Said what was known.
    pub duplicate: u64,
    /// Came after another end.
    pub late: u64,
    /// Came before their request.
    pub held: u64,
    /// Contradicted what is known.
    pub conflict: u64,
    /// Ids whose held events were dropped, and events over the limit of an id.
    pub dropped: u64,
}

impl CallGraph {
    /// A graph of events in the order given.
    pub fn from_call_events(events: impl IntoIterator<Item = CallEvent>) -> (Self, ApplyReport) {
        let mut graph = Self::new();
        for event in events {
            graph.apply(&event);
        }
        let report = graph.counts;
        (graph, report)
    }

    /// Applies an event. Whatever it says, the graph stays sound: at worst nothing changes, and the
    /// result says so.
    pub fn apply(&mut self, event: &CallEvent) -> Applied {
        self.pass(event.timestamp);
        let outcome = match (&event.kind, self.find(&event.request_id)) {
            (EventKind::Requested(told), None) => {
                match self.request(&event.request_id, event.timestamp, told) {
                    Ok(slot) => {
                        self.counts.count(&Applied::Applied);
                        self.replay(slot);
                        return Applied::Applied;
                    }
                    Err(error) => Applied::Conflict(error),
                }
            }
            (EventKind::Requested(told), Some(slot)) => self.merge(slot, event.timestamp, told),
            (_, Some(slot)) => outcome(self.node_mut(slot), event),
            (_, None) => {
                self.counts.dropped += self.held.hold(event) as u64;
                Applied::Held
            }
        };
        self.counts.count(&outcome);
        outcome
    }

    /// What all events so far did.
    #[must_use]
    pub fn counts(&self) -> ApplyReport {
        self.counts
    }

    /// Ids for which events wait for their request.
    #[must_use]
    pub fn held_ids(&self) -> usize {
        self.held.len()
    }

    /// Tells what time it is by the events; drops what was held too long.
    pub(crate) fn pass(&mut self, now: Timestamp) {
        self.counts.dropped += self.held.pass(now) as u64;
    }

    /// Applies what was held for a call.
    pub(super) fn replay(&mut self, slot: u32) {
        let id = &self.node(slot).call.request_id;
        if self.held.len() == 0 {
            return;
        }
        let id = id.clone();
        for event in self.held.take(&id) {
            let outcome = outcome(self.node_mut(slot), &event);
            self.counts.count(&outcome);
        }
    }

    fn request(
        &mut self,
        id: &RequestId,
        at: Timestamp,
        told: &Requested,
    ) -> Result<u32, GraphError> {
        let mut call = CallNode::new(id.clone(), told.operation_id.clone());
        call.requested_at = Some(at);
        call.parent_request_id.clone_from(&told.parent_request_id);
        call.input.clone_from(&told.input);
        call.identity.clone_from(&told.identity);
        call.deadline = told.deadline;
        call.operation_type = told.operation_type;
        self.insert(call)
    }

    /// Fills in what a further request of the same call tells.
    fn merge(&mut self, slot: u32, at: Timestamp, told: &Requested) -> Applied {
        let call = self.call(slot);
        let key = &call.request_id;
        let conflict = |field| {
            let key = key.clone();
            Applied::Conflict(GraphError::Conflict { key, field })
        };
        if call.operation_id != told.operation_id {
            return conflict("operationId");
        }
        let new_parent = match (&call.parent_request_id, &told.parent_request_id) {
            (Some(known), Some(parent)) if known != parent => return conflict("parentRequestId"),
            (None, Some(parent)) => Some(parent),
            _ => None,
        };
        if let Some(parent) = new_parent
            && let Err(error) = self.adopt(slot, parent)
        {
            return Applied::Conflict(error);
        }
        let call = &mut self.node_mut(slot).call;
        let mut filled = new_parent.is_some();
        filled |= fill(&mut call.input, present(told.input.clone()));
        filled |= fill(&mut call.identity, told.identity.clone());
        filled |= fill(&mut call.deadline, told.deadline);
        filled |= fill(&mut call.operation_type, told.operation_type);
        if call.requested_at.is_none() {
            // What is known to have happened later cannot have happened before.
            let later = [call.started_at, call.completed_at];
            let at = later.into_iter().flatten().fold(at, Timestamp::min);
            call.requested_at = Some(at);
            filled = true;
        }
        if filled {
            Applied::Applied
        } else {
            Applied::Duplicate
        }
    }

    /// Gives a parent to a call that had none.
    fn adopt(&mut self, slot: u32, parent: &RequestId) -> Result<(), GraphError> {
        let id = self.call(slot).request_id.clone();
        if id == *parent {
            return Err(GraphError::cycle(vec![id]));
        }
        let found = self.find(parent);
        if let Some(found) = found
            && let Some(path) = self.trace_back(found, |above| above == slot)
        {
            return Err(GraphError::cycle(self.ids(path)));
        }
        self.node_mut(slot).call.parent_request_id = Some(parent.clone());
        match found {
            Some(found) => self.link(found, slot),
            None => self.wait(parent.clone(), slot),
        }
        Ok(())
    }
}

impl ApplyReport {
    fn count(&mut self, outcome: &Applied) {
        let counter = match outcome {
            Applied::Applied => &mut self.applied,
            Applied::Duplicate => &mut self.duplicate,
            Applied::Late => &mut self.late,
            Applied::Held => &mut self.held,
            Applied::Conflict(_) => &mut self.conflict,
        };
        *counter += 1;
    }
}

/// An event other than a request on a call that is here.
fn outcome(node: &mut Node, event: &CallEvent) -> Applied {
    let at = event.timestamp;
    match &event.kind {
        // A request is merged where the whole graph is at hand; what is held is none.
        EventKind::Requested(_) => Applied::Duplicate,
        EventKind::Responded { output, seq, meta } if node.call.is_subscription() => {
            item(node, output, *seq, meta.as_ref())
        }
        EventKind::Responded { output, meta, .. } => responded(node, at, output, meta.as_ref()),
        EventKind::Completed { output } => completed(node, at, output.as_ref()),
        EventKind::Error { error } => {
            let mut error = error.clone();
            error.details = present(error.details);
            end(node, CallStatus::Failed, at, error)
        }
        EventKind::Aborted { by, reason } => {
            let error = CallErrorInfo::aborted(*by, reason.as_deref());
            end(node, CallStatus::Aborted, at, error)
        }
    }
}

/// The answer of a query or mutation, or of a call of which the type is not known.
fn responded(node: &mut Node, at: Timestamp, output: &Value, meta: Option<&Value>) -> Applied {
    match node.call.status {
        CallStatus::Failed | CallStatus::Aborted => Applied::Late,
        CallStatus::Completed if node.answered => Applied::Duplicate,
        _ => {
            node.answered = true;
            answer(&mut node.call, output, meta);
            complete(&mut node.call, at);
            Applied::Applied
        }
    }
}

/// The end of a subscription; of another call the second half of its success, or the whole of it.
fn completed(node: &mut Node, at: Timestamp, output: Option<&Value>) -> Applied {
    match node.call.status {
        CallStatus::Failed | CallStatus::Aborted => Applied::Late,
        CallStatus::Completed if node.ended => Applied::Duplicate,
        _ => {
            node.ended = true;
            let kept = !node.call.is_subscription() || node.call.record == RecordPolicy::Full;
            if !node.answered && kept && output.is_some() {
                node.call.output = present(output.cloned());
            }
            complete(&mut node.call, at);
            Applied::Applied
        }
    }
}

/// An item of a subscription. It counts in every state.
fn item(node: &mut Node, output: &Value, seq: Option<u64>, meta: Option<&Value>) -> Applied {
    let before = node.call.items;
    let seq = seq.unwrap_or(before + 1);
    node.call.items = before.max(seq);
    if matches!(node.call.status, CallStatus::Failed | CallStatus::Aborted) || seq < before {
        return Applied::Late;
    }
    if seq == before {
        return Applied::Duplicate;
    }
    if node.call.record == RecordPolicy::Full {
        node.answered = true;
        answer(&mut node.call, output, meta);
    }
    Applied::Applied
}

fn end(node: &mut Node, status: CallStatus, at: Timestamp, error: CallErrorInfo) -> Applied {
    if node.call.status == status {
        return Applied::Duplicate;
    }
    if node.call.status.is_terminal() {
        return Applied::Late;
    }
    let call = &mut node.call;
    call.status = status;
    call.completed_at = Some(call.raised(at));
    call.error = Some(error);
    // Items of a subscription that did not end well are no answer.
    call.output = None;
    Applied::Applied
}

fn answer(call: &mut CallNode, output: &Value, meta: Option<&Value>) {
    call.output = present(Some(output.clone()));
    if let Some(meta) = meta {
        call.metadata.insert("response".to_owned(), meta.clone());
    }
}

/// The earlier of both halves of a success is its time.
fn complete(call: &mut CallNode, at: Timestamp) {
    call.status = CallStatus::Completed;
    let at = call.raised(at);
    call.completed_at = Some(call.completed_at.map_or(at, |known| known.min(at)));
}

/// Fills a field that is empty. True when it did.
fn fill<T>(field: &mut Option<T>, value: Option<T>) -> bool {
    if field.is_none() && value.is_some() {
        *field = value;
        return true;
    }
    false
}
