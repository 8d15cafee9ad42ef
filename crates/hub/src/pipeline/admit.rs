//! The stages before the record: who calls, what, may they, with good input, within the limits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use alkhub_operations::{CallError, Entry, ErrorCode, OperationType, RequestId, coerce_query};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{Admitted, CallInput, CallOptions, CallRequest, Failure, Inside, record_policy, texts};
use crate::audit::{Action, Actor};
use crate::auth::{self, Authentication, Credential, Origin, Principal};
use crate::authorize;
use crate::error::unavailable;
use crate::limits::{Concurrency, Rate};
use crate::live::{LiveCall, aborted};
use crate::notices::Notice;
use crate::rules;
use crate::state::State;
use alkhub_operations::RecordPolicy;

/// Keys of a caller's metadata that begin so are the hub's.
const OWN_METADATA: &str = "alkhub.";

/// Checks a call. What is learnt on the way that a refusal tells as well goes into `refused`.
pub(super) async fn admit(
    state: &Arc<State>,
    request: CallRequest,
    inside: Inside,
    refused: &mut Failure,
) -> Result<Admitted, CallError> {
    let entry = state.registry.get(&request.operation);
    let open = entry.as_ref().is_some_and(|entry| entry.is_open());
    // What is part of a call that runs may still be done.
    if state.draining() && !open && inside.parent.is_none() {
        return Err(unavailable("the hub is shutting down", "shutting_down"));
    }
    let principal = if open {
        None
    } else if let Some(parent) = &inside.parent {
        parent.principal.clone()
    } else {
        Some(authenticate(state, &request.credential, &request.origin).await?)
    };
    if let Some(principal) = &principal {
        refused.rotated_to = principal
            .key
            .rotated_to_id
            .as_ref()
            .map(ToString::to_string);
        // A handler of the hub that calls another one has been counted; a spoke may ask for more.
        if inside.parent.is_none() || inside.connection.is_some() {
            state
                .limits
                .take(&principal.key.id, rate_of(state, principal))?;
        }
    }
    let (request_id, chosen_id) = choose_id(&request, principal.as_deref(), &refused.request_id)?;
    refused.request_id = request_id.clone();

    let entry = entry
        .filter(|entry| {
            principal
                .as_ref()
                .is_none_or(|principal| authorize::may_see(state, principal, entry))
        })
        .ok_or_else(|| CallError::operation_not_found(&request.operation))?;
    entry.check_kind(request.expected).inspect_err(|_refused| {
        refused.actual_kind = Some(entry.spec().kind);
    })?;
    let mut input = match request.input {
        CallInput::Json(input) => input,
        CallInput::Query(pairs) => coerce_query(&entry.spec().input_schema, &pairs),
    };
    let mut options = without_own_metadata(request.options);
    if let Some(id) = options.last_event_id.take() {
        go_on_after(&entry, &id, &mut input, &mut options)?;
    }
    if let Some(principal) = &principal {
        authorize::authorize(state, principal, &entry, &input)
            .inspect_err(|error| notice_denial(state, principal, &request.origin, &entry, error))?;
    }
    state.providers.overrides.admit(entry.id().as_str())?;
    entry.validate_input(&input)?;
    texts::check(entry.spec().kind, &input)?;
    if options.resume_after.is_some() && !entry.spec().resumable() {
        let message = format!("{} cannot be resumed", entry.id());
        return Err(CallError::unprocessable("not_resumable", message));
    }

    let in_flight = match &principal {
        // What is made inside of a call runs in the place of that call.
        Some(principal) if inside.parent.is_none() => {
            let limits = &state.config().limits;
            let allowed = Concurrency {
                per_key: limits.concurrency,
                per_account: limits.account_concurrency,
            };
            Some(
                state
                    .limits
                    .enter(&principal.key.id, &principal.account.id, allowed)?,
            )
        }
        _ => None,
    };
    let depth = depth_below(state, inside.parent.as_deref())?;
    let own_deadline = Instant::now() + time_allowed(state, &entry, request.timeout)?;
    let inherited = inside.parent.as_ref().and_then(|parent| parent.deadline);
    let deadline = inherited.map_or(own_deadline, |inherited| inherited.min(own_deadline));
    if deadline <= Instant::now() {
        return Err(passed());
    }
    let bounded = request.timeout.is_some() || inherited.is_some();
    let account = principal.as_ref().map(|principal| &principal.account.id);
    let key = request_id
        .to_uuid(account.map_or("", |account| account.as_str()))
        .to_string();
    if let Some(stop) = inside
        .parent
        .as_ref()
        .and_then(|parent| state.live.stop_of(&parent.key))
    {
        return Err(aborted(&key, &stop));
    }
    let stream = entry.spec().kind == OperationType::Subscription;
    let project = project_of(&entry, &input).or_else(|| {
        inside
            .parent
            .as_ref()
            .and_then(|parent| parent.project.clone())
    });
    let recorded_parent = inside
        .parent
        .as_ref()
        .map_or_else(Default::default, |parent| {
            state.live.recorded_ancestor(&parent.key)
        });
    let live = Arc::new(LiveCall {
        operation: entry.id().to_string(),
        account: account.cloned(),
        principal: principal.clone(),
        credential: request.credential.clone(),
        parent: inside.parent.as_ref().map(|parent| parent.key.clone()),
        depth,
        deadline: (!stream || bounded).then_some(deadline),
        project,
        recorded: record_policy(state, &entry) != RecordPolicy::None,
        continue_running: false,
        token: inside
            .token
            .as_ref()
            .map_or_else(CancellationToken::new, CancellationToken::child_token),
        settled: CancellationToken::new(),
        key,
    });
    Ok(Admitted {
        entry,
        principal,
        input,
        request_id,
        chosen_id,
        deadline,
        origin: request.origin,
        options,
        inside,
        live,
        recorded_parent,
        _in_flight: in_flight,
    })
}

