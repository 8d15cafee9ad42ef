//! Who may call an operation: a pure decision from the operation's demand and the caller's rights.
//!
//! Scopes are compared as plain text. Wildcards and implications are expanded by whoever makes the
//! [`Identity`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{CallError, ErrorCode};
use crate::names::OperationId;

/// What an operation asks of its caller. The conditions are joined by AND.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "RawAccessControl")]
pub struct AccessControl {
    /// The caller needs **all** of these.
    pub required_scopes: Vec<String>,
    /// The caller needs at least **one** of these, when there are any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub required_scopes_any: Vec<String>,
    /// The caller needs this right on a resource.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub resource: Option<ResourceDemand>,
}

/// A right on a resource: an action on things of a type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ResourceDemand {
    /// `project`, `tool`, …
    #[serde(rename = "resourceType")]
    pub kind: String,
    /// `read`, `write`, `execute`, …
    #[serde(rename = "resourceAction")]
    pub action: String,
}

/// Why an access control is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AccessControlError {
    /// It promises a protection that nobody gives.
    #[error("customAuth is not supported: nothing would enforce it")]
    CustomAuth,
    /// A resource type without an action, or the reverse.
    #[error("resourceType and resourceAction go together: give both or neither")]
    HalfResource,
    /// An empty text among the scopes.
    #[error("a scope must not be empty")]
    EmptyScope,
}

/// Who calls: an account and what it may do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// Account id.
    pub id: String,
    /// Scopes, already expanded.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// `"type:id"` to the actions allowed there; `*` as id is any id, `*` as action any action.
    /// An entry with an empty id (`"project:"`) allows nothing: it narrows a type to no resource.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub resources: BTreeMap<String, Vec<String>>,
}

/// How entries of [`Identity::resources`] count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// An identity without a fitting entry has no right.
    #[default]
    Required,
    /// An identity without any entry of the type is not narrowed; one with entries is held to them.
    Narrowing,
}

/// Which resource the input of a call addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Addressed {
    /// The input schema has no field for it: a right on any one resource of the type suffices.
    Unbound,
    /// The schema has the field, the input leaves it out.
    Absent {
        /// Whether the schema demands the field.
        required: bool,
    },
    /// These ids; the right is needed on each.
    Ids(Vec<String>),
}

/// May the call go on?
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Decision {
    /// Yes.
    Allow,
    /// No: the operation asks for something and nobody is identified.
    IdentityRequired,
    /// No: the identity lacks something.
    Missing(Missing),
}

/// What an identity lacks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Missing {
    /// Demanded scopes it has not, each once.
    pub scopes: Vec<String>,
    /// The scopes of which it has not a single one.
    pub any_of: Vec<String>,
    /// The right on a resource.
    pub resource: Option<ResourceDemand>,
}

