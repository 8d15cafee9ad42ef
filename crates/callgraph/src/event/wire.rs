//! Events from the protocol.

use std::time::Duration;

use alkhub_operations::events::{CallRequested, CallResponded};
use alkhub_operations::{CallEvent as WireEvent, Frame, OperationId};
use serde_json::json;

use super::{CallEvent, EventKind, Requested};
use crate::call::CallErrorInfo;
use crate::error::GraphError;
use crate::time::Timestamp;

impl CallEvent {
    /// The event a frame of the protocol tells, stamped with the receiver's time. None for frames
    /// that say nothing about the state of a call: credit and progress.
    ///
    /// # Errors
    /// [`GraphError::InvalidInput`] for a frame that is no event, or names no operation.
    pub fn from_wire(frame: Frame, now: Timestamp) -> Result<Option<Self>, GraphError> {
        let event = WireEvent::from_frame(frame)
            .map_err(|fault| GraphError::input("", fault.to_string()))?;
        Self::from_protocol(event, now)
    }

    /// As [`CallEvent::from_wire`], for a frame that has been read already.
    ///
    /// # Errors
    /// [`GraphError::InvalidInput`] for a request that names no operation.
    pub fn from_protocol(event: WireEvent, now: Timestamp) -> Result<Option<Self>, GraphError> {
        let (request_id, kind) = match event {
            WireEvent::Requested(told) => {
                let request_id = told.request_id.clone();
                let requested = requested(told, now)?;
                (request_id, EventKind::Requested(Box::new(requested)))
            }
            WireEvent::Responded(CallResponded {
                request_id,
                output,
                seq,
            }) => {
                let kind = EventKind::Responded {
                    meta: Some(json!(output.meta)),
                    output: output.data,
                    seq,
                };
                (request_id, kind)
            }
            WireEvent::Completed(told) => (told.request_id, EventKind::Completed { output: None }),
            WireEvent::Failed(told) => {
                let request_id = told.request_id.clone();
                let error = CallErrorInfo::from(told.into_error());
                (request_id, EventKind::Error { error })
            }
            WireEvent::Aborted(told) => {
                let kind = EventKind::Aborted {
                    by: told.by,
                    reason: told.reason,
                };
                (told.request_id, kind)
            }
            _ => return Ok(None),
        };
        Ok(Some(Self::new(request_id, now, kind)))
    }
}

fn requested(told: CallRequested, now: Timestamp) -> Result<Requested, GraphError> {
    let operation_id: OperationId =
        told.operation_id
            .parse()
            .map_err(|error: alkhub_operations::NameError| {
                GraphError::input("/operationId", error.to_string())
            })?;
    // The time left needs no equal clocks, so it wins.
    let deadline = match (told.timeout_ms, told.deadline) {
        (Some(left), _) => Some(now.after(Duration::from_millis(left))),
        (None, Some(at)) => Some(whole_milliseconds(at)),
        (None, None) => None,
    };
    Ok(Requested {
        operation_id,
        input: told.input,
        parent_request_id: told.parent_request_id,
        identity: told.identity,
        deadline,
        operation_type: None,
    })
}

fn whole_milliseconds(number: f64) -> Timestamp {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "what is out of range becomes the first or the last moment"
    )]
    let cut = number as i64;
    Timestamp::from_millis(cut)
}
