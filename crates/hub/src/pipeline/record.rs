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
use crate::dispatch::{Choice, Route};
use crate::error::unavailable;
use crate::keys::hex;
use crate::providers::{Offer, ProviderId};
use crate::recorder::{Begun, Finished};
use crate::repeats::{Fingerprint, Outcome, compare};
use crate::state::State;

/// How often the record of a call under way elsewhere is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Bytes kept of what a caller says beside the input.
const REQUEST_META_CAP: usize = 4 * 1024;

/// Whether the call is new.
pub(super) enum Beginning {
    New,
    Existing,
    /// A query while the disk is full: it is answered and leaves no record.
    Unrecorded,
}

/// How a call begins, as far as it is known when it is recorded.
#[derive(Clone, Copy)]
pub(super) enum Begins<'a> {
    /// It runs, at a provider unless the hub runs it itself.
    Running(Option<&'a Offer>),
    /// It waits for a provider, or there is none.
    Pending,
}

impl<'a> Begins<'a> {
    pub(super) fn of(choice: &'a Result<Choice, CallError>) -> Self {
        match choice {
            Ok(Choice::Route(Route::Own)) => Self::Running(None),
            Ok(Choice::Route(Route::Provider(offer, _))) => Self::Running(Some(offer)),
            Ok(Choice::Wait) | Err(_) => Self::Pending,
        }
    }

    fn status(self) -> CallStatus {
        match self {
            Self::Running(_) => CallStatus::Running,
            Self::Pending => CallStatus::Pending,
        }
    }

    fn offer(self) -> Option<&'a Offer> {
        match self {
            Self::Running(offer) => offer,
            Self::Pending => None,
        }
    }
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
    first: Begins<'_>,
) -> Result<Beginning, CallError> {
    let reads_only = admitted.entry.spec().kind == OperationType::Query;
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
    if reads_only && admitted.chosen_id && recorded(state, admitted).await?.is_some() {
        return Ok(Beginning::Existing);
    }
    let call = new_call(state, admitted, fingerprint, first);
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

/// Records that a call that waited in a queue begins to run, before it is sent.
pub(super) async fn running(
    state: &State,
    admitted: &Admitted,
    offer: Option<&Offer>,
) -> Result<(), CallError> {
    if let Some(ProviderId::Spoke(spoke)) = offer.map(|offer| &offer.provider) {
        let note = Map::from_iter([("spokeId".to_owned(), json!(spoke))]);
        state.recorder.patch(&admitted.live.key, note);
    }
    let at = alkhub_storage::time::now();
    state
        .recorder
        .running(&admitted.live.key, at)
        .await
        .map_err(|error| error.into_call_error(&admitted.request_id, false))
}

/// Records the end; the outcome may be told only when this returns.
pub(super) async fn end(
    state: &State,
    admitted: &Admitted,
    fingerprint: &Fingerprint,
    outcome: Outcome,
) -> Outcome {
    let completed_at = alkhub_storage::time::now();
    let policy = super::record_policy(state, &admitted.entry);
    let cap = record_cap(state, admitted);
    let mut metadata = Map::new();
    let mut end = CallEnd {
        request_id: admitted.live.key.clone(),
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
                let confirmed = !state.live.on_spoke(&admitted.live.key);
                metadata.insert("abort".to_owned(), abort_note(error, confirmed));
            } else {
                end.status = CallStatus::Failed;
            }
            end.error = Some(kept_failure(error));
        }
    }
    end.metadata = metadata;
    match state.recorder.end(end).await {
        Ok(Finished::Recorded) => outcome,
        // Another process, or an earlier call of this id: what is recorded is the answer.
        Ok(Finished::Lost) => {
            recorded_outcome(state, admitted, fingerprint, admitted.deadline).await
        }
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
        let node = recorded(state, admitted).await?;
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
                    return Err(super::serve::timed_out(admitted));
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            CallStatus::Completed => return replay(admitted, &node),
            CallStatus::Failed | CallStatus::Aborted => return Err(kept_error(&node)),
        }
    }
}

/// Largest input or output that is recorded whole.
fn record_cap(state: &State, admitted: &Admitted) -> usize {
    state
        .providers
        .overrides
        .record_cap(&admitted.live.operation)
        .unwrap_or_else(|| state.config().calls.record_cap)
}

async fn recorded(
    state: &State,
    admitted: &Admitted,
) -> Result<Option<call_graph_nodes::Model>, CallError> {
    calls::recorded_call(state.database.reader(), &admitted.live.key)
        .await
        .map_err(|error| CallError::from(crate::error::HubError::from(error)))
}

/// Who ended the call. What ran here has been dropped; a spoke confirms later.
fn abort_note(error: &CallError, confirmed: bool) -> Value {
    let by = error.details.as_ref().map(|details| details["by"].clone());
    json!({ "by": by, "confirmed": confirmed })
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

fn new_call(
    state: &State,
    admitted: &Admitted,
    fingerprint: &Fingerprint,
    first: Begins<'_>,
) -> NewCall {
    let spec = admitted.entry.spec();
    let policy = super::record_policy(state, &admitted.entry);
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
    let project = admitted.live.project.clone().or_else(|| {
        first
            .offer()
            .and_then(|offer| offer.owner.project.as_ref().map(ToString::to_string))
    });
    if let Some(project) = project {
        metadata.insert("projectId".to_owned(), Value::from(project));
    }
    if let Some(ProviderId::Spoke(spoke)) = first.offer().map(|offer| &offer.provider) {
        metadata.insert("spokeId".to_owned(), json!(spoke));
    }
    if let Some(asked) = &admitted.options.metadata
        && !asked.is_empty()
    {
        let kept = keep::recordable(&json!(asked), None, &Secrets::none(), REQUEST_META_CAP);
        metadata.insert("requestMeta".to_owned(), kept);
    }
    let (parent, between) = admitted.recorded_parent.clone();
    if !between.is_empty() {
        metadata.insert("via".to_owned(), json!(between));
    }
    let cap = record_cap(state, admitted);
    let input = kept(policy, &spec.input_schema, &admitted.input, cap);
    NewCall {
        id: CallGraphNodeId::random(),
        request_id: admitted.live.key.clone(),
        operation_id: fingerprint.operation.clone(),
        parent_request_id: parent,
        identity: admitted
            .principal
            .as_ref()
            .map(|principal| json!(principal.identity())),
        caller_account_id: fingerprint.account.clone(),
        status: first.status(),
        input: Some(input),
        output: None,
        error: None,
        started_at: (first.status() == CallStatus::Running).then_some(now),
        completed_at: None,
        created_at: now,
        metadata,
    }
}
