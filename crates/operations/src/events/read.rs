//! Payloads out of parsed JSON. By hand, because deserializing from a value rebuilds every input and
//! output member by member, and each call passes here four times.

use serde_json::{Map, Value};

use super::{
    CallAborted, CallCompleted, CallCredit, CallEvent, CallFailed, CallProgress, CallRequested,
    CallResponded, FrameFault, REASON_LENGTH,
};
use crate::access::Identity;
use crate::envelope::Envelope;
use crate::error::ErrorCode;
use crate::request_id::RequestId;
use crate::spec::JsonObject;

/// The members of a payload, taken out one by one.
pub(super) struct Members<'a> {
    event: &'a str,
    members: Map<String, Value>,
    request_id: RequestId,
}

impl<'a> Members<'a> {
    /// The payload of the event, which must at least name its request.
    pub(super) fn of(event: &'a str, payload: Value) -> Result<Self, FrameFault> {
        let fault = |path: &str| FrameFault::Payload {
            event: event.to_owned(),
            path: path.to_owned(),
            request_id: None,
        };
        let Value::Object(mut members) = payload else {
            return Err(fault(""));
        };
        match members.remove("requestId") {
            Some(Value::String(text)) => {
                let request_id = RequestId::new(text).map_err(|_| fault("/requestId"))?;
                Ok(Self {
                    event,
                    members,
                    request_id,
                })
            }
            _ => Err(fault("/requestId")),
        }
    }

    /// Reads the event.
    pub(super) fn event(mut self) -> Result<CallEvent, FrameFault> {
        let event = match self.event {
            "call.requested" => CallEvent::Requested(self.requested()?),
            "call.responded" => CallEvent::Responded(CallResponded {
                output: self.envelope()?,
                seq: self.count("seq")?,
                request_id: self.request_id,
            }),
            "call.completed" => CallEvent::Completed(CallCompleted {
                count: self.count("count")?,
                request_id: self.request_id,
            }),
            "call.aborted" => CallEvent::Aborted(CallAborted {
                // A word that is not known yet says as little as none.
                by: self.text("by")?.and_then(|by| by.parse().ok()),
                reason: self
                    .text("reason")?
                    .map(|reason| reason.chars().take(REASON_LENGTH).collect()),
                request_id: self.request_id,
            }),
            "call.error" => CallEvent::Failed(CallFailed {
                code: ErrorCode::other(self.needed_text("code")?),
                message: self.needed_text("message")?,
                details: self.members.remove("details").filter(|it| !it.is_null()),
                request_id: self.request_id,
            }),
            "call.credit" => CallEvent::Credit(CallCredit {
                add: match self.count("add")? {
                    Some(add) => add,
                    None => return Err(self.fault("add")),
                },
                request_id: self.request_id,
            }),
            _ => CallEvent::Progress(CallProgress {
                fraction: self.number("fraction")?,
                message: self.text("message")?,
                request_id: self.request_id,
            }),
        };
        Ok(event)
    }

    fn requested(&mut self) -> Result<CallRequested, FrameFault> {
        Ok(CallRequested {
            request_id: self.request_id.clone(),
            operation_id: self.needed_text("operationId")?,
            input: self.members.remove("input"),
            parent_request_id: match self.text("parentRequestId")? {
                Some(text) => {
                    Some(RequestId::new(text).map_err(|_| self.fault("parentRequestId"))?)
                }
                None => None,
            },
            deadline: self.number("deadline")?,
            timeout_ms: self.count("timeoutMs")?,
            idle_timeout: self.count("idleTimeout")?,
            identity: self.identity()?,
            metadata: self.object("metadata")?,
            resume_after: self.count("resumeAfter")?,
            credit: self.count("credit")?,
        })
    }

    fn envelope(&mut self) -> Result<Envelope, FrameFault> {
        let output = self.members.remove("output").unwrap_or(Value::Null);
        Envelope::from_json(output).map_err(|_| self.fault("output"))
    }

    fn identity(&mut self) -> Result<Option<Identity>, FrameFault> {
        match self.take("identity") {
            None => Ok(None),
            Some(identity) => serde_json::from_value(identity)
                .map(Some)
                .map_err(|_| self.fault("identity")),
        }
    }

    fn object(&mut self, name: &str) -> Result<Option<JsonObject>, FrameFault> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Object(members)) => Ok(Some(members)),
            Some(_) => Err(self.fault(name)),
        }
    }

    fn needed_text(&mut self, name: &str) -> Result<String, FrameFault> {
        self.text(name)?.ok_or_else(|| self.fault(name))
    }

    fn text(&mut self, name: &str) -> Result<Option<String>, FrameFault> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.fault(name)),
        }
    }

    fn count(&mut self, name: &str) -> Result<Option<u64>, FrameFault> {
        self.take(name)
            .map(|value| value.as_u64().ok_or_else(|| self.fault(name)))
            .transpose()
    }

    fn number(&mut self, name: &str) -> Result<Option<f64>, FrameFault> {
        self.take(name)
            .map(|value| value.as_f64().ok_or_else(|| self.fault(name)))
            .transpose()
    }

    /// A member that is there; `null` is as good as absent.
    fn take(&mut self, name: &str) -> Option<Value> {
        self.members.remove(name).filter(|value| !value.is_null())
    }

    fn fault(&self, name: &str) -> FrameFault {
        FrameFault::Payload {
            event: self.event.to_owned(),
            path: format!("/{name}"),
            request_id: Some(self.request_id.clone()),
        }
    }
}