/// Finds who stands behind a credential.
pub(crate) async fn authenticate(
    state: &State,
    credential: &Credential,
    origin: &Origin,
) -> Result<Arc<Principal>, CallError> {
    state.limits.admit_address(origin.ip)?;
    match state.authenticator.authenticate(credential).await? {
        Authentication::Accepted(principal) => {
            state.last_used.note(&principal.key.id, chrono::Utc::now());
            Ok(principal)
        }
        Authentication::Inactive(principal) => {
            state.notices.give(Notice {
                action: Action::AuthRefusedInactive,
                subject: principal.key.id.to_string(),
                actor: actor_of(&principal, origin, None),
                reason: principal.account.status.to_string(),
            });
            Err(auth::account_inactive(&principal))
        }
        Authentication::Refused { why, key_prefix } => {
            let ip = origin.ip.map(|ip| ip.to_string());
            tracing::debug!(reason = %why, ip, key_prefix, "a caller was not let in");
            // Nobody who merely forgot the key is treated as one who guesses keys.
            if why != auth::Refusal::Missing {
                state.limits.count_failed_attempt(origin.ip);
                let account = &state.hub_account;
                state.notices.give(Notice::of_stranger(
                    account,
                    origin,
                    key_prefix,
                    why.to_string(),
                ));
            }
            Err(auth::unauthenticated(why))
        }
    }
}

fn rate_of(state: &State, principal: &Principal) -> Rate {
    let limits = &state.config().limits;
    let general = Rate {
        per_second: limits.rate,
        burst: limits.burst,
    };
    // A key's own limit counts when it is the lower one.
    match principal.own_rate() {
        Some(own) if general.per_second == 0 || own < general.per_second => Rate {
            per_second: own,
            burst: own.max(1),
        },
        _ => general,
    }
}

