//! One registered operation, and the stages of a call that only look.

use serde_json::{Value, json};

use super::RegistryError;
use crate::access::{Addressed, Decision, Mode, check_access};
use crate::context::{Caller, HostCapability};
use crate::envelope::Envelope;
use crate::error::CallError;
use crate::handler::{AnyHandler, Operation};
use crate::issue::Issue;
use crate::names::OperationId;
use crate::schema::{Schema, fill_defaults};
use crate::spec::{OperationSpec, OperationType};

/// A registered operation. Immutable; a change to the registry makes another one.
#[derive(Debug)]
pub struct Entry {
    id: OperationId,
    operation: Operation,
    resource_field: Option<ResourceField>,
    host: Option<HostCapability>,
    /// Its errors are a provider's, mapped by whoever called it there.
    pub(super) foreign: bool,
}

/// What sort of operation the caller asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Any of the three.
    Any,
    /// A query.
    Query,
    /// A query or a mutation.
    Call,
    /// A subscription.
    Subscription,
}

/// Where the input names the resource.
#[derive(Debug)]
struct ResourceField {
    pointer: String,
    required: bool,
}

impl Entry {
    pub(super) fn new(
        operation: Operation,
        host: Option<HostCapability>,
    ) -> Result<Self, RegistryError> {
        Self::check(&operation)?;
        let resource_field = ResourceField::of(&operation.spec);
        Ok(Self {
            id: operation.spec.id(),
            operation,
            resource_field,
            host,
            foreign: false,
        })
    }

    /// An operation that stands in no registry, checked as one that does: the way to a provider. Its
    /// errors leave [`Entry::run`] and [`Entry::stream`] as they are raised, for
    /// [`map_foreign_error`](crate::error::map_foreign_error).
    ///
    /// # Errors
    /// [`RegistryError::Invalid`] and [`RegistryError::KindMismatch`].
    pub fn standalone(operation: Operation) -> Result<Self, RegistryError> {
        let entry = Self::new(operation, None)?;
        Ok(Self {
            foreign: true,
            ..entry
        })
    }

    /// The operation's id.
    #[must_use]
    pub fn id(&self) -> &OperationId {
        &self.id
    }

    /// Its definition.
    #[must_use]
    pub fn spec(&self) -> &OperationSpec {
        &self.operation.spec
    }

    /// What runs it here, if anything does.
    #[must_use]
    pub fn handler(&self) -> Option<&AnyHandler> {
        self.operation.handler.as_ref()
    }