impl AccessControl {
    /// Nothing is asked.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// All of these scopes are asked.
    #[must_use]
    pub fn scopes<S: Into<String>>(scopes: impl IntoIterator<Item = S>) -> Self {
        Self {
            required_scopes: scopes.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    /// The same, and one of these scopes too.
    #[must_use]
    pub fn with_any<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.required_scopes_any = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// The same, and this right on a resource too.
    #[must_use]
    pub fn with_resource(mut self, kind: impl Into<String>, action: impl Into<String>) -> Self {
        self.resource = Some(ResourceDemand {
            kind: kind.into(),
            action: action.into(),
        });
        self
    }

    /// True when a caller without identity may pass.
    #[must_use]
    pub fn asks_nothing(&self) -> bool {
        self.required_scopes.is_empty()
            && self.required_scopes_any.is_empty()
            && self.resource.is_none()
    }
}

impl Decision {
    /// True for [`Decision::Allow`].
    #[must_use]
    pub fn is_allow(&self) -> bool {
        *self == Self::Allow
    }

    /// True when the scopes suffice and only the right on the resource is missing; a hub answers
    /// `NOT_FOUND` then, as for a row that does not exist.
    #[must_use]
    pub fn only_resource_missing(&self) -> bool {
        matches!(self, Self::Missing(missing)
            if missing.scopes.is_empty() && missing.any_of.is_empty() && missing.resource.is_some())
    }

    /// The decision as an error: `UNAUTHENTICATED` without identity, else `ACCESS_DENIED` with
    /// `details.missing` (the scopes lacked, those of an any-of demand included).
    ///
    /// # Errors
    /// For everything but [`Decision::Allow`].
    pub fn into_result(self, id: &OperationId) -> Result<(), CallError> {
        let denied = format!("Access denied for operation: {id}");
        match self {
            Self::Allow => Ok(()),
            Self::IdentityRequired => Err(CallError::unauthenticated(format!(
                "{denied} — identity required"
            ))),
            Self::Missing(missing) => {
                let mut details = Map::new();
                let lacked: Vec<_> = missing
                    .scopes
                    .iter()
                    .chain(&missing.any_of)
                    .cloned()
                    .collect();
                details.insert("missing".to_owned(), Value::from(lacked));
                if !missing.any_of.is_empty() {
                    details.insert("anyOf".to_owned(), Value::from(missing.any_of));
                }
                if let Some(resource) = missing.resource {
                    let text = format!("{}:{}", resource.kind, resource.action);
                    details.insert("resource".to_owned(), Value::from(text));
                }
                Err(CallError::new(ErrorCode::ACCESS_DENIED, denied)
                    .with_details(Value::Object(details)))
            }
        }
    }
}

/// Decides whether an identity meets a demand. Deny is the default.
///
/// `addressed` is which resource the input names; it counts only when the demand has a resource.
pub fn check_access(
    demand: &AccessControl,
    identity: Option<&Identity>,
    addressed: &Addressed,
    mode: Mode,
) -> Decision {
    if demand.asks_nothing() {
        return Decision::Allow;
    }
    let Some(identity) = identity else {
        return Decision::IdentityRequired;
    };
    let has = |scope: &String| identity.scopes.contains(scope);

    let mut missing = Missing::default();
    for scope in &demand.required_scopes {
        if !has(scope) && !missing.scopes.contains(scope) {
            missing.scopes.push(scope.clone());
        }
    }
    if !demand.required_scopes_any.is_empty() && !demand.required_scopes_any.iter().any(has) {
        missing.any_of.clone_from(&demand.required_scopes_any);
    }
    if let Some(resource) = &demand.resource
        && !may_use(resource, identity, addressed, mode)
    {
        missing.resource = Some(resource.clone());
    }
    if missing == Missing::default() {
        Decision::Allow
    } else {
        Decision::Missing(missing)
    }
}

fn may_use(
    resource: &ResourceDemand,
    identity: &Identity,
    addressed: &Addressed,
    mode: Mode,
) -> bool {
    let prefix = format!("{}:", resource.kind);
    let entries = || {
        identity.resources.iter().filter_map(|(key, actions)| {
            let id = key.strip_prefix(&prefix)?;
            Some((
                id,
                actions
                    .iter()
                    .any(|action| *action == resource.action || action == "*"),
            ))
        })
    };
    if mode == Mode::Narrowing && entries().next().is_none() {
        return true;
    }
    match addressed {
        Addressed::Unbound => entries().any(|(id, allowed)| !id.is_empty() && allowed),
        Addressed::Absent { required } => mode == Mode::Narrowing && !required,
        Addressed::Ids(ids) => ids.iter().all(|wanted| {
            entries().any(|(id, allowed)| allowed && !id.is_empty() && (id == wanted || id == "*"))
        }),
    }
}

/// The form on the wire, before its rules are checked.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawAccessControl {
    required_scopes: Vec<String>,
    #[serde(default)]
    required_scopes_any: Option<Vec<String>>,
    #[serde(default)]
    resource_type: Option<String>,
    #[serde(default)]
    resource_action: Option<String>,
    #[serde(default)]
    custom_auth: Option<Value>,
}

impl TryFrom<RawAccessControl> for AccessControl {
    type Error = AccessControlError;

    fn try_from(raw: RawAccessControl) -> Result<Self, AccessControlError> {
        if raw.custom_auth.is_some() {
            return Err(AccessControlError::CustomAuth);
        }
        // An empty text counts as "not set".
        let set = |text: Option<String>| text.filter(|text| !text.is_empty());
        let resource = match (set(raw.resource_type), set(raw.resource_action)) {
            (Some(kind), Some(action)) => Some(ResourceDemand { kind, action }),
            (None, None) => None,
            _ => return Err(AccessControlError::HalfResource),
        };
        let required_scopes_any = raw.required_scopes_any.unwrap_or_default();
        if raw
            .required_scopes
            .iter()
            .chain(&required_scopes_any)
            .any(String::is_empty)
        {
            return Err(AccessControlError::EmptyScope);
        }
        Ok(Self {
            required_scopes: raw.required_scopes,
            required_scopes_any,
            resource,
        })
    }
}
