//! May this caller call this operation with this input? Lines 2 to 5 of the decision, in one place.

use alkhub_operations::{CallError, Caller, Entry, Mode};
use serde_json::Value;

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
    entry: &Entry,
    input: &Value,
) -> Result<(), CallError> {
    if !may_see(principal, entry) {
        return Err(CallError::operation_not_found(entry.id().as_str()));
    }
    let caller = Caller::Identity(principal.identity());
    let decision = entry.authorize(&caller, input, Mode::Narrowing);
    if decision.only_resource_missing() {
        return Err(CallError::not_found(crate::error::NOT_FOUND));
    }
    decision.into_result(entry.id())
}

/// True when the operation may be known to the caller: it asks for nothing, or the caller holds some
/// scope of an area that it asks for.
pub(crate) fn may_see(principal: &Principal, entry: &Entry) -> bool {
    let control = &entry.spec().access_control;
    let asked = || {
        control
            .required_scopes
            .iter()
            .chain(&control.required_scopes_any)
    };
    principal.narrowing.allows_operation(entry.id().as_str())
        && (asked().next().is_none()
            || asked().any(|asked| {
                let area = scopes::area(asked);
                principal
                    .scopes
                    .iter()
                    .any(|held| scopes::area(held) == area)
            }))
}

/// True when the scopes and the key's patterns let the caller call the operation with some input.
pub(crate) fn may_call(principal: &Principal, entry: &Entry) -> bool {
    missing_scopes(principal, entry).is_empty() && may_see(principal, entry)
}

/// The scopes the caller lacks for the operation; of alternatives all are named.
pub(crate) fn missing_scopes(principal: &Principal, entry: &Entry) -> Vec<String> {
    let control = &entry.spec().access_control;
    let mut missing: Vec<String> = control
        .required_scopes
        .iter()
        .filter(|scope| !principal.has(scope))
        .cloned()
        .collect();
    let any = &control.required_scopes_any;
    if !any.is_empty() && !any.iter().any(|scope| principal.has(scope)) {
        missing.extend(any.iter().cloned());
    }
    missing
}
