//! The record of a call: what is kept of it, and what a repetition gets from it.

use std::time::{Duration, Instant};

use alkhub_operations::canonical::write_canonical_json;
use alkhub_operations::record::{self as keep, RECORD_DETAILS_CAP, Secrets};
use alkhub_operations::{
    CallError, Envelope, ErrorCode, OperationType, RecordPolicy, Schema, Source,
};
use alkhub_storage::calls;
use alkhub_storage::calls::{CallEnd, NewCall};
use alkhub_storage::entity::call_graph_nodes;
use alkhub_storage::enums::CallStatus;
use alkhub_storage::ids::{CallGraphNodeId, OperationId};
use hmac::{Hmac, Mac as _};
use serde_json::{Map, Value, json};
use sha2::Sha256;

use super::Admitted;
use crate::config::RecordAhead;
use crate::error::unavailable;
use crate::keys::hex;
use crate::recorder::Begun;
use crate::repeats::{Fingerprint, Outcome, compare};
use crate::rules;
use crate::state::State;

/// How often the record of a call under way elsewhere is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Whether the call is new.
pub(super) enum Beginning {
    New,
    Existing,
    /// A query while the disk is full: it is answered and leaves no record.
    Unrecorded,
}

/// What makes two calls the same. The input counts by an HMAC over its canonical text without secret
/// fields: a plain hash of a secret could be guessed.
pub(super) fn fingerprint(
    state: &State,
    admitted: &Admitted,
    operation: &OperationId,
) -> Fingerprint {
    let schema = admitted.entry.spec().input_schema.json();
    let input_mac = Hmac::<Sha256>::new_from_slice(&state.installation_key)
        .map(|mut mac| {
            let mut update = |piece: &str| mac.update(piece.as_bytes());
            if keep::is_large(&admitted.input) {
                // Not copied to be redacted: nobody guesses megabytes, and without the key not at all.
                write_canonical_json(&admitted.input, &mut update);
            } else {
                let redacted = keep::redact(&admitted.input, Some(schema), &Secrets::none());
                write_canonical_json(&redacted, &mut update);
            }
            hex(&mac.finalize().into_bytes())
        })
        // HMAC takes keys of every length.
        .unwrap_or_else(|_impossible| String::new());
    Fingerprint {
        account: admitted
            .principal
            .as_ref()
            .map(|principal| principal.account.id.clone()),
        operation: operation.clone(),
        input_mac,
    }
}

/// Records the beginning. What changes something is durable before it starts; a query need not be.
pub(super) async fn begin(
    state: &State,
    admitted: &Admitted,
    fingerprint: &Fingerprint,
) -> Result<Beginning, CallError> {
    let reads_only = admitted.entry.spec().kind == OperationType::Query && !admitted.chosen_id;
    if state.recorder.disk_full() {
        return if reads_only {
            Ok(Beginning::Unrecorded)
        } else {
            Err(unavailable(
                "the disk is full; nothing can be changed until there is room",
                "disk_full",
            ))
        };
    }
    let call = new_call(state, admitted, fingerprint);
    let patience = admitted.deadline.saturating_duration_since(Instant::now());
    let may_run_ahead = reads_only && state.config().recorder.ahead == RecordAhead::Mutations;
    let begun = if may_run_ahead {
        state
            .recorder
            .begin_later(call, patience)
            .await
            .map(|()| Begun::Recorded)
    } else {
        state.recorder.begin(call, patience).await
    };
    match begun {
        Ok(Begun::Recorded) => Ok(Beginning::New),
        Ok(Begun::Existing) => Ok(Beginning::Existing),
        Err(error) => Err(error.into_call_error(&admitted.request_id, false)),
    }
}

/// Records the end; the outcome may be told only when this returns.
pub(super) async fn end(state: &State, admitted: &Admitted, outcome: Outcome) -> Outcome {
    let completed_at = alkhub_storage::time::now();
    let policy = super::record_policy(&admitted.entry);
    let cap = state.config().calls.record_cap;
    let mut metadata = Map::new();
    let mut end = CallEnd {
        request_id: recorded_id(admitted),
        status: CallStatus::Completed,
        output: None,
        error: None,
        completed_at,
        metadata: Map::new(),
    };
    match &outcome {
        Ok(envelope) => {
            let schema = &admitted.entry.spec().output_schema;
            let kept = kept(policy, schema, &envelope.data, cap);
            // An answer without its secrets must not be replayed as if it were the whole one.
            if policy == RecordPolicy::Full && !keep::is_marker(&kept) && kept != envelope.data {
                metadata.insert("response".to_owned(), json!("redacted"));
            }
            end.output = Some(kept);
        }
        Err(error) => {
            if error.code == ErrorCode::ABORTED {
                end.status = CallStatus::Aborted;
            } else {
                end.status = CallStatus::Failed;
            }
            end.error = Some(kept_failure(error));
        }
    }
    end.metadata = metadata;
    match state.recorder.end(end).await {
        Ok(()) => outcome,
        Err(error) => Err(error.into_call_error(&admitted.request_id, true)),
    }
}

