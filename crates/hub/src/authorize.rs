//! May this caller call this operation with this input? Lines 2 to 5 of the decision, in one place.

use alkhub_operations::{CallError, Decision, Entry, Identity, Mode, access};
use serde_json::{Value, json};

use crate::auth::Principal;
use crate::scopes;

/// Decides before anything is recorded.
///
/// # Errors
/// `OPERATION_NOT_FOUND` when the caller has no scope that would let them see the operation,
/// `ACCESS_DENIED` naming the missing scopes when they may see but not call it, `NOT_FOUND` when the
/// scopes suffice and only the resource is out of the key's reach.
pub(crate) fn authorize(
    principal: &Principal,
    identity: &Identity,
    entry: &Entry,
    input: &Value,
) -> Result<(), CallError> {
    let spec = &entry.spec;
    let id = spec.id();
    if !may_see(principal, entry) {
        return Err(CallError::operation_not_found(&id));
    }
    match access::check_access(spec, Some(identity), input, Mode::Narrowing) {
        Decision::Allow => Ok(()),
        Decision::Missing { scopes, any_of, .. } if scopes.is_empty() && any_of.is_empty() => {
            Err(CallError::not_found(crate::error::NOT_FOUND))
        }
        decision => Err(access_denied(&id.to_string(), &decision)),
    }
}

/// True when the operation may be known to the caller: it asks for nothing, or the caller holds some
/// scope of an area that it asks for.
pub(crate) fn may_see(principal: &Principal, entry: &Entry) -> bool {
    let control = &entry.spec.access_control;
    let asked = || control.required_scopes.iter().chain(control.required_scopes_any.iter().flatten());
    principal.narrowing.allows_operation(&entry.spec.id().to_string())
        && (asked().next().is_none()
            || asked().any(|asked| {
                let area = scopes::area(asked);
                principal.scopes.iter().any(|held| scopes::area(held) == area)
            }))
}

/// True when the scopes and the key's patterns let the caller call the operation with some input.
pub(crate) fn may_call(principal: &Principal, entry: &Entry) -> bool {
    missing_scopes(principal, entry).is_empty() && may_see(principal, entry)
}

/// The scopes the caller lacks for the operation; of alternatives all are named.
pub(crate) fn missing_scopes(principal: &Principal, entry: &Entry) -> Vec<String> {
    let control = &entry.spec.access_control;
    let mut missing: Vec<String> =
        control.required_scopes.iter().filter(|scope| !principal.has(scope)).cloned().collect();
    if let Some(any) = control.required_scopes_any.as_ref().filter(|any| !any.is_empty())
        && !any.iter().any(|scope| principal.has(scope))
    {
        missing.extend(any.iter().cloned());
    }
    missing
}

fn access_denied(operation: &str, decision: &Decision) -> CallError {
    let missing = match decision {
        Decision::Missing { scopes, any_of, .. } => {
            scopes.iter().chain(any_of).cloned().collect::<Vec<_>>()
        }
        _ => Vec::new(),
    };
    let message = format!("this key may not call {operation}: it lacks {}", missing.join(", "));
    CallError::access_denied(message).with_details(json!({ "missing": missing }))
}