fn choose_id(
    request: &CallRequest,
    principal: Option<&Principal>,
    own_id: &RequestId,
) -> Result<(RequestId, bool), CallError> {
    match (&request.idempotency_key, principal) {
        (Some(key), Some(principal)) => {
            RequestId::from_idempotency_key(principal.account.id.as_str(), key)
                .map(|id| (id, true))
                .map_err(|bad| CallError::validation_rule("idempotency_key", bad.to_string()))
        }
        _ => Ok((own_id.clone(), request.request_id.is_some())),
    }
}

fn time_allowed(
    state: &State,
    entry: &Entry,
    requested: Option<Duration>,
) -> Result<Duration, CallError> {
    let calls = &state.config().calls;
    let own = entry.spec().ext.timeout.unwrap_or(calls.deadline);
    let allowed = requested.unwrap_or(own).min(calls.max_deadline);
    if allowed.is_zero() {
        return Err(passed());
    }
    Ok(allowed)
}

fn notice_denial(
    state: &State,
    principal: &Principal,
    origin: &Origin,
    entry: &Entry,
    error: &CallError,
) {
    let operation = entry.id().to_string();
    state.notices.give(Notice {
        action: Action::AccessDenied,
        subject: format!("{} {operation}", principal.key.id),
        actor: actor_of(principal, origin, Some(operation)),
        reason: error.message.clone(),
    });
}

fn actor_of(principal: &Principal, origin: &Origin, operation: Option<String>) -> Actor {
    Actor {
        account: principal.account.id.clone(),
        key: Some(principal.key.id.clone()),
        key_prefix: Some(principal.key.key_prefix.clone()),
        operation,
        request_id: None,
        origin: origin.clone(),
    }
}

fn passed() -> CallError {
    CallError::new(ErrorCode::TIMEOUT, "the deadline of the call has passed")
        .with_details(json!({ "retryAfterMs": 1_000 }))
}

/// How deep a call made inside another one is.
fn depth_below(state: &State, parent: Option<&LiveCall>) -> Result<u32, CallError> {
    let depth = parent.map_or(1, |parent| parent.depth + 1);
    let most = state.config().calls.max_depth;
    if depth > most {
        let message = format!("calls are nested deeper than {most} levels");
        return Err(CallError::unprocessable("too_deep", message));
    }
    Ok(depth)
}

/// Where a stream goes on for a caller that has its events up to `id`.
fn go_on_after(
    entry: &Entry,
    id: &str,
    input: &mut Value,
    options: &mut CallOptions,
) -> Result<(), CallError> {
    if let (Some(_), Value::Object(members)) =
        (entry.spec().input_schema.property("since"), &mut *input)
    {
        let since = id
            .parse::<u64>()
            .map_or_else(|_| Value::from(id), Value::from);
        // As number or text, whichever the operation takes.
        for since in [since, Value::from(id)] {
            members.insert("since".to_owned(), since);
            if entry
                .validate_input(&Value::Object(members.clone()))
                .is_ok()
            {
                break;
            }
        }
        return Ok(());
    }
    let seq = id.parse().map_err(|_| {
        CallError::validation_rule("last_event_id", "Last-Event-ID is the number of an item")
    })?;
    options.resume_after = Some(seq);
    Ok(())
}

fn without_own_metadata(mut options: CallOptions) -> CallOptions {
    if let Some(metadata) = &mut options.metadata {
        metadata.retain(|key, _| !key.starts_with(OWN_METADATA));
    }
    options
}

/// The project a call is about, by which others may see it: the input's `projectId`, or `id` of an
/// operation on projects.
fn project_of(entry: &Entry, input: &Value) -> Option<String> {
    let field = if entry.spec().namespace.as_str() == "project" {
        "id"
    } else {
        "projectId"
    };
    let named = input.get(field).and_then(Value::as_str);
    // What no id can look like names no project, and NUL could not even be recorded.
    named
        .filter(|id| rules::id("", id).is_ok())
        .map(ToOwned::to_owned)
}
