//! What becomes of an error that a handler raised: the hub's own handlers and foreign providers.
//!
//! Codes are compared as codes; nothing is ever searched for in the text of a message.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{CallError, ErrorCode};
use crate::spec::ErrorDefinition;

/// Who executes an operation, as errors and envelopes name it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Provider {
    /// Which sort of provider it is.
    #[serde(rename = "type")]
    pub kind: ProviderKind,
    /// Its id: of a spoke, of an external service, or the hub's own.
    pub id: String,
}

/// The sorts of providers.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum ProviderKind {
    /// The hub itself.
    Hub,
    /// A connected process that offers operations.
    Spoke,
    /// An external service, reached by an adapter.
    Client,
}

/// What a foreign provider's error means for the call.
#[derive(Debug, Clone, PartialEq)]
pub enum ForeignOutcome {
    /// The caller gets this error.
    Answer(CallError),
    /// The provider no longer offers the operation: its registration becomes inactive and the next
    /// provider is asked once; without one the caller gets `NO_PROVIDER`.
    NotOffered,
}

/// The outcome, and whether the provider is at fault in the form of its error.
#[derive(Debug, Clone, PartialEq)]
pub struct MappedForeign {
    /// What the error means for the call.
    pub outcome: ForeignOutcome,
    /// True when details were dropped because they break the declared schema: counts as a fault of
    /// the provider.
    pub details_dropped: bool,
}

/// Maps an error of a handler that runs in this process.
///
/// | what comes | what leaves |
/// | --- | --- |
/// | a declared code | the same, with the status of the declaration; details that break its schema are dropped |
/// | an error of a nested call, handed on, whose code is not declared | `EXECUTION_ERROR` with `details.cause {operationId, code}` |
/// | `OPERATION_NOT_FOUND`, not from a nested call | `UNKNOWN_ERROR`: a fault of the program, logged |
/// | any other known code | the same |
/// | any other code | `UNKNOWN_ERROR`, logged |
#[must_use]
pub fn map_handler_error(mut error: CallError, declared: &[ErrorDefinition]) -> CallError {
    let inner = error.take_inner();
    if let Some(definition) = declaration(&error.code, declared) {
        return fit_declaration(error, definition).0;
    }
    if let Some(operation) = inner {
        let cause = json!({ "operationId": operation, "code": error.code });
        return CallError::new(ErrorCode::EXECUTION_ERROR, error.message)
            .with_details(json!({ "cause": cause }));
    }
    if error.code.is_known() && error.code != ErrorCode::OPERATION_NOT_FOUND {
        return error;
    }
    let error_id = Uuid::new_v4();
    tracing::error!(
        error.id = %error_id,
        error.code = %error.code,
        error.message = %error.message,
        "a handler raised the undeclared code {} ({error_id})",
        error.code,
    );
    CallError::unknown(error_id)
}

/// Maps an error that a spoke or an external service sent.
///
/// `abort_sent` says whether this process had asked the provider to stop the call.
///
/// | what comes | what leaves |
/// | --- | --- |
/// | a declared code | the same, with the status of the declaration; details that break its schema are dropped |
/// | `VALIDATION_ERROR`, `ACCESS_DENIED`, `TIMEOUT`, `EXECUTION_ERROR`, `UNKNOWN_ERROR` | the same with `details.provider {type, id}` |
/// | `ABORTED` | the same when an abort had been sent, else as an undeclared code |
/// | `OPERATION_NOT_FOUND` | [`ForeignOutcome::NotOffered`] |
/// | any other code | `EXECUTION_ERROR` with `details.provider {type, id, code, message}` |
#[must_use]
pub fn map_foreign_error(
    error: CallError,
    declared: &[ErrorDefinition],
    provider: &Provider,
    abort_sent: bool,
) -> MappedForeign {
    let answer = |error| MappedForeign {
        outcome: ForeignOutcome::Answer(error),
        details_dropped: false,
    };
    if error.code == ErrorCode::OPERATION_NOT_FOUND {
        return MappedForeign {
            outcome: ForeignOutcome::NotOffered,
            details_dropped: false,
        };
    }
    // A client acts on these as the hub's word, so a declaration of them counts for nothing.
    if !error.code.is_hub_only()
        && let Some(definition) = declaration(&error.code, declared)
    {
        let (error, details_dropped) = fit_declaration(error, definition);
        return MappedForeign {
            outcome: ForeignOutcome::Answer(error),
            details_dropped,
        };
    }
    if error.code == ErrorCode::ABORTED && abort_sent {
        return answer(error);
    }
    if error.code.is_library() && error.code != ErrorCode::ABORTED {
        return answer(error.with_detail("provider", provider_details(provider)));
    }
    let mut described = provider_details(provider);
    if let Value::Object(members) = &mut described {
        members.insert("code".to_owned(), Value::from(error.code.as_str()));
        members.insert("message".to_owned(), Value::from(error.message.as_str()));
    }
    answer(
        CallError::new(ErrorCode::EXECUTION_ERROR, error.message)
            .with_details(json!({ "provider": described })),
    )
}

fn provider_details(provider: &Provider) -> Value {
    json!({ "type": provider.kind, "id": provider.id })
}

fn declaration<'a>(
    code: &ErrorCode,
    declared: &'a [ErrorDefinition],
) -> Option<&'a ErrorDefinition> {
    declared.iter().find(|definition| definition.code == *code)
}

/// Gives the error the declared status and drops details that break the declared schema.
fn fit_declaration(mut error: CallError, definition: &ErrorDefinition) -> (CallError, bool) {
    let fits = error
        .details
        .as_ref()
        .is_none_or(|details| definition.schema.is_valid(details));
    if !fits {
        error.details = None;
    }
    (error.with_http_status(definition.http_status), !fits)
}
