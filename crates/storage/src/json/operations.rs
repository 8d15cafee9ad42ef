//! JSON columns of spokes, operations and recorded calls.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use sea_orm::FromJsonQueryResult;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Extra;

/// What a spoke says of its machine.
#[derive(
    Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, FromJsonQueryResult,
)]
#[serde(rename_all = "camelCase", default)]
pub struct HostInfo {
    /// Operating system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub os: Option<String>,
    /// Processor architecture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arch: Option<String>,
    /// Bytes of memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Number of cores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<u64>,
    /// Name of the machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Process id of the spoke.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u64>,
    /// Name of the client library.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sdk: Option<String>,
    /// Version of the client library.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sdk_version: Option<String>,
    /// Start of the spoke's process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    /// Other keys.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Errors an operation declares.
#[derive(
    Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, FromJsonQueryResult,
)]
#[serde(transparent)]
pub struct ErrorDefinitions(pub Vec<ErrorDefinition>);

/// An error an operation declares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ErrorDefinition {
    /// Capitals with `_`.
    pub code: String,
    /// When it comes.
    pub description: String,
    /// JSON Schema of its details.
    #[serde(default)]
    pub schema: Value,
    /// 400 to 599.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// Other keys.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Who may call an operation.
#[derive(
    Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, FromJsonQueryResult,
)]
#[serde(rename_all = "camelCase", default)]
pub struct AccessControl {
    /// All of these.
    pub required_scopes: Vec<String>,
    /// And one of these, when given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub required_scopes_any: Option<Vec<String>>,
    /// Type of the resource asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_type: Option<String>,
    /// Action on that resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_action: Option<String>,
    /// Other keys.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The caller at call time.
#[derive(
    Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, FromJsonQueryResult,
)]
#[serde(rename_all = "camelCase", default)]
pub struct CallIdentity {
    /// The account's id; `hub` for the hub's own calls.
    pub id: String,
    /// Its scopes.
    pub scopes: Vec<String>,
    /// `<type>:<id>` to actions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<BTreeMap<String, Vec<String>>>,
    /// Other keys.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Why a call failed.
#[derive(
    Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, FromJsonQueryResult,
)]
#[serde(rename_all = "camelCase", default)]
pub struct CallFailure {
    /// The code.
    pub code: String,
    /// For people.
    pub message: String,
    /// For programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
    /// Other keys.
    #[serde(flatten)]
    pub extra: Extra,
}
