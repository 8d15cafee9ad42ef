//! What a graph refuses.

use std::fmt;

use alkhub_operations::RequestId;

use crate::status::CallStatus;

/// Why a graph did not do what it was asked to; it is then unchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// The call is in the graph already.
    #[error("the call {key} is in the graph already")]
    DuplicateNode {
        /// Its request id.
        key: RequestId,
    },
    /// An edge of this type between the two is there already.
    #[error("the edge from {from} to {to} is given twice")]
    DuplicateEdge {
        /// Where it begins.
        from: RequestId,
        /// Where it ends.
        to: RequestId,
    },
    /// No such call in the graph.
    #[error("the call {key} is not in the graph")]
    NodeNotFound {
        /// The request id that was asked for.
        key: RequestId,
    },
    /// A call would come before itself.
    #[error("the calls form a cycle: {}", describe(.cycles))]
    Cycle {
        /// `[a, b, c]` means a → b → c → a.
        cycles: Vec<Vec<RequestId>>,
    },
    /// Something is not of the required shape.
    #[error("{}", lines(.errors))]
    InvalidInput {
        /// Everything that is wrong.
        errors: Vec<InputFault>,
    },
    /// The state machine has no such step.
    #[error("the call {request_id} is {from} and cannot become {to}")]
    InvalidTransition {
        /// The call.
        request_id: RequestId,
        /// What it is.
        from: CallStatus,
        /// What it was to become.
        to: CallStatus,
    },
    /// Something else is known of the call already.
    #[error("the call {key} has another {field}")]
    Conflict {
        /// The call.
        key: RequestId,
        /// The field, as on the wire.
        field: &'static str,
    },
}

/// One fault of an input. The message never quotes the faulty value, for it may be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputFault {
    /// JSON Pointer of the fault; empty for the whole.
    pub path: String,
    /// One sentence for a person.
    pub message: String,
}

impl GraphError {
    pub(crate) fn not_found(key: &RequestId) -> Self {
        Self::NodeNotFound { key: key.clone() }
    }

    pub(crate) fn cycle(cycle: Vec<RequestId>) -> Self {
        Self::Cycle {
            cycles: vec![cycle],
        }
    }

    pub(crate) fn input(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self::InvalidInput {
            errors: vec![InputFault::new(path, message)],
        }
    }
}

impl InputFault {
    pub(crate) fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
        }
    }
}

impl fmt::Display for InputFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            formatter.write_str(&self.message)
        } else {
            write!(formatter, "{}: {}", self.path, self.message)
        }
    }
}

/// `a → b → c; x → y`: the first id of a cycle is not repeated at its end.
fn describe(cycles: &[Vec<RequestId>]) -> String {
    let one = |cycle: &Vec<RequestId>| {
        let ids: Vec<&str> = cycle.iter().map(RequestId::as_str).collect();
        ids.join(" → ")
    };
    cycles.iter().map(one).collect::<Vec<_>>().join("; ")
}

fn lines(errors: &[InputFault]) -> String {
    let lines: Vec<String> = errors.iter().map(InputFault::to_string).collect();
    lines.join("; ")
}