/// The outcome of an earlier call under the same id; waits while that one is open.
pub(super) async fn recorded_outcome(
    state: &State,
    admitted: &Admitted,
    fingerprint: &Fingerprint,
    deadline: Instant,
) -> Outcome {
    loop {
        let node = calls::recorded_call(state.database.reader(), &recorded_id(admitted))
            .await
            .map_err(|error| CallError::from(crate::error::HubError::from(error)))?;
        // Removed by retention between the conflict and this look.
        let Some(node) = node else {
            return Err(CallError::conflict(
                "answer_not_kept",
                "the earlier call is no longer kept",
            ));
        };
        let first = Fingerprint {
            account: node.caller_account_id.clone(),
            operation: node.operation_id.clone(),
            input_mac: node
                .metadata
                .text("inputMac")
                .unwrap_or_default()
                .to_owned(),
        };
        compare(&first, fingerprint)?;
        match node.status {
            CallStatus::Pending | CallStatus::Running => {
                if Instant::now() + LOOK_AGAIN >= deadline {
                    return Err(super::timed_out());
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            CallStatus::Completed => return replay(admitted, &node),
            CallStatus::Failed | CallStatus::Aborted => return Err(kept_error(&node)),
        }
    }
}

fn replay(admitted: &Admitted, node: &call_graph_nodes::Model) -> Outcome {
    let output = node.output.clone().unwrap_or(Value::Null);
    if keep::is_marker(&output) || node.metadata.text("response") == Some("redacted") {
        let message = "the call ran once and succeeded, but its answer was not kept";
        return Err(CallError::conflict("answer_not_kept", message)
            .with_details(json!({ "rule": "answer_not_kept", "status": node.status })));
    }
    let at = node.completed_at.unwrap_or(node.created_at);
    let source = Source::Local {
        operation_id: admitted.entry.id().to_string(),
        timestamp: at.timestamp_millis(),
    };
    let mut envelope = Envelope::of(output, source);
    envelope.meta.request_id = Some(admitted.request_id.clone());
    envelope.meta.duration = node
        .started_at
        .and_then(|started| (at - started).to_std().ok());
    Ok(envelope)
}

/// What is recorded of an input or output.
fn kept(policy: RecordPolicy, schema: &Schema, value: &Value, cap: usize) -> Value {
    match policy {
        RecordPolicy::Full => keep::recordable(value, Some(schema.json()), &Secrets::none(), cap),
        RecordPolicy::Metadata | RecordPolicy::None => keep::omitted(value),
    }
}

/// What is recorded of an error.
fn kept_failure(error: &CallError) -> Value {
    let details = error
        .details
        .as_ref()
        .map(|details| keep::recordable(details, None, &Secrets::none(), RECORD_DETAILS_CAP));
    let message = keep::redact_text(&error.message, &Secrets::none());
    let mut kept = CallError::new(error.code.clone(), message);
    kept.details = details;
    json!(kept)
}

fn kept_error(node: &call_graph_nodes::Model) -> CallError {
    node.error
        .clone()
        .map(|error| {
            let mut kept = CallError::new(ErrorCode::other(error.code), error.message);
            kept.details = error.details;
            kept
        })
        .unwrap_or_else(|| CallError::unknown(&node.id))
}

fn new_call(state: &State, admitted: &Admitted, fingerprint: &Fingerprint) -> NewCall {
    let spec = admitted.entry.spec();
    let policy = super::record_policy(&admitted.entry);
    let now = alkhub_storage::time::now();
    let mut metadata = Map::new();
    let instance = &state.instance;
    metadata.insert(
        "hub".to_owned(),
        json!({ "id": instance.id, "start": instance.start }),
    );
    metadata.insert(
        "inputMac".to_owned(),
        Value::from(fingerprint.input_mac.clone()),
    );
    if policy != RecordPolicy::Full {
        metadata.insert("policy".to_owned(), json!(policy));
    }
    if let Some(project) = project_of(admitted) {
        metadata.insert("projectId".to_owned(), Value::from(project));
    }
    let cap = state.config().calls.record_cap;
    let input = kept(policy, &spec.input_schema, &admitted.input, cap);
    NewCall {
        id: CallGraphNodeId::random(),
        request_id: recorded_id(admitted),
        operation_id: fingerprint.operation.clone(),
        parent_request_id: None,
        identity: admitted
            .principal
            .as_ref()
            .map(|principal| json!(principal.identity())),
        caller_account_id: fingerprint.account.clone(),
        status: CallStatus::Running,
        input: Some(input),
        output: None,
        error: None,
        started_at: Some(now),
        completed_at: None,
        created_at: now,
        metadata,
    }
}

/// The UUID the call is recorded under; on the wire it keeps the caller's own form.
fn recorded_id(admitted: &Admitted) -> String {
    let account = admitted
        .principal
        .as_ref()
        .map_or("", |principal| principal.account.id.as_str());
    admitted.request_id.to_uuid(account).to_string()
}

/// The project a call is about, by which others may see it: the input's `projectId`, or `id` of an
/// operation on projects.
fn project_of(admitted: &Admitted) -> Option<String> {
    let field = if admitted.entry.spec().namespace.as_str() == "project" {
        "id"
    } else {
        "projectId"
    };
    let named = admitted.input.get(field).and_then(Value::as_str);
    // What no id can look like names no project, and NUL could not even be recorded.
    named
        .filter(|id| rules::id("", id).is_ok())
        .map(ToOwned::to_owned)
}