    /// True when it needs no key.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.operation.open
    }

    /// All of it as it was registered.
    #[must_use]
    pub fn operation(&self) -> &Operation {
        &self.operation
    }

    /// Stage resolve, second half: is it the sort of operation that was asked for?
    ///
    /// # Errors
    /// `VALIDATION_ERROR` rule `kind` with `details {expected, actual}`.
    pub fn check_kind(&self, expected: Expected) -> Result<(), CallError> {
        let actual = self.spec().kind;
        if expected.fits(actual) {
            return Ok(());
        }
        let wanted = expected.as_str();
        let message = format!("Operation {} is a {actual}, not a {wanted}", self.id);
        Err(CallError::validation_rule("kind", message)
            .with_detail("expected", wanted)
            .with_detail("actual", json!(actual)))
    }

    /// Stage authorize: may the caller make this call with this input? Nothing is read but the two.
    pub fn authorize(&self, caller: &Caller, input: &Value, mode: Mode) -> Decision {
        let demand = &self.spec().access_control;
        match caller {
            Caller::System(proof) if self.host.as_ref().is_some_and(|host| host.made(proof)) => {
                Decision::Allow
            }
            Caller::System(_) | Caller::Anonymous => {
                check_access(demand, None, &Addressed::Unbound, mode)
            }
            Caller::Identity(identity) => {
                check_access(demand, Some(identity), &self.addressed(input), mode)
            }
        }
    }

    /// Which resource the input names: by `resourceIdFrom`, else `{type}Id`, else `id` in the
    /// namespace of the type; the first of these that the input schema declares.
    #[must_use]
    pub fn addressed(&self, input: &Value) -> Addressed {
        let Some(field) = &self.resource_field else {
            return Addressed::Unbound;
        };
        let absent = Addressed::Absent {
            required: field.required,
        };
        match input.pointer(&field.pointer) {
            None | Some(Value::Null) => absent,
            Some(Value::String(id)) => Addressed::Ids(vec![id.clone()]),
            Some(Value::Number(id)) => Addressed::Ids(vec![id.to_string()]),
            Some(Value::Array(ids)) if ids.is_empty() => absent,
            Some(Value::Array(ids)) => Addressed::Ids(
                // What is no text names nothing: the empty id has no entry.
                ids.iter()
                    .map(|id| id.as_str().unwrap_or_default().to_owned())
                    .collect(),
            ),
            Some(_) => Addressed::Ids(vec![String::new()]),
        }
    }

    /// Stage validate input.
    ///
    /// # Errors
    /// `VALIDATION_ERROR` with `details.issues`.
    pub fn validate_input(&self, input: &Value) -> Result<(), CallError> {
        let issues = self.spec().input_schema.issues(input);
        match issues.first() {
            None => Ok(()),
            Some(first) => {
                let message = format!("Input of {} is invalid: {first}", self.id);
                Err(CallError::validation(issues, message))
            }
        }
    }

    /// Stage validate output. The output is never changed, unless the provider asks for its
    /// defaults (`_meta.fillDefaults`).
    ///
    /// # Errors
    /// `OUTPUT_INVALID` with `details.issues` and without the data.
    pub fn validate_output(&self, mut envelope: Envelope) -> Result<Envelope, CallError> {
        let schema = &self.spec().output_schema;
        if self.spec().fills_defaults() {
            fill_defaults(schema, &mut envelope.data);
        }
        let issues = schema.issues(&envelope.data);
        if issues.is_empty() {
            return Ok(envelope);
        }
        self.log_output_fault(&issues);
        Err(CallError::output_invalid(&self.id, issues))
    }

    fn log_output_fault(&self, issues: &[Issue]) {
        let faults: Vec<_> = issues
            .iter()
            .map(|issue| format!("{} {}", issue.path, issue.rule))
            .collect();
        tracing::warn!(
            operation.id = %self.id,
            output.faults = ?faults,
            "the output of {} breaks its own schema",
            self.id,
        );
    }
}

impl Expected {
    /// True when an operation of this type is what was asked for.
    #[must_use]
    pub fn fits(self, actual: OperationType) -> bool {
        match self {
            Self::Any => true,
            Self::Query => actual == OperationType::Query,
            Self::Call => actual != OperationType::Subscription,
            Self::Subscription => actual == OperationType::Subscription,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Any => "query, mutation or subscription",
            Self::Query => "query",
            Self::Call => "query or mutation",
            Self::Subscription => "subscription",
        }
    }
}

impl ResourceField {
    fn of(spec: &OperationSpec) -> Option<Self> {
        let kind = spec.access_control.resource.as_ref()?.kind.as_str();
        let schema = &spec.input_schema;
        if let Some(from) = &spec.ext.resource_id_from {
            // Named by the author: it counts as declared whatever the schema says.
            let pointer = if from.starts_with('/') {
                from.clone()
            } else {
                crate::issue::pointer_join("", from)
            };
            let required = schema.requires_pointer(&pointer);
            return Some(Self { pointer, required });
        }
        let by_type = format!("{kind}Id");
        let own_namespace = spec.namespace == kind;
        let declared = |name: &&str| schema.property(name).is_some();
        let name = Some(by_type.as_str())
            .filter(declared)
            .or_else(|| Some("id").filter(|_| own_namespace).filter(declared))?;
        Some(Self::top_level(schema, name))
    }

    fn top_level(schema: &Schema, name: &str) -> Self {
        let pointer = crate::issue::pointer_join("", name);
        Self {
            required: schema.requires(name),
            pointer,
        }
    }
}
