//! May this caller call this operation with this input? Lines 2 to 5 of the decision, in one place.

use alkhub_operations::{CallError, Caller, Decision, Entry, Missing, Mode};
use serde_json::Value;

use crate::auth::Principal;
use crate::providers::ProviderId;
use crate::scopes;
use crate::state::State;

/// Decides before anything is recorded.
///
/// # Errors
/// `OPERATION_NOT_FOUND` when the caller has no scope that would let them see the operation,
/// `ACCESS_DENIED` naming the missing scopes when they may see but not call it, `NOT_FOUND` when the
/// scopes suffice and only the resource is out of the key's reach.
pub(crate) fn authorize(
    state: &State,
    principal: &Principal,
    entry: &Entry,
    input: &Value,
) -> Result<(), CallError> {
    if !may_see(state, principal, entry) {
        return Err(CallError::operation_not_found(entry.id().as_str()));
    }
    if let Some(scope) = provider_scope(state, entry).filter(|scope| !principal.has(scope)) {
        let missing = Missing {
            scopes: vec![scope.to_owned()],
            ..Missing::default()
        };
        return Decision::Missing(missing).into_result(entry.id());
    }
    let caller = Caller::Identity(principal.identity());
    let decision = entry.authorize(&caller, input, Mode::Narrowing);
    if decision.only_resource_missing() {
        return Err(CallError::not_found(crate::error::NOT_FOUND));
    }
    decision.into_result(entry.id())
}

/// True when the operation may be known to the caller: it asks for nothing, or the caller holds some
/// scope of an area that it asks for; and of those who offer it, the caller may reach one.
pub(crate) fn may_see(state: &State, principal: &Principal, entry: &Entry) -> bool {
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
        && reaches_a_provider(state, principal, entry)
}

fn reaches_a_provider(state: &State, principal: &Principal, entry: &Entry) -> bool {
    if state.providers.is_own(entry) {
        return true;
    }
    let admin_sees_all = state.config().auth.admin_sees_all;
    state
        .providers
        .of(entry.id().as_str())
        .iter()
        .any(|offer| offer.reachable_by(principal, admin_sees_all))
}

/// The scope that calling anything of a spoke needs, whatever the operation itself asks for. Imported
/// operations carry theirs in their spec.
fn provider_scope(state: &State, entry: &Entry) -> Option<&'static str> {
    if state.providers.is_own(entry) {
        return None;
    }
    let offers = state.providers.of(entry.id().as_str());
    let by_spokes = offers
        .iter()
        .any(|offer| matches!(offer.provider, ProviderId::Spoke(_)));
    Some(if by_spokes {
        "spoke:call"
    } else {
        "client:call"
    })
}

/// True when the scopes and the key's patterns let the caller call the operation with some input.
pub(crate) fn may_call(state: &State, principal: &Principal, entry: &Entry) -> bool {
    missing_scopes(state, principal, entry).is_empty()
        && may_see(state, principal, entry)
        && state.providers.overrides.admit(entry.id().as_str()).is_ok()
}

/// The scopes the caller lacks for the operation; of alternatives all are named.
pub(crate) fn missing_scopes(state: &State, principal: &Principal, entry: &Entry) -> Vec<String> {
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
    missing.extend(
        provider_scope(state, entry)
            .filter(|scope| !principal.has(scope))
            .map(ToOwned::to_owned),
    );
    missing.dedup();
    missing
}
