//! The definition of an operation, as it is registered and as it travels.

mod check;
pub(crate) mod wire;

pub use check::{SpecError, SpecOwner};

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::access::AccessControl;
use crate::canonical::{canonical_json, sha256_hex};
use crate::error::ErrorCode;
use crate::names::{Namespace, OperationId, OperationName};
use crate::schema::Schema;

/// A JSON object.
pub type JsonObject = Map<String, Value>;

/// What an operation does to the world.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum OperationType {
    /// Reads and changes nothing.
    Query,
    /// Changes something.
    Mutation,
    /// Gives items until it ends.
    Subscription,
}

/// How much of a call is recorded.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum RecordPolicy {
    /// Everything.
    Full,
    /// Everything but input and output, of which only the sizes are kept.
    Metadata,
    /// Nothing.
    None,
}

/// The whole definition of an operation.
#[derive(Debug, Clone, PartialEq)]
pub struct OperationSpec {
    /// The group it belongs to.
    pub namespace: Namespace,
    /// Its name in the group.
    pub name: OperationName,
    /// Version of this definition.
    pub version: semver::Version,
    /// Query, mutation or subscription; `type` on the wire.
    pub kind: OperationType,
    /// Name for people, at most 200 characters.
    pub title: Option<String>,
    /// What it does, at most 4,000 characters; may be empty.
    pub description: String,
    /// At most 50 of at most 64 characters.
    pub tags: Vec<String>,
    /// What it takes.
    pub input_schema: Schema,
    /// What it gives; for a subscription, each item.
    pub output_schema: Schema,
    /// The codes it may answer with beside the general ones, at most 50.
    pub error_schemas: Vec<ErrorDefinition>,
    /// What it asks of its caller.
    pub access_control: AccessControl,
    /// Metadata of the provider, handed on unchanged; `_meta` on the wire, at most 16 KiB.
    pub meta: Option<JsonObject>,
    /// Optional members beside those every peer knows.
    pub ext: SpecExt,
}

/// Optional members of a spec; what is absent takes its default from the accessor of
/// [`OperationSpec`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SpecExt {
    /// May be run twice without harm; steers retry and failover.
    pub idempotent: Option<bool>,
    /// How much of a call is recorded.
    pub record: Option<RecordPolicy>,
    /// Deadline of a call that asks for none; `timeoutMs` on the wire, at least 1 ms.
    pub timeout: Option<Duration>,
    /// The input field, or JSON Pointer into the input, that holds the id of the resource which
    /// [`AccessControl::resource`] is about.
    pub resource_id_from: Option<String>,
}

/// An error an operation may answer with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorDefinition {
    /// `[A-Z][A-Z0-9_]{1,63}`, none of the seven general codes.
    pub code: ErrorCode,
    /// When it is answered.
    #[serde(default)]
    pub description: String,
    /// Schema of the error's details.
    pub schema: Schema,
    /// HTTP status, 400…599; absent means the status of the code, or 422 for one of the
    /// operation's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
}

impl OperationSpec {
    /// The full id: namespace, a dot, name.
    #[must_use]
    pub fn id(&self) -> OperationId {
        OperationId::join(&self.namespace, &self.name)
    }

    /// Whether it may run twice; queries may unless they say otherwise.
    #[must_use]
    pub fn idempotent(&self) -> bool {
        self.ext
            .idempotent
            .unwrap_or(self.kind == OperationType::Query)
    }

    /// How much of a call is recorded; `default` counts when the spec is silent.
    #[must_use]
    pub fn record_policy(&self, default: RecordPolicy) -> RecordPolicy {
        self.ext.record.unwrap_or(default)
    }

    /// The declared error of this code.
    #[must_use]
    pub fn error(&self, code: &ErrorCode) -> Option<&ErrorDefinition> {
        self.error_schemas
            .iter()
            .find(|definition| definition.code == *code)
    }

    /// SHA-256, in lower-case hexadecimal, of the canonical JSON of type, version, both schemas,
    /// declared errors and access control: two specs with the same hash ask and answer the same.
    #[must_use]
    pub fn spec_hash(&self) -> String {
        sha256_hex(&canonical_json(&json!({
            "type": self.kind,
            "version": self.version,
            "inputSchema": self.input_schema,
            "outputSchema": self.output_schema,
            "errorSchemas": self.error_schemas,
            "accessControl": self.access_control,
        })))
    }

    /// True when `_meta` of the provider asks that absent optional properties of its output take
    /// their defaults.
    #[must_use]
    pub fn fills_defaults(&self) -> bool {
        self.meta_flag("fillDefaults")
    }

    /// True when the subscription can be picked up behind a given item.
    #[must_use]
    pub fn resumable(&self) -> bool {
        self.meta_flag("resumable")
    }

    fn meta_flag(&self, name: &str) -> bool {
        self.meta.as_ref().and_then(|meta| meta.get(name)) == Some(&Value::Bool(true))
    }
}
