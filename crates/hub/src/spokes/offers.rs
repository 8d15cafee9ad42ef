//! Which of the operations somebody offers are taken, and the rows they get.

use alkhub_operations::spec::SpecOwner;
use alkhub_operations::{CallError, Compatibility, ErrorCode, OperationSpec};
use alkhub_storage::spokes::NewOperation;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::auth::Principal;
use crate::catalog;
use crate::error::HubError;
use crate::providers::{Owner, ProviderId};
use crate::state::State;

/// Namespaces that are the hub's own, and those below them.
const RESERVED: &[&str] = &[
    "hub",
    "config",
    "account",
    "org",
    "key",
    "audit",
    "project",
    "workspace",
    "task",
    "role",
    "session",
    "message",
    "part",
    "spoke",
    "operation",
    "call",
    "client",
    "proxy",
    "usage",
    "budget",
    "coord",
    "detect",
    "system",
];

/// An operation that was not taken.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RefusedOperation {
    /// Its name, as far as it could be read.
    pub(crate) name: String,
    /// Why, for programs.
    pub(crate) code: ErrorCode,
    /// Which rule it breaks, where the code leaves that open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rule: Option<String>,
    /// Why, for people.
    pub(crate) message: String,
}

/// An operation that is taken.
pub(crate) struct Accepted {
    pub(crate) spec: OperationSpec,
    pub(crate) row: NewOperation,
}

/// True when only the hub may offer operations there.
pub(crate) fn reserved(namespace: &str) -> bool {
    let first = namespace.split('.').next().unwrap_or(namespace);
    RESERVED.contains(&first)
}

/// Sorts what is offered into what is taken and what is refused, each with its reason.
///
/// # Errors
/// When a spec cannot be stored: a fault of the program.
pub(crate) fn sort(
    state: &State,
    principal: &Principal,
    provider: Option<&ProviderId>,
    owner: &Owner,
    offered: &[Value],
) -> Result<(Vec<Accepted>, Vec<RefusedOperation>), HubError> {
    let (mut accepted, mut refused): (Vec<Accepted>, Vec<RefusedOperation>) = Default::default();
    for wire in offered {
        match check(state, principal, provider, owner, wire) {
            Ok(spec) if accepted.iter().any(|other| other.spec.id() == spec.id()) => {
                refused.push(RefusedOperation {
                    name: spec.id().to_string(),
                    code: ErrorCode::CONFLICT,
                    rule: Some("offered_twice".to_owned()),
                    message: "the operation is offered twice".to_owned(),
                });
            }
            Ok(spec) => {
                let row = catalog::row_of(&spec, catalog::Origin::Offered)
                    .map_err(|error| CallError::internal(&error))?;
                accepted.push(Accepted { spec, row });
            }
            Err(error) => refused.push(RefusedOperation {
                name: name_of(wire),
                rule: error
                    .details
                    .as_ref()
                    .and_then(|details| details["rule"].as_str())
                    .map(ToOwned::to_owned),
                code: error.code,
                message: error.message,
            }),
        }
    }
    Ok((accepted, refused))
}

fn check(
    state: &State,
    principal: &Principal,
    provider: Option<&ProviderId>,
    owner: &Owner,
    wire: &Value,
) -> Result<OperationSpec, CallError> {
    let name = name_of(wire);
    if reserved(&name) {
        return Err(CallError::forbidden(format!(
            "the namespace of {name} is the hub's own"
        )));
    }
    let spec = OperationSpec::from_json(wire, SpecOwner::Foreign)?;
    if let Some(scope) = &state.config().operations.offer_scope
        && !principal.has(scope)
    {
        return Err(CallError::access_denied(format!(
            "this installation asks for the scope {scope} to offer operations"
        )));
    }
    if let Some(known) = state.registry.get(spec.id().as_str()) {
        let own = state.providers.overrides.original(spec.id().as_str());
        let known = own.as_ref().unwrap_or_else(|| known.spec());
        may_replace(state, principal, provider, owner, known, &spec)?;
    }
    Ok(spec)
}

/// May this definition stand in the place of the one that is known?
fn may_replace(
    state: &State,
    principal: &Principal,
    provider: Option<&ProviderId>,
    owner: &Owner,
    known: &OperationSpec,
    offered: &OperationSpec,
) -> Result<(), CallError> {
    if known.spec_hash() == offered.spec_hash() && known.version == offered.version {
        return Ok(());
    }
    let name = offered.id();
    let held = state.providers.of(name.as_str()).iter().any(|offer| {
        offer.live()
            && Some(&offer.provider) != provider
            && offer.owner.account != owner.account
            && (offer.owner.organization.is_none()
                || offer.owner.organization != owner.organization)
    });
    if known.version == offered.version {
        let message = format!(
            "{name} {} is known with another definition; a changed definition needs a higher version",
            known.version
        );
        return Err(CallError::conflict("spec_mismatch", message));
    }
    if held {
        let message = format!("{name} is offered by another tenant with another definition");
        return Err(CallError::conflict("spec_held", message));
    }
    if principal.has("operation:admin") {
        return Ok(());
    }
    if offered.version < known.version {
        let message = format!(
            "{name} is known in version {}, which is higher than {}",
            known.version, offered.version
        );
        return Err(CallError::conflict("incompatible", message));
    }
    let reason =
        match alkhub_operations::schema::compare(&known.input_schema, &offered.input_schema) {
            Compatibility::Compatible => return Ok(()),
            Compatibility::Incompatible(reasons) => reasons.join("; "),
            Compatibility::Unknown => "the two cannot be compared".to_owned(),
        };
    let message = format!(
        "the input of {name} {} does not accept what {} accepted: {reason}",
        offered.version, known.version
    );
    Err(CallError::conflict("incompatible", message))
}

/// The full name, as far as it can be read.
fn name_of(wire: &Value) -> String {
    let part = |key: &str| wire.get(key).and_then(Value::as_str).unwrap_or("?");
    let name = format!("{}.{}", part("namespace"), part("name"));
    name.chars().take(200).collect()
}
