//! Events from JSON.

use serde_json::Value;

use super::{CallEvent, EventKind, Requested};
use crate::error::GraphError;
use crate::fields::{Faults, Fields};

const IDENTITY: &str = "an object of id, scopes and resources";

impl CallEvent {
    /// Reads an event. Members beyond those of its type are ignored, `null` is the same as absent.
    ///
    /// # Errors
    /// [`GraphError::InvalidInput`] with everything that is wrong.
    pub fn from_json(json: Value) -> Result<Self, GraphError> {
        let mut faults = Faults::default();
        let event = read(json, &mut faults);
        faults.finish()?;
        event.ok_or_else(|| GraphError::input("", "is no event"))
    }
}

/// None only with a fault.
fn read(json: Value, faults: &mut Faults) -> Option<CallEvent> {
    let members = faults.object(json, "")?;
    let mut fields = Fields::new(members, "", faults);
    let request_id = fields.required_text("requestId");
    let timestamp = fields.required_text("timestamp");
    let name: Option<String> = fields.required_text("type");
    let kind = match name?.as_str() {
        "call.requested" => {
            let operation_id = fields.required_text("operationId");
            let parent_request_id = fields.text("parentRequestId");
            let identity = fields.read("identity", IDENTITY);
            let deadline = fields.text("deadline");
            let operation_type = fields.text("operationType");
            EventKind::Requested(Box::new(Requested {
                operation_id: operation_id?,
                input: fields.take("input"),
                parent_request_id,
                identity,
                deadline,
                operation_type,
            }))
        }
        "call.responded" => EventKind::Responded {
            output: fields.take("output").unwrap_or(Value::Null),
            seq: fields.read("seq", "a whole number from 0"),
            meta: fields.take("meta"),
        },
        "call.completed" => EventKind::Completed {
            output: fields.take("output"),
        },
        "call.error" => EventKind::Error {
            error: fields.required("error", "an object of code, message and details")?,
        },
        "call.aborted" => EventKind::Aborted {
            by: fields.text("by"),
            reason: fields.text("reason"),
        },
        _ => {
            fields.fault("type", "is no event of a call");
            return None;
        }
    };
    Some(CallEvent::new(request_id?, timestamp?, kind))
}
